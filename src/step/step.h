/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The layout of a problem, for step/ and the rooms above it, and the steps of an estimate. */
#include "base/base.h"
#include "cost/cost.h"
#include "shardplan/problem.h"
#include "step/schedule.h"

/* ---- stage_split.c: which layers a pipeline stage holds -------------------------------------- */
#define SP_MAX_STAGE_CLASSES 12

/* Stages that hold the same number of layers of each kind and the same ends form a class. Its
 * memory is that of its earliest stage, which holds the most micro-batches in flight. */
typedef struct sp_stage_class {
    uint16_t layers[SP_MODEL_MAX_KINDS];
    uint16_t first_stage, last_stage;
    uint16_t n_stages;
    uint16_t after[SP_MAX_STAGE_CLASSES]; /* stages of each class behind last_stage */
    bool embedding, head;
    bool never_fullest; /* another class holds as much of everything, no later in the pipeline */
} sp_stage_class;

typedef struct sp_stage_split {
    uint32_t n_classes;
    sp_stage_class classes[SP_MAX_STAGE_CLASSES];
} sp_stage_split;

/* --where, parsed. Variables: 0 .. SP_N_AXES-1 axes, dp, accumulation (plan.h), then result
 * fields from SP_VAR_FIELDS on. */
#define SP_VAR_FIELDS SP_N_PLAN_VARS

typedef struct sp_where {
    const struct sp_expr *expr;
    bool reads_results; /* needs the estimate; otherwise decided at axis `deepest`               */
    sp_axis_id deepest; /* outermost depth at which all its axes are known                       */
} sp_where;

/* The host beside one GPU: its share of the node's memory, storage and processors; 0 bytes where a
 * figure is not known. */
typedef struct sp_host {
    double memory_bytes, nvme_bytes;
    double link_s_per_byte, update_s_per_byte, nvme_s_per_byte;
} sp_host;

typedef struct sp_set {
    sp_axis_id axis;
    uint32_t n_values;
    const uint32_t *values; /* ascending, distinct */
} sp_set;

struct sp_problem {
    sp_arena arena;
    sp_question question; /* strings copied into the arena */
    const sp_model *model;
    sp_parameters parameters;
    const sp_cluster *cluster;
    uint32_t n_gpus_values;
    const uint32_t *gpus_values; /* ascending */
    uint32_t n_engines;
    const sp_engine *engines;
    const sp_engine_profile *profile;
    uint32_t n_objectives;
    uint32_t objectives[SP_MAX_OBJECTIVES]; /* indices of sp_objective_describe */
    uint32_t n_sets;
    sp_set sets[SP_MAX_SETS];
    uint32_t n_wheres;
    sp_where wheres[SP_MAX_WHERES];
    bool space_all; /* --space all */
    const sp_stage_split
        *splits; /* [pp - 1][sp_stage_layers][sp_block_layout], pp up to the layers    */
    sp_rates rates;
    sp_fabric fabric;
    const sp_optimizer *optimizer;
    sp_recipe recipe; /* of the model's weights: frozen under lora and qlora; what differs by
                         kind of tensor is that of matrices                              */
    sp_recipe adapter_recipe; /* of the adapters                                            */
    double copy_bytes[SP_N_PRECISIONS]; /* per parameter of matrices in layers: copies in the format
                                           of their products                                     */
    sp_host host;
    bool has_adapters;
    bool uniform_state; /* the optimizer holds the same of every tensor */
    bool has_experts;
    bool has_latent_attention;
    bool has_tied_layers;
    bool ranks_by_money;     /* an objective is in money                                   */
    double forward_flops;    /* of the global batch                                        */
    double usd_per_gpu_hour; /* 0 = no price                                               */
    double allowed_bytes;    /* usable memory less headroom                                */
    char fingerprint[33];
};

/* *out: the problem under other constants of the software, for fits and scores. It borrows all else
 * from base and is never freed; its fingerprint is that of base. */
void sp_problem_with_profile(const sp_problem *base, const sp_engine_profile *profile,
                             sp_problem *out);

