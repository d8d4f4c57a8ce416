/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the files of this room share: the words of a table as settings, a row as a question and a
 * plan, a prediction, and the score of all rows. */
#include "base/base.h"
#include "fidelity/csv.h"
#include "fidelity/score.h"
#include "shardplan/fidelity.h"
#include "shardplan/problem.h"

#include <stdbool.h>
#include <stdint.h>

/* ---- map_tests.c: what mappings of tables have in common ---------------------------------------
 */
/* A cell that is (or, negated, is not) one of some patterns: text with '*' at its ends. */
typedef struct sp_map_test {
    uint32_t column_idx;
    bool negated;
    uint32_t n_patterns;
    const char *const *patterns;
} sp_map_test;

/* What reading needs beside the JSON at hand. */
typedef struct sp_map_reader {
    sp_arena *arena;
    const sp_csv *csv;
    bool (*is_measured)(const char *column); /* such columns are refused */
    sp_error *err;
} sp_map_reader;

sp_status sp_map_no_memory(const sp_map_reader *r);
sp_status sp_map_keep(const sp_map_reader *r, const char *text, const char **kept);
/* Copies object[key] where it is there. */
sp_status sp_map_keep_optional(const sp_map_reader *r, const sp_json *object, const char *key,
                               const char **kept);
/* A string, or an array of them. */
sp_status sp_map_read_texts(const sp_map_reader *r, const sp_json *value, const char *const **texts,
                            uint32_t *n_texts);
sp_status sp_map_find_column(const sp_map_reader *r, const sp_json *value, const char *name,
                             uint32_t *column);
/* Those of rule["when"] and rule["unless"]. */
sp_status sp_map_read_tests(const sp_map_reader *r, const sp_json *rule, sp_map_test **tests,
                            uint32_t *n_tests);
bool sp_map_test_holds(const sp_map_test *test, const sp_csv *csv, uint32_t row);
bool sp_map_tests_hold(const sp_map_test *tests, uint32_t n_tests, const sp_csv *csv, uint32_t row);
/* Does a cell match a pattern? */
bool sp_pattern_matches(const char *pattern, const char *cell);

/* ---- mapping.c: HOME/configs/validation/training-points.json --------------------------------- */
/* Which of the three peaks a measurement names. */
typedef enum sp_memory_kind {
    SP_MEMORY_DEVICE, /* as the driver reports, nvidia-smi */
    SP_MEMORY_RESERVED,
    SP_MEMORY_ALLOCATED,
    SP_N_MEMORY_KINDS
} sp_memory_kind;
const char *sp_memory_kind_name(sp_memory_kind kind);

/* What a model has that the columns of a row do not say. */
typedef enum sp_trait {
    SP_TRAIT_BIAS,
    SP_TRAIT_LAYER_NORM,
    SP_TRAIT_DROPOUT,
    SP_TRAIT_LEARNED_POSITIONS,
    SP_TRAIT_TIED_EMBEDDINGS,
    SP_TRAIT_QK_NORM,
    SP_TRAIT_SINKS,
    SP_TRAIT_EXPERT_BIAS,
    SP_TRAIT_PREDICTION_HEADS, /* those of the column mtp take part */
    SP_N_TRAITS
} sp_trait;

/* A column whose numbers are values of an axis. */
typedef struct sp_map_axis {
    const char *axis;
    const char *neutral; /* a cell that says no more than a blank one; NULL = none */
    uint32_t column_idx;
} sp_map_axis;

typedef struct sp_map_setting {
    const char *axis, *value;
} sp_map_setting;

typedef struct sp_map_rule {
    uint32_t n_tests;
    sp_map_test *tests;
    const char *engine, *link, *skip, *optimizer; /* NULL = says nothing about it */
    uint32_t n_settings;
    sp_map_setting *settings;   /* of axes */
    uint32_t lora_rank;         /* 0 = says nothing */
    double moe_imbalance_ratio; /* likewise */
    bool names_memory;
    sp_memory_kind memory;
    bool names_kernels;
    sp_kernels kernels;
    bool names_gradients;
    sp_gradients gradients;
    uint32_t traits_on, traits_off; /* bits */
} sp_map_rule;

typedef struct sp_map {
    uint32_t n_fitted_on;
    const char *const *fitted_on; /* sources whose rows the constants were fitted on */
    uint32_t n_latest_only;
    const char *const *latest_only; /* sources that measure one plan at each of their releases */
    uint32_t n_axes;
    sp_map_axis *axes;
    uint32_t n_rules;
    sp_map_rule *rules;
} sp_map;

/* Reads the mapping and finds its columns in the table. Columns that hold measurements are refused.
 */
sp_status sp_map_load(sp_arena *arena, const char *home, const sp_csv *csv, sp_map *map,
                      sp_error *err);
