/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The layout of a serving problem, for this room and those above it, and the pieces of an estimate.
 *
 * A plan's estimate falls into pieces that many plans share, each a pure function of a part of the
 * plan, so that a search may keep them:
 *
 *     base   worker, its steps and weights  engine, formats, layout, spec
 *     side   memory of a pool               the same, chunk_tokens and batch
 *     point  what one worker (or one pair   the same and the load of a worker
 *            of pools) gives its users
 *     whole  sums over workers, money,      all of the plan
 *            verdict
 *
 * sp_serving_estimate_plan calls exactly these pieces, in this order. */
#include "analysis/memory_priv.h"
#include "base/base.h"
#include "serve/step_table.h"
#include "shardplan/serving.h"
#include "shardplan/serving_rules.h"

#define SP_MAX_SERVING_ENGINES 12
#define SP_MAX_WEIGHT_FORMATS  16

/* Where a pool stands: aggregated workers have the question's cluster. */
typedef enum sp_serving_place {
    SP_PLACE_PREFILL,
    SP_PLACE_DECODE,
    SP_PLACE_TOGETHER,
    SP_N_PLACES
} sp_serving_place;

typedef struct sp_serving_machine {
    const sp_cluster *cluster;
    const sp_surfaces *surfaces;
    sp_fabric fabric;
    double usd_per_gpu_hour; /* 0 = no price */
} sp_serving_machine;

/* A number format of weights: kernels are named as measured tables do (surface.h). */
typedef struct sp_weight_format {
    const char *name;
    double attention_bits, ffn_bits;    /* of a weight, scales included */
    const char *attention[SP_N_PLACES]; /* NULL: the part computes no product of them */
    const char *ffn[SP_N_PLACES];
} sp_weight_format;

typedef struct sp_cache_format {
    const char *name;
    double bits;
} sp_cache_format;

typedef struct sp_serving_engine {
    const char *name;
    sp_server server;
    sp_server_timing timing;
    uint32_t
        kv[SP_MAX_KV_FORMATS]; /* of the problem's, in server.kv_formats; UINT32_MAX: lacks it */
    sp_serving_rules rules;
} sp_serving_engine;

/* One pair of lengths of a distribution. */
typedef struct sp_length {
    double isl, osl, weight;
} sp_length;

typedef struct sp_serving_set {
    sp_serving_axis_id axis;
    uint32_t n_values;
    const uint32_t *values; /* ascending, distinct */
} sp_serving_set;

/* Variables of --where: the axes, then `replicas` (workers), then the figures of the estimate. */
#define SP_SERVING_WHERE_WORKERS SP_N_SERVING_AXES
#define SP_SERVING_WHERE_FIELDS  (SP_N_SERVING_AXES + 1)

typedef struct sp_serving_where {
    const struct sp_expr *expr;
    bool reads_results;
} sp_serving_where;

