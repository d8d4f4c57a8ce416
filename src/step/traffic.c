/* SPDX-License-Identifier: Apache-2.0 */
/* The collectives of a step, one row each: the same groups, sizes and counts by which the step is
 * priced (layer_time.c, context.c, train.c, data_parallel.c), told apart instead of summed up.
 * tests/step/test_traffic.c holds the two against each other. */
#include "shardplan/traffic.h"
#include "step/step.h"

#include <assert.h>
#include <string.h>

const char *sp_dimension_name(sp_dimension dimension)
{
    static const char *const names[SP_N_DIMENSIONS] = {"tp", "cp", "ep", "pp", "dp"};
    assert(dimension < SP_N_DIMENSIONS);
    return names[dimension];
}

const char *sp_collective_name(sp_collective collective)
{
    static const char *const names[SP_N_COLLECTIVES] = {"all-reduce", "reduce-scatter",
                                                        "all-gather", "all-to-all", "send"};
    assert(collective < SP_N_COLLECTIVES);
    return names[collective];
}

/* ---- rows ---- */

/* What a row is about; `group` says who takes part. */
typedef struct sp_row_kind {
    sp_dimension dimension;
    sp_collective collective;
    const char *what;
    const sp_group *group;
} sp_row_kind;

static sp_exchange *row_of(sp_traffic *out, const sp_row_kind *kind)
{
    const sp_group *group = kind->group;
    for (uint32_t i = 0; i < out->n_rows; i++) {
        sp_exchange *row = &out->rows[i];
        if (row->dimension == kind->dimension && row->collective == kind->collective &&
            strcmp(row->what, kind->what) == 0 && row->ranks == group->n) {
            return row;
        }
    }
    assert(out->n_rows < SP_MAX_EXCHANGES);
    sp_exchange *row = &out->rows[out->n_rows++];
    *row = (sp_exchange){.dimension = kind->dimension,
                         .collective = kind->collective,
                         .what = kind->what,
                         .ranks = group->n,
                         .leaves_domain = group->n_levels > 1,
                         .link_bytes_per_s =
                             1.0 / group->fabric->level[group->n_levels - 1].s_per_byte};
    return row;
}

static double seconds_of(sp_collective collective, const sp_group *group, double bytes)
{
    switch (collective) {
    case SP_ALL_REDUCE:
        return sp_coll_allreduce_s(group, bytes);
    case SP_REDUCE_SCATTER:
    case SP_ALL_GATHER:
        return sp_coll_allgather_s(group, bytes);
    case SP_ALL_TO_ALL:
        return sp_coll_alltoall_s(group, bytes);
    case SP_SEND:
    case SP_N_COLLECTIVES:
        break;
    }
    return sp_coll_p2p_s(group, bytes);
}

/* Sent by one rank of one call: 2 (n-1)/n, (n-1)/n or all of it. */
static double share_sent(sp_collective collective, double n)
{
    if (collective == SP_SEND) return 1.0;
    return (collective == SP_ALL_REDUCE ? 2.0 : 1.0) * (n - 1.0) / n;
}

static void add_timed(sp_traffic *out, const sp_row_kind *kind, double times, double bytes,
                      double seconds)
{
    if (kind->group->n == 1 || times <= 0.0 || bytes <= 0.0) return;
    sp_exchange *row = row_of(out, kind);
    row->bytes = (row->bytes * row->times + bytes * times) / (row->times + times);
    row->times += times;
    row->sent_bytes += times * share_sent(kind->collective, kind->group->n) * bytes;
    row->busy_s += times * seconds;
}

static void add(sp_traffic *out, const sp_row_kind *kind, double times, double bytes)
{
    if (kind->group->n == 1 || times <= 0.0 || bytes <= 0.0) return;
    add_timed(out, kind, times, bytes, seconds_of(kind->collective, kind->group, bytes));
}

/* ---- layers ---- */

/* Calls of a layer, forward, backward and again, over all micro-batches. */
typedef struct sp_layer_calls {
    const sp_inputs *in;
    double times; /* layers of the kind x micro-batches                        */
    double again; /* share of them whose forward pass is computed again        */
    const sp_layer_work *work;
} sp_layer_calls;

/* `gathers` all-gathers and `scatters` reduce-scatters under sequence parallelism, otherwise
 * `reduces` all-reduces, of all tokens' hidden activations. */
static void add_tp(const sp_inputs *in, double times, double gathers, double scatters,
                   double reduces, sp_traffic *out)
{
    static const char what[] = "activations";
    const sp_group *tp = &in->groups.tp;
    const double bytes = 2.0 * in->problem->model->hidden * in->shape.tokens;
    const bool sp = in->plan->sp == SP_ON;
    add(out, &(sp_row_kind){SP_BY_TP, SP_ALL_GATHER, what, tp}, sp ? times * gathers : 0.0, bytes);
    add(out, &(sp_row_kind){SP_BY_TP, SP_REDUCE_SCATTER, what, tp}, sp ? times * scatters : 0.0,
        bytes);
    add(out, &(sp_row_kind){SP_BY_TP, SP_ALL_REDUCE, what, tp}, sp ? 0.0 : times * reduces, bytes);
}

