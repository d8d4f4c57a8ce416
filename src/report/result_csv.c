/* SPDX-License-Identifier: Apache-2.0 */
/* Plans as CSV, one row a plan: names as in JSON, groups joined by dots (RFC 4180, lines end in
 * LF). */
#include "report/report_priv.h"
#include "step/step.h"

#include <inttypes.h>

void sp_csv_add_text(struct sp_text *out, const char *text)
{
    sp_text_add(out, ",\"");
    for (; *text != '\0'; text++) {
        sp_text_add_n(out, text, 1);
        if (*text == '"') sp_text_add(out, "\"");
    }
    sp_text_add(out, "\"");
}

void sp_csv_add_number(struct sp_text *out, double x)
{
    char number[32];
    sp_format_double(x, number);
    sp_text_printf(out, ",%s", number);
}

static void add_header(const sp_space *space, const char *first, const sp_baseline *baseline,
                       struct sp_text *out)
{
    const sp_problem *problem = sp_space_problem(space);
    sp_text_printf(out, "%sid,text", first);
    for (sp_axis_id axis = 0; axis < SP_N_AXES; axis++) {
        sp_text_printf(out, ",%s", sp_axis_describe(axis)->name);
    }
    sp_text_add(out, ",dp,accumulation,runs_on,verdict,rule,gpus_idle,worst_stage");
    for (uint32_t i = 0; i < problem->n_objectives; i++) {
        sp_text_printf(out, ",objectives.%s", sp_problem_objective(problem, i)->name);
    }
    for (uint32_t field = 0; field < sp_field_count(); field++) {
        if (sp_field_applies(problem, field)) {
            sp_text_printf(out, ",%s", sp_field_describe(field)->json);
        }
    }
    sp_csv_against_header(baseline, out);
    sp_text_add(out, "\n");
}

static void add_axes(struct sp_text *out, const sp_plan *plan)
{
    for (sp_axis_id axis = 0; axis < SP_N_AXES; axis++) {
        char value[24];
        sp_axis_format_value(axis, sp_plan_get(plan, axis), value);
        sp_text_printf(out, ",%s", value);
    }
    sp_text_printf(out, ",%u,%u", plan->dp, plan->accumulation);
}

static void add_figures(struct sp_text *out, const sp_problem *problem, const sp_priced *priced)
{
    for (uint32_t i = 0; i < problem->n_objectives; i++) {
        if (priced->priced) {
            sp_csv_add_number(out, priced->estimate.objective[i]);
        } else {
            sp_text_add(out, ",");
        }
    }
    for (uint32_t field = 0; field < sp_field_count(); field++) {
        if (!sp_field_applies(problem, field)) continue;
        if (priced->priced) {
            sp_csv_add_number(out, sp_field_get(&priced->estimate, field));
        } else {
            sp_text_add(out, ",");
        }
    }
}

static void add_plan(const sp_space *space, const sp_priced *priced, const sp_baseline *baseline,
                     struct sp_text *out)
{
    char text[SP_PLAN_TEXT_BYTES];
    (void)sp_plan_format(&priced->plan, text, sizeof text);
    if (priced->has_id) sp_text_printf(out, "%" PRIu64, priced->id);
    sp_csv_add_text(out, text);
    add_axes(out, &priced->plan);
    struct sp_text runs_on = {0};
    if (priced->priced) sp_plan_runs_on(space, &priced->plan, "@", &runs_on);
    sp_csv_add_text(out, runs_on.length > 0 ? runs_on.data : "");
    out->failed = out->failed || runs_on.failed;
    sp_text_fini(&runs_on);
    const bool refused = priced->rule != UINT32_MAX;
    sp_text_printf(out, ",%s",
                   priced->priced ? sp_verdict_name(priced->estimate.verdict) : "refused");
    sp_csv_add_text(out, refused ? sp_space_rule(space, priced->rule)->name : "");
    if (priced->priced) {
        sp_text_printf(out, ",%u,%u", priced->estimate.gpus_idle,
                       priced->estimate.memory.worst_stage);
    } else {
        sp_text_add(out, ",,");
    }
    add_figures(out, sp_space_problem(space), priced);
    sp_csv_against(sp_space_problem(space), baseline, priced, out);
    sp_text_add(out, "\n");
}

/* ---- the plans of an answer, each once ---- */

static bool holds(const sp_point *points, uint32_t n, uint64_t id)
{
    for (uint32_t i = 0; i < n; i++) {
        if (points[i].id == id) return true;
    }
    return false;
}

static uint32_t gather(const sp_search_result *result, sp_point *points)
{
    uint32_t n = 0, kept = 0;
    for (uint32_t i = 0; i < result->front.n_points; i++) {
        points[n++] = result->front.points[i];
    }
    for (uint32_t i = 0; i < result->ranked.n_points; i++) {
        points[n++] = result->ranked.points[i];
    }
    for (uint32_t i = 0; i < result->n_layouts; i++) {
        points[n++] = result->layouts[i].best;
    }
    sp_points_sort(points, n);
    for (uint32_t i = 0; i < n; i++) {
        if (kept == 0 || points[kept - 1].id != points[i].id) points[kept++] = points[i];
    }
    return kept;
}

void sp_report_train_csv(const sp_space *space, const sp_search_result *result,
                         const sp_baseline *baseline, struct sp_text *out)
{
    const sp_front *front = &result->front;
    const sp_best *ranked = &result->ranked;
    const size_t most = (size_t)front->n_points + ranked->n_points + result->n_layouts + 1;
    sp_point *points = sp_alloc(most * sizeof *points);
    if (points == NULL) {
        out->failed = true;
        return;
    }
    const uint32_t n = gather(result, points);
    add_header(space, "on_front,ranked,", baseline, out);
    for (uint32_t i = 0; i < n; i++) {
        const sp_priced priced = sp_price_point(space, &points[i]);
        sp_text_printf(out, "%d,%d,", holds(front->points, front->n_points, points[i].id),
                       holds(ranked->points, ranked->n_points, points[i].id));
        add_plan(space, &priced, baseline, out);
    }
    sp_free(points);
}

void sp_report_estimates_csv(const sp_space *space, const sp_priced *priced, size_t n,
                             const sp_baseline *baseline, struct sp_text *out)
{
    add_header(space, "", baseline, out);
    for (size_t i = 0; i < n; i++) {
        add_plan(space, &priced[i], baseline, out);
    }
}
