/* SPDX-License-Identifier: Apache-2.0 */
/* The values of every axis: what --set lists, or all that real plans use. Divisors rather than
 * powers of two; rules sort out which combinations fit together. */
#include "space/space.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* The smallest divisors of a batch: a batch with more of them has micro-batches far beyond any
 * memory. --set micro_batch=... lists others. */
#define MAX_MICRO_BATCHES 32u
#define MAX_RANKS         ((uint32_t)UINT16_MAX)

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

/* ---- lists ---- */

/* A list of values while it grows. */
typedef struct list {
    uint32_t *values;
    uint32_t n, capacity;
    bool failed;
} list;

static void add(list *l, uint32_t value)
{
    if (l->n == l->capacity && !l->failed) {
        const uint32_t capacity = l->capacity == 0 ? 64 : 2 * l->capacity;
        uint32_t *grown = sp_realloc(l->values, capacity * sizeof *grown);
        l->failed = grown == NULL;
        if (grown != NULL) {
            l->values = grown;
            l->capacity = capacity;
        }
    }
    if (!l->failed) l->values[l->n++] = value;
}

static int ascending(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void sort_distinct(list *l)
{
    if (l->n < 2) return;
    qsort(l->values, l->n, sizeof *l->values, ascending);
    uint32_t kept = 1;
    for (uint32_t i = 1; i < l->n; i++) {
        if (l->values[i] != l->values[kept - 1]) l->values[kept++] = l->values[i];
    }
    l->n = kept;
}

/* The divisors of n from lo to hi. */
static void add_divisors(list *l, uint64_t n, uint64_t lo, uint64_t hi)
{
    for (uint64_t i = 1; i * i <= n; i++) {
        if (n % i != 0) continue;
        if (i >= lo && i <= hi) add(l, (uint32_t)i);
        if (n / i >= lo && n / i <= hi) add(l, (uint32_t)(n / i));
    }
    sort_distinct(l);
}

/* ---- what real plans use ---- */

static uint32_t most_gpus(const sp_problem *problem)
{
    return problem->gpus_values[problem->n_gpus_values - 1];
}

/* With --use upto also every smaller number of whole nodes. */
static void add_gpus(const sp_problem *problem, list *l)
{
    const uint32_t node = problem->cluster->node_gpus;
    for (uint32_t i = 0; i < problem->n_gpus_values; i++) {
        add(l, problem->gpus_values[i]);
    }
    for (uint32_t g = node; problem->question.use_upto && g < most_gpus(problem); g += node) {
        add(l, g);
    }
    sort_distinct(l);
}

static void add_tp(const sp_problem *problem, list *l)
{
    const uint32_t most = most_gpus(problem) < MAX_RANKS ? most_gpus(problem) : MAX_RANKS;
    for (uint32_t tp = 1; tp <= most && tp <= problem->model->kinds[0].attention.heads; tp++) {
        if (sp_tp_cuts_model(problem->model, tp)) add(l, tp);
    }
    if (l->n == 0) add(l, 1);
}

static bool divides_one(const sp_axis *gpus, uint32_t n)
{
    for (uint32_t i = gpus->n_values; i-- > 0;) {
        if (gpus->values[i] % n == 0) return true;
    }
    return false;
}

static void add_pp(const sp_space *space, list *l)
{
    const uint32_t n_layers = space->problem->model->n_layers;
    for (uint32_t pp = 1; pp <= n_layers && pp <= MAX_RANKS; pp++) {
        if (divides_one(&space->axes[SP_AXIS_gpus], pp)) add(l, pp);
    }
}

static void add_ep(const sp_problem *problem, list *l)
{
    uint64_t experts = 0;
    for (uint32_t k = 0; k < problem->model->n_kinds; k++) {
        experts = sp_gcd_u64(experts, problem->model->kinds[k].ffn.n_experts);
    }
    add_divisors(l, experts > 0 ? experts : 1, 1, most_gpus(problem));
}

/* Pieces of an expert: within the tp ranks that hold it. */
static void add_etp(const sp_space *space, list *l)
{
    const sp_axis *tp = &space->axes[SP_AXIS_tp];
    add(l, 1);
    for (uint32_t i = 0; space->problem->has_experts && i < tp->n_values; i++) {
        if (sp_etp_cuts_experts(space->problem->model, tp->values[i])) add(l, tp->values[i]);
    }
    sort_distinct(l);
}

static void add_micro_batch(const sp_problem *problem, list *l)
{
    add_divisors(l, problem->question.global_batch, 1, UINT32_C(1) << 24);
    if (l->n > MAX_MICRO_BATCHES) l->n = MAX_MICRO_BATCHES;
}

static void add_vpp(const sp_problem *problem, list *l)
{
    const uint32_t n_layers = problem->model->n_layers;
    const uint32_t most = n_layers > 1 ? n_layers / 2 : 1;
    add_divisors(l, n_layers, 1, most);
    add_divisors(l, sp_layers_with_ends(problem->model), 1, most);
}

static void add_range(list *l, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        add(l, i);
    }
}

/* --space default keeps the numerics of bf16. */
static void add_precision(const sp_problem *problem, list *l)
{
    add(l, SP_PRECISION_BF16);
    if (problem->space_all) add(l, SP_PRECISION_FP16);
}

static void add_auto(const sp_space *space, sp_axis_id axis, list *l)
{
    const sp_problem *problem = space->problem;
    switch (axis) {
    case SP_AXIS_gpus:
        add_gpus(problem, l);
        return;
    case SP_AXIS_tp:
        add_tp(problem, l);
        return;
    case SP_AXIS_pp:
        add_pp(space, l);
        return;
    case SP_AXIS_ep:
        add_ep(problem, l);
        return;
    case SP_AXIS_etp:
        add_etp(space, l);
        return;
    case SP_AXIS_micro_batch:
        add_micro_batch(problem, l);
        return;
    case SP_AXIS_zero:
        add_range(l, 4);
        return;
    case SP_AXIS_vpp:
        add_vpp(problem, l);
        return;
    case SP_AXIS_precision:
        add_precision(problem, l);
        return;
    case SP_AXIS_placement:
    case SP_AXIS_recompute:
    case SP_AXIS_schedule:
    case SP_AXIS_stage_layers:
    case SP_AXIS_sp:
    case SP_AXIS_tp_overlap:
    case SP_AXIS_dp_overlap:
        add_range(l, sp_axis_describe(axis)->n_names);
        return;
    case SP_N_AXES:
        break;
    }
    assert(!"an axis");
}

/* ---- axes ---- */

static sp_status build_auto(sp_space *space, sp_axis_id id, sp_error *err)
{
    list l = {0};
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
