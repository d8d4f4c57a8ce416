/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A model that is served: how long an engine's steps take on a worker, and what users of many
 * workers see of them.
 *
 * A worker is the GPUs that hold one copy of the model: `width` of them work on a layer, as
 * tp x attn_dp for the mixing of tokens and moe_tp x ep for the experts, and pp such groups follow
 * one another. Workers are aggregated (each does prompts and answers) or come in two pools,
 * prefill and decode, with the cache of each request sent from one to the other.
 *
 *     sp_server_timing timing;
 *     SP_TRY(sp_server_timing_load(arena, home, "vllm", &timing, err));
 *     sp_worker worker;
 *     SP_TRY(sp_worker_build(&setup, &worker, err));
 *     sp_serve_step(&worker, &(sp_serve_batch){.decodes = 64, .context = 1500}, &step);
 *
 * Steps are priced from the operators of graph/, by which training is priced too, with kernels as
 * measured alone. Evaluation allocates nothing and has no state. */
#include "shardplan/analysis.h"
#include "shardplan/cluster.h"
#include "shardplan/memory.h"
#include "shardplan/surface.h"

/* ---- engines: what their loop takes beside kernels --------------------------------------------
 */
/* Who goes first. */
typedef enum sp_serve_rule {
    SP_SERVE_MIXED, /* chunks of prompts ride along with every decode step (vLLM)           */
    SP_SERVE_WHOLE, /* whole prompts join a decode step (TensorRT-LLM)                     */
    SP_SERVE_PROMPTS_FIRST, /* steps of prompts alone while there are any (SGLang, TGI)           */
    SP_SERVE_STATIC, /* a batch is filled, answered and emptied (Hugging Face)              */
    SP_N_SERVE_RULES
} sp_serve_rule;
const char *
sp_serve_rule_name(sp_serve_rule rule); /* "mixed", "whole", "prompts_first", "static" */

/* The section "timing" of configs/engines/serving/NAME.json; SP_TIMING(name, least, most). */
typedef struct sp_server_timing {
    sp_serve_rule rule;
    const char *frameworks[2]; /* whose measured kernels it runs, best first; NULL = no second    */
    const char *reduce_kernel; /* of small all-reduces in captured steps; NULL = any              */
#define SP_TIMING(name, least, most) double name;
#include "shardplan/serve_timing.def"
#undef SP_TIMING
} sp_server_timing;

sp_status sp_server_timing_load(struct sp_arena *arena, const char *home, const char *name,
                                sp_server_timing *timing, sp_error *err);

/* Its numbers one by one, in the order of serve_timing.def; workers see a change at once. */
uint32_t sp_timing_count(void);
const char *sp_timing_name(uint32_t constant); /* "floor_ratio" */
const char *sp_timing_unit(uint32_t constant); /* its last word: "ratio" */
double sp_timing_get(const sp_server_timing *timing, uint32_t constant);
void sp_timing_set(sp_server_timing *timing, uint32_t constant, double value);

/* ---- one worker --------------------------------------------------------------------------------
 */
typedef struct sp_worker_layout {
    uint32_t tp, attn_dp; /* attention: width = tp attn_dp                                        */
    uint32_t moe_tp, ep;  /* experts: width = moe_tp ep                                           */
    uint32_t pp;
} sp_worker_layout;

/* Number formats: what weights take, and what products run in. */
typedef struct sp_serve_formats {
    const char *attention,
        *ffn;       /* of products with these weights, as measured tables name them
                     * (surface.h): "bfloat16", "fp8_block"; the head stays in 16 bits */
    double kv_bits; /* of one element of the cache                                    */
} sp_serve_formats;

typedef struct sp_worker_setup {
    const sp_surfaces *surfaces; /* of the cluster's GPU */
    const sp_model *model;
    const sp_cluster *cluster;
    const sp_server_timing *timing;
    sp_worker_layout layout;
    sp_serve_formats formats;
} sp_worker_setup;

typedef struct sp_worker sp_worker;

/* Refuses a layout that does not divide what it cuts, with the nearest that does, and formats that
 * the accelerator has no figures for. The worker lives in the arena and points to what the setup
 * points to. */
sp_status sp_worker_build(struct sp_arena *arena, const sp_worker_setup *setup,
                          const sp_worker **worker, sp_error *err);

uint32_t sp_worker_gpus(const sp_worker *worker);
/* Some of its kernels were measured on another part, in another format or by another framework. */
bool sp_worker_borrows(const sp_worker *worker);

/* What one attention-data-parallel rank runs in a step; the others run as much. */
typedef struct sp_serve_batch {
    double prompts;       /* sequences with new tokens of their prompt                            */
    double prompt_tokens; /* new ones of each                                                     */
    double prompt_past;   /* of each, found in the cache                                          */
    double decodes;       /* sequences that get one token                                         */
    double context;       /* tokens of each in the cache                                          */
    double emitted;       /* rows that become logits: decodes, and prompts that end in this step  */
} sp_serve_batch;

