/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Answers as text: tables for people, JSON and CSV for programs.
 *
 * Every function adds to a text of the caller (struct sp_text, base/base.h) and prints nothing.
 * Where memory runs out the text says so itself (sp_text.failed). All of them are pure: the same
 * problem and result give the same bytes, whatever the locale, the number of threads or ranks.
 *
 * Figures in JSON and CSV carry the names of sp_field_describe (estimate.h), and those of axes.def;
 * configs/schema/ describes the files. Fields that do not apply are left out, never null: money
 * without a price, the length of a run without its tokens.
 *
 *     struct sp_text text = {0};
 *     sp_report_train_table(space, &result, &(sp_report_options){.by_layout = true}, &text);
 *     fwrite(text.data, 1, text.length, stdout);
 */
#include "shardplan/analysis.h"
#include "shardplan/checkpoint.h"
#include "shardplan/evidence.h"
#include "shardplan/memory.h"
#include "shardplan/search.h"
#include "shardplan/space.h"
#include "shardplan/sweep.h"
#include "shardplan/traffic.h"

struct sp_text;

/* A plan and what became of it. */
typedef struct sp_priced {
    sp_plan plan;
    bool has_id; /* the plan is in the space of the question */
    uint64_t id;
    uint32_t rule; /* that refuses it, or UINT32_MAX */
    bool priced;   /* the estimate is filled: the plan can be built at all */
    sp_estimate estimate;
} sp_priced;

/* Asks the rules, then estimates unless the plan cannot be built. Cannot fail. */
void sp_price_plan(const sp_space *space, const sp_plan *plan, sp_priced *out);

/* The plan that others are compared with: what runs today, say. It changes no plan, no order and no
 * figure but those added beside them. A measurement of it gives the site factor, measured over
 * estimated step, by which whole steps are shown a second time; everything else stays as estimated.
 */
typedef struct sp_baseline {
    const char *text;       /* reads back as the plan, with the flags of the question */
    sp_priced priced;       /* always priced, perhaps refused                         */
    double measured_step_s; /* 0 = not measured                                       */
} sp_baseline;

/* The number that `recommend` found, before the plans behind it. */
typedef struct sp_recommendation {
    const char *find;     /* "min-gpus", "min-usd", "max-rate" */
    const char *sentence; /* for people */
    uint32_t gpus;        /* 0 = not what was looked for, here and below */
    double rate, usd_per_million_tokens;
} sp_recommendation;

/* How answers look; {0} is plain text of 100 columns with one row a plan. */
typedef struct sp_report_options {
    bool color;                  /* terminal colours */
    bool verbose;                /* the whole front, every rule */
    bool unicode;                /* marks beyond ASCII where something is drawn */
    bool by_layout;              /* one row a layout with its best plan; otherwise one row a plan */
    const char *names;           /* engine in whose flags plans of serving are written; NULL = none */
    uint32_t width;              /* columns of a line; 0 = 100 */
    const sp_baseline *baseline; /* shown beside every plan; NULL = none */
    const sp_recommendation *recommendation; /* that the answer stands behind; NULL = none */
    sp_evidence_base *evidence;  /* published runs to stand beside plans; NULL = none */
} sp_report_options;

/* ---- the answer of a search ---- */
void sp_report_train_table(const sp_space *space, const sp_search_result *result,
                           const sp_report_options *options, struct sp_text *out);
void sp_report_train_markdown(const sp_space *space, const sp_search_result *result,
                              const sp_report_options *options, struct sp_text *out);
/* One row a plan: the front, the best plans and the best of each layout, by (first objective, id).
 * Here and below, baseline is NULL where there is none. */
void sp_report_train_csv(const sp_space *space, const sp_search_result *result,
                         const sp_baseline *baseline, struct sp_text *out);
/* "shardplan/result/1" */
void sp_report_train_json(const sp_space *space, const sp_search_result *result,
                          const sp_report_options *options, struct sp_text *out);

/* Sentences for a search that found no plan: the tightest limit, by how much the nearest plan
 * misses it, and what would help. Looks at a part of the space again, which may take seconds. */
void sp_report_nothing(const sp_space *space, const sp_search_result *result, struct sp_text *out);

