/* SPDX-License-Identifier: Apache-2.0 */
/* The answer of a search for people: the question, the best layouts, the rest of the Pareto front,
 * what was searched, and how to see more. */
#include "report/report_priv.h"
#include "step/step.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SHOWN_FRONT 6u

static const uint32_t DEFAULT_WIDTH = 100;

static sp_report_options with_defaults(const sp_report_options *options)
{
    sp_report_options o = *options;
    if (o.width == 0) o.width = DEFAULT_WIDTH;
    return o;
}

/* ---- legend: only what occurs in the rows ---- */

static bool occurs(const sp_row *rows, uint32_t n_rows, const char *mark)
{
    for (uint32_t i = 0; i < n_rows; i++) {
        char settings[128];
        (void)snprintf(settings, sizeof settings, " ");
        sp_plan_short_settings(&rows[i].priced.plan, settings + 1, sizeof settings - 2);
        strcat(settings, " ");
        if (strstr(settings, mark) != NULL) return true;
    }
    return false;
}

static void add_setting_words(struct sp_text *legend, const sp_row *rows, uint32_t n_rows)
{
    static const struct {
        const char *mark, *words;
    } marks[] = {
        {" v",        ", v: chunks a stage (interleaved)"                                        },
        {" gpipe ",   ", gpipe: all forward passes first"                                        },
        {" etp",      ", etp: pieces of each expert"                                             },
        {" sg",       ", sg: ranks that shard together"                                          },
        {" sel ",     ", sel: selective recomputation"                                           },
        {" ln ",      ", ln: norms recomputed"                                                   },
        {" act ",     ", act: activations of feed-forward blocks recomputed"                     },
        {" ln+act ",  ", ln+act: norms and feed-forward activations recomputed"                  },
        {" mla ",     ", mla: latent up-projections recomputed"                                  },
        {" mla+mlp ", ", mla+mlp: latent up-projections and dense feed-forward blocks recomputed"},
        {" mlp ",     ", mlp: dense feed-forward blocks recomputed"                              },
        {" ops ",     ", ops: all but matrix products and attention recomputed"                  },
        {" full ",    ", full: full recomputation"                                               },
        {" xo",       ", xo: % of the optimizer off the GPU"                                     },
        {" xp",       ", xp: % of the weights off the GPU"                                       },
        {" xa",       ", xa: % of the activations off the GPU"                                   },
        {" nvme ",    ", nvme: on local storage"                                                 },
        {" ring ",    ", ring: keys and values passed on around cp"                              },
        {" ag ",      ", ag: keys and values gathered over cp"                                   },
        {" uly ",     ", uly: heads exchanged over cp"                                           },
        {" hyb ",     ", hyb: heads exchanged near, a ring far"                                  },
        {" sp ",      ", sp: sequence parallel"                                                  },
        {" ot ",      ", ot: tensor traffic overlapped"                                          },
        {" od ",      ", od: data traffic overlapped"                                            },
        {" oe ",      ", oe: expert traffic overlapped"                                          },
        {" w ",       ", w: layers weighed with embedding and head"                              },
        {" dl ",      ", dl: data-parallel ranks farthest apart"                                 },
    };
    sp_text_add(legend, "mb: sequences a micro-batch, z: ZeRO stage");
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        if (occurs(rows, n_rows, marks[i].mark)) sp_text_add(legend, marks[i].words);
    }
}

static void add_legend(const sp_problem *problem, const sp_row *rows, uint32_t n_rows,
                       const sp_report_options *o, struct sp_text *out)
{
    struct sp_text legend = {0}, wrapped = {0};
    const bool context = sp_rows_cut_sequences(rows, n_rows);
    sp_text_printf(&legend, "tp, %spp, ", context ? "cp, " : "");
    if (problem->has_experts) sp_text_add(&legend, "ep, ");
    sp_text_printf(&legend, "dp: tensor, %spipeline, ", context ? "context, " : "");
    if (problem->has_experts) sp_text_add(&legend, "expert, ");
    sp_text_add(&legend, "data parallel; ");
    add_setting_words(&legend, rows, n_rows);
    sp_text_add(&legend, "; MFU: model FLOPs over the bf16 peak; net: exposed communication over "
                         "the layers' time; bub: waiting for other stages; ");
    if (o->by_layout) sp_text_add(&legend, "plans: feasible variants; ");
    if (o->baseline != NULL) sp_baseline_legend(o->baseline, &legend);
    sp_text_add(&legend, "=: within the error of the fastest; *: on the Pareto front");
    sp_text_wrap(&wrapped, legend.length > 0 ? legend.data : "", o->width, 0);
    sp_tone_add(out, o->color, SP_TONE_FAINT, wrapped.length > 0 ? wrapped.data : "");
    out->failed = out->failed || legend.failed || wrapped.failed;
    sp_text_fini(&legend);
    sp_text_fini(&wrapped);
}

