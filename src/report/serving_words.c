/* SPDX-License-Identifier: Apache-2.0 */
/* Plans and limits of serving in a few words, and what all views of them ask. */
#include "report/serving_page.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

sp_word sp_word_brief(double x)
{
    sp_word word = {0};
    const double size = fabs(x);
    if (!(size > 0.0) || !isfinite(x)) {
        (void)snprintf(word.text, sizeof word.text, "%s", size > 0.0 ? "-" : "0");
        return word;
    }
    if (size >= 1000.0) return sp_word_number(x);
    const int magnitude = (int)floor(log10(size * (1.0 + 5e-4)));
    const int decimals = magnitude >= 2 ? 0 : 2 - magnitude;
    (void)snprintf(word.text, sizeof word.text, "%.*f", decimals > 6 ? 6 : decimals, x);
    return word;
}

sp_word sp_word_latency(double seconds)
{
    sp_word word = {0};
    const bool small = seconds < 1.0;
    (void)snprintf(word.text, sizeof word.text, "%.30s %s",
                   sp_word_brief(small ? 1e3 * seconds : seconds).text, small ? "ms" : "s");
    return word;
}

void sp_serving_sentence(struct sp_text *words, const sp_report_options *options,
                         struct sp_text *out)
{
    if (words->length > 0) sp_text_wrap(out, words->data, options->width, 2);
    out->failed = out->failed || words->failed;
    sp_text_fini(words);
}

__attribute__((format(printf, 3, 4))) static void append(char *text, size_t capacity,
                                                         const char *format, ...)
{
    const size_t length = strlen(text);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text + length, capacity - length, format, args);
    va_end(args);
}

sp_serving_mode sp_served_mode(const sp_serving_plan *plan)
{
    return (sp_serving_mode)plan->value[SP_SERVING_AXIS_mode];
}

typedef struct worker_axes {
    sp_serving_axis_id tp, attn_dp, ep, moe_tp, pp;
} worker_axes;

static const worker_axes axes_of[SP_N_ROLES] = {
    [SP_ROLE_PREFILL] = {SP_SERVING_AXIS_prefill_tp, SP_SERVING_AXIS_prefill_attn_dp,
                         SP_SERVING_AXIS_prefill_ep,                                                      SP_SERVING_AXIS_prefill_moe_tp,
                         SP_SERVING_AXIS_prefill_pp                                                                                                         },
    [SP_ROLE_DECODE] = {SP_SERVING_AXIS_tp,         SP_SERVING_AXIS_attn_dp,         SP_SERVING_AXIS_ep,
                         SP_SERVING_AXIS_moe_tp,                                                                                          SP_SERVING_AXIS_pp},
};

/* "2 x tp4 dp2 ep8"; what is 1 is not said, and moe_tp only where ep is said. */
static void add_workers(const sp_serving_plan *plan, sp_serving_role role, uint32_t workers,
                        char *text, size_t capacity)
{
    const worker_axes *a = &axes_of[role];
    const uint32_t ep = plan->value[a->ep], pieces = plan->value[a->moe_tp];
    append(text, capacity, "%u x tp%u", workers, plan->value[a->tp]);
    if (plan->value[a->attn_dp] > 1) append(text, capacity, " dp%u", plan->value[a->attn_dp]);
    if (ep > 1) append(text, capacity, " ep%u", ep);
    if (ep > 1 && pieces > 1) append(text, capacity, " mt%u", pieces);
    if (plan->value[a->pp] > 1) append(text, capacity, " pp%u", plan->value[a->pp]);
}

void sp_served_layout(const sp_serving_plan *plan, char *text, size_t capacity)
{
    text[0] = '\0';
    if (sp_served_mode(plan) == SP_SERVING_DISAGG) {
        add_workers(plan, SP_ROLE_PREFILL, plan->value[SP_SERVING_AXIS_prefill_workers], text,
                    capacity);
        append(text, capacity, " + ");
    }
    add_workers(plan, SP_ROLE_DECODE, plan->workers, text, capacity);
    if (plan->value[SP_SERVING_AXIS_cp_prefill] > 1) {
        append(text, capacity, " cp%u", plan->value[SP_SERVING_AXIS_cp_prefill]);
    }
}

