/* SPDX-License-Identifier: Apache-2.0 */
/* A model operator by operator for people: one table a phase with its bottleneck, then what the
 * accelerator must hold. */
#include "report/analysis_words.h"
#include "report/report_priv.h"

#include <stdio.h>
#include <string.h>

enum {
    OPERATOR,
    LAYERS,
    FLOPS,
    WEIGHTS,
    READ,
    WRITTEN,
    INTENSITY,
    COMPUTE,
    MEMORY,
    NETWORK,
    TIME,
    EXPECTED,
    ENERGY,
    SHARE,
    BOUND,
    N_COLUMNS
};

static void add_columns(sp_grid *grid)
{
    static const struct {
        const char *header;
        uint8_t rank;
    } columns[N_COLUMNS] = {
        [OPERATOR] = {"operator", 0},
          [LAYERS] = {"layers",   0},
          [FLOPS] = {"FLOPs",    0},
        [WEIGHTS] = {"weights",  4},
          [READ] = {"read",     5},
          [WRITTEN] = {"written",  6},
        [INTENSITY] = {"FLOP/B",   1},
          [COMPUTE] = {"compute",  3},
          [MEMORY] = {"memory",   3},
        [NETWORK] = {"sent",     7},
          [TIME] = {"time",     0},
          [EXPECTED] = {"measured", 2},
        [ENERGY] = {"energy",   8},
          [SHARE] = {"share",    0},
          [BOUND] = {"bound",    0}
    };
    for (uint32_t i = 0; i < N_COLUMNS; i++) {
        const bool words = i == OPERATOR || i == BOUND;
        sp_grid_column_add(grid, columns[i].header, words ? SP_LEFT : SP_RIGHT, columns[i].rank);
    }
}

static void add_row(sp_grid *grid, const sp_operator *row, double phase_s)
{
    char layers[16];
    const double n = row->layers;
    (void)snprintf(layers, sizeof layers, "%u", row->layers);
    sp_grid_row_add(grid, SP_TONE_PLAIN);
    sp_grid_set(grid, OPERATOR, row->name);
    sp_grid_set(grid, LAYERS, layers);
    sp_grid_set(grid, FLOPS, row->flops > 0.0 ? sp_word_si(row->flops).text : "");
    sp_grid_set(grid, WEIGHTS, row->weight_bytes > 0.0 ? sp_word_si(row->weight_bytes).text : "");
    sp_grid_set(grid, READ, row->read_bytes > 0.0 ? sp_word_si(row->read_bytes).text : "");
    sp_grid_set(grid, WRITTEN, row->write_bytes > 0.0 ? sp_word_si(row->write_bytes).text : "");
    sp_grid_set(grid, INTENSITY, row->intensity > 0.0 ? sp_word_number(row->intensity).text : "");
    sp_grid_set(grid, COMPUTE, row->compute_s > 0.0 ? sp_word_short(row->compute_s).text : "");
    sp_grid_set(grid, MEMORY, row->memory_s > 0.0 ? sp_word_short(row->memory_s).text : "");
    sp_grid_set(grid, NETWORK, row->network_bytes > 0.0 ? sp_word_si(row->network_bytes).text : "");
    sp_grid_set(grid, TIME, sp_word_short(n * row->time_s).text);
    if (row->expected_s > 0.0) {
        sp_grid_set(grid, EXPECTED, sp_word_short(n * row->expected_s).text);
    }
    if (row->joules > 0.0) sp_grid_set(grid, ENERGY, sp_word_joules(n * row->joules).text);
    sp_grid_set(grid, SHARE, sp_word_percent(n * row->time_s / phase_s).text);
    sp_grid_set(grid, BOUND, sp_bound_word(row->bound));
}

static void add_total(sp_grid *grid, const sp_phase_total *total)
{
    sp_grid_row_add(grid, SP_TONE_STRONG);
    sp_grid_set(grid, OPERATOR, "all layers");
    sp_grid_set(grid, FLOPS, sp_word_si(total->flops).text);
    sp_grid_set(grid, WEIGHTS, sp_word_si(total->weight_bytes).text);
    sp_grid_set(grid, READ, sp_word_si(total->read_bytes).text);
    sp_grid_set(grid, WRITTEN, sp_word_si(total->write_bytes).text);
    sp_grid_set(grid, COMPUTE, sp_word_short(total->compute_s).text);
    sp_grid_set(grid, MEMORY, sp_word_short(total->memory_s).text);
    sp_grid_set(grid, TIME, sp_word_short(total->time_s).text);
    if (total->expected_s > 0.0) {
        sp_grid_set(grid, EXPECTED, sp_word_short(total->expected_s).text);
    }
    if (total->joules > 0.0) sp_grid_set(grid, ENERGY, sp_word_joules(total->joules).text);
}

static void add_heading(const sp_analysis_question *q, const sp_analysis *a, sp_phase phase,
                        struct sp_text *out)
{
    const sp_phase_total *total = &a->phase[phase];
    const sp_operator *worst = &a->operators[total->bottleneck];
    struct sp_text words = {0};
    sp_phase_words(q, phase, &words);
    sp_text_printf(&words, ": %s at the roofline (%s tokens/s)", sp_word_short(total->time_s).text,
                   sp_word_number(total->tokens_per_s).text);
    if (total->expected_s > 0.0) {
        sp_text_printf(&words, ", %s as kernels are measured",
                       sp_word_short(total->expected_s).text);
    }
    sp_text_printf(&words, "; %s takes most at the roofline, %s\n", worst->name,
                   sp_word_percent(worst->layers * worst->time_s / total->time_s).text);
    sp_text_add(out, "\n");
    sp_text_wrap(out, words.length > 0 ? words.data : "", 100, 0);
    out->failed = out->failed || words.failed;
    sp_text_fini(&words);
}

