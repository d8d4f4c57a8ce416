/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the files of this room share: numbers for people, text tables, and the parts of a plan that
 * JSON, CSV and tables all show. */
#include "base/base.h"
#include "shardplan/report.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- words.c: numbers for people ------------------------------------------------------------- */
#define SP_WORD_BYTES 40
typedef struct sp_word {
    char text[SP_WORD_BYTES];
} sp_word;
sp_word sp_word_count(uint64_t n);        /* "70,553,706,496" */
sp_word sp_word_number(double x);         /* four digits that matter: "11.34", "0.05412", "1,234" */
sp_word sp_word_gib(double bytes);        /* "68.2" */
sp_word sp_word_bytes(double bytes);      /* "12.3 GB", decimal, for traffic */
sp_word sp_word_percent(double ratio);    /* "12.3 %" */
sp_word sp_word_chance(double p);         /* "0.973"; ">0.999" where that would read as certain */
sp_word sp_word_usd(double usd);          /* "$0.412", "$1,234" */
sp_word sp_word_duration(double seconds); /* "0.42 s", "3 min 20 s" */

/* ---- style.c --------------------------------------------------------------------------------- */
typedef enum sp_tone {
    SP_TONE_PLAIN,
    SP_TONE_STRONG,
    SP_TONE_FAINT,
    SP_TONE_GOOD,
    SP_TONE_BAD,
    SP_TONE_OTHER /* of a second kind beside the good ones */
} sp_tone;
/* Adds text in a tone; plain where color is off. */
void sp_tone_add(struct sp_text *out, bool color, sp_tone tone, const char *text);
/* Adds words, breaking lines at `width` columns; further lines are indented. */
void sp_text_wrap(struct sp_text *out, const char *words, uint32_t width, uint32_t indent);

/* ---- checkpoint_page.c: model may be NULL -----------------------------------------------------
 */
void sp_report_checkpoint_page(const sp_checkpoint *checkpoint, const sp_model *model,
                               struct sp_text *out);
/* Adds the member "checkpoint". */
void sp_report_checkpoint_json(const sp_checkpoint *checkpoint, const sp_model *model,
                               sp_json_writer *w);

/* ---- grid.c: a table of text ----------------------------------------------------------------- */
typedef enum sp_grid_align {
    SP_LEFT,
    SP_RIGHT,      /* numbers */
    SP_RIGHT_CLOSE /* with one blank before it instead of two */
} sp_grid_align;

typedef struct sp_grid_column {
    const char *header;
    sp_grid_align align;
    uint8_t
        rank; /* where a line is too long, the column with the largest rank goes first; 0 stays */
} sp_grid_column;

typedef struct sp_grid {
    sp_arena arena;
    uint32_t n_columns, n_rows, capacity;
    sp_grid_column *columns;
    const char **cells; /* [row][column] */
    sp_tone *tones;     /* of rows */
    bool failed;
} sp_grid;

/* Memory failures are kept in grid->failed and passed on to the text. */
void sp_grid_init(sp_grid *grid, uint32_t max_columns, uint32_t max_rows);
void sp_grid_fini(sp_grid *grid);
/* The header is copied. */
uint32_t sp_grid_column_add(sp_grid *grid, const char *header, sp_grid_align align, uint8_t rank);
uint32_t sp_grid_row_add(sp_grid *grid, sp_tone tone);
/* Sets a cell of the last row. */
void sp_grid_set(sp_grid *grid, uint32_t column, const char *text);
/* Whether a column of this header finds room in a line of `width`. */
bool sp_grid_shows(const sp_grid *grid, const char *header, uint32_t indent, uint32_t width);
void sp_grid_write(const sp_grid *grid, uint32_t indent, uint32_t width, bool color,
                   struct sp_text *out);
void sp_grid_write_markdown(const sp_grid *grid, struct sp_text *out);

/* ---- recommendation.c -------------------------------------------------------------------------
 */
/* Its sentence and an empty line; "recommendation": {...}. Nothing where the options have none. */
void sp_page_put_recommendation(const sp_report_options *options, struct sp_text *out);
void sp_json_put_recommendation(sp_json_writer *w, const sp_report_options *options);

/* ---- page_terms.c ---------------------------------------------------------------------------- */
/* "  forward      3.104 s   27.3 %  ########  forward passes" */
void sp_page_put_term(struct sp_text *out, const char *name, const char *amount, double ratio,
                      const char *meaning);
/* An empty line and the heading. */
void sp_page_put_heading(struct sp_text *out, const sp_report_options *o, const char *heading);

/* ---- plan_parts.c ---------------------------------------------------------------------------- */
/* False for figures that do not apply to this question: money without a price, ... */
bool sp_field_applies(const sp_problem *problem, uint32_t field);
/* Settings that are not at their default, the number of GPUs aside. */
uint32_t sp_plan_n_settings(const sp_plan *plan);
/* "tp8 pp2 dp4", with the GPUs where they vary and ep where there are experts */
void sp_plan_short_layout(const sp_problem *problem, const sp_plan *plan, char *text,
                          size_t capacity);
