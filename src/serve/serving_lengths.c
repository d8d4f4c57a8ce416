/* SPDX-License-Identifier: Apache-2.0 */
/* --lengths FILE: pairs of prompt and answer with their weights, as a JSON list of {"isl", "osl",
 * "weight"} or as CSV with columns of these names; without weights all count alike. */
#include "serve/serving_priv.h"

#include <stdlib.h>
#include <string.h>

#define MAX_BYTES   (64u << 20)
#define MAX_LENGTHS 1000000u
#define MOST_TOKENS 1e8

static bool ends_in(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static sp_status make_room(sp_arena *arena, size_t n, sp_length **list, sp_error *err)
{
    *list = sp_arena_alloc(arena, (n + 1) * sizeof **list);
    return *list != NULL ? SP_OK : sp_fail(err, SP_E_MEMORY, "no memory for %zu lengths", n);
}

/* ---- JSON ---- */

static sp_status read_entry(const sp_json *entry, sp_length *out, sp_error *err)
{
    static const char *const keys[] = {"isl", "osl", "weight"};
    SP_TRY(sp_json_only(entry, keys, 3, err));
    SP_TRY(sp_json_double(entry, "isl", 1.0, MOST_TOKENS, &out->isl, err));
    SP_TRY(sp_json_double(entry, "osl", 1.0, MOST_TOKENS, &out->osl, err));
    return sp_json_double_or(entry, "weight", 0.0, 1e15, 1.0, &out->weight, err);
}

static sp_status read_list(sp_arena *arena, const sp_json *root, sp_length **list, uint32_t *n,
                           sp_error *err)
{
    const size_t size = sp_json_size(root);
    if (!sp_json_is_array(root) || size == 0 || size > MAX_LENGTHS) {
        return sp_json_fail(root, err, SP_E_TYPE,
                            "a list of {\"isl\", \"osl\", \"weight\"}, 1 to %u of them",
                            MAX_LENGTHS);
    }
    SP_TRY(make_room(arena, size, list, err));
    for (size_t i = 0; i < size; i++) {
        const sp_json entry = sp_json_at(root, i);
        SP_TRY(read_entry(&entry, &(*list)[i], err));
    }
    *n = (uint32_t)size;
    return SP_OK;
}

static sp_status load_json(sp_arena *arena, const char *file, sp_length **list, uint32_t *n,
                           sp_error *err)
{
    sp_json_doc *doc = NULL;
    SP_TRY(sp_json_load_file(file, &doc, err));
    const sp_json root = sp_json_root(doc);
    const sp_status status = read_list(arena, &root, list, n, err);
    sp_json_free(doc);
    return status;
}

/* ---- CSV ---- */

enum { ISL, OSL, WEIGHT, N_COLUMNS };

static sp_status fail_line(const char *file, unsigned line, const char *message, sp_error *err)
{
    sp_fail(err, SP_E_SYNTAX, "line %u: %s", line, message);
    return sp_fail_file(err, file);
}

/* Which column of the table holds what: at[] is -1 where it has none. */
static sp_status read_header(const char *file, char *header, int at[N_COLUMNS], sp_error *err)
{
    static const char *const names[N_COLUMNS] = {"isl", "osl", "weight"};
    int column = 0;
    for (char *cell = header; cell != NULL; column++) {
        char *comma = strchr(cell, ',');
        if (comma != NULL) *comma = '\0';
        for (int i = 0; i < N_COLUMNS; i++) {
            if (strcmp(cell, names[i]) == 0) at[i] = column;
        }
        cell = comma != NULL ? comma + 1 : NULL;
    }
    if (at[ISL] >= 0 && at[OSL] >= 0) return SP_OK;
    return fail_line(file, 1, "the columns isl and osl are needed; weight may be beside them", err);
}

static sp_status read_row(const char *file, unsigned line, char *row, const int at[N_COLUMNS],
                          sp_length *out, sp_error *err)
{
    double values[N_COLUMNS] = {0.0, 0.0, 1.0};
    int column = 0;
    for (char *cell = row; cell != NULL; column++) {
        char *comma = strchr(cell, ',');
        if (comma != NULL) *comma = '\0';
        for (int i = 0; i < N_COLUMNS; i++) {
            char *end = cell;
            if (at[i] != column) continue;
            values[i] = strtod(cell, &end);
            if (end == cell || *end != '\0') {
                return fail_line(file, line, "a number was expected", err);
            }
        }
        cell = comma != NULL ? comma + 1 : NULL;
    }
    *out = (sp_length){values[ISL], values[OSL], values[WEIGHT]};
    const bool lengths =
        out->isl >= 1.0 && out->isl <= MOST_TOKENS && out->osl >= 1.0 && out->osl <= MOST_TOKENS;
    if (lengths && out->weight >= 0.0 && out->weight <= 1e15) return SP_OK;
    return fail_line(file, line, "isl and osl are 1 token or more, a weight is 0 or more", err);
}

static sp_status read_table(sp_arena *arena, const char *file, char *text, sp_length **list,
                            uint32_t *n, sp_error *err)
{
    int at[N_COLUMNS] = {-1, -1, -1};
    size_t n_lines = 0;
    unsigned line = 0;
    for (const char *c = text; *c != '\0'; c++) {
        n_lines += *c == '\n';
    }
    if (n_lines > MAX_LENGTHS) return fail_line(file, MAX_LENGTHS, "too many lengths", err);
    SP_TRY(make_room(arena, n_lines + 1, list, err));
    for (char *row = text; row != NULL && *row != '\0';) {
        char *next = strchr(row, '\n');
        if (next != NULL) *next++ = '\0';
        row[strcspn(row, "\r")] = '\0';
        line++;
        if (line == 1) {
            SP_TRY(read_header(file, row, at, err));
        } else if (row[0] != '\0') {
            SP_TRY(read_row(file, line, row, at, &(*list)[*n], err));
            (*n)++;
        }
        row = next;
    }
    return *n > 0 ? SP_OK : fail_line(file, line, "no lengths are in the file", err);
}

static sp_status load_csv(sp_arena *arena, const char *file, sp_length **list, uint32_t *n,
                          sp_error *err)
{
    sp_text text = {0};
    sp_status status = sp_file_read(file, MAX_BYTES, &text, err);
    if (status == SP_OK && text.data == NULL) {
        status = fail_line(file, 1, "no lengths are in the file", err);
    }
    if (status == SP_OK) status = read_table(arena, file, text.data, list, n, err);
    sp_text_fini(&text);
    return status;
}

sp_status sp_lengths_load(sp_arena *arena, const char *file, const sp_length **lengths, uint32_t *n,
                          sp_error *err)
{
    sp_length *list = NULL;
    double sum = 0.0;
    *n = 0;
    SP_TRY(ends_in(file, ".csv") ? load_csv(arena, file, &list, n, err)
                                 : load_json(arena, file, &list, n, err));
    for (uint32_t i = 0; i < *n; i++) {
        sum += list[i].weight;
    }
    if (sum <= 0.0) {
        sp_fail(err, SP_E_RANGE, "all weights are 0");
        return sp_fail_file(err, file);
    }
    *lengths = list;
    return SP_OK;
}
