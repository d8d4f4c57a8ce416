/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the pages, tables and files about serving share. */
#include "report/report_priv.h"
#include "shardplan/serving_report.h"

/* ---- serving_words.c ---- */
/* Three digits that matter: "0.0312", "18.2", "1,234". */
sp_word sp_word_brief(double x);
sp_word sp_word_latency(double seconds); /* "83.1 ms", "2.41 s" */
/* Adds the words as lines of options->width, those behind the first moved in, and frees them. */
void sp_serving_sentence(struct sp_text *words, const sp_report_options *options,
                         struct sp_text *out);
/* "4 x tp2", "2 x tp4 + 3 x tp1 dp8 ep8" */
void sp_served_layout(const sp_serving_plan *plan, char *text, size_t capacity);
/* "ttft p95 <= 800 ms" */
void sp_limit_words(const sp_limit *limit, char *text, size_t capacity);
/* A number format, speculation, pieces of prompts: what differs between plans beside the layout;
 * empty where all have the same. */
void sp_served_settings(const sp_serving_space *space, const sp_serving_plan *plan, char *text,
                        size_t capacity);
sp_served_plan sp_serving_price_point(const sp_serving_space *space, const sp_point *point);
bool sp_serving_varies(const sp_serving_space *space, sp_serving_axis_id axis);
sp_serving_mode sp_served_mode(const sp_serving_plan *plan);
/* False for money without a price. */
bool sp_serving_field_applies(const sp_serving_problem *problem, uint32_t field);
double sp_serving_usd_per_gpu_hour(const sp_serving_problem *problem, sp_serving_role role);

/* ---- serving_summary.c ---- */
void sp_serving_summary_question(const sp_serving_problem *problem,
                                 const sp_report_options *options, struct sp_text *out);
void sp_serving_summary_search(const sp_serving_space *space, const sp_search_result *result,
                               const sp_report_options *options, struct sp_text *out);

/* ---- serving_front.c: the front as a picture of characters ---- */
void sp_serving_front_draw(const sp_serving_answer *answer, const sp_report_options *options,
                           struct sp_text *out);

/* ---- serving_grid.c: the rows of the table, and what their columns mean ---- */
void sp_serving_rows_grid(const sp_serving_answer *answer, const sp_report_options *options,
                          sp_grid *grid);
/* Of the columns that `grid`, the rows, has in a line of options->width. */
void sp_serving_legend(const sp_serving_answer *answer, const sp_grid *grid,
                       const sp_report_options *options, struct sp_text *out);

/* ---- serving_reading.c: what the rows mean, in sentences ---- */
void sp_serving_reading(const sp_serving_answer *answer, const sp_report_options *options,
                        struct sp_text *out);
/* "ttft p95 <= 800 ms is kept with 12 % to spare"; what holds a plan back. */
void sp_serving_binds(const sp_serving_problem *problem, const sp_served_plan *served,
                      struct sp_text *out);

/* ---- serving_run.c: runs request by request ---- */
/* The limit that the run of a plan misses; UINT32_MAX where it keeps all. */
uint32_t sp_serving_broken_limit(const sp_serving_problem *problem, const sp_served_plan *served);
/* What the run of the first row says; nothing where it was not run. */
void sp_serving_run_words(const sp_serving_answer *answer, const sp_report_options *options,
                          struct sp_text *out);

/* ---- serving_names.c: nothing without --names ---- */
void sp_serving_names_rows(const sp_serving_answer *answer, const sp_report_options *options,
                           struct sp_text *out);
void sp_serving_names_plan(const sp_serving_space *space, const sp_serving_plan *plan,
                           const sp_report_options *options, struct sp_text *out);

/* ---- serving_json.c ---- */
void sp_json_put_serving_question(sp_json_writer *w, const sp_serving_problem *problem);
void sp_json_put_serving_model(sp_json_writer *w, const sp_serving_problem *problem);
/* The members of a plan, into an object that is open. */
void sp_json_put_served(sp_json_writer *w, const sp_serving_space *space,
                        const sp_served_plan *served);
