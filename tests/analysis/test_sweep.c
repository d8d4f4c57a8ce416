/* SPDX-License-Identifier: Apache-2.0 */
/* Design points: their times are those of the analysis, and fronts, grids and scores are what their
 * definitions say. */
#include "common/draw.h"
#include "sweep_fixture.h"

#include <math.h>

static void a_chip_like_the_accelerator_takes_as_long_as_the_analysis(void **state)
{
    swept s;
    (void)state;
    sweep_setup(&s);
    const sp_chip chip = sweep_own_chip(&s);
    const sp_phase_total *phase = s.analysis->phase;
    assert_close(sp_workload_time_s(s.workload, 0, &chip), phase[SP_PHASE_PREFILL].time_s, 1e-12);
    assert_close(sp_workload_time_s(s.workload, 1, &chip), phase[SP_PHASE_DECODE].time_s, 1e-12);
    assert_close(sp_workload_time_s(s.workload, 2, &chip), phase[SP_PHASE_LAST_DECODE].time_s,
                 1e-12);
    sweep_fini(&s);
}

/* The sum that the running sums stand for, written out. */
static double time_by_rows(const swept *s, sp_phase phase, const sp_chip *chip)
{
    double time_s = 0.0;
    for (uint32_t i = 0; i < s->analysis->n_operators; i++) {
        const sp_operator *row = &s->analysis->operators[i];
        const double bytes = row->weight_bytes + row->read_bytes + row->write_bytes;
        const double compute_s = row->compute_s * 100e12 / chip->flops_per_s;
        if (row->phase != phase) continue;
        time_s += row->layers * fmax(compute_s, bytes / chip->bytes_per_s);
    }
    return time_s;
}

static void any_chip_takes_the_sum_of_the_rooflines_of_its_operators(void **state)
{
    swept s;
    (void)state;
    sweep_setup(&s);
    draw d = draw_begin("roofline by running sums");
    for (int i = 0; i < 2000; i++) {
        const sp_chip chip = {.flops_per_s = draw_scale(&d, 1e11, 1e16),
                              .bytes_per_s = draw_scale(&d, 1e9, 1e14)};
        assert_close(sp_workload_time_s(s.workload, 0, &chip),
                     time_by_rows(&s, SP_PHASE_PREFILL, &chip), 1e-12);
        assert_close(sp_workload_time_s(s.workload, 1, &chip),
                     time_by_rows(&s, SP_PHASE_DECODE, &chip), 1e-12);
    }
    sweep_fini(&s);
}

/* One second at full arithmetic and half a second of memory: 400 W (0.6 x 1 + 0.4 x 0.5) = 320 J.
 */
static void energy_is_what_both_halves_of_the_chip_draw_while_busy(void **state)
{
    const sp_chip chip = {.flops_per_s = 1e14, .bytes_per_s = 1e12, .tdp_watts = 400.0};
    (void)state;
    assert_close(sp_energy_joules(&chip, 0.6, 1e14, 0.5e12), 320.0, 1e-12);
    assert_close(sp_energy_joules(&chip, 0.6, 0.0, 1e12), 160.0, 1e-12);
}

/* 3 years of 8,766 h at a half: 13,149 h. 400 W x 1.2 = 0.48 kW: 6,311.52 kWh, $631.152.
 * 10^14 FLOP/s for 47,336,400 s: 4,733.64 EFLOP; 20,631.152 / 4,733.64 = $4.358412... each. */
static void owning_a_chip_costs_its_price_and_its_electricity(void **state)
{
    const sp_chip chip = {.flops_per_s = 1e14, .tdp_watts = 400.0, .price_usd = 20000.0};
    const sp_economics money = sweep_money();
    (void)state;
    const sp_ownership own = sp_own(&chip, &money);
    assert_close(own.busy_s, 47336400.0, 1e-12);
    assert_close(own.electricity_kwh, 6311.52, 1e-12);
    assert_close(own.total_usd, 20631.152, 1e-12);
    assert_close(own.usd_per_eflop, 20631.152 / 4733.64, 1e-12);
    assert_close(own.operational_g_per_eflop, 6311.52 * 400.0 / 4733.64, 1e-12);
    assert_close(own.embodied_g_per_eflop, 80000.0 / 4733.64, 1e-12);
}