static void add_layer_tp(const sp_layer_calls *calls, sp_traffic *out)
{
    const sp_inputs *in = calls->in;
    const sp_layer_work *work = calls->work;
    const double blocks = (double)work->attention.tp_exchange + work->ffn.tp_exchange;
    const bool ffn_again = !in->redo.full && (in->redo.modules & SP_MODULE_FFN) != 0 &&
                           work->ffn.ep_bytes <= 0.0 && work->ffn.tp_exchange;
    const double redone = calls->again * (in->redo.full ? blocks : ffn_again ? 1.0 : 0.0);
    add_tp(in, calls->times, 3.0 * blocks, 2.0 * blocks, 2.0 * blocks, out);
    add_tp(in, calls->times, redone, redone, redone, out);
}

static bool core_is_redone(const sp_layer_calls *calls)
{
    const sp_redo *redo = &calls->in->redo;
    for (uint32_t i = 0; i < calls->work->n_attention_ops; i++) {
        const sp_op *op = &calls->work->ops[i];
        if (op->class == SP_OP_ATTENTION && (op->modules & redo->modules) != 0) return true;
    }
    return redo->full;
}

static void add_layer_cp(const sp_layer_calls *calls, sp_traffic *out)
{
    const sp_group *heads = &calls->in->groups.cp_heads, *ring = &calls->in->groups.cp_ring;
    const sp_block_comm *comm = &calls->work->attention;
    const double forward = calls->times * (1.0 + (core_is_redone(calls) ? calls->again : 0.0));
    const double turns = ring->n - 1.0, n = ring->n, kv = comm->kv_bytes;
    const sp_row_kind swap = {SP_BY_CP, SP_ALL_TO_ALL, "heads", heads};
    add(out, &swap, forward + calls->times, comm->q_bytes + kv);
    add(out, &swap, forward + calls->times, comm->o_bytes);
    if (calls->in->plan->cp_kind == SP_CP_ALLGATHER) {
        add(out, &(sp_row_kind){SP_BY_CP, SP_ALL_GATHER, "keys, values", ring},
            forward + calls->times, kv * n);
        add(out, &(sp_row_kind){SP_BY_CP, SP_REDUCE_SCATTER, "their gradients", ring}, calls->times,
            kv * n);
        return;
    }
    add(out, &(sp_row_kind){SP_BY_CP, SP_SEND, "keys, values", ring}, forward * turns, kv);
    add(out, &(sp_row_kind){SP_BY_CP, SP_SEND, "and gradients", ring}, calls->times * turns,
        2.0 * kv);
}

/* One way of tokens between ranks, `times` times. */
static void add_way(const sp_inputs *in, const sp_block_comm *comm, sp_collective pieces,
                    double element_bytes, double times, sp_traffic *out)
{
    const sp_group *ep = &in->groups.ep, *etp = &in->groups.etp;
    const double scale = element_bytes / 2.0, bytes = scale * comm->ep_bytes;
    const double way_s = in->problem->profile->merges_expert_copies
                             ? sp_coll_dispatch_s(ep, bytes, comm->ep_copies, comm->ep_reach)
                             : sp_coll_alltoall_s(ep, bytes);
    add_timed(out, &(sp_row_kind){SP_BY_EP, SP_ALL_TO_ALL, "tokens", ep}, times, bytes, way_s);
    add(out, &(sp_row_kind){SP_BY_EP, pieces, "tokens", etp}, times, scale * comm->etp_bytes);
}

/* Dispatch and combine, forward and backward. */
static void add_layer_ep(const sp_layer_calls *calls, sp_traffic *out)
{
    const sp_inputs *in = calls->in;
    const sp_block_comm *comm = &calls->work->ffn;
    const double passes = calls->times * (2.0 + (in->redo.full ? calls->again : 0.0));
    if (comm->ep_bytes <= 0.0) return;
    add_way(in, comm, SP_ALL_GATHER, sp_dispatch_bytes(in->problem), passes, out);
    add_way(in, comm, SP_REDUCE_SCATTER, 2.0, passes, out);
}

static void add_layers(const sp_inputs *in, const sp_stage_class *stage, sp_traffic *out)
{
    const sp_problem *problem = in->problem;
    sp_layer_work work;
    for (uint32_t k = 0; k < problem->model->n_kinds; k++) {
        const sp_layer_kind *kind = &problem->model->kinds[k];
        const sp_sharding sharding = sp_plan_sharding(in->plan, kind->ffn.n_experts > 0);
        const double n = sp_stage_layers_of(in, stage, k);
        if (n <= 0.0) continue;
        sp_shape shape = in->shape;
        shape.expert_excess = sp_plan_expert_excess(problem, in->plan, &kind->ffn);
        sp_graph_layer(problem->model, kind, &shape, &sharding, problem->rates.flash, &work);
        const sp_layer_calls calls = {in, n * in->pipeline.m, sp_stage_redo_share(in->plan, stage),
                                      &work};
        add_layer_tp(&calls, out);
        if (in->plan->cp > 1) add_layer_cp(&calls, out);
        if (problem->has_experts) add_layer_ep(&calls, out);
    }
}

