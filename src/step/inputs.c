/* SPDX-License-Identifier: Apache-2.0 */
/* What memory and time of a plan have in common: each layer kind is expanded once, then asked for
 * its parameters, its bytes and, where wanted, its seconds; likewise the two ends of the model. */
#include "step/step.h"

#include <assert.h>

sp_redo sp_plan_redo(const sp_plan *plan)
{
    static const uint32_t modules[SP_N_RECOMPUTE] = {
        [SP_RECOMPUTE_SELECTIVE] = SP_MODULE_CORE,
        [SP_RECOMPUTE_LAYERNORM] = SP_MODULE_NORM,
        [SP_RECOMPUTE_ACT] = SP_MODULE_ACTIVATION,
        [SP_RECOMPUTE_LAYERNORM_ACT] = SP_MODULE_NORM | SP_MODULE_ACTIVATION,
        [SP_RECOMPUTE_MLA_UP] = SP_MODULE_MLA_UP,
        [SP_RECOMPUTE_MLA_UP_MLP] = SP_MODULE_MLA_UP | SP_MODULE_FFN,
        [SP_RECOMPUTE_MLP] = SP_MODULE_FFN,
        [SP_RECOMPUTE_OPS] = SP_MODULE_STREAMS,
    };
    assert(plan->recompute < SP_N_RECOMPUTE);
    return (sp_redo){.full = plan->recompute == SP_RECOMPUTE_FULL,
                     .modules = modules[plan->recompute]};
}

uint32_t sp_model_last_kind(const sp_model *model)
{
    return model->runs[model->n_runs - 1].kind;
}

/* Inputs of norms behind the embedding, inputs and outputs of projections outside layers. */
static double outer_kept(const sp_model *model, double rows)
{
    double bytes = model->outer_norms > 1 ? (model->outer_norms - 1.0) * 2.0 * model->hidden : 0.0;
    for (uint32_t i = 0; i < model->n_projections; i++) {
        const sp_projection *p = &model->projections[i];
        bytes += 2.0 * p->blocks * ((double)p->in + p->out);
    }
    return bytes * rows;
}

/* What the loss of one head takes at its height. */
static double loss_bytes(const sp_problem *problem, uint32_t tp, double tokens)
{
    const sp_engine_profile *profile = problem->profile;
    const double columns = (double)problem->model->vocab / tp;
    if (problem->question.kernels == SP_KERNELS_FUSED) {
        return sp_mem_chunked_loss(tokens, columns, problem->model->hidden, problem->has_adapters);
    }
    if (problem->question.kernels == SP_KERNELS_LOSS) {
        return sp_mem_logits(tokens, columns, SP_FUSED_LOGIT_BYTES);
    }
    return sp_mem_logits(tokens, columns, tp > 1 ? profile->logit_bytes_tp : profile->logit_bytes);
}

static void read_ends(const sp_problem *problem, const sp_plan *plan, sp_inputs *in)
{
    const sp_model *model = problem->model;
    const sp_sharding sharding = sp_plan_sharding(plan, false);
    const double tokens = in->shape.tokens, whole = tokens / (sharding.sp ? sharding.tp : 1);
    /* A tied head shares the table of a one-stage pipeline; across stages both ends hold a copy. */
    const bool one_table = model->tied_embeddings && plan->pp == 1;
    in->embedding_params = sp_graph_embedding_params(model, &sharding);
    in->head_params = sp_graph_head_params(model, &sharding) -
                      (one_table ? (double)model->vocab * model->hidden / sharding.tp : 0.0);
    /* Token ids and positions, 8 bytes each a token, and the dropout mask. */
    in->embedding_kept =
        16.0 * tokens + (model->dropout ? model->hidden * whole : 0.0) + outer_kept(model, whole);
    /* Inputs of the final norm and, for the gradient of its weights, of the head; each module for a
     * further token has its own. */
    const double norm = model->outer_norms > 0 ? 2.0 : 0.0,
                 head = problem->has_adapters ? 0.0 : 2.0;
    in->head_kept = (1.0 + model->mtp_layers) * (norm + head) * model->hidden * whole;
    in->logits = (1.0 + model->mtp_layers) * loss_bytes(problem, sharding.tp, tokens);
    /* The input of the head and the 2-byte gradient of its logits. */
    in->head_late = (1.0 + model->mtp_layers) * 2.0 *
                    (model->hidden * whole + (double)model->vocab / sharding.tp * tokens);
    /* The gradient of the head's input, and under sequence parallelism that input gathered. */
    in->head_working = (sharding.sp ? 4.0 : 2.0) * model->hidden * tokens;
    in->mtp_params = (sp_layer_params){0};
    if (model->mtp_layers > 0) {
        const bool moe = model->kinds[sp_model_last_kind(model)].ffn.n_experts > 0;
        const sp_sharding last = sp_plan_sharding(plan, moe);
        in->mtp_params = sp_graph_mtp_params(model, &last);
    }
}

/* A pair of matrices of lora_rank columns and rows beside every product. */
static sp_layer_params adapter_params(const sp_problem *problem, const sp_layer_work *work)
{
    sp_layer_params sum = {0};
    for (uint32_t i = 0; i < work->n_ops; i++) {
        const sp_op *op = &work->ops[i];
        const double pair = op->count * problem->question.lora_rank * (op->k + op->n);
        sum.dense += op->class == SP_OP_GEMM ? pair : 0.0;
        sum.expert += op->class == SP_OP_GROUPED ? pair : 0.0;
    }
    return sum;
}

