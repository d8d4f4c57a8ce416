/* SPDX-License-Identifier: Apache-2.0 */
/* The answer of a serving search for people: the question, the best worker layouts, what they mean,
 * the front as a picture, what was searched, how to see more. */
#include "report/serving_page.h"

#include <inttypes.h>
#include <stdio.h>

#define SHOWN_FRONT   6u
#define DEFAULT_WIDTH 100u

static sp_report_options with_defaults(const sp_report_options *options)
{
    sp_report_options o = *options;
    if (o.width == 0) o.width = DEFAULT_WIDTH;
    return o;
}

/* ---- plans of the front that no row shows ---- */

static bool is_shown(const sp_serving_answer *answer, uint64_t id)
{
    for (uint32_t i = 0; i < answer->n_rows; i++) {
        if (answer->rows[i].served.id == id) return true;
    }
    return false;
}

enum { USER, RATE, TTFT, ENGINE, WORKERS, BATCH, CHUNK, ID, N_COLUMNS };

static void add_front_row(const sp_serving_space *space, const sp_point *point, sp_grid *grid)
{
    const sp_serving_problem *problem = sp_serving_space_problem(space);
    const sp_served_plan p = sp_serving_price_point(space, point);
    const uint32_t *value = p.plan.value;
    char layout[96], engine[32], number[24];
    sp_served_layout(&p.plan, layout, sizeof layout);
    sp_serving_format_value(problem, SP_SERVING_AXIS_engine, value[SP_SERVING_AXIS_engine], engine);
    sp_grid_row_add(grid, SP_TONE_PLAIN);
    sp_grid_set(grid, USER, sp_word_brief(p.estimate.tokens_per_s_per_user).text);
    sp_grid_set(grid, RATE, sp_word_brief(p.estimate.tokens_per_s_per_gpu).text);
    sp_grid_set(grid, TTFT, sp_word_brief(p.estimate.latency_s[SP_LATENCY_TTFT][SP_MEAN]).text);
    sp_grid_set(grid, ENGINE, engine);
    sp_grid_set(grid, WORKERS, layout);
    sp_grid_set(grid, BATCH, sp_word_count(value[SP_SERVING_AXIS_batch]).text);
    sp_grid_set(grid, CHUNK, sp_word_count(value[SP_SERVING_AXIS_chunk_tokens]).text);
    (void)snprintf(number, sizeof number, "%" PRIu64, point->id);
    sp_grid_set(grid, ID, number);
}

/* The ends and some in between, evenly spread. */
static void add_front_rows(const sp_serving_space *space, const sp_point *points, uint32_t n,
                           uint32_t shown, const sp_report_options *o, struct sp_text *out)
{
    static const char *const headers[N_COLUMNS] = {"tok/s/user", "tok/s/GPU", "TTFT s", "engine",
                                                   "workers",    "batch",     "chunk",  "id"};
    sp_grid grid;
    sp_grid_init(&grid, N_COLUMNS, shown);
    for (uint32_t i = 0; i < N_COLUMNS; i++) {
        const bool words = i == ENGINE || i == WORKERS;
        sp_grid_column_add(&grid, headers[i], words ? SP_LEFT : SP_RIGHT, i == ID ? 1 : 0);
    }
    for (uint32_t i = 0; i < shown; i++) {
        const uint32_t pick = shown > 1 ? (uint32_t)((uint64_t)i * (n - 1) / (shown - 1)) : 0;
        add_front_row(space, &points[pick], &grid);
    }
    sp_grid_write(&grid, 2, o->width, o->color, out);
    sp_grid_fini(&grid);
}

static void add_front(const sp_serving_answer *answer, const sp_report_options *o,
                      struct sp_text *out)
{
    const sp_front *front = &answer->result->front;
    sp_point *points = sp_points_of_front(front);
    uint32_t n = 0;
    if (points == NULL) {
        out->failed = true;
        return;
    }
    for (uint32_t i = 0; i < front->n_points; i++) {
        if (!is_shown(answer, points[i].id)) points[n++] = points[i];
    }
    const uint32_t shown = o->verbose || n < SHOWN_FRONT ? n : SHOWN_FRONT;
    if (shown > 0) {
        if (shown < n) {
            sp_text_printf(out, "\n%u of its %u plans that no row shows (-v shows all):\n", shown,
                           n);
        } else {
            sp_text_printf(out, "\nIts plan%s that no row shows:\n", n == 1 ? "" : "s");
        }
        add_front_rows(answer->space, points, n, shown, o, out);
    }
    sp_free(points);
}

/* ---- the answer ---- */

static void add_more(const sp_serving_answer *answer, const sp_report_options *o,
                     struct sp_text *out)
{
    struct sp_text text = {0};
    sp_text_printf(&text,
                   "To see every term of row 1, keep the answer (--json -o result.json) and run: "
                   "shardplan estimate %" PRIu64 " --result result.json",
                   answer->rows[0].served.id);
    sp_text_wrap(out, text.length > 0 ? text.data : "", o->width, 2);
    out->failed = out->failed || text.failed;
    sp_text_fini(&text);
}

void sp_report_serve_table(const sp_serving_answer *answer, const sp_report_options *options,
                           struct sp_text *out)
{
    const sp_report_options o = with_defaults(options);
    sp_page_put_recommendation(&o, out);
    sp_serving_summary_question(sp_serving_space_problem(answer->space), &o, out);
    if (answer->n_rows > 0) {
        sp_grid grid;
        sp_serving_rows_grid(answer, &o, &grid);
        sp_text_add(out, "\n");
        sp_grid_write(&grid, 0, o.width, o.color, out);
        sp_serving_legend(answer, &grid, &o, out);
        sp_grid_fini(&grid);
        sp_text_add(out, "\n");
        sp_serving_reading(answer, &o, out);
        sp_serving_front_draw(answer, &o, out);
        add_front(answer, &o, out);
        sp_serving_names_rows(answer, &o, out);
        sp_text_add(out, "\n");
    }
    sp_serving_summary_search(answer->space, answer->result, &o, out);
    if (answer->n_rows > 0) add_more(answer, &o, out);
}

void sp_report_serve_markdown(const sp_serving_answer *answer, const sp_report_options *options,
                              struct sp_text *out)
{
    sp_report_options o = with_defaults(options);
    o.color = false;
    o.width = UINT32_MAX;
    sp_page_put_recommendation(&o, out);
    sp_serving_summary_question(sp_serving_space_problem(answer->space), &o, out);
    sp_text_add(out, "\n");
    if (answer->n_rows > 0) {
        sp_grid grid;
        sp_serving_rows_grid(answer, &o, &grid);
        sp_grid_write_markdown(&grid, out);
        sp_text_add(out, "\n");
        sp_serving_legend(answer, &grid, &o, out);
        sp_grid_fini(&grid);
        sp_text_add(out, "\n");
        sp_serving_reading(answer, &o, out);
        sp_text_add(out, "\n");
    }
    sp_serving_summary_search(answer->space, answer->result, &o, out);
}