static void add_ends(const sp_inputs *in, const sp_stage_class *stage, sp_traffic *out)
{
    const double m = in->pipeline.m;
    const double heads = stage->head ? 1.0 + in->problem->model->mtp_layers : 0.0;
    add_tp(in, stage->embedding ? m : 0.0, 1.0, 1.0, 1.0, out);
    add_tp(in, m * heads, 2.0, 1.0, 1.0, out);
}

static void add_pipeline(const sp_inputs *in, sp_traffic *out)
{
    const sp_plan *plan = in->plan;
    const double times = plan->pp > 1 ? 2.0 * plan->accumulation * plan->vpp : 0.0;
    const sp_stage_message message = sp_stage_message_of(in);
    add(out, &(sp_row_kind){SP_BY_PP, SP_SEND, "activations", &in->groups.pp}, times,
        message.bytes);
    add(out, &(sp_row_kind){SP_BY_PP, SP_ALL_GATHER, "activations", &in->groups.tp}, times,
        message.gathered_bytes);
}

/* ---- gradients and sharded weights ---- */

static void add_synced(const sp_inputs *in, const sp_synced *synced, sp_traffic *out)
{
    static const char gradients[] = "gradients", weights[] = "weights";
    const sp_rounds rounds = sp_plan_rounds(in->problem, in->plan);
    const double m = in->pipeline.m, n = synced->n_messages;
    const double reductions = n * (rounds.reduces_each ? m : 1.0), grads = synced->grad_bytes / n;
    const double gatherings = n * (rounds.gathers_each ? m : 1.0);
    const double again = rounds.gathers_again ? n * m : 0.0;
    const sp_group *shard = &synced->copies->shard, *replica = &synced->copies->replica;
    if (in->plan->zero == 0) {
        add(out, &(sp_row_kind){SP_BY_DP, SP_ALL_REDUCE, gradients, shard}, reductions, grads);
        return;
    }
    add(out, &(sp_row_kind){SP_BY_DP, SP_REDUCE_SCATTER, gradients, shard}, reductions, grads);
    add(out, &(sp_row_kind){SP_BY_DP, SP_ALL_REDUCE, "their shards", replica}, reductions,
        grads / shard->n);
    add(out, &(sp_row_kind){SP_BY_DP, SP_ALL_GATHER, weights, shard}, gatherings,
        synced->weight_bytes / n);
    add(out, &(sp_row_kind){SP_BY_DP, SP_ALL_GATHER, weights, synced->again}, again,
        synced->weight_bytes / n);
}

static void add_state(const sp_inputs *in, const sp_stage_class *stage, sp_traffic *out)
{
    const sp_stage_params params = sp_stage_params_of(in, stage);
    const sp_stage_recipes recipes = sp_stage_recipes_of(in, &params);
    sp_synced synced[SP_MAX_SYNCED];
    const uint32_t n = sp_stage_synced(in, &params, &recipes, synced);
    for (uint32_t i = 0; i < n; i++) {
        add_synced(in, &synced[i], out);
    }
}

/* ---- all of it ---- */

static const sp_stage_class *slowest_stage(const sp_inputs *in)
{
    const sp_stage_split *split = sp_plan_split(in->problem, in->plan);
    sp_stage_cost slowest = {0};
    uint32_t at = 0;
    for (uint32_t i = 0; i < split->n_classes; i++) {
        sp_stage_cost cost;
        sp_stage_price(in, &split->classes[i], &cost);
        if (cost.total_s > slowest.total_s) {
            slowest = cost;
            at = i;
        }
    }
    return &split->classes[at];
}

void sp_traffic_build(const sp_problem *problem, const sp_plan *plan, sp_traffic *out)
{
    sp_inputs in;
    *out = (sp_traffic){0};
    sp_inputs_build(problem, plan, true, &in);
    const sp_stage_class *stage = slowest_stage(&in);
    add_layers(&in, stage, out);
    add_ends(&in, stage, out);
    add_pipeline(&in, out);
    add_state(&in, stage, out);
}

double sp_traffic_sent_bytes(const sp_traffic *traffic, sp_dimension dimension)
{
    double sum = 0.0;
    for (uint32_t i = 0; i < traffic->n_rows; i++) {
        sum += traffic->rows[i].dimension == dimension ? traffic->rows[i].sent_bytes : 0.0;
    }
    return sum;
}

double sp_traffic_busy_s(const sp_traffic *traffic, sp_dimension dimension)
{
    double sum = 0.0;
    for (uint32_t i = 0; i < traffic->n_rows; i++) {
        sum += traffic->rows[i].dimension == dimension ? traffic->rows[i].busy_s : 0.0;
    }
    return sum;
}

double sp_traffic_waits_s(const sp_time *time, sp_dimension dimension)
{
    const double waits_s[SP_N_DIMENSIONS] = {time->tp_comm_s, time->cp_comm_s, time->ep_comm_s,
                                             time->pp_comm_s, time->dp_comm_s};
    assert(dimension < SP_N_DIMENSIONS);
    return waits_s[dimension];
}
