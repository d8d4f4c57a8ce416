/* SPDX-License-Identifier: Apache-2.0 */
/* The values of every axis: what --set lists, or all that real plans use. Divisors rather than
 * powers of two; rules sort out which combinations fit together. */
#include "space/space.h"
#include "space/values.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* The smallest divisors of a batch: a batch with more of them has micro-batches far beyond any
 * memory. --set micro_batch=... lists others. */
#define MAX_MICRO_BATCHES 32u
#define MAX_RANKS         ((uint32_t)UINT16_MAX)
/* Shorter pieces of a sequence than this keep no GPU busy; --set cp=... lists others. */
#define MIN_PIECE_TOKENS 1024u
/* Model chunks a stage beyond which pipelines gain nothing more; --set vpp=... lists others. */
#define MAX_CHUNKS 12u

static const sp_set *find_set(const sp_problem *problem, sp_axis_id axis)
{
    for (uint32_t i = 0; i < problem->n_sets; i++) {
        if (problem->sets[i].axis == axis) return &problem->sets[i];
    }
    return NULL;
}

uint32_t sp_axis_first_value(const sp_problem *problem, sp_axis_id axis)
{
    const sp_set *set = find_set(problem, axis);
    return set != NULL ? set->values[0] : 0;
}

/* ---- what real plans use ---- */

static uint32_t most_gpus(const sp_problem *problem)
{
    return problem->gpus_values[problem->n_gpus_values - 1];
}

/* With --use upto also every smaller number of whole nodes. */
static void add_gpus(const sp_space *space, sp_values *l)
{
    const sp_problem *problem = space->problem;
    const uint32_t node = problem->cluster->node_gpus;
    for (uint32_t i = 0; i < problem->n_gpus_values; i++) {
        sp_values_add(l, problem->gpus_values[i]);
    }
    for (uint32_t g = node; problem->question.use_upto && g < most_gpus(problem); g += node) {
        sp_values_add(l, g);
    }
    sp_values_sort_distinct(l);
}

/* Of attention or a recurrence, in any layer. */
static uint32_t most_heads(const sp_model *model)
{
    uint32_t most = 1;
    for (uint32_t k = 0; k < model->n_kinds; k++) {
        const uint32_t attention = model->kinds[k].attention.heads;
        const uint32_t recurrent = model->kinds[k].recurrent.heads;
        most = attention > most ? attention : most;
        most = recurrent > most ? recurrent : most;
    }
    return most;
}

static void add_tp(const sp_space *space, sp_values *l)
{
    const sp_problem *problem = space->problem;
    const uint32_t most = most_gpus(problem) < MAX_RANKS ? most_gpus(problem) : MAX_RANKS;
    for (uint32_t tp = 1; tp <= most && tp <= most_heads(problem->model); tp++) {
        if (sp_tp_cuts_model(problem->model, tp)) sp_values_add(l, tp);
    }
    if (l->n == 0) sp_values_add(l, 1);
}

static bool divides_one(const sp_axis *gpus, uint32_t n)
{
    for (uint32_t i = gpus->n_values; i-- > 0;) {
        if (gpus->values[i] % n == 0) return true;
    }
    return false;
}

static void add_pp(const sp_space *space, sp_values *l)
{
    const uint32_t n_layers = space->problem->model->n_layers;
    for (uint32_t pp = 1; pp <= n_layers && pp <= MAX_RANKS; pp++) {
        if (divides_one(&space->axes[SP_AXIS_gpus], pp)) sp_values_add(l, pp);
    }
}

static void add_ep(const sp_space *space, sp_values *l)
{
    const sp_problem *problem = space->problem;
    uint64_t experts = 0;
    for (uint32_t k = 0; k < problem->model->n_kinds; k++) {
        experts = sp_gcd_u64(experts, problem->model->kinds[k].ffn.n_experts);
    }
    sp_values_add_divisors(l, experts > 0 ? experts : 1, 1, most_gpus(problem));
}

