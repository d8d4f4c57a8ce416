/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of a GPU that serves, for people: parts by phase with a bar at the peak, then the
 * cache in the engine's own terms and the verdict. */
#include "report/report_priv.h"

#include <math.h>

#include <stdio.h>

#define BAR_WIDTH 30

void sp_page_put_found(const char *found, struct sp_text *out)
{
    if (found == NULL) return;
    sp_text_wrap(out, found, 100, 2);
    sp_text_add(out, "\n");
}

void sp_page_put_way_out(struct sp_text *out)
{
    sp_text_add(out, "  --find min-gpus asks for the fewest GPUs that hold it\n");
}

static bool is_empty(const sp_footprint *f, sp_memory_part part)
{
    for (sp_serving_phase phase = 0; phase < SP_N_SERVING_PHASES; phase++) {
        if (f->bytes[phase][part] > 0.0) return false;
    }
    return true;
}

static void make_bar(double share, char bar[BAR_WIDTH + 1])
{
    const double filled = share * BAR_WIDTH + 0.5;
    const int n = filled > BAR_WIDTH ? BAR_WIDTH : (int)filled;
    for (int i = 0; i < n; i++) {
        bar[i] = '#';
    }
    bar[n] = '\0';
}

static void add_row(sp_grid *grid, const char *name, const double *bytes, double whole,
                    const char *meaning, sp_tone tone)
{
    char bar[BAR_WIDTH + 1];
    sp_grid_row_add(grid, tone);
    sp_grid_set(grid, 0, name);
    for (uint32_t phase = 0; phase < SP_N_SERVING_PHASES; phase++) {
        sp_grid_set(grid, 1 + phase, bytes[phase] > 0.0 ? sp_word_gib(bytes[phase]).text : "");
    }
    make_bar(whole, bar);
    sp_grid_set(grid, 1 + SP_N_SERVING_PHASES, bar);
    sp_grid_set(grid, 2 + SP_N_SERVING_PHASES, meaning);
}

static void add_table(const sp_footprint *f, const sp_report_options *options, struct sp_text *out)
{
    sp_grid grid;
    sp_grid_init(&grid, SP_N_SERVING_PHASES + 3, SP_N_MEMORY_PARTS + 1);
    sp_grid_column_add(&grid, "GiB", SP_LEFT, 0);
    for (sp_serving_phase phase = 0; phase < SP_N_SERVING_PHASES; phase++) {
        sp_grid_column_add(&grid, sp_serving_phase_name(phase), SP_RIGHT, 0);
    }
    sp_grid_column_add(&grid, "share of the GPU at the peak", SP_LEFT, 1);
    sp_grid_column_add(&grid, "", SP_LEFT, 2);
    for (sp_memory_part part = 0; part < SP_N_MEMORY_PARTS; part++) {
        double bytes[SP_N_SERVING_PHASES];
        if (is_empty(f, part)) continue;
        for (sp_serving_phase phase = 0; phase < SP_N_SERVING_PHASES; phase++) {
            bytes[phase] = f->bytes[phase][part];
        }
        add_row(&grid, sp_memory_part_name(part), bytes, bytes[f->peak_phase] / f->usable,
                sp_memory_part_meaning(part), SP_TONE_PLAIN);
    }
    add_row(&grid, "total", f->total, f->peak / f->usable, "", SP_TONE_STRONG);
    sp_grid_write(&grid, 2, options->width > 0 ? options->width : 100, options->color, out);
    sp_grid_fini(&grid);
}

static void add_fraction(const sp_footprint_question *q, const sp_footprint *f, struct sp_text *out)
{
    if (q->server.fraction_flag == NULL) return;
    sp_text_printf(out, "  %s is %.3f; ", q->server.fraction_flag, f->fraction);
    if (f->fraction_needed > 1.0) {
        sp_text_add(out, "no value of it holds the batch at once\n");
    } else {
        sp_text_printf(out, "%.3f would hold the batch at once\n",
                       ceil(1000.0 * f->fraction_needed) / 1000.0);
    }
    if (q->server.running_flag == NULL || f->concurrency < 1.0) return;
    sp_text_printf(out, "  %s %s would fill the cache with such requests\n", q->server.running_flag,
                   sp_word_count((uint64_t)f->concurrency).text);
}

