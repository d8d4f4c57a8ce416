/* SPDX-License-Identifier: Apache-2.0 */
/* One pipeline stage for one micro-batch: the sum of its layers and ends, what launching them
 * takes, then data-parallel traffic and transfers to the host. */
#include "step/step.h"

static void add_scaled(sp_layer_cost *sum, const sp_layer_cost *c, double n)
{
    sum->forward_s += n * c->forward_s;
    sum->backward_s += n * c->backward_s;
    sum->recompute_s += n * c->recompute_s;
    sum->ep_alone_s += n * c->ep_alone_s;
    sum->weight_grad_s += n * c->weight_grad_s;
    sum->tp_forward_s += n * c->tp_forward_s;
    sum->tp_backward_s += n * c->tp_backward_s;
    sum->cp_forward_s += n * c->cp_forward_s;
    sum->cp_backward_s += n * c->cp_backward_s;
    sum->ep_forward_s += n * c->ep_forward_s;
    sum->ep_backward_s += n * c->ep_backward_s;
    sum->ep_traffic_s += n * c->ep_traffic_s;
    sum->tp_sent_bytes += n * c->tp_sent_bytes;
    sum->cp_sent_bytes += n * c->cp_sent_bytes;
    sum->ep_sent_bytes += n * c->ep_sent_bytes;
    sum->recompute_flops += n * c->recompute_flops;
}

static double all_s(const sp_layer_cost *c)
{
    return c->forward_s + c->tp_forward_s + c->cp_forward_s + c->ep_forward_s + c->backward_s +
           c->recompute_s + c->tp_backward_s + c->cp_backward_s + c->ep_backward_s;
}

double sp_stage_redo_share(const sp_plan *plan, const sp_stage_class *stage)
{
    if (plan->recompute_layers == 0) {
        return 1.0;
    }
    uint32_t n_layers = 0;
    for (uint32_t k = 0; k < SP_MODEL_MAX_KINDS; k++) {
        n_layers += stage->layers[k];
    }
    return plan->recompute_layers < n_layers ? (double)plan->recompute_layers / n_layers : 1.0;
}

/* Forward passes in a micro-batch beyond the first. */
static double passes_again(const sp_inputs *in, const sp_stage_class *stage)
{
    return in->redo.full ? sp_stage_redo_share(in->plan, stage) : 0.0;
}

double sp_stage_back_share(const sp_inputs *in, const sp_stage_class *stage)
{
    const double again = passes_again(in, stage);
    return (2.0 + again) / (3.0 + again);
}

/* Those of routing, and of every expert that the rank holds: products and casts. */
static double expert_kernels(const sp_inputs *in, double n_experts)
{
    const sp_engine_profile *profile = in->problem->profile;
    const uint32_t precision = in->plan->precision;
    const bool scaled = precision == SP_PRECISION_MXFP8 || precision == SP_PRECISION_NVFP4;
    const double each = profile->expert_kernels + (scaled ? profile->scaled_expert_kernels : 0.0);
    const double held = n_experts / in->plan->ep;
    return profile->expert_layer_kernels + each * (held < 1.0 ? 1.0 : held);
}

/* Kernels of one layer, forward and backward. */
static double layer_kernels(const sp_inputs *in, uint32_t kind)
{
    const sp_engine_profile *profile = in->problem->profile;
    const double n_experts = in->problem->model->kinds[kind].ffn.n_experts;
    return profile->layer_kernels + (in->plan->tp > 1 ? profile->layer_kernels_tp : 0.0) +
           (n_experts > 0.0 ? expert_kernels(in, n_experts) : 0.0);
}

double sp_stage_layers_of(const sp_inputs *in, const sp_stage_class *stage, uint32_t kind)
{
    const bool predicts = stage->head && kind == in->last_kind;
    return stage->layers[kind] + (predicts ? in->mtp_layers : 0.0);
}

/* Kernels of all layers of a stage. Forward work done again launches its kernels again: a third of
 * a forward and backward pass. */
static double stage_kernels(const sp_inputs *in, const sp_stage_class *stage)
{
    double kernels = 0.0;
    for (uint32_t k = 0; k < in->problem->model->n_kinds; k++) {
        kernels += sp_stage_layers_of(in, stage, k) * layer_kernels(in, k);
    }
    return kernels * (3.0 + passes_again(in, stage)) / 3.0;
}

/* Takes `spared` parameters off, with their share of what goes by parameter. */
static void spare(double spared, double *params, double *matrix, sp_moments *state)
{
    if (spared <= 0.0) return;
    const double left = (*params - spared) / *params;
    *params -= spared;
    *matrix *= left;
    state->bytes *= left;
    state->whole_bytes *= left;
    state->newton_s *= left;
}

/* Tied layers of a stage hold what they share once. */
static void spare_tied(const sp_inputs *in, const sp_stage_class *stage, sp_stage_params *params)
{
    double n_layers[SP_MODEL_MAX_KINDS];
    for (uint32_t k = 0; k < SP_MODEL_MAX_KINDS; k++) {
        n_layers[k] = stage->layers[k];
    }
    const sp_layer_params spared = sp_graph_spared_params(in->problem->model, in->tied, n_layers);
    spare(spared.dense, &params->dense, &params->dense_matrix, &params->dense_state);
    spare(spared.expert, &params->expert, &params->expert_matrix, &params->expert_state);
}