/* ---- single plans ---- */
/* Every term of one plan on a page of text. */
void sp_report_estimate_page(const sp_space *space, const sp_priced *priced,
                             const sp_report_options *options, struct sp_text *out);
/* "shardplan/estimate/1": one plan, or {"plans": [...]}. */
void sp_report_estimate_json(const sp_space *space, const sp_priced *priced,
                             const sp_report_options *options, struct sp_text *out);
void sp_report_estimates_json(const sp_space *space, const sp_priced *priced, size_t n,
                              const sp_report_options *options, struct sp_text *out);
/* Plans that cannot be built have empty figures. */
void sp_report_estimates_csv(const sp_space *space, const sp_priced *priced, size_t n,
                             const sp_baseline *baseline, struct sp_text *out);
void sp_report_estimates_table(const sp_space *space, const sp_priced *priced, size_t n,
                               const sp_report_options *options, struct sp_text *out);

/* ---- two plans side by side ---- */
/* Every figure of both, the difference b - a, how sure their order is, and what makes it. Figures
 * of a plan that cannot be built are left out. */
void sp_report_compare_page(const sp_space *space, const sp_priced *a, const sp_priced *b,
                            const sp_report_options *options, struct sp_text *out);
/* "shardplan/compare/1" */
void sp_report_compare_json(const sp_space *space, const sp_priced *a, const sp_priced *b,
                            struct sp_text *out);
/* ---- what there is ---- */
/* What was read from a model and from its checkpoint, of which one may be NULL: exact counts,
 * bytes, how far the two agree, assumptions. "shardplan/params/1" */
void sp_report_params_page(const sp_model *model, const sp_checkpoint *checkpoint,
                           struct sp_text *out);
void sp_report_params_json(const sp_model *model, const sp_checkpoint *checkpoint,
                           struct sp_text *out);

/* ---- the memory of a GPU that serves ---- */
/* found: what was asked for by --find, "largest batch"; NULL: nothing was. */
void sp_report_footprint_page(const sp_footprint_question *question, const sp_footprint *footprint,
                              const char *found, const sp_report_options *options,
                              struct sp_text *out);
/* "shardplan/memory/1" */
void sp_report_footprint_json(const sp_footprint_question *question, const sp_footprint *footprint,
                              const char *found, struct sp_text *out);
/* One row a phase and part. */
void sp_report_footprint_csv(const sp_footprint *footprint, struct sp_text *out);

/* ---- the memory of a GPU that trains; the plan is priced ---- */
/* What a plan over several nodes sends, and the best plan that a search of its question found. */
typedef struct sp_advice {
    sp_traffic traffic;
    bool whole, found; /* the whole space was settled; `best` is set */
    sp_priced best;
} sp_advice;

/* advice: NULL where there is none. */
void sp_report_training_memory_page(const sp_space *space, const sp_priced *priced,
                                    const char *found, const sp_advice *advice,
                                    const sp_report_options *options, struct sp_text *out);
/* "shardplan/memory/1" */
void sp_report_training_memory_json(const sp_space *space, const sp_priced *priced,
                                    const char *found, const sp_advice *advice,
                                    struct sp_text *out);
/* One row a part. */
void sp_report_training_memory_csv(const sp_priced *priced, struct sp_text *out);

/* ---- a model operator by operator ---- */
void sp_report_analysis_page(const sp_analysis_question *question, const sp_analysis *analysis,
                             const sp_report_options *options, struct sp_text *out);
/* "shardplan/analysis/1" */
void sp_report_analysis_json(const sp_analysis_question *question, const sp_analysis *analysis,
                             struct sp_text *out);
void sp_report_analysis_csv(const sp_analysis *analysis, struct sp_text *out);
/* The operators of the first phase asked for and what each reads: "shardplan/graph/1", and for
 * Graphviz. */
void sp_report_graph_json(const sp_analysis_question *question, struct sp_text *out);
void sp_report_graph_dot(const sp_analysis_question *question, struct sp_text *out);
/* A workbook: a summary, and a sheet of operators for each phase. SP_E_NOT_YET in a build without
 * libxlsxwriter, SP_E_IO when the file cannot be written. */
