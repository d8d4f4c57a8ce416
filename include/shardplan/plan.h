/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One training plan: a value for every axis, and what follows from them.
 *
 * A plan's text is "tp=4,pp=8,vpp=5,...": axis names of axes.def in any order, defaults for what is
 * left out. Its id is its index in a space (space.h). dp and accumulation are derived:
 *     dp = gpus / (tp cp pp)        accumulation = global_batch / (dp micro_batch)
 */
#include "shardplan/status.h"

#include <stdbool.h>
#include <stdint.h>

/* Enumerators in the order of their digits; names as users write them. */
#define SP_ENUM_SWITCH(X)       X(SP_OFF, "off") X(SP_ON, "on")
/* What is computed again in the backward pass. selective: the attention core; the names of modules
 * are those of Megatron-Core; ops: all but matrix products and attention (torch's selective
 * activation checkpointing); full: everything but the inputs of layers. */
#define SP_ENUM_RECOMPUTE(X)                                                                       \
    X(SP_RECOMPUTE_NONE, "none") X(SP_RECOMPUTE_SELECTIVE, "selective")                            \
    X(SP_RECOMPUTE_LAYERNORM, "layernorm") X(SP_RECOMPUTE_ACT, "act")                              \
    X(SP_RECOMPUTE_LAYERNORM_ACT, "layernorm_act") X(SP_RECOMPUTE_MLA_UP, "mla_up")                \
    X(SP_RECOMPUTE_MLA_UP_MLP, "mla_up_mlp") X(SP_RECOMPUTE_MLP, "mlp")                            \
    X(SP_RECOMPUTE_OPS, "ops") X(SP_RECOMPUTE_FULL, "full")
#define SP_ENUM_SCHEDULE(X)                                                                        \
    X(SP_SCHEDULE_1F1B, "1f1b") X(SP_SCHEDULE_GPIPE, "gpipe")                                      \
    X(SP_SCHEDULE_INTERLEAVED, "interleaved") X(SP_SCHEDULE_ZB_H1, "zb_h1")                        \
    X(SP_SCHEDULE_ZB_H2, "zb_h2") X(SP_SCHEDULE_ZB_V, "zb_v") X(SP_SCHEDULE_V_HALF, "v_half")      \
    X(SP_SCHEDULE_V_MIN, "v_min") X(SP_SCHEDULE_DUALPIPE, "dualpipe")                              \
    X(SP_SCHEDULE_DUALPIPE_V, "dualpipe_v")
#define SP_ENUM_STAGE_LAYERS(X)                                                                    \
    X(SP_STAGE_LAYERS_EVEN, "even") X(SP_STAGE_LAYERS_WEIGHTED, "weighted")
#define SP_ENUM_PRECISION(X)                                                                       \
    X(SP_PRECISION_BF16, "bf16") X(SP_PRECISION_FP16, "fp16") X(SP_PRECISION_FP8, "fp8")           \
    X(SP_PRECISION_MXFP8, "mxfp8") X(SP_PRECISION_NVFP4, "nvfp4")
/* Order of the dimensions over the GPUs, nearest first; cp lies between tp and what follows. */
#define SP_ENUM_PLACEMENT(X)                                                                       \
    X(SP_PLACEMENT_PP_LAST, "tp_dp_pp") X(SP_PLACEMENT_DP_LAST, "tp_pp_dp")
#define SP_ENUM_OFFLOAD_TARGET(X) X(SP_OFFLOAD_HOST, "host") X(SP_OFFLOAD_NVME, "nvme")
/* ring passes blocks of keys and values on, allgather collects them first, ulysses exchanges heads
 * for sequence, hybrid does that inside the fastest domain and a ring across. */
#define SP_ENUM_CP_KIND(X)                                                                         \
    X(SP_CP_RING, "ring") X(SP_CP_ALLGATHER, "allgather") X(SP_CP_ULYSSES, "ulysses")              \
    X(SP_CP_HYBRID, "hybrid")

