/* SPDX-License-Identifier: Apache-2.0 */
/* The mapping file: how the words of a table become an engine, a link, axes and traits of a model.
 * Rules are asked in order; what a later one says replaces what an earlier one said. No rule may
 * look at a measurement. */
#include "fidelity/fidelity_priv.h"

#include <assert.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const memory_names[SP_N_MEMORY_KINDS] = {"device", "reserved", "allocated"};

static const char *const trait_names[SP_N_TRAITS] = {
    [SP_TRAIT_BIAS] = "bias",
    [SP_TRAIT_LAYER_NORM] = "layer_norm",
    [SP_TRAIT_DROPOUT] = "dropout",
    [SP_TRAIT_LEARNED_POSITIONS] = "learned_positions",
    [SP_TRAIT_TIED_EMBEDDINGS] = "tied_embeddings",
    [SP_TRAIT_QK_NORM] = "qk_norm",
    [SP_TRAIT_SINKS] = "sinks",
    [SP_TRAIT_EXPERT_BIAS] = "expert_bias",
    [SP_TRAIT_PREDICTION_HEADS] = "prediction_heads",
};

const char *sp_memory_kind_name(sp_memory_kind kind)
{
    assert(kind < SP_N_MEMORY_KINDS);
    return memory_names[kind];
}

/* What reading needs beside the JSON at hand. */
typedef struct reader {
    sp_arena *arena;
    const sp_csv *csv;
    sp_error *err;
} reader;

static sp_status no_memory(const reader *r)
{
    return sp_fail(r->err, SP_E_MEMORY, "no memory for the mapping");
}

static sp_status keep(const reader *r, const char *text, const char **kept)
{
    *kept = sp_arena_strdup(r->arena, text);
    return *kept != NULL ? SP_OK : no_memory(r);
}

/* Copies object[key] where it is there. */
static sp_status keep_optional(const reader *r, const sp_json *object, const char *key,
                               const char **kept)
{
    const char *text = NULL;
    SP_TRY(sp_json_string_or(object, key, NULL, &text, r->err));
    return text != NULL ? keep(r, text, kept) : SP_OK;
}

/* A string, or an array of them. */
static sp_status read_texts(const reader *r, const sp_json *value, const char *const **texts,
                            uint32_t *n_texts)
{
    const bool many = sp_json_is_array(value);
    const size_t n = many ? sp_json_size(value) : 1;
    const char **list = sp_arena_alloc(r->arena, (n + 1) * sizeof *list);
    if (list == NULL) return no_memory(r);
    for (size_t i = 0; i < n; i++) {
        const sp_json element = many ? sp_json_at(value, i) : *value;
        const char *text = NULL;
        SP_TRY(sp_json_as_string(&element, &text, r->err));
        SP_TRY(keep(r, text, &list[i]));
    }
    *texts = list;
    *n_texts = (uint32_t)n;
    return SP_OK;
}

/* ---- columns and axes ---- */

static sp_status find_column(const reader *r, const sp_json *value, const char *name,
                             uint32_t *column)
{
    if (sp_column_is_measured(name)) {
        return sp_json_fail(value, r->err, SP_E_INCONSISTENT,
                            "no prediction may look at %s, which is measured", name);
    }
    return sp_csv_need(r->csv, name, column, r->err);
}

static sp_status read_axis(const reader *r, const sp_json *value, sp_map_axis *axis)
{
    static const char *const keys[] = {"column", "axis", "neutral"};
    const char *column = NULL, *name = NULL;
    SP_TRY(sp_json_only(value, keys, COUNT(keys), r->err));
    SP_TRY(sp_json_string(value, "column", &column, r->err));
    SP_TRY(sp_json_string(value, "axis", &name, r->err));
    SP_TRY(find_column(r, value, column, &axis->column_idx));
    SP_TRY(keep_optional(r, value, "neutral", &axis->neutral));
    return keep(r, name, &axis->axis);
}

static sp_status read_axes(const reader *r, const sp_json *root, sp_map *map)
{
    sp_json axes;
    SP_TRY(sp_json_array(root, "axes", &axes, r->err));
    map->n_axes = (uint32_t)sp_json_size(&axes);
    map->axes = sp_arena_alloc(r->arena, (map->n_axes + 1) * sizeof *map->axes);
    if (map->axes == NULL) return no_memory(r);
    for (uint32_t i = 0; i < map->n_axes; i++) {
        const sp_json axis = sp_json_at(&axes, i);
        SP_TRY(read_axis(r, &axis, &map->axes[i]));
    }
    return SP_OK;
}