sp_status sp_report_analysis_xlsx(const sp_analysis_question *question, const sp_analysis *analysis,
                                  const char *file, sp_error *err);

typedef enum sp_list_kind {
    SP_LIST_MODELS,
    SP_LIST_TYPES,
    SP_LIST_HARDWARE,
    SP_LIST_ENGINES,
    SP_LIST_RULES,
    SP_LIST_AXES,
    SP_LIST_OBJECTIVES,
    SP_LIST_RECIPES,
    SP_N_LISTS
} sp_list_kind;

const char *sp_list_name(sp_list_kind kind); /* "models" */
/* Reads the data files under home. "shardplan/list/1" */
sp_status sp_report_list(const char *home, sp_list_kind kind, bool json,
                         const sp_report_options *options, struct sp_text *out, sp_error *err);

/* ---- before a search ---- */
/* How many plans a space holds, from a sample of its ids that is the same each time. */
typedef struct sp_sample {
    uint64_t tried, admitted;
    sp_plan plan; /* an admitted one, when there is one */
} sp_sample;
sp_sample sp_sample_space(const sp_space *space, uint64_t n_tries);

/* The axes of a space, its size, how long a search may take when one estimate takes
 * seconds_per_plan (0 leaves the time out), and what memory the process has taken so far. */
void sp_report_dry_run(const sp_space *space, const sp_sample *sample, double seconds_per_plan,
                       double resident_bytes, uint32_t threads, const sp_report_options *options,
                       struct sp_text *out);

/* ---- sweeps (sweep.h): pages for people, JSON ("shardplan/sweep-result/1", "evolved",
 * "tiers-result", "chips", "speculation"), CSV with a line a chip
 * ------------------------------------------------ */
void sp_report_sweep_page(const sp_analysis_question *question, const sp_sweep *sweep,
                          const sp_economics *money, const sp_sweep_result *result,
                          const sp_report_options *options, struct sp_text *out);
void sp_report_sweep_json(const sp_analysis_question *question, const sp_sweep *sweep,
                          const sp_economics *money, const sp_sweep_result *result,
                          struct sp_text *out);
void sp_report_sweep_csv(const sp_sweep_result *result, struct sp_text *out);
/* An accelerator of which one figure is multiplied: n points, each with its multiplier; borrowed.
 */
typedef struct sp_sensitivity {
    uint32_t figure; /* as in sp_chip_figure_name */
    uint32_t n;
    const double *multipliers;
    const sp_sweep_point *points;
} sp_sensitivity;
void sp_report_sensitivity_page(const sp_analysis_question *question,
                                const sp_sensitivity *sensitivity, const sp_report_options *options,
                                struct sp_text *out);
/* Of the population those that can be built and that no other beats. */
void sp_report_evolved_page(const sp_analysis_question *question, const sp_sweep *ranges,
                            const sp_economics *money, const sp_individual *all, uint32_t n,
                            const sp_report_options *options, struct sp_text *out);
void sp_report_evolved_json(const sp_analysis_question *question, const sp_sweep *ranges,
                            const sp_economics *money, const sp_individual *all, uint32_t n,
                            struct sp_text *out);
void sp_report_tiers_page(const sp_analysis_question *question, const sp_tiered_chip *chip,
                          const sp_tier_plan *plan, const sp_report_options *options,
                          struct sp_text *out);
void sp_report_tiers_json(const sp_analysis_question *question, const sp_tiered_chip *chip,
                          const sp_tier_plan *plan, struct sp_text *out);
void sp_report_chips_page(const sp_analysis_question *question, const sp_chips *curve,
                          uint32_t max_chips, const sp_report_options *options,
                          struct sp_text *out);
void sp_report_chips_json(const sp_analysis_question *question, const sp_chips *curve,
                          uint32_t max_chips, struct sp_text *out);
void sp_report_speculation_page(const sp_analysis_question *target,
                                const sp_analysis_question *draft, const sp_speculation *s,
                                const sp_report_options *options, struct sp_text *out);
void sp_report_speculation_json(const sp_analysis_question *target,
                                const sp_analysis_question *draft, const sp_speculation *s,
                                struct sp_text *out);