/* 8 of 10 measured steps lie within +- this of the estimate: wider with experts, and where kernels
 * are those of another part. */
double sp_problem_step_error(const sp_problem *problem);

/* The split of a pipeline; pp between 1 and the number of layers. Under MIRROR stages p / 2 and
 * beyond hold what the others do and are left out. */
const sp_stage_split *sp_problem_split(const sp_problem *problem, uint32_t pp,
                                       sp_stage_layers policy, sp_block_layout layout);
const sp_stage_split *sp_plan_split(const sp_problem *problem, const sp_plan *plan);

/* How p stages share the layers in one layout: one entry of what sp_splits_build fills; no classes
 * where the layout cannot be cut so. */
void sp_split_build(const sp_problem *problem, uint32_t p, sp_stage_layers policy,
                    sp_block_layout layout, sp_stage_split *split);

/* ---- problem_at.c: the same question at another size ----------------------------------------- */
/* What inverse questions turn. The rest of a problem, that is all that is read from files, does not
 * depend on it, but for engine rules, which are compiled for the question's own sizes. */
typedef struct sp_sizes {
    const sp_model *model;
    uint64_t seq_len, global_batch;
    uint32_t lora_rank;
} sp_sizes;
sp_sizes sp_problem_sizes(const sp_problem *problem);
/* Fills *out, which borrows from `whole` and owns nothing: for plans of pp stages alone, pp within
 * the model's layers, whose splits go to room[6 pp]. Allocates nothing. */
void sp_problem_at(const sp_problem *whole, const sp_sizes *sizes, uint32_t pp,
                   sp_stage_split *room, sp_problem *out);

/* ---- groups.c ---------------------------------------------------------------------------- */
/* Ranks with the same weights: those that shard them, and copies of such groups (shard_group). */
typedef struct sp_copies {
    sp_group shard, replica;
    sp_group near; /* under hpz, gathers weights again: the part of shard in the fastest domain */
} sp_copies;

/* The groups of ranks of a plan. */
typedef struct sp_groups {
    sp_fabric fabric; /* the network as this plan finds it; the groups point to it */
    sp_group tp, pp, ep, etp;
    sp_group cp_heads, cp_ring; /* exchange heads for sequence, pass keys and values on */
    sp_copies dense, expert;
} sp_groups;

/* Ranks of a stage: tp x cp x dp. */
uint32_t sp_plan_stage_ranks(const sp_plan *plan);
/* Ranks that hold the same pieces of the dense weights: cp x dp; and of the same experts. */
uint32_t sp_plan_copies(const sp_plan *plan);
uint32_t sp_plan_expert_copies(const sp_plan *plan);
/* Some weights have copies: those of experts may at cp = dp = 1, on tp ranks. */
bool sp_plan_has_copies(const sp_problem *problem, const sp_plan *plan);
/* Stages hold what their mirror at the other end does: DualPipe. */
bool sp_plan_is_mirrored(const sp_plan *plan);
/* Groups of shard_group ranks among the copies, and the ranks of one such group. */
uint32_t sp_plan_replicas(const sp_plan *plan);
typedef struct sp_shards {
    uint32_t dense, expert; /* expert 1 without experts */
} sp_shards;
sp_shards sp_plan_shards(const sp_problem *problem, const sp_plan *plan);
/* Ranks over which context parallelism exchanges heads: cp under ulysses, its part in the fastest
 * domain under hybrid, else 1. */
uint32_t sp_plan_ulysses_ranks(const sp_fabric *fit, const sp_plan *plan);
/* tp ranks all lie in one domain of the fastest link. */
bool sp_plan_tp_in_domain(const sp_problem *problem, const sp_plan *plan);
/* Model FLOPs of a step in forward passes: forward, input gradients and, unless the weights are
 * frozen, weight gradients. */
