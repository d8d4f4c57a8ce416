/* SPDX-License-Identifier: Apache-2.0 */
/* Two plans on a page: what they are, what makes the difference, and every figure side by side. */
#include "report/report_priv.h"
#include "step/step.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- the plans ---- */

static void add_wrapped(struct sp_text *out, const char *before, const struct sp_text *words,
                        const char *otherwise)
{
    const uint32_t indent = (uint32_t)strlen(before);
    sp_text_add(out, before);
    sp_text_wrap(out, words->length > 0 ? words->data : otherwise, 100 - indent, indent);
    out->failed = out->failed || words->failed;
}

static void add_plan(const sp_space *space, const char *name, const sp_priced *p,
                     struct sp_text *out)
{
    char text[SP_PLAN_TEXT_BYTES];
    struct sp_text engines = {0}, verdict = {0};
    (void)sp_plan_format(&p->plan, text, sizeof text);
    sp_text_printf(out, "\n%s        %s\n", name, text);
    if (p->priced) sp_plan_runs_on(space, &p->plan, " ", &engines);
    add_wrapped(out, "runs on  ", &engines,
                p->priced ? "none of the frameworks asked for" : "nothing: it cannot be built");
    if (p->rule != UINT32_MAX) {
        const sp_rule_info *rule = sp_space_rule(space, p->rule);
        sp_text_printf(&verdict, "refused by rule %s: %s", rule->name, rule->meaning);
    }
    add_wrapped(out, "verdict  ", &verdict, sp_verdict_name(p->estimate.verdict));
    sp_text_fini(&engines);
    sp_text_fini(&verdict);
}

static void add_changes(const sp_priced *a, const sp_priced *b, struct sp_text *out)
{
    struct sp_text changes = {0};
    sp_plan_changes(&a->plan, &b->plan, &changes);
    sp_text_add(out, "\n");
    add_wrapped(out, "A to B   ", &changes, "no setting differs");
    sp_text_fini(&changes);
}

static void add_order(const sp_problem *problem, const sp_priced *a, const sp_priced *b,
                      struct sp_text *out)
{
    struct sp_text words = {0};
    sp_compare_words(a, b, &words);
    sp_text_add(out, "\n");
    add_wrapped(out, "", &words, "");
    sp_text_fini(&words);
    if (!a->priced || !b->priced) return;
    const double p = sp_faster_probability(a->estimate.time.step_s, b->estimate.time.step_s,
                                           problem->profile->rank_error_ratio);
    sp_text_printf(out, "P(A faster than B): %s\n", sp_word_chance(p).text);
}

/* ---- the figures ---- */

enum { NAME, OF_A, OF_B, DIFFERENCE, RELATIVE, N_COLUMNS };

/* A number as its unit reads best; GiB is in the name of the row. */
static sp_word figure_word(const char *unit, double x)
{
    if (strcmp(unit, "bytes") == 0) return sp_word_gib(x);
    if (strcmp(unit, "ratio") == 0) return sp_word_percent(x);
    return sp_word_number(x);
}

static void name_row(const char *name, const char *unit, char *text, size_t capacity)
{
    const bool bytes = strcmp(unit, "bytes") == 0, plain = strcmp(unit, "ratio") == 0;
    (void)snprintf(text, capacity, "%s%s%s", name, plain ? "" : ", ",
                   bytes   ? "GiB"
                   : plain ? ""
                           : unit);
}

static void set_difference(sp_grid *grid, const char *unit, double a, double b)
{
    const sp_word size = figure_word(unit, fabs(b - a));
    char text[SP_WORD_BYTES + 2];
    (void)snprintf(text, sizeof text, "%s%s", b > a ? "+" : b < a ? "-" : "", size.text);
    sp_grid_set(grid, DIFFERENCE, text);
    if (a == 0.0) return;
    const double percent = 100.0 * (b - a) / fabs(a);
    (void)snprintf(text, sizeof text, "%+.1f %%", percent);
    sp_grid_set(grid, RELATIVE, fabs(percent) < 0.05 ? "0.0 %" : text);
}

/* A plan that cannot be built has no figures; figures that are nothing for both are left out. */
static void add_row(sp_grid *grid, const char *name, const char *unit, const double *a,
                    const double *b)
{
    char text[96];
    if ((a == NULL || *a == 0.0) && (b == NULL || *b == 0.0)) return;
    name_row(name, unit, text, sizeof text);
    sp_grid_row_add(grid, SP_TONE_PLAIN);
    sp_grid_set(grid, NAME, text);
    if (a != NULL) sp_grid_set(grid, OF_A, figure_word(unit, *a).text);
    if (b != NULL) sp_grid_set(grid, OF_B, figure_word(unit, *b).text);
    if (a != NULL && b != NULL) set_difference(grid, unit, *a, *b);
}

static void add_objectives(const sp_problem *problem, const sp_priced *a, const sp_priced *b,
                           sp_grid *grid)
{
    for (uint32_t i = 0; i < sp_problem_n_objectives(problem); i++) {
        const sp_objective *objective = sp_problem_objective(problem, i);
        char name[80];
        (void)snprintf(name, sizeof name, "objective %s", objective->name);
        add_row(grid, name, objective->unit, a->priced ? &a->estimate.objective[i] : NULL,
                b->priced ? &b->estimate.objective[i] : NULL);
    }
}

static void add_fields(const sp_problem *problem, const sp_priced *a, const sp_priced *b,
                       sp_grid *grid)
{
    for (uint32_t field = 0; field < sp_field_count(); field++) {
        if (!sp_field_applies(problem, field)) continue;
        const sp_field *info = sp_field_describe(field);
        const double of_a = sp_field_get(&a->estimate, field);
        const double of_b = sp_field_get(&b->estimate, field);
        add_row(grid, info->where, info->unit, a->priced ? &of_a : NULL, b->priced ? &of_b : NULL);
    }
}

static void add_figures(const sp_problem *problem, const sp_priced *a, const sp_priced *b,
                        const sp_report_options *options, struct sp_text *out)
{
    static const char *const headers[N_COLUMNS] = {"", "A", "B", "B - A", "of A"};
    sp_grid grid;
    sp_grid_init(&grid, N_COLUMNS, sp_field_count() + SP_MAX_OBJECTIVES);
    for (uint32_t i = 0; i < N_COLUMNS; i++) {
        sp_grid_column_add(&grid, headers[i], i == NAME ? SP_LEFT : SP_RIGHT, 0);
    }
    add_objectives(problem, a, b, &grid);
    add_fields(problem, a, b, &grid);
    sp_text_add(out, "\n");
    sp_grid_write(&grid, 0, options->width > 0 ? options->width : 100, options->color, out);
    sp_grid_fini(&grid);
}

void sp_report_compare_page(const sp_space *space, const sp_priced *a, const sp_priced *b,
                            const sp_report_options *options, struct sp_text *out)
{
    const sp_problem *problem = sp_space_problem(space);
    sp_summary_question(problem, options, out);
    add_plan(space, "A", a, out);
    add_plan(space, "B", b, out);
    add_changes(a, b, out);
    add_order(problem, a, b, out);
    if (a->priced || b->priced) add_figures(problem, a, b, options, out);
}
