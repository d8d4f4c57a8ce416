/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Accelerators that need not exist yet, and what a model costs on them: time, energy, money,
 * carbon.
 *
 * An analysis (analysis.h) is reduced once to sorted intensities with running sums; a chip is then
 * priced with one binary search a phase. All of that is pure: no allocation, no failure, and any
 * number of threads may price the same workload. What is not a property of the model or the chip
 * (price of electricity, carbon of the grid, split of the power) is a number in configs/, with its
 * source.
 *
 *     sp_workload *workload = NULL;
 *     SP_TRY(sp_workload_build(arena, &question, analysis, &workload, err));
 *     sp_economics money;
 *     SP_TRY(sp_economics_load(home, "Global_Average", &money, err));
 *     const sp_chip_price price = sp_chip_evaluate(workload, &money, &chip);
 *
 * Memory tiers, several chips and speculative decoding are answered from the same operators below.
 */
#include "shardplan/analysis.h"

/* ---- a chip ---------------------------------------------------------------------------------- */
#define SP_CHIP_N_FIGURES 5
typedef struct sp_chip {
    double flops_per_s; /* of matrix products, in the format that the question computes in     */
    double bytes_per_s; /* of its memory                                                       */
    double capacity_bytes;
    double tdp_watts;
    double price_usd;
} sp_chip;
const char *
sp_chip_figure_name(uint32_t figure); /* "peak", "bandwidth", "capacity", "tdp", "price" */
double *sp_chip_figure(sp_chip *chip, uint32_t figure);

/* ---- what it costs to own and to run a chip: configs/economics.json and configs/grids.json -----
 */
typedef struct sp_economics {
    double lifetime_years;
    double utilization_ratio; /* of its lifetime during which it works                         */
    double pue;               /* power of the building over power of the machines              */
    double usd_per_kwh;
    double grid_g_per_kwh;      /* CO2 equivalent                                                */
    double embodied_kg;         /* CO2 equivalent of making one chip                             */
    double compute_power_ratio; /* alpha: share of the power limit that arithmetic draws; moving
                                 * bytes draws the rest                                          */
    double score_flops_per_joule, score_price_usd, score_g_per_eflop; /* what scores 1            */
    double score_no_fit; /* memory score of a chip that is too small                      */
} sp_economics;
/* grid: a name of configs/grids.json, NULL the default. Errors name the nearest. */
sp_status sp_economics_load(const char *home, const char *grid, sp_economics *money, sp_error *err);
/* Changes what text names, "years=4,utilization=0.6,pue=1.2,usd_per_kwh=0.08,embodied_kg=150,
 * alpha=0.5,grid=France" or g_per_kwh=250 for the last. */
sp_status sp_economics_parse(const char *home, const char *text, sp_economics *money,
                             sp_error *err);

/* Energy of work on a chip: P = TDP (alpha u_c + (1 - alpha) u_m), u_c and u_m the shares of the
 * time during which the arithmetic and the memory are busy. Since u_c t = F / peak and u_m t =
 * B / bandwidth, this is TDP (alpha F / peak + (1 - alpha) B / bandwidth): linear in the work. */
double sp_energy_joules(const sp_chip *chip, double compute_power_ratio, double flops,
                        double bytes);

/* Of one chip over its lifetime, at its power limit whenever it works. */
typedef struct sp_ownership {
    double busy_s; /* lifetime x utilization                                       */
    double electricity_kwh, electricity_usd, total_usd;
    double flops; /* at the peak while it works                                   */
    double hardware_usd_per_eflop, electricity_usd_per_eflop, usd_per_eflop; /* 10^18 FLOPs */
    double operational_g_per_eflop, embodied_g_per_eflop, g_per_eflop;
} sp_ownership;
sp_ownership sp_own(const sp_chip *chip, const sp_economics *money);

/* ---- the work of an analysis, ready to be priced on any chip -----------------------------------
 */
#define SP_WORK_N_PHASES 3 /* prefill, decode, last decode */
typedef struct sp_workload sp_workload;
/* question must ask for the three inference phases. Operators that do not run on matrix units keep
 * the ratio of the question's accelerator between both kinds of arithmetic. */
sp_status sp_workload_build(struct sp_arena *arena, const sp_analysis_question *question,
                            const sp_analysis *analysis, sp_workload **workload, sp_error *err);

