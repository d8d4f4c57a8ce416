/* SPDX-License-Identifier: Apache-2.0 */
/* The values of every axis of serving plans: what --set lists, or all that real deployments use.
 * Divisors rather than powers of two; rules sort out which combinations fit together. */
#include "space/serving.h"
#include "space/values.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Stages beyond these, and beyond one a node, only add latency to a token. */
#define USUAL_STAGES 4u
/* Steps of fewer tokens leave kernels to their launches; of more, answers wait for prompts. */
#define LEAST_CHUNK 512u
#define MOST_CHUNK  32768u
/* The most that engines capture or schedule by default on the largest parts. */
#define MOST_BATCH 1024u
/* Pools of more workers than this in steps of an eighth. */
#define EVERY_WORKER 16u
#define MOST_CP      8u

static const sp_serving_set *find_set(const sp_serving_problem *problem, sp_serving_axis_id axis)
{
    for (uint32_t i = 0; i < problem->n_sets; i++) {
        if (problem->sets[i].axis == axis) return &problem->sets[i];
    }
    return NULL;
}

/* ---- what divides the model ---- */

/* Engines keep a copy of a key/value head on each of several ranks where there are fewer heads. */
bool sp_serving_tp_cuts_model(const sp_model *model, uint32_t tp)
{
    for (uint32_t k = 0; k < model->n_kinds; k++) {
        const sp_layer_kind *kind = &model->kinds[k];
        const uint32_t kv = kind->attention.kv_heads;
        const bool heads = kind->attention.heads % tp == 0 && kind->recurrent.heads % tp == 0;
        const bool kv_heads = kv % tp == 0 || (kv > 0 && tp % kv == 0);
        if (!heads || !kv_heads || kind->ffn.ffn % tp != 0) return false;
    }
    return true;
}

bool sp_serving_ep_cuts_experts(const sp_model *model, uint32_t ep)
{
    for (uint32_t k = 0; k < model->n_kinds; k++) {
        if (model->kinds[k].ffn.n_experts % ep != 0) return false;
    }
    return true;
}

bool sp_serving_moe_tp_cuts_experts(const sp_model *model, uint32_t moe_tp)
{
    for (uint32_t k = 0; k < model->n_kinds; k++) {
        if (model->kinds[k].ffn.expert_ffn % moe_tp != 0) return false;
    }
    return true;
}

/* ---- what real deployments use ---- */

static uint32_t most_gpus(const sp_serving_problem *problem)
{
    return problem->gpus_values[problem->n_gpus_values - 1];
}

/* With --use upto also every smaller number of whole nodes, and powers of two within one. */
static void add_gpus(const sp_serving_space *space, sp_values *l)
{
    const sp_serving_problem *problem = space->problem;
    const uint32_t node = sp_serving_any_cluster(problem)->node_gpus, most = most_gpus(problem);
    for (uint32_t i = 0; i < problem->n_gpus_values; i++) {
        sp_values_add(l, problem->gpus_values[i]);
    }
    if (!problem->question.use_upto) return;
    for (uint32_t g = node; g < most; g += node) {
        sp_values_add(l, g);
    }
    for (uint32_t g = 1; g < node && g < most; g *= 2) {
        sp_values_add(l, g);
    }
}

static void add_tp(const sp_serving_space *space, sp_values *l)
{
    const sp_serving_problem *problem = space->problem;
    for (uint32_t tp = 1; tp <= most_gpus(problem); tp++) {
        if (sp_serving_tp_cuts_model(problem->model, tp)) sp_values_add(l, tp);
    }
    if (l->n == 0) sp_values_add(l, 1);
}

static void add_ep(const sp_serving_space *space, sp_values *l)
{
    const sp_serving_problem *problem = space->problem;
    sp_values_add(l, 1);
    for (uint32_t ep = 2; problem->has_experts && ep <= most_gpus(problem); ep++) {
        if (sp_serving_ep_cuts_experts(problem->model, ep)) sp_values_add(l, ep);
    }
}

/* Copies of attention are made to give the experts behind them more tokens. */
static void add_attn_dp(const sp_serving_space *space, sp_values *l)
{
    add_ep(space, l);
}