struct sp_serving_problem {
    sp_arena arena;
    sp_serving_question question; /* strings copied into the arena */
    const sp_model *model;
    sp_parameters parameters;
    bool has_experts;
    bool modes[SP_N_SERVING_MODES];
    sp_serving_machine machine[SP_N_PLACES]; /* cluster NULL: the mode is not asked for */
    uint32_t n_gpus_values;
    const uint32_t *gpus_values;
    uint32_t n_engines;
    sp_serving_engine engines[SP_MAX_SERVING_ENGINES];
    const char *engine_names[SP_MAX_SERVING_ENGINES];
    sp_serving_facts facts; /* that rules of engines may name */
    uint32_t n_weights; /* formats that plans may have; the first is the checkpoint's, unless --set
                         * names others */
    sp_weight_format weights[SP_MAX_WEIGHT_FORMATS];
    const char *weight_names[SP_MAX_WEIGHT_FORMATS];
    uint32_t n_caches;
    sp_cache_format caches[SP_MAX_KV_FORMATS];
    const char *cache_names[SP_MAX_KV_FORMATS];
    /* Every name that rules of engines may speak of: those above first, in their order. */
    uint32_t n_spoken_weights, n_spoken_caches;
    const char *spoken_weights[SP_MAX_WEIGHT_FORMATS];
    const char *spoken_caches[2 * SP_MAX_KV_FORMATS];
    const sp_serve_rates *rates; /* [place][engine][weight][cache] */
    uint32_t n_lengths;
    const sp_length *lengths; /* none: isl and osl of the question alone */
    sp_serve_load load;       /* of the whole deployment; concurrency and rate as asked */
    uint32_t n_limits;
    sp_limit limits[SP_MAX_LIMITS];
    uint32_t n_objectives;
    uint32_t objectives[SP_MAX_OBJECTIVES];
    bool ranks_by_money;
    uint32_t n_sets;
    sp_serving_set sets[SP_MAX_SETS];
    uint32_t n_wheres;
    sp_serving_where wheres[SP_MAX_WHERES];
    bool space_all;
    double draft_ratio; /* of a step: what one of the model's own modules takes to draft a token */
    char fingerprint[33];
};

/* ---- serving_question.c ---- */
sp_status sp_serving_question_check(const sp_serving_question *question, sp_error *err);
sp_status sp_serving_question_copy(sp_serving_problem *problem, const sp_serving_question *question,
                                   sp_error *err);

/* ---- serving_limits.c ---- */
sp_status sp_limits_parse(const char *text, sp_limit *limits, uint32_t *n, sp_error *err);
/* The first limit that the latencies do not keep; UINT32_MAX: none. */
uint32_t sp_limits_broken(const sp_serving_problem *problem, const sp_serving_estimate *e);

/* ---- serving_lengths.c ---- */
/* A JSON list of {"isl", "osl", "weight"}, or CSV with these columns. */
sp_status sp_lengths_load(sp_arena *arena, const char *file, const sp_length **lengths, uint32_t *n,
                          sp_error *err);

/* ---- serving_objectives.c ---- */
sp_status sp_serving_objectives_parse(const char *text, uint32_t *list, uint32_t *n, sp_error *err);
double sp_serving_objective_value(uint32_t objective, const sp_serving_estimate *e);

/* ---- serving_engines.c ---- */
sp_status sp_serving_engines_load(sp_serving_problem *problem, sp_error *err);
/* What each of them supports together; after formats are known. */
sp_status sp_serving_engine_rules_load(sp_serving_problem *problem, sp_error *err);
/* Aggregated workers', else that of the decode pool. */
const sp_cluster *sp_serving_any_cluster(const sp_serving_problem *problem);

/* ---- serving_formats.c ---- */
/* Formats of weights and cache that plans may have; after engines, machines and sets are known. */
sp_status sp_serving_formats_load(sp_serving_problem *problem, sp_error *err);

/* ---- serving_sets.c ---- */
sp_status sp_serving_sets_load(sp_serving_problem *problem, sp_error *err);
sp_status sp_serving_wheres_load(sp_serving_problem *problem, sp_error *err);
/* The text behind `axis=` of a --set, NULL when there is none. */
const char *sp_serving_set_text(const sp_serving_problem *problem, sp_serving_axis_id axis);

/* ---- serving_axes.c ---- */
sp_status sp_serving_axis_find_or_fail(const char *name, sp_serving_axis_id *axis, sp_error *err);

/* ---- serving_within.c ---- */
/* Share of the requests of a run within every limit; 1 without limits. */
double sp_serving_within_ratio(const sp_serving_problem *problem, const sp_simulated *run);

/* ---- serving_fingerprint.c ---- */
sp_status sp_serving_fingerprint_build(sp_serving_problem *problem, sp_error *err);