/* "mb2 v5 z1 sel sp ot od" */
void sp_plan_short_settings(const sp_plan *plan, char *text, size_t capacity);
/* "megatron >=0.12, torchtitan >=0.2" into text, with `at` between name and versions. */
void sp_plan_runs_on(const sp_space *space, const sp_plan *plan, const char *at,
                     struct sp_text *out);
sp_priced sp_price_point(const sp_space *space, const sp_point *point);

/* ---- points.c -------------------------------------------------------------------------------- */
void sp_points_sort(sp_point *points, uint32_t n);
/* A sorted copy of a front; NULL when memory is gone. sp_free it. */
sp_point *sp_points_of_front(const sp_front *front);

/* ---- result_json.c ----------------------------------------------------------------------------
 */
/* The rules of a space of training or of serving. */
typedef struct sp_rules {
    uint32_t n;
    const sp_rule_info *(*get)(const void *space, uint32_t rule);
    const void *space;
} sp_rules;
/* "search": {...} and "grid": [...], into an open object. */
void sp_json_put_search(sp_json_writer *w, const sp_rules *rules, const sp_search_result *result);
void sp_json_put_grid(sp_json_writer *w, const sp_rules *rules, const sp_search_result *result);

/* ---- json parts ------------------------------------------------------------------------------ */
void sp_json_put_version(sp_json_writer *w);
/* baseline is NULL where there is none. */
void sp_json_put_question(sp_json_writer *w, const char *key, const sp_problem *problem,
                          const sp_baseline *baseline);
void sp_json_put_model(sp_json_writer *w, const sp_problem *problem);
/* A setting as in "axes": a number, or the name of a choice. */
void sp_json_put_setting(sp_json_writer *w, const char *key, sp_axis_id axis, uint32_t value);
/* The members of a plan, into an object that is open. */
void sp_json_put_plan(sp_json_writer *w, const sp_space *space, const sp_priced *priced);

/* ---- memory_page.c -----------------------------------------------------------------------------
 */
/* What --find came to, and an empty line; nothing where nothing was asked. */
void sp_page_put_found(const char *found, struct sp_text *out);
/* What to ask where the memory does not hold it. */
void sp_page_put_way_out(struct sp_text *out);

/* ---- memory_traffic.c -------------------------------------------------------------------------
 */
/* The collectives of a plan, what they suggest, and what a search found. */
void sp_page_put_traffic(const sp_advice *advice, const sp_priced *priced,
                         const sp_report_options *options, struct sp_text *out);
/* Adds "step_s", "traffic", "waits_s", "suggestions" and "search". */
void sp_json_put_traffic(sp_json_writer *w, const sp_advice *advice, const sp_priced *priced);

/* ---- evidence_words.c ------------------------------------------------------------------------ */
/* "evidence": {...} into the open object of a plan; nothing where the options bring no recipes. */
void sp_json_put_evidence(sp_json_writer *w, const sp_report_options *options,
                          const sp_space *space, const sp_plan *plan);
/* The line of the estimate page. */
void sp_page_put_evidence(const sp_report_options *options, const sp_space *space,
                          const sp_plan *plan, struct sp_text *out);

/* ---- params_page.c: what was assumed of a model -----------------------------------------------
 */
/* "assumptions": [..] into the open object. */
void sp_json_put_assumptions(sp_json_writer *w, const sp_model *model);
/* A note for each. */
void sp_page_put_assumptions(const sp_model *model, struct sp_text *out);

/* ---- changes.c: which settings two plans differ in ------------------------------------------- */
/* "tp 4 -> 8, recompute full -> none"; nothing where they are the same. */
void sp_plan_changes(const sp_plan *from, const sp_plan *to, struct sp_text *out);
void sp_json_put_changes(sp_json_writer *w, const sp_plan *from, const sp_plan *to);

/* ---- against.c: a plan beside the baseline --------------------------------------------------- */
typedef struct sp_against {
    double speedup_ratio;                   /* step of the baseline over that of the plan */
    double p_faster;                        /* sp_faster_probability                      */
    double factor;                          /* the site factor; 0 = nothing was measured  */
    double step_s, step_low_s, step_high_s; /* with it                                    */
} sp_against;

/* Of a plan that is priced. */
sp_against sp_against_baseline(const sp_problem *problem, const sp_baseline *baseline,
                               const sp_priced *priced);
/* "baseline" and "corrected", into the open object of a plan; nothing where baseline is NULL. */
void sp_json_put_against(sp_json_writer *w, const sp_problem *problem, const sp_baseline *baseline,
                         const sp_priced *priced);
/* The last columns of a row, each with a comma before it. */
void sp_csv_against_header(const sp_baseline *baseline, struct sp_text *out);
void sp_csv_against(const sp_problem *problem, const sp_baseline *baseline, const sp_priced *priced,
                    struct sp_text *out);

/* ---- result_csv.c ---------------------------------------------------------------------------- */
/* A comma and the text in quotes. */
void sp_csv_add_text(struct sp_text *out, const char *text);
/* A comma and the number. */
void sp_csv_add_number(struct sp_text *out, double x);

