/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A serving question, its plans, and what one plan gives its users.
 *
 * The same three steps as in training: a question becomes a problem (everything that does not
 * depend on a plan, const from then on), a plan is a number in a space (serving_space.h), an
 * estimate is a pure function of problem and plan.
 *
 *     sp_serving_question q = sp_serving_question_default();
 *     q.home = home; q.model = "qwen3-32b"; q.cluster = "dgx-h200"; q.gpus = "32";
 *     q.isl = 4000; q.osl = 1000; q.slo = "ttft:mean<=2s,tpot:mean<=50ms";
 *     sp_serving_problem *problem;
 *     SP_TRY(sp_serving_problem_build(&q, &problem, err));
 *     sp_serving_estimate out;
 *     sp_serving_estimate_plan(problem, &plan, &out);
 */
#include "shardplan/cluster.h"
#include "shardplan/estimate.h"
#include "shardplan/memory.h"
#include "shardplan/model.h"
#include "shardplan/problem.h"
#include "shardplan/serve.h"

/* ---- axes and plans ---------------------------------------------------------------------------
 */
/* clang-format off */
typedef enum sp_serving_axis_id {
#define SP_SERVING_AXIS(id, name, kind, fallback, unit, meaning) SP_SERVING_AXIS_##id,
#include "shardplan/serving_axes.def"
#undef SP_SERVING_AXIS
    SP_N_SERVING_AXES
} sp_serving_axis_id;
/* clang-format on */

typedef enum sp_serving_mode {
    SP_SERVING_AGG,
    SP_SERVING_DISAGG,
    SP_N_SERVING_MODES
} sp_serving_mode;
const char *sp_serving_mode_name(sp_serving_mode mode); /* "agg", "disagg" */

typedef enum sp_serving_role { SP_ROLE_PREFILL, SP_ROLE_DECODE, SP_N_ROLES } sp_serving_role;

/* POD, compared and hashed as bytes. value[] by axis: names are positions in the problem's lists.
 */
typedef struct sp_serving_plan {
    uint32_t value[SP_N_SERVING_AXES];
    uint32_t workers; /* derived: replicas of aggregated plans, workers of the decode pool; 0: the
                       * GPUs are no multiple of what a worker takes                              */
} sp_serving_plan;

typedef struct sp_serving_axis_info {
    const char *name, *unit, *meaning;
    bool named; /* values are positions in a list of names */
    uint32_t fallback;
} sp_serving_axis_info;
const sp_serving_axis_info *sp_serving_axis_describe(sp_serving_axis_id axis);
/* Also by decode.*; SP_N_SERVING_AXES where there is none. */
sp_serving_axis_id sp_serving_axis_find(const char *name);

/* ---- the question ------------------------------------------------------------------------------
 */
#define SP_MAX_LIMITS 16

/* As the user put it; strings are borrowed until sp_serving_problem_build returns. */
typedef struct sp_serving_question {
    const char *home;
    const char *model;
    const sp_model *loaded_model; /* instead of looking `model` up; must outlive the problem */
    const char *cluster; /* of aggregated plans, and of roles that name no other           */
    const char *prefill_cluster, *decode_cluster; /* NULL: `cluster` */
    const char *gpus;        /* "32", "8..64", "8,16,48"                                      */
    const char *engine;      /* "any", "vllm", "vllm@0.26", "vllm,sglang"                     */
    const char *objectives;  /* NULL: tokens_per_s_per_gpu,tokens_per_s_per_user              */
    const char *space;       /* "default", "all"                                              */
    const char *mode;        /* "agg", "disagg", "both"                                       */
    const char *lengths;     /* --lengths FILE: a distribution in place of isl and osl        */
    double isl, osl;         /* tokens, means                                                  */
    uint64_t max_context;    /* longest sequence the engine provides for; 0: isl + osl        */
    double prefix_hit_ratio; /* share of prompt tokens found in the cache                      */
    double concurrency;      /* requests under way in the whole deployment; 0: as many as run  */
    double rate;             /* requests a second in its place; 0: a closed loop               */
    double burstiness;       /* of the gaps between them; 1 = Poisson                          */
    const char *slo;         /* "ttft:p95<=800ms,itl:p99<=60ms,e2e:p95<=20s"; NULL: none       */
    double utilization;      /* share of what a deployment can take that the load may use      */
    uint32_t spare_replicas; /* that stand by and take no load                                 */
    double spec_acceptance;  /* chance that a drafted token is accepted; 0: not stated         */
    double headroom_ratio, reserve_bytes;
    bool use_upto;
    double usd_per_gpu_hour; /* 0: the price in the GPU's file                                 */
    uint32_t n_sets;
    const char *sets[SP_MAX_SETS];
    uint32_t n_wheres;
    const char *wheres[SP_MAX_WHERES];
} sp_serving_question;

sp_serving_question sp_serving_question_default(void);

/* One limit of --slo. */
typedef enum sp_latency {
    SP_LATENCY_TTFT,
    SP_LATENCY_TPOT,
    SP_LATENCY_ITL,
    SP_LATENCY_E2E,
    SP_N_LATENCIES
} sp_latency;
typedef enum sp_percentile {
    SP_MEAN,
    SP_P50,
    SP_P90,
    SP_P95,
    SP_P99,
    SP_N_PERCENTILES
} sp_percentile;
const char *sp_latency_name(sp_latency latency);          /* "ttft" */
const char *sp_percentile_name(sp_percentile percentile); /* "p95"  */
typedef struct sp_limit {
    sp_latency latency;
    sp_percentile percentile;
    double most_s;
} sp_limit;

typedef struct sp_serving_problem sp_serving_problem; /* src/serve/serving_priv.h */

