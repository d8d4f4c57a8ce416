/* SPDX-License-Identifier: Apache-2.0 */
/* What every view of a plan shares: which figures apply, its settings in short, where it runs. */
#include "report/report_priv.h"
#include "step/step.h"

#include <assert.h>
#include <stdarg.h>
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

uint32_t sp_plan_n_settings(const sp_plan *plan)
{
    uint32_t n = 0;
    for (sp_axis_id axis = SP_AXIS_gpus + 1; axis < SP_N_AXES; axis++) {
        n += sp_plan_get(plan, axis) != sp_axis_describe(axis)->fallback;
    }
    return n;
}

/* Adds words to a text of fixed size, cut off where it ends. */
__attribute__((format(printf, 3, 4))) static void append(char *text, size_t capacity,
                                                         const char *format, ...)
{
    const size_t length = strlen(text);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text + length, capacity - length, format, args);
    va_end(args);
}

void sp_plan_short_layout(const sp_problem *problem, const sp_plan *plan, char *text,
                          size_t capacity)
{
    text[0] = '\0';
    if (problem->n_gpus_values > 1) append(text, capacity, "%u GPUs ", plan->gpus);
    append(text, capacity, "tp%u", plan->tp);
    if (plan->cp > 1) append(text, capacity, " cp%u", plan->cp);
    append(text, capacity, " pp%u", plan->pp);
    if (problem->has_experts) append(text, capacity, " ep%u", plan->ep);
    append(text, capacity, " dp%u", plan->dp);
}

static void append_recompute(const sp_plan *plan, char *text, size_t capacity)
{
    static const char *const words[SP_N_RECOMPUTE] = {
        [SP_RECOMPUTE_NONE] = "",
        [SP_RECOMPUTE_SELECTIVE] = " sel",
        [SP_RECOMPUTE_LAYERNORM] = " ln",
        [SP_RECOMPUTE_ACT] = " act",
        [SP_RECOMPUTE_LAYERNORM_ACT] = " ln+act",
        [SP_RECOMPUTE_MLA_UP] = " mla",
        [SP_RECOMPUTE_MLA_UP_MLP] = " mla+mlp",
        [SP_RECOMPUTE_MLP] = " mlp",
        [SP_RECOMPUTE_OPS] = " ops",
        [SP_RECOMPUTE_FULL] = " full",
    };
    append(text, capacity, "%s", words[plan->recompute]);
    if (plan->recompute_layers > 0) append(text, capacity, "%u", plan->recompute_layers);
}

static void append_offload(const sp_plan *plan, char *text, size_t capacity)
{
    if (plan->offload_optimizer > 0) append(text, capacity, " xo%u", plan->offload_optimizer);
    if (plan->offload_params > 0) append(text, capacity, " xp%u", plan->offload_params);
    if (plan->offload_activations > 0) append(text, capacity, " xa%u", plan->offload_activations);
    if (plan->offload_target == SP_OFFLOAD_NVME) append(text, capacity, " nvme");
}

static void append_overlaps(const sp_plan *plan, char *text, size_t capacity)
{
    static const char *const kinds[SP_N_CP_KINDS] = {" ring", " ag", " uly", " hyb"};
    append(text, capacity, "%s%s%s%s%s", plan->cp > 1 ? kinds[plan->cp_kind] : "",
           plan->sp ? " sp" : "", plan->tp_overlap ? " ot" : "", plan->dp_overlap ? " od" : "",
           plan->ep_overlap ? " oe" : "");
}

void sp_plan_short_settings(const sp_plan *plan, char *text, size_t capacity)
{
    text[0] = '\0';
    append(text, capacity, "mb%u", plan->micro_batch);
    if (plan->schedule == SP_SCHEDULE_INTERLEAVED) append(text, capacity, " v%u", plan->vpp);
    if (plan->schedule != SP_SCHEDULE_INTERLEAVED && plan->schedule != SP_SCHEDULE_1F1B) {
        char name[24];
        sp_axis_format_value(SP_AXIS_schedule, plan->schedule, name);
        append(text, capacity, " %s", name);
    }
    if (plan->etp > 1) append(text, capacity, " etp%u", plan->etp);
    append(text, capacity, " z%u", plan->zero);
    if (plan->shard_group > 0) append(text, capacity, " sg%u", plan->shard_group);
    append_recompute(plan, text, capacity);
    append_offload(plan, text, capacity);
    append_overlaps(plan, text, capacity);
    append(text, capacity, "%s%s", plan->stage_layers == SP_STAGE_LAYERS_WEIGHTED ? " w" : "",
           plan->placement == SP_PLACEMENT_DP_LAST ? " dl" : "");
    if (plan->precision != SP_PRECISION_BF16) {
        append(text, capacity, " %s", sp_axis_describe(SP_AXIS_precision)->names[plan->precision]);
    }
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
