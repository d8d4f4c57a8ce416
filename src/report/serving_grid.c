/* SPDX-License-Identifier: Apache-2.0 */
/* The table of serving plans: one row a worker layout or a plan, and a legend of what occurs. */
#include "report/serving_page.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Columns that depend on the question hold UINT32_MAX where they are not there. */
typedef struct columns {
    uint32_t mark, gpus, engine, mode, workers, settings, batch, chunk, ttft, tail, tpot, user,
        rate, price, memory, within, variants;
} columns;

/* The percentile of the time to the first token that the table shows beside the mean: that of a
 * limit, else p95. */
static sp_percentile shown_tail(const sp_serving_problem *problem)
{
    for (uint32_t i = 0; i < sp_serving_problem_n_limits(problem); i++) {
        const sp_limit *limit = sp_serving_problem_limit(problem, i);
        if (limit->latency == SP_LATENCY_TTFT && limit->percentile != SP_MEAN) {
            return limit->percentile;
        }
    }
    return SP_P95;
}

static bool has_settings(const sp_serving_space *space)
{
    return sp_serving_varies(space, SP_SERVING_AXIS_weight_dtype) ||
           sp_serving_varies(space, SP_SERVING_AXIS_kv_dtype) ||
           sp_serving_varies(space, SP_SERVING_AXIS_spec);
}

static uint32_t optional(sp_grid *grid, bool there, const char *header, sp_grid_align align,
                         uint8_t rank)
{
    return there ? sp_grid_column_add(grid, header, align, rank) : UINT32_MAX;
}

static columns add_columns(const sp_serving_space *space, const sp_report_options *o, sp_grid *grid)
{
    const sp_serving_problem *problem = sp_serving_space_problem(space);
    const bool priced = sp_serving_usd_per_gpu_hour(problem, SP_ROLE_DECODE) > 0.0;
    columns c;
    c.mark = sp_grid_column_add(grid, "#", SP_RIGHT, 0);
    c.gpus = optional(grid, sp_serving_varies(space, SP_SERVING_AXIS_gpus), "GPUs", SP_RIGHT, 0);
    c.engine =
        optional(grid, sp_serving_varies(space, SP_SERVING_AXIS_engine), "engine", SP_LEFT, 0);
    c.mode = optional(grid, sp_serving_varies(space, SP_SERVING_AXIS_mode), "mode", SP_LEFT, 6);
    c.workers = sp_grid_column_add(grid, "workers", SP_LEFT, 0);
    c.settings = optional(grid, has_settings(space), "formats", SP_LEFT, 0);
    c.batch = sp_grid_column_add(grid, "batch", SP_RIGHT, 0);
    c.chunk = sp_grid_column_add(grid, "chunk", SP_RIGHT_CLOSE, 7);
    c.ttft = sp_grid_column_add(grid, "TTFT s", SP_RIGHT, 0);
    c.tail = sp_grid_column_add(grid, sp_percentile_name(shown_tail(problem)), SP_RIGHT_CLOSE, 0);
    c.tpot = sp_grid_column_add(grid, "TPOT ms", SP_RIGHT, 4);
    c.user = sp_grid_column_add(grid, "tok/s/user", SP_RIGHT, 0);
    c.rate = sp_grid_column_add(grid, "tok/s/GPU", SP_RIGHT, 0);
    c.price = optional(grid, priced, "$/Mtok", SP_RIGHT, 5);
    c.memory = sp_grid_column_add(grid, "GiB", SP_RIGHT, 9);
    c.within = optional(grid, sp_serving_problem_n_limits(problem) > 0, "within", SP_RIGHT, 3);
    c.variants = optional(grid, o->by_layout, "plans", SP_RIGHT, 8);
    return c;
}

__attribute__((format(printf, 3, 4))) static void set(sp_grid *grid, uint32_t column,
                                                      const char *format, ...)
{
    char text[96];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (column != UINT32_MAX) sp_grid_set(grid, column, text);
}

static void set_named(const sp_serving_problem *problem, const sp_serving_plan *plan,
                      sp_serving_axis_id axis, uint32_t column, sp_grid *grid)
{
    char value[32];
    sp_serving_format_value(problem, axis, plan->value[axis], value);
    set(grid, column, "%s", value);
}

static void set_plan(const sp_serving_space *space, const sp_serving_plan *plan, const columns *c,
                     sp_grid *grid)
{
    const sp_serving_problem *problem = sp_serving_space_problem(space);
    char layout[96], settings[96];
    sp_served_layout(plan, layout, sizeof layout);
    sp_served_settings(space, plan, settings, sizeof settings);
    set(grid, c->gpus, "%u", plan->value[SP_SERVING_AXIS_gpus]);
    set_named(problem, plan, SP_SERVING_AXIS_engine, c->engine, grid);
    set_named(problem, plan, SP_SERVING_AXIS_mode, c->mode, grid);
    set(grid, c->workers, "%s", layout);
    set(grid, c->settings, "%s", settings);
    set(grid, c->batch, "%u", plan->value[SP_SERVING_AXIS_batch]);
    set(grid, c->chunk, "%u", plan->value[SP_SERVING_AXIS_chunk_tokens]);
}

