/* SPDX-License-Identifier: Apache-2.0 */
/* Interval widths from what predictions miss: the share of the estimate within which the wished
 * share of measurements lie, every source weighing the same and a prior as one of them. Rows that a
 * fit has not seen give honest widths. */
#include "fidelity/fit.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int by_size(const void *a, const void *b)
{
    const sp_fit_miss *x = a, *y = b;
    return (x->size > y->size) - (x->size < y->size);
}

/* Sizes of a normal distribution's tenths, from 0.1 to 0.9, over that of 0.8: a source that misses
 * as is believed beforehand. */
static const double tenths[] = {0.0981, 0.1977, 0.3007, 0.4092, 0.5263,
                                0.6567, 0.8087, 1.0,    1.2835};
#define N_TENTHS (sizeof tenths / sizeof tenths[0])
static_assert(N_TENTHS == SP_FIT_PRIOR_MISSES, "room for the prior");

static bool is_about(const sp_fit_interval *interval, const sp_fit_variant *variant)
{
    const sp_problem *problem = variant->base;
    const sp_gpu *gpu = problem->cluster->gpu;
    const bool own = strcmp(gpu->name, gpu->calibrated_from) == 0;
    switch (interval->rows) {
    case SP_FIT_ROWS_ALL:
        break;
    case SP_FIT_ROWS_DENSE:
        return own && !problem->has_experts;
    case SP_FIT_ROWS_EXPERTS:
        return problem->has_experts;
    default:
        assert(false);
    }
    return true;
}

/* The rows that the interval is about. */
static uint32_t collect(const sp_fit *fit, const sp_fit_interval *interval, const double *ratios,
                        sp_fit_miss *misses)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < fit->n_rows; i++) {
        const sp_scored_row *row = &fit->rows[i];
        const bool in_set = row->rank_set[0] != '\0';
        if (ratios[i] <= 0.0) continue;
        const sp_fit_variant *variant = &fit->variants[fit->variant_of[i]];
        if (!sp_fit_decides(interval->engines, interval->n_engines, interval->constant,
                            variant->engine, variant->base->profile)) {
            continue;
        }
        if (!is_about(interval, variant)) continue;
        if (interval->within_sets && !in_set) continue;
        misses[n++] = (sp_fit_miss){ratios[i], 1.0, row->source, row->rank_set};
    }
    return n;
}

static bool same_set(const sp_fit_miss *a, const sp_fit_miss *b)
{
    return strcmp(a->source, b->source) == 0 && strcmp(a->set, b->set) == 0;
}

/* Divides every ratio by the median of its set; a set of one says nothing and leaves. */
static uint32_t centre_sets(sp_fit_miss *misses, uint32_t n, double *room)
{
    uint32_t n_kept = 0;
    for (uint32_t i = 0; i < n; i++) {
        size_t n_set = 0;
        for (uint32_t k = 0; k < n; k++) {
            if (same_set(&misses[k], &misses[i])) room[n_set++] = misses[k].size;
        }
        misses[i].weight = n_set > 1 ? sp_quantile_of(room, n_set, 0.5) : 0.0;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (misses[i].weight <= 0.0) continue;
        misses[n_kept] = misses[i];
        misses[n_kept].size /= misses[i].weight;
        misses[n_kept++].weight = 1.0;
    }
    return n_kept;
}

static uint32_t count_source(const sp_fit_miss *misses, uint32_t n, const char *source)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < n; i++) {
        count += strcmp(misses[i].source, source) == 0;
    }
    return count;
}

/* Rows of one source, and those of all small ones together, weigh 1. */
static void weigh(sp_fit_miss *misses, uint32_t n)
{
    uint32_t n_small = 0;
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t count = count_source(misses, n, misses[i].source);
        misses[i].weight = count >= SP_MIN_SOURCE_ROWS ? 1.0 / count : 0.0;
        n_small += count < SP_MIN_SOURCE_ROWS;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (misses[i].weight <= 0.0) misses[i].weight = 1.0 / n_small;
    }
}

double sp_fit_width(sp_fit_miss *misses, uint32_t n, double prior, double share)
{
    double sum = 0.0, within = 0.0;
    for (uint32_t i = 0; i < N_TENTHS; i++) {
        misses[n++] = (sp_fit_miss){prior * tenths[i], 1.0, "", ""};
    }
    weigh(misses, n);
    for (uint32_t i = 0; i < n; i++) {
        sum += misses[i].weight;
    }
    qsort(misses, n, sizeof *misses, by_size);
    for (uint32_t i = 0; i < n; i++) {
        within += misses[i].weight;
        if (within >= share * sum) return misses[i].size;
    }
    return misses[n - 1].size;
}

sp_status sp_fit_widths(const sp_fit *fit, sp_metric_id metric, const double *ratios,
                        sp_fit_values *values, sp_error *err)
{
    assert(fit->list->n_intervals <= SP_FIT_MAX_INTERVALS);
    sp_fit_miss *misses = sp_alloc((fit->n_rows + N_TENTHS) * sizeof *misses);
    double *room = sp_alloc(((size_t)fit->n_rows + 1) * sizeof *room);
    const bool failed = misses == NULL || room == NULL;
    for (uint32_t i = 0; i < fit->list->n_intervals && !failed; i++) {
        const sp_fit_interval *interval = &fit->list->intervals[i];
        if (interval->metric != metric) continue;
        uint32_t n = collect(fit, interval, ratios, misses);
        if (interval->within_sets) n = centre_sets(misses, n, room);
        for (uint32_t k = 0; k < n; k++) {
            misses[k].size = fabs(misses[k].size - 1.0);
        }
        values->interval[i] = sp_fit_width(misses, n, interval->prior, fit->list->coverage_ratio);
    }
    sp_free(misses);
    sp_free(room);
    return failed ? sp_fail(err, SP_E_MEMORY, "no memory for the fit") : SP_OK;
}