/* In dense models moe_tp is the width, which is tp. */
static void add_moe_tp(const sp_serving_space *space, sp_values *l)
{
    const sp_serving_problem *problem = space->problem;
    if (!problem->has_experts) {
        const sp_serving_axis *tp = &space->axes[SP_SERVING_AXIS_tp];
        const sp_serving_axis *prefill = &space->axes[SP_SERVING_AXIS_prefill_tp];
        for (uint32_t i = 0; i < tp->n_values; i++) {
            sp_values_add(l, tp->values[i]);
        }
        for (uint32_t i = 0; i < prefill->n_values; i++) {
            sp_values_add(l, prefill->values[i]);
        }
    }
    for (uint32_t n = 1; problem->has_experts && n <= most_gpus(problem); n++) {
        if (sp_serving_moe_tp_cuts_experts(problem->model, n)) sp_values_add(l, n);
    }
}

static bool divides_one(const sp_serving_axis *gpus, uint32_t n)
{
    for (uint32_t i = gpus->n_values; i-- > 0;) {
        if (gpus->values[i] % n == 0) return true;
    }
    return false;
}

static void add_pp(const sp_serving_space *space, sp_values *l)
{
    const sp_serving_problem *problem = space->problem;
    const uint32_t nodes = most_gpus(problem) / sp_serving_any_cluster(problem)->node_gpus;
    const uint32_t usual = nodes > USUAL_STAGES ? nodes : USUAL_STAGES;
    const uint32_t most = problem->space_all ? problem->model->n_layers : usual;
    for (uint32_t pp = 1; pp <= most && pp <= problem->model->n_layers; pp++) {
        if (divides_one(&space->axes[SP_SERVING_AXIS_gpus], pp)) sp_values_add(l, pp);
    }
}

static void add_prefill_workers(const sp_serving_space *space, sp_values *l)
{
    const sp_serving_problem *problem = space->problem;
    if (problem->modes[SP_SERVING_AGG]) sp_values_add(l, 0);
    if (!problem->modes[SP_SERVING_DISAGG]) return;
    sp_values_add(l, 1); /* also of one GPU, where two_pools refuses it */
    for (uint32_t n = 1; n < most_gpus(problem);) {
        sp_values_add(l, n);
        n += problem->space_all || n < EVERY_WORKER ? 1 : n / 8;
    }
}

static void add_cp_prefill(const sp_serving_space *space, sp_values *l)
{
    for (uint32_t cp = 1; cp <= MOST_CP; cp *= 2) {
        if (cp == 1 || space->problem->space_all) sp_values_add(l, cp);
    }
}

/* Each second power of two, unless all are asked for. */
static void add_chunk_tokens(const sp_serving_space *space, sp_values *l)
{
    const uint32_t factor = space->problem->space_all ? 2 : 4;
    for (uint32_t chunk = LEAST_CHUNK; chunk <= MOST_CHUNK; chunk *= factor) {
        sp_values_add(l, chunk);
    }
}

/* As engines capture their steps: powers of two, and steps between the large ones; of a given
 * number of users also what a rank gets of them. */
static void add_batch(const sp_serving_space *space, sp_values *l)
{
    const sp_serving_problem *problem = space->problem;
    const double users = problem->question.concurrency;
    const uint32_t halves_from = problem->space_all ? 2 : 64;
    for (uint32_t batch = 1; batch <= MOST_BATCH; batch *= 2) {
        sp_values_add(l, batch);
        if (batch >= halves_from && batch < MOST_BATCH) sp_values_add(l, batch + batch / 2);
    }
    for (uint32_t ranks = 1; users > 0.0 && ranks <= most_gpus(problem); ranks++) {
        const double share = (users + ranks - 1.0) / ranks;
        if (share < MOST_BATCH) sp_values_add(l, (uint64_t)share);
    }
}

static void add_engines(const sp_serving_space *space, sp_values *l)
{
    sp_values_add_range(l, space->problem->n_engines);
}

static void add_modes(const sp_serving_space *space, sp_values *l)
{
    for (uint32_t m = 0; m < SP_N_SERVING_MODES; m++) {
        if (space->problem->modes[m]) sp_values_add(l, m);
    }
}

static void add_weight_dtypes(const sp_serving_space *space, sp_values *l)
{
    sp_values_add_range(l, space->problem->n_weights);
}

static void add_kv_dtypes(const sp_serving_space *space, sp_values *l)
{
    sp_values_add_range(l, space->problem->n_caches);
}

/* Drafting pays with an acceptance that a question states, never unasked. */
static void add_spec(const sp_serving_space *space, sp_values *l)
{
    (void)space;
    sp_values_add(l, 0);
}

