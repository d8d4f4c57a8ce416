/* SPDX-License-Identifier: Apache-2.0 */
/* The columns of a table of training runs, told apart by whether they configure or measure. */
#include "fidelity/fidelity_priv.h"

#include <assert.h>
#include <string.h>

typedef struct column_kind {
    const char *name;
    bool needed, measured;
} column_kind;

#define COLUMN(id, name, needed, measured) {name, needed, measured},
static const column_kind columns[SP_N_COLUMNS] = {SP_COLUMN_LIST(COLUMN)};
#undef COLUMN

bool sp_column_is_measured(const char *name)
{
    for (uint32_t i = 0; i < SP_N_COLUMNS; i++) {
        if (strcmp(columns[i].name, name) == 0) return columns[i].measured;
    }
    return false;
}

static sp_status find_columns(sp_table *table, sp_error *err)
{
    for (uint32_t i = 0; i < SP_N_COLUMNS; i++) {
        table->at[i] = sp_csv_column(&table->csv, columns[i].name);
        if (!columns[i].needed) continue;
        SP_TRY(sp_csv_need(&table->csv, columns[i].name, &table->at[i], err));
    }
    return SP_OK;
}

sp_status sp_table_load(const char *file, sp_table *table, sp_error *err)
{
    SP_TRY(sp_csv_load(file, &table->csv, err));
    return find_columns(table, err);
}

void sp_table_fini(sp_table *table)
{
    sp_csv_fini(&table->csv);
}

const char *sp_table_text(const sp_table *table, uint32_t row, sp_column column)
{
    assert(column < SP_N_COLUMNS);
    return sp_csv_cell(&table->csv, row, table->at[column]);
}

sp_status sp_table_u32(const sp_table *table, uint32_t row, sp_column column, uint32_t hi,
                       uint32_t *value, sp_error *err)
{
    return sp_csv_u32(&table->csv, row, table->at[column], 0, hi, 0, value, err);
}

sp_status sp_table_double(const sp_table *table, uint32_t row, sp_column column, double hi,
                          double *value, sp_error *err)
{
    return sp_csv_double(&table->csv, row, table->at[column], 0.0, hi, 0.0, value, err);
}

sp_status sp_table_switch(const sp_table *table, uint32_t row, sp_column column, bool *on,
                          sp_error *err)
{
    uint32_t value = 0;
    SP_TRY(sp_table_u32(table, row, column, 1, &value, err));
    *on = value == 1;
    return SP_OK;
}