typedef struct sp_serve_step_time {
    double step_s;       /* sum of the parts, all stages one after the other                      */
    double stage_s;      /* of the slowest stage: what pipelined batches wait for                 */
    double projection_s; /* products outside experts, the head too                                */
    double attention_s;
    double experts_s;
    double element_s;
    double collective_s;
    double host_s; /* of the engine's loop, and where launches take longer than kernels     */
} sp_serve_step_time;

void sp_serve_step(const sp_worker *worker, const sp_serve_batch *batch, sp_serve_step_time *out);

/* ---- a load on workers --------------------------------------------------------------------------
 */
/* A request of a trace. */
typedef struct sp_serve_request {
    double arrival_s, isl, osl;
} sp_serve_request;

/* A closed loop: so many requests are always under way, each followed by the next. An open one:
 * requests come at a rate, or when a trace says. */
typedef struct sp_serve_load {
    double isl, osl; /* tokens of a prompt and its answer, means                           */
    double prefix_hit_ratio; /* of the prompt, found in the cache */
    double concurrency;   /* over all workers                                                   */
    double rate;          /* requests a second of all users, in place of concurrency; 0 = closed
                           * loop                                                              */
    double burstiness;    /* of the gaps between them: variance over squared mean; 1 = Poisson  */
    double length_spread; /* lengths are drawn evenly within 1 +- this times their mean         */
    double requests_per_user; /* that a user sends one after the other; few of them leave the mean
                               * under the burst at the start. 0: long after it */
    uint32_t n_requests;      /* of a trace: the simulation takes lengths from there, and, with
                               * neither rate nor concurrency, arrivals; 0 = none */
    const sp_serve_request *requests;
} sp_serve_load;

struct sp_step_table; /* src/serve/step_table.h */
struct sp_group;      /* src/cost/cost.h */

typedef struct sp_pool {
    const sp_worker *worker;
    struct sp_step_table *steps; /* of the worker, priced once each; NULL: every step anew */
    const struct sp_group *cp; /* ranks over which each prompt is cut, every one of which is such a
                                * worker; NULL: prompts are whole */
    uint32_t workers;
    double batch;        /* most running sequences of an attention-data-parallel rank; 0 = any   */
    double cache_tokens; /* room of such a rank; 0 = any                                        */
    double step_tokens;  /* most tokens of a step: chunks of prompts                            */
    double poll_steps;   /* steps of answers between looks for new requests; 0 = the engine's   */
    bool mixes; /* answers ride along with prompts though the engine's rule is prompts first    */
    double draft_tokens; /* that a step checks of each sequence; 0 = no speculation             */
    double acceptance;   /* of a drafted token, those before it accepted                        */
    double draft_ratio;  /* what it takes to draft one, over a step                             */
} sp_pool;

/* Tokens of an answer in a step: (1 - a^(k + 1)) / (1 - a) of k drafts accepted with a each.
 * Source: Leviathan, Kalman, Matias, ICML 2023, equation 1. */
double sp_pool_tokens_a_step(const sp_pool *pool);

typedef struct sp_tail {
    double mean, p50, p90, p95, p99;
} sp_tail;

/* What a user sees, over the run. Of an open loop that comes faster than it is served, times are
 * infinite. */
typedef struct sp_served {
    double ttft_s, tpot_s; /* means                                                         */
    sp_tail ttft_tail_s, tpot_tail_s, itl_tail_s, e2e_tail_s;
    double tokens_per_s; /* of the deployment, generated                                   */
    double tokens_per_s_per_gpu;
    double requests_per_s;
    double most_requests_per_s; /* that it can serve                                             */
    double in_flight;           /* requests with it: throughput x time (Little)                  */
    double running;             /* sequences of a rank that decode at once                        */
    bool stable;        /* a closed loop always is                                               */
    bool cache_limited; /* requests wait for room in the cache                            */
} sp_served;

/* Closed forms. Source of their shape: means of a closed loop; each is compared with the event
 * simulation in tests/serve. */
void sp_serve_together(const sp_pool *pool, const sp_serve_load *load, sp_served *out);

/* ---- two pools, prefill and decode -------------------------------------------------------------
 */
/* What caches are sent over, of each GPU. */
typedef struct sp_kv_link {
    double bytes_per_s, latency_s;
} sp_kv_link;
/* The innermost level of a cluster that has room for all `gpus` of both pools, else its outermost;
 * between two clusters the slower of their outermost ones. */
sp_kv_link sp_kv_link_between(const sp_cluster *prefill, const sp_cluster *decode, double gpus);

