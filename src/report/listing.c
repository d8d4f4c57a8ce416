/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of a list that become a table for people and objects for programs. */
#include "report/report_priv.h"

#include <assert.h>

void sp_listing_init(sp_listing *l, const char *home, bool json, struct sp_text *document)
{
    *l = (sp_listing){.home = home, .json = json};
    sp_grid_init(&l->grid, 12, SP_LISTING_ROWS);
    sp_jw_init(&l->writer, document);
}

void sp_listing_fini(sp_listing *l)
{
    sp_grid_fini(&l->grid);
    sp_arena_fini(&l->arena);
}

void sp_listing_begin(sp_listing *l, const char *const *keys, const char *const *headers,
                      uint32_t n, uint32_t numbers)
{
    l->keys = keys;
    l->n_keys = n;
    for (uint32_t i = 0; i < n; i++) {
        sp_grid_column_add(&l->grid, headers[i], (numbers >> i & 1) != 0 ? SP_RIGHT : SP_LEFT, 0);
    }
}

bool sp_listing_row(sp_listing *l)
{
    if (l->n_rows == SP_LISTING_ROWS) return false;
    l->n_rows++;
    l->column = 0;
    sp_grid_row_add(&l->grid, SP_TONE_PLAIN);
    if (l->json) sp_jw_open_object(&l->writer, NULL);
    return true;
}

void sp_listing_row_end(sp_listing *l)
{
    assert(l->column == l->n_keys);
    if (l->json) sp_jw_close_object(&l->writer);
}

void sp_listing_text(sp_listing *l, const char *text)
{
    if (l->json) sp_jw_string(&l->writer, l->keys[l->column], text);
    sp_grid_set(&l->grid, l->column++, text);
}

void sp_listing_count(sp_listing *l, uint64_t n)
{
    if (l->json) sp_jw_u64(&l->writer, l->keys[l->column], n);
    sp_grid_set(&l->grid, l->column++, sp_word_count(n).text);
}

void sp_listing_number(sp_listing *l, double x, sp_word word)
{
    if (l->json && x != 0.0) sp_jw_double(&l->writer, l->keys[l->column], x);
    sp_grid_set(&l->grid, l->column++, x != 0.0 ? word.text : "-");
}
