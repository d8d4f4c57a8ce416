/* SPDX-License-Identifier: Apache-2.0 */
/* The surfaces in a GPU file, {"surfaces": {"source", "date", "kernels": [{..., "surfaces":
 * [...]}]}}, or those that the part borrows from the one it was calibrated from. */
#include "shardplan/surface.h"

#include "spec/spec.h"

#include <assert.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static sp_status keep_word(struct sp_arena *arena, const sp_json *object, const char *key,
                           const char **to, sp_error *err)
{
    const char *word = NULL;
    SP_TRY(sp_json_string_or(object, key, "", &word, err));
    return sp_text_keep(arena, word, to, err);
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

/* The least and the largest of every dimension, in their order. */
static sp_status read_domain(const sp_json *value, sp_surface *s, sp_error *err)
{
    const uint32_t n_dims = sp_surface_form_of(s->op)->n_dims;
    sp_json domain;
    SP_TRY(sp_json_array(value, "domain", &domain, err));
    if (sp_json_size(&domain) != 2 * (size_t)n_dims) {
        (void)sp_json_fail(&domain, err, SP_E_RANGE,
                           "must list the least and the largest of every dimension");
        return sp_fail_range(err, "%u numbers", 2 * n_dims);
    }
    for (uint32_t d = 0; d < n_dims; d++) {
        const sp_json lo = sp_json_at(&domain, 2 * d), hi = sp_json_at(&domain, 2 * d + 1);
        SP_TRY(sp_json_as_double(&lo, 0.0, 1e15, &s->lo[d], err));
        SP_TRY(sp_json_as_double(&hi, s->lo[d], 1e15, &s->hi[d], err));
    }
    return SP_OK;
}

/* [median APE, its 90th percentile, low, high] on shapes left out. */
static sp_status read_worth(const sp_json *value, sp_surface *s, sp_error *err)
{
    double *const to[] = {&s->median_ape_ratio, &s->p90_ape_ratio, &s->low_ratio, &s->high_ratio};
    sp_json residuals;
    SP_TRY(sp_json_u32(value, "samples", 1, UINT32_MAX, &s->samples, err));
    SP_TRY(sp_json_u32(value, "shapes", 1, UINT32_MAX, &s->shapes, err));
    SP_TRY(sp_json_array(value, "residuals", &residuals, err));
    if (sp_json_size(&residuals) != COUNT(to)) {
        (void)sp_json_fail(&residuals, err, SP_E_RANGE,
                           "must list the median and the 90th percentile of the error, and low and "
                           "high of the interval");
        return sp_fail_range(err, "%zu numbers", COUNT(to));
    }
    for (size_t i = 0; i < COUNT(to); i++) {
        const sp_json number = sp_json_at(&residuals, i);
        SP_TRY(sp_json_as_double(&number, 0.0, 1e3, to[i], err));
    }
    if (s->low_ratio > 0.0 && s->low_ratio <= s->high_ratio) {
        return SP_OK;
    }
    return sp_json_fail(&residuals, err, SP_E_INCONSISTENT,
                        "low must lie above 0, and high above it");
}

/* What is being read. */
typedef struct reader {
    struct sp_arena *arena;
    const sp_gpu *gpu;
    double link_bytes_per_s;
    bool borrowed;
    sp_surface *list;
    uint32_t n;
    sp_error *err;
} reader;

static sp_status read_surface(reader *r, const sp_json *value, const sp_surface *kernel)
{
    static const char *const keys[] = {"dtype",   "kv_dtype", "variant",   "value",
                                       "samples", "shapes",   "residuals", "domain"};
    sp_surface *const s = &r->list[r->n];
    *s = *kernel;
    SP_TRY(sp_json_only(value, keys, COUNT(keys), r->err));
    SP_TRY(keep_word(r->arena, value, "dtype", &s->dtype, r->err));
    SP_TRY(keep_word(r->arena, value, "kv_dtype", &s->kv_dtype, r->err));
    SP_TRY(keep_word(r->arena, value, "variant", &s->variant, r->err));
    SP_TRY(read_params(value, s, r->err));
    SP_TRY(read_worth(value, s, r->err));
    SP_TRY(read_domain(value, s, r->err));
    if (sp_surface_place(r->gpu, r->link_bytes_per_s, s)) {
        r->n++;
        return SP_OK;
    }
    if (r->borrowed) { /* the borrower cannot do the format */
        return SP_OK;
    }
    return sp_json_fail(value, r->err, SP_E_INCONSISTENT,
                        "a surface needs a peak of its number format in /peak, and a link");
}

static sp_status read_kernel(reader *r, const sp_json *kernel)
{
    static const char *const keys[] = {"op", "framework", "kernel", "surfaces"};
    const char *names[SP_N_SURFACE_OPS];
    sp_surface s = {.borrowed = r->borrowed};
    sp_json list;
    uint32_t op = 0;
    for (size_t i = 0; i < SP_N_SURFACE_OPS; i++) {
        names[i] = sp_surface_form_of((sp_surface_op)i)->name;
    }
    SP_TRY(sp_json_only(kernel, keys, COUNT(keys), r->err));
    SP_TRY(sp_json_enum(kernel, "op", names, COUNT(names), &op, r->err));
    s.op = (sp_surface_op)op;
    SP_TRY(keep_word(r->arena, kernel, "framework", &s.framework, r->err));
    SP_TRY(keep_word(r->arena, kernel, "kernel", &s.kernel, r->err));
    SP_TRY(sp_json_array(kernel, "surfaces", &list, r->err));
    for (size_t i = 0; i < sp_json_size(&list); i++) {
        const sp_json value = sp_json_at(&list, i);
        SP_TRY(read_surface(r, &value, &s));
    }
    return SP_OK;
}

/* How many surfaces there are at most; bad values are named when they are read. */
static size_t count_surfaces(const sp_json *kernels)
{
    size_t n = 0;
    for (size_t i = 0; i < sp_json_size(kernels); i++) {
        const sp_json kernel = sp_json_at(kernels, i);
        if (sp_json_is_object(&kernel)) {
            const sp_json list = sp_json_get(&kernel, "surfaces");
            n += sp_json_size(&list);
        }
    }
    return n;
}

static sp_status read_list(reader *r, const sp_json *root, sp_surfaces *out)
{
    static const char *const keys[] = {"source", "date", "kernels"};
    sp_json surfaces;
    sp_json kernels;
    SP_TRY(sp_json_object(root, "surfaces", &surfaces, r->err));
    SP_TRY(sp_json_only(&surfaces, keys, COUNT(keys), r->err));
    SP_TRY(sp_provenance_check(&surfaces, r->err));
    SP_TRY(keep_word(r->arena, &surfaces, "source", &out->source, r->err));
    SP_TRY(keep_word(r->arena, &surfaces, "date", &out->date, r->err));
    SP_TRY(sp_json_array(&surfaces, "kernels", &kernels, r->err));
    r->list = sp_arena_alloc(r->arena, (count_surfaces(&kernels) + 1) * sizeof *r->list);
    if (r->list == NULL) {
        return sp_fail(r->err, SP_E_MEMORY, "out of memory");
    }
    for (size_t i = 0; i < sp_json_size(&kernels); i++) {
        const sp_json kernel = sp_json_at(&kernels, i);
        SP_TRY(read_kernel(r, &kernel));
    }
    out->list = r->list;
    out->n = r->n;
    return SP_OK;
}

/* Those in the file that goes by `ref`. */
static sp_status read_part(struct sp_arena *arena, const char *home, const char *ref,
                           const sp_gpu *gpu, double link_bytes_per_s, sp_surfaces *out,
                           sp_error *err)
{
    sp_json_doc *doc = NULL;
    SP_TRY(sp_gpu_document(home, ref, &doc, err));
    const sp_json root = sp_json_root(doc);
    sp_status status = SP_OK;
    if (sp_json_has(&root, "surfaces")) {
        reader r = {.arena = arena,
                    .gpu = gpu,
                    .link_bytes_per_s = link_bytes_per_s,
                    .borrowed = strcmp(out->from, gpu->name) != 0,
                    .err = err};
        status = read_list(&r, &root, out);
    }
    sp_json_free(doc);
    return status;
}

/* A loan makes intervals wider. */
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
    SP_TRY(read_part(arena, home, gpu->file, gpu, link_bytes_per_s, out, err));
    if (out->n > 0 || strcmp(gpu->calibrated_from, gpu->name) == 0) {
        return SP_OK;
    }
    out->from = gpu->calibrated_from;
    SP_TRY(read_part(arena, home, out->from, gpu, link_bytes_per_s, out, err));
    return out->n > 0 ? widen(arena, home, out, err) : SP_OK;
}