/* ---- what the rows mean ---- */

static void add_reading(const sp_row *rows, uint32_t n_rows, const sp_report_options *o,
                        struct sp_text *out)
{
    uint32_t n_tied = 0, leader = 0;
    for (uint32_t i = 0; i < n_rows; i++) {
        n_tied += rows[i].tied;
        if (rows[i].place == 0) leader = i;
    }
    const sp_estimate *e = &rows[leader].priced.estimate;
    struct sp_text text = {0};
    sp_text_printf(&text, "Row %u leads: %s s a step, likely %s to %s s.", leader + 1,
                   sp_word_number(e->time.step_s).text, sp_word_number(e->step_low_s).text,
                   sp_word_number(e->step_high_s).text);
    if (n_tied > 1) {
        sp_text_printf(&text,
                       " The %s rows marked = cannot be told apart; of them the one with the "
                       "fewest settings stands first.",
                       sp_word_count(n_tied).text);
    }
    sp_text_wrap(out, text.length > 0 ? text.data : "", o->width, 0);
    out->failed = out->failed || text.failed;
    sp_text_fini(&text);
}

/* ---- the front ---- */

static bool is_shown(const sp_row *rows, uint32_t n_rows, uint64_t id)
{
    for (uint32_t r = 0; r < n_rows; r++) {
        if (rows[r].priced.id == id) return true;
    }
    return false;
}

/* Points of the front that no row shows, in order; NULL when memory is gone. */
static sp_point *front_rest(const sp_front *front, const sp_row *rows, uint32_t n_rows, uint32_t *n)
{
    *n = 0;
    sp_point *rest = sp_points_of_front(front);
    for (uint32_t i = 0; rest != NULL && i < front->n_points; i++) {
        if (!is_shown(rows, n_rows, rest[i].id)) rest[(*n)++] = rest[i];
    }
    return rest;
}

static sp_word objective_word(const sp_objective *objective, double value)
{
    if (strcmp(objective->unit, "bytes") == 0) return sp_word_gib(value);
    if (strcmp(objective->unit, "ratio") == 0) return sp_word_percent(value);
    if (strcmp(objective->unit, "usd") == 0) return sp_word_usd(value);
    if (strcmp(objective->unit, "GPUs") == 0) return sp_word_count((uint64_t)value);
    return sp_word_number(value);
}

static void add_front_row(const sp_space *space, const sp_point *point, sp_grid *grid)
{
    const sp_problem *problem = sp_space_problem(space);
    const sp_priced priced = sp_price_point(space, point);
    const uint32_t n = sp_problem_n_objectives(problem);
    char layout[64], settings[96], id[24];
    sp_plan_short_layout(problem, &priced.plan, layout, sizeof layout);
    sp_plan_short_settings(&priced.plan, settings, sizeof settings);
    (void)snprintf(id, sizeof id, "%" PRIu64, point->id);
    sp_grid_row_add(grid, SP_TONE_PLAIN);
    for (uint32_t k = 0; k < n; k++) {
        const sp_word word =
            objective_word(sp_problem_objective(problem, k), priced.estimate.objective[k]);
        sp_grid_set(grid, k, word.text);
    }
    sp_grid_set(grid, n, layout);
    sp_grid_set(grid, n + 1, settings);
    sp_grid_set(grid, n + 2, id);
}

static void front_columns(const sp_problem *problem, sp_grid *grid)
{
    for (uint32_t k = 0; k < sp_problem_n_objectives(problem); k++) {
        const sp_objective *objective = sp_problem_objective(problem, k);
        char header[64];
        const bool bytes = strcmp(objective->unit, "bytes") == 0;
        (void)snprintf(header, sizeof header, "%s%s", objective->name, bytes ? " GiB" : "");
        sp_grid_column_add(grid, header, SP_RIGHT, 0);
    }
    sp_grid_column_add(grid, "layout", SP_LEFT, 0);
    sp_grid_column_add(grid, "settings", SP_LEFT, 0);
    sp_grid_column_add(grid, "id", SP_RIGHT, 1);
}