static void set_figures(const sp_serving_problem *problem, const sp_serving_estimate *e,
                        const columns *c, sp_grid *grid)
{
    const double *ttft = e->latency_s[SP_LATENCY_TTFT], *tpot = e->latency_s[SP_LATENCY_TPOT];
    set(grid, c->ttft, "%s", sp_word_brief(ttft[SP_MEAN]).text);
    set(grid, c->tail, "%s", sp_word_brief(ttft[shown_tail(problem)]).text);
    set(grid, c->tpot, "%s", sp_word_brief(1e3 * tpot[SP_MEAN]).text);
    set(grid, c->user, "%s", sp_word_brief(e->tokens_per_s_per_user).text);
    set(grid, c->rate, "%s", sp_word_brief(e->tokens_per_s_per_gpu).text);
    set(grid, c->price, "%s", sp_word_brief(e->usd_per_million_tokens).text);
    set(grid, c->memory, "%s", sp_word_gib(e->memory.peak).text);
}

static bool any_tight(const sp_serving_answer *answer)
{
    for (uint32_t i = 0; i < answer->n_rows; i++) {
        if (answer->rows[i].served.estimate.verdict == SP_SERVING_TIGHT) return true;
    }
    return false;
}

void sp_serving_rows_grid(const sp_serving_answer *answer, const sp_report_options *options,
                          sp_grid *grid)
{
    const sp_serving_problem *problem = sp_serving_space_problem(answer->space);
    sp_grid_init(grid, 18, answer->n_rows);
    const columns c = add_columns(answer->space, options, grid);
    const bool tight = any_tight(answer);
    for (uint32_t i = 0; i < answer->n_rows; i++) {
        const sp_serving_row *row = &answer->rows[i];
        const sp_served_plan *served = &row->served;
        sp_grid_row_add(grid, i == 0 ? SP_TONE_GOOD : SP_TONE_PLAIN);
        set(grid, c.mark, "%u%s%s%s", i + 1, row->tied ? "=" : " ", row->on_front ? "*" : " ",
            served->estimate.verdict == SP_SERVING_TIGHT ? "!"
            : tight                                      ? " "
                                                         : "");
        set_plan(answer->space, &served->plan, &c, grid);
        set_figures(problem, &served->estimate, &c, grid);
        if (served->simulated) {
            set(grid, c.within, "%.0f %%", 100.0 * served->run.slo_attainment_ratio);
        }
        set(grid, c.variants, "%s", sp_word_count(row->n_variants).text);
    }
}

/* ---- legend: only what occurs ---- */

static bool occurs(const sp_serving_answer *answer, const char *mark)
{
    for (uint32_t i = 0; i < answer->n_rows; i++) {
        char layout[96];
        sp_served_layout(&answer->rows[i].served.plan, layout, sizeof layout);
        if (strstr(layout, mark) != NULL) return true;
    }
    return false;
}

static void add_layout_words(const sp_serving_answer *answer, struct sp_text *legend)
{
    static const struct {
        const char *mark, *words;
    } marks[] = {
        {" + ", ", those that read prompts + those that answer"},
        {" dp", "; dp: copies of attention in a worker"        },
        {" ep", "; ep: ranks that share the experts"           },
        {" mt", "; mt: pieces of each expert"                  },
        {" pp", "; pp: pipeline stages"                        },
        {" cp", "; cp: pieces of each prompt"                  },
    };
    sp_text_add(legend, "workers: copies of the model x GPUs that share a layer (tp)");
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        if (occurs(answer, marks[i].mark)) sp_text_add(legend, marks[i].words);
    }
}

/* Words of columns that a line of this width has. */
static void add_column_words(const sp_grid *grid, uint32_t width, struct sp_text *legend)
{
    static const struct {
        const char *header, *words;
    } said[] = {
        {"batch",     "; batch: most running requests of a copy of attention"                        },
        {"chunk",     "; chunk: most tokens of a step"                                               },
        {"TTFT s",    "; TTFT: time to the first token, mean and percentile"                         },
        {"TPOT ms",   "; TPOT: time of each further token"                                           },
        {"tok/s/GPU", "; tok/s: tokens generated a second"                                           },
        {"within",    "; within: requests of a simulated run that keep every limit (-v: of all rows)"},
        {"plans",     "; plans: feasible variants"                                                   },
    };
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
        if (sp_grid_shows(grid, said[i].header, 0, width)) sp_text_add(legend, said[i].words);
    }
}

void sp_serving_legend(const sp_serving_answer *answer, const sp_grid *grid,
                       const sp_report_options *options, struct sp_text *out)
{
    struct sp_text legend = {0}, wrapped = {0};
    add_layout_words(answer, &legend);
    add_column_words(grid, options->width, &legend);
    if (any_tight(answer)) sp_text_add(&legend, "; !: may run out of memory");
    sp_text_add(&legend, "; =: within the error of row 1; *: on the Pareto front");
    sp_text_wrap(&wrapped, legend.length > 0 ? legend.data : "", options->width, 0);
    sp_tone_add(out, options->color, SP_TONE_FAINT, wrapped.length > 0 ? wrapped.data : "");
    out->failed = out->failed || legend.failed || wrapped.failed;
    sp_text_fini(&legend);
    sp_text_fini(&wrapped);
}
