/* SPDX-License-Identifier: Apache-2.0 */
/* A published run asked as a question: what was measured, as seconds of a step, and what we say. */
#include "report/evidence.h"
#include "step/step.h"

#include <assert.h>

/* FLOPs of one step by a convention. Under a causal mask a token attends to half of its sequence on
 * average, so the whole score matrix costs what a causal one over twice the length does. */
static double step_flops(const sp_evidence_run *run, sp_flops_convention convention)
{
    const double length = run->seq_len, tokens = run->step_tokens;
    const double head = 2.0 * tokens * run->model->hidden * run->model->vocab;
    switch (convention) {
    case SP_FLOPS_CAUSAL:
        return 3.0 * sp_graph_forward_flops(run->model, length, tokens);
    case SP_FLOPS_FULL:
        return 3.0 * sp_graph_forward_flops(run->model, 2.0 * length, tokens);
    case SP_FLOPS_HARDWARE:
        return 4.0 * sp_graph_forward_flops(run->model, 2.0 * length, tokens) - head;
    case SP_FLOPS_6ND:
        return 6.0 * run->active_parameters * tokens;
    case SP_N_FLOPS:
        break;
    }
    assert(!"a convention");
    return 0.0;
}

static double measured_step_s(const sp_training_recipe *recipe, const sp_evidence_run *run)
{
    const sp_measured *m = &recipe->measured;
    const double gpus = recipe->gpus;
    switch (m->measure) {
    case SP_MEASURE_STEP:
        return m->value;
    case SP_MEASURE_TOKENS:
        return run->step_tokens / (m->value * gpus);
    case SP_MEASURE_GPU_HOURS:
        return m->value * 3600.0 / gpus * run->step_tokens / m->tokens;
    case SP_MEASURE_TFLOPS:
        return step_flops(run, m->flops) / (m->value * 1e12 * gpus);
    case SP_MEASURE_MFU:
        return step_flops(run, m->flops) / (m->value * sp_gpu_peak_flops_per_s(run->gpu) * gpus);
    case SP_N_MEASURES:
        break;
    }
    assert(!"a measure");
    return 0.0;
}

sp_question sp_recipe_question(const char *home, const sp_training_recipe *recipe)
{
    sp_question q = sp_question_default();
    q.home = home;
    q.model = recipe->model;
    q.cluster = recipe->cluster;
    q.gpus = recipe->gpus_text;
    q.engine = recipe->engine;
    q.seq_len = recipe->seq_len;
    q.global_batch = recipe->global_batch;
    q.sets[q.n_sets++] = recipe->precision_set;
    q.space = "all";
    q.headroom_ratio = 0.0; /* it ran: whatever it left free */
    q.task = recipe->task;
    q.lora_rank = recipe->lora_rank;
    q.moe_imbalance_ratio = recipe->moe_imbalance_ratio;
    return q;
}

sp_status sp_recipe_price(const char *home, const sp_training_recipe *recipe,
                          const sp_evidence_run *run, sp_recipe_answer *out, sp_error *err)
{
    const sp_question question = sp_recipe_question(home, recipe);
    sp_problem *problem = NULL;
    SP_TRY(sp_problem_build(&question, &problem, err));
    sp_estimate_plan(problem, &recipe->plan, &out->estimate);
    sp_problem_free(problem);
    out->measured_step_s = measured_step_s(recipe, run);
    out->error_ratio = out->estimate.time.step_s / out->measured_step_s - 1.0;
    return SP_OK;
}