static void a_longer_life_spreads_the_making_and_not_the_grid(void **state)
{
    const sp_chip chip = {.flops_per_s = 1e14, .tdp_watts = 400.0, .price_usd = 20000.0};
    sp_economics money = sweep_money();
    (void)state;
    const sp_ownership three = sp_own(&chip, &money);
    money.lifetime_years = 6.0;
    const sp_ownership six = sp_own(&chip, &money);
    assert_close(six.embodied_g_per_eflop, three.embodied_g_per_eflop / 2.0, 1e-12);
    assert_close(six.operational_g_per_eflop, three.operational_g_per_eflop, 1e-12);
}

static void a_request_pays_its_share_of_life_and_its_own_energy(void **state)
{
    swept s;
    (void)state;
    sweep_setup(&s);
    const sp_chip chip = sweep_own_chip(&s);
    const sp_economics money = sweep_money();
    const sp_chip_price price = sp_chip_evaluate(s.workload, &money, &chip);
    const double tokens = 8.0 * 512.0;
    assert_close(price.request_s,
                 price.prefill_s + 512.0 * 0.5 * (price.decode_s + price.last_decode_s), 1e-12);
    assert_close(
        price.usd_per_mtok,
        (20000.0 * price.request_s / 47336400.0 + price.energy_joules / 3.6e6 * 1.2 * 0.1) * 1e6 /
            tokens,
        1e-12);
    assert_close(price.joules_per_token, price.energy_joules / tokens, 1e-12);
    assert_true(price.fits);
    sweep_fini(&s);
}

static void nothing_is_attained_above_the_peak_and_no_power_is_above_the_limit(void **state)
{
    swept s;
    (void)state;
    sweep_setup(&s);
    const sp_economics money = sweep_money();
    draw d = draw_begin("attained at most the peak");
    for (int i = 0; i < 2000; i++) {
        const sp_chip chip = {.flops_per_s = draw_scale(&d, 1e11, 1e16),
                              .bytes_per_s = draw_scale(&d, 1e9, 1e14),
                              .capacity_bytes = draw_scale(&d, 1e8, 1e12),
                              .tdp_watts = draw_scale(&d, 1.0, 1e3),
                              .price_usd = draw_scale(&d, 10.0, 1e5)};
        const sp_chip_price price = sp_chip_evaluate(s.workload, &money, &chip);
        const sp_scores scores = sp_chip_scores(&chip, &price, &money);
        assert_at_most(price.flops_per_s, chip.flops_per_s, 1e-12);
        assert_at_most(price.energy_joules, price.request_s * chip.tdp_watts, 1e-12);
        assert_at_most(scores.overall, 1.0, 0.0);
    }
    sweep_fini(&s);
}

static void a_grid_changes_its_last_figure_fastest(void **state)
{
    sp_sweep sweep = {
        .n_values = {2, 3, 1, 1, 2},
          .n_points = 12
    };
    (void)state;
    for (uint32_t f = 0; f < SP_CHIP_N_FIGURES; f++) {
        for (uint32_t v = 0; v < 3; v++) {
            sweep.values[f][v] = 10.0 * (f + 1) + v;
        }
    }
    assert_close(sp_sweep_chip(&sweep, 0).price_usd, 50.0, 0.0);
    assert_close(sp_sweep_chip(&sweep, 1).price_usd, 51.0, 0.0);
    assert_close(sp_sweep_chip(&sweep, 5).bytes_per_s, 22.0, 0.0);
    assert_close(sp_sweep_chip(&sweep, 6).flops_per_s, 11.0, 0.0);
    assert_close(sp_sweep_chip(&sweep, 6).bytes_per_s, 20.0, 0.0);
}

static void thinning_never_takes_more_points_than_asked_and_reaches_the_end(void **state)
{
    const sp_sweep sweep = {.n_points = 2400};
    (void)state;
    for (uint64_t most = 1; most <= 2500; most++) {
        const uint64_t n = sp_sweep_thinned(&sweep, most);
        assert_int_equal(n, most < 2400 ? most : 2400);
        const uint64_t step = (2400 + n - 1) / n;
        for (uint64_t i = 1; i < n; i++) {
            assert_true(sp_sweep_id(&sweep, n, i) > sp_sweep_id(&sweep, n, i - 1));
        }
        assert_true(sp_sweep_id(&sweep, n, n - 1) + step >= 2400);
    }
}