/* All that a join must know of prefill workers under a load, whatever they are joined with. */
typedef struct sp_prefill_side {
    double gpus, workers, servers; /* servers: attention-data-parallel ranks of all workers, which
                                    * step together in each                                    */
    double alone_s; /* of a prompt with nobody beside it                                    */
    double start_s,
        each_s;     /* n prompts of a rank in one step take start_s + n each_s, or alone_s  */
    double full_s;  /* of a step with as many as its tokens allow                           */
    double crowd_s; /* of each prompt when many wait: its share of such a step              */
    double spill;   /* Sakasegawa's exponent: how seldom all workers are busy at once       */
    double request_s, transfer_s; /* before the queue; before a cache is sent */
    double exposed_ratio; /* share of the cache that is sent after its last layer is computed     */
    double most_rate;     /* prompts a second that the pool can take                              */
} sp_prefill_side;

/* The same of decode workers: a step's time over the answers that a rank runs. */
#define SP_DECODE_POINTS 12
typedef struct sp_decode_side {
    double gpus, ranks;
    double steps; /* of an answer after its first token                                       */
    double tokens_a_step; /* of an answer: more than one where drafts are checked             */
    double most; /* answers of a rank at once, as its batch and its cache allow              */
    uint32_t n_points; /* steps grow in proportion between them */
    double running[SP_DECODE_POINTS], step_s[SP_DECODE_POINTS];
    double received_bytes;        /* of a prompt's cache that each GPU gets        */
    double received_in_all_bytes; /* by all GPUs of a rank */
    double most_rate;   /* requests a second that the pool can take                             */
    bool cache_limited; /* the cache has less room than the batch                               */
} sp_decode_side;

void sp_prefill_side_make(const sp_pool *pool, const sp_serve_load *load, sp_prefill_side *out);
/* Steps are priced up to `most` answers of a rank, or what batch and cache allow if that is less.
 */
void sp_decode_side_make(const sp_pool *pool, const sp_serve_load *load, double most,
                         sp_decode_side *out);
double sp_decode_side_step_s(const sp_decode_side *side, double running);

typedef enum sp_serve_bound {
    SP_BOUND_USERS, /* neither pool is full: more users, or more of them a second, get served */
    SP_BOUND_PREFILL,
    SP_BOUND_DECODE,
    SP_N_SERVE_BOUNDS
} sp_serve_bound;
const char *sp_serve_bound_name(sp_serve_bound bound); /* "users", "prefill", "decode" */

/* What a user sees of two pools, and how they match. */
typedef struct sp_joined {
    sp_served served; /* tails: sp_joined_tails                                             */
    double wait_s, prompt_s, send_s, slot_s; /* parts of ttft: for a prefill worker, of the prompt,
                                              * of its cache, for a place in a decode worker */
    double burst_s; /* first tokens of the requests that all users send at the start       */
    double prefill_busy_ratio, decode_busy_ratio;
    double step_s;        /* of answers, each of which gets a token or, with drafts, some     */
    double step_spread_s; /* of steps, as answers come and go: one standard deviation         */
    sp_serve_bound bound;
} sp_joined;

/* A few flops, no step is priced. */
void sp_serve_join(const sp_prefill_side *prefill, const sp_decode_side *decode,
                   const sp_serve_load *load, const sp_kv_link *link, sp_joined *out);
/* Fills the tails of joined->served. */
void sp_joined_tails(const sp_serve_load *load, sp_joined *joined);

/* Both sides and their join. */
void sp_serve_apart(const sp_pool *prefill, const sp_pool *decode, const sp_serve_load *load,
                    const sp_kv_link *link, sp_joined *out);

/* ---- the same as a run, request by request
 * ------------------------------------------------------- */
typedef struct sp_simulated {
    sp_tail ttft_s, tpot_s, e2e_s; /* tpot: of a request, after its first token */
    sp_tail itl_s;                 /* between two steps that told something, within 0.8 %  */
    double tokens_per_s, tokens_per_s_per_gpu, requests_per_s;
    double in_flight; /* requests with the engines, mean over the run */
    uint64_t requests, steps, preempted;
} sp_simulated;

/* Runs the engine's rule on one attention-data-parallel rank with its share of the users; the same
 * seed gives the same run. `requests` of them are measured (0: requests_per_user for each user). */
sp_status sp_serve_simulate(struct sp_arena *arena, const sp_pool *pool, const sp_serve_load *load,
                            uint64_t requests, uint64_t seed, sp_simulated *out, sp_error *err);
/* The same of two pools: every prefill worker with its queue, every cache that is sent, every
 * decode worker with its steps. */
sp_status sp_serve_simulate_apart(struct sp_arena *arena, const sp_pool *prefill,
                                  const sp_pool *decode, const sp_serve_load *load,
                                  const sp_kv_link *link, uint64_t requests, uint64_t seed,
                                  sp_simulated *out, sp_error *err);
