/* SPDX-License-Identifier: Apache-2.0 */
/* Puts the parts of an estimate together: memory first, then time, then what follows from both. The
 * search and the explanation price a plan by this one path. */
#include "step/step.h"

#include <assert.h>
#include <string.h>

static const char *const verdict_names[SP_N_VERDICTS] = {
    [SP_FITS] = "fits",
    [SP_TIGHT] = "tight",
    [SP_OVER_MEMORY] = "over_memory",
    [SP_OVER_NETWORK] = "over_network",
};

const char *sp_verdict_name(sp_verdict verdict)
{
    assert(verdict < SP_N_VERDICTS);
    return verdict_names[verdict];
}

/* Memory is believed within memory_error_ratio in 8 of 10 cases, so 1 in 10 lies above it. */
static sp_verdict judge(const sp_problem *problem, const sp_estimate *e)
{
    if (!sp_memory_fits(problem, &e->memory)) {
        return SP_OVER_MEMORY;
    }
    if (e->network.exposed_ratio > problem->question.max_network_ratio) {
        return SP_OVER_NETWORK;
    }
    const double doubtful = e->memory.peak_bytes * (1.0 + problem->profile->memory_error_ratio);
    return doubtful > e->memory.usable_bytes ? SP_TIGHT : SP_FITS;
}

static void fill_rates(const sp_problem *problem, const sp_plan *plan, sp_estimate *e)
{
    const sp_question *q = &problem->question;
    const double step_s = e->time.step_s;
    const double tokens = (double)q->global_batch * (double)q->seq_len;
    e->samples_per_s = (double)q->global_batch / step_s;
    e->tokens_per_s = tokens / step_s;
    e->tokens_per_s_per_gpu = e->tokens_per_s / plan->gpus;
}

static void fill_money(const sp_problem *problem, const sp_plan *plan, sp_estimate *e)
{
    e->usd_per_hour = problem->usd_per_gpu_hour * plan->gpus;
    e->usd_per_million_tokens = e->usd_per_hour / 3600.0 / e->tokens_per_s * 1e6;
    const double run_s = problem->question.tokens / e->tokens_per_s;
    e->days = run_s / 86400.0;
    e->gpu_hours = run_s / 3600.0 * plan->gpus;
    e->usd_run = e->gpu_hours * problem->usd_per_gpu_hour;
}

static void fill_utilisation(const sp_problem *problem, const sp_plan *plan, double whole_flops,
                             sp_estimate *e)
{
    const double per_gpu = e->time.step_s * plan->gpus;
    const double peak = sp_gpu_peak_flops_per_s(problem->cluster->gpu);
    const double model_flops_per_s = sp_problem_passes(problem) * problem->forward_flops / per_gpu;
    e->model_tflops_per_gpu = model_flops_per_s / 1e12;
    e->mfu = model_flops_per_s / peak;
    e->hfu = whole_flops / per_gpu / peak;
}

/* A site's steps are so many times as long as estimated, which says nothing about which part is. */
static void correct_site(const sp_problem *problem, sp_time *t)
{
    const double factor = problem->question.site_factor;
    double *const parts[] = {&t->step_s,    &t->forward_s, &t->backward_s,  &t->recompute_s,
                             &t->tp_comm_s, &t->cp_comm_s, &t->ep_comm_s,   &t->pp_comm_s,
                             &t->bubble_s,  &t->dp_comm_s, &t->optimizer_s, &t->offload_s,
                             &t->other_s};
    if (factor <= 0.0) return;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        *parts[i] *= factor;
    }
}

void sp_estimate_plan(const sp_problem *problem, const sp_plan *plan, sp_estimate *out)
{
    memset(out, 0, sizeof *out);
    double whole_flops = 0.0;
    sp_inputs in;
    sp_inputs_build(problem, plan, true, &in);
    sp_memory_price(&in, &out->memory);
    sp_train_price(&in, &out->time, &out->network, &whole_flops);
    correct_site(problem, &out->time);
    const uint32_t most = problem->gpus_values[problem->n_gpus_values - 1];
    out->gpus_idle = problem->question.use_upto && plan->gpus < most ? most - plan->gpus : 0;
    fill_rates(problem, plan, out);
    fill_money(problem, plan, out);
    const double error_ratio = sp_problem_step_error(problem);
    out->step_low_s = error_ratio < 1.0 ? out->time.step_s * (1.0 - error_ratio) : 0.0;
    out->step_high_s = out->time.step_s * (1.0 + error_ratio);
    out->step_tie_s = out->time.step_s * (1.0 + problem->profile->rank_error_ratio);
    fill_utilisation(problem, plan, whole_flops, out);
    out->verdict = judge(problem, out);
    for (uint32_t i = 0; i < problem->n_objectives; i++) {
        out->objective[i] = sp_objective_value(problem->objectives[i], out, plan);
    }
}

sp_verdict sp_estimate_keys(const sp_problem *problem, const sp_plan *plan,
                            double keys[SP_MAX_OBJECTIVES])
{
    sp_estimate e;
    sp_inputs in;
    sp_inputs_build(problem, plan, true, &in);
    sp_memory_price(&in, &e.memory);
    if (!sp_memory_fits(problem, &e.memory)) {
        return SP_OVER_MEMORY;
    }
    sp_train_price(&in, &e.time, &e.network, NULL);
    correct_site(problem, &e.time);
    fill_rates(problem, plan, &e);
    if (problem->ranks_by_money) {
        fill_money(problem, plan, &e);
    }
    for (uint32_t i = 0; i < problem->n_objectives; i++) {
        const uint32_t objective = problem->objectives[i];
        const double value = sp_objective_value(objective, &e, plan);
        keys[i] = sp_objective_describe(objective)->maximise ? -value : value;
    }
    return judge(problem, &e);
}