/* ---- rules ---- */

/* Adds the tests of rule["when"] or rule["unless"]. */
static sp_status read_tests(const reader *r, const sp_json *rule, const char *key, bool negated,
                            sp_map_rule *out)
{
    if (!sp_json_has(rule, key)) return SP_OK;
    sp_json tests;
    SP_TRY(sp_json_object(rule, key, &tests, r->err));
    for (size_t i = 0; i < sp_json_size(&tests); i++) {
        const sp_json value = sp_json_member(&tests, i);
        sp_map_test *test = &out->tests[out->n_tests++];
        test->negated = negated;
        SP_TRY(find_column(r, &value, value.key, &test->column_idx));
        SP_TRY(read_texts(r, &value, &test->patterns, &test->n_patterns));
    }
    return SP_OK;
}

static size_t count_tests(const sp_json *rule)
{
    const sp_json when = sp_json_get(rule, "when"), unless = sp_json_get(rule, "unless");
    return sp_json_size(&when) + sp_json_size(&unless);
}

static sp_status read_traits(const reader *r, const sp_json *rule, sp_map_rule *out)
{
    if (!sp_json_has(rule, "model")) return SP_OK;
    sp_json traits;
    SP_TRY(sp_json_object(rule, "model", &traits, r->err));
    SP_TRY(sp_json_only(&traits, trait_names, SP_N_TRAITS, r->err));
    for (uint32_t t = 0; t < SP_N_TRAITS; t++) {
        if (!sp_json_has(&traits, trait_names[t])) continue;
        bool on = false;
        SP_TRY(sp_json_bool(&traits, trait_names[t], &on, r->err));
        *(on ? &out->traits_on : &out->traits_off) |= UINT32_C(1) << t;
    }
    return SP_OK;
}

static sp_status read_memory(const reader *r, const sp_json *rule, sp_map_rule *out)
{
    uint32_t kind = 0;
    out->names_memory = sp_json_has(rule, "memory");
    if (!out->names_memory) return SP_OK;
    SP_TRY(sp_json_enum(rule, "memory", memory_names, SP_N_MEMORY_KINDS, &kind, r->err));
    out->memory = (sp_memory_kind)kind;
    return SP_OK;
}

static sp_status read_kernels(const reader *r, const sp_json *rule, sp_map_rule *out)
{
    const char *names[SP_N_KERNELS];
    for (uint32_t i = 0; i < SP_N_KERNELS; i++) {
        names[i] = sp_kernels_name((sp_kernels)i);
    }
    uint32_t kernels = 0;
    out->names_kernels = sp_json_has(rule, "kernels");
    if (!out->names_kernels) return SP_OK;
    SP_TRY(sp_json_enum(rule, "kernels", names, SP_N_KERNELS, &kernels, r->err));
    out->kernels = (sp_kernels)kernels;
    return SP_OK;
}

static sp_status read_gradients(const reader *r, const sp_json *rule, sp_map_rule *out)
{
    const char *names[SP_N_GRADIENTS];
    for (uint32_t i = 0; i < SP_N_GRADIENTS; i++) {
        names[i] = sp_gradients_name((sp_gradients)i);
    }
    uint32_t gradients = 0;
    out->names_gradients = sp_json_has(rule, "gradients");
    if (!out->names_gradients) return SP_OK;
    SP_TRY(sp_json_enum(rule, "gradients", names, SP_N_GRADIENTS, &gradients, r->err));
    out->gradients = (sp_gradients)gradients;
    return SP_OK;
}

/* "axis=value,axis=value", kept in parts: not every axis need be there. */
static sp_status read_plan(const reader *r, const sp_json *rule, sp_map_rule *out)
{
    const char *text = NULL;
    SP_TRY(sp_json_string_or(rule, "plan", NULL, &text, r->err));
    if (text == NULL) return SP_OK;
    size_t n = 1;
    for (const char *c = text; *c != '\0'; c++) {
        n += *c == ',';
    }
    out->settings = sp_arena_alloc(r->arena, n * sizeof *out->settings);
    if (out->settings == NULL) return no_memory(r);
    for (const char *at = text;; at++) {
        const int length = (int)strcspn(at, ","), n_name = (int)strcspn(at, "=,");
        if (n_name == length) {
            const sp_json plan = sp_json_get(rule, "plan");
            return sp_json_fail(&plan, r->err, SP_E_SYNTAX, "a plan is axis=value,axis=value");
        }
        sp_map_setting *setting = &out->settings[out->n_settings++];
        setting->axis = sp_arena_printf(r->arena, "%.*s", n_name, at);
        setting->value = sp_arena_printf(r->arena, "%.*s", length - n_name - 1, at + n_name + 1);
        if (setting->axis == NULL || setting->value == NULL) return no_memory(r);
        at += length;
        if (*at == '\0') return SP_OK;
    }
}

