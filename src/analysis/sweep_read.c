/* SPDX-License-Identifier: Apache-2.0 */
/* Grids of chips, what owning one costs, and what silicon allows, from their files. */
#include "base/base.h"
#include "shardplan/sweep.h"
#include "spec/spec.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static sp_status load_config(sp_arena *arena, const char *home, const char *name,
                             const char *schema, sp_json_doc **doc, sp_error *err)
{
    const char *file = sp_arena_printf(arena, "%s/configs/%s.json", home, name);
    if (file == NULL) return sp_fail(err, SP_E_MEMORY, "out of memory");
    SP_TRY(sp_json_load_file(file, doc, err));
    const sp_json root = sp_json_root(*doc);
    return sp_json_schema(&root, schema, err);
}

/* ---- configs/economics.json, configs/grids.json ---- */

#define FIELD(key, lo, hi)                                                                         \
    {                                                                                              \
#key, SP_Q_COUNT, offsetof(sp_economics, key), lo, hi                                      \
    }
static const sp_figure_field ownership[] = {
    FIELD(lifetime_years, 0.1, 50.0), FIELD(utilization_ratio, 0.001, 1.0), FIELD(pue, 1.0, 5.0)};
static const sp_figure_field electricity[] = {FIELD(usd_per_kwh, 0.0, 10.0)};
static const sp_figure_field embodied[] = {FIELD(embodied_kg, 0.0, 1e6)};
static const sp_figure_field power[] = {FIELD(compute_power_ratio, 0.0, 1.0)};
static const sp_figure_field marks[] = {
    FIELD(score_flops_per_joule, 1.0, 1e18), FIELD(score_price_usd, 1e-3, 1e9),
    FIELD(score_g_per_eflop, 1e-9, 1e12), FIELD(score_no_fit, 0.0, 1.0)};
#undef FIELD

static sp_status read_economics(const sp_json *root, sp_economics *money, sp_error *err)
{
    static const char *const keys[] = {"schema", "ownership", "electricity", "embodied",
                                       "power",  "marks",     "grid"};
    SP_TRY(sp_json_only(root, keys, COUNT(keys), err));
    SP_TRY(sp_figure_set_read(root, "ownership", ownership, COUNT(ownership), money, err));
    SP_TRY(sp_figure_set_read(root, "electricity", electricity, COUNT(electricity), money, err));
    SP_TRY(sp_figure_set_read(root, "embodied", embodied, COUNT(embodied), money, err));
    SP_TRY(sp_figure_set_read(root, "power", power, COUNT(power), money, err));
    return sp_figure_set_read(root, "marks", marks, COUNT(marks), money, err);
}

static sp_status refuse_grid(const sp_json *grids, const char *name, sp_error *err)
{
    const char *names[64];
    size_t n = sp_json_size(grids);
    n = n < COUNT(names) ? n : COUNT(names);
    for (size_t i = 0; i < n; i++) {
        names[i] = sp_json_member(grids, i).key;
    }
    sp_fail(err, SP_E_UNKNOWN_NAME, "no electricity grid goes by this name");
    sp_fail_value(err, "%s", name);
    return sp_fail_names(err, name, names, n);
}

static sp_status read_grid(const sp_json *root, const char *name, double *g_per_kwh, sp_error *err)
{
    sp_json grids;
    SP_TRY(sp_provenance_check(root, err));
    SP_TRY(sp_json_object(root, "g_per_kwh", &grids, err));
    for (size_t i = 0; i < sp_json_size(&grids); i++) {
        const sp_json grid = sp_json_member(&grids, i);
        if (sp_same_name(grid.key, name)) return sp_json_as_double(&grid, 0.0, 1e4, g_per_kwh, err);
    }
    return refuse_grid(&grids, name, err);
}

static sp_status load_grid(sp_arena *arena, const char *home, const char *name, double *g_per_kwh,
                           sp_error *err)
{
    sp_json_doc *doc = NULL;
    sp_status status = load_config(arena, home, "grids", "shardplan/grids/1", &doc, err);
    if (status == SP_OK) {
        const sp_json root = sp_json_root(doc);
        status = read_grid(&root, name, g_per_kwh, err);
    }
    sp_json_free(doc);
    return status;
}

sp_status sp_economics_load(const char *home, const char *grid, sp_economics *money, sp_error *err)
{
    sp_arena scratch = {0};
    sp_json_doc *doc = NULL;
    *money = (sp_economics){0};
    const char *usual = NULL;
    sp_status status = load_config(&scratch, home, "economics", "shardplan/economics/1", &doc, err);
    if (status == SP_OK) {
        const sp_json root = sp_json_root(doc);
        status = read_economics(&root, money, err);
        if (status == SP_OK) status = sp_json_string(&root, "grid", &usual, err);
    }
    if (status == SP_OK) {
        status =
            load_grid(&scratch, home, grid != NULL ? grid : usual, &money->grid_g_per_kwh, err);
    }
    sp_json_free(doc);
    sp_arena_fini(&scratch);
    return status;
}

/* ---- configs/silicon.json ---- */

#define FIELD(key, lo, hi)                                                                         \
    {                                                                                              \
#key, SP_Q_COUNT, offsetof(sp_silicon, key), lo, hi                                        \
    }