double sp_problem_passes(const sp_problem *problem);
/* Tokens of a sequence, or of the documents packed into it. */
double sp_problem_attended(const sp_problem *problem);
/* By how much the busiest rank's experts have more tokens than the mean, as a share of it. */
double sp_plan_expert_excess(const sp_problem *problem, const sp_plan *plan, const sp_ffn *ffn);
/* hpz: weights are gathered again within the fastest domain (ZeRO++). */
/* Works out what follows from the model and the sizes of the question alone. */
void sp_problem_read_model(sp_problem *problem);
void sp_groups_build(const sp_fabric *whole, const sp_plan *plan, bool moe, bool hpz,
                     sp_groups *groups);
sp_sharding sp_plan_sharding(const sp_plan *plan, bool moe);
sp_shape sp_plan_shape(const sp_problem *problem, const sp_plan *plan);

/* ---- layer_time.c, context.c ------------------------------------------------------------------
 */
/* One layer (or one end of the model), one micro-batch, one rank. Communication is what stays
 * exposed after overlap. */
typedef struct sp_layer_cost {
    double forward_s, backward_s, recompute_s; /* computation                                     */
    double ep_alone_s;                         /* shown only by passes without a pair             */
    double weight_grad_s;               /* the part of backward_s on which nothing waits    */
    double tp_forward_s, tp_backward_s; /* exposed; recomputation's share is in backward   */
    double cp_forward_s, cp_backward_s;
    double ep_forward_s, ep_backward_s;
    double ep_traffic_s; /* forward and backward, hidden or not             */
    double tp_sent_bytes, cp_sent_bytes, ep_sent_bytes; /* by one GPU, forward and backward */
    double recompute_flops; /* of the mean rank                                */
} sp_layer_cost;

/* What tp ranks exchange around a block: a tensor of the hidden activations of all tokens. */
typedef struct sp_tp_traffic {
    double bytes, gather_s, reduce_s; /* all-gather (or reduce-scatter), all-reduce */
} sp_tp_traffic;

sp_tp_traffic sp_tp_traffic_build(const sp_problem *problem, const sp_plan *plan,
                                  const sp_group *tp);
/* What the backward pass of a layer computes again: all of it, or modules (SP_MODULE_*). */
typedef struct sp_redo {
    bool full;
    uint32_t modules;
} sp_redo;
sp_redo sp_plan_redo(const sp_plan *plan);

void sp_layer_price(const sp_problem *problem, const sp_plan *plan, const sp_redo *redo,
                    const sp_groups *groups, const sp_tp_traffic *traffic,
                    const sp_layer_work *work, double expert_excess, sp_layer_cost *cost);
/* Of an element of a token on its way to its experts. */
double sp_dispatch_bytes(const sp_problem *problem);
/* The part of one multi-token prediction module beside its layer and the head. */
void sp_mtp_price(const sp_problem *problem, const sp_plan *plan, sp_layer_cost *cost);
/* Adds what context parallelism exchanges around the attention core of one layer; returns the bytes
 * of the forward pass. */
double sp_context_price(const sp_problem *problem, const sp_plan *plan, const sp_groups *groups,
                        const sp_block_comm *comm, const sp_op_time *core, sp_layer_cost *cost);
/* Bytes of keys and values that a rank holds beside its own while a layer runs. */
double sp_context_bytes(const sp_plan *plan, const sp_block_comm *comm);
void sp_embedding_price(const sp_problem *problem, const sp_plan *plan,
                        const sp_tp_traffic *traffic, sp_layer_cost *cost);
void sp_head_price(const sp_problem *problem, const sp_plan *plan, const sp_tp_traffic *traffic,
                   sp_layer_cost *cost);