enum { N_CLOUD = 300 };

static bool is_beaten(const double *x, const double *y, uint32_t i)
{
    for (uint32_t j = 0; j < N_CLOUD; j++) {
        if (x[j] >= x[i] && y[j] <= y[i] && (x[j] > x[i] || y[j] < y[i])) return true;
    }
    return false;
}

/* Coordinates from few values, so that many points are alike in one or both. */
static void a_front_is_what_comparing_all_pairs_leaves(void **state)
{
    draw d = draw_begin("front by pairs");
    (void)state;
    for (int cloud = 0; cloud < 200; cloud++) {
        double x[N_CLOUD], y[N_CLOUD];
        uint32_t order[N_CLOUD], n_left = 0;
        const uint32_t values = draw_between(&d, 1, 40);
        for (uint32_t i = 0; i < N_CLOUD; i++) {
            x[i] = draw_between(&d, 1, values);
            y[i] = draw_between(&d, 1, values);
        }
        const uint32_t n = sp_front_2d(x, y, N_CLOUD, order);
        for (uint32_t i = 0; i < N_CLOUD; i++) {
            n_left += !is_beaten(x, y, i);
        }
        assert_int_equal(n, n_left);
        for (uint32_t i = 0; i < n; i++) {
            assert_false(is_beaten(x, y, order[i]));
            assert_true(i == 0 || x[order[i]] <= x[order[i - 1]]);
        }
    }
}

static void every_preset_reads_and_its_fronts_hold_only_chips_that_fit(void **state)
{
    static const struct {
        const char *name;
        uint64_t n_points;
    } presets[] = {
        {"quick-scan",            243 },
        {"edge-mobile",           3000},
        {"Datacenter GPU DSE",    2400},
        {"PIM / Near-Memory DSE", 1920},
        {"custom",                1600}
    };
    swept s;
    sp_error err = {0};
    sp_economics money;
    (void)state;
    sweep_setup(&s);
    must(sp_economics_load(source_home(), NULL, &money, &err), &err);
    for (size_t i = 0; i < sizeof presets / sizeof presets[0]; i++) {
        const sp_sweep *sweep = NULL;
        const sp_sweep_result *result = NULL;
        must(sp_sweep_find(&s.arena, source_home(), presets[i].name, &sweep, &err), &err);
        must(sp_sweep_run(&s.arena, s.workload, &money, sweep, 0, &result, &err), &err);
        assert_int_equal(result->n_points, presets[i].n_points);
        for (sp_sweep_metric m = SP_SWEEP_COST; m < SP_SWEEP_N_METRICS; m++) {
            assert_true(result->n_front[m] > 0);
            const sp_sweep_point *fastest = &result->points[result->front[m][0]];
            const sp_sweep_point *best = &result->points[result->best[SP_SWEEP_SPEED]];
            assert_close(fastest->price.tokens_per_s, best->price.tokens_per_s, 0.0);
            for (uint32_t p = 0; p < result->n_front[m]; p++) {
                assert_true(result->points[result->front[m][p]].price.fits);
            }
        }
    }
    sweep_fini(&s);
}

static void twice_the_bandwidth_halves_a_step_that_waits_for_memory(void **state)
{
    swept s;
    (void)state;
    sweep_setup(&s);
    const sp_economics money = sweep_money();
    sp_chip chip = sweep_own_chip(&s);
    chip.flops_per_s = 1e20;
    const sp_sweep_point one = sp_sensitivity_point(s.workload, &money, &chip, 1, 1.0);
    const sp_sweep_point two = sp_sensitivity_point(s.workload, &money, &chip, 1, 2.0);
    assert_close(two.chip.bytes_per_s, 2e12, 1e-12);
    assert_close(two.price.tokens_per_s, 2.0 * one.price.tokens_per_s, 1e-9);
    sweep_fini(&s);
}

