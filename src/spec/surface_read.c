/* SPDX-License-Identifier: Apache-2.0 */
/* The surfaces in a GPU file, {"surfaces": {"source", "date", "list": [surface, ...]}}, or those that
 * the part borrows from the one it was calibrated from. */
#include "shardplan/surface.h"

#include "spec/spec.h"

#include <assert.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static sp_status read_words(struct sp_arena *arena, const sp_json *value, sp_surface *s,
                            sp_error *err)
{
    const struct {
        const char *key;
        const char **to;
    } words[] = {{"variant", &s->variant},
                 {"framework", &s->framework},
                 {"kernel", &s->kernel},
                 {"dtype", &s->dtype},
                 {"kv_dtype", &s->kv_dtype}};
    for (size_t i = 0; i < COUNT(words); i++) {
        const char *word = NULL;
        SP_TRY(sp_json_string_or(value, words[i].key, "", &word, err));
        SP_TRY(sp_text_keep(arena, word, words[i].to, err));
    }
    return SP_OK;
}

static sp_status read_params(const sp_json *value, sp_surface *s, sp_error *err)
{
    const sp_surface_form *form = sp_surface_form_of(s->op);
    const char *keys[SP_SURFACE_MAX_PARAMS];
    sp_json params;
    SP_TRY(sp_json_object(value, "value", &params, err));
    for (uint32_t i = 0; i < form->n_params; i++) {
        const sp_surface_param *p = &form->param[i];
        keys[i] = p->key;
        SP_TRY(sp_json_double(&params, p->key, p->lo, p->hi, &s->param[i], err));
    }
    return sp_json_only(&params, keys, form->n_params, err);
}

static sp_status read_domain(const sp_json *value, sp_surface *s, sp_error *err)
{
    const sp_surface_form *form = sp_surface_form_of(s->op);
    sp_json domain;
    SP_TRY(sp_json_object(value, "domain", &domain, err));
    SP_TRY(sp_json_only(&domain, form->dim, form->n_dims, err));
    for (uint32_t d = 0; d < form->n_dims; d++) {
        sp_json ends;
        SP_TRY(sp_json_array(&domain, form->dim[d], &ends, err));
        if (sp_json_size(&ends) != 2) {
            return sp_json_fail(&ends, err, SP_E_RANGE, "must be the least and the largest");
        }
        const sp_json lo = sp_json_at(&ends, 0), hi = sp_json_at(&ends, 1);
        SP_TRY(sp_json_as_double(&lo, 0.0, 1e15, &s->lo[d], err));
        SP_TRY(sp_json_as_double(&hi, s->lo[d], 1e15, &s->hi[d], err));
    }
    return SP_OK;
}

static sp_status read_worth(const sp_json *value, sp_surface *s, sp_error *err)
{
    SP_TRY(sp_json_u32(value, "samples", 1, UINT32_MAX, &s->samples, err));
    SP_TRY(sp_json_u32(value, "shapes", 1, UINT32_MAX, &s->shapes, err));
    SP_TRY(sp_json_double(value, "median_ape_ratio", 0.0, 100.0, &s->median_ape_ratio, err));
    SP_TRY(sp_json_double(value, "p90_ape_ratio", 0.0, 1000.0, &s->p90_ape_ratio, err));
    SP_TRY(sp_json_double(value, "low_ratio", 1e-3, 1e3, &s->low_ratio, err));
    return sp_json_double(value, "high_ratio", s->low_ratio, 1e3, &s->high_ratio, err);
}

static sp_status read_surface(struct sp_arena *arena, const sp_json *value, const sp_gpu *gpu,
                              double link_bytes_per_s, sp_surface *s, sp_error *err)
{
    static const char *const keys[] = {"op",        "variant",          "framework",
                                       "kernel",    "dtype",            "kv_dtype",
                                       "value",     "samples",          "shapes",
                                       "low_ratio", "median_ape_ratio", "p90_ape_ratio",
                                       "domain",    "high_ratio"};
    const char *names[SP_N_SURFACE_OPS];
    uint32_t op = 0;
    for (size_t i = 0; i < SP_N_SURFACE_OPS; i++) {
        names[i] = sp_surface_form_of((sp_surface_op)i)->name;
    }
    SP_TRY(sp_json_only(value, keys, COUNT(keys), err));
    SP_TRY(sp_json_enum(value, "op", names, COUNT(names), &op, err));
    s->op = (sp_surface_op)op;
    SP_TRY(read_words(arena, value, s, err));
    SP_TRY(read_params(value, s, err));
    SP_TRY(read_worth(value, s, err));
    SP_TRY(read_domain(value, s, err));
    if (sp_surface_place(gpu, link_bytes_per_s, s)) {
        return SP_OK;
    }
    return sp_json_fail(value, err, SP_E_INCONSISTENT,
                        "a surface needs a peak of its number format in /peak, and a link");
}