static sp_status read_rule(const reader *r, const sp_json *rule, sp_map_rule *out)
{
    static const char *const keys[] = {
        "when",   "unless", "engine",    "link",    "plan",      "skip",      "model",
        "memory", "source", "lora_rank", "kernels", "optimizer", "gradients", "moe_imbalance"};
    const char *source = NULL;
    SP_TRY(sp_json_only(rule, keys, COUNT(keys), r->err));
    SP_TRY(sp_json_string(rule, "source", &source, r->err));
    out->tests = sp_arena_alloc(r->arena, (count_tests(rule) + 1) * sizeof *out->tests);
    if (out->tests == NULL) return no_memory(r);
    SP_TRY(read_tests(r, rule, "when", false, out));
    SP_TRY(read_tests(r, rule, "unless", true, out));
    SP_TRY(keep_optional(r, rule, "engine", &out->engine));
    SP_TRY(keep_optional(r, rule, "link", &out->link));
    SP_TRY(read_plan(r, rule, out));
    SP_TRY(keep_optional(r, rule, "skip", &out->skip));
    SP_TRY(sp_json_u32_or(rule, "lora_rank", 1, 65536, 0, &out->lora_rank, r->err));
    SP_TRY(sp_json_double_or(rule, "moe_imbalance", 1.0, 1000.0, 0.0, &out->moe_imbalance_ratio,
                             r->err));
    SP_TRY(read_traits(r, rule, out));
    SP_TRY(read_kernels(r, rule, out));
    SP_TRY(keep_optional(r, rule, "optimizer", &out->optimizer));
    SP_TRY(read_gradients(r, rule, out));
    return read_memory(r, rule, out);
}

static sp_status read_rules(const reader *r, const sp_json *root, sp_map *map)
{
    sp_json rules;
    SP_TRY(sp_json_array(root, "rules", &rules, r->err));
    map->n_rules = (uint32_t)sp_json_size(&rules);
    map->rules = sp_arena_alloc(r->arena, (map->n_rules + 1) * sizeof *map->rules);
    if (map->rules == NULL) return no_memory(r);
    for (uint32_t i = 0; i < map->n_rules; i++) {
        const sp_json rule = sp_json_at(&rules, i);
        SP_TRY(read_rule(r, &rule, &map->rules[i]));
    }
    return SP_OK;
}

static sp_status read_map(const reader *r, const sp_json *root, sp_map *map)
{
    static const char *const keys[] = {"schema",      "about", "fitted_on",
                                       "latest_only", "axes",  "rules"};
    sp_json fitted_on, latest_only;
    SP_TRY(sp_json_schema(root, "shardplan/training-points/1", r->err));
    SP_TRY(sp_json_only(root, keys, COUNT(keys), r->err));
    SP_TRY(sp_json_array(root, "fitted_on", &fitted_on, r->err));
    SP_TRY(sp_json_array(root, "latest_only", &latest_only, r->err));
    SP_TRY(read_texts(r, &fitted_on, &map->fitted_on, &map->n_fitted_on));
    SP_TRY(read_texts(r, &latest_only, &map->latest_only, &map->n_latest_only));
    SP_TRY(read_axes(r, root, map));
    return read_rules(r, root, map);
}

sp_status sp_map_load(sp_arena *arena, const char *home, const sp_csv *csv, sp_map *map,
                      sp_error *err)
{
    const reader r = {arena, csv, err};
    const char *file = sp_arena_printf(arena, "%s/configs/validation/training-points.json", home);
    if (file == NULL) return no_memory(&r);
    sp_json_doc *doc = NULL;
    SP_TRY(sp_json_load_file(file, &doc, err));
    const sp_json root = sp_json_root(doc);
    const sp_status status = read_map(&r, &root, map);
    sp_json_free(doc);
    return status;
}

