/* SPDX-License-Identifier: Apache-2.0 */
/* What there is to name, as a table or as JSON: the lists that need no file, and the choice of one.
 */
#include "report/report_priv.h"
#include "shardplan/serving.h"

#include <assert.h>
#include <stdio.h>

static const char *const list_names[SP_N_LISTS] = {
    [SP_LIST_MODELS] = "models",         [SP_LIST_TYPES] = "types",
    [SP_LIST_HARDWARE] = "hardware",     [SP_LIST_ENGINES] = "engines",
    [SP_LIST_RULES] = "rules",           [SP_LIST_AXES] = "axes",
    [SP_LIST_OBJECTIVES] = "objectives", [SP_LIST_RECIPES] = "recipes",
};

const char *sp_list_name(sp_list_kind kind)
{
    assert(kind < SP_N_LISTS);
    return list_names[kind];
}

/* ---- axes and objectives ---- */

static void join_names(const sp_axis_info *info, char *text, size_t capacity)
{
    size_t length = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < info->n_names && length < capacity; i++) {
        const int added =
            snprintf(text + length, capacity - length, "%s%s", i > 0 ? ", " : "", info->names[i]);
        length += added > 0 ? (size_t)added : 0;
    }
    static const char *const domains[] = {[SP_AXIS_KIND_COUNT] = "whole numbers",
                                          [SP_AXIS_KIND_COUNT_OR_ALL] = "whole numbers, all",
                                          [SP_AXIS_KIND_RATIO] = "0 .. 1 in hundredths"};
    if (info->n_names == 0) (void)snprintf(text, capacity, "%s", domains[info->kind]);
}

static void add_axis(sp_listing *l, const char *of, const char *const texts[5])
{
    if (!sp_listing_row(l)) return;
    for (uint32_t i = 0; i < 5; i++) {
        sp_listing_text(l, texts[i]);
    }
    sp_listing_text(l, of);
    sp_listing_row_end(l);
}

static void list_training_axes(sp_listing *l)
{
    for (sp_axis_id axis = 0; axis < SP_N_AXES; axis++) {
        const sp_axis_info *info = sp_axis_describe(axis);
        char domain[160], fallback[24];
        join_names(info, domain, sizeof domain);
        sp_axis_format_value(axis, info->fallback, fallback);
        const char *const texts[] = {info->name, domain, fallback, info->unit, info->meaning};
        add_axis(l, "train", texts);
    }
}

/* Names depend on the question: its engines and what its model's checkpoint holds. */
static void list_serving_axes(sp_listing *l)
{
    for (sp_serving_axis_id axis = 0; axis < SP_N_SERVING_AXES; axis++) {
        const sp_serving_axis_info *info = sp_serving_axis_describe(axis);
        const bool is_mode = axis == SP_SERVING_AXIS_mode;
        char domain[64] = "whole numbers", fallback[24];
        (void)snprintf(fallback, sizeof fallback, "%u", info->fallback);
        if (info->named) {
            (void)snprintf(domain, sizeof domain, "%s", is_mode ? "agg, disagg" : "names");
            (void)snprintf(fallback, sizeof fallback, "%s", is_mode ? "agg" : "the first");
        }
        const char *const texts[] = {info->name, domain, fallback, info->unit, info->meaning};
        add_axis(l, "serve", texts);
    }
}

static sp_status list_axes(sp_listing *l, sp_error *err)
{
    static const char *const keys[] = {"name", "domain", "default", "unit", "meaning", "of"};
    static const char *const headers[] = {"axis", "values", "default", "unit", "meaning", "of"};
    (void)err;
    sp_listing_begin(l, keys, headers, 6, 0);
    list_training_axes(l);
    list_serving_axes(l);
    return SP_OK;
}

static void add_objective(sp_listing *l, const char *of, const sp_objective *objective)
{
    if (!sp_listing_row(l)) return;
    sp_listing_text(l, objective->name);
    sp_listing_text(l, objective->maximise ? "most" : "least");
    sp_listing_text(l, objective->unit);
    sp_listing_text(l, objective->meaning);
    sp_listing_text(l, of);
    sp_listing_row_end(l);
}

static sp_status list_objectives(sp_listing *l, sp_error *err)
{
    static const char *const keys[] = {"name", "best", "unit", "meaning", "of"};
    static const char *const headers[] = {"objective", "best", "unit", "meaning", "of"};
    (void)err;
    sp_listing_begin(l, keys, headers, 5, 0);
    for (uint32_t i = 0; i < sp_objective_count(); i++) {
        add_objective(l, "train", sp_objective_describe(i));
    }
    for (uint32_t i = 0; i < sp_serving_objective_count(); i++) {
        add_objective(l, "serve", sp_serving_objective_describe(i));
    }
    return SP_OK;
}

/* ---- the list ---- */

static sp_status fill(sp_listing *l, sp_list_kind kind, sp_error *err)
{
    switch (kind) {
    case SP_LIST_MODELS:
        return sp_list_models(l, err);
    case SP_LIST_TYPES:
        return sp_list_types(l, err);
    case SP_LIST_HARDWARE:
        return sp_list_hardware(l, err);
    case SP_LIST_ENGINES:
        return sp_list_engines(l, err);
    case SP_LIST_RULES:
        return sp_list_rules(l, err);
    case SP_LIST_AXES:
        return list_axes(l, err);
    case SP_LIST_OBJECTIVES:
        return list_objectives(l, err);
    case SP_LIST_RECIPES:
        return sp_list_recipes(l, err);
    case SP_N_LISTS:
        break;
    }
    assert(!"a list");
    return SP_E_INTERNAL;
}

sp_status sp_report_list(const char *home, sp_list_kind kind, bool json,
                         const sp_report_options *options, struct sp_text *out, sp_error *err)
{
    sp_listing l;
    struct sp_text document = {0};
    sp_listing_init(&l, home, json, &document);
    sp_jw_open_object(&l.writer, NULL);
    sp_jw_string(&l.writer, "schema", "shardplan/list/1");
    sp_jw_open_array(&l.writer, list_names[kind]);
    const sp_status status = fill(&l, kind, err);
    sp_jw_close_array(&l.writer);
    sp_jw_close_object(&l.writer);
    if (status == SP_OK && json) {
        sp_text_add(out, document.length > 0 ? document.data : "");
        sp_text_add(out, "\n");
    } else if (status == SP_OK) {
        sp_grid_write(&l.grid, 0, UINT32_MAX, options->color, out);
    }
    out->failed = out->failed || document.failed;
    sp_text_fini(&document);
    sp_listing_fini(&l);
    return status;
}
