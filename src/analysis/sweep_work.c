/* SPDX-License-Identifier: Apache-2.0 */
/* The operators of an analysis reduced to what the roofline of any chip asks of them. Sorted by
 * intensity, those left of the ridge take as long as their bytes and those right of it as long as
 * their FLOPs, so a phase costs one binary search and two running sums. */
#include "analysis/analysis_priv.h"
#include "base/base.h"
#include "shardplan/sweep.h"

#include <math.h>
#include <stdlib.h>

/* Operators first .. n - 1 of a phase by rising intensity. */
typedef struct work_phase {
    uint32_t n;
    const double *intensity;
    const double *bytes_below; /* [k]: of operators 0 .. k - 1 */
    const double *flops_from;  /* [k]: of operators k .. n - 1, in FLOPs of the matrix units */
    double flops, bytes;       /* of all */
    double model_flops;        /* as counted, whichever unit runs them */
    double network_s;
} work_phase;

struct sp_workload {
    work_phase phase[SP_WORK_N_PHASES];
    double memory_needed_bytes;
    double batch, generated_tokens;
};

/* One operator on its way into a phase; flops as the matrix units would count its time. */
typedef struct work_op {
    double flops, bytes, intensity;
} work_op;

static const sp_phase phases[SP_WORK_N_PHASES] = {SP_PHASE_PREFILL, SP_PHASE_DECODE,
                                                  SP_PHASE_LAST_DECODE};

/* An operator whose time does not depend on its bytes stands behind all others. */
static int by_intensity(const void *left, const void *right)
{
    const work_op *a = left, *b = right;
    return (a->intensity > b->intensity) - (a->intensity < b->intensity);
}

static work_op reduce(const sp_operator *row, double peak)
{
    const double bytes = row->weight_bytes + row->read_bytes + row->write_bytes;
    const double flops = row->compute_s * peak;
    return (work_op){.flops = row->layers * flops,
                     .bytes = row->layers * bytes,
                     .intensity = bytes > 0.0 ? flops / bytes : HUGE_VAL};
}

static void sum_up(const work_op *ops, uint32_t n, double *intensity, double *bytes_below,
                   double *flops_from)
{
    bytes_below[0] = 0.0;
    flops_from[n] = 0.0;
    for (uint32_t i = 0; i < n; i++) {
        intensity[i] = ops[i].intensity;
        bytes_below[i + 1] = bytes_below[i] + ops[i].bytes;
        flops_from[n - 1 - i] = flops_from[n - i] + ops[n - 1 - i].flops;
    }
}

static sp_status build_phase(sp_arena *arena, const sp_analysis *analysis,
                             const sp_phase_total *total, double peak, work_phase *phase,
                             sp_error *err)
{
    const uint32_t n = total->count;
    work_op *ops = sp_arena_alloc(arena, (n + 1) * sizeof *ops);
    double *intensity = sp_arena_alloc(arena, (n + 1) * sizeof *intensity);
    double *bytes_below = sp_arena_alloc(arena, (n + 1) * sizeof *bytes_below);
    double *flops_from = sp_arena_alloc(arena, (n + 1) * sizeof *flops_from);
    if (ops == NULL || intensity == NULL || bytes_below == NULL || flops_from == NULL) {
        return sp_fail(err, SP_E_MEMORY, "the sweep needs more");
    }
    for (uint32_t i = 0; i < n; i++) {
        ops[i] = reduce(&analysis->operators[total->first + i], peak);
    }
    qsort(ops, n, sizeof *ops, by_intensity);
    sum_up(ops, n, intensity, bytes_below, flops_from);
    *phase = (work_phase){.n = n,
                          .intensity = intensity,
                          .bytes_below = bytes_below,
                          .flops_from = flops_from,
                          .flops = flops_from[0],
                          .bytes = bytes_below[n],
                          .model_flops = total->flops,
                          .network_s = total->network_s};
    return SP_OK;
}

