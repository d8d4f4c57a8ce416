/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A table of measured deployments: its columns, a row as pools and a load, its score. */
#include "fidelity/fidelity_priv.h"
#include "shardplan/serve.h"

/* SP_DEPLOYED_COLUMN(id, name, needed, measured) */
#define SP_DEPLOYED_COLUMN_LIST(X)                                                                 \
    X(ID, "id", true, false)                                                                       \
    X(MODEL, "model_arch", true, false)                                                            \
    X(PATH, "model_path", true, false)                                                             \
    X(SYSTEM, "system", true, false)                                                               \
    X(BACKEND, "backend", true, false)                                                             \
    X(MODE, "mode", true, false)                                                                   \
    X(ISL, "isl", true, false)                                                                     \
    X(OSL, "osl", true, false)                                                                     \
    X(CONCURRENCY, "silicon_concurrency", true, false)                                             \
    X(TP, "layout_tp", true, false)                                                                \
    X(DP, "layout_dp", true, false)                                                                \
    X(MOE_TP, "layout_moe_tp", true, false)                                                        \
    X(MOE_EP, "layout_moe_ep", true, false)                                                        \
    X(PP, "pp_size", true, false)                                                                  \
    X(BATCH, "layout_batch_per_dp_rank", true, false)                                              \
    X(STATUS, "layout_status", true, false)                                                        \
    X(PREFILL_WORKERS, "prefill_num_workers", true, false)                                         \
    X(PREFILL_TP, "prefill_tp_size", true, false)                                                  \
    X(PREFILL_PP, "prefill_pp_size", true, false)                                                  \
    X(PREFILL_DP, "prefill_attention_dp_size", true, false)                                        \
    X(PREFILL_MOE_TP, "prefill_moe_tp_size", true, false)                                          \
    X(PREFILL_MOE_EP, "prefill_moe_ep_size", true, false)                                          \
    X(DECODE_WORKERS, "decode_num_workers", true, false)                                           \
    X(DECODE_TP, "decode_tp_size", true, false)                                                    \
    X(DECODE_PP, "decode_pp_size", true, false)                                                    \
    X(DECODE_DP, "decode_attention_dp_size", true, false)                                          \
    X(DECODE_MOE_TP, "decode_moe_tp_size", true, false)                                            \
    X(DECODE_MOE_EP, "decode_moe_ep_size", true, false)                                            \
    X(REPEAT, "is_repeat", true, false)                                                            \
    X(FLAGS, "quality_flags", true, false)                                                         \
    X(GPUS, "num_gpus", true, false)                                                               \
    X(TTFT_MS, "silicon_ttft_ms", false, true)                                                     \
    X(TPOT_MS, "silicon_tpot_ms", false, true)                                                     \
    X(LATENCY_MS, "derived_request_latency_ms", false, true)                                       \
    X(TOK_S, "derived_output_tok_s", false, true)                                                  \
    X(TOK_S_GPU, "derived_output_tok_s_gpu", false, true)                                          \
    X(MEASUREMENT, "measurement_id", false, true)

#define SP_ENUMERATOR(id, name, needed, measured) SP_DEPLOYED_##id,
typedef enum sp_deployed_column {
    SP_DEPLOYED_COLUMN_LIST(SP_ENUMERATOR) SP_N_DEPLOYED_COLUMNS
} sp_deployed_column;
#undef SP_ENUMERATOR

typedef struct sp_deployed_table {
    sp_csv csv;
    uint32_t at[SP_N_DEPLOYED_COLUMNS];
} sp_deployed_table;

bool sp_deployed_column_is_measured(const char *name);
sp_status sp_deployed_table_load(const char *file, sp_deployed_table *table, sp_error *err);
void sp_deployed_table_fini(sp_deployed_table *table);
const char *sp_deployed_text(const sp_deployed_table *table, uint32_t row,
                             sp_deployed_column column);
sp_status sp_deployed_double(const sp_deployed_table *table, uint32_t row,
                             sp_deployed_column column, double *value,
                             sp_error *err); /* 0 .. 1e12, blank = 0 */
sp_status sp_deployed_u32(const sp_deployed_table *table, uint32_t row, sp_deployed_column column,
                          uint32_t *value, sp_error *err); /* blank = 0 */

/* ---- map_serving.c: HOME/configs/validation/serving-points.json ---- */
typedef struct sp_deployed_rule {
    uint32_t n_tests;
    sp_map_test *tests;
    const char *attention, *ffn; /* NULL = says nothing */
    const char *skip;
    double kv_bits, length_ratio, requests_per_user; /* 0 = says nothing */
    double step_tokens, step_prompts, step_users; /* most tokens of a step: these, so many prompts
                                                   * of the nominal length, so many for each user */
    double poll_steps, running;
    double draft_tokens, acceptance; /* as sp_pool has them */
    bool mixes;   /* answers ride along with prompts                                 */
    bool spreads; /* experts whole, one rank's share of them each, whatever the columns say */
} sp_deployed_rule;

typedef struct sp_deployed_map {
    uint32_t n_fitted_on;
    const char *const *fitted_on;
    uint32_t n_rules;
    sp_deployed_rule *rules;
} sp_deployed_map;

