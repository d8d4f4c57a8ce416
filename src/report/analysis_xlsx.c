/* SPDX-License-Identifier: Apache-2.0 */
/* An analysis as a workbook: a summary sheet, and for each phase a sheet of its operators with the
 * header frozen. Figures of all layers are formulas over those of one, so that they stay true when
 * a figure is changed. The only file that knows libxlsxwriter. */
#include "report/analysis_words.h"

#if SHARDPLAN_XLSX

#include <stdio.h>
#include <string.h>
#include <xlsxwriter.h>

#define FIRST_ROW 3u /* under the title and the header */

typedef struct workbook {
    lxw_workbook *book;
    lxw_format *title, *header, *text, *count, *number, *small, *percent, *total, *total_small;
} workbook;

typedef enum column_kind { TEXT, COUNT, NUMBER, SECONDS, SHARE } column_kind;

typedef struct column {
    const char *header;
    column_kind kind;
    double width;
} column;

enum {
    OPERATOR,
    CATEGORY,
    LAYERS,
    ROWS,
    COLUMNS,
    INNER,
    TIMES,
    FLOPS,
    PARAMETERS,
    WEIGHT,
    READ,
    WRITTEN,
    NETWORK,
    INTENSITY,
    COMPUTE,
    MEMORY,
    NETWORK_S,
    TIME,
    ALL,
    EXPECTED,
    ENERGY,
    PART,
    BOUND,
    N_COLUMNS
};

static const column columns[N_COLUMNS] = {
    [OPERATOR] = {"Operator",        TEXT,    24},
    [CATEGORY] = {"Category",        TEXT,    12},
    [LAYERS] = {"Layers",          COUNT,   8 },
    [ROWS] = {"m",               COUNT,   9 },
    [COLUMNS] = {"n",               COUNT,   9 },
    [INNER] = {"k",               COUNT,   9 },
    [TIMES] = {"Count",           COUNT,   9 },
    [FLOPS] = {"FLOPs",           NUMBER,  14},
    [PARAMETERS] = {"Parameters",      NUMBER,  14},
    [WEIGHT] = {"Weights (B)",     NUMBER,  14},
    [READ] = {"Read (B)",        NUMBER,  14},
    [WRITTEN] = {"Written (B)",     NUMBER,  14},
    [NETWORK] = {"Network (B)",     NUMBER,  14},
    [INTENSITY] = {"FLOP/B",          SECONDS, 10},
    [COMPUTE] = {"Compute (us)",    SECONDS, 13},
    [MEMORY] = {"Memory (us)",     SECONDS, 13},
    [NETWORK_S] = {"Network (us)",    SECONDS, 13},
    [TIME] = {"Time (us)",       SECONDS, 13},
    [ALL] = {"All layers (ms)", SECONDS, 15},
    [EXPECTED] = {"Measured (ms)",   SECONDS, 15},
    [ENERGY] = {"Energy (J)",      SECONDS, 13},
    [PART] = {"Share",           SHARE,   9 },
    [BOUND] = {"Bound",           TEXT,    10}
};

static lxw_format *new_format(lxw_workbook *book, const char *number_format, bool bold)
{
    lxw_format *format = workbook_add_format(book);
    if (number_format != NULL) format_set_num_format(format, number_format);
    if (bold) format_set_bold(format);
    return format;
}

static void add_formats(workbook *w)
{
    w->title = new_format(w->book, NULL, true);
    format_set_font_size(w->title, 14);
    w->header = new_format(w->book, NULL, true);
    format_set_bg_color(w->header, 0x1F3864);
    format_set_font_color(w->header, LXW_COLOR_WHITE);
    format_set_align(w->header, LXW_ALIGN_CENTER);
    w->text = new_format(w->book, NULL, false);
    w->count = new_format(w->book, "#,##0", false);
    w->number = new_format(w->book, "#,##0", false);
    w->small = new_format(w->book, "#,##0.000", false);
    w->percent = new_format(w->book, "0.0%", false);
    w->total = new_format(w->book, "#,##0", true);
    w->total_small = new_format(w->book, "#,##0.000", true);
}