/* Pieces of an expert: within the tp ranks that hold it. */
static void add_etp(const sp_space *space, sp_values *l)
{
    const sp_axis *tp = &space->axes[SP_AXIS_tp];
    sp_values_add(l, 1);
    for (uint32_t i = 0; space->problem->has_experts && i < tp->n_values; i++) {
        if (sp_etp_cuts_experts(space->problem->model, tp->values[i]))
            sp_values_add(l, tp->values[i]);
    }
    sp_values_sort_distinct(l);
}

static void add_micro_batch(const sp_space *space, sp_values *l)
{
    const sp_problem *problem = space->problem;
    sp_values_add_divisors(l, problem->question.global_batch, 1, UINT32_C(1) << 24);
    if (l->n > MAX_MICRO_BATCHES) l->n = MAX_MICRO_BATCHES;
}

/* Every piece takes one chunk from the front of the sequence and one from its end. */
static void add_cp(const sp_space *space, sp_values *l)
{
    const uint64_t length = space->problem->question.seq_len;
    sp_values_add(l, 1);
    for (uint32_t cp = 2; cp <= MAX_RANKS && length / cp >= MIN_PIECE_TOKENS; cp++) {
        if (length % (2 * cp) == 0 && divides_one(&space->axes[SP_AXIS_gpus], cp))
            sp_values_add(l, cp);
    }
}

/* Chunks need not hold equally many layers, but few at a time is what interleaving is for. */
static void add_vpp(const sp_space *space, sp_values *l)
{
    const sp_problem *problem = space->problem;
    const uint32_t n_layers = problem->model->n_layers;
    sp_values_add_divisors(l, n_layers, 1, n_layers > 1 ? n_layers / 2 : 1);
    for (uint32_t v = 2; v <= MAX_CHUNKS && 2 * v <= n_layers; v++) {
        sp_values_add(l, v);
    }
    sp_values_sort_distinct(l);
}

/* ---- what --space default leaves at rest: it changes numerics, or trades time for memory ---- */

static void add_recompute(const sp_space *space, sp_values *l)
{
    const sp_problem *problem = space->problem;
    for (uint32_t r = 0; r < SP_N_RECOMPUTE; r++) {
        const bool usual = r == SP_RECOMPUTE_NONE || r == SP_RECOMPUTE_SELECTIVE ||
                           r == SP_RECOMPUTE_FULL ||
                           (r == SP_RECOMPUTE_LAYERNORM_ACT && problem->has_experts) ||
                           (r == SP_RECOMPUTE_MLA_UP && problem->has_latent_attention);
        if (usual || problem->space_all) sp_values_add(l, r);
    }
}

static void add_recompute_layers(const sp_space *space, sp_values *l)
{
    const sp_problem *problem = space->problem;
    for (uint32_t n = 0; n == 0 || (problem->space_all && n < problem->model->n_layers); n++) {
        sp_values_add(l, n);
    }
}

static void add_shard_group(const sp_space *space, sp_values *l)
{
    const sp_problem *problem = space->problem;
    if (problem->space_all) {
        for (uint32_t i = 0; i < problem->n_gpus_values; i++) {
            sp_values_add_divisors(l, problem->gpus_values[i], 2, problem->gpus_values[i] / 2);
        }
    }
    sp_values_add(l, 0);
    sp_values_sort_distinct(l);
}

/* Nothing, half and all. */
static void add_offload(const sp_space *space, sp_values *l)
{
    const sp_problem *problem = space->problem;
    sp_values_add(l, 0);
    if (problem->space_all) {
        sp_values_add(l, 50);
        sp_values_add(l, 100);
    }
}

/* The first of a list of names; all of them under --space all. */
static void add_first_name(const sp_space *space, sp_axis_id axis, sp_values *l)
{
    sp_values_add_range(l, space->problem->space_all ? sp_axis_describe(axis)->n_names : 1);
}

static void add_precision(const sp_space *space, sp_values *l)
{
    add_first_name(space, SP_AXIS_precision, l);
}

