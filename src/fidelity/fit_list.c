/* SPDX-License-Identifier: Apache-2.0 */
/* The declared list of what is fitted: which constants of which engines' profiles to which metric,
 * what is believed of them beforehand, which intervals follow from the residuals, and how rows are
 * dealt into groups that are left out in turn. */
#include "fidelity/fit.h"

#include <math.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

typedef struct reader {
    sp_arena *arena;
    const sp_csv *csv;
    const sp_fit_words *words;
    sp_error *err;
} reader;

static sp_status no_memory(const reader *r)
{
    return sp_fail(r->err, SP_E_MEMORY, "no memory for the list of the fit");
}

static sp_status keep(const reader *r, const char *text, const char **kept)
{
    *kept = sp_arena_strdup(r->arena, text);
    return *kept != NULL ? SP_OK : no_memory(r);
}

static sp_status read_texts(const reader *r, const sp_json *object, const char *key,
                            const char *const **texts, uint32_t *n_texts)
{
    sp_json array;
    SP_TRY(sp_json_array(object, key, &array, r->err));
    *n_texts = (uint32_t)sp_json_size(&array);
    const char **list = sp_arena_alloc(r->arena, (*n_texts + 1) * sizeof *list);
    if (list == NULL) return no_memory(r);
    for (uint32_t i = 0; i < *n_texts; i++) {
        const sp_json element = sp_json_at(&array, i);
        const char *text = NULL;
        SP_TRY(sp_json_as_string(&element, &text, r->err));
        SP_TRY(keep(r, text, &list[i]));
    }
    *texts = list;
    return SP_OK;
}

static sp_status find_constant(const reader *r, const sp_json *value, const char *name,
                               uint32_t *constant)
{
    const char *names[64];
    const uint32_t n = r->words->n_constants < 64 ? r->words->n_constants : 64;
    for (*constant = 0; *constant < n; (*constant)++) {
        names[*constant] = r->words->constant(*constant);
        if (strcmp(names[*constant], name) == 0) return SP_OK;
    }
    (void)sp_json_fail(value, r->err, SP_E_UNKNOWN_NAME, "no profile has this constant");
    return sp_fail_names(r->err, name, names, n);
}

static sp_status read_metric(const reader *r, const sp_json *object, uint32_t *metric)
{
    const char *names[8];
    const uint32_t n = r->words->n_metrics < 8 ? r->words->n_metrics : 8;
    for (uint32_t m = 0; m < n; m++) {
        names[m] = r->words->metric(m);
    }
    return sp_json_enum(object, "metric", names, n, metric, r->err);
}

/* ---- terms ---- */

static sp_status read_constants(const reader *r, const sp_json *value, sp_fit_term *term)
{
    const char *const *names = NULL;
    uint32_t n = 0;
    const sp_json written = sp_json_get(value, "constants");
    SP_TRY(read_texts(r, value, "constants", &names, &n));
    if (n == 0 || n > SP_FIT_MAX_TIED) {
        (void)sp_json_fail(&written, r->err, SP_E_RANGE, "one value stands for some constants");
        return sp_fail_range(r->err, "1 .. %d names", SP_FIT_MAX_TIED);
    }
    for (uint32_t i = 0; i < n; i++) {
        SP_TRY(find_constant(r, &written, names[i], &term->constants[i]));
    }
    term->n_constants = n;
    return SP_OK;
}

static sp_status read_prior(const reader *r, const sp_json *value, sp_fit_prior *prior)
{
    double centre = 0.0, lo = 0.0, hi = 0.0;
    SP_TRY(sp_json_double(value, "lo", 1e-12, 1e12, &lo, r->err));
    SP_TRY(sp_json_double(value, "hi", lo, 1e12, &hi, r->err));
    SP_TRY(sp_json_double(value, "centre", lo, hi, &centre, r->err));
    SP_TRY(sp_json_double(value, "log_width", 1e-3, 10.0, &prior->width, r->err));
    prior->centre = log(centre);
    prior->lo = log(lo);
    prior->hi = log(hi);
    return SP_OK;
}

static sp_status read_term(const reader *r, const sp_json *value, sp_fit_term *term)
{
    static const char *const keys[] = {"constants", "engines", "metric", "centre",
                                       "log_width", "lo",      "hi",     "source"};
    const char *source = NULL;
    SP_TRY(sp_json_only(value, keys, COUNT(keys), r->err));
    SP_TRY(sp_json_string(value, "source", &source, r->err));
    SP_TRY(read_constants(r, value, term));
    SP_TRY(read_texts(r, value, "engines", &term->engines, &term->n_engines));
    SP_TRY(read_metric(r, value, &term->metric));
    return read_prior(r, value, &term->prior);
}

