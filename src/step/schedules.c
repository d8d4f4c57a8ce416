/* SPDX-License-Identifier: Apache-2.0 */
/* The list of pipeline schedules, and what their files have in common. */
#include "step/schedule.h"

#include <assert.h>

#define SP_SCHEDULE(name) extern const sp_schedule_kind sp_schedule_##name;
#include "step/schedules.def"
#undef SP_SCHEDULE

static const sp_schedule_kind *const schedules[] = {
#define SP_SCHEDULE(name) &sp_schedule_##name,
#include "step/schedules.def"
#undef SP_SCHEDULE
};

static_assert(sizeof schedules / sizeof schedules[0] == SP_N_SCHEDULES, "one line each");

const sp_schedule_kind *sp_schedule_describe(sp_schedule schedule)
{
    assert(schedule < SP_N_SCHEDULES);
    return schedules[schedule];
}

const char *sp_stage_pass_kind_name(sp_stage_pass_kind kind)
{
    static const char *const names[SP_N_PASS_KINDS] = {"forward", "backward", "input_grad",
                                                       "weight_grad"};
    assert(kind < SP_N_PASS_KINDS);
    return names[kind];
}

uint32_t sp_schedule_directions(const sp_schedule_kind *kind)
{
    return kind->layout == SP_LAYOUT_MIRROR ? 2 : 1;
}

bool sp_plan_pairs(const sp_plan *plan)
{
    return plan->ep_overlap == SP_ON && schedules[plan->schedule]->pairs;
}

sp_pipeline_shape sp_plan_pipeline(const sp_plan *plan)
{
    const sp_schedule_kind *kind = sp_schedule_describe((sp_schedule)plan->schedule);
    return (sp_pipeline_shape){.p = plan->pp,
                               .v = plan->vpp,
                               .m = plan->accumulation / sp_schedule_directions(kind),
                               .pairs = sp_plan_pairs(plan)};
}

double sp_schedule_in_flight(const sp_schedule_kind *kind, const sp_pipeline_shape *shape,
                             uint32_t stage)
{
    sp_held moments[SP_MAX_HELD];
    double most = 0.0;
    for (uint32_t i = kind->held(shape, stage, moments); i-- > 0;) {
        const double all = moments[i].whole + moments[i].weight_grad;
        most = all > most ? all : most;
    }
    return most;
}

sp_pass_times sp_chain_others(const sp_chain *chain)
{
    const sp_pass_times *t = chain->pivot, *sum = chain->sum;
    if (chain->n == 1) {
        return *t;
    }
    const double share = 1.0 / (chain->n - 1.0);
    return (sp_pass_times){.forward_s = share * (sum->forward_s - t->forward_s),
                           .input_grad_s = share * (sum->input_grad_s - t->input_grad_s),
                           .weight_grad_s = share * (sum->weight_grad_s - t->weight_grad_s)};
}

void sp_pass_add(sp_pass_list *list, sp_stage_pass_kind kind, uint32_t chunk, uint32_t micro_batch)
{
    list->passes[list->n++] = (sp_stage_pass){
        .kind = (uint8_t)kind, .chunk = (uint16_t)chunk, .micro_batch = micro_batch};
}

/* The k-th pass of a direction: p micro-batches through one chunk, the same through the next, ...;
 * backward passes take the chunks in reverse. */
static void add_nth(const sp_pipeline_shape *shape, sp_stage_pass_kind kind, uint32_t k,
                    sp_pass_list *list)
{
    if (shape->v == 1) {
        sp_pass_add(list, kind, 0, k);
        return;
    }
    const uint32_t round = shape->p * shape->v, in_round = k % round;
    const uint32_t chunk = in_round / shape->p;
    sp_pass_add(list, kind, kind == SP_PASS_FORWARD ? chunk : shape->v - 1 - chunk,
                k / round * shape->p + in_round % shape->p);
}

void sp_pass_list_in_turn(const sp_pipeline_shape *shape, uint32_t warm, bool splits, uint32_t lag,
                          sp_pass_list *list)
{
    const uint32_t all = shape->m * shape->v;
    const sp_stage_pass_kind back = splits ? SP_PASS_INPUT_GRAD : SP_PASS_BACKWARD;
    uint32_t forward = 0, weights = 0;
    for (; forward < all && forward < warm; forward++) {
        add_nth(shape, SP_PASS_FORWARD, forward, list);
    }
    for (uint32_t backward = 0; backward < all; backward++) {
        if (forward < all) {
            add_nth(shape, SP_PASS_FORWARD, forward++, list);
            list->passes[list->n - 1].with_next = shape->pairs;
        }
        add_nth(shape, back, backward, list);
        if (splits && backward >= lag) add_nth(shape, SP_PASS_WEIGHT_GRAD, weights++, list);
    }
    for (; splits && weights < all; weights++) {
        add_nth(shape, SP_PASS_WEIGHT_GRAD, weights, list);
    }
}