static lxw_format *format_of(const workbook *w, column_kind kind)
{
    lxw_format *const formats[] = {[TEXT] = w->text,
                                   [COUNT] = w->count,
                                   [NUMBER] = w->number,
                                   [SECONDS] = w->small,
                                   [SHARE] = w->percent};
    return formats[kind];
}

static void put_number(const workbook *w, lxw_worksheet *sheet, lxw_row_t row, lxw_col_t col,
                       double value)
{
    worksheet_write_number(sheet, row, col, value, format_of(w, columns[col].kind));
}

static void put_text(const workbook *w, lxw_worksheet *sheet, lxw_row_t row, lxw_col_t col,
                     const char *text)
{
    worksheet_write_string(sheet, row, col, text, w->text);
}

/* Formulas carry the value that they have now, so that a reader which computes nothing shows it. */
static void put_formula(const workbook *w, lxw_worksheet *sheet, lxw_row_t row, lxw_col_t col,
                        const char *formula, double value)
{
    worksheet_write_formula_num(sheet, row, col, formula, format_of(w, columns[col].kind), value);
}

static void put_shape(const workbook *w, lxw_worksheet *sheet, lxw_row_t row, const sp_operator *op)
{
    if (op->inner <= 0.0) return;
    put_number(w, sheet, row, ROWS, op->rows);
    put_number(w, sheet, row, COLUMNS, op->columns);
    put_number(w, sheet, row, INNER, op->inner);
    put_number(w, sheet, row, TIMES, op->count);
}

static void put_operator(const workbook *w, lxw_worksheet *sheet, lxw_row_t row,
                         const sp_operator *op, const sp_phase_total *total)
{
    const double numbers[] = {op->flops,       op->parameters,    op->weight_bytes, op->read_bytes,
                              op->write_bytes, op->network_bytes, op->intensity};
    const double seconds[] = {op->compute_s, op->memory_s, op->network_s};
    char formula[96];
    const unsigned line = row + 1;
    put_text(w, sheet, row, OPERATOR, op->name);
    put_text(w, sheet, row, CATEGORY, op->category);
    put_number(w, sheet, row, LAYERS, op->layers);
    put_shape(w, sheet, row, op);
    for (lxw_col_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        put_number(w, sheet, row, (lxw_col_t)(FLOPS + i), numbers[i]);
    }
    for (lxw_col_t i = 0; i < sizeof seconds / sizeof seconds[0]; i++) {
        put_number(w, sheet, row, (lxw_col_t)(COMPUTE + i), seconds[i] * 1e6);
    }
    (void)snprintf(formula, sizeof formula, "=MAX(O%u,P%u)+Q%u", line, line, line);
    put_formula(w, sheet, row, TIME, formula, op->time_s * 1e6);
    (void)snprintf(formula, sizeof formula, "=R%u*C%u/1000", line, line);
    put_formula(w, sheet, row, ALL, formula, op->time_s * op->layers * 1e3);
    if (op->expected_s > 0.0)
        put_number(w, sheet, row, EXPECTED, op->expected_s * op->layers * 1e3);
    if (op->joules > 0.0) put_number(w, sheet, row, ENERGY, op->joules * op->layers);
    (void)snprintf(formula, sizeof formula, "=S%u/S$%u", line, FIRST_ROW + total->count + 1);
    put_formula(w, sheet, row, PART, formula, op->time_s * op->layers / total->time_s);
    put_text(w, sheet, row, BOUND, sp_bound_word(op->bound));
}

