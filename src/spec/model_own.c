/* SPDX-License-Identifier: Apache-2.0 */
/* A model file in our schema "shardplan/model/1" (configs/schema/model.json): the fields of
 * sp_model by their names, strict, each group with its source and date. A field of a feature that
 * the model does not have may be left out. */
#include "spec/spec.h"

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

static sp_status read_origin(const sp_json *group, const char **source, const char **date,
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
    static const char *const keys[] = {"hidden",      "vocab",           "positions",
                                       "max_context", "tied_embeddings", "layer_norm",
                                       "dropout",     "source",          "date"};
    sp_model *const m = &build->model;
    sp_json g;
    const char *source = NULL;
    const char *date = NULL;
    SP_TRY(sp_json_object(root, "dimensions", &g, err));
    SP_TRY(sp_json_only(&g, keys, N_KEYS(keys), err));
    SP_TRY(sp_json_u32(&g, "hidden", 1, SP_MODEL_MAX_HIDDEN, &m->hidden, err));
    SP_TRY(sp_json_u32(&g, "vocab", 1, SP_MODEL_MAX_WIDTH, &m->vocab, err));
    SP_TRY(sp_json_u32_or(&g, "positions", 0, SP_MODEL_MAX_CONTEXT, 0, &m->positions, err));
    SP_TRY(sp_json_u32_or(&g, "max_context", 0, SP_MODEL_MAX_CONTEXT, 0, &m->max_context, err));
    SP_TRY(sp_json_bool(&g, "tied_embeddings", &m->tied_embeddings, err));
    SP_TRY(sp_json_bool_or(&g, "layer_norm", false, &m->layer_norm, err));
    SP_TRY(sp_json_bool_or(&g, "dropout", false, &m->dropout, err));
    SP_TRY(read_origin(&g, &source, &date, err));
    m->source = sp_arena_printf(build->arena, "%s (%s)", source, date);
    build->no_memory = build->no_memory || m->source == NULL;
    return SP_OK;
}

static sp_status read_attention(const sp_json *kind, sp_attention *a, sp_error *err)
{
    static const char *const keys[] = {"heads",    "kv_heads", "head_dim", "qkv_bias",
                                       "out_bias", "qk_norm",  "window"};
    sp_json g;
    SP_TRY(sp_json_object(kind, "attention", &g, err));
    SP_TRY(sp_json_only(&g, keys, N_KEYS(keys), err));
    SP_TRY(sp_json_u32(&g, "heads", 1, SP_MODEL_MAX_HEADS, &a->heads, err));
    SP_TRY(sp_json_u32(&g, "kv_heads", 1, a->heads, &a->kv_heads, err));
    SP_TRY(sp_json_u32(&g, "head_dim", 1, SP_MODEL_MAX_HEAD_DIM, &a->head_dim, err));
    SP_TRY(sp_json_bool_or(&g, "qkv_bias", false, &a->qkv_bias, err));
    SP_TRY(sp_json_bool_or(&g, "out_bias", false, &a->out_bias, err));
    SP_TRY(sp_json_bool_or(&g, "qk_norm", false, &a->qk_norm, err));
    SP_TRY(sp_json_u32_or(&g, "window", 0, SP_MODEL_MAX_CONTEXT, 0, &a->window, err));
    if (a->heads % a->kv_heads == 0) return SP_OK;
    const sp_json value = sp_json_get(&g, "kv_heads");
    return sp_json_fail(&value, err, SP_E_INCONSISTENT,
                        "%u attention heads cannot share %u key and value heads evenly",
                        (unsigned)a->heads, (unsigned)a->kv_heads);
}

static sp_status read_experts(const sp_json *g, sp_ffn *f, sp_error *err)
{
    SP_TRY(sp_json_u32(g, "n_experts", 1, SP_MODEL_MAX_EXPERTS, &f->n_experts, err));
    SP_TRY(sp_json_u32(g, "top_k", 1, f->n_experts, &f->top_k, err));
    SP_TRY(sp_json_u32(g, "expert_ffn", 1, SP_MODEL_MAX_WIDTH, &f->expert_ffn, err));
    SP_TRY(sp_json_u32_or(g, "shared_ffn", 0, SP_MODEL_MAX_WIDTH, 0, &f->shared_ffn, err));
    return sp_json_bool_or(g, "shared_gate", false, &f->shared_gate, err);
}

static sp_status read_ffn(const sp_json *kind, sp_ffn *f, sp_error *err)
{
    static const char *const dense_keys[] = {"ffn", "gated", "bias"};
    static const char *const expert_keys[] = {"ffn",   "gated",      "bias",       "n_experts",
                                              "top_k", "expert_ffn", "shared_ffn", "shared_gate"};
    sp_json g;
    SP_TRY(sp_json_object(kind, "ffn", &g, err));
    const bool sparse =
        sp_json_has(&g, "n_experts") || sp_json_has(&g, "top_k") || sp_json_has(&g, "expert_ffn");
    SP_TRY(sparse ? sp_json_only(&g, expert_keys, N_KEYS(expert_keys), err)
                  : sp_json_only(&g, dense_keys, N_KEYS(dense_keys), err));
    SP_TRY(sp_json_bool(&g, "gated", &f->gated, err));
    SP_TRY(sp_json_bool_or(&g, "bias", false, &f->bias, err));
    if (!sparse) return sp_json_u32(&g, "ffn", 1, SP_MODEL_MAX_WIDTH, &f->ffn, err);
    SP_TRY(sp_json_u32_or(&g, "ffn", 0, SP_MODEL_MAX_WIDTH, 0, &f->ffn, err));
    return read_experts(&g, f, err);
}

static sp_status read_kinds(sp_model *model, const sp_json *root, sp_error *err)
{
    static const char *const keys[] = {"attention", "ffn", "source", "date"};
    sp_json list;
    SP_TRY(sp_json_array(root, "kinds", &list, err));
    model->n_kinds = (uint32_t)sp_json_size(&list);
    if (model->n_kinds < 1 || model->n_kinds > SP_MODEL_MAX_KINDS) {
        sp_json_fail(&list, err, SP_E_RANGE, "wrong number of layer kinds");
        sp_fail_value(err, "%u kinds", (unsigned)model->n_kinds);
        return sp_fail_range(err, "1 .. %d", SP_MODEL_MAX_KINDS);
    }
    for (uint32_t i = 0; i < model->n_kinds; i++) {
        const sp_json kind = sp_json_at(&list, i);
        const char *source = NULL;
        const char *date = NULL;
        SP_TRY(sp_json_only(&kind, keys, N_KEYS(keys), err));
        SP_TRY(read_attention(&kind, &model->kinds[i].attention, err));
        SP_TRY(read_ffn(&kind, &model->kinds[i].ffn, err));
        SP_TRY(read_origin(&kind, &source, &date, err));
    }
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
    const char *const *types = NULL;
    uint32_t type_idx = 0;
    const size_t n_types = sp_model_type_names(&types);
    SP_TRY(sp_json_string(root, "name", &name, err));
    SP_TRY(sp_json_enum(root, "model_type", types, n_types, &type_idx, err));
    SP_TRY(check_aliases(root, err));
    build->model.name = sp_arena_strdup(build->arena, name);
    build->model.model_type = types[type_idx];
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
    SP_TRY(read_kinds(&build->model, root, err));
    return read_runs(build, root, err);
}