static sp_status read_list(struct sp_arena *arena, const sp_json *root, const sp_gpu *gpu,
                           double link_bytes_per_s, sp_surfaces *out, sp_error *err)
{
    static const char *const keys[] = {"source", "date", "list"};
    sp_json surfaces;
    sp_json list;
    SP_TRY(sp_json_object(root, "surfaces", &surfaces, err));
    SP_TRY(sp_json_only(&surfaces, keys, COUNT(keys), err));
    SP_TRY(sp_provenance_check(&surfaces, err));
    SP_TRY(sp_json_string(&surfaces, "source", &out->source, err));
    SP_TRY(sp_json_string(&surfaces, "date", &out->date, err));
    SP_TRY(sp_text_keep(arena, out->source, &out->source, err));
    SP_TRY(sp_text_keep(arena, out->date, &out->date, err));
    SP_TRY(sp_json_array(&surfaces, "list", &list, err));
    const size_t n = sp_json_size(&list);
    sp_surface *const read = sp_arena_alloc(arena, (n + 1) * sizeof *read);
    if (read == NULL) {
        return sp_fail(err, SP_E_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < n; i++) {
        const sp_json value = sp_json_at(&list, i);
        SP_TRY(read_surface(arena, &value, gpu, link_bytes_per_s, &read[i], err));
        read[i].borrowed = strcmp(out->from, gpu->name) != 0;
    }
    out->list = read;
    out->n = (uint32_t)n;
    return SP_OK;
}

static sp_status read_part(struct sp_arena *arena, const char *home, const sp_gpu *gpu,
                           double link_bytes_per_s, sp_surfaces *out, sp_error *err)
{
    sp_json_doc *doc = NULL;
    SP_TRY(sp_gpu_document(home, out->from, &doc, err));
    const sp_json root = sp_json_root(doc);
    sp_status status = SP_OK;
    if (sp_json_has(&root, "surfaces")) {
        status = read_list(arena, &root, gpu, link_bytes_per_s, out, err);
    }
    sp_json_free(doc);
    return status;
}

/* A loan makes intervals wider; formats that the borrower has no peak for are left out. */
static sp_status widen(struct sp_arena *arena, const char *home, sp_surfaces *out, sp_error *err)
{
    sp_calibration settings;
    SP_TRY(sp_calibration_load(arena, home, &settings, err));
    sp_surface *list = sp_arena_alloc(arena, (out->n + 1) * sizeof *list);
    if (list == NULL) {
        return sp_fail(err, SP_E_MEMORY, "out of memory");
    }
    for (uint32_t i = 0; i < out->n; i++) {
        list[i] = out->list[i];
        list[i].low_ratio /= 1.0 + settings.loan_error_ratio;
        list[i].high_ratio *= 1.0 + settings.loan_error_ratio;
    }
    out->list = list;
    return SP_OK;
}

sp_status sp_gpu_link_rate(struct sp_arena *arena, const char *home, const sp_gpu *gpu,
                           double *bytes_per_s, sp_error *err)
{
    const sp_link *link = NULL;
    *bytes_per_s = 0.0;
    if (gpu->n_links == 0) {
        return SP_OK;
    }
    SP_TRY(sp_link_find(arena, home, gpu, gpu->links[0], &link, err));
    *bytes_per_s = link->bytes_per_s;
    return SP_OK;
}

sp_status sp_surfaces_load(struct sp_arena *arena, const char *home, const sp_gpu *gpu,
                           const sp_surfaces **surfaces, sp_error *err)
{
    sp_surfaces *const out = sp_arena_alloc(arena, sizeof *out);
    double link_bytes_per_s = 0.0;
    if (out == NULL) {
        return sp_fail(err, SP_E_MEMORY, "out of memory");
    }
    *out = (sp_surfaces){.from = gpu->name, .source = "", .date = ""};
    *surfaces = out;
    SP_TRY(sp_gpu_link_rate(arena, home, gpu, &link_bytes_per_s, err));
    SP_TRY(read_part(arena, home, gpu, link_bytes_per_s, out, err));
    if (out->n > 0 || strcmp(gpu->calibrated_from, gpu->name) == 0) {
        return SP_OK;
    }
    out->from = gpu->calibrated_from;
    SP_TRY(read_part(arena, home, gpu, link_bytes_per_s, out, err));
    return out->n > 0 ? widen(arena, home, out, err) : SP_OK;
}