static sp_status read_terms(const reader *r, const sp_json *root, sp_fit_list *list)
{
    sp_json terms;
    SP_TRY(sp_json_array(root, "terms", &terms, r->err));
    list->n_terms = (uint32_t)sp_json_size(&terms);
    if (list->n_terms > SP_FIT_MAX_TERMS) {
        (void)sp_json_fail(&terms, r->err, SP_E_RANGE, "a fit has few unknowns");
        return sp_fail_range(r->err, "0 .. %d", SP_FIT_MAX_TERMS);
    }
    list->terms = sp_arena_alloc(r->arena, (list->n_terms + 1) * sizeof *list->terms);
    if (list->terms == NULL) return no_memory(r);
    for (uint32_t i = 0; i < list->n_terms; i++) {
        const sp_json value = sp_json_at(&terms, i);
        SP_TRY(read_term(r, &value, &list->terms[i]));
    }
    return SP_OK;
}

/* ---- intervals ---- */

static sp_status read_interval(const reader *r, const sp_json *value, sp_fit_interval *out)
{
    static const char *const keys[] = {"constant",    "engines", "metric", "rows",
                                       "within_sets", "prior",   "source"};
    const char *name = NULL, *source = NULL;
    SP_TRY(sp_json_only(value, keys, COUNT(keys), r->err));
    SP_TRY(sp_json_string(value, "constant", &name, r->err));
    SP_TRY(sp_json_string(value, "source", &source, r->err));
    SP_TRY(find_constant(r, value, name, &out->constant));
    SP_TRY(read_texts(r, value, "engines", &out->engines, &out->n_engines));
    SP_TRY(read_metric(r, value, &out->metric));
    SP_TRY(sp_json_enum(value, "rows", r->words->rows, r->words->n_rows, &out->rows, r->err));
    SP_TRY(sp_json_double(value, "prior", 1e-3, 10.0, &out->prior, r->err));
    return sp_json_bool_or(value, "within_sets", false, &out->within_sets, r->err);
}

static sp_status read_intervals(const reader *r, const sp_json *root, sp_fit_list *list)
{
    sp_json intervals;
    SP_TRY(sp_json_array(root, "intervals", &intervals, r->err));
    list->n_intervals = (uint32_t)sp_json_size(&intervals);
    list->intervals = sp_arena_alloc(r->arena, (list->n_intervals + 1) * sizeof *list->intervals);
    if (list->intervals == NULL) return no_memory(r);
    for (uint32_t i = 0; i < list->n_intervals; i++) {
        const sp_json value = sp_json_at(&intervals, i);
        SP_TRY(read_interval(r, &value, &list->intervals[i]));
    }
    return SP_OK;
}

/* ---- groups ---- */

static sp_status read_groups(const reader *r, const sp_json *value, sp_fit_grouping *out)
{
    sp_json groups;
    if (!sp_json_has(value, "groups")) return SP_OK;
    SP_TRY(sp_json_object(value, "groups", &groups, r->err));
    out->n_groups = (uint32_t)sp_json_size(&groups);
    out->groups = sp_arena_alloc(r->arena, (out->n_groups + 1) * sizeof *out->groups);
    if (out->groups == NULL) return no_memory(r);
    for (uint32_t i = 0; i < out->n_groups; i++) {
        const sp_json member = sp_json_member(&groups, i);
        sp_fit_group *group = &out->groups[i];
        SP_TRY(keep(r, member.key, &group->name));
        SP_TRY(read_texts(r, &groups, group->name, &group->patterns, &group->n_patterns));
    }
    return SP_OK;
}

static sp_status read_grouping(const reader *r, const sp_json *value, sp_fit_grouping *out)
{
    static const char *const keys[] = {"name", "column", "groups"};
    const char *name = NULL, *column = NULL;
    SP_TRY(sp_json_only(value, keys, COUNT(keys), r->err));
    SP_TRY(sp_json_string(value, "name", &name, r->err));
    SP_TRY(sp_json_string(value, "column", &column, r->err));
    if (r->words->is_measured(column)) {
        return sp_json_fail(value, r->err, SP_E_INCONSISTENT,
                            "no group may depend on %s, which is measured", column);
    }
    SP_TRY(sp_csv_need(r->csv, column, &out->column_idx, r->err));
    SP_TRY(keep(r, name, &out->name));
    return read_groups(r, value, out);
}

