/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns over the cells of a row, which the rules of every mapping have, and what reading one
 * takes. No rule may look at a measurement. */
#include "fidelity/fidelity_priv.h"

#include <string.h>

sp_status sp_map_no_memory(const sp_map_reader *r)
{
    return sp_fail(r->err, SP_E_MEMORY, "no memory for the mapping");
}

sp_status sp_map_keep(const sp_map_reader *r, const char *text, const char **kept)
{
    *kept = sp_arena_strdup(r->arena, text);
    return *kept != NULL ? SP_OK : sp_map_no_memory(r);
}

sp_status sp_map_keep_optional(const sp_map_reader *r, const sp_json *object, const char *key,
                               const char **kept)
{
    const char *text = NULL;
    SP_TRY(sp_json_string_or(object, key, NULL, &text, r->err));
    return text != NULL ? sp_map_keep(r, text, kept) : SP_OK;
}

sp_status sp_map_read_texts(const sp_map_reader *r, const sp_json *value, const char *const **texts,
                            uint32_t *n_texts)
{
    const bool many = sp_json_is_array(value);
    const size_t n = many ? sp_json_size(value) : 1;
    const char **list = sp_arena_alloc(r->arena, (n + 1) * sizeof *list);
    if (list == NULL) return sp_map_no_memory(r);
    for (size_t i = 0; i < n; i++) {
        const sp_json element = many ? sp_json_at(value, i) : *value;
        const char *text = NULL;
        SP_TRY(sp_json_as_string(&element, &text, r->err));
        SP_TRY(sp_map_keep(r, text, &list[i]));
    }
    *texts = list;
    *n_texts = (uint32_t)n;
    return SP_OK;
}

sp_status sp_map_find_column(const sp_map_reader *r, const sp_json *value, const char *name,
                             uint32_t *column)
{
    if (r->is_measured(name)) {
        return sp_json_fail(value, r->err, SP_E_INCONSISTENT,
                            "no prediction may look at %s, which is measured", name);
    }
    return sp_csv_need(r->csv, name, column, r->err);
}

static sp_status add_tests(const sp_map_reader *r, const sp_json *rule, const char *key,
                           bool negated, sp_map_test *tests, uint32_t *n_tests)
{
    if (!sp_json_has(rule, key)) return SP_OK;
    sp_json found;
    SP_TRY(sp_json_object(rule, key, &found, r->err));
    for (size_t i = 0; i < sp_json_size(&found); i++) {
        const sp_json value = sp_json_member(&found, i);
        sp_map_test *test = &tests[(*n_tests)++];
        test->negated = negated;
        SP_TRY(sp_map_find_column(r, &value, value.key, &test->column_idx));
        SP_TRY(sp_map_read_texts(r, &value, &test->patterns, &test->n_patterns));
    }
    return SP_OK;
}

sp_status sp_map_read_tests(const sp_map_reader *r, const sp_json *rule, sp_map_test **tests,
                            uint32_t *n_tests)
{
    const sp_json when = sp_json_get(rule, "when"), unless = sp_json_get(rule, "unless");
    const size_t n = sp_json_size(&when) + sp_json_size(&unless);
    *tests = sp_arena_alloc(r->arena, (n + 1) * sizeof **tests);
    if (*tests == NULL) return sp_map_no_memory(r);
    SP_TRY(add_tests(r, rule, "when", false, *tests, n_tests));
    return add_tests(r, rule, "unless", true, *tests, n_tests);
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

bool sp_map_tests_hold(const sp_map_test *tests, uint32_t n_tests, const sp_csv *csv, uint32_t row)
{
    for (uint32_t i = 0; i < n_tests; i++) {
        if (!sp_map_test_holds(&tests[i], csv, row)) return false;
    }
    return true;
}
