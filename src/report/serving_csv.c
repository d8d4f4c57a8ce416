/* SPDX-License-Identifier: Apache-2.0 */
/* Serving plans as CSV, one row a plan: names as in JSON, groups joined by dots (RFC 4180, lines
 * end in LF). */
#include "report/serving_page.h"

#include <inttypes.h>

static void add_header(const sp_serving_problem *problem, const char *first, struct sp_text *out)
{
    sp_text_printf(out, "%sid,text", first);
    for (sp_serving_axis_id axis = 0; axis < SP_N_SERVING_AXES; axis++) {
        sp_text_printf(out, ",%s", sp_serving_axis_describe(axis)->name);
    }
    sp_text_add(out, ",replicas,decode.workers,verdict,rule,gpus_idle");
    for (uint32_t i = 0; i < sp_serving_problem_n_objectives(problem); i++) {
        sp_text_printf(out, ",objectives.%s", sp_serving_problem_objective(problem, i)->name);
    }
    for (uint32_t field = 0; field < sp_serving_field_count(); field++) {
        if (sp_serving_field_applies(problem, field)) {
            sp_text_printf(out, ",%s", sp_serving_field_describe(field)->json);
        }
    }
    sp_text_add(out, ",slo_attainment_ratio\n");
}

static void add_axes(const sp_serving_problem *problem, const sp_serving_plan *plan,
                     struct sp_text *out)
{
    const bool apart = sp_served_mode(plan) == SP_SERVING_DISAGG;
    for (sp_serving_axis_id axis = 0; axis < SP_N_SERVING_AXES; axis++) {
        char value[32];
        sp_serving_format_value(problem, axis, plan->value[axis], value);
        sp_text_printf(out, ",%s", value);
    }
    if (apart) {
        sp_text_printf(out, ",,%u", plan->workers);
    } else {
        sp_text_printf(out, ",%u,", plan->workers);
    }
}

/* Plans that cannot be built have empty figures. */
static void add_number(const sp_served_plan *served, double x, struct sp_text *out)
{
    if (served->priced) {
        sp_csv_add_number(out, x);
    } else {
        sp_text_add(out, ",");
    }
}

static void add_plan(const sp_serving_space *space, const sp_served_plan *served,
                     struct sp_text *out)
{
    const sp_serving_problem *problem = sp_serving_space_problem(space);
    const sp_serving_estimate *e = &served->estimate;
    const bool refused = served->rule != UINT32_MAX;
    char text[SP_SERVING_TEXT_BYTES];
    (void)sp_serving_plan_format(problem, &served->plan, text, sizeof text);
    if (served->has_id) sp_text_printf(out, "%" PRIu64, served->id);
    sp_csv_add_text(out, text);
    add_axes(problem, &served->plan, out);
    sp_text_printf(out, ",%s", served->priced ? sp_serving_verdict_name(e->verdict) : "refused");
    sp_csv_add_text(out, refused ? sp_serving_space_rule(space, served->rule)->name : "");
    add_number(served, e->gpus_idle, out);
    for (uint32_t i = 0; i < sp_serving_problem_n_objectives(problem); i++) {
        add_number(served, e->objective[i], out);
    }
    for (uint32_t field = 0; field < sp_serving_field_count(); field++) {
        if (!sp_serving_field_applies(problem, field)) continue;
        add_number(served, sp_serving_field_get(e, field), out);
    }
    if (served->simulated) {
        sp_csv_add_number(out, served->run.slo_attainment_ratio);
    } else {
        sp_text_add(out, ",");
    }
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

static void add_point(const sp_serving_answer *answer, const sp_point *point, struct sp_text *out)
{
    const sp_search_result *result = answer->result;
    sp_served_plan served = sp_serving_price_point(answer->space, point);
    for (uint32_t i = 0; i < answer->n_rows; i++) {
        if (answer->rows[i].served.id == point->id) served = answer->rows[i].served;
    }
    sp_text_printf(out, "%d,%d,", holds(result->front.points, result->front.n_points, point->id),
                   holds(result->ranked.points, result->ranked.n_points, point->id));
    add_plan(answer->space, &served, out);
}

void sp_report_serve_csv(const sp_serving_answer *answer, struct sp_text *out)
{
    const sp_search_result *result = answer->result;
    const size_t most =
        (size_t)result->front.n_points + result->ranked.n_points + result->n_layouts + 1;
    sp_point *points = sp_alloc(most * sizeof *points);
    if (points == NULL) {
        out->failed = true;
        return;
    }
    const uint32_t n = gather(result, points);
    add_header(sp_serving_space_problem(answer->space), "on_front,ranked,", out);
    for (uint32_t i = 0; i < n; i++) {
        add_point(answer, &points[i], out);
    }
    sp_free(points);
}

void sp_report_served_list_csv(const sp_serving_space *space, const sp_served_plan *served,
                               size_t n, struct sp_text *out)
{
    add_header(sp_serving_space_problem(space), "", out);
    for (size_t i = 0; i < n; i++) {
        add_plan(space, &served[i], out);
    }
}