/* ---- inputs.c: what memory and time have in common ------------------------------------------- */
/* Everything of a plan below the level of stages. */
typedef struct sp_inputs {
    const sp_problem *problem;
    const sp_plan *plan;
    const sp_schedule_kind *schedule;
    sp_pipeline_shape pipeline;
    sp_redo redo;
    sp_shape shape;
    sp_shards shards;
    uint32_t last_kind; /* of the layers, and of those in modules for further tokens */
    double mtp_layers;
    sp_layer_params params[SP_MODEL_MAX_KINDS];
    sp_layer_params
        tied[SP_MODEL_MAX_KINDS]; /* the part that tied layers share; unset without them  */
    sp_layer_params
        adapters[SP_MODEL_MAX_KINDS]; /* of one layer; unset unless the task trains them  */
    sp_layer_tensors tensors[SP_MODEL_MAX_KINDS]; /* only where sp_plan_reads_tensors */
    double embedding_params, head_params; /* the head's own, final norm included                */
    sp_layer_params mtp_params;           /* of all modules for further tokens, their layers in  */
    sp_layer_bytes bytes[SP_MODEL_MAX_KINDS];
    sp_layer_bytes bytes_kept[SP_MODEL_MAX_KINDS]; /* nothing computed again; unset if unused */
    double embedding_kept, head_kept, head_late, logits; /* late: for the head's weight gradient  */
    double head_working; /* live beside the logits while the head runs backwards */
    /* time only */
    sp_groups groups;
    sp_layer_cost layer[SP_MODEL_MAX_KINDS];
    sp_layer_cost layer_kept[SP_MODEL_MAX_KINDS]; /* layers beyond recompute_layers */
    sp_layer_cost embedding, head, mtp;
} sp_inputs;

/* time false: memory only. */
void sp_inputs_build(const sp_problem *problem, const sp_plan *plan, bool time, sp_inputs *in);

/* ---- stage.c, data_parallel.c, offload.c: one stage ------------------------------------------ */
/* Parameters of a stage on one rank, and the units in which ZeRO-3 gathers them. */
typedef struct sp_stage_params {
    double dense, expert;
    sp_layer_params adapter;
    double n_units, n_layers;
    double dense_matrix, expert_matrix; /* of these in matrices of layers, and what the optimizer */
    sp_moments dense_state, expert_state; /* holds: only where sp_plan_reads_tensors              */
} sp_stage_params;

/* Seconds of one micro-batch, exposed communication included, and what comes once. */
typedef struct sp_stage_cost {
    sp_layer_cost sum;     /* its layers and ends                                               */
    double gpu_s;          /* of a micro-batch on the GPU                                       */
    double host_s;         /* by which launching alone lengthens that, softly                   */
    double back_share;     /* of a micro-batch: its backward passes                              */
    double alone_s;        /* by which one without a pair beside it is longer (ep_overlap)      */
    double dp_each_s;      /* data-parallel traffic exposed with every micro-batch: ZeRO 2 and 3 */
    double offload_each_s; /* transfers to and from the host exposed with every micro-batch     */
    double total_s;        /* of a micro-batch: the sum of the four                             */
    double dp_once_s;      /* exposed once a step                                               */
    double optimizer_s;
    double offload_once_s; /* by which the processors' update is longer than that               */
    double dp_sent_bytes;  /* by one GPU in a step                                              */
    double host_sent_bytes;
} sp_stage_cost;

/* Layers of a kind on a stage, those of prediction modules included. */
double sp_stage_layers_of(const sp_inputs *in, const sp_stage_class *stage, uint32_t kind);
sp_stage_params sp_stage_params_of(const sp_inputs *in, const sp_stage_class *stage);
/* Parameters whose optimizer one rank holds: a shard from ZeRO-1 on. */
typedef struct sp_owned {
    double dense, expert, adapters;
} sp_owned;
sp_owned sp_stage_owned(const sp_inputs *in, const sp_stage_params *params);
void sp_stage_price(const sp_inputs *in, const sp_stage_class *stage, sp_stage_cost *cost);
/* The micro-batch by passes; what it waits beside its kernels in the usual proportion of passes. A
 * pass alone has half of the expert traffic that a pair hides. Where weight gradients are no passes
 * of their own, that proportion will do for all, so that a step never gets shorter when a part gets
 * longer. */
sp_pass_times sp_stage_passes(const sp_inputs *in, const sp_stage_cost *cost);
/* Backward passes as a share of a micro-batch's time: two thirds, three quarters where the forward
 * pass of all layers is computed again. */
