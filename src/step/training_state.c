/* SPDX-License-Identifier: Apache-2.0 */
/* What weights, gradients and optimizer state are held in: the optimizer's figures, the engine's
 * and the question's choice put together to bytes per parameter, once for a problem and, where
 * tensors of different kinds differ, as means over a stage. */
#include "step/step.h"

#include <assert.h>

static double gradient_bytes(const sp_problem *problem)
{
    const sp_gradients asked = problem->question.gradients;
    if (asked == SP_GRADIENTS_AUTO) return problem->profile->grad_bytes;
    return sp_dtype_bytes(asked == SP_GRADIENTS_FP32 ? SP_FP32 : SP_BF16);
}

/* Where gradients are added by a kernel of its own: the new one read, the sum read and written.
 * With a 16-bit twin beside a wider sum the twin is cleared, and added to, ahead of that. Sources:
 * PyTorch, torch/csrc/autograd/functions/accumulate_grad.h; Megatron-LM, megatron/model/
 * distributed.py; DeepSpeed, runtime/bf16_optimizer.py, update_hp_grads. */
static double added_bytes(const sp_problem *problem)
{
    const double own = sp_dtype_bytes(SP_BF16), sum = gradient_bytes(problem);
    if (!problem->profile->adds_gradients_apart) return 0.0;
    const bool twin = problem->profile->twin_grad_bytes > 0.0 && sum > own;
    return own + 2.0 * sum + (twin ? 4.0 * own : 0.0);
}

static sp_recipe trained(const sp_problem *problem, double moments_bytes)
{
    const sp_engine_profile *f = problem->profile;
    const sp_optimizer *o = problem->optimizer;
    const double gradient = gradient_bytes(problem);
    const double master = o->narrow_state ? f->narrow_master_bytes : f->master_bytes;
    sp_recipe r = {.weight_bytes = sp_dtype_bytes(SP_BF16),
                   .shard_bytes = f->fp32_shards ? master : 0.0,
                   .gradient_bytes = gradient,
                   .twin_bytes = gradient > sp_dtype_bytes(SP_BF16) ? f->twin_grad_bytes : 0.0,
                   .sent_bytes = f->sent_grad_bytes > 0.0 ? f->sent_grad_bytes : gradient,
                   .master_bytes = f->fp32_shards ? 0.0 : master,
                   .moments_bytes = moments_bytes};
    r.step_bytes = sp_recipe_step_bytes(&r, o->pass_bytes);
    return r;
}

/* Pairs of matrices of lora_rank columns and rows: of hidden x rank there are 1/rank rows and
 * 1/hidden columns for each parameter, and in its partner the other way round. */
static double adapter_moments(const sp_problem *problem)
{
    const sp_optimizer *o = problem->optimizer;
    const double sides = o->row_bytes + o->column_bytes;
    return o->matrix_bytes +
           sides / 2.0 * (1.0 / problem->question.lora_rank + 1.0 / problem->model->hidden);
}

static void derive_copies(sp_problem *problem)
{
    const sp_engine_profile *f = problem->profile;
    const bool one_layout = problem->cluster->gpu->peak_flops_per_s[SP_MXFP8] <= 0.0;
    problem->copy_bytes[SP_PRECISION_FP8] =
        f->fp8_copy_bytes + (one_layout ? f->fp8_transpose_bytes : 0.0);
    problem->copy_bytes[SP_PRECISION_MXFP8] = f->mxfp8_copy_bytes;
    problem->copy_bytes[SP_PRECISION_NVFP4] = f->nvfp4_copy_bytes;
}

/* Under lora and qlora the model is frozen, in 16 or in 4 bits, and adapters are trained. */
void sp_recipes_derive(sp_problem *problem)
{
    problem->uniform_state = sp_optimizer_is_uniform(problem->optimizer);
    const sp_question *q = &problem->question;
    derive_copies(problem);
    problem->rates.grad_bytes = gradient_bytes(problem);
    problem->rates.added_bytes = added_bytes(problem);
    problem->recipe = trained(problem, problem->optimizer->matrix_bytes);
    problem->adapter_recipe = problem->recipe;
    if (problem->has_adapters) {
        const double held = q->task == SP_TASK_QLORA ? problem->profile->quantised_weight_bytes
                                                     : problem->recipe.weight_bytes;
        problem->adapter_recipe = trained(problem, adapter_moments(problem));
        problem->recipe = sp_recipe_frozen(held);
    }
}

bool sp_plan_narrow_weights(const sp_problem *problem, const sp_plan *plan)
{
    const bool narrow =
        plan->precision == SP_PRECISION_FP8 || plan->precision == SP_PRECISION_MXFP8;
    return problem->profile->fp8_params && narrow && problem->copy_bytes[plan->precision] > 0.0 &&
           (plan->zero >= 1 || sp_plan_copies(plan) == 1);
}

sp_recipe sp_least_recipe(const sp_problem *problem)
{
    static const sp_precision narrow[] = {SP_PRECISION_FP8, SP_PRECISION_MXFP8};
    sp_recipe r = problem->recipe;
    r.twin_bytes = 0.0;
    if (problem->has_adapters || !problem->profile->fp8_params) return r;
    for (size_t i = 0; i < sizeof narrow / sizeof narrow[0]; i++) {
        const double bytes = problem->copy_bytes[narrow[i]];
        if (bytes > 0.0 && bytes < r.weight_bytes) r.weight_bytes = bytes;
    }
    return r;
}

