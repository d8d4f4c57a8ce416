/* SPDX-License-Identifier: Apache-2.0 */
/* What makes one plan faster than another: the term of the step that gives most of the difference,
 * in words and in JSON with every other figure. */
#include "report/report_priv.h"
#include "step/step.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static bool is_term(const char *json)
{
    return strncmp(json, "time_s.", strlen("time_s.")) == 0 && strcmp(json, "time_s.step") != 0;
}

/* The part of a step by which `fast` is farthest below `slow`. */
static uint32_t largest_term(const sp_estimate *fast, const sp_estimate *slow, double *saved_s)
{
    uint32_t largest = UINT32_MAX;
    *saved_s = 0.0;
    for (uint32_t field = 0; field < sp_field_count(); field++) {
        const double less_s = sp_field_get(slow, field) - sp_field_get(fast, field);
        if (!is_term(sp_field_describe(field)->json) || less_s <= *saved_s) continue;
        largest = field;
        *saved_s = less_s;
    }
    return largest;
}

static void add_reason(const sp_estimate *fast, const sp_estimate *slow, const char *name,
                       struct sp_text *out)
{
    double saved_s = 0.0, lost_s = 0.0;
    const double lead_s = slow->time.step_s - fast->time.step_s;
    const uint32_t saved = largest_term(fast, slow, &saved_s);
    const uint32_t lost = largest_term(slow, fast, &lost_s);
    sp_text_printf(out, "%s is faster by %s s a step (%s)", name, sp_word_number(lead_s).text,
                   sp_word_percent(lead_s / slow->time.step_s).text);
    if (saved == UINT32_MAX) {
        sp_text_add(out, ".");
        return;
    }
    sp_text_printf(out, ", above all by %s s less of %s (%s)", sp_word_number(saved_s).text,
                   sp_field_describe(saved)->json + strlen("time_s."),
                   sp_field_describe(saved)->meaning);
    if (lost != UINT32_MAX) {
        sp_text_printf(out, "; most of what it gives back is %s s more of %s (%s)",
                       sp_word_number(lost_s).text,
                       sp_field_describe(lost)->json + strlen("time_s."),
                       sp_field_describe(lost)->meaning);
    }
    sp_text_add(out, ".");
}

void sp_compare_words(const sp_priced *a, const sp_priced *b, struct sp_text *out)
{
    const double a_s = a->estimate.time.step_s, b_s = b->estimate.time.step_s;
    if (!a->priced || !b->priced) {
        const char *name = a->priced ? "B" : b->priced ? "A" : "Neither plan";
        const char *can = a->priced || b->priced ? " cannot be built" : " can be built";
        sp_text_printf(out, "%s%s, so there is no step to compare.", name, can);
    } else if (a_s < b_s) {
        add_reason(&a->estimate, &b->estimate, "A", out);
    } else if (b_s < a_s) {
        add_reason(&b->estimate, &a->estimate, "B", out);
    } else {
        sp_text_add(out, "Both take the same time for a step.");
    }
}

/* ---- JSON ---- */

static void put_plan(sp_json_writer *w, const char *key, const sp_space *space,
                     const sp_priced *priced)
{
    sp_jw_open_object(w, key);
    sp_json_put_plan(w, space, priced);
    sp_jw_close_object(w);
}

/* The relative difference to nothing is no number and left out. */
static void put_difference(sp_json_writer *w, const char *name, const char *unit, double a,
                           double b)
{
    sp_jw_open_object_compact(w, NULL);
    sp_jw_string(w, "name", name);
    sp_jw_string(w, "unit", unit);
    sp_jw_double(w, "a", a);
    sp_jw_double(w, "b", b);
    sp_jw_double(w, "difference", b - a);
    if (a != 0.0) sp_jw_double(w, "difference_ratio", (b - a) / fabs(a));
    sp_jw_close_object(w);
}

static void put_differences(sp_json_writer *w, const sp_problem *problem, const sp_estimate *a,
                            const sp_estimate *b)
{
    sp_jw_open_array(w, "differences");
    for (uint32_t i = 0; i < sp_problem_n_objectives(problem); i++) {
        const sp_objective *objective = sp_problem_objective(problem, i);
        char name[80];
        (void)snprintf(name, sizeof name, "objectives.%s", objective->name);
        put_difference(w, name, objective->unit, a->objective[i], b->objective[i]);
    }
    for (uint32_t field = 0; field < sp_field_count(); field++) {
        if (!sp_field_applies(problem, field)) continue;
        const sp_field *info = sp_field_describe(field);
        put_difference(w, info->json, info->unit, sp_field_get(a, field), sp_field_get(b, field));
    }
    sp_jw_close_array(w);
}

static void put_order(sp_json_writer *w, const sp_problem *problem, const sp_priced *a,
                      const sp_priced *b)
{
    const double a_s = a->estimate.time.step_s, b_s = b->estimate.time.step_s;
    sp_jw_double(w, "speedup_ratio", b_s / a_s);
    sp_jw_double(w, "p_a_faster",
                 sp_faster_probability(a_s, b_s, problem->profile->rank_error_ratio));
    put_differences(w, problem, &a->estimate, &b->estimate);
}

void sp_report_compare_json(const sp_space *space, const sp_priced *a, const sp_priced *b,
                            struct sp_text *out)
{
    const sp_problem *problem = sp_space_problem(space);
    sp_json_writer w;
    struct sp_text words = {0};
    sp_compare_words(a, b, &words);
    sp_jw_init(&w, out);
    sp_jw_open_object(&w, NULL);
    sp_jw_string(&w, "schema", "shardplan/compare/1");
    sp_json_put_version(&w);
    sp_json_put_question(&w, "question", problem, NULL);
    sp_json_put_model(&w, problem);
    put_plan(&w, "a", space, a);
    put_plan(&w, "b", space, b);
    sp_json_put_changes(&w, &a->plan, &b->plan);
    if (a->priced && b->priced) put_order(&w, problem, a, b);
    sp_jw_string(&w, "reason", words.length > 0 ? words.data : "");
    sp_jw_close_object(&w);
    sp_text_add(out, "\n");
    out->failed = out->failed || words.failed;
    sp_text_fini(&words);
}
