/* SPDX-License-Identifier: Apache-2.0 */
/* Zero-bubble V (Qi et al., ICLR 2024, section 6): two chunks a stage, the second from the end of
 * the pipeline back, so that the last chunk lies beside the first. The order is that of PyTorch
 * (torch/distributed/pipelining/schedules.py, ScheduleZBVZeroBubble), made for passes of equal
 * length.
 *   step = m t + (p - 1) / 2 max(B, 2 (B - W))       of whole stages, where F and W <= B
 *   p micro-batches in flight on every stage */
#include "step/schedule.h"

static bool admits(const sp_pipeline_shape *shape)
{
    return shape->v == 2 && shape->p >= 2 && shape->m >= 2 * shape->p - 1;
}

static uint32_t held(const sp_pipeline_shape *shape, uint32_t stage, sp_held moments[SP_MAX_HELD])
{
    moments[0] = (sp_held){shape->p, 0.0};
    moments[1] = (sp_held){shape->p - 0.5, 0.5};
    moments[2] = (sp_held){(shape->p - 1.0 - stage) / 2.0, (2.0 * stage + 1.0) / 2.0};
    return stage > 0 ? 3 : 2;
}

static double chain_s(const sp_chain *chain)
{
    const sp_pass_times *t = chain->pivot, others = sp_chain_others(chain), *o = &others;
    const double hops = chain->shape->p - 1.0;
    const double ends_s = 0.5 * hops * o->input_grad_s;
    const double late_s = hops * (o->input_grad_s - t->weight_grad_s);
    return chain->shape->m * (t->forward_s + t->input_grad_s + t->weight_grad_s) +
           (late_s > ends_s ? late_s : ends_s);
}

/* Micro-batches that have passed each chunk, by kind of pass. */
typedef struct counts {
    uint32_t forward[2], back[2], weight[2];
} counts;

static void forward(counts *n, uint32_t chunk, sp_pass_list *out)
{
    sp_pass_add(out, SP_PASS_FORWARD, chunk, n->forward[chunk]++);
}

static void back(counts *n, uint32_t chunk, sp_pass_list *out)
{
    sp_pass_add(out, SP_PASS_INPUT_GRAD, chunk, n->back[chunk]++);
}

static void weight(counts *n, uint32_t chunk, sp_pass_list *out)
{
    sp_pass_add(out, SP_PASS_WEIGHT_GRAD, chunk, n->weight[chunk]++);
}

static void warm_up(uint32_t p, uint32_t stage, counts *n, sp_pass_list *out)
{
    for (uint32_t i = 0; i < 2 * (p - stage) - 1; i++) {
        forward(n, 0, out);
    }
    for (uint32_t i = 0; i < stage; i++) {
        forward(n, 1, out);
        forward(n, 0, out);
    }
    for (uint32_t i = 0; i < p - stage; i++) {
        forward(n, 1, out);
        back(n, 1, out);
        weight(n, 1, out);
    }
}

static void wind_down(uint32_t p, uint32_t stage, counts *n, sp_pass_list *out)
{
    for (uint32_t i = 0; i < stage; i++) {
        back(n, 0, out);
        back(n, 1, out);
    }
    for (uint32_t i = 0; i < p - stage; i++) {
        back(n, 0, out);
        weight(n, 0, out);
    }
    while (n->weight[1] < n->back[1]) {
        weight(n, 1, out);
    }
    while (n->weight[0] < n->back[0]) {
        weight(n, 0, out);
    }
}

static void list(const sp_pipeline_shape *shape, uint32_t stage, sp_pass_list *out)
{
    counts n = {0};
    warm_up(shape->p, stage, &n, out);
    while (n.forward[1] < n.forward[0] || n.forward[0] < shape->m) {
        if (n.forward[0] < shape->m) forward(&n, 0, out);
        back(&n, 0, out);
        weight(&n, 0, out);
        forward(&n, 1, out);
        back(&n, 1, out);
        weight(&n, 1, out);
    }
    wind_down(shape->p, stage, &n, out);
}

const sp_schedule_kind sp_schedule_zb_v = {.name = "zb_v",
                                           .layout = SP_LAYOUT_V,
                                           .splits_backward = true,
                                           .holds_late = true,
                                           .overlaps_p2p = true,
                                           .admits = admits,
                                           .held = held,
                                           .chain_s = chain_s,
                                           .list = list};