static void add_cache(const sp_footprint_question *q, const sp_footprint *f, struct sp_text *out)
{
    const double length =
        q->server.max_context > 0.0 ? q->server.max_context : (double)q->isl + (double)q->osl;
    if (q->server.cached < 1.0) return;
    sp_text_printf(out, "\nCache on a GPU: %s GiB a request, %s GiB for the batch, %s GiB there\n",
                   sp_word_number(f->request / 0x1p30).text, sp_word_gib(f->needed).text,
                   sp_word_gib(f->pool).text);
    sp_text_printf(out, "  %s tokens", sp_word_count((uint64_t)f->tokens).text);
    if (q->server.block_tokens > 1.0) {
        sp_text_printf(out, " in %s %s of %.0f", sp_word_count((uint64_t)f->blocks).text,
                       q->server.cache_unit, q->server.block_tokens);
    }
    sp_text_printf(out, "; %.2f requests of %s tokens at once%s\n", f->concurrency,
                   sp_word_count((uint64_t)length).text, q->dp > 1 ? ", for each dp rank" : "");
    add_fraction(q, f, out);
}

static void add_verdict(const sp_footprint_question *q, const sp_footprint *f,
                        const sp_report_options *options, struct sp_text *out)
{
    static const char *const words[] = {
        "fits", "tight: less than the headroom is left, or the estimate may be off by so much",
        "queues: requests of the batch wait for each other", "oom: does not fit"};
    const bool good = sp_footprint_serves(f);
    sp_text_printf(out, "\nPeak %s GiB in %s, %s to %s; %s GiB usable: ", sp_word_gib(f->peak).text,
                   sp_serving_phase_name(f->peak_phase), sp_word_gib(f->low).text,
                   sp_word_gib(f->high).text, sp_word_gib(f->usable).text);
    sp_tone_add(out, options->color, good ? SP_TONE_GOOD : SP_TONE_BAD, words[f->verdict]);
    sp_text_printf(out, "\n  P(out of memory) %s", sp_word_chance(f->p_oom).text);
    if (q->pp > 1) sp_text_printf(out, "; stage %u of %u is the fullest", f->stage + 1, q->pp);
    if (f->host > 0.0) sp_text_printf(out, "; %s GiB of the host", sp_word_gib(f->host).text);
    sp_text_add(out, "\n");
    if (f->verdict == SP_FOOTPRINT_OOM) sp_page_put_way_out(out);
}

static void add_notes(const sp_footprint_question *q, struct sp_text *out)
{
    const double asked = (double)q->isl + (double)q->osl;
    sp_page_put_assumptions(q->model, out);
    if (q->model->max_context > 0 && asked > q->model->max_context) {
        sp_text_printf(out, "note: %s tokens are more than the %s that the model was made for\n",
                       sp_word_count(q->isl + q->osl).text,
                       sp_word_count(q->model->max_context).text);
    }
}

void sp_report_footprint_page(const sp_footprint_question *q, const sp_footprint *f,
                              const char *found, const sp_report_options *options,
                              struct sp_text *out)
{
    const uint64_t gpus = (uint64_t)q->tp * q->pp * q->dp;
    sp_page_put_found(found, out);
    sp_text_printf(out, "%s on %s %s, %s of %s: %s request%s of %s + %s tokens, tp %u pp %u dp %u",
                   q->model->name, sp_word_count(gpus).text, q->gpu->name, q->server.name,
                   q->server.version, sp_word_count(q->batch).text, q->batch == 1 ? "" : "s",
                   sp_word_count(q->isl).text, sp_word_count(q->osl).text, q->tp, q->pp, q->dp);
    if (q->ep > 1) sp_text_printf(out, " ep %u", q->ep);
    if (q->nodes > 1) sp_text_printf(out, " on %u nodes", q->nodes);
    sp_text_add(out, "\n\n");
    add_table(f, options, out);
    add_cache(q, f, out);
    add_verdict(q, f, options, out);
    add_notes(q, out);
}
