/* SPDX-License-Identifier: Apache-2.0 */
/* Robust least squares with normal priors and bounds, by Gauss and Newton: rows beyond the Huber
 * limit are weighed down anew in every round, derivatives are differences, and a step that does not
 * lead down is damped (Levenberg, 1944). For a few unknowns and some thousand rows. */
#include "fidelity/fit.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define MAX_ROUNDS  40
#define MAX_DAMPING 1e6

/* Of an unknown that is a logarithm: small beside any width, large beside rounding. */
static const double DIFFERENCE = 1e-4;
/* A round that moves no unknown by more is the last. */
static const double SETTLED = 1e-5;

typedef struct solver {
    const sp_fit_task *task;
    double *residuals, *moved, *slopes; /* slopes[term][row] */
    double matrix[SP_FIT_MAX_TERMS][SP_FIT_MAX_TERMS];
    double vector[SP_FIT_MAX_TERMS];
} solver;

/* h of a residual, and the weight at which a square has the same slope. */
static double huber_of(double residual, double limit, double *weight)
{
    const double size = fabs(residual);
    *weight = size <= limit ? 1.0 : limit / size;
    return size <= limit ? size * size : limit * (2.0 * size - limit);
}

static double objective(const sp_fit_task *task, const double *x, const double *residuals)
{
    double sum = 0.0, weight = 0.0;
    for (uint32_t i = 0; i < task->n_rows; i++) {
        if (task->weights[i] <= 0.0) continue;
        sum += task->weights[i] * huber_of(residuals[i], task->huber, &weight);
    }
    for (uint32_t k = 0; k < task->n_terms; k++) {
        const double away = (x[k] - task->priors[k].centre) / task->priors[k].width;
        sum += away * away;
    }
    return sum;
}

static void find_slopes(const solver *s, const double *x)
{
    const sp_fit_task *task = s->task;
    double shifted[SP_FIT_MAX_TERMS];
    memcpy(shifted, x, task->n_terms * sizeof *x);
    for (uint32_t k = 0; k < task->n_terms; k++) {
        double *slopes = s->slopes + (size_t)k * task->n_rows;
        const double step = x[k] + DIFFERENCE <= task->priors[k].hi ? DIFFERENCE : -DIFFERENCE;
        memcpy(slopes, s->residuals, task->n_rows * sizeof *slopes);
        shifted[k] = x[k] + step;
        task->residuals(task->user, shifted, k, slopes);
        shifted[k] = x[k];
        for (uint32_t i = 0; i < task->n_rows; i++) {
            slopes[i] = (slopes[i] - s->residuals[i]) / step;
        }
    }
}

#define NO_GROUP UINT32_MAX

/* Normal equations of the linearised, reweighed problem, without the rows of a group. */
static void build_equations(solver *s, const double *x, const uint32_t *group_of_row,
                            uint32_t group)
{
    const sp_fit_task *task = s->task;
    const uint32_t n = task->n_terms;
    memset(s->matrix, 0, sizeof s->matrix);
    for (uint32_t k = 0; k < n; k++) {
        const double precision = 1.0 / (task->priors[k].width * task->priors[k].width);
        s->matrix[k][k] = precision;
        s->vector[k] = -precision * (x[k] - task->priors[k].centre);
    }
    for (uint32_t i = 0; i < task->n_rows; i++) {
        double weight = 0.0;
        if (task->weights[i] <= 0.0) continue;
        if (group != NO_GROUP && group_of_row[i] == group) continue;
        (void)huber_of(s->residuals[i], task->huber, &weight);
        weight *= task->weights[i];
        for (uint32_t k = 0; k < n; k++) {
            const double slope = weight * s->slopes[(size_t)k * task->n_rows + i];
            if (slope == 0.0) continue;
            s->vector[k] -= slope * s->residuals[i];
            for (uint32_t j = 0; j <= k; j++) {
                s->matrix[k][j] += slope * s->slopes[(size_t)j * task->n_rows + i];
            }
        }
    }
}

/* An unknown at a bound that would go beyond it stays: it leaves the equations of this round. */
static void hold_at_bounds(solver *s, const double *x)
{
    const sp_fit_task *task = s->task;
    for (uint32_t k = 0; k < task->n_terms; k++) {
        const bool low = x[k] <= task->priors[k].lo && s->vector[k] < 0.0;
        const bool high = x[k] >= task->priors[k].hi && s->vector[k] > 0.0;
        if (!low && !high) continue;
        for (uint32_t j = 0; j < task->n_terms; j++) {
            s->matrix[k][j] = s->matrix[j][k] = 0.0;
        }
        s->matrix[k][k] = 1.0;
        s->vector[k] = 0.0;
    }
}

