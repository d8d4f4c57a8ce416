/* SPDX-License-Identifier: Apache-2.0 */
/* `shardplan formula eval`: every formula of a file by itself. */
#include "cli/formula.h"

#include <stdio.h>

typedef struct evaluation {
    const sp_scope *scope;
    sp_json_writer *json; /* NULL: text */
    sp_text *out;
    size_t n, n_failed;
    sp_status status;
} evaluation;

static sp_formula_code evaluate(const evaluation *e, const char *text, sp_value *value,
                                sp_formula_failure *failure)
{
    sp_arena arena = {0};
    sp_error err = {0};
    const sp_formula *f = NULL;
    const sp_status status = sp_formula_parse(&arena, SP_FORMULA_MODULE, text, &f, &err);
    sp_formula_code code = sp_formula_code_of(status);
    if (status == SP_OK) {
        code = sp_formula_eval(f, e->scope, value, failure);
    } else {
        (void)snprintf(failure->detail, sizeof failure->detail, "%s", err.message);
    }
    sp_arena_fini(&arena);
    return code;
}

static void write_json(const evaluation *e, const char *path, const char *text,
                       sp_formula_code code, const sp_value *value,
                       const sp_formula_failure *failure)
{
    sp_jw_open_object_compact(e->json, NULL);
    sp_jw_string(e->json, "path", path);
    sp_jw_string(e->json, "formula", text);
    if (code == SP_FORMULA_OK) {
        sp_formula_write_number(e->json, "value", value->number);
    } else {
        sp_formula_write_failure(e->json, "error", code, failure);
    }
    sp_jw_close_object(e->json);
}

static void write_text(const evaluation *e, const char *path, const char *text,
                       sp_formula_code code, const sp_value *value,
                       const sp_formula_failure *failure)
{
    char number[SP_RATIONAL_TEXT_BYTES];
    sp_text_printf(e->out, "%s\n    %s\n", path, text);
    if (code == SP_FORMULA_OK) {
        (void)sp_rational_format(value->number, number);
        sp_text_printf(e->out, "    = %s\n", number);
    } else {
        sp_text_printf(e->out, "    ! %s%s%s\n", failure->name, failure->name[0] ? ": " : "",
                       failure->detail);
    }
}

static void visit(void *user, const char *path, const char *text)
{
    evaluation *e = user;
    sp_value value = {.kind = SP_VALUE_NONE};
    sp_formula_failure failure = {0};
    const sp_formula_code code = evaluate(e, text, &value, &failure);
    e->n++;
    e->n_failed += code != SP_FORMULA_OK;
    if (e->json) {
        write_json(e, path, text, code, &value, &failure);
    } else {
        write_text(e, path, text, code, &value, &failure);
    }
}

static sp_status evaluate_file(const char *file, evaluation *e, sp_error *err)
{
    sp_json_doc *doc = NULL;
    SP_TRY(sp_json_load_file(file, &doc, err));
    const sp_json root = sp_json_root(doc);
    const sp_status status = sp_formulas_in(&root, visit, e, err);
    sp_json_free(doc);
    return status;
}

static sp_status write_answer(const char *file, evaluation *e, sp_error *err)
{
    sp_json_writer w;
    if (!e->json) {
        SP_TRY(evaluate_file(file, e, err));
        sp_text_printf(e->out, "%zu formulas, %zu without a value\n", e->n, e->n_failed);
        return SP_OK;
    }
    sp_jw_init(&w, e->out);
    e->json = &w;
    sp_jw_open_object(&w, NULL);
    sp_jw_string(&w, "schema", "shardplan/formulas/1");
    sp_jw_string(&w, "file", file);
    sp_jw_open_array(&w, "formulas");
    SP_TRY(evaluate_file(file, e, err));
    sp_jw_close_array(&w);
    sp_jw_close_object(&w);
    sp_text_add(e->out, "\n");
    return SP_OK;
}

sp_status sp_formula_verb_eval(const sp_context *context, sp_text *out, sp_error *err)
{
    const sp_settings *settings = context->settings;
    sp_bindings bindings;
    if (settings->n_words > 2) {
        sp_fail(err, SP_E_USAGE, "one file at a time is evaluated");
        return sp_fail_value(err, "%s", settings->words[2]);
    }
    sp_json_writer unset = {0};
    sp_status status = sp_bindings_load(sp_settings_text(settings, SP_FLAG_bind), &bindings, err);
    const sp_scope scope = {sp_scope_json, &bindings.object};
    evaluation e = {.scope = bindings.doc ? &scope : NULL,
                    .json = context->run.format == SP_FORMAT_JSON ? &unset : NULL,
                    .out = out};
    if (status == SP_OK) status = write_answer(settings->words[1], &e, err);
    sp_json_free(bindings.doc);
    return status;
}
