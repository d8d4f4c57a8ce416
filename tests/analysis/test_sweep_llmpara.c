/* SPDX-License-Identifier: Apache-2.0 */
/* Where LLM-para is right, we say the same: energy, ownership, carbon, cache sizes, all-reduces,
 * tokens of a speculative step, memory tiers. */
#include "sweep_records.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static bool has_mla(const sp_json *record)
{
    return reference_has(record, "config/use_mla");
}

/* ---- the copy of its rows that other tests stand on ---- */

typedef struct compared {
    const reference_rows *rows;
    const sp_json *record;
    size_t idx;
    sp_chip chip;
    sp_economics money;
    double flops, bytes;
} compared;

static void compare_row(const sp_json *row, void *user)
{
    const compared *c = user;
    const reference_row *ours = &c->rows->row[c->idx];
    assert_close(ours->flops_all, reference_number(row, "flops_total"), 1e-12);
    assert_close(ours->bytes_all, reference_number(row, "total_bytes_total"), 1e-12);
    assert_close(ours->density, reference_number(row, "density"), 1e-12);
}

static void compare_rows(const sp_json *record, void *user)
{
    reference_rows rows;
    (void)user;
    if (has_mla(record) || !reference_has(record, "config/rope_theta")) return;
    reference_rows_of(record, &rows);
    assert_int_equal(rows.n, reference_count(record, "rows"));
    for (size_t i = 0; i < rows.n; i++) {
        compared c = {.rows = &rows, .idx = i};
        reference_element(record, "rows", i, compare_row, &c);
    }
}

static void our_copy_of_its_formulas_gives_its_rows(void **state)
{
    (void)state;
    reference_each("analysis", compare_rows, NULL);
}

/* ---- energy ---- */

static void take_row(const sp_json *row, void *user)
{
    compared *c = user;
    c->flops = reference_number(row, "flops_total");
    c->bytes = reference_number(row, "total_bytes_total");
}

/* Time exactly. It takes utilizations from the density rounded to 4 decimals, so its energy is ours
 * up to 5e-5 / density, and exactly where rounding changed nothing. */
static void compare_energy(const sp_json *point, void *user)
{
    compared *c = user;
    const double density = reference_number(point, "density");
    reference_element(c->record, "rows", c->idx, take_row, c);
    const double compute_s = c->flops / c->chip.flops_per_s;
    const double memory_s = c->bytes / c->chip.bytes_per_s;
    const double joules =
        sp_energy_joules(&c->chip, c->money.compute_power_ratio, c->flops, c->bytes);
    const double rounding = fabs(density / (c->flops / c->bytes) - 1.0);
    assert_close(fmax(compute_s, memory_s), reference_number(point, "time_s"), 1e-12);
    assert_close(joules, reference_number(point, "energy_j"), 1.001 * rounding + 1e-12);
    assert_close(joules / fmax(compute_s, memory_s), reference_number(point, "power_w"),
                 1.001 * rounding + 1e-12);
    assert_true(rounding * c->flops / c->bytes <= 5.001e-5);
}

static void row_density(const sp_json *row, void *user)
{
    *(double *)user = reference_number(row, "density");
}

static void compare_energies(const sp_json *record, void *user)
{
    compared c = {
        .record = record, .chip = reference_chip(record), .money = reference_money(record)};
    size_t point = 0;
    for (c.idx = 0; c.idx < reference_count(record, "rows"); c.idx++) {
        double density = 0.0;
        reference_element(record, "rows", c.idx, row_density, &density);
        if (density > 0.0) {
            reference_element(record, "metrics/energy_points", point++, compare_energy, &c);
            (*(uint32_t *)user)++;
        }
    }
    assert_int_equal(point, reference_count(record, "metrics/energy_points"));
}

static void each_operator_takes_its_time_power_and_energy(void **state)
{
    uint32_t n = 0;
    (void)state;
    reference_each("analysis", compare_energies, &n);
    print_message("%u operators\n", n);
}

/* ---- ownership and carbon ---- */

static void compare_ownership(const sp_json *record, void *user)
{
    const sp_chip chip = reference_chip(record);
    const sp_economics money = reference_money(record);
    const sp_ownership own = sp_own(&chip, &money);
    (void)user;
    assert_close(own.flops, reference_number(record, "metrics/tco/total_flops"), 1e-12);
    assert_close(own.electricity_kwh, reference_number(record, "metrics/tco/electricity_kwh"),
                 1e-12);
    assert_close(own.electricity_usd, reference_number(record, "metrics/tco/electricity_cost_usd"),
                 1e-12);
    assert_close(own.total_usd, reference_number(record, "metrics/tco/total_tco_usd"), 1e-12);
    assert_close(own.hardware_usd_per_eflop,
                 reference_number(record, "metrics/tco/hw_cost_per_eflop_usd"), 1e-12);
    assert_close(own.electricity_usd_per_eflop,
                 reference_number(record, "metrics/tco/energy_cost_per_eflop_usd"), 1e-12);
    assert_close(own.usd_per_eflop, reference_number(record, "metrics/tco/tco_per_eflop_usd"),
                 1e-12);
}

