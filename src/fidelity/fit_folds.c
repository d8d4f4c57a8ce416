/* SPDX-License-Identifier: Apache-2.0 */
/* Every group of rows predicted by a fit that has not seen it. Its intervals come from what that
 * fit misses in each other group when it leaves that one out as well. */
#include "fidelity/fit.h"

#include <string.h>

/* ---- dealing rows into groups ---- */

static uint32_t find_fold(sp_fit_folds *folds, const char *name)
{
    for (uint32_t i = 0; i < folds->n; i++) {
        if (strcmp(folds->names[i], name) == 0) return i;
    }
    folds->names[folds->n] = name;
    return folds->n++;
}

/* The group that a cell matches; cells that match none form "other". */
static const char *name_group(const sp_fit_grouping *grouping, const char *cell)
{
    if (grouping->n_groups == 0) return cell;
    for (uint32_t i = 0; i < grouping->n_groups; i++) {
        const sp_fit_group *group = &grouping->groups[i];
        for (uint32_t p = 0; p < group->n_patterns; p++) {
            if (sp_pattern_matches(group->patterns[p], cell)) return group->name;
        }
    }
    return "other";
}

sp_status sp_fit_deal(sp_arena *arena, const sp_fit_grouping *grouping, const sp_csv *csv,
                      sp_fit_folds *folds, sp_error *err)
{
    *folds = (sp_fit_folds){0};
    folds->names = sp_arena_alloc(arena, (csv->n_rows + 1) * sizeof *folds->names);
    folds->of_row = sp_arena_alloc(arena, (csv->n_rows + 1) * sizeof *folds->of_row);
    if (folds->names == NULL || folds->of_row == NULL) {
        return sp_fail(err, SP_E_MEMORY, "no memory for the groups");
    }
    for (uint32_t i = 0; i < csv->n_rows; i++) {
        const char *cell = sp_csv_cell(csv, i, grouping->column_idx);
        folds->of_row[i] = find_fold(folds, name_group(grouping, cell));
    }
    for (uint32_t i = 0; i < folds->n; i++) {
        folds->names[i] = sp_arena_strdup(arena, folds->names[i]);
        if (folds->names[i] == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for the groups");
    }
    return SP_OK;
}

/* ---- leaving them out ---- */

typedef struct crossing {
    const sp_fit_subject *subject;
    const sp_fit_folds *folds;
    bool *in_fold;         /* of rows: those of the fold at hand */
    double *room;          /* of rows */
    sp_fit_values *values; /* of folds, and of the fit to all */
} crossing;

/* Whether a row of the fold counts for anything. */
static bool mark_fold(const crossing *c, uint32_t fold)
{
    bool any = false;
    for (uint32_t i = 0; i < c->subject->n_rows; i++) {
        c->in_fold[i] = c->folds->of_row[i] == fold;
        any |= c->in_fold[i] && c->subject->counts(c->subject->fit, i);
    }
    return any;
}

/* A fold none of whose rows counts is predicted by the fit to all, which comes last. */
static sp_status cross(const crossing *c, sp_error *err)
{
    const sp_fit_subject *s = c->subject;
    const sp_fit_values *all = &c->values[c->folds->n];
    for (uint32_t f = 0; f <= c->folds->n; f++) {
        sp_fit_values *values = &c->values[f];
        if (!mark_fold(c, f) && f < c->folds->n) continue;
        SP_TRY(s->run(s->fit, c->in_fold, values, err));
        SP_TRY(s->widths(s->fit, c->in_fold, c->folds, c->room, values, err));
    }
    for (uint32_t f = 0; f < c->folds->n; f++) {
        const bool counts = mark_fold(c, f);
        SP_TRY(s->predict(s->fit, counts ? &c->values[f] : all, c->in_fold, err));
    }
    return SP_OK;
}

static sp_fit_figure summarise(double *values, size_t n)
{
    sp_fit_figure figure = {.median = sp_quantile_of(values, n, 0.5)};
    figure.least = values[0];
    figure.most = values[n - 1];
    return figure;
}

/* Over the folds that count; room has one number a fold. */
static void summarise_all(const crossing *c, double *room, sp_fit_figure *figures)
{
    const sp_fit_list *list = c->subject->list;
    for (uint32_t i = 0; i < list->n_terms + list->n_intervals; i++) {
        uint32_t n = 0;
        for (uint32_t f = 0; f < c->folds->n; f++) {
            const sp_fit_values *v = &c->values[f];
            if (!mark_fold(c, f)) continue;
            room[n++] = i < list->n_terms ? v->term[i] : v->interval[i - list->n_terms];
        }
        if (n > 0) figures[i] = summarise(room, n);
    }
}

sp_status sp_fit_cross(const sp_fit_subject *subject, const sp_fit_folds *folds,
                       sp_fit_figure *figures, sp_error *err)
{
    const size_t n_rows = (size_t)subject->n_rows + 1, n_folds = (size_t)folds->n + 1;
    crossing c = {.subject = subject,
                  .folds = folds,
                  .in_fold = sp_alloc(n_rows * sizeof *c.in_fold),
                  .room = sp_alloc(n_rows * sizeof *c.room),
                  .values = sp_alloc(n_folds * sizeof *c.values)};
    double *room = sp_alloc(n_folds * sizeof *room);
    const bool failed = c.in_fold == NULL || c.room == NULL || c.values == NULL || room == NULL;
    const sp_status status =
        failed ? sp_fail(err, SP_E_MEMORY, "no memory for the folds") : cross(&c, err);
    if (status == SP_OK) summarise_all(&c, room, figures);
    sp_free(c.in_fold);
    sp_free(c.room);
    sp_free(c.values);
    sp_free(room);
    return status;
}

/* ---- what a score needs ---- */

sp_status sp_fit_find_grouping(const sp_fit_list *list, const char *name,
                               const sp_fit_grouping **found, sp_error *err)
{
    const char *names[16];
    uint32_t n = 0;
    for (uint32_t i = 0; i < list->n_groupings; i++) {
        *found = &list->groupings[i];
        if (strcmp((*found)->name, name) == 0) return SP_OK;
        if (n < sizeof names / sizeof names[0]) names[n++] = (*found)->name;
    }
    sp_fail(err, SP_E_UNKNOWN_NAME, "rows are not dealt into groups by this");
    sp_fail_value(err, "%s", name);
    sp_fail_names(err, name, names, n);
    return sp_fail_file(err, "--cross");
}

sp_status sp_cross_make(sp_arena *arena, const char *home, const sp_csv *csv,
                        const sp_fit_words *words, const char *fold, sp_cross **cross,
                        sp_fit_folds *folds, sp_error *err)
{
    const sp_fit_grouping *grouping = NULL;
    sp_cross *made = sp_arena_alloc(arena, sizeof *made);
    if (made == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for the fit");
    SP_TRY(sp_fit_list_load(arena, home, csv, words, &made->list, err));
    SP_TRY(sp_fit_find_grouping(&made->list, fold, &grouping, err));
    SP_TRY(sp_fit_deal(arena, grouping, csv, folds, err));
    const size_t n = (size_t)made->list.n_terms + made->list.n_intervals + 1;
    made->figures = sp_arena_alloc(arena, n * sizeof *made->figures);
    made->fold = grouping->name;
    made->n_folds = folds->n;
    *cross = made;
    return made->figures != NULL ? SP_OK : sp_fail(err, SP_E_MEMORY, "no memory for the fit");
}
