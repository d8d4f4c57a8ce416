/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A small strict table reader (RFC 4180): commas, quotes, a header with distinct names, and as many
 * fields in every row. Errors name the line. */
#include "base/base.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SP_CSV_MAX_BYTES   ((size_t)64 << 20)
#define SP_CSV_MAX_COLUMNS 1024u
#define SP_CSV_MAX_ROWS    1000000u
#define SP_CSV_NO_COLUMN   UINT32_MAX

typedef struct sp_csv {
    const char *file; /* as given; borrowed */
    sp_text text;     /* the cells point into it */
    uint32_t n_columns, n_rows;
    uint32_t n_cells, capacity;
    char **cells; /* the header, then row by row */
    int *lines;   /* of the file on which a row begins; [0] is the header's */
} sp_csv;         /* {0} is an empty table */

sp_status sp_csv_load(const char *file, sp_csv *csv, sp_error *err);
/* name stands for the file in messages. */
sp_status sp_csv_parse(const char *text, size_t length, const char *name, sp_csv *csv,
                       sp_error *err);
void sp_csv_fini(sp_csv *csv);

/* SP_CSV_NO_COLUMN when there is none of that name. */
uint32_t sp_csv_column(const sp_csv *csv, const char *name);
/* As above; a missing one is refused with the nearest that is there. */
sp_status sp_csv_need(const sp_csv *csv, const char *name, uint32_t *column, sp_error *err);
/* Rows count from 0. Never NULL; "" for SP_CSV_NO_COLUMN. */
const char *sp_csv_cell(const sp_csv *csv, uint32_t row, uint32_t column);
/* Fills err for this cell: file, line, column name, value; returns status. */
sp_status sp_csv_fail(const sp_csv *csv, uint32_t row, uint32_t column, sp_error *err,
                      sp_status status, const char *message);
/* A number of lo .. hi; an empty cell gives `blank`. */
sp_status sp_csv_double(const sp_csv *csv, uint32_t row, uint32_t column, double lo, double hi,
                        double blank, double *value, sp_error *err);
/* A whole number of lo .. hi, also written "8.0"; an empty cell gives `blank`. */
sp_status sp_csv_u32(const sp_csv *csv, uint32_t row, uint32_t column, uint32_t lo, uint32_t hi,
                     uint32_t blank, uint32_t *value, sp_error *err);
