/* SPDX-License-Identifier: Apache-2.0 */
/* A second look at a space in which nothing was found, for the plan that misses its limits least.
 * It keeps to the most GPUs and the smallest micro-batches, where memory is least. */
#include "report/report_priv.h"
#include "space/space.h"

#include <assert.h>

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

static void look_at(probe *p, const sp_plan *plan)
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

/* Walks the plans that mean something on the most GPUs. */
static void walk_all(probe *p, uint64_t *pruned)
{
    const sp_axis *gpus = sp_space_axis(p->space, SP_AXIS_gpus);
    const sp_axis *batches = sp_space_axis(p->space, SP_AXIS_micro_batch);
    const uint32_t n = batches->n_values < MICRO_BATCHES ? batches->n_values : MICRO_BATCHES;
    sp_walk walk;
    sp_walk_begin(&walk, p->space, (gpus->n_values - 1) * gpus->stride, SP_AXIS_gpus + 1,
                  SP_N_AXES - 1, pruned);
    walk.memory_late = true;
    while (!p->done && sp_walk_next(&walk)) {
        if (walk.plan.micro_batch <= batches->values[n - 1]) look_at(p, &walk.plan);
    }
}

void sp_probe_space(const sp_space *space, sp_probe_until until, sp_probe *out)
{
    *out = (sp_probe){.where = UINT32_MAX};
    probe p = {.space = space, .problem = sp_space_problem(space), .until = until, .found = out};
    uint64_t *pruned = sp_alloc(sp_space_rule_count(space) * sizeof *pruned);
    if (pruned != NULL) walk_all(&p, pruned); /* without memory nothing is found */
    sp_free(pruned);
}

/* All that a problem works out holds for any number of GPUs: only the list of them differs. */
sp_status sp_probe_gpus(const sp_problem *problem, uint32_t gpus, sp_probe_until until,
                        sp_probe *out, sp_error *err)
{
    sp_problem other = *problem;
    sp_space *space = NULL;
    other.gpus_values = &gpus;
    other.n_gpus_values = 1;
    SP_TRY(sp_space_build(&other, &space, err));
    sp_probe_space(space, until, out);
    sp_space_free(space);
    return SP_OK;
}
