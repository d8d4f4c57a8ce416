/* SPDX-License-Identifier: Apache-2.0 */
/* A serving plan in JSON: its axes, what follows from them, every figure of its closed forms, and
 * of its run request by request where it was made. */
#include "report/serving_page.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void put_axes(sp_json_writer *w, const sp_serving_problem *problem,
                     const sp_serving_plan *plan)
{
    sp_jw_open_object_compact(w, "axes");
    for (sp_serving_axis_id axis = 0; axis < SP_N_SERVING_AXES; axis++) {
        const sp_serving_axis_info *info = sp_serving_axis_describe(axis);
        char word[32];
        sp_serving_format_value(problem, axis, plan->value[axis], word);
        if (info->named) {
            sp_jw_string(w, info->name, word);
        } else {
            sp_jw_u64(w, info->name, plan->value[axis]);
        }
    }
    sp_jw_close_object(w);
}

static void put_runs_on(sp_json_writer *w, const sp_serving_problem *problem,
                        const sp_served_plan *served)
{
    char engine[32];
    const sp_serving_axis_id axis = SP_SERVING_AXIS_engine;
    sp_serving_format_value(problem, axis, served->plan.value[axis], engine);
    sp_jw_open_array_compact(w, "runs_on");
    if (served->priced) sp_jw_string(w, NULL, engine);
    sp_jw_close_array(w);
}

static void put_objectives(sp_json_writer *w, const sp_serving_problem *problem,
                           const sp_serving_estimate *e)
{
    sp_jw_open_object_compact(w, "objectives");
    for (uint32_t i = 0; i < sp_serving_problem_n_objectives(problem); i++) {
        sp_jw_double(w, sp_serving_problem_objective(problem, i)->name, e->objective[i]);
    }
    sp_jw_close_object(w);
}

/* Fields "group.name" of one group follow each other in the list and become one object. */
static void put_figures(sp_json_writer *w, const sp_serving_problem *problem,
                        const sp_serving_estimate *e)
{
    char group[32] = "";
    for (uint32_t field = 0; field < sp_serving_field_count(); field++) {
        if (!sp_serving_field_applies(problem, field)) continue;
        const char *name = sp_serving_field_describe(field)->json;
        const char *dot = strchr(name, '.');
        const size_t length = dot != NULL ? (size_t)(dot - name) : 0;
        if (strlen(group) != length || strncmp(group, name, length) != 0) {
            if (group[0] != '\0') sp_jw_close_object(w);
            (void)snprintf(group, sizeof group, "%.*s", (int)length, name);
            if (length > 0) sp_jw_open_object(w, group);
        }
        sp_jw_double(w, dot != NULL ? dot + 1 : name, sp_serving_field_get(e, field));
    }
    if (group[0] != '\0') sp_jw_close_object(w);
    sp_jw_bool(w, "cache_limited", e->cache_limited);
    sp_jw_bool(w, "borrowed", e->borrowed);
}

static void put_tail(sp_json_writer *w, const char *key, const sp_tail *tail)
{
    sp_jw_open_object_compact(w, key);
    sp_jw_double(w, "mean", tail->mean);
    sp_jw_double(w, "p50", tail->p50);
    sp_jw_double(w, "p90", tail->p90);
    sp_jw_double(w, "p95", tail->p95);
    sp_jw_double(w, "p99", tail->p99);
    sp_jw_close_object(w);
}

static void put_run(sp_json_writer *w, const sp_serving_run *run)
{
    const sp_simulated *s = &run->simulated;
    sp_jw_double(w, "slo_attainment_ratio", run->slo_attainment_ratio);
    sp_jw_open_object(w, "simulated");
    put_tail(w, "ttft_s", &s->ttft_s);
    put_tail(w, "tpot_s", &s->tpot_s);
    put_tail(w, "itl_s", &s->itl_s);
    put_tail(w, "e2e_s", &s->e2e_s);
    sp_jw_double(w, "tokens_per_s", s->tokens_per_s);
    sp_jw_double(w, "tokens_per_s_per_gpu", s->tokens_per_s_per_gpu);
    sp_jw_double(w, "requests_per_s", s->requests_per_s);
    sp_jw_u64(w, "requests", s->requests);
    sp_jw_u64(w, "steps", s->steps);
    sp_jw_close_object(w);
}

