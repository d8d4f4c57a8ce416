/* SPDX-License-Identifier: Apache-2.0 */
/* A model file in our schema "shardplan/model/1" (configs/schema/model.json): the fields of
 * sp_model by their names, strict, each group with its source and date. A field of a feature that
 * the model does not have may be left out. What a layer is made of is read in model_own_kinds.c. */
#include "spec/model_fields.h"

#include <string.h>

#define SCHEMA       "shardplan/model/1"
#define N_KEYS(keys) (sizeof(keys) / sizeof((keys)[0]))

static bool is_date(const char *text)
{
    static const char pattern[] = "dddd-dd-dd";
    const size_t length = strlen(text);
    if (length != 4 && length != 7 && length != 10) return false;
    for (size_t i = 0; i < length; i++) {
        const bool digit = text[i] >= '0' && text[i] <= '9';
        if (pattern[i] == 'd' ? !digit : text[i] != pattern[i]) return false;
    }
    return true;
}

sp_status sp_model_own_read_origin(const sp_json *group, const char **source, const char **date,
                                   sp_error *err)
{
    SP_TRY(sp_json_string(group, "source", source, err));
    SP_TRY(sp_json_string(group, "date", date, err));
    if (!is_date(*date)) {
        const sp_json value = sp_json_get(group, "date");
        sp_json_fail(&value, err, SP_E_RANGE, "not a date");
        return sp_fail_range(err, "2026, 2026-01, 2026-01-31");
    }
    if (**source != '\0') return SP_OK;
    const sp_json value = sp_json_get(group, "source");
    return sp_json_fail(&value, err, SP_E_RANGE, "must say where the figures come from");
}

static sp_status read_dimensions(sp_model_build *build, const sp_json *root, sp_error *err)
{
    static const char *const more[] = {"projections", "rope_theta", "rope_factor", "source", "date"};
    sp_model *const m = &build->model;
    sp_json g;
    const char *source = NULL;
    const char *date = NULL;
    SP_TRY(sp_json_object(root, "dimensions", &g, err));
    SP_TRY(sp_model_own_read_fields(&g, SP_FIELDS_MODEL, more, N_KEYS(more), m, err));
    SP_TRY(sp_model_own_read_projections(build, &g, m->projections, &m->n_projections, err));
    SP_TRY(sp_json_double_or(&g, "rope_theta", 1.0, 1e18, 0.0, &m->rope_theta, err));
    SP_TRY(sp_json_double_or(&g, "rope_factor", 1.0, 1e6, 0.0, &m->rope_factor, err));
    SP_TRY(sp_model_own_read_origin(&g, &source, &date, err));
    m->source = sp_arena_printf(build->arena, "%s (%s)", source, date);
    build->no_memory = build->no_memory || m->source == NULL;
    return SP_OK;
}

static sp_status read_run(sp_model *model, const sp_json *value, sp_layer_run *run, sp_error *err)
{
    static const char *const keys[] = {"kind", "count"};
    const uint32_t layers_left = SP_MODEL_MAX_LAYERS - model->n_layers;
    SP_TRY(sp_json_only(value, keys, N_KEYS(keys), err));
    SP_TRY(sp_json_u32(value, "kind", 0, model->n_kinds - 1, &run->kind, err));
    SP_TRY(sp_json_u32(value, "count", 1, layers_left, &run->count, err));
    model->n_layers += run->count;
    return SP_OK;
}

static sp_status read_runs(sp_model_build *build, const sp_json *root, sp_error *err)
{
    sp_model *const model = &build->model;
    sp_json list;
    SP_TRY(sp_json_array(root, "runs", &list, err));
    const size_t n_runs = sp_json_size(&list);
    if (n_runs < 1 || n_runs > SP_MODEL_MAX_LAYERS) {
        sp_json_fail(&list, err, SP_E_RANGE, "wrong number of runs of layers");
        sp_fail_value(err, "%zu runs", n_runs);
        return sp_fail_range(err, "1 .. %u", SP_MODEL_MAX_LAYERS);
    }
    sp_layer_run *runs = sp_arena_alloc(build->arena, n_runs * sizeof *runs);
    if (runs == NULL) return sp_fail(err, SP_E_MEMORY, "the layers of the model need more");
    for (size_t i = 0; i < n_runs; i++) {
        const sp_json value = sp_json_at(&list, i);
        SP_TRY(read_run(model, &value, &runs[i], err));
    }
    model->n_runs = (uint32_t)n_runs;
    model->runs = runs;
    return SP_OK;
}

/* Only sp_model_find makes use of the aliases; here they must be well formed. */
static sp_status check_aliases(const sp_json *root, sp_error *err)
{
    if (!sp_json_has(root, "aliases")) return SP_OK;
    sp_json list;
    SP_TRY(sp_json_array(root, "aliases", &list, err));
    for (size_t i = 0; i < sp_json_size(&list); i++) {
        const sp_json entry = sp_json_at(&list, i);
        const char *alias = NULL;
        SP_TRY(sp_json_as_string(&entry, &alias, err));
    }
    return SP_OK;
}

static sp_status read_names(sp_model_build *build, const sp_json *root, sp_error *err)
{
    const char *name = NULL;
    const char *type = NULL;
    SP_TRY(sp_json_string(root, "name", &name, err));
    SP_TRY(sp_json_string(root, "model_type", &type, err));
    const sp_json value = sp_json_get(root, "model_type");
    SP_TRY(sp_model_type_check(build, &value, type, &build->model.model_type, err));
    SP_TRY(check_aliases(root, err));
    build->model.name = sp_arena_strdup(build->arena, name);
    build->no_memory = build->no_memory || build->model.name == NULL;
    return SP_OK;
}

sp_status sp_model_read_own(sp_model_build *build, const sp_json *root, sp_error *err)
{
    static const char *const keys[] = {"schema",     "name",  "aliases", "model_type",
                                       "dimensions", "kinds", "runs"};
    SP_TRY(sp_json_schema(root, SCHEMA, err));
    SP_TRY(sp_json_only(root, keys, N_KEYS(keys), err));
    SP_TRY(read_names(build, root, err));
    SP_TRY(read_dimensions(build, root, err));
    SP_TRY(sp_model_own_read_kinds(build, root, err));
    return read_runs(build, root, err);
}
