/* SPDX-License-Identifier: Apache-2.0 */
/* A plan in JSON: its axes, what follows from them, and every figure of its estimate. */
#include "report/report_priv.h"
#include "step/step.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void sp_json_put_setting(sp_json_writer *w, const char *key, sp_axis_id axis, uint32_t value)
{
    char word[24];
    sp_axis_format_value(axis, value, word);
    switch (sp_axis_describe(axis)->kind) {
    case SP_AXIS_KIND_COUNT_OR_ALL:
        if (value > 0) break;
        sp_jw_string(w, key, word);
        return;
    case SP_AXIS_KIND_NAME:
        sp_jw_string(w, key, word);
        return;
    case SP_AXIS_KIND_RATIO:
        sp_jw_double(w, key, value / 100.0);
        return;
    case SP_AXIS_KIND_COUNT:
        break;
    }
    sp_jw_u64(w, key, value);
}

static void put_axes(sp_json_writer *w, const sp_plan *plan)
{
    sp_jw_open_object_compact(w, "axes");
    for (sp_axis_id axis = 0; axis < SP_N_AXES; axis++) {
        sp_json_put_setting(w, sp_axis_describe(axis)->name, axis, sp_plan_get(plan, axis));
    }
    sp_jw_close_object(w);
}

/* A plan that cannot be built runs on nothing. */
static void put_runs_on(sp_json_writer *w, const sp_space *space, const sp_priced *priced)
{
    const sp_engine *engines[SP_MAX_ENGINES];
    const uint32_t n =
        priced->priced ? sp_space_runs_on(space, &priced->plan, engines, SP_MAX_ENGINES) : 0;
    sp_jw_open_array_compact(w, "runs_on");
    for (uint32_t i = 0; i < n; i++) {
        char name[128];
        (void)snprintf(name, sizeof name, "%s@%s", engines[i]->name, engines[i]->versions);
        sp_jw_string(w, NULL, name);
    }
    sp_jw_close_array(w);
}

static void put_objectives(sp_json_writer *w, const sp_problem *problem, const sp_estimate *e)
{
    sp_jw_open_object_compact(w, "objectives");
    for (uint32_t i = 0; i < problem->n_objectives; i++) {
        sp_jw_double(w, sp_problem_objective(problem, i)->name, e->objective[i]);
    }
    sp_jw_close_object(w);
}

/* Which stage and phase the figures are of. */
static void put_fullest(sp_json_writer *w, const sp_memory *memory)
{
    sp_jw_u64(w, "worst_stage", memory->worst_stage);
    sp_jw_string(w, "peak_phase", sp_memory_phase_name(memory->peak_phase));
}

/* Fields "group.name" of one group follow each other in the list and become one object. */
static void put_figures(sp_json_writer *w, const sp_problem *problem, const sp_estimate *e)
{
    char group[32] = "";
    for (uint32_t field = 0; field < sp_field_count(); field++) {
        if (!sp_field_applies(problem, field)) continue;
        const char *name = sp_field_describe(field)->json;
        const char *dot = strchr(name, '.');
        const size_t length = dot != NULL ? (size_t)(dot - name) : 0;
        if (strlen(group) != length || strncmp(group, name, length) != 0) {
            if (group[0] != '\0') sp_jw_close_object(w);
            if (strcmp(group, "memory_bytes") == 0) put_fullest(w, &e->memory);
            (void)snprintf(group, sizeof group, "%.*s", (int)length, name);
            if (length > 0) sp_jw_open_object(w, group);
        }
        sp_jw_double(w, dot != NULL ? dot + 1 : name, sp_field_get(e, field));
    }
    if (group[0] != '\0') sp_jw_close_object(w);
}

static const char *verdict_of(const sp_priced *priced)
{
    const bool infeasible = priced->priced && priced->estimate.verdict >= SP_OVER_MEMORY;
    if (priced->rule != UINT32_MAX && !infeasible) return "refused";
    return sp_verdict_name(priced->estimate.verdict);
}

void sp_json_put_plan(sp_json_writer *w, const sp_space *space, const sp_priced *priced)
{
    char text[SP_PLAN_TEXT_BYTES];
    (void)sp_plan_format(&priced->plan, text, sizeof text);
    if (priced->has_id) {
        char id[24];
        (void)snprintf(id, sizeof id, "%" PRIu64, priced->id);
        sp_jw_string(w, "id", id);
    }
    sp_jw_string(w, "text", text);
    sp_jw_u64(w, "gpus", priced->plan.gpus);
    if (priced->priced) sp_jw_u64(w, "gpus_idle", priced->estimate.gpus_idle);
    put_axes(w, &priced->plan);
    sp_jw_u64(w, "dp", priced->plan.dp);
    sp_jw_u64(w, "accumulation", priced->plan.accumulation);
    put_runs_on(w, space, priced);
    sp_jw_string(w, "verdict", verdict_of(priced));
    if (priced->rule != UINT32_MAX) {
        const sp_rule_info *rule = sp_space_rule(space, priced->rule);
        sp_jw_string(w, "rule", rule->name);
        sp_jw_string(w, "reason", rule->meaning);
    }
    if (!priced->priced) return;
    put_objectives(w, sp_space_problem(space), &priced->estimate);
    put_figures(w, sp_space_problem(space), &priced->estimate);
}

static void begin(sp_json_writer *w, const sp_space *space, const sp_baseline *baseline,
                  struct sp_text *out)
{
    sp_jw_init(w, out);
    sp_jw_open_object(w, NULL);
    sp_jw_string(w, "schema", "shardplan/estimate/1");
    sp_json_put_version(w);
    sp_json_put_question(w, "question", sp_space_problem(space), baseline);
    sp_json_put_model(w, sp_space_problem(space));
}

/* A plan that cannot be built has nothing to stand beside. */
static void put_plan(sp_json_writer *w, const sp_space *space, const sp_priced *priced,
                     const sp_report_options *options)
{
    sp_json_put_plan(w, space, priced);
    sp_json_put_against(w, sp_space_problem(space), options->baseline, priced);
    if (priced->priced) sp_json_put_evidence(w, options, space, &priced->plan);
}

void sp_report_estimate_json(const sp_space *space, const sp_priced *priced,
                             const sp_report_options *options, struct sp_text *out)
{
    sp_json_writer w;
    begin(&w, space, options->baseline, out);
    put_plan(&w, space, priced, options);
    sp_jw_close_object(&w);
    sp_text_add(out, "\n");
}

void sp_report_estimates_json(const sp_space *space, const sp_priced *priced, size_t n,
                              const sp_report_options *options, struct sp_text *out)
{
    sp_json_writer w;
    begin(&w, space, options->baseline, out);
    sp_jw_open_array(&w, "plans");
    for (size_t i = 0; i < n; i++) {
        sp_jw_open_object(&w, NULL);
        put_plan(&w, space, &priced[i], options);
        sp_jw_close_object(&w);
    }
    sp_jw_close_array(&w);
    sp_jw_close_object(&w);
    sp_text_add(out, "\n");
}