/* Of one request of every sequence of the batch: the prompt and all generated tokens. A decode step
 * costs the mean of the first and the last one. */
typedef struct sp_chip_price {
    double prefill_s, decode_s, last_decode_s, request_s;
    double tokens_per_s; /* generated, while decoding                                        */
    double flops_per_s;  /* attained over the request: never above the peak                  */
    double energy_joules, joules_per_token;
    double flops_per_joule;
    double usd_per_mtok; /* 10^6 generated tokens: share of the chip's life, and electricity */
    double g_per_mtok;   /* CO2 equivalent                                                   */
    double usd_per_eflop, g_per_eflop; /* of ownership, at the peak                               */
    bool fits;
} sp_chip_price;
sp_chip_price sp_chip_evaluate(const sp_workload *workload, const sp_economics *money,
                               const sp_chip *chip);
double sp_workload_memory_bytes(const sp_workload *workload); /* weights, cache, working space */
/* Seconds of one phase (0 prefill, 1 decode, 2 last decode). */
double sp_workload_time_s(const sp_workload *workload, uint32_t phase, const sp_chip *chip);

/* Each 0..1, 1 best: attained over peak, and the rest against the marks of sp_economics. */
typedef struct sp_scores {
    double performance, energy, cost, carbon, memory, overall;
} sp_scores;
sp_scores sp_chip_scores(const sp_chip *chip, const sp_chip_price *price,
                         const sp_economics *money);

/* ---- a grid of chips: configs/sweeps -----------------------------------------------------------
 */
#define SP_SWEEP_MAX_VALUES 64
#define SP_SWEEP_MAX_POINTS 4194304
typedef struct sp_sweep {
    const char *name, *source;
    uint32_t n_values[SP_CHIP_N_FIGURES];
    double values[SP_CHIP_N_FIGURES][SP_SWEEP_MAX_VALUES];
    uint64_t n_points; /* product of n_values */
} sp_sweep;
/* ref: a name in HOME/configs/sweeps or a file. */
sp_status sp_sweep_find(struct sp_arena *arena, const char *home, const char *ref,
                        const sp_sweep **sweep, sp_error *err);
/* In product order: the last figure (price) changes fastest. */
sp_chip sp_sweep_chip(const sp_sweep *sweep, uint64_t point);
/* Point i of at most max_points evenly spread ones; *n is their number, never more than asked. */
uint64_t sp_sweep_thinned(const sp_sweep *sweep, uint64_t max_points);
uint64_t sp_sweep_id(const sp_sweep *sweep, uint64_t n_thinned, uint64_t i);

/* Objectives of which the attained speed is one side of a front. */
typedef enum sp_sweep_metric {
    SP_SWEEP_SPEED,  /* generated tokens a second, more is better */
    SP_SWEEP_COST,   /* dollars for 10^6 tokens                   */
    SP_SWEEP_ENERGY, /* joules a token                            */
    SP_SWEEP_CARBON, /* grams for 10^6 tokens                     */
    SP_SWEEP_N_METRICS
} sp_sweep_metric;
const char *sp_sweep_metric_name(sp_sweep_metric metric);
double sp_sweep_metric_value(const sp_chip_price *price, sp_sweep_metric metric);

typedef struct sp_sweep_point {
    uint64_t point; /* of the grid */
    sp_chip chip;
    sp_chip_price price;
    sp_scores scores;
} sp_sweep_point;

typedef struct sp_sweep_result {
    uint64_t n_points, n_fitting;
    double memory_needed_bytes; /* by the model: chips with less do not fit                      */
    const sp_sweep_point *points;
    /* speed against each other metric, fastest first; indices into points, only chips that fit */
    uint32_t n_front[SP_SWEEP_N_METRICS];
    const uint32_t *front[SP_SWEEP_N_METRICS];
    uint32_t best[SP_SWEEP_N_METRICS]; /* of chips that fit; of equals the first                  */
    uint32_t best_overall;             /* by score, of all chips                                  */
} sp_sweep_result;
/* Fronts in O(n log n). max_points 0: all. Errors: SP_E_MEMORY, SP_E_RANGE beyond
 * SP_SWEEP_MAX_POINTS. */