/* Cholesky: the matrix is positive definite, since every prior has a width. */
static void solve_equations(const solver *s, double damping, double *step)
{
    const uint32_t n = s->task->n_terms;
    double lower[SP_FIT_MAX_TERMS][SP_FIT_MAX_TERMS];
    for (uint32_t k = 0; k < n; k++) {
        for (uint32_t j = 0; j <= k; j++) {
            double sum = s->matrix[k][j] * (k == j ? 1.0 + damping : 1.0);
            for (uint32_t i = 0; i < j; i++) {
                sum -= lower[k][i] * lower[j][i];
            }
            lower[k][j] = k == j ? sqrt(sum) : sum / lower[j][j];
        }
        step[k] = s->vector[k];
        for (uint32_t i = 0; i < k; i++) {
            step[k] -= lower[k][i] * step[i];
        }
        step[k] /= lower[k][k];
    }
    for (uint32_t k = n; k-- > 0;) {
        for (uint32_t i = k + 1; i < n; i++) {
            step[k] -= lower[i][k] * step[i];
        }
        step[k] /= lower[k][k];
    }
}

/* Goes one step down from x; how far the unknown that moved most has moved, 0 when no step leads
 * down. */
static double go_down(const solver *s, double *x, double *value)
{
    const sp_fit_task *task = s->task;
    double step[SP_FIT_MAX_TERMS], next[SP_FIT_MAX_TERMS];
    for (double damping = 0.0; damping <= MAX_DAMPING; damping = fmax(1e-3, 10.0 * damping)) {
        double moved = 0.0;
        solve_equations(s, damping, step);
        for (uint32_t k = 0; k < task->n_terms; k++) {
            next[k] = fmin(fmax(x[k] + step[k], task->priors[k].lo), task->priors[k].hi);
            moved = fmax(moved, fabs(next[k] - x[k]));
        }
        task->residuals(task->user, next, SP_FIT_ALL_TERMS, s->moved);
        const double lower = objective(task, next, s->moved);
        if (lower >= *value) continue;
        memcpy(x, next, task->n_terms * sizeof *x);
        memcpy(s->residuals, s->moved, task->n_rows * sizeof *s->moved);
        *value = lower;
        return moved;
    }
    return 0.0;
}

static void run(solver *s, double *x)
{
    const sp_fit_task *task = s->task;
    task->residuals(task->user, x, SP_FIT_ALL_TERMS, s->residuals);
    double value = objective(task, x, s->residuals);
    for (int round = 0; round < MAX_ROUNDS; round++) {
        find_slopes(s, x);
        build_equations(s, x, NULL, NO_GROUP);
        hold_at_bounds(s, x);
        if (go_down(s, x, &value) <= SETTLED) return;
    }
}

/* Room for residuals twice, and slopes. */
static sp_status open_solver(const sp_fit_task *task, solver *s, sp_error *err)
{
    const size_t n = task->n_rows;
    assert(task->n_terms <= SP_FIT_MAX_TERMS && task->huber > 0.0);
    double *room = sp_alloc((2 + (size_t)task->n_terms) * (n + 1) * sizeof *room);
    if (room == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for the fit");
    *s = (solver){.task = task, .residuals = room, .moved = room + n, .slopes = room + 2 * n};
    return SP_OK;
}

sp_status sp_fit_solve(const sp_fit_task *task, double *x, sp_error *err)
{
    solver s;
    SP_TRY(open_solver(task, &s, err));
    run(&s, x);
    sp_free(s.residuals);
    return SP_OK;
}

static void leave_out(solver *s, const double *x, const uint32_t *group_of_row, uint32_t group,
                      double *residuals)
{
    const sp_fit_task *task = s->task;
    double step[SP_FIT_MAX_TERMS];
    build_equations(s, x, group_of_row, group);
    hold_at_bounds(s, x);
    solve_equations(s, 0.0, step);
    for (uint32_t i = 0; i < task->n_rows; i++) {
        if (task->weights[i] <= 0.0 || group_of_row[i] != group) continue;
        residuals[i] = s->residuals[i];
        for (uint32_t k = 0; k < task->n_terms; k++) {
            residuals[i] += s->slopes[(size_t)k * task->n_rows + i] * step[k];
        }
    }
}

sp_status sp_fit_leave_out(const sp_fit_task *task, const double *x, const uint32_t *group_of_row,
                           uint32_t n_groups, double *residuals, sp_error *err)
{
    solver s;
    SP_TRY(open_solver(task, &s, err));
    task->residuals(task->user, x, SP_FIT_ALL_TERMS, s.residuals);
    find_slopes(&s, x);
    for (uint32_t g = 0; g < n_groups; g++) {
        leave_out(&s, x, group_of_row, g, residuals);
    }
    sp_free(s.residuals);
    return SP_OK;
}
