/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A table of deployments while constants of its engines are fitted. */
#include "fidelity/deployed.h"
#include "fidelity/fit.h"

#define SP_FIT_MAX_ENGINES 16

/* An engine whose constants change, and those that it ships with. */
typedef struct sp_fit_engine {
    const char *name;
    sp_server_timing *timing, shipped;
} sp_fit_engine;

typedef struct sp_serving_fit {
    const sp_fit_list *list;
    uint32_t n_rows, n_engines;
    sp_deployed_row *rows;
    bool *fitted; /* of rows: not set aside, and among those of its source that are priced */
    /* Logarithms of what runs answer over what closed forms do, of metrics and rows: under the
     * constants that are believed beforehand, and under those of the fit at hand. */
    double *believed[SP_N_DEPLOYED_METRICS], *found[SP_N_DEPLOYED_METRICS];
    sp_fit_engine engines[SP_FIT_MAX_ENGINES];
} sp_serving_fit;

/* One engine, model and system in one mode. */
bool sp_deployed_same_source(const sp_deployed_row *a, const sp_deployed_row *b);
/* Is the engine one of these? */
bool sp_fit_names(const char *const *engines, uint32_t n, const char *engine);
/* Gives the engines these constants; 0 = as they ship. */
void sp_serving_fit_set(sp_serving_fit *fit, const sp_fit_values *values);
/* Runs the rows to fit to, but for those left out, and fills `beyond` as in sp_serving_fit. */
sp_status sp_serving_fit_run_rows(sp_serving_fit *fit, const bool *left_out,
                                  const sp_fit_values *values,
                                  double *const beyond[SP_N_DEPLOYED_METRICS], sp_error *err);
/* As sp_fit_run. */
sp_status sp_serving_fit_run(sp_serving_fit *fit, const bool *left_out, sp_fit_values *values,
                             sp_error *err);
/* Logarithms of predicted over measured of the rows that a fit has seen, each by one that has not
 * seen its group, either; NaN for rows that do not count. */
sp_status sp_serving_fit_misses(sp_serving_fit *fit, sp_deployed_metric metric,
                                const bool *left_out, const sp_fit_folds *folds,
                                const sp_fit_values *values, double *residuals, sp_error *err);
