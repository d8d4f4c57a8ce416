/* SPDX-License-Identifier: Apache-2.0 */
/* Robust nonlinear least squares for one surface: Levenberg-Marquardt with Marquardt's scaling on
 * the logarithm of time, numbers that are positive fitted by their logarithm, bounds held by
 * projection. Sources: Marquardt, SIAM J. 11(2), 1963; Triggs et al., Bundle Adjustment, 2000,
 * section 4.3 for the weights of a robust cost. */
#include "fidelity/calibrate_priv.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define P            SP_SURFACE_MAX_PARAMS
#define MAX_STEPS    120
#define MAX_TRIES    14
#define DIFFERENCE   1e-5 /* of a logarithm, forward */
#define LEAST_FALL   1e-9 /* of the cost, relative: below it the fit stands still */
#define FIRST_DAMPER 1e-2

typedef struct fit {
    const sp_surface_form *form;
    const sp_fit_rows *rows;
    sp_surface at;       /* the surface at x */
    double x[P];         /* as it is fitted: logarithms */
    double lo[P], hi[P]; /* of x */
    double scale;
    double *log_measured, *residual, *jacobian; /* [row], [row], [row][param] */
} fit;

static void place(const fit *f, const double *x, sp_surface *s)
{
    for (uint32_t p = 0; p < f->form->n_params; p++) {
        s->param[p] = f->form->param[p].is_linear ? x[p] : exp(x[p]);
    }
}

static double residual_of(const fit *f, const sp_surface *s, uint32_t row)
{
    return log(sp_surface_s(s, f->rows->row[row]->dim)) - f->log_measured[row];
}

/* Soft L1: square near zero, straight far from it. */
static double cost_of(const fit *f, const double *x)
{
    sp_surface s = f->at;
    double sum = 0.0;
    place(f, x, &s);
    for (uint32_t i = 0; i < f->rows->n; i++) {
        const double r = residual_of(f, &s, i) / f->scale;
        sum += 2.0 * (sqrt(1.0 + r * r) - 1.0);
    }
    return sum;
}

static void fill_jacobian(fit *f)
{
    const uint32_t n_params = f->form->n_params;
    place(f, f->x, &f->at);
    for (uint32_t i = 0; i < f->rows->n; i++) {
        f->residual[i] = residual_of(f, &f->at, i);
    }
    for (uint32_t p = 0; p < n_params; p++) {
        double x[P];
        sp_surface s = f->at;
        memcpy(x, f->x, sizeof x);
        x[p] += DIFFERENCE;
        place(f, x, &s);
        for (uint32_t i = 0; i < f->rows->n; i++) {
            f->jacobian[(size_t)i * n_params + p] =
                (residual_of(f, &s, i) - f->residual[i]) / DIFFERENCE;
        }
    }
}

/* The normal equations A d = -g of the weighted residuals. */
static void fill_normal(const fit *f, double a[P][P], double g[P])
{
    const uint32_t n = f->form->n_params;
    memset(a, 0, sizeof(double[P][P]));
    memset(g, 0, sizeof(double[P]));
    for (uint32_t i = 0; i < f->rows->n; i++) {
        const double *j = &f->jacobian[(size_t)i * n];
        const double r = f->residual[i] / f->scale, weight = 1.0 / sqrt(1.0 + r * r);
        for (uint32_t p = 0; p < n; p++) {
            g[p] += weight * j[p] * f->residual[i];
            for (uint32_t q = 0; q <= p; q++) {
                a[p][q] += weight * j[p] * j[q];
            }
        }
    }
}

/* Numbers that stand at a bound and would leave it do not move. */
static void hold_at_bounds(const fit *f, double a[P][P], double g[P])
{
    for (uint32_t p = 0; p < f->form->n_params; p++) {
        const bool held = (f->x[p] <= f->lo[p] && g[p] > 0.0) ||
                          (f->x[p] >= f->hi[p] && g[p] < 0.0) || !(a[p][p] > 0.0);
        if (!held) continue;
        for (uint32_t q = 0; q < f->form->n_params; q++) {
            a[p][q] = a[q][p] = 0.0;
        }
        a[p][p] = 1.0;
        g[p] = 0.0;
    }
}

/* Solves (A + damper diag A) d = -g by Cholesky; false where rounding has spoilt it. */
static bool solve(uint32_t n, double a[P][P], const double g[P], double damper, double d[P])
{
    double l[P][P] = {{0}};
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t k = 0; k <= i; k++) {
            double sum = a[i][k] * (i == k ? 1.0 + damper : 1.0);
            for (uint32_t j = 0; j < k; j++) {
                sum -= l[i][j] * l[k][j];
            }
            if (i == k && !(sum > 0.0)) return false;
            l[i][k] = i == k ? sqrt(sum) : sum / l[k][k];
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        d[i] = -g[i];
        for (uint32_t j = 0; j < i; j++) {
            d[i] -= l[i][j] * d[j];
        }
        d[i] /= l[i][i];
    }
    for (uint32_t i = n; i-- > 0;) {
        for (uint32_t j = i + 1; j < n; j++) {
            d[i] -= l[j][i] * d[j];
        }
        d[i] /= l[i][i];
    }
    return true;
}

/* Tries ever shorter steps until one lowers the cost. */
static bool step(fit *f, double *damper, double *cost)
{
    double a[P][P], g[P], d[P] = {0}, x[P] = {0};
    fill_jacobian(f);
    fill_normal(f, a, g);
    hold_at_bounds(f, a, g);
    for (int i = 0; i < MAX_TRIES; i++, *damper *= 4.0) {
        if (!solve(f->form->n_params, a, g, *damper, d)) continue;
        for (uint32_t p = 0; p < f->form->n_params; p++) {
            x[p] = fmin(fmax(f->x[p] + d[p], f->lo[p]), f->hi[p]);
        }
        const double next = cost_of(f, x);
        if (!(next < *cost)) continue;
        const bool moves = *cost - next > LEAST_FALL * *cost;
        memcpy(f->x, x, sizeof x);
        *cost = next;
        *damper = fmax(*damper / 5.0, 1e-9);
        return moves;
    }
    return false;
}

static sp_status allocate(fit *f, sp_error *err)
{
    const size_t n = f->rows->n;
    f->log_measured = sp_alloc((n * (2 + f->form->n_params) + 1) * sizeof(double));
    if (f->log_measured == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for the fit");
    f->residual = f->log_measured + n;
    f->jacobian = f->residual + n;
    return SP_OK;
}

sp_status sp_surface_fit(sp_surface *surface, const sp_fit_rows *rows, double scale, double *cost,
                         sp_error *err)
{
    const sp_surface_form *form = sp_surface_form_of(surface->op);
    fit f = {.form = form, .rows = rows, .at = *surface, .scale = scale};
    assert(form->n_params <= P && scale > 0.0);
    SP_TRY(allocate(&f, err));
    for (uint32_t i = 0; i < rows->n; i++) {
        f.log_measured[i] = log(rows->row[i]->measured_s);
    }
    for (uint32_t p = 0; p < form->n_params; p++) {
        const sp_surface_param *b = &form->param[p];
        f.lo[p] = b->is_linear ? b->lo : log(b->lo);
        f.hi[p] = b->is_linear ? b->hi : log(b->hi);
        f.x[p] = b->is_linear ? surface->param[p] : log(surface->param[p]);
    }
    double damper = FIRST_DAMPER;
    *cost = cost_of(&f, f.x);
    for (int i = 0; i < MAX_STEPS && step(&f, &damper, cost); i++) {
    }
    place(&f, f.x, surface);
    sp_free(f.log_measured);
    return SP_OK;
}