double sp_stage_back_share(const sp_inputs *in, const sp_stage_class *stage);
/* Share of a stage's layers that full recomputation computes again. */
double sp_stage_redo_share(const sp_plan *plan, const sp_stage_class *stage);
/* Completes *cost but for total_s and offload; sum, gpu_s and host_s are known. */
void sp_data_parallel_price(const sp_inputs *in, const sp_stage_class *stage,
                            const sp_stage_params *params, sp_stage_cost *cost);
/* Of one stage: bytes per parameter are means over its tensors. */
typedef struct sp_stage_recipes {
    sp_recipe dense, expert, adapter;
} sp_stage_recipes;

/* ---- sync.c: gradients and weights between copies -------------------------------------------- */
/* Gradients and weights of a stage that one set of ranks holds alike: bytes of one reduction and of
 * one gathering, each in so many messages. */
typedef struct sp_synced {
    const sp_copies *copies;
    const sp_group *again; /* gathers weights for the backward pass */
    double grad_bytes, weight_bytes, n_messages;
    double pack_gradients_s, pack_weights_s; /* ZeRO++: packing and unpacking them */
} sp_synced;
#define SP_MAX_SYNCED 4
/* Returns how many there are. */
uint32_t sp_stage_synced(const sp_inputs *in, const sp_stage_params *params,
                         const sp_stage_recipes *recipes, sp_synced *synced);
/* Seconds and bytes of all messages of a stage, once each; of each kind one message alone. */
typedef struct sp_sync {
    double reduce_s, gather_s; /* reduce-scatter (ZeRO-0: all-reduce), all-gather                 */
    double again_s;            /* all-gather for the backward pass                                */
    double reduce_one_s, gather_one_s;
    double reduce_bytes, gather_bytes, again_bytes; /* sent by one GPU */
} sp_sync;
sp_sync sp_sync_stage(const sp_inputs *in, const sp_stage_params *params,
                      const sp_stage_recipes *recipes);
/* What happens with every micro-batch, and not once a step. ZeRO 0 and 1 reduce once, and 1 and 2
 * gather once; 2 reduces with every micro-batch, and gathers so where engines give weights back; 3
 * does both and gathers again for the backward pass, unless weights stay whole over a pipeline. */
typedef struct sp_rounds {
    bool reduces_each, gathers_each, gathers_again;
} sp_rounds;
sp_rounds sp_plan_rounds(const sp_problem *problem, const sp_plan *plan);

/* ---- offload.c ------------------------------------------------------------------------------- */
bool sp_plan_offloads(const sp_plan *plan);
/* Adds what the host makes wait; the rest of *cost but for total_s is known. */
void sp_offload_price(const sp_inputs *in, const sp_stage_class *stage,
                      const sp_stage_params *params, sp_stage_cost *cost);
/* Bytes that the layers of a stage, prediction modules included, keep of one micro-batch. */
double sp_stage_kept_bytes(const sp_inputs *in, const sp_stage_class *stage);
/* The host has room for what its GPUs offload, and its rates are known. */
bool sp_offload_has_room(const sp_problem *problem, const sp_plan *plan);
uint32_t sp_model_last_kind(const sp_model *model);

/* The stages of a plan, priced. */
typedef struct sp_stage_costs {
    const sp_stage_split *split;
    sp_stage_cost class[SP_MAX_STAGE_CLASSES];
    uint32_t slowest, last; /* the class whose micro-batch takes longest; that ends the step */
} sp_stage_costs;
void sp_stages_price(const sp_inputs *in, sp_stage_costs *stages);
/* The activations of one micro-batch between two stages: sent by a rank, and what tensor-parallel
 * ranks put together again behind (0 = nothing). */