static void an_unknown_preset_or_grid_is_told_its_nearest(void **state)
{
    sp_arena arena = {0};
    sp_error err = {0};
    sp_economics money;
    const sp_sweep *sweep = NULL;
    (void)state;
    assert_int_equal(sp_sweep_find(&arena, source_home(), "quick-scam", &sweep, &err),
                     SP_E_UNKNOWN_NAME);
    assert_string_equal(err.nearest, "quick-scan");
    assert_int_equal(sp_economics_load(source_home(), "Frankreich", &money, &err),
                     SP_E_UNKNOWN_NAME);
    assert_int_equal(sp_economics_load(source_home(), "germani", &money, &err), SP_E_UNKNOWN_NAME);
    assert_string_equal(err.nearest, "Germany");
    sp_arena_fini(&arena);
}

static void a_sweep_without_a_decode_phase_is_refused(void **state)
{
    swept s;
    sp_error err = {0};
    (void)state;
    sweep_setup(&s);
    s.question.phases = 1u << SP_PHASE_PREFILL;
    must(sp_analyze(&s.arena, &s.question, &s.analysis, &err), &err);
    assert_int_equal(sp_workload_build(&s.arena, &s.question, s.analysis, &s.workload, &err),
                     SP_E_INCONSISTENT);
    sweep_fini(&s);
}

/* Every allocation of loading and running a sweep fails once. */
static void memory_that_runs_out_is_said(void **state)
{
    swept s;
    const sp_economics money = sweep_money();
    sp_status status = SP_E_MEMORY;
    (void)state;
    sweep_setup(&s);
    for (uint64_t n = 1; status != SP_OK && n < 10000; n++) {
        sp_arena arena = {0};
        sp_error err = {0};
        const sp_sweep *sweep = NULL;
        const sp_sweep_result *result = NULL;
        sp_alloc_fail_at(n);
        status = sp_sweep_find(&arena, source_home(), "quick-scan", &sweep, &err);
        if (status == SP_OK) {
            status = sp_sweep_run(&arena, s.workload, &money, sweep, 0, &result, &err);
        }
        sp_alloc_fail_at(0);
        assert_true(status == SP_OK || status == SP_E_MEMORY);
        sp_arena_fini(&arena);
    }
    assert_int_equal(status, SP_OK);
    sweep_fini(&s);
}

static void assumptions_are_changed_one_by_one(void **state)
{
    sp_economics money = sweep_money();
    sp_error err = {0};
    (void)state;
    must(sp_economics_parse(source_home(), "years=4,pue=1.5,grid=Iceland", &money, &err), &err);
    assert_close(money.lifetime_years, 4.0, 0.0);
    assert_close(money.pue, 1.5, 0.0);
    assert_close(money.grid_g_per_kwh, 28.0, 0.0);
    assert_close(money.utilization_ratio, 0.5, 0.0);
    assert_int_equal(sp_economics_parse(source_home(), "pue", &money, &err), SP_E_UNKNOWN_NAME);
    assert_int_equal(sp_economics_parse(source_home(), "pue=1.5x", &money, &err), SP_E_RANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chip_like_the_accelerator_takes_as_long_as_the_analysis),
        cmocka_unit_test(any_chip_takes_the_sum_of_the_rooflines_of_its_operators),
        cmocka_unit_test(energy_is_what_both_halves_of_the_chip_draw_while_busy),
        cmocka_unit_test(owning_a_chip_costs_its_price_and_its_electricity),
        cmocka_unit_test(a_longer_life_spreads_the_making_and_not_the_grid),
        cmocka_unit_test(a_request_pays_its_share_of_life_and_its_own_energy),
        cmocka_unit_test(nothing_is_attained_above_the_peak_and_no_power_is_above_the_limit),
        cmocka_unit_test(a_grid_changes_its_last_figure_fastest),
        cmocka_unit_test(thinning_never_takes_more_points_than_asked_and_reaches_the_end),
        cmocka_unit_test(a_front_is_what_comparing_all_pairs_leaves),
        cmocka_unit_test(every_preset_reads_and_its_fronts_hold_only_chips_that_fit),
        cmocka_unit_test(twice_the_bandwidth_halves_a_step_that_waits_for_memory),
        cmocka_unit_test(an_unknown_preset_or_grid_is_told_its_nearest),
        cmocka_unit_test(a_sweep_without_a_decode_phase_is_refused),
        cmocka_unit_test(memory_that_runs_out_is_said),
        cmocka_unit_test(assumptions_are_changed_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