/* ---- asking ---- */

bool sp_pattern_matches(const char *pattern, const char *cell)
{
    const size_t n_pattern = strlen(pattern), n_cell = strlen(cell);
    const bool open_start = n_pattern > 0 && pattern[0] == '*';
    const bool open_end = n_pattern > 1 && pattern[n_pattern - 1] == '*';
    const char *text = pattern + open_start;
    const size_t n = n_pattern - open_start - open_end;
    if (n > n_cell) return false;
    if (!open_start && !open_end) return n == n_cell && memcmp(text, cell, n) == 0;
    if (!open_start) return memcmp(text, cell, n) == 0;
    if (!open_end) return memcmp(text, cell + n_cell - n, n) == 0;
    for (size_t i = 0; i + n <= n_cell; i++) {
        if (memcmp(text, cell + i, n) == 0) return true;
    }
    return false;
}

bool sp_map_test_holds(const sp_map_test *test, const sp_csv *csv, uint32_t row)
{
    const char *cell = sp_csv_cell(csv, row, test->column_idx);
    bool found = false;
    for (uint32_t i = 0; i < test->n_patterns && !found; i++) {
        found = sp_pattern_matches(test->patterns[i], cell);
    }
    return found != test->negated;
}

static bool applies(const sp_map_rule *rule, const sp_csv *csv, uint32_t row)
{
    for (uint32_t i = 0; i < rule->n_tests; i++) {
        if (!sp_map_test_holds(&rule->tests[i], csv, row)) return false;
    }
    return true;
}

static sp_status set_axis(const char *name, const char *text, sp_plan *plan, sp_error *err)
{
    sp_axis_id axis = SP_N_AXES;
    uint32_t value = 0;
    SP_TRY(sp_axis_find_or_fail(name, &axis, err));
    if (sp_axis_parse_value(axis, text, &value, err) != SP_OK) return err->status;
    sp_plan_set(plan, axis, value);
    return SP_OK;
}

/* The first setting that cannot be expressed is kept as the refusal. */
static void try_axis(const char *name, const char *text, sp_setup *setup)
{
    sp_error err = {0};
    if (set_axis(name, text, &setup->plan, &err) == SP_OK) return;
    if (err.status == SP_E_NOT_YET) (void)sp_fail_value(&err, "%s=%s", name, text);
    if (setup->refusal.status == SP_OK) setup->refusal = err;
}

static void copy_axis(const sp_map_axis *axis, const sp_csv *csv, uint32_t row, sp_setup *setup)
{
    const char *cell = sp_csv_cell(csv, row, axis->column_idx);
    const bool is_neutral = axis->neutral != NULL && strcmp(cell, axis->neutral) == 0;
    if (cell[0] != '\0' && !is_neutral) try_axis(axis->axis, cell, setup);
}

static void apply(const sp_map_rule *rule, sp_setup *setup)
{
    if (rule->engine != NULL) setup->engine = rule->engine;
    if (rule->link != NULL) setup->link = rule->link;
    if (rule->skip != NULL) setup->skip = rule->skip;
    if (rule->lora_rank > 0) setup->lora_rank = rule->lora_rank;
    if (rule->moe_imbalance_ratio > 0.0) setup->moe_imbalance_ratio = rule->moe_imbalance_ratio;
    if (rule->names_memory) setup->memory = rule->memory;
    if (rule->names_kernels) setup->kernels = rule->kernels;
    if (rule->names_gradients) setup->gradients = rule->gradients;
    if (rule->optimizer != NULL) setup->optimizer = rule->optimizer;
    setup->traits = (setup->traits | rule->traits_on) & ~rule->traits_off;
    for (uint32_t i = 0; i < rule->n_settings; i++) {
        try_axis(rule->settings[i].axis, rule->settings[i].value, setup);
    }
}

void sp_map_apply(const sp_map *map, const sp_csv *csv, uint32_t row, sp_setup *setup)
{
    *setup = (sp_setup){.engine = "any", .plan = sp_plan_default()};
    for (uint32_t i = 0; i < map->n_axes; i++) {
        copy_axis(&map->axes[i], csv, row, setup);
    }
    for (uint32_t i = 0; i < map->n_rules; i++) {
        if (applies(&map->rules[i], csv, row)) apply(&map->rules[i], setup);
    }
}