static sp_keeping keeping_of(const sp_problem *problem, const sp_plan *plan)
{
    const sp_engine_profile *profile = problem->profile;
    const bool fused = problem->question.kernels == SP_KERNELS_FUSED;
    return (sp_keeping){
        .product_bytes = sp_dtype_bytes(sp_precision_dtype((sp_precision)plan->precision)),
        .dropped_ratio = profile->ops_dropped_ratio,
        .norm_extra_bytes = fused ? 0.0 : profile->norm_extra_bytes,
        .gate_extra_bytes = fused ? 0.0 : profile->gate_extra_bytes,
        .in_place = fused,
        .adapter_columns = problem->has_adapters ? problem->question.lora_rank : 0.0,
        .unpacks = problem->question.task == SP_TASK_QLORA};
}

/* Whole matrices of a layer, as if tp were 1. `work` is free to be written over. */
static void read_newton(const sp_problem *problem, const sp_plan *plan, const sp_layer_kind *kind,
                        sp_layer_work *work, const sp_inputs *in, sp_layer_tensors *tensors)
{
    sp_sharding whole = sp_plan_sharding(plan, kind->ffn.n_experts > 0);
    whole.tp = whole.etp = 1;
    sp_graph_layer(problem->model, kind, &in->shape, &whole, problem->rates.flash, work);
    sp_optimizer_newton(problem->optimizer, &problem->rates.gemm[SP_PRECISION_BF16], work, tensors);
}

/* Layers computed again, and under recompute_layers those that are not. */
static void price_layer(const sp_problem *problem, const sp_plan *plan,
                        const sp_tp_traffic *traffic, const sp_layer_work *work, uint32_t kind,
                        sp_inputs *in)
{
    const sp_redo kept = {0};
    const double excess = in->shape.expert_excess;
    sp_layer_price(problem, plan, &in->redo, &in->groups, traffic, work, excess, &in->layer[kind]);
    if (plan->recompute_layers == 0) return;
    sp_layer_price(problem, plan, &kept, &in->groups, traffic, work, excess, &in->layer_kept[kind]);
}

static void read_layers(const sp_problem *problem, const sp_plan *plan, bool time,
                        const sp_tp_traffic *traffic, sp_inputs *in)
{
    const sp_model *model = problem->model;
    const bool late = in->schedule->holds_late;
    const bool tensors = sp_plan_reads_tensors(problem, plan);
    const bool whole = plan->recompute_layers > 0 || (late && plan->recompute != SP_RECOMPUTE_NONE);
    const sp_keeping all = keeping_of(problem, plan);
    sp_keeping redone = all;
    redone.modules = in->redo.modules;
    redone.full = in->redo.full;
    const bool with_ops = time || tensors || problem->has_adapters || sp_keeping_asks_ops(&redone);
    sp_layer_work work;
    for (uint32_t k = 0; k < model->n_kinds; k++) {
        const sp_layer_kind *kind = &model->kinds[k];
        const sp_sharding sharding = sp_plan_sharding(plan, kind->ffn.n_experts > 0);
        in->shape.expert_excess = sp_plan_expert_excess(problem, plan, &kind->ffn);
        (with_ops ? sp_graph_layer : sp_graph_kept)(model, kind, &in->shape, &sharding,
                                                    problem->rates.flash, &work);
        in->params[k] = work.params;
        if (problem->has_tied_layers) {
            in->tied[k] = sp_graph_tied_params(model, kind, &sharding);
        }
        if (problem->has_adapters) in->adapters[k] = adapter_params(problem, &work);
        if (tensors) {
            in->tensors[k] = sp_optimizer_layer(problem->optimizer, &work);
        }
        in->bytes[k] = sp_mem_layer(&work, &redone);
        if (plan->cp > 1) {
            in->bytes[k].working += sp_context_bytes(plan, &work.attention);
        }
        if (whole) in->bytes_kept[k] = sp_mem_layer(&work, &all);
        if (time) price_layer(problem, plan, traffic, &work, k, in);
        if (tensors && problem->optimizer->newton_schulz_steps > 0.0) {
            read_newton(problem, plan, kind, &work, in, &in->tensors[k]);
        }
    }
}

void sp_inputs_build(const sp_problem *problem, const sp_plan *plan, bool time, sp_inputs *in)
{
    sp_tp_traffic traffic = {0};
    in->problem = problem;
    in->plan = plan;
    in->schedule = sp_schedule_describe((sp_schedule)plan->schedule);
    in->pipeline = sp_plan_pipeline(plan);
    in->redo = sp_plan_redo(plan);
    in->shape = sp_plan_shape(problem, plan);
    in->shards = sp_plan_shards(problem, plan);
    in->last_kind = sp_model_last_kind(problem->model);
    in->mtp_layers = problem->model->mtp_layers;
    if (time) {
        const bool hpz = (problem->question.zeropp & SP_ZEROPP_HPZ) != 0;
        sp_groups_build(&problem->fabric, plan, problem->has_experts, hpz, &in->groups);
        traffic = sp_tp_traffic_build(problem, plan, &in->groups.tp);
        sp_embedding_price(problem, plan, &traffic, &in->embedding);
        sp_head_price(problem, plan, &traffic, &in->head);
        if (problem->model->mtp_layers > 0) {
            sp_mtp_price(problem, plan, &in->mtp);
        }
    }
    read_layers(problem, plan, time, &traffic, in);
    read_ends(problem, plan, in);
}
