/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A table of measured calls while it is read, and what kinds of tables there are. */
#include "fidelity/ops.h"

#define SP_OPS_MAX_COLUMNS 16

struct sp_ops_kind;
struct sp_load_memo;

typedef struct sp_ops_reader {
    sp_ops *ops;
    const struct sp_ops_kind *kind;
    sp_csv csv;
    uint32_t column[SP_OPS_MAX_COLUMNS]; /* of kind->columns */
    uint32_t framework, version, kernel, latency;
    uint32_t last_kernel; /* rows of one kernel mostly stand together */
    struct sp_load_memo *memo;
    sp_error *err;
} sp_ops_reader;

/* One kind of table. */
typedef struct sp_ops_kind {
    const char *name; /* of the file, before .csv */
    sp_surface_op op;
    const char *columns[SP_OPS_MAX_COLUMNS]; /* that must be there */
    /* Fills the dimensions of a row and the words of its kernel. */
    sp_status (*read)(sp_ops_reader *r, uint32_t row, sp_ops_row *out, sp_ops_kernel *kernel);
    uint32_t n_shape, shape[4]; /* dimensions that make the whole shape; none: read() says it */
} sp_ops_kind;

/* ---- ops_kinds.c ---- */
/* By `op` where it is given, else by the name of the file. */
sp_status sp_ops_kind_find(const char *file, const char *op, const sp_ops_kind **out,
                           sp_error *err);
/* The cell of column i of the kind. */
const char *sp_ops_word(const sp_ops_reader *r, uint32_t row, uint32_t i);
/* A number of lo .. hi that must be there; column is one of the table. */
sp_status sp_ops_number(const sp_ops_reader *r, uint32_t row, uint32_t column, double lo, double hi,
                        double *value);

/* ---- ops_table.c ---- */
/* Appends one row under its kernel, whose words are copied. */
sp_status sp_ops_add(sp_ops *ops, const sp_ops_kernel *kernel, const sp_ops_row *row,
                     sp_error *err);

/* ---- ops_moe.c ---- */
/* Loads of routings that were worked out already: they repeat over widths and formats. */
struct sp_load_memo *sp_load_memo_make(void); /* NULL: no memory; free with sp_free */
sp_status sp_ops_read_moe(sp_ops_reader *r, uint32_t row, sp_ops_row *out, sp_ops_kernel *kernel);
/* A whole number of at least lo that must be there. */
sp_status sp_ops_count(const sp_ops_reader *r, uint32_t row, uint32_t i, double lo, double *value);