/* Sums over rows times their layers. */
static void put_totals(const workbook *w, lxw_worksheet *sheet, const sp_phase_total *total)
{
    static const lxw_col_t summed[] = {FLOPS, WEIGHT, READ, WRITTEN, NETWORK};
    const double values[] = {total->flops, total->weight_bytes, total->read_bytes,
                             total->write_bytes, total->network_bytes};
    const lxw_row_t row = FIRST_ROW + total->count;
    const unsigned first = FIRST_ROW + 1, last = FIRST_ROW + total->count;
    char formula[96];
    worksheet_write_string(sheet, row, OPERATOR, "All layers", w->total);
    for (size_t i = 0; i < sizeof summed / sizeof summed[0]; i++) {
        const char letter = (char)('A' + summed[i]);
        (void)snprintf(formula, sizeof formula, "=SUMPRODUCT(C%u:C%u,%c%u:%c%u)", first, last,
                       letter, first, letter, last);
        worksheet_write_formula_num(sheet, row, summed[i], formula, w->total, values[i]);
    }
    (void)snprintf(formula, sizeof formula, "=SUM(S%u:S%u)", first, last);
    worksheet_write_formula_num(sheet, row, ALL, formula, w->total_small, total->time_s * 1e3);
    if (total->expected_s > 0.0) {
        (void)snprintf(formula, sizeof formula, "=SUM(T%u:T%u)", first, last);
        worksheet_write_formula_num(sheet, row, EXPECTED, formula, w->total_small,
                                    total->expected_s * 1e3);
    }
    if (total->joules > 0.0) {
        (void)snprintf(formula, sizeof formula, "=SUM(U%u:U%u)", first, last);
        worksheet_write_formula_num(sheet, row, ENERGY, formula, w->total_small, total->joules);
    }
}

static void add_phase_sheet(const workbook *w, const sp_analysis_question *q, const sp_analysis *a,
                            sp_phase phase)
{
    const sp_phase_total *total = &a->phase[phase];
    lxw_worksheet *sheet = workbook_add_worksheet(w->book, sp_phase_name(phase));
    struct sp_text words = {0};
    if (sheet == NULL) return;
    sp_phase_words(q, phase, &words);
    worksheet_write_string(sheet, 0, 0, words.length > 0 ? words.data : "", w->title);
    sp_text_fini(&words);
    for (lxw_col_t i = 0; i < N_COLUMNS; i++) {
        worksheet_set_column(sheet, i, i, columns[i].width, NULL);
        worksheet_write_string(sheet, FIRST_ROW - 1, i, columns[i].header, w->header);
    }
    worksheet_freeze_panes(sheet, FIRST_ROW, 1);
    worksheet_autofilter(sheet, FIRST_ROW - 1, 0, FIRST_ROW - 1 + total->count, N_COLUMNS - 1);
    for (uint32_t i = 0; i < total->count; i++) {
        put_operator(w, sheet, FIRST_ROW + i, &a->operators[total->first + i], total);
    }
    put_totals(w, sheet, total);
}

static lxw_row_t put_line(const workbook *w, lxw_worksheet *sheet, lxw_row_t row, const char *name,
                          double value, const char *unit, bool whole)
{
    worksheet_write_string(sheet, row, 0, name, w->text);
    worksheet_write_number(sheet, row, 1, value, whole ? w->count : w->small);
    worksheet_write_string(sheet, row, 2, unit, w->text);
    return row + 1;
}

static lxw_row_t put_phases(const workbook *w, lxw_worksheet *sheet, lxw_row_t row,
                            const sp_analysis *a)
{
    static const char *const headers[] = {"Phase", "Time (ms)",  "Tokens/s",
                                          "FLOPs", "Memory (B)", "Bottleneck"};
    for (lxw_col_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        worksheet_write_string(sheet, row, i, headers[i], w->header);
    }
    for (sp_phase phase = 0; phase < SP_N_PHASES; phase++) {
        const sp_phase_total *t = &a->phase[phase];
        if (!t->present) continue;
        row++;
        worksheet_write_string(sheet, row, 0, sp_phase_name(phase), w->text);
        worksheet_write_number(sheet, row, 1, t->time_s * 1e3, w->small);
        worksheet_write_number(sheet, row, 2, t->tokens_per_s, w->small);
        worksheet_write_number(sheet, row, 3, t->flops, w->number);
        worksheet_write_number(sheet, row, 4, t->weight_bytes + t->read_bytes + t->write_bytes,
                               w->number);
        worksheet_write_string(sheet, row, 5, a->operators[t->bottleneck].name, w->text);
    }
    return row + 2;
}