#define SP_ENUMERATOR(id, name) id,
typedef enum sp_switch { SP_ENUM_SWITCH(SP_ENUMERATOR) } sp_switch;
typedef enum sp_recompute { SP_ENUM_RECOMPUTE(SP_ENUMERATOR) SP_N_RECOMPUTE } sp_recompute;
typedef enum sp_schedule { SP_ENUM_SCHEDULE(SP_ENUMERATOR) SP_N_SCHEDULES } sp_schedule;
typedef enum sp_stage_layers { SP_ENUM_STAGE_LAYERS(SP_ENUMERATOR) SP_N_STAGE_LAYERS } sp_stage_layers;
typedef enum sp_precision { SP_ENUM_PRECISION(SP_ENUMERATOR) SP_N_PRECISIONS } sp_precision;
typedef enum sp_placement { SP_ENUM_PLACEMENT(SP_ENUMERATOR) SP_N_PLACEMENTS } sp_placement;
typedef enum sp_offload_target { SP_ENUM_OFFLOAD_TARGET(SP_ENUMERATOR) SP_N_OFFLOAD_TARGETS } sp_offload_target;
typedef enum sp_cp_kind { SP_ENUM_CP_KIND(SP_ENUMERATOR) SP_N_CP_KINDS } sp_cp_kind;
/* What is trained. sft costs what pretraining does; under lora the model's weights are frozen and
 * pairs of thin matrices beside every product of a layer are trained (Hu et al., arXiv:2106.09685);
 * qlora holds the frozen weights in 4 bits (Dettmers et al., arXiv:2305.14314). */
#define SP_ENUM_TASK(X)                                                                            \
    X(SP_TASK_PRETRAIN, "pretrain") X(SP_TASK_SFT, "sft") X(SP_TASK_LORA, "lora")                  \
    X(SP_TASK_QLORA, "qlora")
typedef enum sp_task { SP_ENUM_TASK(SP_ENUMERATOR) SP_N_TASKS } sp_task;
const char *sp_task_name(sp_task task); /* "pretrain" */

/* Whose element-wise kernels and loss run. "loss": the engine's, but for a loss that reads 2-byte
 * logits and writes their 2-byte gradient (FlashAttention's, compiled ones). "fused": norms and
 * gated activations keep their inputs alone and write gradients over them; the head's product and
 * the loss go chunk by chunk, so that logits are never whole (Liger kernels). */
#define SP_ENUM_KERNELS(X)                                                                         \
    X(SP_KERNELS_ENGINE, "engine")                                                                 \
    X(SP_KERNELS_LOSS, "loss") X(SP_KERNELS_FUSED, "fused")
typedef enum sp_kernels { SP_ENUM_KERNELS(SP_ENUMERATOR) SP_N_KERNELS } sp_kernels;
const char *sp_kernels_name(sp_kernels kernels);

/* Number format in which tokens travel to their experts, and gradients to what combined them; what
 * comes back travels in 16 bits (DeepSeek-V3, arXiv:2412.19437, section 3.3.2). */
#define SP_ENUM_DISPATCH(X) X(SP_DISPATCH_BF16, "bf16") X(SP_DISPATCH_FP8, "fp8")
typedef enum sp_dispatch { SP_ENUM_DISPATCH(SP_ENUMERATOR) SP_N_DISPATCHES } sp_dispatch;
const char *sp_dispatch_name(sp_dispatch dispatch);
/* Number format in which gradients are accumulated: the engine's own choice, or one of two. */
#define SP_ENUM_GRADIENTS(X)                                                                       \
    X(SP_GRADIENTS_AUTO, "auto")                                                                   \
    X(SP_GRADIENTS_FP32, "fp32") X(SP_GRADIENTS_BF16, "bf16")
typedef enum sp_gradients { SP_ENUM_GRADIENTS(SP_ENUMERATOR) SP_N_GRADIENTS } sp_gradients;
const char *sp_gradients_name(sp_gradients gradients);
#undef SP_ENUMERATOR

/* Parts of ZeRO++ (Wang et al., arXiv:2306.10209), each on top of ZeRO-3; a set of them is a sum of
 * these. qwz: weights are gathered in 8 bits; hpz: a second shard of the weights in the fastest
 * domain, from which the backward pass gathers; qgz: gradients travel in 4 bits. */
typedef enum sp_zeropp { SP_ZEROPP_QWZ = 1, SP_ZEROPP_HPZ = 2, SP_ZEROPP_QGZ = 4 } sp_zeropp;
#define SP_ZEROPP_ALL 7u
/* "qwz,hpz", "all", "none". */
sp_status sp_zeropp_parse(const char *text, uint32_t *parts, sp_error *err);
/* Writes it back, in the order above. */
#define SP_ZEROPP_TEXT_BYTES 16
void sp_zeropp_format(uint32_t parts, char text[SP_ZEROPP_TEXT_BYTES]);

