/* SPDX-License-Identifier: Apache-2.0 */
/* See sched_v.h. */
#include "step/sched_v.h"

/* Forward and backward passes of both chunks take a slot each, and two are left for gradients of
 * weights. */
#define SLOTS 6

/* The first slot behind `after` that no pass of the block takes modulo SLOTS. */
static uint32_t free_slot(const uint32_t *taken, uint32_t n_taken, uint32_t after)
{
    uint32_t used = 0;
    for (uint32_t i = 0; i < n_taken; i++) {
        used |= 1u << taken[i] % SLOTS;
    }
    uint32_t slot = after + 1;
    while (used & 1u << slot % SLOTS) {
        slot++;
    }
    return slot;
}

void sp_v_block_list(const sp_pipeline_shape *shape, const sp_v_block *block, sp_pass_list *list)
{
    static const sp_stage_pass pass[SLOTS] = {
        {.kind = SP_PASS_FORWARD,     .chunk = 0},
        {.kind = SP_PASS_FORWARD,     .chunk = 1},
        {.kind = SP_PASS_INPUT_GRAD,  .chunk = 1},
        {.kind = SP_PASS_INPUT_GRAD,  .chunk = 0},
        {.kind = SP_PASS_WEIGHT_GRAD, .chunk = 1},
        {.kind = SP_PASS_WEIGHT_GRAD, .chunk = 0},
    };
    uint32_t slot[SLOTS] = {block->forward[0], block->forward[1], block->back[1], block->back[0]};
    slot[4] = free_slot(slot, 4, slot[2]);
    slot[5] = free_slot(slot, 5, slot[3]);
    const uint32_t last = slot[4] > slot[5] ? slot[4] : slot[5];
    for (uint32_t now = 0; now <= last + SLOTS * (shape->m - 1); now++) {
        for (uint32_t i = 0; i < SLOTS; i++) {
            const bool its = now >= slot[i] && (now - slot[i]) % SLOTS == 0;
            if (its && (now - slot[i]) / SLOTS < shape->m) {
                sp_pass_add(list, (sp_stage_pass_kind)pass[i].kind, pass[i].chunk,
                            (now - slot[i]) / SLOTS);
            }
        }
    }
}

double sp_v_steady_s(const sp_chain *chain, double forward, double input_grad, double weight_grad)
{
    const sp_pass_times *t = chain->pivot, others = sp_chain_others(chain), *o = &others;
    const double p = chain->shape->p, m = 2.0 * chain->shape->m;
    const double sum_s = (m + forward) * (t->forward_s + (p - 1.0) * o->forward_s) +
                         (m + input_grad) * (t->input_grad_s + (p - 1.0) * o->input_grad_s) +
                         (m + weight_grad) * (t->weight_grad_s + (p - 1.0) * o->weight_grad_s);
    return sum_s / (2.0 * p);
}

double sp_v_ends_s(const sp_chain *chain, double forward, double input_grad, double weight_grad)
{
    const sp_pass_times *t = chain->pivot, others = sp_chain_others(chain), *o = &others;
    return chain->shape->m * (t->forward_s + t->input_grad_s + t->weight_grad_s) +
           0.5 * (forward * o->forward_s + input_grad * o->input_grad_s +
                  weight_grad * t->weight_grad_s);
}