void sp_limit_words(const sp_limit *limit, char *text, size_t capacity)
{
    (void)snprintf(text, capacity, "%s %s <= %s", sp_latency_name(limit->latency),
                   sp_percentile_name(limit->percentile), sp_word_latency(limit->most_s).text);
}

bool sp_serving_varies(const sp_serving_space *space, sp_serving_axis_id axis)
{
    const uint32_t *values = NULL;
    return sp_serving_space_values(space, axis, &values) > 1;
}

void sp_served_settings(const sp_serving_space *space, const sp_serving_plan *plan, char *text,
                        size_t capacity)
{
    static const struct {
        sp_serving_axis_id axis;
        const char *before;
    } said[] = {
        {SP_SERVING_AXIS_weight_dtype, ""     },
        {SP_SERVING_AXIS_kv_dtype,     "kv "  },
        {SP_SERVING_AXIS_spec,         "spec "},
    };
    text[0] = '\0';
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
        char value[32];
        if (!sp_serving_varies(space, said[i].axis)) continue;
        sp_serving_format_value(sp_serving_space_problem(space), said[i].axis,
                                plan->value[said[i].axis], value);
        append(text, capacity, "%s%s%s", text[0] != '\0' ? ", " : "", said[i].before, value);
    }
}

double sp_serving_usd_per_gpu_hour(const sp_serving_problem *problem, sp_serving_role role)
{
    const double stated = sp_serving_problem_question(problem)->usd_per_gpu_hour;
    return stated > 0.0 ? stated : sp_serving_problem_cluster(problem, role)->gpu->usd_per_hour;
}

bool sp_serving_field_applies(const sp_serving_problem *problem, uint32_t field)
{
    const bool priced = sp_serving_usd_per_gpu_hour(problem, SP_ROLE_DECODE) > 0.0;
    return priced || strncmp(sp_serving_field_describe(field)->json, "usd_", 4) != 0;
}

static bool can_be_built(const sp_serving_space *space, uint32_t rule)
{
    if (rule == UINT32_MAX) return true;
    const sp_rule_class class = sp_serving_space_rule(space, rule)->class;
    return class != SP_RULE_CANONICAL && class != SP_RULE_STRUCTURE;
}

void sp_serving_price(const sp_serving_space *space, const sp_serving_plan *plan,
                      sp_served_plan *out)
{
    const sp_serving_problem *problem = sp_serving_space_problem(space);
    *out = (sp_served_plan){.plan = *plan};
    sp_serving_plan_derive(problem, &out->plan);
    out->has_id = sp_serving_space_rank(space, &out->plan, &out->id);
    out->rule = sp_serving_space_refusal(space, &out->plan);
    out->priced = can_be_built(space, out->rule);
    if (out->priced) sp_serving_estimate_plan(problem, &out->plan, &out->estimate);
}

sp_served_plan sp_serving_price_point(const sp_serving_space *space, const sp_point *point)
{
    sp_served_plan served = {.has_id = true, .id = point->id, .rule = UINT32_MAX, .priced = true};
    served.plan = sp_serving_space_unrank(space, point->id);
    sp_serving_estimate_plan(sp_serving_space_problem(space), &served.plan, &served.estimate);
    return served;
}

/* Any: runs are compared with each other, so all begin alike. */
#define SEED 1u

void sp_serving_price_run(const sp_serving_space *space, sp_served_plan *served)
{
    sp_error ignored = {0};
    if (!served->priced || served->simulated) return;
    served->simulated = sp_serving_simulate(sp_serving_space_problem(space), &served->plan, SEED,
                                            &served->run, &ignored) == SP_OK;
}
