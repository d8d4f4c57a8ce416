/* SPDX-License-Identifier: Apache-2.0 */
/* A whole sweep: every point priced, the fronts of speed against cost, energy and carbon among the
 * chips that hold the model, and the best by each. */
#include "base/base.h"
#include "shardplan/sweep.h"

const char *sp_sweep_metric_name(sp_sweep_metric metric)
{
    static const char *const names[SP_SWEEP_N_METRICS] = {"speed", "cost", "energy", "carbon"};
    return names[metric];
}

double sp_sweep_metric_value(const sp_chip_price *price, sp_sweep_metric metric)
{
    switch (metric) {
    case SP_SWEEP_COST:
        return price->usd_per_mtok;
    case SP_SWEEP_ENERGY:
        return price->joules_per_token;
    case SP_SWEEP_CARBON:
        return price->g_per_mtok;
    case SP_SWEEP_SPEED:
    case SP_SWEEP_N_METRICS:
        break;
    }
    return price->tokens_per_s;
}

static sp_sweep_point price_point(const sp_workload *workload, const sp_economics *money,
                                  const sp_sweep *sweep, uint64_t id)
{
    sp_sweep_point point = {.point = id, .chip = sp_sweep_chip(sweep, id)};
    point.price = sp_chip_evaluate(workload, money, &point.chip);
    point.scores = sp_chip_scores(&point.chip, &point.price, money);
    return point;
}

/* Chips that fit, and their coordinates for one front after the other. */
typedef struct plane {
    uint32_t n;
    uint32_t *fitting, *order;
    double *x, *y;
} plane;

static sp_status plane_build(sp_arena *arena, const sp_sweep_result *result, plane *p,
                             sp_error *err)
{
    const size_t n = result->n_points + 1;
    *p = (plane){.fitting = sp_arena_alloc(arena, n * sizeof *p->fitting),
                 .order = sp_arena_alloc(arena, n * sizeof *p->order),
                 .x = sp_arena_alloc(arena, n * sizeof *p->x),
                 .y = sp_arena_alloc(arena, n * sizeof *p->y)};
    if (p->fitting == NULL || p->order == NULL || p->x == NULL || p->y == NULL) {
        return sp_fail(err, SP_E_MEMORY, "the sweep needs more");
    }
    for (uint32_t i = 0; i < result->n_points; i++) {
        if (!result->points[i].price.fits) continue;
        p->x[p->n] = sp_sweep_metric_value(&result->points[i].price, SP_SWEEP_SPEED);
        p->fitting[p->n++] = i;
    }
    return SP_OK;
}

static sp_status add_front(sp_arena *arena, plane *p, sp_sweep_metric metric,
                           sp_sweep_result *result, sp_error *err)
{
    for (uint32_t i = 0; i < p->n; i++) {
        p->y[i] = sp_sweep_metric_value(&result->points[p->fitting[i]].price, metric);
    }
    const uint32_t n = sp_front_2d(p->x, p->y, p->n, p->order);
    uint32_t *front = sp_arena_alloc(arena, (n + 1) * sizeof *front);
    if (front == NULL) return sp_fail(err, SP_E_MEMORY, "the sweep needs more");
    for (uint32_t i = 0; i < n; i++) {
        front[i] = p->fitting[p->order[i]];
    }
    result->front[metric] = front;
    result->n_front[metric] = n;
    return SP_OK;
}

static bool is_better(sp_sweep_metric metric, double value, double than)
{
    return metric == SP_SWEEP_SPEED ? value > than : value < than;
}

static void find_best(const plane *p, sp_sweep_result *result)
{
    for (sp_sweep_metric m = 0; m < SP_SWEEP_N_METRICS; m++) {
        uint32_t best = p->n > 0 ? p->fitting[0] : 0;
        for (uint32_t i = 1; i < p->n; i++) {
            const double value = sp_sweep_metric_value(&result->points[p->fitting[i]].price, m);
            const double than = sp_sweep_metric_value(&result->points[best].price, m);
            if (is_better(m, value, than)) best = p->fitting[i];
        }
        result->best[m] = best;
    }
    for (uint32_t i = 1; i < result->n_points; i++) {
        const sp_sweep_point *best = &result->points[result->best_overall];
        if (result->points[i].scores.overall > best->scores.overall) result->best_overall = i;
    }
}

sp_status sp_sweep_run(sp_arena *arena, const sp_workload *workload, const sp_economics *money,
                       const sp_sweep *sweep, uint64_t max_points, const sp_sweep_result **result,
                       sp_error *err)
{
    const uint64_t n = sp_sweep_thinned(sweep, max_points);
    if (n > SP_SWEEP_MAX_POINTS) {
        sp_fail(err, SP_E_RANGE, "the grid has too many points; give --max-points");
        sp_fail_value(err, "%llu", (unsigned long long)n);
        return sp_fail_range(err, "1 .. %d", SP_SWEEP_MAX_POINTS);
    }
    sp_sweep_result *made = sp_arena_alloc(arena, sizeof *made);
    sp_sweep_point *points = sp_arena_alloc(arena, n * sizeof *points);
    if (made == NULL || points == NULL) return sp_fail(err, SP_E_MEMORY, "the sweep needs more");
    for (uint64_t i = 0; i < n; i++) {
        points[i] = price_point(workload, money, sweep, sp_sweep_id(sweep, n, i));
    }
    *made = (sp_sweep_result){
        .n_points = n, .points = points, .memory_needed_bytes = sp_workload_memory_bytes(workload)};
    plane p;
    SP_TRY(plane_build(arena, made, &p, err));
    made->n_fitting = p.n;
    for (sp_sweep_metric m = SP_SWEEP_COST; m < SP_SWEEP_N_METRICS; m++) {
        SP_TRY(add_front(arena, &p, m, made, err));
    }
    find_best(&p, made);
    *result = made;
    return SP_OK;
}