/* Pieces of one vector from ZeRO-1 on: an optimizer that tells tensors apart cannot. */
static bool sees_tensors(const sp_problem *problem, const sp_plan *plan)
{
    const sp_optimizer *o = problem->optimizer;
    const bool flat = problem->profile->flat_state && plan->zero >= 1;
    return !problem->has_adapters && !problem->uniform_state &&
           (!flat || o->newton_schulz_steps > 0.0);
}

bool sp_plan_reads_tensors(const sp_problem *problem, const sp_plan *plan)
{
    return problem->question.task == SP_TASK_QLORA || problem->copy_bytes[plan->precision] > 0.0 ||
           sees_tensors(problem, plan);
}

static void add_end(const sp_inputs *in, double state_bytes, double end_params, double columns,
                    sp_stage_params *params)
{
    const sp_moments end =
        sp_optimizer_table(in->problem->optimizer, state_bytes, end_params, columns);
    sp_moments_add(&params->dense_state, &end, 1.0);
}

void sp_stage_add_ends(const sp_inputs *in, const sp_stage_class *stage, sp_stage_params *params)
{
    const sp_optimizer *o = in->problem->optimizer;
    const sp_model *model = in->problem->model;
    const double h = model->hidden;
    if (stage->embedding) add_end(in, o->embedding_bytes, in->embedding_params, h, params);
    if (!stage->head) return;
    const double projection = 2.0 * h * h / in->plan->tp, norms = 3.0 * model->norm_vectors * h;
    add_end(in, o->head_bytes, in->head_params, h, params);
    for (uint32_t i = 0; i < model->mtp_layers; i++) {
        add_end(in, o->matrix_bytes, projection, 2.0 * h, params);
        params->dense_state.bytes += norms * o->vector_bytes;
        params->dense_matrix += projection;
    }
}

/* What is whole on every shard counts as often as there are shards. */
static sp_recipe mean_recipe(const sp_inputs *in, const sp_recipe *base, const sp_moments *state,
                             double params, uint32_t shards)
{
    sp_recipe r = *base;
    if (params <= 0.0) return r;
    const double copies = in->plan->zero >= 1 ? shards : 1.0;
    r.moments_bytes = (state->bytes + copies * state->whole_bytes) / params;
    r.step_bytes = sp_recipe_step_bytes(&r, in->problem->optimizer->pass_bytes);
    return r;
}

/* Matrices are packed, the rest stays as it is. */
static double frozen_bytes(const sp_problem *problem, double matrix, double params)
{
    const double rest = problem->profile->quantised_rest_bytes;
    if (params <= 0.0) return problem->recipe.weight_bytes;
    return (problem->recipe.weight_bytes * matrix + rest * (params - matrix)) / params;
}

/* Only beside bf16 weights does a master copy go without the bits that they have. */
static void widen_master(const sp_problem *problem, sp_recipe *r)
{
    r->master_bytes = problem->profile->master_bytes;
    r->step_bytes = sp_recipe_step_bytes(r, problem->optimizer->pass_bytes);
}

sp_stage_recipes sp_stage_recipes_of(const sp_inputs *in, const sp_stage_params *params)
{
    const sp_problem *problem = in->problem;
    const sp_shards shards = in->shards;
    sp_stage_recipes r = {problem->recipe, problem->recipe, problem->adapter_recipe};
    if (in->plan->precision == SP_PRECISION_FP16) {
        r.dense.twin_bytes = r.expert.twin_bytes = r.adapter.twin_bytes = 0.0;
    }
    if (problem->optimizer->narrow_state && sp_plan_narrow_weights(problem, in->plan)) {
        widen_master(problem, &r.dense);
        widen_master(problem, &r.expert);
    }
    if (sees_tensors(problem, in->plan)) {
        r.dense = mean_recipe(in, &r.dense, &params->dense_state, params->dense, shards.dense);
        r.expert = mean_recipe(in, &r.expert, &params->expert_state, params->expert, shards.expert);
    }
    if (problem->question.task == SP_TASK_QLORA) {
        r.dense.weight_bytes = frozen_bytes(problem, params->dense_matrix, params->dense);
        r.expert.weight_bytes = frozen_bytes(problem, params->expert_matrix, params->expert);
    }
    return r;
}

/* Elements of the largest tensor that is worked on alone: whole for Newton-Schulz, else a shard. */
static double largest_tensor(const sp_inputs *in, const sp_stage_params *params)
{
    const sp_shards shards = in->shards;
    const bool whole = in->problem->optimizer->newton_schulz_steps > 0.0 || in->plan->zero == 0;
    return sp_larger(params->dense_state.largest / (whole ? 1.0 : shards.dense),
                     params->expert_state.largest / (whole ? 1.0 : shards.expert));
}

double sp_update_bytes(const sp_inputs *in, const sp_stage_params *params, double updated)
{
    const sp_engine_profile *f = in->problem->profile;
    const sp_optimizer *o = in->problem->optimizer;
    const sp_recipe *r = &in->problem->adapter_recipe; /* of all that is trained */
    const bool cast = r->gradient_bytes <= sp_dtype_bytes(SP_BF16) && !o->narrow_state;
    const double own = o->engine_temporaries ? f->update_bytes : 0.0;
    return updated * (own + (cast ? f->cast_grad_bytes : 0.0)) +
           (updated > 0.0 ? o->largest_bytes * largest_tensor(in, params) : 0.0);
}

/* Gradients flattened in the format of the copy that is updated; those that stand beside a twin are
 * flat already. */
double sp_flat_update_bytes(const sp_inputs *in, const sp_recipe *recipe, double updated)
{
    const double flat = in->problem->profile->flat_update_bytes, master = recipe->master_bytes;
    const bool there = recipe->twin_bytes > 0.0 && in->plan->zero < 2;
    return there ? 0.0 : updated * (flat < master ? flat : master);
}
