/* SPDX-License-Identifier: Apache-2.0 */
/* What memory and time of a plan have in common: each layer kind is expanded once, then asked for
 * its parameters, its bytes and, where wanted, its seconds; likewise the two ends of the model. */
#include "step/step.h"

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
    in->embedding_kept = 16.0 * tokens + (model->dropout ? model->hidden * whole : 0.0);
    /* Inputs of the final norm and of the head. */
    in->head_kept = 4.0 * model->hidden * whole;
    in->logits = sp_mem_logits(tokens, (double)model->vocab / sharding.tp);
}

static void read_layers(const sp_problem *problem, const sp_plan *plan, bool time,
                        const sp_tp_traffic *traffic, sp_inputs *in)
{
    const sp_model *model = problem->model;
    const uint32_t modules = sp_plan_modules(plan);
    const bool full = plan->recompute == SP_RECOMPUTE_FULL;
    sp_layer_work work;
    for (uint32_t k = 0; k < model->n_kinds; k++) {
        const sp_layer_kind *kind = &model->kinds[k];
        const sp_sharding sharding = sp_plan_sharding(plan, kind->ffn.n_experts > 0);
        sp_graph_layer(model, kind, &in->shape, &sharding, problem->rates.flash, &work);
        in->params[k] = sp_graph_layer_params(model, kind, &sharding);
        in->bytes[k] = sp_mem_layer(&work, modules, full, 2.0); /* 16-bit recipes only */
        if (time) {
            sp_layer_price(problem, plan, &in->groups, traffic, &work, &in->layer[k]);
        }
    }
}

void sp_inputs_build(const sp_problem *problem, const sp_plan *plan, bool time, sp_inputs *in)
{
    sp_tp_traffic traffic = {0};
    in->problem = problem;
    in->plan = plan;
    in->shape = sp_plan_shape(problem, plan);
    if (time) {
        sp_groups_build(&problem->fabric, plan, problem->has_experts, &in->groups);
        traffic = sp_tp_traffic_build(problem, plan, &in->groups.tp);
        sp_embedding_price(problem, plan, &traffic, &in->embedding);
        sp_head_price(problem, plan, &traffic, &in->head);
    }
    read_layers(problem, plan, time, &traffic, in);
    read_ends(problem, plan, in);
}
