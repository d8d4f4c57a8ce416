/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Figures of merit of predictions, pure functions of numbers. A figure that is not defined (a rank
 * correlation of one point) is NaN; means leave such figures out. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One prediction with its 80 % interval, and the measurement (> 0). */
typedef struct sp_pair {
    double predicted, low, high, measured;
} sp_pair;

typedef struct sp_metric {
    uint32_t n;
    double median_ape, mean_ape, p90_ape; /* of |predicted - measured| / measured */
    double bias;                          /* mean of (predicted - measured) / measured */
    double spearman;                      /* of predicted against measured */
    double interval_coverage;             /* share of measurements within low .. high */
} sp_metric;

/* The q-quantile, linear between neighbours (q = 0.5: the median). Sorts values; NaN when n = 0. */
double sp_quantile_of(double *values, size_t n, double q);
/* Pearson's correlation of the ranks, equal values sharing the mean of their ranks. *failed is set
 * when memory is gone. */
double sp_spearman_of(const sp_pair *pairs, size_t n, bool *failed);
sp_metric sp_metric_of(const sp_pair *pairs, size_t n, bool *failed);
/* The mean of each figure; n is the sum. */
sp_metric sp_metric_mean(const sp_metric *metrics, size_t n);

/* Of plans for one question: the one with the least prediction is the choice. */
typedef struct sp_choice {
    double spearman;
    double regret; /* measured of the choice over the least measured, less 1 */
    bool best;     /* the choice is measured least */
} sp_choice;
sp_choice sp_choice_of(const sp_pair *pairs, size_t n, bool *failed);

/* The mean of those that are not NaN; NaN when there is none. */
double sp_mean_of(const double *values, size_t n);