sp_status sp_serving_problem_build(const sp_serving_question *question,
                                   sp_serving_problem **problem, sp_error *err);
void sp_serving_problem_free(sp_serving_problem *problem); /* NULL is fine */
const sp_model *sp_serving_problem_model(const sp_serving_problem *problem);
const sp_cluster *sp_serving_problem_cluster(const sp_serving_problem *problem,
                                             sp_serving_role role);
const char *sp_serving_problem_fingerprint(const sp_serving_problem *problem);
const sp_serving_question *sp_serving_problem_question(const sp_serving_problem *problem);
uint32_t sp_serving_problem_n_limits(const sp_serving_problem *problem);
const sp_limit *sp_serving_problem_limit(const sp_serving_problem *problem, uint32_t idx);
uint32_t sp_serving_problem_n_objectives(const sp_serving_problem *problem);
const sp_objective *sp_serving_problem_objective(const sp_serving_problem *problem, uint32_t idx);
uint32_t sp_serving_objective_count(void);
const sp_objective *sp_serving_objective_describe(uint32_t objective);

/* ---- values of axes in a problem ----------------------------------------------------------------
 */
/* Names of a named axis: engines, number formats, modes. */
uint32_t sp_serving_axis_names(const sp_serving_problem *problem, sp_serving_axis_id axis,
                               const char *const **names);
sp_status sp_serving_parse_value(const sp_serving_problem *problem, sp_serving_axis_id axis,
                                 const char *text, uint32_t *value, sp_error *err);
void sp_serving_format_value(const sp_serving_problem *problem, sp_serving_axis_id axis,
                             uint32_t value, char out[32]);
/* All axes at the problem's first values. */
sp_serving_plan sp_serving_plan_default(const sp_serving_problem *problem);
void sp_serving_plan_derive(const sp_serving_problem *problem, sp_serving_plan *plan);
/* "engine=vllm,tp=4,batch=64": axes not named keep their values; of ep and moe_tp the one that is
 * not named follows from the other. */
sp_status sp_serving_plan_parse(const sp_serving_problem *problem, const char *text,
                                sp_serving_plan *plan, sp_error *err);
#define SP_SERVING_TEXT_BYTES 512
size_t sp_serving_plan_format(const sp_serving_problem *problem, const sp_serving_plan *plan,
                              char *text, size_t capacity);

/* ---- one plan
 * ------------------------------------------------------------------------------------ */
typedef enum sp_serving_verdict {
    SP_SERVING_FITS,
    SP_SERVING_TIGHT,       /* P(out of memory) > 10 %                                            */
    SP_SERVING_OVER_MEMORY, /* one request finds no room beside the weights                       */
    SP_SERVING_OVER_LIMIT, /* a limit of --slo is not kept; `limit` says which first              */
    SP_SERVING_OVERLOADED, /* the rate is more than the deployment can take                       */
    SP_N_SERVING_VERDICTS
} sp_serving_verdict;
const char *sp_serving_verdict_name(sp_serving_verdict verdict); /* "fits", "tight", ... */

typedef struct sp_serving_estimate {
    sp_serving_verdict verdict;
    uint32_t limit; /* the first of the problem's limits that is not kept; UINT32_MAX: all are */
    uint32_t gpus, gpus_idle;
    double latency_s[SP_N_LATENCIES][SP_N_PERCENTILES];
    double concurrency, running; /* requests under way in all; that decode at once on a rank */
    double tokens_per_s, total_tokens_per_s, requests_per_s; /* generated; with prompts */
    double tokens_per_s_per_gpu, tokens_per_s_per_user;
    double max_rate; /* requests a second that the deployment can take                          */
    double prefill_s, decode_step_s, queue_s, kv_transfer_s; /* of one request: its prompt, a step
                                                              * of answers, waiting, cache sent   */
    sp_serve_step_time prefill_step, decode_step;            /* parts of a step            */
    double prefill_busy_ratio, decode_busy_ratio; /* of the pools; equal in aggregated plans */
    bool cache_limited;  /* requests wait for room in the cache                           */
    sp_footprint memory; /* of a GPU of the (decode) worker                          */
    double usd_per_hour, usd_per_million_tokens; /* of generated tokens; 0: no price  */
    double joules_per_token;
    double low_ratio,
        high_ratio; /* 80 %: times per token lie within low .. high times the estimate */
    double ttft_low_ratio, ttft_high_ratio; /* likewise to the first token, */
    double rate_low_ratio, rate_high_ratio; /* and tokens a second          */
    bool borrowed; /* kernels of another part or format stand in for some                     */
    double objective[SP_MAX_OBJECTIVES]; /* raw, in the problem's order */
} sp_serving_estimate;

/* Pure: no allocation, no state, no failure. The plan passed the structure rules of its space. */
void sp_serving_estimate_plan(const sp_serving_problem *problem, const sp_serving_plan *plan,
                              sp_serving_estimate *out);

/* The figures by name: one list for JSON, CSV, --where. */
uint32_t sp_serving_field_count(void);
const sp_field *sp_serving_field_describe(uint32_t field);
double sp_serving_field_get(const sp_serving_estimate *estimate, uint32_t field);
uint32_t sp_serving_field_find(const char *name); /* UINT32_MAX when unknown */

/* The plan as an event simulation, for finalists: percentiles, share of requests within all limits.
 */
typedef struct sp_serving_run {
    sp_simulated simulated;
    double slo_attainment_ratio;
} sp_serving_run;
sp_status sp_serving_simulate(const sp_serving_problem *problem, const sp_serving_plan *plan,
                              uint64_t seed, sp_serving_run *out, sp_error *err);
