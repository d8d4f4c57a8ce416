/* SPDX-License-Identifier: Apache-2.0 */
/* The columns of a table of deployments, and the rules that make number formats and a run of its
 * words. */
#include "fidelity/deployed.h"

#include <assert.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

typedef struct column_kind {
    const char *name;
    bool needed, measured;
} column_kind;

#define COLUMN(id, name, needed, measured) {name, needed, measured},
static const column_kind columns[SP_N_DEPLOYED_COLUMNS] = {SP_DEPLOYED_COLUMN_LIST(COLUMN)};
#undef COLUMN

bool sp_deployed_column_is_measured(const char *name)
{
    for (uint32_t i = 0; i < SP_N_DEPLOYED_COLUMNS; i++) {
        if (strcmp(columns[i].name, name) == 0) return columns[i].measured;
    }
    return false;
}

sp_status sp_deployed_table_load(const char *file, sp_deployed_table *table, sp_error *err)
{
    SP_TRY(sp_csv_load(file, &table->csv, err));
    for (uint32_t i = 0; i < SP_N_DEPLOYED_COLUMNS; i++) {
        table->at[i] = sp_csv_column(&table->csv, columns[i].name);
        if (!columns[i].needed) continue;
        SP_TRY(sp_csv_need(&table->csv, columns[i].name, &table->at[i], err));
    }
    return SP_OK;
}

void sp_deployed_table_fini(sp_deployed_table *table)
{
    sp_csv_fini(&table->csv);
}

const char *sp_deployed_text(const sp_deployed_table *table, uint32_t row,
                             sp_deployed_column column)
{
    assert(column < SP_N_DEPLOYED_COLUMNS);
    return sp_csv_cell(&table->csv, row, table->at[column]);
}

sp_status sp_deployed_double(const sp_deployed_table *table, uint32_t row,
                             sp_deployed_column column, double *value, sp_error *err)
{
    return sp_csv_double(&table->csv, row, table->at[column], 0.0, 1e12, 0.0, value, err);
}

sp_status sp_deployed_u32(const sp_deployed_table *table, uint32_t row, sp_deployed_column column,
                          uint32_t *value, sp_error *err)
{
    return sp_csv_u32(&table->csv, row, table->at[column], 0, 1u << 30, 0, value, err);
}

/* ---- rules ---- */

static sp_status read_rule(const sp_map_reader *r, const sp_json *rule, sp_deployed_rule *out)
{
    static const char *const keys[] = {"when",
                                       "unless",
                                       "attention",
                                       "ffn",
                                       "attention_compute",
                                       "ffn_compute",
                                       "kv",
                                       "length_ratio",
                                       "requests_per_user",
                                       "step_tokens",
                                       "step_prompts",
                                       "step_users",
                                       "poll_steps",
                                       "mixes",
                                       "spreads",
                                       "running",
                                       "draft_tokens",
                                       "acceptance",
                                       "skip",
                                       "source"};
    const char *source = NULL;
    SP_TRY(sp_json_only(rule, keys, COUNT(keys), r->err));
    SP_TRY(sp_json_string(rule, "source", &source, r->err));
    SP_TRY(sp_map_read_tests(r, rule, &out->tests, &out->n_tests));
    SP_TRY(sp_map_keep_optional(r, rule, "attention", &out->attention));
    SP_TRY(sp_map_keep_optional(r, rule, "ffn", &out->ffn));
    SP_TRY(sp_map_keep_optional(r, rule, "skip", &out->skip));
    SP_TRY(sp_json_double_or(rule, "kv", 1.0, 64.0, 0.0, &out->kv_bits, r->err));
    SP_TRY(sp_json_double_or(rule, "length_ratio", 0.01, 1.0, 0.0, &out->length_ratio, r->err));
    SP_TRY(sp_json_double_or(rule, "requests_per_user", 1.0, 1e9, 0.0, &out->requests_per_user,
                             r->err));
    SP_TRY(sp_json_double_or(rule, "step_tokens", 1.0, 1e9, 0.0, &out->step_tokens, r->err));
    SP_TRY(sp_json_double_or(rule, "step_prompts", 0.01, 1e6, 0.0, &out->step_prompts, r->err));
    SP_TRY(sp_json_double_or(rule, "step_users", 0.0, 1e6, 0.0, &out->step_users, r->err));
    SP_TRY(sp_json_bool_or(rule, "mixes", false, &out->mixes, r->err));
    SP_TRY(sp_json_double_or(rule, "draft_tokens", 1.0, 16.0, 0.0, &out->draft_tokens, r->err));
    SP_TRY(sp_json_double_or(rule, "acceptance", 0.0, 1.0, 0.0, &out->acceptance, r->err));
    SP_TRY(sp_json_bool_or(rule, "spreads", false, &out->spreads, r->err));
    SP_TRY(sp_json_double_or(rule, "poll_steps", 1.0, 1e6, 0.0, &out->poll_steps, r->err));
    return sp_json_double_or(rule, "running", 1.0, 1e9, 0.0, &out->running, r->err);
}