static void owning_each_platform_costs_the_same(void **state)
{
    (void)state;
    reference_each("analysis", compare_ownership, NULL);
}

/* Its carbon is ours with PUE 1 and the life that it fixes: 3 years at a half. */
static void compare_carbon(const sp_json *record, void *user)
{
    const sp_chip chip = reference_chip(record);
    sp_economics money = reference_money(record);
    (void)user;
    money.pue = 1.0;
    money.lifetime_years = 3.0;
    money.utilization_ratio = 0.5;
    const sp_ownership own = sp_own(&chip, &money);
    assert_close(own.operational_g_per_eflop,
                 reference_number(record, "metrics/co2e/op_co2e_per_eflop_g"), 1e-12);
    assert_close(own.embodied_g_per_eflop,
                 reference_number(record, "metrics/co2e/emb_co2e_per_eflop_g"), 1e-12);
    assert_close(own.g_per_eflop, reference_number(record, "metrics/co2e/total_co2e_per_eflop_g"),
                 1e-12);
}

static void carbon_without_the_building_is_the_same(void **state)
{
    (void)state;
    reference_each("analysis", compare_carbon, NULL);
}

static void compare_grid(const sp_json *record, void *user)
{
    sp_economics money;
    sp_error err = {0};
    (void)user;
    must(sp_economics_load(source_home(), reference_text(record, "metrics_inputs/co2_region"),
                           &money, &err),
         &err);
    assert_close(money.grid_g_per_kwh,
                 reference_number(record, "metrics/co2e/carbon_intensity_gco2_kwh"), 0.0);
}

static void our_table_of_grids_is_the_same(void **state)
{
    (void)state;
    reference_each("analysis", compare_grid, NULL);
}

/* ---- cache ---- */

static void compare_cache(const sp_json *record, void *user)
{
    made_model made;
    sp_gpu gpu;
    sp_arena arena = {0};
    sp_error err = {0};
    const sp_analysis *a = NULL;
    (void)user;
    if (has_mla(record)) return;
    reference_model(record, "config", &made);
    const sp_analysis_question q = reference_question(record, &made, &gpu);
    must(sp_analyze(&arena, &q, &a, &err), &err);
    assert_close(a->kv_bytes_per_token, reference_number(record, "summary/kv_bytes_per_token"),
                 1e-12);
    assert_close(a->kv_prompt_bytes, reference_number(record, "metrics/memory/kv_prefill_gb") * 1e9,
                 1e-12);
    assert_close(a->kv_max_bytes, reference_number(record, "metrics/memory/kv_max_gb") * 1e9,
                 1e-12);
    assert_close(a->kv_generated_bytes,
                 reference_number(record, "summary/kv_decode_mb") * 1048576.0, 1e-12);
    sp_arena_fini(&arena);
}

static void caches_have_the_same_size(void **state)
{
    (void)state;
    reference_each("analysis", compare_cache, NULL);
}

/* ---- several chips ---- */

/* Ours sends partial sums in 16 bits even where activations are kept in 8; it sends them in 8. */
static void compare_all_reduce(const sp_json *record, void *user)
{
    made_model made;
    sp_gpu gpu;
    sp_arena arena = {0};
    sp_error err = {0};
    const sp_analysis *a = NULL;
    double sent_bytes = 0.0;
    if (has_mla(record) || !reference_has(record, "parallelism")) return;
    reference_model(record, "config", &made);
    sp_analysis_question q = reference_question(record, &made, &gpu);
    q.tp = (uint32_t)reference_number(record, "parallelism_inputs/tp_degree");
    must(sp_analyze(&arena, &q, &a, &err), &err);
    for (uint32_t i = 0; i < a->n_operators; i++) {
        const sp_operator *row = &a->operators[i];
        if (row->phase != SP_PHASE_DECODE || strstr(row->name, "_all_reduce") == NULL) continue;
        if (row->layers != made.model.n_layers) continue; /* ends of the model: it has none */
        sent_bytes += row->network_bytes * row->layers / made.model.n_layers;
    }
    const double wider = fmax(1.0, 16.0 / q.bits.activation);
    assert_close(
        sent_bytes,
        wider * reference_number(record, "parallelism/communication/tp_allreduce_volume_per_layer"),
        1e-12);
    (*(uint32_t *)user)++;
    sp_arena_fini(&arena);
}