/* The ends of the front and some in between, evenly spread. */
static void add_front_rows(const sp_space *space, const sp_point *points, uint32_t n,
                           uint32_t shown, const sp_report_options *o, struct sp_text *out)
{
    sp_grid grid;
    sp_grid_init(&grid, SP_MAX_OBJECTIVES + 3, shown);
    front_columns(sp_space_problem(space), &grid);
    for (uint32_t i = 0; i < shown; i++) {
        const uint32_t pick = shown > 1 ? (uint32_t)((uint64_t)i * (n - 1) / (shown - 1)) : 0;
        add_front_row(space, &points[pick], &grid);
    }
    sp_grid_write(&grid, 2, o->width, o->color, out);
    sp_grid_fini(&grid);
}

static void add_front(const sp_space *space, const sp_search_result *result, const sp_row *rows,
                      uint32_t n_rows, const sp_report_options *o, struct sp_text *out)
{
    uint32_t n = 0;
    sp_point *rest = front_rest(&result->front, rows, n_rows, &n);
    if (rest == NULL) {
        out->failed = true;
        return;
    }
    const uint32_t shown = o->verbose || n < SHOWN_FRONT ? n : SHOWN_FRONT;
    if (shown > 0) {
        sp_text_printf(out, "\nThe Pareto front has %u plans; ", result->front.n_points);
        if (shown < n) {
            sp_text_printf(out, "%u of the %u that no row shows (-v shows all):\n", shown, n);
        } else {
            sp_text_add(out, "those that no row shows:\n");
        }
        add_front_rows(space, rest, n, shown, o, out);
    }
    sp_free(rest);
}

/* ---- how to see more ---- */

static void add_more(const sp_row *rows, const sp_report_options *o, struct sp_text *out)
{
    struct sp_text text = {0};
    sp_text_printf(&text,
                   "To see every term of row 1, keep the answer (--json -o result.json) and run: "
                   "shardplan estimate %" PRIu64 " --result result.json",
                   rows[0].priced.id);
    sp_text_wrap(out, text.length > 0 ? text.data : "", o->width, 2);
    out->failed = out->failed || text.failed;
    sp_text_fini(&text);
}

void sp_report_train_table(const sp_space *space, const sp_search_result *result,
                           const sp_report_options *options, struct sp_text *out)
{
    const sp_report_options o = with_defaults(options);
    uint32_t n_rows = 0;
    sp_row *rows = sp_rows_build(space, result, o.by_layout, &n_rows);
    sp_page_put_recommendation(&o, out);
    sp_summary_question(sp_space_problem(space), &o, out);
    if (rows == NULL) {
        out->failed = out->failed || n_rows > 0;
        sp_summary_search(space, result, &o, out);
        return;
    }
    sp_grid grid;
    sp_rows_grid(space, rows, n_rows, &o, &grid);
    if (o.baseline != NULL) {
        sp_text_add(out, "\n");
        sp_baseline_add(space, o.baseline, o.width, out);
    }
    sp_text_add(out, "\n");
    sp_grid_write(&grid, 0, o.width, o.color, out);
    sp_grid_fini(&grid);
    add_legend(sp_space_problem(space), rows, n_rows, &o, out);
    sp_text_add(out, "\n");
    add_reading(rows, n_rows, &o, out);
    if (o.baseline != NULL) sp_baseline_changes(rows, n_rows, &o, out);
    add_front(space, result, rows, n_rows, &o, out);
    sp_text_add(out, "\n");
    sp_summary_search(space, result, &o, out);
    add_more(rows, &o, out);
    sp_free(rows);
}

void sp_report_train_markdown(const sp_space *space, const sp_search_result *result,
                              const sp_report_options *options, struct sp_text *out)
{
    sp_report_options o = with_defaults(options);
    o.color = false;
    o.width = UINT32_MAX;
    uint32_t n_rows = 0;
    sp_row *rows = sp_rows_build(space, result, o.by_layout, &n_rows);
    sp_page_put_recommendation(&o, out);
    sp_summary_question(sp_space_problem(space), &o, out);
    if (o.baseline != NULL) {
        sp_text_add(out, "\n");
        sp_baseline_add(space, o.baseline, o.width, out);
    }
    sp_text_add(out, "\n");
    if (rows != NULL) {
        sp_grid grid;
        sp_rows_grid(space, rows, n_rows, &o, &grid);
        sp_grid_write_markdown(&grid, out);
        sp_grid_fini(&grid);
        sp_text_add(out, "\n");
        add_legend(sp_space_problem(space), rows, n_rows, &o, out);
        if (o.baseline != NULL) sp_baseline_changes(rows, n_rows, &o, out);
        sp_text_add(out, "\n");
    }
    out->failed = out->failed || (rows == NULL && n_rows > 0);
    sp_summary_search(space, result, &o, out);
    sp_free(rows);
}