/* ---- rows.c: the rows of the answer's table -------------------------------------------------- */
typedef struct sp_row {
    sp_priced priced;
    uint64_t n_variants; /* 0 = one plan */
    uint32_t n_settings;
    bool tied, on_front;
    uint32_t place; /* by the first objective, 0 = best */
} sp_row;

/* The rows in the order they are shown; NULL when memory is gone or there is none. sp_free it. */
sp_row *sp_rows_build(const sp_space *space, const sp_search_result *result, bool by_layout,
                      uint32_t *n_rows);
/* A plan of the rows has cp > 1: the table has a column for it. */
bool sp_rows_cut_sequences(const sp_row *rows, uint32_t n_rows);
void sp_rows_grid(const sp_space *space, const sp_row *rows, uint32_t n_rows,
                  const sp_report_options *options, sp_grid *grid);

/* ---- baseline_words.c: the baseline of a table, for people ----------------------------------- */
/* Its step, its verdict, what a measurement of it does. */
void sp_baseline_add(const sp_space *space, const sp_baseline *baseline, uint32_t width,
                     struct sp_text *out);
/* The columns that it adds. */
void sp_baseline_legend(const sp_baseline *baseline, struct sp_text *out);
/* One line a row: which settings it has in place of the baseline's. */
void sp_baseline_changes(const sp_row *rows, uint32_t n_rows, const sp_report_options *options,
                         struct sp_text *out);

/* ---- summary.c ------------------------------------------------------------------------------- */
void sp_summary_question(const sp_problem *problem, const sp_report_options *options,
                         struct sp_text *out);
void sp_summary_search(const sp_space *space, const sp_search_result *result,
                       const sp_report_options *options, struct sp_text *out);
double sp_search_plans_per_s(const sp_search_result *result);

/* ---- compare.c: what two plans differ in ----------------------------------------------------- */
/* In plain words, the largest term of the difference of two steps. */
void sp_compare_words(const sp_priced *a, const sp_priced *b, struct sp_text *out);

/* ---- probe.c: a second look at a space for the plan that misses its limits least ------------- */
typedef enum sp_probe_until { SP_PROBE_ALL, SP_PROBE_ADMITTED, SP_PROBE_FITS } sp_probe_until;

typedef struct sp_probe {
    bool admitted;      /* some plan means something                                           */
    bool runnable;      /* and an engine runs it                                               */
    uint32_t where;     /* rule of a --where that refused one of these, or UINT32_MAX           */
    bool allowed;       /* and --where lets it through                                         */
    sp_plan least_plan; /* of the allowed ones, the one that needs the least memory            */
    sp_memory least;
    bool fits;          /* some allowed plan fits the memory                                   */
    sp_plan quiet_plan; /* of those, the one with the least exposed network                    */
    double quiet_ratio;
} sp_probe;

/* Looks at the largest number of GPUs and the smallest micro-batches. */
void sp_probe_space(const sp_space *space, sp_probe_until until, sp_probe *out);
/* The same question on `gpus` GPUs. */
sp_status sp_probe_gpus(const sp_problem *problem, uint32_t gpus, sp_probe_until until,
                        sp_probe *out, sp_error *err);

/* ---- listing.c: rows of a list --------------------------------------------------------------- */
#define SP_LISTING_ROWS 4096u

typedef struct sp_listing {
    sp_arena arena;
    const char *home;
    bool json;
    sp_json_writer writer;
    sp_grid grid;
    const char *const *keys;
    uint32_t n_keys, column, n_rows;
} sp_listing;

/* document receives the JSON form. */
void sp_listing_init(sp_listing *l, const char *home, bool json, struct sp_text *document);
void sp_listing_fini(sp_listing *l);
/* Columns: keys of JSON, headers of the table; bit i of `numbers` says that column i stands right.
 */
void sp_listing_begin(sp_listing *l, const char *const *keys, const char *const *headers,
                      uint32_t n, uint32_t numbers);
/* False when there is no room for more; otherwise put every column, then end the row. */
bool sp_listing_row(sp_listing *l);
void sp_listing_row_end(sp_listing *l);
void sp_listing_text(sp_listing *l, const char *text);
void sp_listing_count(sp_listing *l, uint64_t n);
/* word is what people read; 0 means not known and is left out. */
void sp_listing_number(sp_listing *l, double x, sp_word word);

/* ---- list_files.c ---------------------------------------------------------------------------- */
sp_status sp_list_types(sp_listing *l, sp_error *err);
sp_status sp_list_models(sp_listing *l, sp_error *err);
sp_status sp_list_hardware(sp_listing *l, sp_error *err);
sp_status sp_list_engines(sp_listing *l, sp_error *err);
sp_status sp_list_rules(sp_listing *l, sp_error *err);

/* ---- list_recipes.c -------------------------------------------------------------------------- */
sp_status sp_list_recipes(sp_listing *l, sp_error *err);

/* ---- params_kind.c ------------------------------------------------------------------------------
 */
/* A kind of layer in words, and a line's end. */
void sp_add_layer_kind(struct sp_text *out, const sp_layer_kind *kind);
/* Lines on what is outside layers. */
void sp_add_outside(struct sp_text *out, const sp_model *model);