static void an_all_reduce_sends_as_much(void **state)
{
    uint32_t n = 0;
    (void)state;
    reference_each("analysis", compare_all_reduce, &n);
    assert_int_equal(n, 6);
}

/* ---- speculative decoding ---- */

static void compare_curve_point(const sp_json *point, void *user)
{
    const uint32_t depth = (uint32_t)reference_number(point, "gamma");
    const double tokens = sp_speculate_tokens(*(const double *)user, depth);
    assert_true(fabs(tokens - reference_number(point, "expected_tokens")) <= 0.005 + 1e-12);
}

static void compare_curve(const sp_json *from, void *user)
{
    double alpha = reference_number(from, "alpha");
    (void)user;
    for (size_t i = 0; i < reference_count(from, "points"); i++) {
        reference_element(from, "points", i, compare_curve_point, &alpha);
    }
}

static void compare_tokens(const sp_json *record, void *user)
{
    (void)user;
    if (!reference_has(record, "speculative")) return;
    const double tokens =
        sp_speculate_tokens(reference_number(record, "speculative_inputs/alpha"),
                            (uint32_t)reference_number(record, "speculative_inputs/gamma"));
    assert_true(fabs(tokens - reference_number(record, "speculative/expected_tokens_per_step")) <=
                0.005 + 1e-12);
    for (size_t i = 0; i < reference_count(record, "speculative/sweep/curves"); i++) {
        reference_element(record, "speculative/sweep/curves", i, compare_curve, NULL);
    }
}

static void a_speculative_step_yields_as_many_tokens(void **state)
{
    (void)state;
    reference_each("analysis", compare_tokens, NULL);
}

/* ---- memory tiers ---- */

static void compare_tier(const sp_json *record, const sp_tier *tier)
{
    char path[96];
    static const struct {
        const char *key;
        double unit;
        size_t offset;
    } figures[] = {
        {"bandwidth",          1.0,   offsetof(sp_tier, bytes_per_s)    },
        {"capacity",           1.0,   offsetof(sp_tier, capacity_bytes) },
        {"energy_per_byte_pj", 1e-12, offsetof(sp_tier, joules_per_byte)},
        {"latency_ns",         1e-9,  offsetof(sp_tier, latency_s)      },
    };
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        double ours;
        (void)snprintf(path, sizeof path, "hardware/memory_tiers/%s/%s", tier->name,
                       figures[i].key);
        memcpy(&ours, (const char *)tier + figures[i].offset, sizeof ours);
        assert_close(ours, reference_number(record, path) * figures[i].unit, 1e-12);
    }
}

static void compare_tiers(const sp_json *record, void *user)
{
    sp_arena arena = {0};
    sp_error err = {0};
    const sp_tiered_chip *chip = NULL;
    if (!reference_has(record, "hetero")) return;
    must(sp_tiered_chip_find(&arena, source_home(), reference_text(record, "hardware_key"), &chip,
                             &err),
         &err);
    for (uint32_t t = 0; t < chip->n_tiers; t++) {
        compare_tier(record, &chip->tiers[t]);
    }
    assert_close(chip->chip.flops_per_s, reference_number(record, "hardware/peak_performance_fp16"),
                 1e-12);
    assert_close(chip->chip.tdp_watts, reference_number(record, "hardware/tdp_w"), 0.0);
    assert_close(chip->chip.price_usd, reference_number(record, "hardware/cost_usd"), 0.0);
    (*(uint32_t *)user)++;
    sp_arena_fini(&arena);
}

static void our_files_of_tiers_have_the_same_figures(void **state)
{
    uint32_t n = 0;
    (void)state;
    reference_each("analysis", compare_tiers, &n);
    assert_int_equal(n, 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_copy_of_its_formulas_gives_its_rows),
        cmocka_unit_test(each_operator_takes_its_time_power_and_energy),
        cmocka_unit_test(owning_each_platform_costs_the_same),
        cmocka_unit_test(carbon_without_the_building_is_the_same),
        cmocka_unit_test(our_table_of_grids_is_the_same),
        cmocka_unit_test(caches_have_the_same_size),
        cmocka_unit_test(an_all_reduce_sends_as_much),
        cmocka_unit_test(a_speculative_step_yields_as_many_tokens),
        cmocka_unit_test(our_files_of_tiers_have_the_same_figures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
