/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What one plan costs: every term of its time, memory and network.
 *
 * sp_estimate_plan is a pure function of the problem and the plan: no allocation, no state, no
 * failure. A plan that does not fit is a verdict, not an error. The search prices plans with the
 * same code, so the figures that `estimate` prints are those that ranked the plan.
 */
#include "shardplan/plan.h"

#include <stdbool.h>
#include <stdint.h>

struct sp_problem;

typedef enum sp_verdict {
    SP_FITS,         /* runs, with room to spare                                                  */
    SP_TIGHT,        /* runs, but the chance of running out of memory is above 10 %               */
    SP_OVER_MEMORY,  /* the fullest rank needs more than usable memory less headroom              */
    SP_OVER_NETWORK, /* exposed communication above --max-network-ratio                           */
    SP_N_VERDICTS
} sp_verdict;
const char *sp_verdict_name(sp_verdict verdict); /* "fits", "tight", "over_memory", "over_network" */

/* Exposed seconds of one optimizer step on the critical (slowest) stage; all parts sum to step. */
typedef struct sp_time {
    double step_s;
    double forward_s;   /* layers, embedding and head, of every micro-batch                       */
    double backward_s;
    double recompute_s; /* forward work done again                                                */
    double tp_comm_s;
    double cp_comm_s;
    double ep_comm_s;
    double pp_comm_s;
    double bubble_s;    /* waiting for other stages: warm-up, drain, imbalance                    */
    double dp_comm_s;   /* gradients and sharded weights                                          */
    double optimizer_s;
    double offload_s;
    double straggler_s; /* waiting for a rank that is slower than the others (--straggler)         */
    double other_s;     /* host overheads                                                         */
} sp_time;

/* When memory is fullest. */
typedef enum sp_memory_phase {
    SP_AT_LOSS,     /* the last stage's logits, before the first layer runs backwards          */
    SP_AT_BACKWARD, /* the first layer to run backwards, while all others wait                 */
    SP_AT_OPTIMIZER, /* the update: no activations, what it needs beside the state             */
    SP_N_MEMORY_PHASES
} sp_memory_phase;
const char *sp_memory_phase_name(sp_memory_phase phase); /* "loss" */

/* Bytes on the fullest rank, in the fullest phase. peak is what the device reports; the parts sum to it with
 * allocated_peak = weights .. workspace, reserved_peak = + fragmentation, peak = + reserve. */
typedef struct sp_memory {
    double weights_bytes;
    double gradients_bytes;
    double optimizer_bytes;
    double activations_bytes;
    double logits_bytes;
    double communication_bytes;
    double workspace_bytes;
    double allocated_peak_bytes;
    double reserved_peak_bytes;
    double reserve_bytes; /* driver context, and --reserve                                        */
    double peak_bytes;
    double usable_bytes;
    double host_bytes;    /* in the host's memory for one GPU of the fullest stage                */
    double nvme_bytes;    /* on local storage, likewise                                           */
    uint32_t worst_stage; /* 0-based pipeline stage of that rank                                  */
    sp_memory_phase peak_phase;
} sp_memory;

/* Bytes that one GPU of the critical stage sends per step, by dimension. */
typedef struct sp_network {
    double exposed_ratio; /* exposed tp, cp and ep communication over the time of the layers      */
    double step_ratio;    /* all exposed communication over the step                              */
    double tp_bytes, cp_bytes, ep_bytes, pp_bytes, dp_bytes;
    double host_bytes; /* to and from the host */
} sp_network;

#define SP_MAX_OBJECTIVES 6

typedef struct sp_estimate {
    sp_verdict verdict;
    sp_time time;
    sp_memory memory;
    sp_network network;
    uint32_t gpus_idle;
    double tokens_per_s;
    double tokens_per_s_per_gpu;
    double samples_per_s;
    double model_tflops_per_gpu; /* causal attention, no recompute, per second                    */
    double mfu;                  /* over the dense bf16 peak, whatever the precision              */
    double hfu;                  /* with recomputed FLOPs                                         */
    double days;                 /* for the workload's tokens; 0 when none are stated             */
    double gpu_hours;
    double usd_run;
    double usd_per_million_tokens;
    double usd_per_hour;
    double step_low_s, step_high_s; /* 80 % interval                                              */
    double step_tie_s; /* plans of the same question up to here cannot be told from this one       */
    double objective[SP_MAX_OBJECTIVES]; /* raw values, in the problem's order                    */
} sp_estimate;

void sp_estimate_plan(const struct sp_problem *problem, const sp_plan *plan, sp_estimate *out);

/* Memory alone: what the search asks first. */
void sp_estimate_memory(const struct sp_problem *problem, const sp_plan *plan, sp_memory *out);
bool sp_memory_fits(const struct sp_problem *problem, const sp_memory *memory);

/* A peak is believed within low .. high in 8 of 10 cases. */
typedef struct sp_memory_range {
    double low_bytes, high_bytes;
    double p_oom; /* that the run needs more than the GPU has */
} sp_memory_range;
sp_memory_range sp_memory_range_of(const struct sp_problem *problem, const sp_memory *memory);

/* What the search needs and nothing more: the verdict and the keys it minimises (objectives with
 * their sign turned where larger is better, not yet quantised). Bit-identical to sp_estimate_plan. */
sp_verdict sp_estimate_keys(const struct sp_problem *problem, const sp_plan *plan,
                            double keys[SP_MAX_OBJECTIVES]);

/* ---- how sure an order is ------------------------------------------------------------------------ */
/* The chance that plan A is faster than plan B, both of one question.
 *   P = Phi(ln(b / a) / (sqrt(2) s)) = erfc(-ln(b / a) / (2 s)) / 2      s = ln(1 + r) / z
 * a, b: the estimated steps; r: rank_error_ratio of the engine's profile; z: the 90th percentile of
 * the normal distribution. Assumes that the common error of a question scales both steps alike, and
 * that what is left of measured / estimated is log-normal with median 1, has 80 % of its mass within
 * 1 / (1 + r) .. 1 + r, and is independent for the two plans: then ln(measured b / measured a) is
 * normal around ln(b / a) with deviation sqrt(2) s.
 * Equal steps give 0.5. P(a, b) + P(b, a) = 1; falls with a, rises with b; r = 0 gives 0 or 1. */
double sp_faster_probability(double a_step_s, double b_step_s, double rank_error_ratio);
/* Half-width of the 80 % interval of one plan's step once another's is known: the same two
 * independent errors, so (1 + r)^sqrt(2) - 1. 0 for r = 0, rises with r. */
double sp_relative_error_ratio(double rank_error_ratio);

/* ---- the figures of an estimate by name -------------------------------------------------------- */
/* One list serves JSON, CSV, --where and compare. JSON name "memory_bytes.peak"; in expressions the
 * unit suffix may be left out: "memory.peak". */
typedef struct sp_field {
    const char *json;  /* "time_s.step", "memory_bytes.peak", "mfu"                               */
    const char *where; /* "time.step", "memory.peak", "mfu"                                       */
    const char *unit;  /* "s", "bytes", "ratio", "usd", ...                                       */
    const char *meaning;
} sp_field;
uint32_t sp_field_count(void);
const sp_field *sp_field_describe(uint32_t field);
double sp_field_get(const sp_estimate *estimate, uint32_t field);
/* Index by JSON or expression name; UINT32_MAX when unknown. */
uint32_t sp_field_find(const char *name);