static sp_status read_groupings(const reader *r, const sp_json *root, sp_fit_list *list)
{
    sp_json groupings;
    SP_TRY(sp_json_array(root, "leave_out", &groupings, r->err));
    list->n_groupings = (uint32_t)sp_json_size(&groupings);
    list->groupings = sp_arena_alloc(r->arena, (list->n_groupings + 1) * sizeof *list->groupings);
    if (list->groupings == NULL) return no_memory(r);
    for (uint32_t i = 0; i < list->n_groupings; i++) {
        const sp_json value = sp_json_at(&groupings, i);
        SP_TRY(read_grouping(r, &value, &list->groupings[i]));
    }
    return SP_OK;
}

static sp_status read_site(const reader *r, const sp_json *root, sp_site_prior *site)
{
    static const char *const keys[] = {"site_ratio", "run_ratio", "source", "date", "samples"};
    sp_json value;
    if (!sp_json_has(root, "site")) return SP_OK;
    SP_TRY(sp_json_object(root, "site", &value, r->err));
    SP_TRY(sp_json_only(&value, keys, COUNT(keys), r->err));
    SP_TRY(sp_json_double(&value, "site_ratio", 1e-3, 10.0, &site->site_ratio, r->err));
    return sp_json_double(&value, "run_ratio", 1e-3, 10.0, &site->run_ratio, r->err);
}

/* ---- rows that no fit sees ---- */

static sp_status read_set_aside(const reader *r, const sp_json *root, sp_fit_list *list)
{
    static const char *const keys[] = {"when", "unless", "source"};
    const sp_map_reader map = {r->arena, r->csv, r->words->is_measured, r->err};
    sp_json rules;
    if (!sp_json_has(root, "set_aside")) return SP_OK;
    SP_TRY(sp_json_array(root, "set_aside", &rules, r->err));
    const uint32_t n = (uint32_t)sp_json_size(&rules);
    list->set_aside = sp_arena_alloc(r->arena, (n + 1) * sizeof *list->set_aside);
    if (list->set_aside == NULL) return no_memory(r);
    for (list->n_set_aside = 0; list->n_set_aside < n; list->n_set_aside++) {
        const sp_json rule = sp_json_at(&rules, list->n_set_aside);
        sp_fit_set_aside *out = &list->set_aside[list->n_set_aside];
        const char *source = NULL;
        SP_TRY(sp_json_only(&rule, keys, COUNT(keys), r->err));
        SP_TRY(sp_json_string(&rule, "source", &source, r->err));
        SP_TRY(sp_map_read_tests(&map, &rule, &out->tests, &out->n_tests));
    }
    return SP_OK;
}

static sp_status read_list(const reader *r, const sp_json *root, sp_fit_list *list)
{
    static const char *const keys[] = {"schema",    "about",       "residual_ratio", "huber_ratio",
                                       "terms",     "source_runs", "coverage_ratio", "intervals",
                                       "leave_out", "site",        "source_rows",    "set_aside"};
    SP_TRY(sp_json_schema(root, "shardplan/fit/1", r->err));
    SP_TRY(sp_json_only(root, keys, COUNT(keys), r->err));
    SP_TRY(sp_json_double(root, "residual_ratio", 1e-3, 1.0, &list->residual_ratio, r->err));
    SP_TRY(sp_json_double(root, "huber_ratio", 1e-3, 10.0, &list->huber_ratio, r->err));
    SP_TRY(sp_json_double(root, "source_runs", 1e-3, 1e6, &list->source_runs, r->err));
    SP_TRY(sp_json_double(root, "coverage_ratio", 0.01, 0.99, &list->coverage_ratio, r->err));
    SP_TRY(sp_json_u32_or(root, "source_rows", 1, 1u << 30, 0, &list->source_rows, r->err));
    SP_TRY(read_set_aside(r, root, list));
    SP_TRY(read_site(r, root, &list->site));
    SP_TRY(read_terms(r, root, list));
    SP_TRY(read_intervals(r, root, list));
    return read_groupings(r, root, list);
}

sp_status sp_fit_list_load(sp_arena *arena, const char *home, const sp_csv *csv,
                           const sp_fit_words *words, sp_fit_list *list, sp_error *err)
{
    const reader r = {arena, csv, words, err};
    const char *file = sp_arena_printf(arena, "%s/configs/validation/%s", home, words->file);
    *list = (sp_fit_list){0};
    if (file == NULL) return no_memory(&r);
    sp_json_doc *doc = NULL;
    SP_TRY(sp_json_load_file(file, &doc, err));
    const sp_json root = sp_json_root(doc);
    const sp_status status = read_list(&r, &root, list);
    sp_json_free(doc);
    return status;
}
