/* SPDX-License-Identifier: Apache-2.0 */
/* `shardplan formula expand`: what whole classes cost, references followed. */
#include "cli/formula.h"

#include <stdio.h>

typedef struct cost {
    sp_formula_code codes[SP_N_FORMULA_METRICS];
    sp_rational values[SP_N_FORMULA_METRICS];
    sp_formula_failure failures[SP_N_FORMULA_METRICS];
} cost;

static void price(const sp_formula_library *library, size_t idx, const sp_scope *scope, cost *c)
{
    for (sp_formula_metric m = 0; m < SP_N_FORMULA_METRICS; m++) {
        c->codes[m] =
            sp_formula_expand_class(library, idx, m, scope, &c->values[m], &c->failures[m]);
    }
}

/* The classes that --class names, or else all: those that are not wanted are left out. */
static sp_status check_names(const sp_formula_library *library, const sp_setting *wanted,
                             sp_error *err)
{
    const char *names[256];
    const size_t size = sp_formula_library_size(library);
    const size_t n = size < 256 ? size : 256;
    for (size_t i = 0; i < n; i++)
        names[i] = sp_formula_class_name(library, i);
    for (uint32_t i = 0; i < wanted->n_values; i++) {
        size_t idx = 0;
        if (sp_formula_class_find(library, wanted->values[i], &idx)) continue;
        sp_fail(err, SP_E_UNKNOWN_NAME, "no file describes this class");
        (void)sp_fail_file(err, "--class");
        (void)sp_fail_value(err, "%s", wanted->values[i]);
        return sp_fail_names(err, wanted->values[i], names, n);
    }
    return SP_OK;
}

static bool is_wanted(const sp_formula_library *library, const sp_setting *wanted, size_t idx)
{
    size_t found = 0;
    for (uint32_t i = 0; i < wanted->n_values; i++) {
        if (sp_formula_class_find(library, wanted->values[i], &found) && found == idx) return true;
    }
    return wanted->n_values == 0;
}

static void write_class_json(const char *name, const cost *c, sp_json_writer *w)
{
    sp_jw_open_object(w, NULL);
    sp_jw_string(w, "class", name);
    for (sp_formula_metric m = 0; m < SP_N_FORMULA_METRICS; m++) {
        if (c->codes[m] == SP_FORMULA_OK) {
            sp_formula_write_number(w, sp_formula_metric_name(m), c->values[m]);
        } else {
            sp_jw_open_object_compact(w, sp_formula_metric_name(m));
            sp_formula_write_failure(w, "error", c->codes[m], &c->failures[m]);
            sp_jw_close_object(w);
        }
    }
    sp_jw_close_object(w);
}

static void write_class_text(const char *name, const cost *c, sp_text *out)
{
    sp_text_printf(out, "%s\n", name);
    for (sp_formula_metric m = 0; m < SP_N_FORMULA_METRICS; m++) {
        char number[SP_RATIONAL_TEXT_BYTES];
        const sp_formula_failure *failure = &c->failures[m];
        if (c->codes[m] == SP_FORMULA_OK) {
            (void)sp_rational_format(c->values[m], number);
            sp_text_printf(out, "    %-6s %s\n", sp_formula_metric_name(m), number);
        } else {
            sp_text_printf(out, "    %-6s ! %s: %s\n           (%s: %s)\n",
                           sp_formula_metric_name(m), sp_formula_code_words(c->codes[m]),
                           failure->detail, failure->file, failure->path);
        }
    }
}

static void write_classes(const sp_formula_library *library, const sp_setting *wanted,
                          const sp_scope *scope, sp_json_writer *w, sp_text *out)
{
    for (size_t i = 0; i < sp_formula_library_size(library); i++) {
        cost c;
        if (sp_formula_class_is_signature(library, i) || !is_wanted(library, wanted, i)) continue;
        price(library, i, scope, &c);
        if (w) {
            write_class_json(sp_formula_class_name(library, i), &c, w);
        } else {
            write_class_text(sp_formula_class_name(library, i), &c, out);
        }
    }
}

static void write_json(const sp_context *context, const sp_formula_library *library,
                       const sp_setting *wanted, const sp_scope *scope, sp_text *out)
{
    sp_json_writer w;
    sp_jw_init(&w, out);
    sp_jw_open_object(&w, NULL);
    sp_jw_string(&w, "schema", "shardplan/formulas/1");
    sp_jw_open_array(&w, "files");
    for (int i = 1; i < context->settings->n_words; i++)
        sp_jw_string(&w, NULL, context->settings->words[i]);
    sp_jw_close_array(&w);
    sp_jw_open_array(&w, "classes");
    write_classes(library, wanted, scope, &w, out);
    sp_jw_close_array(&w);
    sp_jw_close_object(&w);
    sp_text_add(out, "\n");
}

static void warn_findings(const sp_context *context, const sp_formula_library *library)
{
    const sp_formula_finding *findings = NULL;
    char text[128];
    const size_t n = sp_formula_library_findings(library, &findings);
    if (n == 0) return;
    (void)snprintf(text, sizeof text,
                   "%zu oddities in the files: shardplan formula lint lists them", n);
    sp_cli_warn(context, text);
}

static sp_status expand(const sp_context *context, sp_arena *arena, const sp_scope *scope,
                        sp_text *out, sp_error *err)
{
    sp_formula_library *library = NULL;
    const sp_setting *wanted = &context->settings->of[SP_FLAG_class];
    SP_TRY(sp_formula_files_load(context, arena, &library, err));
    SP_TRY(check_names(library, wanted, err));
    warn_findings(context, library);
    if (context->run.format == SP_FORMAT_JSON) {
        write_json(context, library, wanted, scope, out);
    } else {
        write_classes(library, wanted, scope, NULL, out);
    }
    return SP_OK;
}

sp_status sp_formula_verb_expand(const sp_context *context, sp_text *out, sp_error *err)
{
    sp_arena arena = {0};
    sp_bindings bindings;
    sp_status status =
        sp_bindings_load(sp_settings_text(context->settings, SP_FLAG_bind), &bindings, err);
    const sp_scope scope = {sp_scope_json, &bindings.object};
    if (status == SP_OK) {
        status = expand(context, &arena, bindings.doc ? &scope : NULL, out, err);
    }
    sp_json_free(bindings.doc);
    sp_arena_fini(&arena);
    return status;
}
