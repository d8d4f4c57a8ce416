/* SPDX-License-Identifier: Apache-2.0 */
/* What every view of a plan shares: which figures apply, its settings in short, where it runs. */
#include "report/report_priv.h"
#include "step/step.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* Figures that mean something only with the tokens of the run or a price. */
typedef struct condition {
    const char *json;
    bool needs_tokens, needs_price;
} condition;

static const condition conditions[] = {
    {"days",                   true,  false},
    {"gpu_hours",              true,  false},
    {"usd_run",                true,  true },
    {"usd_per_hour",           false, true },
    {"usd_per_million_tokens", false, true },
};

bool sp_field_applies(const sp_problem *problem, uint32_t field)
{
    const char *name = sp_field_describe(field)->json;
    for (size_t i = 0; i < sizeof conditions / sizeof conditions[0]; i++) {
        const condition *c = &conditions[i];
        if (strcmp(name, c->json) != 0) continue;
        return (!c->needs_tokens || problem->question.tokens > 0.0) &&
               (!c->needs_price || problem->usd_per_gpu_hour > 0.0);
    }
    return true;
}

bool sp_problem_has_experts(const sp_problem *problem)
{
    for (uint32_t k = 0; k < problem->model->n_kinds; k++) {
        if (problem->model->kinds[k].ffn.n_experts > 0) return true;
    }
    return false;
}

uint32_t sp_plan_n_settings(const sp_plan *plan)
{
    uint32_t n = 0;
    for (sp_axis_id axis = SP_AXIS_gpus + 1; axis < SP_N_AXES; axis++) {
        n += sp_plan_get(plan, axis) != sp_axis_describe(axis)->fallback;
    }
    return n;
}

void sp_plan_short_layout(const sp_problem *problem, const sp_plan *plan, char *text,
                          size_t capacity)
{
    char gpus[24] = "", experts[16] = "";
    if (problem->n_gpus_values > 1) (void)snprintf(gpus, sizeof gpus, "%u GPUs ", plan->gpus);
    if (sp_problem_has_experts(problem)) (void)snprintf(experts, sizeof experts, " ep%u", plan->ep);
    (void)snprintf(text, capacity, "%stp%u pp%u%s dp%u", gpus, plan->tp, plan->pp, experts,
                   plan->dp);
}

void sp_plan_short_settings(const sp_plan *plan, char *text, size_t capacity)
{
    static const char *const recompute[SP_N_RECOMPUTE] = {"", " sel", " full"};
    char chunks[16] = "", pieces[16] = "";
    if (plan->schedule == SP_SCHEDULE_INTERLEAVED) {
        (void)snprintf(chunks, sizeof chunks, " v%u", plan->vpp);
    }
    if (plan->etp > 1) (void)snprintf(pieces, sizeof pieces, " etp%u", plan->etp);
    (void)snprintf(text, capacity, "mb%u%s%s z%u%s%s%s%s%s%s%s", plan->micro_batch, chunks, pieces,
                   plan->zero, recompute[plan->recompute], plan->sp ? " sp" : "",
                   plan->tp_overlap ? " ot" : "", plan->dp_overlap ? " od" : "",
                   plan->stage_layers == SP_STAGE_LAYERS_WEIGHTED ? " w" : "",
                   plan->placement == SP_PLACEMENT_DP_LAST ? " dl" : "",
                   plan->precision == SP_PRECISION_FP16 ? " fp16" : "");
}

void sp_plan_runs_on(const sp_space *space, const sp_plan *plan, const char *at,
                     struct sp_text *out)
{
    const sp_engine *engines[SP_MAX_ENGINES];
    const uint32_t n = sp_space_runs_on(space, plan, engines, SP_MAX_ENGINES);
    for (uint32_t i = 0; i < n; i++) {
        sp_text_printf(out, "%s%s%s%s", i > 0 ? ", " : "", engines[i]->name, at,
                       engines[i]->versions);
    }
}

static bool can_be_built(const sp_space *space, uint32_t rule)
{
    if (rule == UINT32_MAX) return true;
    const sp_rule_class class = sp_space_rule(space, rule)->class;
    return class != SP_RULE_CANONICAL && class != SP_RULE_STRUCTURE;
}

void sp_price_plan(const sp_space *space, const sp_plan *plan, sp_priced *out)
{
    *out = (sp_priced){.plan = *plan};
    const sp_problem *problem = sp_space_problem(space);
    sp_plan_derive(&out->plan, problem->question.global_batch);
    out->has_id = sp_space_rank(space, &out->plan, &out->id);
    out->rule = sp_space_refusal(space, &out->plan);
    out->priced = can_be_built(space, out->rule);
    if (out->priced) sp_estimate_plan(problem, &out->plan, &out->estimate);
}

/* A point of the answer was admitted by every rule. */
sp_priced sp_price_point(const sp_space *space, const sp_point *point)
{
    sp_priced priced = {.has_id = true, .id = point->id, .rule = UINT32_MAX, .priced = true};
    priced.plan = sp_space_unrank(space, point->id);
    sp_estimate_plan(sp_space_problem(space), &priced.plan, &priced.estimate);
    return priced;
}
