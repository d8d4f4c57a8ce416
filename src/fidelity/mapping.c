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

/* ---- columns and axes ---- */

static sp_status read_axis(const sp_map_reader *r, const sp_json *value, sp_map_axis *axis)
{
    static const char *const keys[] = {"column", "axis", "neutral"};
    const char *column = NULL, *name = NULL;
    SP_TRY(sp_json_only(value, keys, COUNT(keys), r->err));
    SP_TRY(sp_json_string(value, "column", &column, r->err));
    SP_TRY(sp_json_string(value, "axis", &name, r->err));
    SP_TRY(sp_map_find_column(r, value, column, &axis->column_idx));
    SP_TRY(sp_map_keep_optional(r, value, "neutral", &axis->neutral));
    return sp_map_keep(r, name, &axis->axis);
}

static sp_status read_axes(const sp_map_reader *r, const sp_json *root, sp_map *map)
{
    sp_json axes;
    SP_TRY(sp_json_array(root, "axes", &axes, r->err));
    map->n_axes = (uint32_t)sp_json_size(&axes);
    map->axes = sp_arena_alloc(r->arena, (map->n_axes + 1) * sizeof *map->axes);
    if (map->axes == NULL) return sp_map_no_memory(r);
    for (uint32_t i = 0; i < map->n_axes; i++) {
        const sp_json axis = sp_json_at(&axes, i);
        SP_TRY(read_axis(r, &axis, &map->axes[i]));
    }
    return SP_OK;
}

/* ---- rules ---- */

static sp_status read_traits(const sp_map_reader *r, const sp_json *rule, sp_map_rule *out)
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

static sp_status read_memory(const sp_map_reader *r, const sp_json *rule, sp_map_rule *out)
{
    uint32_t kind = 0;
    out->names_memory = sp_json_has(rule, "memory");
    if (!out->names_memory) return SP_OK;
    SP_TRY(sp_json_enum(rule, "memory", memory_names, SP_N_MEMORY_KINDS, &kind, r->err));
    out->memory = (sp_memory_kind)kind;
    return SP_OK;
}

static sp_status read_kernels(const sp_map_reader *r, const sp_json *rule, sp_map_rule *out)
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

static sp_status read_gradients(const sp_map_reader *r, const sp_json *rule, sp_map_rule *out)
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
static sp_status read_plan(const sp_map_reader *r, const sp_json *rule, sp_map_rule *out)
{
    const char *text = NULL;
    SP_TRY(sp_json_string_or(rule, "plan", NULL, &text, r->err));
    if (text == NULL) return SP_OK;
    size_t n = 1;
    for (const char *c = text; *c != '\0'; c++) {
        n += *c == ',';
    }
    out->settings = sp_arena_alloc(r->arena, n * sizeof *out->settings);
    if (out->settings == NULL) return sp_map_no_memory(r);
    for (const char *at = text;; at++) {
        const int length = (int)strcspn(at, ","), n_name = (int)strcspn(at, "=,");
        if (n_name == length) {
            const sp_json plan = sp_json_get(rule, "plan");
            return sp_json_fail(&plan, r->err, SP_E_SYNTAX, "a plan is axis=value,axis=value");
        }
        sp_map_setting *setting = &out->settings[out->n_settings++];
        setting->axis = sp_arena_printf(r->arena, "%.*s", n_name, at);
        setting->value = sp_arena_printf(r->arena, "%.*s", length - n_name - 1, at + n_name + 1);
        if (setting->axis == NULL || setting->value == NULL) return sp_map_no_memory(r);
        at += length;
        if (*at == '\0') return SP_OK;
    }
}

static sp_status read_rule(const sp_map_reader *r, const sp_json *rule, sp_map_rule *out)
{
    static const char *const keys[] = {
        "when",   "unless", "engine",    "link",    "plan",      "skip",      "model",
        "memory", "source", "lora_rank", "kernels", "optimizer", "gradients", "moe_imbalance"};
    const char *source = NULL;
    SP_TRY(sp_json_only(rule, keys, COUNT(keys), r->err));
    SP_TRY(sp_json_string(rule, "source", &source, r->err));
    SP_TRY(sp_map_read_tests(r, rule, &out->tests, &out->n_tests));
    SP_TRY(sp_map_keep_optional(r, rule, "engine", &out->engine));
    SP_TRY(sp_map_keep_optional(r, rule, "link", &out->link));
    SP_TRY(read_plan(r, rule, out));
    SP_TRY(sp_map_keep_optional(r, rule, "skip", &out->skip));
    SP_TRY(sp_json_u32_or(rule, "lora_rank", 1, 65536, 0, &out->lora_rank, r->err));
    SP_TRY(sp_json_double_or(rule, "moe_imbalance", 1.0, 1000.0, 0.0, &out->moe_imbalance_ratio,
                             r->err));
    SP_TRY(read_traits(r, rule, out));
    SP_TRY(read_kernels(r, rule, out));
    SP_TRY(sp_map_keep_optional(r, rule, "optimizer", &out->optimizer));
    SP_TRY(read_gradients(r, rule, out));
    return read_memory(r, rule, out);
}

static sp_status read_rules(const sp_map_reader *r, const sp_json *root, sp_map *map)
{
    sp_json rules;
    SP_TRY(sp_json_array(root, "rules", &rules, r->err));
    map->n_rules = (uint32_t)sp_json_size(&rules);
    map->rules = sp_arena_alloc(r->arena, (map->n_rules + 1) * sizeof *map->rules);
    if (map->rules == NULL) return sp_map_no_memory(r);
    for (uint32_t i = 0; i < map->n_rules; i++) {
        const sp_json rule = sp_json_at(&rules, i);
        SP_TRY(read_rule(r, &rule, &map->rules[i]));
    }
    return SP_OK;
}

static sp_status read_map(const sp_map_reader *r, const sp_json *root, sp_map *map)
{
    static const char *const keys[] = {"schema",      "about", "fitted_on",
                                       "latest_only", "axes",  "rules"};
    sp_json fitted_on, latest_only;
    SP_TRY(sp_json_schema(root, "shardplan/training-points/1", r->err));
    SP_TRY(sp_json_only(root, keys, COUNT(keys), r->err));
    SP_TRY(sp_json_array(root, "fitted_on", &fitted_on, r->err));
    SP_TRY(sp_json_array(root, "latest_only", &latest_only, r->err));
    SP_TRY(sp_map_read_texts(r, &fitted_on, &map->fitted_on, &map->n_fitted_on));
    SP_TRY(sp_map_read_texts(r, &latest_only, &map->latest_only, &map->n_latest_only));
    SP_TRY(read_axes(r, root, map));
    return read_rules(r, root, map);
}

sp_status sp_map_load(sp_arena *arena, const char *home, const sp_csv *csv, sp_map *map,
                      sp_error *err)
{
    const sp_map_reader r = {arena, csv, sp_column_is_measured, err};
    const char *file = sp_arena_printf(arena, "%s/configs/validation/training-points.json", home);
    if (file == NULL) return sp_map_no_memory(&r);
    sp_json_doc *doc = NULL;
    SP_TRY(sp_json_load_file(file, &doc, err));
    const sp_json root = sp_json_root(doc);
    const sp_status status = read_map(&r, &root, map);
    sp_json_free(doc);
    return status;
}

/* ---- asking ---- */

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
        if (sp_map_tests_hold(map->rules[i].tests, map->rules[i].n_tests, csv, row))
            apply(&map->rules[i], setup);
    }
}
