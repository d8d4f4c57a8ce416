/* SPDX-License-Identifier: Apache-2.0 */
/* Medians, quantiles, rank correlation and regret. */
#include "fidelity/score.h"

#include "base/base.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double sp_quantile_of(double *values, size_t n, double q)
{
    assert(q >= 0.0 && q <= 1.0);
    if (n == 0) return NAN;
    qsort(values, n, sizeof *values, ascending);
    const double place = q * (double)(n - 1);
    const size_t below = (size_t)place;
    const size_t above = below + 1 < n ? below + 1 : below;
    return values[below] + (place - (double)below) * (values[above] - values[below]);
}

double sp_mean_of(const double *values, size_t n)
{
    double sum = 0.0;
    size_t n_defined = 0;
    for (size_t i = 0; i < n; i++) {
        if (isnan(values[i])) continue;
        sum += values[i];
        n_defined++;
    }
    return n_defined > 0 ? sum / (double)n_defined : (double)NAN;
}

/* ---- rank correlation ---- */

typedef struct placed {
    double value;
    size_t idx;
} placed;

static int by_value(const void *a, const void *b)
{
    const placed *x = a, *y = b;
    if (x->value != y->value) return x->value < y->value ? -1 : 1;
    return (x->idx > y->idx) - (x->idx < y->idx);
}

/* Ranks from 0; equal values get the mean of theirs. */
static void rank_all(placed *order, size_t n, double *ranks)
{
    qsort(order, n, sizeof *order, by_value);
    for (size_t i = 0; i < n;) {
        size_t end = i + 1;
        while (end < n && order[end].value == order[i].value) {
            end++;
        }
        for (size_t k = i; k < end; k++) {
            ranks[order[k].idx] = 0.5 * (double)(i + end - 1);
        }
        i = end;
    }
}

static double correlation(const double *x, const double *y, size_t n)
{
    const double mean = 0.5 * (double)(n - 1);
    double xx = 0.0, yy = 0.0, xy = 0.0;
    for (size_t i = 0; i < n; i++) {
        xx += (x[i] - mean) * (x[i] - mean);
        yy += (y[i] - mean) * (y[i] - mean);
        xy += (x[i] - mean) * (y[i] - mean);
    }
    return xx > 0.0 && yy > 0.0 ? xy / sqrt(xx * yy) : (double)NAN;
}

double sp_spearman_of(const sp_pair *pairs, size_t n, bool *failed)
{
    if (n < 2) return NAN;
    placed *order = sp_alloc(n * sizeof *order);
    double *ranks = sp_alloc(2 * n * sizeof *ranks);
    double result = NAN;
    *failed = *failed || order == NULL || ranks == NULL;
    if (order != NULL && ranks != NULL) {
        for (size_t i = 0; i < n; i++) {
            order[i] = (placed){pairs[i].predicted, i};
        }
        rank_all(order, n, ranks);
        for (size_t i = 0; i < n; i++) {
            order[i] = (placed){pairs[i].measured, i};
        }
        rank_all(order, n, ranks + n);
        result = correlation(ranks, ranks + n, n);
    }
    sp_free(order);
    sp_free(ranks);
    return result;
}

/* ---- figures of a set of pairs ---- */

static double error_of(const sp_pair *pair)
{
    assert(pair->measured > 0.0);
    return (pair->predicted - pair->measured) / pair->measured;
}

sp_metric sp_metric_of(const sp_pair *pairs, size_t n, bool *failed)
{
    sp_metric m = {(uint32_t)n, NAN, NAN, NAN, NAN, NAN, NAN};
    double *apes = sp_alloc((n + 1) * sizeof *apes);
    *failed = *failed || apes == NULL;
    if (apes == NULL || n == 0) {
        sp_free(apes);
        return m;
    }
    double bias = 0.0;
    size_t n_within = 0;
    for (size_t i = 0; i < n; i++) {
        const double error = error_of(&pairs[i]);
        apes[i] = fabs(error);
        bias += error;
        n_within += pairs[i].measured >= pairs[i].low && pairs[i].measured <= pairs[i].high;
    }
    m.mean_ape = sp_mean_of(apes, n);
    m.median_ape = sp_quantile_of(apes, n, 0.5);
    m.p90_ape = sp_quantile_of(apes, n, 0.9);
    m.bias = bias / (double)n;
    m.interval_coverage = (double)n_within / (double)n;
    m.spearman = sp_spearman_of(pairs, n, failed);
    sp_free(apes);
    return m;
}

/* Adds a figure to a mean unless it is not defined. */
static void take(double figure, double *sum, uint32_t *n)
{
    if (isnan(figure)) return;
    *sum += figure;
    *n += 1;
}

static double mean(double sum, uint32_t n)
{
    return n > 0 ? sum / n : (double)NAN;
}

sp_metric sp_metric_mean(const sp_metric *metrics, size_t n)
{
    sp_metric sum = {0};
    uint32_t counts[6] = {0};
    for (size_t i = 0; i < n; i++) {
        const sp_metric *m = &metrics[i];
        sum.n += m->n;
        take(m->median_ape, &sum.median_ape, &counts[0]);
        take(m->mean_ape, &sum.mean_ape, &counts[1]);
        take(m->p90_ape, &sum.p90_ape, &counts[2]);
        take(m->bias, &sum.bias, &counts[3]);
        take(m->spearman, &sum.spearman, &counts[4]);
        take(m->interval_coverage, &sum.interval_coverage, &counts[5]);
    }
    return (sp_metric){.n = sum.n,
                       .median_ape = mean(sum.median_ape, counts[0]),
                       .mean_ape = mean(sum.mean_ape, counts[1]),
                       .p90_ape = mean(sum.p90_ape, counts[2]),
                       .bias = mean(sum.bias, counts[3]),
                       .spearman = mean(sum.spearman, counts[4]),
                       .interval_coverage = mean(sum.interval_coverage, counts[5])};
}

sp_choice sp_choice_of(const sp_pair *pairs, size_t n, bool *failed)
{
    assert(n > 0);
    size_t choice = 0, best = 0;
    for (size_t i = 1; i < n; i++) {
        if (pairs[i].predicted < pairs[choice].predicted) choice = i;
        if (pairs[i].measured < pairs[best].measured) best = i;
    }
    const double regret = pairs[choice].measured / pairs[best].measured - 1.0;
    return (sp_choice){sp_spearman_of(pairs, n, failed), regret, regret <= 0.0};
}
