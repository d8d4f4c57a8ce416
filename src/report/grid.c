/* SPDX-License-Identifier: Apache-2.0 */
/* A table of text: columns as wide as their widest cell, two blanks between them. Columns that
 * matter least are left out where a line would be too long. */
#include "report/report_priv.h"

#include <assert.h>
#include <string.h>

#define MAX_COLUMNS 32u

void sp_grid_init(sp_grid *grid, uint32_t max_columns, uint32_t max_rows)
{
    assert(max_columns <= MAX_COLUMNS);
    *grid = (sp_grid){.capacity = max_rows};
    const size_t n_cells = (size_t)max_rows * max_columns;
    grid->columns = sp_arena_alloc(&grid->arena, max_columns * sizeof *grid->columns);
    grid->cells = sp_arena_alloc(&grid->arena, (n_cells + 1) * sizeof *grid->cells);
    grid->tones = sp_arena_alloc(&grid->arena, (max_rows + 1u) * sizeof *grid->tones);
    grid->failed = grid->columns == NULL || grid->cells == NULL || grid->tones == NULL;
}

void sp_grid_fini(sp_grid *grid)
{
    sp_arena_fini(&grid->arena);
}

uint32_t sp_grid_column_add(sp_grid *grid, const char *header, sp_grid_align align, uint8_t rank)
{
    assert(grid->n_rows == 0 && grid->n_columns < MAX_COLUMNS);
    const char *copy = sp_arena_strdup(&grid->arena, header);
    grid->failed = grid->failed || copy == NULL;
    if (!grid->failed) grid->columns[grid->n_columns] = (sp_grid_column){copy, align, rank};
    return grid->n_columns++;
}

uint32_t sp_grid_row_add(sp_grid *grid, sp_tone tone)
{
    assert(grid->n_rows < grid->capacity);
    if (!grid->failed) grid->tones[grid->n_rows] = tone;
    return grid->n_rows++;
}

void sp_grid_set(sp_grid *grid, uint32_t column, const char *text)
{
    assert(column < grid->n_columns && grid->n_rows > 0);
    if (grid->failed) return;
    const char *copy = sp_arena_strdup(&grid->arena, text);
    grid->failed = copy == NULL;
    grid->cells[(size_t)(grid->n_rows - 1) * grid->n_columns + column] = copy;
}

static const char *cell_of(const sp_grid *grid, uint32_t row, uint32_t column)
{
    const char *text = grid->cells[(size_t)row * grid->n_columns + column];
    return text != NULL ? text : "";
}

static void measure(const sp_grid *grid, size_t *widths)
{
    for (uint32_t c = 0; c < grid->n_columns; c++) {
        widths[c] = strlen(grid->columns[c].header);
        for (uint32_t r = 0; r < grid->n_rows; r++) {
            const size_t length = strlen(cell_of(grid, r, c));
            if (length > widths[c]) widths[c] = length;
        }
    }
}

static size_t gap_of(const sp_grid *grid, uint32_t column)
{
    return grid->columns[column].align == SP_RIGHT_CLOSE ? 1 : 2;
}

static size_t line_width(const sp_grid *grid, const size_t *widths, uint32_t indent)
{
    size_t total = indent;
    for (uint32_t c = 0; c < grid->n_columns; c++) {
        if (widths[c] > 0) total += widths[c] + (total > indent ? gap_of(grid, c) : 0);
    }
    return total;
}

/* Sets the widths of columns that have no room to 0. */
static void fit(const sp_grid *grid, uint32_t indent, uint32_t width, size_t *widths)
{
    while (line_width(grid, widths, indent) > width) {
        uint32_t last = MAX_COLUMNS;
        for (uint32_t c = 0; c < grid->n_columns; c++) {
            const uint8_t rank = grid->columns[c].rank;
            if (widths[c] == 0 || rank == 0) continue;
            if (last == MAX_COLUMNS || rank > grid->columns[last].rank) last = c;
        }
        if (last == MAX_COLUMNS) return;
        widths[last] = 0;
    }
}

bool sp_grid_shows(const sp_grid *grid, const char *header, uint32_t indent, uint32_t width)
{
    size_t widths[MAX_COLUMNS];
    if (grid->failed) return false;
    measure(grid, widths);
    fit(grid, indent, width, widths);
    for (uint32_t c = 0; c < grid->n_columns; c++) {
        if (strcmp(grid->columns[c].header, header) == 0) return widths[c] > 0;
    }
    return false;
}

static void add_blanks(struct sp_text *out, size_t n)
{
    sp_text_printf(out, "%*s", (int)n, "");
}

typedef struct layout {
    const sp_grid *grid;
    uint32_t indent;
    size_t widths[MAX_COLUMNS];
} layout;

/* One line; row UINT32_MAX is the header. Blanks at the end of a line are left out. */
static void write_line(const layout *l, uint32_t row, struct sp_text *line)
{
    line->length = 0;
    size_t owed = l->indent;
    bool first = true;
    for (uint32_t c = 0; c < l->grid->n_columns; c++) {
        if (l->widths[c] == 0) continue;
        const sp_grid_column *column = &l->grid->columns[c];
        const bool right = column->align != SP_LEFT;
        const char *text = row == UINT32_MAX ? column->header : cell_of(l->grid, row, c);
        const size_t rest = l->widths[c] - strlen(text);
        owed += (first ? 0 : gap_of(l->grid, c)) + (right ? rest : 0);
        first = false;
        if (text[0] != '\0') {
            add_blanks(line, owed);
            sp_text_add(line, text);
            owed = 0;
        }
        owed += right ? 0 : rest;
    }
}

void sp_grid_write(const sp_grid *grid, uint32_t indent, uint32_t width, bool color,
                   struct sp_text *out)
{
    if (grid->failed) {
        out->failed = true;
        return;
    }
    layout l = {.grid = grid, .indent = indent};
    measure(grid, l.widths);
    fit(grid, indent, width, l.widths);
    sp_text line = {0};
    write_line(&l, UINT32_MAX, &line);
    sp_tone_add(out, color, SP_TONE_STRONG, line.length > 0 ? line.data : "");
    sp_text_add(out, "\n");
    for (uint32_t r = 0; r < grid->n_rows; r++) {
        write_line(&l, r, &line);
        sp_tone_add(out, color, grid->tones[r], line.length > 0 ? line.data : "");
        sp_text_add(out, "\n");
    }
    out->failed = out->failed || line.failed;
    sp_text_fini(&line);
}

/* A bar would end the cell. */
static void add_markdown_cell(struct sp_text *out, const char *text)
{
    sp_text_add(out, " ");
    for (; *text != '\0'; text++) {
        if (*text == '|' || *text == '*') sp_text_add(out, "\\");
        sp_text_add_n(out, text, 1);
    }
    sp_text_add(out, " |");
}

void sp_grid_write_markdown(const sp_grid *grid, struct sp_text *out)
{
    if (grid->failed) {
        out->failed = true;
        return;
    }
    sp_text_add(out, "|");
    for (uint32_t c = 0; c < grid->n_columns; c++) {
        add_markdown_cell(out, grid->columns[c].header);
    }
    sp_text_add(out, "\n|");
    for (uint32_t c = 0; c < grid->n_columns; c++) {
        sp_text_add(out, grid->columns[c].align != SP_LEFT ? "---:|" : "---|");
    }
    for (uint32_t r = 0; r < grid->n_rows; r++) {
        sp_text_add(out, "\n|");
        for (uint32_t c = 0; c < grid->n_columns; c++) {
            add_markdown_cell(out, cell_of(grid, r, c));
        }
    }
    sp_text_add(out, "\n");
}