static sp_status read_map(const sp_map_reader *r, const sp_json *root, sp_deployed_map *map)
{
    static const char *const keys[] = {"schema", "about", "fitted_on", "rules"};
    sp_json fitted_on, rules;
    SP_TRY(sp_json_schema(root, "shardplan/serving-points/1", r->err));
    SP_TRY(sp_json_only(root, keys, COUNT(keys), r->err));
    SP_TRY(sp_json_array(root, "fitted_on", &fitted_on, r->err));
    SP_TRY(sp_map_read_texts(r, &fitted_on, &map->fitted_on, &map->n_fitted_on));
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

sp_status sp_deployed_map_load(sp_arena *arena, const char *home, const sp_csv *csv,
                               sp_deployed_map *map, sp_error *err)
{
    const sp_map_reader r = {arena, csv, sp_deployed_column_is_measured, err};
    const char *file = sp_arena_printf(arena, "%s/configs/validation/serving-points.json", home);
    if (file == NULL) return sp_map_no_memory(&r);
    sp_json_doc *doc = NULL;
    SP_TRY(sp_json_load_file(file, &doc, err));
    const sp_json root = sp_json_root(doc);
    const sp_status status = read_map(&r, &root, map);
    sp_json_free(doc);
    return status;
}

sp_deployed_rule sp_deployed_map_apply(const sp_deployed_map *map, const sp_csv *csv, uint32_t row)
{
    sp_deployed_rule all = {0};
    for (uint32_t i = 0; i < map->n_rules; i++) {
        const sp_deployed_rule *rule = &map->rules[i];
        if (!sp_map_tests_hold(rule->tests, rule->n_tests, csv, row)) continue;
        if (rule->attention != NULL) all.attention = rule->attention;
        if (rule->ffn != NULL) all.ffn = rule->ffn;
        if (rule->skip != NULL) all.skip = rule->skip;
        if (rule->kv_bits > 0.0) all.kv_bits = rule->kv_bits;
        if (rule->length_ratio > 0.0) all.length_ratio = rule->length_ratio;
        if (rule->requests_per_user > 0.0) all.requests_per_user = rule->requests_per_user;
        if (rule->poll_steps > 0.0) all.poll_steps = rule->poll_steps;
        if (rule->running > 0.0) all.running = rule->running;
        if (rule->draft_tokens > 0.0) all.draft_tokens = rule->draft_tokens;
        if (rule->acceptance > 0.0) all.acceptance = rule->acceptance;
        all.mixes = all.mixes || rule->mixes;
        all.spreads = all.spreads || rule->spreads;
        if (rule->step_tokens <= 0.0 && rule->step_prompts <= 0.0) continue;
        all.step_tokens = rule->step_tokens;
        all.step_prompts = rule->step_prompts;
        all.step_users = rule->step_users;
    }
    return all;
}
