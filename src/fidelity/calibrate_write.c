/* SPDX-License-Identifier: Apache-2.0 */
/* The file of an accelerator with the surfaces of a calibration: the text as it is, "surfaces" put
 * in place of what is there or behind the last member. One line a surface. */
#include "fidelity/calibrate_priv.h"

#include "spec/spec.h"

#include <string.h>

static void put_word(sp_json_writer *w, const char *key, const char *word)
{
    if (word[0] != '\0') sp_jw_string(w, key, word);
}

static void put_surface(sp_json_writer *w, const sp_surface *s)
{
    const sp_surface_form *form = sp_surface_form_of(s->op);
    sp_jw_open_object_compact(w, NULL);
    put_word(w, "dtype", s->dtype);
    put_word(w, "kv_dtype", s->kv_dtype);
    put_word(w, "variant", s->variant);
    sp_jw_open_object(w, "value");
    for (uint32_t p = 0; p < form->n_params; p++) {
        sp_jw_double(w, form->param[p].key, s->param[p]);
    }
    sp_jw_close_object(w);
    sp_jw_u64(w, "samples", s->samples);
    sp_jw_u64(w, "shapes", s->shapes);
    sp_jw_open_array(w, "residuals");
    sp_jw_double(w, NULL, s->median_ape_ratio);
    sp_jw_double(w, NULL, s->p90_ape_ratio);
    sp_jw_double(w, NULL, s->low_ratio);
    sp_jw_double(w, NULL, s->high_ratio);
    sp_jw_close_array(w);
    sp_jw_open_array(w, "domain");
    for (uint32_t d = 0; d < form->n_dims; d++) {
        sp_jw_double(w, NULL, s->lo[d]);
        sp_jw_double(w, NULL, s->hi[d]);
    }
    sp_jw_close_array(w);
    sp_jw_close_object(w);
}

static bool same_kernel(const sp_surface *a, const sp_surface *b)
{
    return a->op == b->op && strcmp(a->framework, b->framework) == 0 &&
           strcmp(a->kernel, b->kernel) == 0;
}

/* The kernels, each with a surface for each format, width and variant. */
static void put_kernels(sp_json_writer *w, const sp_calibrated *c)
{
    sp_jw_open_array(w, "kernels");
    for (uint32_t i = 0; i < c->n_fitted;) {
        const sp_surface *first = &c->fitted[i].surface;
        sp_jw_open_object(w, NULL);
        sp_jw_string(w, "op", sp_surface_form_of(first->op)->name);
        sp_jw_string(w, "framework", first->framework);
        sp_jw_string(w, "kernel", first->kernel);
        sp_jw_open_array(w, "surfaces");
        for (; i < c->n_fitted && same_kernel(first, &c->fitted[i].surface); i++) {
            put_surface(w, &c->fitted[i].surface);
        }
        sp_jw_close_array(w);
        sp_jw_close_object(w);
    }
    sp_jw_close_array(w);
}

static void put_surfaces(const sp_calibrated *c, sp_text *out)
{
    sp_json_writer w;
    sp_text text = {0};
    sp_jw_init(&w, &text);
    w.depth = 1; /* it stands inside the file's object, behind its name */
    sp_jw_open_object(&w, NULL);
    sp_jw_string(&w, "source", c->source);
    sp_jw_string(&w, "date", c->date);
    put_kernels(&w, c);
    sp_jw_close_object(&w);
    if (text.failed) {
        out->failed = true;
    } else {
        sp_text_add(out, strchr(text.data, '{'));
    }
    sp_text_fini(&text);
}

/* Where the value of "surfaces" stands in the text of an object; else where the object ends. */
static void find_place(const char *text, size_t length, const char **from, const char **to)
{
    sp_json_pull p = sp_json_pull_begin(text, length);
    sp_text key = {0};
    const char *last = text;
    *from = *to = NULL;
    if (!sp_json_pull_enter(&p, '{')) return;
    while (sp_json_pull_more(&p, '}')) {
        if (!sp_json_pull_key(&p, &key)) break;
        (void)sp_json_pull_peek(&p);
        const char *value = p.at;
        if (!sp_json_pull_skip(&p)) break;
        last = p.at;
        if (strcmp(key.data, "surfaces") == 0) {
            *from = value;
            *to = last;
        }
    }
    sp_text_fini(&key);
    if (*from == NULL) *to = last;
}

static sp_status check_provenance(const sp_calibrated *c, sp_error *err)
{
    if (c->source[0] == '\0') {
        (void)sp_fail(err, SP_E_USAGE, "say where the measurements are from: a file keeps it");
        return sp_fail_file(err, "--source");
    }
    if (sp_is_date(c->date)) return SP_OK;
    (void)sp_fail(err, SP_E_USAGE, "say when it was measured or fitted");
    (void)sp_fail_value(err, "%s", c->date);
    (void)sp_fail_range(err, "YYYY-MM-DD");
    return sp_fail_file(err, "--date");
}

sp_status sp_calibrated_file(const sp_calibrated *calibrated, sp_text *out, sp_error *err)
{
    sp_json_doc *doc = NULL;
    size_t length = 0;
    const char *from = NULL, *to = NULL;
    SP_TRY(check_provenance(calibrated, err));
    SP_TRY(sp_gpu_document(calibrated->home, calibrated->gpu->file, &doc, err));
    const char *text = sp_json_text(doc, &length);
    find_place(text, length, &from, &to);
    const bool there = from != NULL;
    sp_text_add_n(out, text, (size_t)((there ? from : to) - text));
    if (!there) sp_text_add(out, ",\n  \"surfaces\": ");
    put_surfaces(calibrated, out);
    sp_text_add_n(out, to, length - (size_t)(to - text));
    sp_json_free(doc);
    return out->failed ? sp_fail(err, SP_E_MEMORY, "no memory for the file") : SP_OK;
}