/* What the mapping makes of one row. */
typedef struct sp_setup {
    const char *engine, *link, *skip, *optimizer;
    sp_memory_kind memory;
    sp_kernels kernels;
    sp_gradients gradients;
    uint32_t traits, lora_rank;
    double moe_imbalance_ratio; /* 0 = natural routing */
    sp_plan plan;
    sp_error refusal; /* status SP_OK, or the axis or value that is not there */
} sp_setup;
void sp_map_apply(const sp_map *map, const sp_csv *csv, uint32_t row, sp_setup *setup);

/* ---- columns.c: the columns of a table of training runs -------------------------------------- */
/* SP_COLUMN(id, name, needed, measured) */
#define SP_COLUMN_LIST(X)                                                                          \
    X(ID, "id", true, false)                                                                       \
    X(SOURCE, "source", true, false)                                                               \
    X(TASK, "task", true, false)                                                                   \
    X(SCOPE, "scope", true, false)                                                                 \
    X(MODEL, "model", true, false)                                                                 \
    X(LAYERS, "layers", true, false)                                                               \
    X(HIDDEN, "hidden", true, false)                                                               \
    X(HEADS, "heads", true, false)                                                                 \
    X(KV_HEADS, "kv_heads", true, false)                                                           \
    X(HEAD_DIM, "head_dim", true, false)                                                           \
    X(FFN, "ffn", true, false)                                                                     \
    X(FFN_ACT, "ffn_act", true, false)                                                             \
    X(VOCAB, "vocab", true, false)                                                                 \
    X(SEQ, "seq", true, false)                                                                     \
    X(ATTN, "attn", true, false)                                                                   \
    X(EXPERTS, "experts", true, false)                                                             \
    X(TOPK, "topk", true, false)                                                                   \
    X(MOE_FFN, "moe_ffn", true, false)                                                             \
    X(SHARED_FFN, "shared_ffn", true, false)                                                       \
    X(DENSE_LAYERS, "dense_layers", true, false)                                                   \
    X(MTP, "mtp", true, false)                                                                     \
    X(GPU, "gpu", true, false)                                                                     \
    X(GPUS, "gpus", true, false)                                                                   \
    X(NVLINK_DOMAIN, "nvlink_domain", true, false)                                                 \
    X(INTER_GBPS, "inter_gbps_per_gpu", true, false)                                               \
    X(GBS, "gbs", true, false)                                                                     \
    X(QUALITY, "quality", true, false)                                                             \
    X(LATEST, "latest", true, false)                                                               \
    X(RANK_SET, "rank_set", true, false)                                                           \
    X(SCORE_STEP, "score_step", true, false)                                                       \
    X(SCORE_MEM, "score_mem", true, false)                                                         \
    X(OOM, "oom", false, true)                                                                     \
    X(STEP_S, "step_s", false, true)                                                               \
    X(TOK_S_GPU, "tok_s_gpu", false, true)                                                         \
    X(TFLOPS_GPU, "tflops_gpu", false, true)                                                       \
    X(MFU_PCT, "mfu_pct", false, true)                                                             \
    X(HFU_PCT, "hfu_pct", false, true)                                                             \
    X(PEAK_MEM_GIB, "peak_mem_gib", false, true)                                                   \
    X(MEM_STATE_GIB, "mem_state_gib", false, true)                                                 \
    X(MEM_ACT_GIB, "mem_act_gib", false, true)                                                     \
    X(DERIVED, "derived", false, true)                                                             \
    X(NOISE_PCT, "noise_pct", false, true)                                                         \
    X(MFU_CAUSAL_PCT, "mfu_causal_pct", false, true)

#define SP_ENUMERATOR(id, name, needed, measured) SP_COLUMN_##id,
typedef enum sp_column { SP_COLUMN_LIST(SP_ENUMERATOR) SP_N_COLUMNS } sp_column;
#undef SP_ENUMERATOR

/* A table with the places of its columns. */
typedef struct sp_table {
    sp_csv csv;
    uint32_t at[SP_N_COLUMNS];
} sp_table;

sp_status sp_table_load(const char *file, sp_table *table, sp_error *err);
void sp_table_fini(sp_table *table);
const char *sp_table_text(const sp_table *table, uint32_t row, sp_column column);
sp_status sp_table_u32(const sp_table *table, uint32_t row, sp_column column, uint32_t hi,
                       uint32_t *value, sp_error *err); /* 0 .. hi, blank = 0 */
sp_status sp_table_double(const sp_table *table, uint32_t row, sp_column column, double hi,
                          double *value, sp_error *err); /* 0 .. hi, blank = 0 */
sp_status sp_table_switch(const sp_table *table, uint32_t row, sp_column column, bool *on,
                          sp_error *err); /* 1, or 0 or blank */
/* Was it measured, or derived from what was? No prediction reads such a column. */
bool sp_column_is_measured(const char *name);

/* ---- points_model.c, points_machine.c, points_training.c: a row as a question ---- */
/* A reason why a row is not predicted; "" = none. */
typedef struct sp_reason {
    char text[256];
} sp_reason;

/* The architecture of a row. Text that cannot be read is a reason, numbers that make no sense an
 * error. */