/* ---- serving_side.c ---- */
sp_serving_place sp_serving_place_of(const sp_serving_plan *plan, sp_serving_role role);
sp_worker_layout sp_serving_layout_of(const sp_serving_plan *plan, sp_serving_role role);
/* Ranks over which a prompt is cut in the pool that does prompts. */
uint32_t sp_serving_cp_of(const sp_serving_plan *plan, sp_serving_role role);
/* GPUs of one worker, cp_prefill included. */
uint32_t sp_serving_worker_gpus(const sp_serving_plan *plan, sp_serving_role role);
/* Into the caller's room, whose address is that of the worker from then on. */
void sp_serving_worker_of(const sp_serving_problem *problem, const sp_serving_plan *plan,
                          sp_serving_role role, sp_worker *worker);
/* False, with the reason, where a worker of such a layout cannot be built or asked for its memory:
 * what the structure rules of a space refuse. */
bool sp_serving_side_is_sound(const sp_serving_problem *problem, const sp_serving_plan *plan,
                              sp_serving_role role, sp_error *why);

/* What all plans of one engine, formats and layout share: every axis of the role but chunk_tokens
 * and batch. It points into itself, so fill it where it stays; steps are added as they are asked
 * for, so it belongs to one thread. */
typedef struct sp_serving_base {
    sp_worker worker;
    sp_fabric around; /* of all ranks of cp_prefill */
    sp_group cp;
    sp_step_table steps;
    sp_footprint_question memory; /* of one request, the engine's settings as on this GPU */
    sp_share share;
    uint32_t gpus; /* of one worker */
} sp_serving_base;
void sp_serving_base_of(const sp_serving_problem *problem, const sp_serving_plan *plan,
                        sp_serving_role role, sp_serving_base *base);

/* A pool of one worker: with chunk_tokens and batch of the plan. */
typedef struct sp_serving_side {
    const sp_serving_base *base;
    sp_pool pool;
    sp_footprint memory;
    sp_prefill_side prompts; /* in disaggregated plans: of one worker of the prefill pool, */
    sp_decode_side answers;  /* or of the decode pool                                      */
} sp_serving_side;
void sp_serving_side_of(const sp_serving_problem *problem, const sp_serving_plan *plan,
                        sp_serving_role role, sp_serving_base *base, sp_serving_side *side);

/* Whether it has room for one request: a search asks this before anything else. */
bool sp_serving_side_fits(const sp_serving_side *side);

/* ---- serving_estimate.c ---- */
/* Workers of a pool that take load, at least one: the others stand by. */
uint32_t sp_serving_workers_of(const sp_serving_problem *problem, uint32_t workers);
/* What caches are sent over. */
sp_kv_link sp_serving_link_of(const sp_serving_problem *problem, const sp_serving_plan *plan);
/* Of the question's load, what falls to so many aggregated workers, or to all of the decode pool.
 */
sp_serve_load sp_serving_load_of(const sp_serving_problem *problem, const sp_serving_plan *plan,
                                 double workers);
/* What one aggregated worker, or both pools, give their users, before money and limits. */
typedef struct sp_serving_point {
    sp_served served;
    double prefill_s, queue_s, kv_transfer_s;
    sp_serve_step_time prefill_step, decode_step;
    double prefill_busy_ratio, decode_busy_ratio;
} sp_serving_point;
/* prefill NULL: aggregated. */
void sp_serving_point_of(const sp_serving_problem *problem, const sp_serving_plan *plan,
                         const sp_serving_side *prefill, const sp_serving_side *decode,
                         sp_serving_point *point);
/* The same, but what neither limits nor objectives ask for may be left blank. */
void sp_serving_point_judged(const sp_serving_problem *problem, const sp_serving_plan *plan,
                             const sp_serving_side *prefill, const sp_serving_side *decode,
                             sp_serving_point *point);
void sp_serving_combine(const sp_serving_problem *problem, const sp_serving_plan *plan,
                        const sp_serving_side *prefill, const sp_serving_side *decode,
                        const sp_serving_point *point, sp_serving_estimate *out);