static const char *verdict_of(const sp_served_plan *served)
{
    const bool infeasible = served->priced && served->estimate.verdict >= SP_SERVING_OVER_MEMORY;
    if (served->rule != UINT32_MAX && !infeasible) return "refused";
    return sp_serving_verdict_name(served->estimate.verdict);
}

static void put_refusal(sp_json_writer *w, const sp_serving_space *space,
                        const sp_served_plan *served)
{
    const sp_serving_problem *problem = sp_serving_space_problem(space);
    if (served->rule == UINT32_MAX) return;
    const sp_rule_info *rule = sp_serving_space_rule(space, served->rule);
    sp_jw_string(w, "rule", rule->name);
    sp_jw_string(w, "reason", rule->meaning);
    if (!served->priced || served->estimate.limit >= sp_serving_problem_n_limits(problem)) return;
    char words[64];
    sp_limit_words(sp_serving_problem_limit(problem, served->estimate.limit), words, sizeof words);
    sp_jw_string(w, "limit", words);
}

void sp_json_put_served(sp_json_writer *w, const sp_serving_space *space,
                        const sp_served_plan *served)
{
    const sp_serving_problem *problem = sp_serving_space_problem(space);
    const bool apart = sp_served_mode(&served->plan) == SP_SERVING_DISAGG;
    char text[SP_SERVING_TEXT_BYTES];
    (void)sp_serving_plan_format(problem, &served->plan, text, sizeof text);
    if (served->has_id) {
        char id[24];
        (void)snprintf(id, sizeof id, "%" PRIu64, served->id);
        sp_jw_string(w, "id", id);
    }
    sp_jw_string(w, "text", text);
    sp_jw_u64(w, "gpus", served->plan.value[SP_SERVING_AXIS_gpus]);
    if (served->priced) sp_jw_u64(w, "gpus_idle", served->estimate.gpus_idle);
    put_axes(w, problem, &served->plan);
    sp_jw_u64(w, apart ? "decode.workers" : "replicas", served->plan.workers);
    put_runs_on(w, problem, served);
    sp_jw_string(w, "verdict", verdict_of(served));
    put_refusal(w, space, served);
    if (!served->priced) return;
    sp_jw_string(w, "tier", served->simulated ? "simulated" : "closed_form");
    put_objectives(w, problem, &served->estimate);
    put_figures(w, problem, &served->estimate);
    if (served->simulated) put_run(w, &served->run);
}

/* ---- estimates ---- */

static void begin(sp_json_writer *w, const sp_serving_space *space, struct sp_text *out)
{
    sp_jw_init(w, out);
    sp_jw_open_object(w, NULL);
    sp_jw_string(w, "schema", "shardplan/estimate/1");
    sp_json_put_version(w);
    sp_json_put_serving_question(w, sp_serving_space_problem(space));
    sp_json_put_serving_model(w, sp_serving_space_problem(space));
}

void sp_report_served_json(const sp_serving_space *space, const sp_served_plan *served,
                           struct sp_text *out)
{
    sp_json_writer w;
    begin(&w, space, out);
    sp_json_put_served(&w, space, served);
    sp_jw_close_object(&w);
    sp_text_add(out, "\n");
}

void sp_report_served_list_json(const sp_serving_space *space, const sp_served_plan *served,
                                size_t n, struct sp_text *out)
{
    sp_json_writer w;
    begin(&w, space, out);
    sp_jw_open_array(&w, "plans");
    for (size_t i = 0; i < n; i++) {
        sp_jw_open_object(&w, NULL);
        sp_json_put_served(&w, space, &served[i]);
        sp_jw_close_object(&w);
    }
    sp_jw_close_array(&w);
    sp_jw_close_object(&w);
    sp_text_add(out, "\n");
}
