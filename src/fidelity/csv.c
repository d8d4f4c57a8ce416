/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a table in place: every cell is unquoted where it stands and ends in a zero. */
#include "fidelity/csv.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct reader {
    sp_csv *csv;
    char *at;
    int line;
    uint32_t n_fields; /* of the row so far */
    sp_error *err;
} reader;

static sp_status fail_line(const reader *r, int line, sp_status status, const char *message)
{
    sp_fail(r->err, status, "%s", message);
    r->err->line = line;
    return sp_fail_file(r->err, r->csv->file);
}

static sp_status add_cell(reader *r, char *cell)
{
    sp_csv *csv = r->csv;
    if (csv->n_cells == csv->capacity) {
        const uint32_t capacity = csv->capacity == 0 ? 1024 : 2 * csv->capacity;
        char **grown = sp_realloc(csv->cells, capacity * sizeof *grown);
        if (grown == NULL) return sp_fail(r->err, SP_E_MEMORY, "no memory for the table");
        csv->cells = grown;
        csv->capacity = capacity;
    }
    csv->cells[csv->n_cells++] = cell;
    r->n_fields++;
    return SP_OK;
}

/* Moves a quoted field over its quotes; *end is the first character behind it. */
static sp_status unquote(reader *r, char **end)
{
    const int first_line = r->line;
    char *from = r->at + 1, *to = r->at;
    for (; *from != '\0'; from++) {
        if (*from == '"' && from[1] != '"') {
            *to = '\0';
            *end = from + 1;
            return SP_OK;
        }
        from += *from == '"';
        r->line += *from == '\n';
        *to++ = *from;
    }
    return fail_line(r, first_line, SP_E_SYNTAX, "a quoted field does not end");
}

/* Reads one field; *stop is the character that ended it (',' '\n' or zero). */
static sp_status read_field(reader *r, char *stop)
{
    char *const cell = r->at;
    char *end = cell;
    if (*cell == '"') {
        SP_TRY(unquote(r, &end));
        if (strchr(",\r\n", *end) == NULL) {
            return fail_line(r, r->line, SP_E_SYNTAX, "text follows the quote that ends a field");
        }
    } else {
        end += strcspn(cell, ",\r\n\"");
        if (*end == '"') {
            return fail_line(r, r->line, SP_E_SYNTAX, "a quote stands inside an unquoted field");
        }
    }
    char *next = end;
    if (*next == '\r' && next[1] == '\n') next++;
    if (*next == '\r') return fail_line(r, r->line, SP_E_SYNTAX, "a carriage return stands alone");
    *stop = *next;
    r->at = next + (*next != '\0');
    *end = '\0';
    return add_cell(r, cell);
}

static sp_status check_width(const reader *r, int line)
{
    const sp_csv *csv = r->csv;
    if (r->n_fields == csv->n_columns) return SP_OK;
    (void)fail_line(r, line, SP_E_INCONSISTENT, "the row has not as many fields as the header");
    (void)sp_fail_value(r->err, "%u", r->n_fields);
    return sp_fail_range(r->err, "%u", csv->n_columns);
}

static sp_status read_row(reader *r, int *line)
{
    char stop = ',';
    *line = r->line;
    r->n_fields = 0;
    while (stop == ',') {
        SP_TRY(read_field(r, &stop));
        if (r->n_fields > SP_CSV_MAX_COLUMNS) {
            (void)fail_line(r, *line, SP_E_RANGE, "too many columns");
            return sp_fail_range(r->err, "1 .. %u", SP_CSV_MAX_COLUMNS);
        }
    }
    r->line += stop == '\n';
    return SP_OK;
}

static sp_status check_header(const reader *r)
{
    char **names = r->csv->cells;
    for (uint32_t i = 0; i < r->csv->n_columns; i++) {
        if (names[i][0] == '\0') return fail_line(r, 1, SP_E_SYNTAX, "a column has no name");
        for (uint32_t k = 0; k < i; k++) {
            if (strcmp(names[i], names[k]) != 0) continue;
            (void)fail_line(r, 1, SP_E_INCONSISTENT, "two columns have one name");
            return sp_fail_value(r->err, "%s", names[i]);
        }
    }
    return SP_OK;
}

static sp_status add_line(reader *r, int line)
{
    sp_csv *csv = r->csv;
    if (csv->n_rows == SP_CSV_MAX_ROWS) {
        (void)fail_line(r, line, SP_E_RANGE, "too many rows");
        return sp_fail_range(r->err, "1 .. %u", SP_CSV_MAX_ROWS);
    }
    csv->lines[++csv->n_rows] = line;
    return check_width(r, line);
}

static sp_status read_rows(reader *r)
{
    sp_csv *csv = r->csv;
    while (*r->at != '\0') {
        int line = 0;
        SP_TRY(read_row(r, &line));
        SP_TRY(add_line(r, line));
    }
    return csv->n_rows > 0 ? SP_OK
                           : fail_line(r, 1, SP_E_SYNTAX, "the table has a header and no rows");
}

/* No table has more rows than line ends. */
static sp_status make_lines(reader *r)
{
    size_t n = 2;
    for (const char *c = r->at; *c != '\0'; c++) {
        n += *c == '\n';
    }
    r->csv->lines = sp_alloc(n * sizeof *r->csv->lines);
    return r->csv->lines != NULL ? SP_OK : sp_fail(r->err, SP_E_MEMORY, "no memory for the table");
}

