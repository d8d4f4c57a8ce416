/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Answers about serving as text, under the rules of report.h: tables and pages for people, JSON and
 * CSV for programs. Figures are named by sp_serving_field_describe, axes by serving_axes.def.
 *
 * Plans are ranked and filtered by closed forms. The first that a table shows are then run request by
 * request (sp_serving_simulate, always with the same seed): that gives the share of requests within
 * all limits, and stands beside the closed forms in JSON. Both tiers are named wherever they appear.
 *
 *     sp_serving_answer answer;
 *     const sp_serving_shown shown = {.by_layout = true, .top = 10, .runs = 3};
 *     SP_TRY(sp_serving_answer_build(space, &result, &shown, &answer, err));
 *     sp_report_serve_table(&answer, &options, &text);
 *     sp_serving_answer_fini(&answer);
 */
#include "shardplan/report.h"
#include "shardplan/serving_space.h"

/* A plan and what became of it. */
typedef struct sp_served_plan {
    sp_serving_plan plan;
    bool has_id; /* the plan is in the space of the question */
    uint64_t id;
    uint32_t rule;  /* that refuses it, or UINT32_MAX */
    bool priced;    /* the estimate is filled: the plan can be built at all */
    bool simulated; /* run is filled */
    sp_serving_estimate estimate;
    sp_serving_run run;
} sp_served_plan;

/* Asks the rules, then estimates unless the plan cannot be built. Cannot fail. */
void sp_serving_price(const sp_serving_space *space, const sp_serving_plan *plan,
                      sp_served_plan *out);
/* Runs a priced plan request by request; it stays as it is where the run cannot be made. */
void sp_serving_price_run(const sp_serving_space *space, sp_served_plan *served);

/* A row of the table. */
typedef struct sp_serving_row {
    sp_served_plan served;
    uint64_t n_variants; /* 0 = one plan */
    bool tied, on_front; /* tied: within the interval of the first row */
} sp_serving_row;

/* The best plan of a mode by the first objective. */
typedef struct sp_serving_champion {
    bool found;
    uint32_t row; /* that shows it, UINT32_MAX where none does */
    sp_served_plan served;
} sp_serving_champion;

/* What a search found, with what people are shown of it. */
typedef struct sp_serving_answer {
    const sp_serving_space *space;
    const sp_search_result *result;
    uint32_t top; /* rows and best plans that were asked for */
    uint32_t n_rows;
    sp_serving_row *rows;
    uint32_t n_repeats; /* layouts left out: a row's workers on more GPUs */
    sp_serving_champion champions[SP_N_SERVING_MODES];
} sp_serving_answer;

/* What is shown of what was found. */
typedef struct sp_serving_shown {
    bool by_layout; /* one row a layout, otherwise one a plan */
    uint32_t top;   /* rows at most */
    uint32_t runs;  /* of them, first ones first, are run request by request */
} sp_serving_shown;

/* Search for top_k = top times the numbers of GPUs,
 * of which those that repeat a row are left out. */
sp_status sp_serving_answer_build(const sp_serving_space *space, const sp_search_result *result,
                                  const sp_serving_shown *shown, sp_serving_answer *answer,
                                  sp_error *err);
void sp_serving_answer_fini(sp_serving_answer *answer);

/* ---- the answer of a search ---- */
void sp_report_serve_table(const sp_serving_answer *answer, const sp_report_options *options,
                           struct sp_text *out);
void sp_report_serve_markdown(const sp_serving_answer *answer, const sp_report_options *options,
                              struct sp_text *out);
/* "shardplan/result/1" */
void sp_report_serve_json(const sp_serving_answer *answer, const sp_report_options *options,
                          struct sp_text *out);
/* One row a plan: the front, the best plans and the rows, by (first objective, id). */
void sp_report_serve_csv(const sp_serving_answer *answer, struct sp_text *out);
/* Sentences for a search that found no plan: which limit binds and the nearest value that some plan
 * keeps. Asks the question again without its limits, which takes as long as the search. */
void sp_report_serve_nothing(const sp_serving_space *space, const sp_search_result *result,
                             struct sp_text *out);
/* The axes of the space and its size. */
void sp_report_serve_dry_run(const sp_serving_space *space, const sp_report_options *options,
                             struct sp_text *out);

/* ---- single plans ---- */
void sp_report_served_page(const sp_serving_space *space, const sp_served_plan *served,
                           const sp_report_options *options, struct sp_text *out);
/* "shardplan/estimate/1": one plan, or {"plans": [...]}. */
void sp_report_served_json(const sp_serving_space *space, const sp_served_plan *served,
                           struct sp_text *out);
void sp_report_served_list_json(const sp_serving_space *space, const sp_served_plan *served,
                                size_t n, struct sp_text *out);
void sp_report_served_list_csv(const sp_serving_space *space, const sp_served_plan *served,
                               size_t n, struct sp_text *out);
void sp_report_served_list_table(const sp_serving_space *space, const sp_served_plan *served,
                                 size_t n, const sp_report_options *options, struct sp_text *out);

/* ---- the same question, changed ---- */
/* A question asked and searched; fini whatever came of it. */
typedef struct sp_serving_asked {
    sp_serving_problem *problem;
    sp_serving_space *space;
    sp_search_result result;
} sp_serving_asked;
sp_status sp_serving_ask(const sp_serving_question *question, const sp_search_options *options,
                         sp_serving_asked *asked, sp_error *err);
void sp_serving_asked_fini(sp_serving_asked *asked);
