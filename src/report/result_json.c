/* SPDX-License-Identifier: Apache-2.0 */
/* The answer of a search in JSON. Everything but the object "search" (without space and exact) is
 * the same bytes for any number of threads and ranks. */
#include "report/report_priv.h"
#include "step/step.h"

#include <inttypes.h>
#include <stdio.h>

/* Admitted plans settled in a second: priced, refused by a rule, or skipped under a proven bound.
 */
double sp_search_plans_per_s(const sp_search_result *result)
{
    const double settled = (double)result->counts.admitted;
    return result->seconds > 0.0 ? settled / result->seconds : 0.0;
}

static void put_pruned(sp_json_writer *w, const sp_rules *rules, const sp_search_counts *counts)
{
    sp_jw_open_object(w, "pruned");
    for (uint32_t rule = 0; rule < rules->n; rule++) {
        if (counts->pruned[rule] > 0) {
            sp_jw_u64(w, rules->get(rules->space, rule)->name, counts->pruned[rule]);
        }
    }
    sp_jw_close_object(w);
}

void sp_json_put_search(sp_json_writer *w, const sp_rules *rules, const sp_search_result *result)
{
    const sp_search_counts *counts = &result->counts;
    sp_jw_open_object(w, "search");
    sp_jw_u64(w, "space", counts->space);
    sp_jw_u64(w, "admitted", counts->admitted);
    sp_jw_u64(w, "evaluated", counts->evaluated);
    sp_jw_u64(w, "feasible", counts->feasible);
    put_pruned(w, rules, counts);
    sp_jw_u64(w, "uncovered", counts->uncovered);
    sp_jw_bool(w, "exact", result->exact);
    sp_jw_double(w, "covered", result->covered_ratio);
    sp_jw_double(w, "seconds", result->seconds);
    sp_jw_double(w, "plans_per_s", sp_search_plans_per_s(result));
    sp_jw_double(w, "evaluations_per_s",
                 result->seconds > 0.0 ? (double)counts->evaluated / result->seconds : 0.0);
    sp_jw_u64(w, "threads", result->threads);
    sp_jw_u64(w, "ranks", result->ranks);
    sp_jw_u64(w, "ranks_lost", result->ranks_lost);
    sp_jw_close_object(w);
}

/* The plans of one answer: all are written beside the same baseline and published runs. */
typedef struct writing {
    sp_json_writer w;
    const sp_space *space;
    const sp_report_options *options;
} writing;

static void put_members(writing *to, const sp_point *point)
{
    const sp_priced priced = sp_price_point(to->space, point);
    sp_json_put_plan(&to->w, to->space, &priced);
    sp_json_put_against(&to->w, sp_space_problem(to->space), to->options->baseline, &priced);
    sp_json_put_evidence(&to->w, to->options, to->space, &priced.plan);
}

static void put_point(writing *to, const sp_point *point)
{
    sp_jw_open_object(&to->w, NULL);
    put_members(to, point);
    sp_jw_close_object(&to->w);
}

/* The front is kept by id and shown by its first objective. */
static void put_front(writing *to, const sp_front *front)
{
    sp_point *points = sp_points_of_front(front);
    if (points == NULL) {
        to->w.out->failed = true;
        return;
    }
    sp_jw_open_array(&to->w, "front");
    for (uint32_t i = 0; i < front->n_points; i++) {
        put_point(to, &points[i]);
    }
    sp_jw_close_array(&to->w);
    sp_free(points);
}

static void put_layouts(writing *to, const sp_search_result *result)
{
    sp_jw_open_array(&to->w, "layouts");
    for (uint32_t i = 0; i < result->n_layouts; i++) {
        sp_jw_open_object(&to->w, NULL);
        sp_jw_u64(&to->w, "variants", result->layouts[i].n_variants);
        put_members(to, &result->layouts[i].best);
        sp_jw_close_object(&to->w);
    }
    sp_jw_close_array(&to->w);
}

static void put_cell(sp_json_writer *w, const sp_rules *rules, const sp_cell *cell)
{
    sp_jw_open_object_compact(w, NULL);
    sp_jw_u64(w, "tp", cell->tp);
    sp_jw_u64(w, "pp", cell->pp);
    if (cell->feasible) {
        char id[24];
        (void)snprintf(id, sizeof id, "%" PRIu64, cell->best.id);
        sp_jw_string(w, "best_id", id);
    } else {
        sp_jw_string(w, "rule", rules->get(rules->space, cell->rule)->name);
        sp_jw_u64(w, "amount", cell->refused);
    }
    sp_jw_close_object(w);
}

/* Cells in which nothing can be built are left out: on large clusters they are nearly all. */
void sp_json_put_grid(sp_json_writer *w, const sp_rules *rules, const sp_search_result *result)
{
    sp_jw_open_array(w, "grid");
    for (uint32_t i = 0; i < result->n_cells; i++) {
        const sp_cell *cell = &result->cells[i];
        if (cell->feasible || cell->rule != UINT32_MAX) put_cell(w, rules, cell);
    }
    sp_jw_close_array(w);
}

static void put_ranked(writing *to, const sp_best *best)
{
    sp_jw_open_array(&to->w, "ranked");
    for (uint32_t i = 0; i < best->n_points; i++) {
        put_point(to, &best->points[i]);
    }
    sp_jw_close_array(&to->w);
}

static const sp_rule_info *rule_of(const void *space, uint32_t rule)
{
    return sp_space_rule(space, rule);
}

void sp_report_train_json(const sp_space *space, const sp_search_result *result,
                          const sp_report_options *options, struct sp_text *out)
{
    const sp_problem *problem = sp_space_problem(space);
    const sp_rules rules = {sp_space_rule_count(space), rule_of, space};
    writing to = {.space = space, .options = options};
    sp_json_writer *w = &to.w;
    sp_jw_init(w, out);
    sp_jw_open_object(w, NULL);
    sp_jw_string(w, "schema", "shardplan/result/1");
    sp_json_put_version(w);
    sp_json_put_question(w, "question", problem, options->baseline);
    sp_json_put_model(w, problem);
    sp_json_put_recommendation(w, options);
    sp_json_put_search(w, &rules, result);
    put_front(&to, &result->front);
    put_ranked(&to, &result->ranked);
    put_layouts(&to, result);
    sp_json_put_grid(w, &rules, result);
    sp_jw_close_object(w);
    sp_text_add(out, "\n");
}
