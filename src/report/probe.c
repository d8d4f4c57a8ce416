/* SPDX-License-Identifier: Apache-2.0 */
/* A second look at a space in which nothing was found, for the plan that misses its limits least.
 * It keeps to the most GPUs and the smallest micro-batches, where memory is least. */
#include "report/report_priv.h"
#include "step/step.h"

#include <assert.h>
#include <stdio.h>

#define MICRO_BATCHES 6u

typedef struct probe {
    const sp_space *space;
    const sp_problem *problem;
    sp_probe_until until;
    sp_probe *found;
    bool done;
} probe;

static void note_memory(probe *p, const sp_plan *plan)
{
    sp_memory memory;
    sp_estimate_memory(p->problem, plan, &memory);
    if (!p->found->allowed || memory.peak_bytes < p->found->least.peak_bytes) {
        p->found->least = memory;
        p->found->least_plan = *plan;
    }
    p->found->allowed = true;
}

static void note_network(probe *p, const sp_plan *plan)
{
    sp_estimate estimate;
    sp_estimate_plan(p->problem, plan, &estimate);
    if (!p->found->fits || estimate.network.exposed_ratio < p->found->quiet_ratio) {
        p->found->quiet_ratio = estimate.network.exposed_ratio;
        p->found->quiet_plan = *plan;
    }
    p->found->fits = true;
}

static void look_at(probe *p, sp_plan *plan)
{
    const uint32_t rule = sp_space_refusal(p->space, plan);
    const bool passes = rule == UINT32_MAX;
    const sp_rule_class class = passes ? SP_N_RULE_CLASSES : sp_space_rule(p->space, rule)->class;
    if (class == SP_RULE_CANONICAL || class == SP_RULE_STRUCTURE) return;
    p->found->admitted = true;
    p->done = p->until == SP_PROBE_ADMITTED;
    if (class == SP_RULE_ENGINE) return;
    p->found->runnable = true;
    if (class == SP_RULE_WHERE) {
        p->found->where = rule;
        return;
    }
    note_memory(p, plan);
    if (class == SP_RULE_MEMORY) return;
    note_network(p, plan);
    p->done = p->done || p->until == SP_PROBE_FITS;
}

/* Divisions that leave a remainder, as soon as they are known. */
static bool divides(const probe *p, const sp_plan *plan, sp_axis_id axis)
{
    const uint32_t width = (uint32_t)plan->tp * plan->pp;
    if (axis == SP_AXIS_pp) return plan->gpus % width == 0;
    if (axis != SP_AXIS_micro_batch) return true;
    const uint64_t piece = (uint64_t)(plan->gpus / width) * plan->micro_batch;
    return p->problem->question.global_batch % piece == 0;
}

/* Sets axis after axis; as deep as there are axes. */
static void descend(probe *p, sp_plan *plan, sp_axis_id axis)
{
    if (axis == SP_N_AXES) {
        sp_plan_derive(plan, p->problem->question.global_batch);
        look_at(p, plan);
        return;
    }
    const sp_axis *domain = sp_space_axis(p->space, axis);
    const uint32_t first = axis == SP_AXIS_gpus ? domain->n_values - 1 : 0;
    const bool cut = axis == SP_AXIS_micro_batch && domain->n_values > MICRO_BATCHES;
    const uint32_t end = cut ? MICRO_BATCHES : domain->n_values;
    for (uint32_t i = first; i < end && !p->done; i++) {
        sp_plan_set(plan, axis, domain->values[i]);
        if (divides(p, plan, axis)) descend(p, plan, axis + 1);
    }
}

void sp_probe_space(const sp_space *space, sp_probe_until until, sp_probe *out)
{
    *out = (sp_probe){.where = UINT32_MAX};
    probe p = {.space = space, .problem = sp_space_problem(space), .until = until, .found = out};
    sp_plan plan = sp_plan_default();
    descend(&p, &plan, SP_AXIS_gpus);
}

sp_status sp_probe_gpus(const sp_problem *problem, uint32_t gpus, sp_probe_until until,
                        sp_probe *out, sp_error *err)
{
    char text[24];
    sp_problem *other = NULL;
    sp_space *space = NULL;
    sp_question question = problem->question;
    (void)snprintf(text, sizeof text, "%u", gpus);
    question.gpus = text;
    sp_status status = sp_problem_build(&question, &other, err);
    if (status == SP_OK) status = sp_space_build(other, &space, err);
    if (status == SP_OK) sp_probe_space(space, until, out);
    sp_space_free(space);
    sp_problem_free(other);
    return status;
}