static void (*const fill[SP_N_SERVING_AXES])(const sp_serving_space *space, sp_values *l) = {
    [SP_SERVING_AXIS_gpus] = add_gpus,
    [SP_SERVING_AXIS_engine] = add_engines,
    [SP_SERVING_AXIS_mode] = add_modes,
    [SP_SERVING_AXIS_weight_dtype] = add_weight_dtypes,
    [SP_SERVING_AXIS_kv_dtype] = add_kv_dtypes,
    [SP_SERVING_AXIS_spec] = add_spec,
    [SP_SERVING_AXIS_prefill_tp] = add_tp,
    [SP_SERVING_AXIS_prefill_attn_dp] = add_attn_dp,
    [SP_SERVING_AXIS_prefill_ep] = add_ep,
    [SP_SERVING_AXIS_prefill_moe_tp] = add_moe_tp,
    [SP_SERVING_AXIS_prefill_pp] = add_pp,
    [SP_SERVING_AXIS_prefill_workers] = add_prefill_workers,
    [SP_SERVING_AXIS_tp] = add_tp,
    [SP_SERVING_AXIS_attn_dp] = add_attn_dp,
    [SP_SERVING_AXIS_ep] = add_ep,
    [SP_SERVING_AXIS_moe_tp] = add_moe_tp,
    [SP_SERVING_AXIS_pp] = add_pp,
    [SP_SERVING_AXIS_cp_prefill] = add_cp_prefill,
    [SP_SERVING_AXIS_chunk_tokens] = add_chunk_tokens,
    [SP_SERVING_AXIS_batch] = add_batch,
};

/* Layouts of prefill workers stand at their fallback where no pool is asked for. */
static bool is_idle(const sp_serving_problem *problem, sp_serving_axis_id axis)
{
    return !problem->modes[SP_SERVING_DISAGG] && axis >= SP_SERVING_AXIS_prefill_tp &&
           axis < SP_SERVING_AXIS_prefill_workers;
}

static void add_values(const sp_serving_space *space, sp_serving_axis_id axis, sp_values *l)
{
    if (is_idle(space->problem, axis)) {
        sp_values_add(l, sp_serving_axis_describe(axis)->fallback);
    } else {
        fill[axis](space, l);
    }
    sp_values_sort_distinct(l);
}

/* ---- building ---- */

static sp_status build_axis(sp_serving_space *space, sp_serving_axis_id axis, sp_error *err)
{
    const sp_serving_set *set = find_set(space->problem, axis);
    if (set != NULL) {
        space->axes[axis] = (sp_serving_axis){.n_values = set->n_values, .values = set->values};
        return SP_OK;
    }
    sp_values l = {0};
    add_values(space, axis, &l);
    uint32_t *values = l.failed ? NULL : sp_arena_alloc(&space->arena, (l.n + 1) * sizeof *values);
    if (values != NULL) {
        assert(l.n > 0);
        memcpy(values, l.values, l.n * sizeof *values);
        space->axes[axis] = (sp_serving_axis){.n_values = l.n, .values = values};
    }
    sp_free(l.values);
    return values != NULL ? SP_OK : sp_fail(err, SP_E_MEMORY, "no memory for the space");
}

static sp_status fill_strides(sp_serving_space *space, sp_error *err)
{
    uint64_t product = 1;
    for (sp_serving_axis_id axis = SP_N_SERVING_AXES; axis-- > 0;) {
        sp_serving_axis *a = &space->axes[axis];
        a->stride = product;
        if (sp_mul_u64(product, a->n_values, &product) && product >> 63 == 0) continue;
        sp_fail(err, SP_E_OVERFLOW, "the space has more than 2^63 plans; fix an axis with --set");
        return sp_fail_value(err, "%s has %u values", sp_serving_axis_describe(axis)->name,
                             a->n_values);
    }
    space->n_plans = product;
    return SP_OK;
}

sp_status sp_serving_axes_build(sp_serving_space *space, sp_error *err)
{
    /* moe_tp of dense models follows tp of both pools. */
    SP_TRY(build_axis(space, SP_SERVING_AXIS_tp, err));
    SP_TRY(build_axis(space, SP_SERVING_AXIS_prefill_tp, err));
    for (sp_serving_axis_id axis = 0; axis < SP_N_SERVING_AXES; axis++) {
        if (space->axes[axis].n_values == 0) SP_TRY(build_axis(space, axis, err));
    }
    return fill_strides(space, err);
}