sp_status sp_row_model(sp_arena *arena, const sp_table *table, uint32_t row, uint32_t traits,
                       const sp_model **model, sp_reason *reason, sp_error *err);

/* What a row asks and we do not have is a reason; failures of the system and of data files are
 * passed on. */
sp_status sp_excuse(const sp_error *failure, sp_reason *reason, sp_error *err);

/* The machine that a row states. */
typedef struct sp_machine_ask {
    const char *gpu, *link; /* link between domains, NULL where there is one domain */
    uint32_t gpus, domain;  /* GPUs of the run, and those that the fastest link joins */
    double gbps;            /* between domains, per GPU; 0 = one port of the link */
} sp_machine_ask;

/* One of a list; cluster NULL: the reason stands instead. */
typedef struct sp_machine {
    const char *text;
    const sp_cluster *cluster;
    sp_reason reason;
    struct sp_machine *next;
} sp_machine;

/* Finds or adds it. */
sp_status sp_machine_find(sp_arena *arena, const char *home, sp_machine **machines,
                          const sp_machine_ask *ask, const sp_machine **found, sp_error *err);

/* What a row asks. */
typedef struct sp_asked {
    const sp_problem *problem; /* the predictor's; NULL: the reason stands instead */
    sp_reason reason;
    sp_plan plan;
    sp_memory_kind kind; /* of the measured peak */
} sp_asked;

typedef struct sp_prediction {
    bool made;
    bool fits;
    double step_s, step_low_s, step_high_s;
    double memory_bytes, memory_low_bytes, memory_high_bytes;
} sp_prediction;

typedef enum sp_metric_id { SP_METRIC_STEP, SP_METRIC_MEMORY, SP_N_METRICS } sp_metric_id;
const char *sp_metric_name(sp_metric_id metric); /* "step_time" */

/* Turns rows of one table into questions; keeps the problems that rows share. */
typedef struct sp_predictor sp_predictor;
sp_status sp_predictor_make(const char *home, const sp_table *table, const sp_map *map,
                            sp_predictor **predictor, sp_error *err);
void sp_predictor_free(sp_predictor *predictor);
sp_status sp_ask_row(sp_predictor *predictor, uint32_t row, sp_asked *asked, sp_error *err);
/* problem: that of the row, or a variant of it. */
void sp_predict(const sp_problem *problem, const sp_asked *asked, sp_prediction *out);
/* One figure of that alone, in s or bytes. */
double sp_predict_metric(const sp_problem *problem, const sp_asked *asked, sp_metric_id metric);

/* ---- score_rows.c, score_training.c
 * ------------------------------------------------------------------------ */
typedef struct sp_scored_row {
    const char *id, *source, *rank_set;
    bool for_step, for_memory; /* eligible */
    bool core;                 /* scope core, quality A or B */
    bool oom;
    double step_s, memory_bytes; /* measured, 0 = not */
    sp_asked asked;
    sp_prediction predicted;
} sp_scored_row;

/* Sources with fewer rows are pooled. */
#define SP_MIN_SOURCE_ROWS 5u

/* The pair of a row, when it counts for the metric. */
bool sp_pair_of(const sp_scored_row *row, sp_metric_id metric, sp_pair *pair);

typedef struct sp_rank_score {
    uint32_t n;
    double spearman_median, regret_median, regret_p90, best_picked_ratio;
} sp_rank_score;

typedef struct sp_source_score {
    const char *name;
    sp_metric metric[SP_N_METRICS];
    sp_rank_score ranks;
} sp_source_score;

typedef struct sp_skipped {
    const char *reason;
    uint32_t n;
} sp_skipped;

/* How many rows of a choice were predicted, and what kept the others from it, most frequent first.
 */
typedef struct sp_coverage {
    uint32_t n_rows, n_predicted, n_reasons;
    sp_skipped *skipped;
} sp_coverage;
/* coverage.c: counts a row for its reason; skipped has room for one a row. */
void sp_coverage_skip(sp_coverage *coverage, const char *reason);
void sp_coverage_sort(sp_coverage *coverage);
/* score_json.c, score_page.c: the reasons and how often. */
void sp_coverage_put(sp_json_writer *w, const sp_coverage *coverage);
void sp_coverage_add(const sp_coverage *coverage, struct sp_text *out);

struct sp_score {
    sp_arena arena;
    const char *file;
    sp_map map;
    uint32_t n_rows;
    sp_scored_row *rows;
    uint32_t n_scored;
    sp_coverage eligible, core;
    uint32_t n_sources;
    sp_source_score *sources; /* by name */
    sp_metric overall[SP_N_METRICS];
    sp_rank_score ranks;
    uint32_t n_oom, n_oom_called, n_ran, n_ran_called;
    struct sp_cross *cross; /* fit.h; NULL: under the constants of the engine files */
};

/* Reads the rows of a table and predicts them. */
sp_status sp_score_read(sp_score *score, const sp_table *table, sp_predictor *predictor,
                        sp_error *err);
/* Lets go of the predictor's problems. */
void sp_score_forget(sp_score *score);