static void add_offload_target(const sp_space *space, sp_values *l)
{
    add_first_name(space, SP_AXIS_offload_target, l);
}

static void add_zero(const sp_space *space, sp_values *l)
{
    (void)space;
    sp_values_add_range(l, 4);
}

/* GPipe holds more than 1F1B and is no faster. Schedules that cut backward passes hold more, run in
 * one of the engines alone, and there without compiled stages. */
static void add_schedule(const sp_space *space, sp_values *l)
{
    const sp_problem *problem = space->problem;
    for (uint32_t i = 0; i < SP_N_SCHEDULES; i++) {
        const bool usual = i == SP_SCHEDULE_1F1B || i == SP_SCHEDULE_INTERLEAVED;
        if (usual || problem->space_all) sp_values_add(l, i);
    }
}

/* Axes that are not listed take all of their names. */
static void (*const add_values[SP_N_AXES])(const sp_space *space, sp_values *l) = {
    [SP_AXIS_gpus] = add_gpus,
    [SP_AXIS_tp] = add_tp,
    [SP_AXIS_cp] = add_cp,
    [SP_AXIS_pp] = add_pp,
    [SP_AXIS_ep] = add_ep,
    [SP_AXIS_etp] = add_etp,
    [SP_AXIS_micro_batch] = add_micro_batch,
    [SP_AXIS_recompute] = add_recompute,
    [SP_AXIS_recompute_layers] = add_recompute_layers,
    [SP_AXIS_zero] = add_zero,
    [SP_AXIS_shard_group] = add_shard_group,
    [SP_AXIS_schedule] = add_schedule,
    [SP_AXIS_vpp] = add_vpp,
    [SP_AXIS_precision] = add_precision,
    [SP_AXIS_offload_optimizer] = add_offload,
    [SP_AXIS_offload_params] = add_offload,
    [SP_AXIS_offload_activations] = add_offload,
    [SP_AXIS_offload_target] = add_offload_target,
};

static void add_auto(const sp_space *space, sp_axis_id axis, sp_values *l)
{
    if (add_values[axis] != NULL) {
        add_values[axis](space, l);
    } else {
        sp_values_add_range(l, sp_axis_describe(axis)->n_names);
    }
}

/* ---- axes ---- */

static sp_status build_auto(sp_space *space, sp_axis_id id, sp_error *err)
{
    sp_values l = {0};
    add_auto(space, id, &l);
    uint32_t *values = sp_arena_alloc(&space->arena, (l.n + 1) * sizeof *values);
    if (values != NULL && l.n > 0) memcpy(values, l.values, l.n * sizeof *values);
    sp_free(l.values);
    if (values == NULL || l.failed) return sp_fail(err, SP_E_MEMORY, "no memory for an axis");
    assert(l.n > 0);
    space->axes[id].values = values;
    space->axes[id].n_values = l.n;
    return SP_OK;
}

/* Strides from the innermost axis outwards. */
static sp_status build_strides(sp_space *space, sp_error *err)
{
    uint64_t stride = 1;
    for (sp_axis_id id = SP_N_AXES; id-- > 0;) {
        sp_axis *axis = &space->axes[id];
        axis->id = id;
        axis->stride = stride;
        if (sp_mul_u64(stride, axis->n_values, &stride) && stride <= INT64_MAX) continue;
        sp_fail(err, SP_E_OVERFLOW, "the space has more than 2^63 plans from the axis %s inwards",
                sp_axis_describe(id)->name);
        return sp_fail_file(err, "--set");
    }
    space->n_plans = stride;
    return SP_OK;
}

sp_status sp_axes_build(sp_space *space, sp_error *err)
{
    for (sp_axis_id id = 0; id < SP_N_AXES; id++) {
        const sp_set *set = find_set(space->problem, id);
        if (set == NULL) {
            SP_TRY(build_auto(space, id, err));
        } else {
            space->axes[id].values = set->values;
            space->axes[id].n_values = set->n_values;
        }
    }
    return build_strides(space, err);
}
