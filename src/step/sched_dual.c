/* SPDX-License-Identifier: Apache-2.0 */
/* See sched_dual.h. The eight phases of a stage are those of the published code. */
#include "step/sched_dual.h"

#include <assert.h>

/* Passes so far by block, and where in the list the next late gradient of weights belongs to. */
typedef struct progress {
    sp_pass_list *list;
    uint32_t forward[2], back[2];
    uint32_t late;
} progress;

static void forward(progress *n, uint32_t block)
{
    sp_pass_add(n->list, SP_PASS_FORWARD, block, n->forward[block]++);
}

static void back(progress *n, uint32_t block, bool split)
{
    sp_pass_add(n->list, split ? SP_PASS_INPUT_GRAD : SP_PASS_BACKWARD, block, n->back[block]++);
}

static void pair(progress *n, uint32_t ahead, uint32_t behind)
{
    forward(n, ahead);
    n->list->passes[n->list->n - 1].with_next = true;
    back(n, behind, false);
}

/* Weight gradients follow in the order of their input gradients. */
static void weight(progress *n)
{
    while (n->list->passes[n->late].kind != SP_PASS_INPUT_GRAD) {
        n->late++;
        assert(n->late < n->list->n);
    }
    const sp_stage_pass first = n->list->passes[n->late++];
    sp_pass_add(n->list, SP_PASS_WEIGHT_GRAD, first.chunk, first.micro_batch);
}

static void begin(uint32_t inner, uint32_t rank, progress *n)
{
    for (uint32_t i = 0; i < 2 * inner; i++) {
        forward(n, 0);
    }
    for (uint32_t i = 0; i <= rank; i++) {
        forward(n, 0);
        forward(n, 1);
    }
    for (uint32_t i = 0; i < inner; i++) {
        back(n, 1, true);
        weight(n);
        forward(n, 1);
    }
}

/* The innermost stage starts with two passes that are no pair. */
static void middle(uint32_t rounds, uint32_t inner, progress *n)
{
    for (uint32_t i = 0; i < rounds; i++) {
        if (i == 0 && inner == 0) {
            forward(n, 0);
            back(n, 1, false);
        } else {
            pair(n, 0, 1);
        }
        pair(n, 1, 0);
    }
    for (uint32_t i = 0; i < inner; i++) {
        back(n, 1, false);
        pair(n, 1, 0);
    }
}

static void end(uint32_t inner, uint32_t rank, progress *n)
{
    const uint32_t half = (rank + 1) / 2;
    for (uint32_t i = 0; i <= rank; i++) {
        back(n, 1, i > half || (i == half && rank % 2 == 1));
        back(n, 0, i >= half);
    }
    for (uint32_t i = 0; i < inner; i++) {
        weight(n);
        back(n, 0, true);
    }
    for (uint32_t i = 0; i <= rank; i++) {
        weight(n);
    }
}

void sp_dual_list(uint32_t n, uint32_t m, uint32_t rank, sp_pass_list *list)
{
    assert(rank < n && m >= 2 * n);
    const uint32_t inner = n - 1 - rank; /* stages between this one and the turn */
    progress done = {.list = list};
    begin(inner, rank, &done);
    middle(m - 2 * n + rank + 1, inner, &done);
    end(inner, rank, &done);
}

uint32_t sp_dual_held(uint32_t n, uint32_t rank, sp_held moments[SP_MAX_HELD])
{
    moments[0] = (sp_held){(2.0 * n + 1.0) / 2.0, 0.0};
    moments[1] = (sp_held){(n - 1.0 - rank) / 2.0, (rank + 1.0) / 2.0};
    moments[2] = (sp_held){(2.0 * n - 1.0) / 2.0, 0.5};
    return rank + 1 < n ? 3 : 2;
}

double sp_dual_chain_s(const sp_chain *chain, uint32_t n)
{
    const sp_pass_times *t = chain->pivot, others = sp_chain_others(chain), *o = &others;
    const double pair_s = t->forward_s + t->input_grad_s + t->weight_grad_s - t->hidden_s;
    const double most = n + 2.0, forwards = 2.0 * n < most ? 2.0 * n : most;
    const double alone_s = forwards * t->forward_s + (2.0 * n - forwards) * o->forward_s +
                           most * t->input_grad_s + 3.0 * t->weight_grad_s;
    const double fill_s = sp_larger(n * o->forward_s, (n - 1.0) * o->input_grad_s);
    const double drain_s = (n - 1.0) * sp_larger(o->input_grad_s, o->weight_grad_s);
    return 0.5 * ((2.0 * chain->shape->m - most) * pair_s + alone_s + fill_s + drain_s);
}