static void add_summary(const workbook *w, const sp_analysis_question *q, const sp_analysis *a)
{
    lxw_worksheet *sheet = workbook_add_worksheet(w->book, "summary");
    struct sp_text words = {0};
    if (sheet == NULL) return;
    sp_analysis_words(q, &words);
    if (words.length > 0) words.data[words.length - 1] = '\0'; /* its line feed */
    worksheet_write_string(sheet, 0, 0, words.length > 0 ? words.data : "", w->title);
    sp_text_fini(&words);
    worksheet_set_column(sheet, 0, 0, 34, NULL);
    worksheet_set_column(sheet, 1, 5, 18, NULL);
    lxw_row_t row = put_phases(w, sheet, 2, a);
    row = put_line(w, sheet, row, "Parameters on one accelerator", a->parameters, "", true);
    row = put_line(w, sheet, row, "Weights", a->weight_bytes, "B", true);
    row = put_line(w, sheet, row, "Cache a token, whole model", a->kv_bytes_per_token, "B", true);
    row = put_line(w, sheet, row, "Cache after the prompt", a->kv_prompt_bytes, "B", true);
    row = put_line(w, sheet, row, "Cache of generated tokens", a->kv_generated_bytes, "B", true);
    row = put_line(w, sheet, row, "Cache at its longest", a->kv_max_bytes, "B", true);
    row = put_line(w, sheet, row, "Recurrent states", a->state_bytes, "B", true);
    row = put_line(w, sheet, row, "Needed in all", a->memory_needed_bytes, "B", true);
    row = put_line(w, sheet, row, "Usable memory", q->gpu->memory_bytes, "B", true);
    row = put_line(w, sheet, row, "Longest rotary wavelength", a->rope_tokens, "tokens", true);
    row = put_line(w, sheet, row, "Ridge", a->ridge_intensity, "FLOP/B", false);
    for (uint32_t i = 0; i < a->n_notes; i++) {
        worksheet_write_string(sheet, row + i, 0, a->notes[i], w->text);
    }
}

static sp_status fail(lxw_error code, const char *file, sp_error *err)
{
    sp_fail(err, SP_E_IO, "the workbook cannot be written: %s", lxw_strerror(code));
    return sp_fail_file(err, file);
}

sp_status sp_report_analysis_xlsx(const sp_analysis_question *question, const sp_analysis *analysis,
                                  const char *file, sp_error *err)
{
    /* The library would print that it cannot, so that is found out before. */
    SP_TRY(sp_file_write(file, "", 0, err));
    workbook w = {.book = workbook_new(file)};
    if (w.book == NULL) return fail(LXW_ERROR_MEMORY_MALLOC_FAILED, file, err);
    add_formats(&w);
    add_summary(&w, question, analysis);
    for (sp_phase phase = 0; phase < SP_N_PHASES; phase++) {
        if (analysis->phase[phase].present) add_phase_sheet(&w, question, analysis, phase);
    }
    const lxw_error code = workbook_close(w.book);
    return code == LXW_NO_ERROR ? SP_OK : fail(code, file, err);
}

#else

sp_status sp_report_analysis_xlsx(const sp_analysis_question *question, const sp_analysis *analysis,
                                  const char *file, sp_error *err)
{
    (void)question;
    (void)analysis;
    sp_fail(err, SP_E_NOT_YET,
            "this build cannot write workbooks: install libxlsxwriter-dev and "
            "build again");
    return sp_fail_file(err, file);
}

#endif