static void add_phase(const sp_analysis_question *q, const sp_analysis *a, sp_phase phase,
                      const sp_report_options *options, struct sp_text *out)
{
    const sp_phase_total *total = &a->phase[phase];
    sp_grid grid;
    add_heading(q, a, phase, out);
    sp_grid_init(&grid, N_COLUMNS, total->count + 1);
    add_columns(&grid);
    for (uint32_t i = 0; i < total->count; i++) {
        add_row(&grid, &a->operators[total->first + i], total->time_s);
    }
    add_total(&grid, total);
    sp_grid_write(&grid, 0, options->width > 0 ? options->width : 100, options->color, out);
    out->failed = out->failed || grid.failed;
    sp_grid_fini(&grid);
}

static void add_line(struct sp_text *out, const char *name, double bytes, const char *rest)
{
    sp_text_printf(out, "  %-28s %12s%s\n", name, sp_word_bytes(bytes).text, rest);
}

static void add_memory(const sp_analysis_question *q, const sp_analysis *a, struct sp_text *out)
{
    sp_text_printf(out, "\nOn one %s\n", q->gpu->name);
    sp_text_printf(out, "  %-28s %12s\n", "parameters", sp_word_si(a->parameters).text);
    add_line(out, "weights", a->weight_bytes, "");
    add_line(out, "cache after the prompt", a->kv_prompt_bytes, "");
    add_line(out, "... of generated tokens", a->kv_generated_bytes, "");
    add_line(out, "... at its longest", a->kv_max_bytes, "");
    if (a->state_bytes > 0.0) add_line(out, "states of recurrent layers", a->state_bytes, "");
    add_line(out, "needed in all", a->memory_needed_bytes, a->fits ? ": fits" : ": does not fit");
    add_line(out, "usable memory", q->gpu->memory_bytes, "");
}

static void add_model(const sp_analysis_question *q, const sp_analysis *a, struct sp_text *out)
{
    struct sp_text words = {0};
    sp_text_printf(&words, "Of the model: %s of cache a token",
                   sp_word_bytes(a->kv_bytes_per_token).text);
    if (a->gqa_ratio > 1.0) {
        sp_text_printf(&words, ", %s query heads share keys and values",
                       sp_word_bits(a->gqa_ratio).text);
    }
    if (a->rope_tokens > 0.0) {
        sp_text_printf(&words, "; longest rotary wavelength %s tokens",
                       sp_word_si(a->rope_tokens).text);
    }
    sp_text_printf(&words, "; ridge at %s FLOP/byte in %s", sp_word_number(a->ridge_intensity).text,
                   sp_gpu_product_name(q->gpu, q->compute));
    sp_text_add(out, "\n");
    sp_text_wrap(out, words.length > 0 ? words.data : "", 100, 0);
    out->failed = out->failed || words.failed;
    sp_text_fini(&words);
}

/* What the columns are, for those who see them for the first time. */
static void add_meaning(const sp_gpu *gpu, struct sp_text *out)
{
    struct sp_text words = {0};
    sp_text_add(
        &words,
        "How to read a row: FLOPs, bytes (weights, read, written, sent), compute and memory are of "
        "one layer on one accelerator; time, measured, energy and share are of all its layers. "
        "compute is the arithmetic at the peak rate, memory the bytes at the peak bandwidth; bound "
        "names the longer of the two, or the network, which is added; together they are the time. "
        "share is of the time of the phase. ");
    if (sp_gpu_is_measured(gpu)) {
        const bool own = strcmp(gpu->name, gpu->calibrated_from) == 0;
        sp_text_printf(&words,
                       own ? "measured is what such kernels took on this part, launch included. "
                           : "measured is what such kernels would take, launch included, by those "
                             "of %s. ",
                       gpu->calibrated_from);
    }
    sp_text_add(&words, "Columns that do not fit are in the CSV and the workbook.\n");
    sp_text_add(out, "\n");
    sp_text_wrap(out, words.length > 0 ? words.data : "", 100, 0);
    out->failed = out->failed || words.failed;
    sp_text_fini(&words);
}

void sp_report_analysis_page(const sp_analysis_question *question, const sp_analysis *analysis,
                             const sp_report_options *options, struct sp_text *out)
{
    struct sp_text head = {0};
    sp_analysis_words(question, &head);
    sp_text_wrap(out, head.length > 0 ? head.data : "", 100, 0);
    out->failed = out->failed || head.failed;
    sp_text_fini(&head);
    for (sp_phase phase = 0; phase < SP_N_PHASES; phase++) {
        if (analysis->phase[phase].present) add_phase(question, analysis, phase, options, out);
    }
    add_memory(question, analysis, out);
    add_model(question, analysis, out);
    for (uint32_t i = 0; i < analysis->n_notes; i++) {
        sp_text_add(out, "note: ");
        sp_text_wrap(out, analysis->notes[i], 94, 6);
    }
    add_meaning(question->gpu, out);
}