typedef struct sp_stage_message {
    double bytes, gathered_bytes;
} sp_stage_message;
sp_stage_message sp_stage_message_of(const sp_inputs *in);
/* Seconds and sent bytes of it; pp > 1. */
double sp_message_s(const sp_inputs *in, double *bytes);
/* ---- training_state.c: what numbers are held in ---------------------------------------------- */
/* Fills optimizer-dependent members of a problem: recipes and copies of weights. */
void sp_recipes_derive(sp_problem *problem);
/* Weights of matrices in layers are held in the format of their products alone. */
bool sp_plan_narrow_weights(const sp_problem *problem, const sp_plan *plan);
/* The kinds of tensors of a layer matter to this plan. */
bool sp_plan_reads_tensors(const sp_problem *problem, const sp_plan *plan);
sp_stage_recipes sp_stage_recipes_of(const sp_inputs *in, const sp_stage_params *params);
/* Adds the embedding, the head and what lies between layers to the tensors of a stage. */
void sp_stage_add_ends(const sp_inputs *in, const sp_stage_class *stage, sp_stage_params *params);
/* Live while a rank updates `updated` parameters; and what counts at all times, since no hole of
 * activations takes it. */
double sp_update_bytes(const sp_inputs *in, const sp_stage_params *params, double updated);
double sp_flat_update_bytes(const sp_inputs *in, const sp_recipe *recipe, double updated);

/* ---- train.c, memory.c: the parts of an estimate --------------------------------------------- */
void sp_memory_price(const sp_inputs *in, sp_memory *memory);
/* memory_state.c. What the stages of a plan have in common. */
typedef struct sp_rank {
    const sp_schedule_kind *schedule;
    double heads; /* micro-batches whose passes through the head wait              */
    sp_pipeline_shape pipeline;
    double pipeline_unit_bytes; /* of a parameter that stays whole between micro-batches         */
    double bucket_bytes;        /* of gradients in flight                                        */
    double outside_bytes;       /* of communicators, from the driver past the allocator          */
    bool offloads;              /* optimizer or weights                                          */
} sp_rank;
sp_rank sp_rank_of(const sp_inputs *in);
/* Weights, gradients and optimizer of a stage; what the host holds of them besides. */
typedef struct sp_stage_state {
    sp_state_bytes device;
    double update_bytes; /* live while the device updates its share */
    double away_bytes;
} sp_stage_state;
sp_stage_state sp_stage_state_of(const sp_inputs *in, const sp_rank *rank,
                                 const sp_stage_class *stage);
/* memory_least.c: no plan with these gpus, tp, cp, pp, ep, etp, micro_batch, accumulation and
 * precision needs less, whatever it computes again, however it deals layers, with zero up to this
 * stage; of schedules 1f1b counts what it holds, others one micro-batch. Nothing leaves the GPU. */
double sp_memory_floor_bytes(const sp_problem *problem, const sp_plan *plan, uint32_t zero);
/* What is trained, in the kindest precision: narrow weights where the engine has such, no twin of
 * the gradients. */
sp_recipe sp_least_recipe(const sp_problem *problem);
/* *whole_flops (may be NULL) receives the FLOPs of a step, recomputation included, over all GPUs.
 */
void sp_train_price(const sp_inputs *in, sp_time *time, sp_network *network, double *whole_flops);

/* ---- objectives.c, value_lists.c, fingerprint.c ---------------------------------------------- */
/* Where an objective of this name stands, or a refusal. */
typedef sp_status (*sp_objective_find)(const char *name, uint32_t *objective, sp_error *err);
/* "a,b,..": each found by `find`, none twice, SP_MAX_OBJECTIVES at most. */
sp_status sp_objective_list_parse(const char *text, sp_objective_find find, uint32_t *list,
                                  uint32_t *n, sp_error *err);
sp_status sp_objectives_parse(const char *text, bool gpus_vary, uint32_t *objectives,
                              uint32_t *n_objectives, sp_error *err);
double sp_objective_value(uint32_t objective, const sp_estimate *estimate, const sp_plan *plan);
/* "64", "8..64", "8,16,48" */
sp_status sp_gpus_parse(sp_arena *arena, const char *text, uint32_t node_gpus,
                        const uint32_t **values, uint32_t *n_values, sp_error *err);
sp_status sp_set_parse(sp_arena *arena, const char *text, sp_set *set, sp_error *err);
sp_status sp_problem_fingerprint_build(sp_problem *problem, sp_error *err);
sp_status sp_splits_build(sp_problem *problem, sp_error *err);