static sp_status read_table(sp_csv *csv, sp_error *err)
{
    static const char byte_order_mark[] = "\xef\xbb\xbf";
    reader r = {.csv = csv, .at = csv->text.data, .line = 1, .err = err};
    if (csv->text.length == 0) return fail_line(&r, 1, SP_E_SYNTAX, "the table is empty");
    if (strlen(csv->text.data) != csv->text.length) {
        return fail_line(&r, 0, SP_E_SYNTAX, "a zero byte stands in the table: it is no text");
    }
    if (strncmp(r.at, byte_order_mark, 3) == 0) r.at += 3;
    SP_TRY(make_lines(&r));
    SP_TRY(read_row(&r, &csv->lines[0]));
    csv->n_columns = r.n_fields;
    SP_TRY(check_header(&r));
    return read_rows(&r);
}

sp_status sp_csv_parse(const char *text, size_t length, const char *name, sp_csv *csv,
                       sp_error *err)
{
    *csv = (sp_csv){.file = name};
    sp_text_add_n(&csv->text, text, length);
    if (csv->text.failed) return sp_fail(err, SP_E_MEMORY, "no memory for the table");
    return read_table(csv, err);
}

sp_status sp_csv_load(const char *file, sp_csv *csv, sp_error *err)
{
    *csv = (sp_csv){.file = file};
    SP_TRY(sp_file_read(file, SP_CSV_MAX_BYTES, &csv->text, err));
    return read_table(csv, err);
}

void sp_csv_fini(sp_csv *csv)
{
    sp_text_fini(&csv->text);
    sp_free(csv->cells);
    sp_free(csv->lines);
    *csv = (sp_csv){0};
}

/* ---- cells ---- */

uint32_t sp_csv_column(const sp_csv *csv, const char *name)
{
    for (uint32_t i = 0; i < csv->n_columns; i++) {
        if (strcmp(csv->cells[i], name) == 0) return i;
    }
    return SP_CSV_NO_COLUMN;
}

static const char *const *header_names(const sp_csv *csv)
{
    return (const char *const *)csv->cells;
}

sp_status sp_csv_need(const sp_csv *csv, const char *name, uint32_t *column, sp_error *err)
{
    *column = sp_csv_column(csv, name);
    if (*column != SP_CSV_NO_COLUMN) return SP_OK;
    sp_fail(err, SP_E_MISSING_KEY, "the header names no column %s", name);
    err->line = csv->lines[0];
    const char *nearest = sp_name_nearest(name, header_names(csv), csv->n_columns);
    if (nearest != NULL) {
        (void)snprintf(err->nearest, sizeof err->nearest, "%.60s", nearest);
    }
    return sp_fail_file(err, csv->file);
}

const char *sp_csv_cell(const sp_csv *csv, uint32_t row, uint32_t column)
{
    assert(row < csv->n_rows);
    return column == SP_CSV_NO_COLUMN ? ""
                                      : csv->cells[(size_t)(row + 1) * csv->n_columns + column];
}

sp_status sp_csv_fail(const sp_csv *csv, uint32_t row, uint32_t column, sp_error *err,
                      sp_status status, const char *message)
{
    assert(column < csv->n_columns);
    sp_fail(err, status, "%s", message);
    (void)snprintf(err->path, sizeof err->path, "column %.*s", 160, csv->cells[column]);
    (void)sp_fail_value(err, "%s", sp_csv_cell(csv, row, column));
    err->line = csv->lines[row + 1];
    return sp_fail_file(err, csv->file);
}

/* The decimal numbers of data files: no spaces, no hexadecimal, nothing that is not finite. */
static bool read_number(const char *cell, double *value)
{
    char *end = NULL;
    if (cell[0] == '\0' || strspn(cell, "+-.0123456789eE") != strlen(cell)) return false;
    *value = strtod(cell, &end);
    return *end == '\0' && isfinite(*value);
}

sp_status sp_csv_double(const sp_csv *csv, uint32_t row, uint32_t column, double lo, double hi,
                        double blank, double *value, sp_error *err)
{
    const char *cell = sp_csv_cell(csv, row, column);
    *value = blank;
    if (cell[0] == '\0') return SP_OK;
    if (!read_number(cell, value)) {
        return sp_csv_fail(csv, row, column, err, SP_E_TYPE, "must be a number or empty");
    }
    if (*value >= lo && *value <= hi) return SP_OK;
    (void)sp_csv_fail(csv, row, column, err, SP_E_RANGE, "must be a number within the range");
    return sp_fail_range(err, "%g .. %g", lo, hi);
}

sp_status sp_csv_u32(const sp_csv *csv, uint32_t row, uint32_t column, uint32_t lo, uint32_t hi,
                     uint32_t blank, uint32_t *value, sp_error *err)
{
    double number = 0.0;
    *value = blank;
    if (sp_csv_cell(csv, row, column)[0] == '\0') return SP_OK;
    SP_TRY(sp_csv_double(csv, row, column, lo, hi, blank, &number, err));
    *value = (uint32_t)number;
    if (number == *value) return SP_OK;
    (void)sp_csv_fail(csv, row, column, err, SP_E_TYPE, "must be a whole number");
    return sp_fail_range(err, "%" PRIu32 " .. %" PRIu32, lo, hi);
}
