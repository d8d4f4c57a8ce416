/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A table of measured deployments: its columns, a row as pools and a load, its score. */
#include "fidelity/fidelity_priv.h"
#include "shardplan/serve.h"

/* SP_SERVED_COLUMN(id, name, needed, measured) */
#define SP_SERVED_COLUMN_LIST(X)                                                                   \
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

#define SP_ENUMERATOR(id, name, needed, measured) SP_SERVED_##id,
typedef enum sp_served_column {
    SP_SERVED_COLUMN_LIST(SP_ENUMERATOR) SP_N_SERVED_COLUMNS
} sp_served_column;
#undef SP_ENUMERATOR

typedef struct sp_served_table {
    sp_csv csv;
    uint32_t at[SP_N_SERVED_COLUMNS];
} sp_served_table;

sp_status sp_served_table_load(const char *file, sp_served_table *table, sp_error *err);
void sp_served_table_fini(sp_served_table *table);
const char *sp_served_text(const sp_served_table *table, uint32_t row, sp_served_column column);
sp_status sp_served_double(const sp_served_table *table, uint32_t row, sp_served_column column,
                           double *value, sp_error *err); /* 0 .. 1e12, blank = 0 */
sp_status sp_served_u32(const sp_served_table *table, uint32_t row, sp_served_column column,
                        uint32_t *value, sp_error *err); /* blank = 0 */

/* ---- map_serving.c: HOME/configs/validation/serving-points.json ---- */
typedef struct sp_served_rule {
    uint32_t n_tests;
    sp_map_test *tests;
    const char *attention, *ffn; /* NULL = says nothing */
    const char *skip;
    double kv_bits, length_ratio, requests_per_user; /* 0 = says nothing */
} sp_served_rule;

typedef struct sp_served_map {
    uint32_t n_fitted_on;
    const char *const *fitted_on;
    uint32_t n_rules;
    sp_served_rule *rules;
} sp_served_map;

sp_status sp_served_map_load(sp_arena *arena, const char *home, const sp_csv *csv,
                             sp_served_map *map, sp_error *err);
/* All that the rules say of a row, later ones over earlier ones. */
sp_served_rule sp_served_map_apply(const sp_served_map *map, const sp_csv *csv, uint32_t row);

/* ---- points_serving.c ---- */
typedef struct sp_served_prediction {
    bool made;
    sp_reason reason;
    bool fits;
    double ttft_s, tpot_s, tokens_per_s_per_gpu;
    double spread_ratio; /* 80 % of tpot lie within 1 / (1 + r) .. 1 + r */
} sp_served_prediction;

typedef struct sp_served_predictor sp_served_predictor;
sp_status sp_served_predictor_make(const char *home, const char *models,
                                   const sp_served_table *table, const sp_served_map *map,
                                   sp_served_predictor **predictor, sp_error *err);
void sp_served_predictor_free(sp_served_predictor *predictor);
sp_status sp_served_predict(sp_served_predictor *predictor, uint32_t row, sp_served_prediction *out,
                            sp_error *err);

/* ---- score_serving.c ---- */
typedef enum sp_served_metric {
    SP_SERVED_METRIC_TTFT,
    SP_SERVED_METRIC_TPOT,
    SP_SERVED_METRIC_RATE, /* tokens_per_s_per_gpu */
    SP_N_SERVED_METRICS
} sp_served_metric;
const char *sp_served_metric_name(sp_served_metric metric); /* "ttft" */

typedef enum sp_served_mode { SP_SERVED_AGG, SP_SERVED_DISAGG, SP_N_SERVED_MODES } sp_served_mode;
const char *sp_served_mode_name(sp_served_mode mode); /* "agg" */

typedef struct sp_served_row {
    const char *id, *source; /* source: engine, model and system */
    const char *set;         /* deployments that one workload could choose from */
    sp_served_mode mode;
    bool counts;
    double gpus;
    double measured[SP_N_SERVED_METRICS]; /* 0 = not */
    sp_served_prediction predicted;
} sp_served_row;

/* Sets of layouts measured under one workload: the one with the most predicted tokens a second and
 * GPU is picked, and right within 2 % of the best. */
typedef struct sp_picks {
    uint32_t n;
    double best_picked_ratio, regret_mean, regret_p90, fewest_gpus_ratio;
} sp_picks;

typedef struct sp_served_source {
    const char *name;
    sp_served_mode mode;
    sp_metric metric[SP_N_SERVED_METRICS];
} sp_served_source;

struct sp_served_score {
    sp_arena arena;
    const char *file;
    sp_served_map map;
    uint32_t n_rows, n_eligible, n_predicted, n_refused_memory, n_reasons;
    sp_served_row *rows;
    sp_skipped *skipped;
    uint32_t n_sources;
    sp_served_source *sources;
    sp_metric by_mode[SP_N_SERVED_MODES][SP_N_SERVED_METRICS];
    sp_picks picks, picks_equal_gpus; /* of all sets, and of those with equal GPU counts */
};
