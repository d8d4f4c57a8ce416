/* SPDX-License-Identifier: Apache-2.0 */
/* The types of Hugging Face configurations that can be read, from the names of their files. */
#include "report/report_priv.h"
#include "spec/spec.h"

/* Enough columns for one screen; the JSON has a row for each name. */
enum { TABLE_COLUMNS = 4 };

static void write_row(sp_listing *l, const char *const *names, size_t n, uint32_t columns)
{
    for (uint32_t column = 0; column < columns; column++) {
        sp_listing_text(l, column < n ? names[column] : "");
    }
    sp_listing_row_end(l);
}

sp_status sp_list_types(sp_listing *l, sp_error *err)
{
    static const char *const keys[] = {"name"};
    static const char *const headers[] = {"model_type", "", "", ""};
    static const char *const table_keys[] = {"", "", "", ""};
    const char *const *names = NULL;
    size_t n = 0;
    const uint32_t columns = l->json ? 1 : TABLE_COLUMNS;
    sp_listing_begin(l, l->json ? keys : table_keys, headers, columns, 0);
    SP_TRY(sp_model_type_names(&l->arena, l->home, &names, &n, err));
    for (size_t i = 0; i < n && sp_listing_row(l); i += columns) {
        write_row(l, names + i, n - i, columns);
    }
    return SP_OK;
}