static void add_tensors(const sp_layer_tensors *layer, double n, sp_stage_params *params)
{
    params->dense_matrix += n * layer->dense_matrix;
    params->expert_matrix += n * layer->expert_matrix;
    sp_moments_add(&params->dense_state, &layer->dense, n);
    sp_moments_add(&params->expert_state, &layer->expert, n);
}

static sp_layer_params adapters_of(const sp_inputs *in, const sp_stage_class *stage)
{
    sp_layer_params sum = {0};
    for (uint32_t k = 0; k < in->problem->model->n_kinds; k++) {
        const double n = sp_stage_layers_of(in, stage, k);
        sum.dense += n * in->adapters[k].dense;
        sum.expert += n * in->adapters[k].expert;
    }
    return sum;
}

sp_stage_params sp_stage_params_of(const sp_inputs *in, const sp_stage_class *stage)
{
    const bool tensors = sp_plan_reads_tensors(in->problem, in->plan);
    sp_stage_params params = {0};
    for (uint32_t k = 0; k < in->problem->model->n_kinds; k++) {
        params.dense += stage->layers[k] * in->params[k].dense;
        params.expert += stage->layers[k] * in->params[k].expert;
        params.n_layers += sp_stage_layers_of(in, stage, k);
        if (tensors) add_tensors(&in->tensors[k], sp_stage_layers_of(in, stage, k), &params);
    }
    if (in->problem->has_adapters) {
        params.adapter = adapters_of(in, stage);
    }
    if (in->problem->has_tied_layers) {
        spare_tied(in, stage, &params);
    }
    if (tensors) sp_stage_add_ends(in, stage, &params);
    params.dense += stage->embedding ? in->embedding_params : 0.0;
    if (stage->head) {
        params.dense += in->head_params + in->mtp_params.dense;
        params.expert += in->mtp_params.expert;
    }
    params.n_units = params.n_layers + stage->embedding + stage->head;
    return params;
}

static void add_layers(const sp_inputs *in, uint32_t kind, double n, double share,
                       sp_stage_cost *out)
{
    add_scaled(&out->sum, &in->layer[kind], n * share);
    if (share < 1.0) {
        add_scaled(&out->sum, &in->layer_kept[kind], n * (1.0 - share));
    }
}

/* Each module for one more token ahead is a layer like the last one, its projection and the head.
 */
static void add_mtp(const sp_inputs *in, double share, sp_stage_cost *out)
{
    const double n = in->problem->model->mtp_layers;
    if (n <= 0.0) {
        return;
    }
    add_layers(in, sp_model_last_kind(in->problem->model), n, share, out);
    add_scaled(&out->sum, &in->mtp, n);
    add_scaled(&out->sum, &in->head, n);
}

/* By how much a micro-batch without a pair is longer: it shows its expert traffic, beside which the
 * host may be the slower still. */
static double alone_s(const sp_inputs *in, const sp_stage_cost *cost, double launch_s)
{
    if (!in->pipeline.pairs) {
        return 0.0;
    }
    const double shown_s = cost->sum.ep_alone_s;
    return sp_roof_either_s(cost->gpu_s + shown_s, launch_s) - cost->gpu_s - cost->host_s;
}

sp_pass_times sp_stage_passes(const sp_inputs *in, const sp_stage_cost *cost)
{
    const sp_layer_cost *c = &cost->sum;
    const double back = cost->back_share, alone = 0.5 * cost->alone_s;
    if (!in->schedule->holds_late) {
        const double backward_s = back * cost->total_s;
        return (sp_pass_times){.forward_s = cost->total_s - backward_s + alone,
                               .input_grad_s = backward_s + alone,
                               .hidden_s = cost->alone_s};
    }
    const double wait_s = cost->total_s - cost->gpu_s;
    const double forward_s =
        c->forward_s + c->tp_forward_s + c->cp_forward_s + c->ep_forward_s + (1.0 - back) * wait_s;
    const double weight_grad_s = c->weight_grad_s + 0.5 * back * wait_s;
    return (sp_pass_times){.forward_s = forward_s + alone,
                           .input_grad_s = cost->total_s - forward_s - weight_grad_s + alone,
                           .weight_grad_s = weight_grad_s,
                           .hidden_s = cost->alone_s};
}

void sp_stage_price(const sp_inputs *in, const sp_stage_class *stage, sp_stage_cost *out)
{
    const sp_problem *problem = in->problem;
    const double share = sp_stage_redo_share(in->plan, stage);
    const sp_stage_params params = sp_stage_params_of(in, stage);
    *out = (sp_stage_cost){0};
    for (uint32_t k = 0; k < problem->model->n_kinds; k++) {
        if (stage->layers[k] > 0) {
            add_layers(in, k, stage->layers[k], share, out);
        }
    }
    if (stage->embedding) {
        add_scaled(&out->sum, &in->embedding, 1.0);
    }
    if (stage->head) {
        add_scaled(&out->sum, &in->head, 1.0);
        add_mtp(in, share, out);
    }
    const double launch_s = stage_kernels(in, stage) * problem->profile->kernel_host_s;
    out->gpu_s = all_s(&out->sum);
    out->host_s = sp_roof_either_s(out->gpu_s, launch_s) - out->gpu_s;
    out->back_share = sp_stage_back_share(in, stage);
    out->alone_s = alone_s(in, out, launch_s);
    sp_data_parallel_price(in, stage, &params, out);
    if (sp_plan_offloads(in->plan)) {
        sp_offload_price(in, stage, &params, out);
    }
    out->total_s = out->gpu_s + out->host_s + out->dp_each_s + out->offload_each_s;
}