sp_status sp_sweep_run(struct sp_arena *arena, const sp_workload *workload,
                       const sp_economics *money, const sp_sweep *sweep, uint64_t max_points,
                       const sp_sweep_result **result, sp_error *err);
/* Indices of the points that no other beats, sorted by x from high to low; more x and less y are
 * better, and of points alike in both all stay. order holds n indices and is filled up to the
 * returned number. */
uint32_t sp_front_2d(const double *x, const double *y, uint32_t n, uint32_t *order);

/* The chip with one figure multiplied. */
sp_sweep_point sp_sensitivity_point(const sp_workload *workload, const sp_economics *money,
                                    const sp_chip *base, uint32_t figure, double multiplier);

/* ---- chips between the points of a grid: NSGA-II ------------------------------------------------
 */
#define SP_EVOLVE_MAX_GENES      8
#define SP_EVOLVE_MAX_OBJECTIVES 4
typedef struct sp_evolve_problem {
    uint32_t n_genes, n_objectives;
    double lo[SP_EVOLVE_MAX_GENES], hi[SP_EVOLVE_MAX_GENES]; /* 0 < lo <= hi                      */
    /* Fills objectives (less is better) and returns by how much the genes break the constraints,
     * 0 where they keep them. Pure. */
    double (*evaluate)(const void *user, const double *genes, double *objectives);
    const void *user;
} sp_evolve_problem;

typedef struct sp_individual {
    double genes[SP_EVOLVE_MAX_GENES];
    double objectives[SP_EVOLVE_MAX_OBJECTIVES];
    double violation;
    double crowding;
    uint32_t rank; /* 0: nobody in the population beats it */
} sp_individual;

/* Deb, Pratap, Agarwal, Meyarivan, IEEE TEC 6(2), 2002, with its constrained dominance: what keeps
 * the constraints beats what does not, and of two that do not the one that breaks them less.
 * Simulated binary crossover and polynomial mutation act on the logarithm of genes that range over
 * more than a factor of ten. The same seed gives the same population wherever exp, log and pow are
 * the same. */
sp_status sp_evolve(struct sp_arena *arena, const sp_evolve_problem *problem, uint32_t population,
                    uint32_t generations, uint64_t seed, const sp_individual **individuals,
                    sp_error *err);

/* What silicon allows: configs/silicon.json. */
typedef struct sp_silicon {
    double mm2_per_tflops, mm2_per_gb, die_mm2;
    double watts_per_tflops, watts_per_gb_per_s, static_power_ratio;
    double most_gb_per_s_per_gb;
} sp_silicon;
sp_status sp_silicon_load(const char *home, sp_silicon *silicon, sp_error *err);
/* Sum of what area, power and bandwidth per capacity exceed their limits by, each as a share of its
 * limit; 0 = can be built. */
double sp_silicon_excess_ratio(const sp_silicon *silicon, const sp_chip *chip);
/* Chips of the sweep's ranges (its least and largest values) by speed, joules and dollars a token.
 */
sp_status sp_evolve_chips(struct sp_arena *arena, const sp_workload *workload,
                          const sp_economics *money, const sp_silicon *silicon,
                          const sp_sweep *ranges, uint32_t population, uint32_t generations,
                          uint64_t seed, const sp_individual **individuals, sp_error *err);

/* ---- memory in tiers: hardware/tiers ------------------------------------------------------------
 */
#define SP_TIERS_MAX 4
typedef struct sp_tier {
    const char *name;
    double bytes_per_s, capacity_bytes, joules_per_byte, latency_s;
} sp_tier;

typedef struct sp_tiered_chip {
    const char *name;
    sp_chip chip; /* bandwidth of its fastest tier, capacity of all */
    uint32_t n_tiers;
    sp_tier tiers[SP_TIERS_MAX]; /* fastest first */
} sp_tiered_chip;
sp_status sp_tiered_chip_find(struct sp_arena *arena, const char *home, const char *ref,
                              const sp_tiered_chip **chip, sp_error *err);

/* Bytes that are held, and how many of them a request moves. */
typedef struct sp_tier_item {
    const char *name; /* an operator's weights, "kv_cache" or "activations" */
    double held_bytes;
    double moved_bytes[SP_WORK_N_PHASES]; /* by one pass of each phase */
    double moved_per_request;     /* by the whole request                                  */
    double in_tier[SP_TIERS_MAX]; /* held bytes, where they lie                            */
} sp_tier_item;