typedef struct sp_plan {
    uint32_t gpus;
    uint32_t micro_batch;
    uint32_t dp;           /* derived */
    uint32_t accumulation; /* derived: micro-batches of a step on each pipeline */
    uint32_t shard_group;  /* 0 = all ranks that hold the same weights */
    uint16_t tp, cp, pp, vpp, ep, etp;
    uint16_t recompute_layers; /* 0 = all */
    uint8_t placement, recompute, zero, schedule;
    uint8_t stage_layers, precision, sp, tp_overlap, dp_overlap;
    uint8_t offload_optimizer, offload_params, offload_activations; /* hundredths */
    uint8_t offload_target, cp_kind, ep_overlap;
    uint8_t reserved[3]; /* zero: plans are compared and hashed as bytes */
} sp_plan;

/* clang-format off */
typedef enum sp_axis_id {
#define SP_AXIS(field, name, kind, fallback, unit, meaning) SP_AXIS_##field,
#include "shardplan/axes.def"
#undef SP_AXIS
    SP_N_AXES
} sp_axis_id;
/* clang-format on */

typedef enum sp_axis_kind {
    SP_AXIS_KIND_COUNT,        /* "8"                                                             */
    SP_AXIS_KIND_COUNT_OR_ALL, /* "8", or "all" = 0                                               */
    SP_AXIS_KIND_RATIO,        /* "0.25", "25%": held as hundredths                               */
    SP_AXIS_KIND_NAME          /* one of `names`                                                  */
} sp_axis_kind;

/* What there is to know about an axis; n_names is 0 for all kinds but NAME. */
typedef struct sp_axis_info {
    const char *name, *unit, *meaning;
    sp_axis_kind kind;
    uint32_t fallback;
    uint32_t n_names;
    const char *const *names;
} sp_axis_info;

const sp_axis_info *sp_axis_describe(sp_axis_id axis);
/* The axis of that name, or SP_N_AXES. */
sp_axis_id sp_axis_find(const char *name);
/* Reads one value ("8", "0.5", "full", "on"); axes announced in INTERFACE but not built give SP_E_NOT_YET. */
sp_status sp_axis_find_or_fail(const char *name, sp_axis_id *axis, sp_error *err);
sp_status sp_axis_parse_value(sp_axis_id axis, const char *text, uint32_t *value, sp_error *err);
/* Writes a value as a user would ("8", "full"). */
void sp_axis_format_value(sp_axis_id axis, uint32_t value, char out[24]);

uint32_t sp_plan_get(const sp_plan *plan, sp_axis_id axis);
void sp_plan_set(sp_plan *plan, sp_axis_id axis, uint32_t value);
/* All axes at their defaults, dp and accumulation 0. */
sp_plan sp_plan_default(void);
/* Fills dp and accumulation; 0 where a division leaves a remainder. */
void sp_plan_derive(sp_plan *plan, uint64_t global_batch);
/* Reads plan text over *plan (axes not named keep their values). */
sp_status sp_plan_parse(const char *text, sp_plan *plan, sp_error *err);
/* Every axis that is not at its default, always with tp and pp: "tp=4,pp=8,vpp=5". Returns the
 * length; at most SP_PLAN_TEXT_BYTES with the final zero. */
#define SP_PLAN_TEXT_BYTES 512
size_t sp_plan_format(const sp_plan *plan, char *text, size_t capacity);

/* ---- plans in expressions ---------------------------------------------------------------------- */
/* Variables of rules and --where: axes by their id, then these. */
#define SP_VAR_DP           SP_N_AXES
#define SP_VAR_ACCUMULATION (SP_N_AXES + 1)
#define SP_N_PLAN_VARS      (SP_N_AXES + 2)
/* A value as people compare it: ratios in 0..1, names by their number. */
double sp_axis_number(sp_axis_id axis, uint32_t value);
/* Fills values[0 .. SP_N_PLAN_VARS-1] from the plan. */
void sp_plan_values(const sp_plan *plan, double *values);
/* The depth (an axis) at which every variable that the expression reads is known; 0 for constants.
 * dp is known at placement, accumulation at micro_batch. Only plan variables may occur. */
struct sp_expr;
sp_axis_id sp_plan_expr_depth(const struct sp_expr *expr);
/* Resolves a name of axes, dp, accumulation or an enumerator (context = the axis compared with) as
 * sp_expr_resolve wants it: index, -1 with *constant, or -2 when it is none of these (err is filled
 * with the names there are). */
int sp_plan_resolve(const char *name, const char *context, double *constant, sp_error *err);