static const sp_figure_field silicon_fields[] = {FIELD(mm2_per_tflops, 0.0, 1e6),
                                                 FIELD(mm2_per_gb, 0.0, 1e6),
                                                 FIELD(die_mm2, 1.0, 1e6),
                                                 FIELD(watts_per_tflops, 0.0, 1e6),
                                                 FIELD(watts_per_gb_per_s, 0.0, 1e6),
                                                 FIELD(static_power_ratio, 0.0, 1.0),
                                                 FIELD(most_gb_per_s_per_gb, 1e-3, 1e9)};
#undef FIELD

sp_status sp_silicon_load(const char *home, sp_silicon *silicon, sp_error *err)
{
    sp_arena scratch = {0};
    sp_json_doc *doc = NULL;
    sp_status status = load_config(&scratch, home, "silicon", "shardplan/silicon/1", &doc, err);
    if (status == SP_OK) {
        const sp_json root = sp_json_root(doc);
        status = sp_figure_set_read(&root, "limits", silicon_fields, COUNT(silicon_fields), silicon,
                                    err);
    }
    sp_json_free(doc);
    sp_arena_fini(&scratch);
    return status;
}

/* ---- configs/sweeps ---- */

/* A list of a sweep's file, and what one of its unit is in base units. */
typedef struct sweep_list {
    const char *key;
    double unit, lo, hi;
} sweep_list;

static const sweep_list lists[SP_CHIP_N_FIGURES] = {
    {"peak_tflops_per_s",  1e12, 1e-6, 1e9},
    {"bandwidth_gb_per_s", 1e9,  1e-6, 1e9},
    {"capacity_gb",        1e9,  1e-6, 1e9},
    {"tdp_watts",          1.0,  1e-3, 1e6},
    {"price_usd",          1.0,  1e-2, 1e9},
};

static sp_status read_list(const sp_json *root, uint32_t figure, sp_sweep *sweep, sp_error *err)
{
    const sweep_list *list = &lists[figure];
    sp_json values;
    SP_TRY(sp_json_array(root, list->key, &values, err));
    const size_t n = sp_json_size(&values);
    if (n == 0 || n > SP_SWEEP_MAX_VALUES) {
        sp_json_fail(&values, err, SP_E_RANGE, "the list must have values, and not too many");
        return sp_fail_range(err, "1 .. %d", SP_SWEEP_MAX_VALUES);
    }
    for (size_t i = 0; i < n; i++) {
        const sp_json value = sp_json_at(&values, i);
        double given = 0.0;
        SP_TRY(sp_json_as_double(&value, list->lo, list->hi, &given, err));
        sweep->values[figure][i] = given * list->unit;
    }
    sweep->n_values[figure] = (uint32_t)n;
    sweep->n_points *= n;
    return SP_OK;
}

static sp_status read_sweep(sp_arena *arena, const sp_json *root, sp_sweep *sweep, sp_error *err)
{
    static const char *const keys[] = {"schema",
                                       "name",
                                       "aliases",
                                       "source",
                                       "date",
                                       "peak_tflops_per_s",
                                       "bandwidth_gb_per_s",
                                       "capacity_gb",
                                       "tdp_watts",
                                       "price_usd"};
    const char *name = NULL;
    const char *source = NULL;
    SP_TRY(sp_json_schema(root, "shardplan/sweep/1", err));
    SP_TRY(sp_json_only(root, keys, COUNT(keys), err));
    SP_TRY(sp_provenance_check(root, err));
    SP_TRY(sp_json_string(root, "name", &name, err));
    SP_TRY(sp_json_string(root, "source", &source, err));
    SP_TRY(sp_text_keep(arena, name, &sweep->name, err));
    SP_TRY(sp_text_keep(arena, source, &sweep->source, err));
    sweep->n_points = 1;
    for (uint32_t f = 0; f < SP_CHIP_N_FIGURES; f++) {
        SP_TRY(read_list(root, f, sweep, err));
    }
    return SP_OK;
}

static bool is_path(const char *ref)
{
    const size_t length = strlen(ref);
    return strchr(ref, '/') != NULL || (length > 5 && strcmp(ref + length - 5, ".json") == 0);
}

sp_status sp_sweep_find(sp_arena *arena, const char *home, const char *ref, const sp_sweep **sweep,
                        sp_error *err)
{
    static const sp_catalogue sweeps = {"sweep", "../configs/sweeps", "shardplan/sweep/1"};
    sp_sweep *made = sp_arena_alloc(arena, sizeof *made);
    sp_json_doc *doc = NULL;
    if (made == NULL) return sp_fail(err, SP_E_MEMORY, "out of memory");
    /* A preset's name may hold a slash; a file must be there to be meant. */
    SP_TRY(is_path(ref) && sp_file_exists(ref) ? sp_json_load_file(ref, &doc, err)
                                               : sp_catalogue_load(home, &sweeps, ref, &doc, err));
    const sp_json root = sp_json_root(doc);
    const sp_status status = read_sweep(arena, &root, made, err);
    sp_json_free(doc);
    *sweep = made;
    return status;
}