/* Places items so that the sum over items and tiers of moved bytes over bandwidth is least, and
 * returns the bytes that found no room. Items may lie in several tiers. */
double sp_tiers_place(const sp_tier *tiers, uint32_t n_tiers, sp_tier_item *items,
                      uint32_t n_items);

typedef struct sp_tier_plan {
    uint32_t n_items;
    const sp_tier_item *items;
    double overflow_bytes; /* > 0: does not fit, and the times below are infinite          */
    double used_bytes[SP_TIERS_MAX];
    double phase_s[SP_WORK_N_PHASES]; /* one pass: max(arithmetic, memory) of each operator    */
    double phase_memory_s[SP_WORK_N_PHASES]; /* the memory alone */
    double phase_joules[SP_WORK_N_PHASES]; /* of moving bytes                                    */
    double ttft_s, token_s; /* token_s: mean of the first and last step                     */
    double tokens_per_s;    /* of the batch                                                 */
    double joules_per_token;
} sp_tier_plan;
/* For a request as the question has it; question->gpu lends the ratio of vector to matrix peaks. */
sp_status sp_tiers_plan(struct sp_arena *arena, const sp_analysis_question *question,
                        const sp_analysis *analysis, const sp_tiered_chip *chip,
                        const sp_tier_plan **plan, sp_error *err);

/* ---- several chips ------------------------------------------------------------------------------
 */
typedef struct sp_chips {
    uint32_t tp, pp, dp;
    uint32_t
        groups_in_flight; /* parts of a replica's batch that follow each other through stages */
    double prefill_s;     /* of the prompts of one part, through all stages                  */
    double token_s;       /* between two tokens of a sequence                                 */
    double least_token_s; /* one part alone in the pipeline: no smaller for more stages       */
    double tokens_per_s;  /* of the deployment                                                */
    double network_ratio; /* share of the exposed network in the slowest stage                */
    double stage_memory_bytes; /* of the fullest chip */
    bool fits;
} sp_chips;
/* Prices tp x pp x dp chips of question->cluster (which must be set); question's own tp and dp are
 * not read. Layers go to stages as evenly as whole layers can, the first stages taking one more. */
sp_status sp_chips_price(const sp_analysis_question *question, uint32_t tp, uint32_t pp,
                         uint32_t dp, sp_chips *chips, sp_error *err);
/* For 1 .. max_chips the split with the most tokens a second of those that fit, or of all where
 * none fits; counts without any split that divides the model have tp 0. */
sp_status sp_chips_curve(struct sp_arena *arena, const sp_analysis_question *question,
                         uint32_t max_chips, const sp_chips **curve, sp_error *err);

/* ---- speculative decoding -----------------------------------------------------------------------
 */
#define SP_SPECULATE_MAX_DEPTH 16
/* Tokens of one step: (1 - a^(g+1)) / (1 - a) (Leviathan et al., arXiv:2211.17192, equation 1). */
double sp_speculate_tokens(double acceptance, uint32_t depth);

typedef struct sp_speculation {
    double target_s, draft_s;                    /* one token, the mean of first and last step    */
    double verify_s[SP_SPECULATE_MAX_DEPTH + 1]; /* [g]: the target over g + 1 tokens a sequence  */
    double target_joules, draft_joules, verify_joules[SP_SPECULATE_MAX_DEPTH + 1];
    double target_memory_bytes, memory_bytes; /* alone, and beside the draft                   */
    bool fits;
} sp_speculation;
/* Both questions on the same accelerator with the same batch and lengths. */
sp_status sp_speculate(struct sp_arena *arena, const sp_analysis_question *target,
                       const sp_analysis_question *draft, const sp_economics *money,
                       sp_speculation *speculation, sp_error *err);
/* Against plain decoding of the target: how many times as fast, and as many joules a token. */
double sp_speculate_speedup(const sp_speculation *s, double acceptance, uint32_t depth);
double sp_speculate_energy_ratio(const sp_speculation *s, double acceptance, uint32_t depth);
/* 1 .. SP_SPECULATE_MAX_DEPTH; 0 where plain decoding is faster than all. */
uint32_t sp_speculate_best_depth(const sp_speculation *s, double acceptance);