sp_status sp_workload_build(sp_arena *arena, const sp_analysis_question *question,
                            const sp_analysis *analysis, sp_workload **workload, sp_error *err)
{
    sp_workload *made = sp_arena_alloc(arena, sizeof *made);
    if (made == NULL) return sp_fail(err, SP_E_MEMORY, "the sweep needs more");
    const double peak = question->gpu->peak_flops_per_s[question->compute];
    for (uint32_t p = 0; p < SP_WORK_N_PHASES; p++) {
        const sp_phase_total *total = &analysis->phase[phases[p]];
        if (!total->present) {
            return sp_fail(err, SP_E_INCONSISTENT, "a sweep needs the %s phase of the analysis",
                           sp_phase_name(phases[p]));
        }
        SP_TRY(build_phase(arena, analysis, total, peak, &made->phase[p], err));
    }
    made->memory_needed_bytes = analysis->memory_needed_bytes;
    made->batch = (double)question->batch;
    made->generated_tokens = (double)question->generated_tokens;
    *workload = made;
    return SP_OK;
}

double sp_workload_memory_bytes(const sp_workload *workload)
{
    return workload->memory_needed_bytes;
}

/* Operators whose intensity lies below the ridge. The halving steps carry no branch that a
 * processor would have to guess. */
static uint32_t count_below(const work_phase *phase, double ridge)
{
    uint32_t first = 0;
    for (uint32_t left = phase->n; left > 0;) {
        const uint32_t half = (left + 1) / 2;
        first += phase->intensity[first + half - 1] < ridge ? half : 0;
        left -= half;
    }
    return first;
}

double sp_workload_time_s(const sp_workload *workload, uint32_t phase, const sp_chip *chip)
{
    const work_phase *work = &workload->phase[phase];
    const uint32_t k = count_below(work, chip->flops_per_s / chip->bytes_per_s);
    return work->bytes_below[k] / chip->bytes_per_s + work->flops_from[k] / chip->flops_per_s +
           work->network_s;
}

/* first + generated x mean of the two decode passes */
static double per_request(const sp_workload *w, double prefill, double decode, double last)
{
    return prefill + w->generated_tokens * 0.5 * (decode + last);
}

static double joules(const sp_workload *w, const sp_economics *money, const sp_chip *chip)
{
    const work_phase *p = w->phase;
    return sp_energy_joules(chip, money->compute_power_ratio,
                            per_request(w, p[0].flops, p[1].flops, p[2].flops),
                            per_request(w, p[0].bytes, p[1].bytes, p[2].bytes));
}

#define J_PER_KWH    3.6e6
#define G_PER_KG     1e3
#define TOKENS_PER_M 1e6

/* Of the request: the chip's price and making by the share of its life that it takes, and its
 * electricity by the energy that it draws. */
static void add_money(const sp_workload *w, const sp_economics *money, const sp_chip *chip,
                      sp_chip_price *price)
{
    const sp_ownership own = sp_own(chip, money);
    const double share = price->request_s / own.busy_s;
    const double kwh = price->energy_joules / J_PER_KWH * money->pue;
    const double mtok = w->batch * w->generated_tokens / TOKENS_PER_M;
    price->usd_per_mtok = (chip->price_usd * share + kwh * money->usd_per_kwh) / mtok;
    price->g_per_mtok =
        (money->embodied_kg * G_PER_KG * share + kwh * money->grid_g_per_kwh) / mtok;
    price->usd_per_eflop = own.usd_per_eflop;
    price->g_per_eflop = own.g_per_eflop;
}

sp_chip_price sp_chip_evaluate(const sp_workload *w, const sp_economics *money, const sp_chip *chip)
{
    const work_phase *p = w->phase;
    const double flops = per_request(w, p[0].model_flops, p[1].model_flops, p[2].model_flops);
    sp_chip_price price = {.prefill_s = sp_workload_time_s(w, 0, chip),
                           .decode_s = sp_workload_time_s(w, 1, chip),
                           .last_decode_s = sp_workload_time_s(w, 2, chip),
                           .fits = w->memory_needed_bytes <= chip->capacity_bytes};
    price.request_s = per_request(w, price.prefill_s, price.decode_s, price.last_decode_s);
    price.tokens_per_s = 2.0 * w->batch / (price.decode_s + price.last_decode_s);
    price.flops_per_s = flops / price.request_s;
    price.energy_joules = joules(w, money, chip);
    price.joules_per_token = price.energy_joules / (w->batch * w->generated_tokens);
    price.flops_per_joule = flops / price.energy_joules;
    add_money(w, money, chip, &price);
    return price;
}