sp_status sp_deployed_map_load(sp_arena *arena, const char *home, const sp_csv *csv,
                               sp_deployed_map *map, sp_error *err);
/* All that the rules say of a row, later ones over earlier ones. */
sp_deployed_rule sp_deployed_map_apply(const sp_deployed_map *map, const sp_csv *csv, uint32_t row);

/* ---- models_serving.c ---- */
/* In the folder (NULL: none), by the last part of a path, then as sp_model_find does. */
sp_status sp_deployed_model_find(sp_arena *arena, const char *home, const char *folder,
                                 const char *name, const sp_model **model, sp_error *err);

/* ---- points_serving.c ---- */
typedef enum sp_deployed_metric {
    SP_DEPLOYED_METRIC_TPOT,
    SP_DEPLOYED_METRIC_TTFT,
    SP_DEPLOYED_METRIC_RATE, /* tokens_per_s_per_gpu */
    SP_N_DEPLOYED_METRICS
} sp_deployed_metric;
const char *sp_deployed_metric_name(sp_deployed_metric metric); /* "ttft" */

/* A row as pools under a load. */
typedef struct sp_deployed_question {
    bool asked; /* false: the reason stands instead */
    sp_reason reason;
    const char *engine;
    sp_server_timing *timing; /* of the engine, for all its rows: a fit changes it */
    bool apart;
    bool fits;
    bool borrowed;         /* some kernels were measured on another part or in another format */
    sp_pool first, second; /* second: of answers, where they are apart */
    sp_serve_load load;
    sp_kv_link link; /* from pool to pool */
} sp_deployed_question;

typedef struct sp_deployed_prediction {
    bool made;
    sp_reason reason;
    bool fits;
    double value[SP_N_DEPLOYED_METRICS];        /* s, tokens a second */
    double spread_ratio[SP_N_DEPLOYED_METRICS]; /* 80 % lie within 1 / (1 + r) .. 1 + r of it */
} sp_deployed_prediction;

typedef struct sp_deployed_predictor sp_deployed_predictor;
/* models: a folder of Hugging Face configurations besides those of home, or NULL. */
sp_status sp_deployed_predictor_make(const char *home, const char *models,
                                     const sp_deployed_table *table, const sp_deployed_map *map,
                                     sp_deployed_predictor **predictor, sp_error *err);
void sp_deployed_predictor_free(sp_deployed_predictor *predictor);
/* The question lives as long as the predictor. */
sp_status sp_deployed_ask(sp_deployed_predictor *predictor, uint32_t row, sp_deployed_question *out,
                          sp_error *err);
/* Under the engine's constants as they are now; tpot_alone leaves out the run that the other
 * figures need. */
sp_status sp_deployed_answer(const sp_deployed_question *question, bool tpot_alone,
                             sp_deployed_prediction *out, sp_error *err);

/* ---- score_serving.c ---- */
typedef enum sp_deployed_mode {
    SP_DEPLOYED_AGG,
    SP_DEPLOYED_DISAGG,
    SP_N_DEPLOYED_MODES
} sp_deployed_mode;
const char *sp_deployed_mode_name(sp_deployed_mode mode); /* "agg" */

typedef struct sp_deployed_row {
    const char *id, *source; /* source: engine, model and system */
    const char *set;         /* deployments that one workload could choose from */
    sp_deployed_mode mode;
    bool counts;
    double gpus;
    double measured[SP_N_DEPLOYED_METRICS]; /* 0 = not */
    sp_deployed_question asked;             /* as long as the predictor lives */
    sp_deployed_prediction predicted;
} sp_deployed_row;

/* Sets of layouts measured under one workload: the one with the most predicted tokens a second and
 * GPU is picked, and right within 2 % of the best. */
typedef struct sp_picks {
    uint32_t n;
    double best_picked_ratio, regret_mean, regret_median, regret_p90;
    double spearman_median;   /* of predicted against measured rates of a set */
    double fewest_gpus_ratio; /* right, had the layout with the fewest GPUs been picked */
} sp_picks;

typedef struct sp_deployed_source {
    const char *name;
    sp_deployed_mode mode;
    sp_metric metric[SP_N_DEPLOYED_METRICS];
    sp_picks picks; /* of both modes */
} sp_deployed_source;

struct sp_deployed_score {
    sp_arena arena;
    const char *file;
    sp_deployed_map map;
    uint32_t n_rows, n_ran, n_refused_memory; /* ran: rows that count and have a measurement */
    sp_deployed_row *rows;
    sp_coverage eligible;
    uint32_t n_sources;
    sp_deployed_source *sources;
    sp_metric overall[SP_N_DEPLOYED_METRICS];
    sp_metric by_mode[SP_N_DEPLOYED_MODES][SP_N_DEPLOYED_METRICS];
    sp_picks picks, picks_equal_gpus; /* of all sets, and of those with equal GPU counts */
    struct sp_cross *cross;           /* fit.h; NULL: under the constants of the engine files */
};

/* picks_serving.c: fills the picks of a score; pairs: room for one a row. */
void sp_deployed_pick(sp_deployed_score *score, sp_pair *pairs, bool *failed);
/* The pair of a row, when it counts for the metric. */
bool sp_deployed_pair_of(const sp_deployed_row *row, sp_deployed_metric metric, sp_pair *pair);
