/* SPDX-License-Identifier: Apache-2.0 */
/* Working out the values of a type file, and saying what is wrong with one: the complaint names the
 * key of the config that the value came from, or the type file where it came from none. */
#include "spec/model_type.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static sp_formula_code read_key(sp_type_reader *reader, sp_type_symbol *symbol, sp_value *out)
{
    symbol->used = true;
    reader->reads_keys = true;
    const sp_json *const own = sp_type_overriding(reader, symbol->name);
    const sp_json *const stated = own != NULL ? own : symbol->stated;
    if (reader->origin == NULL) reader->origin = stated;
    if (reader->null == NULL) reader->null = symbol->null;
    if (stated != NULL) reader->latest = stated;
    reader->reads_layer = reader->reads_layer || reader->n_overrides > 0;
    return sp_value_of_json(own != NULL ? own : &symbol->value, out);
}

static sp_formula_code look_up(void *user, const char *name, sp_value *out)
{
    sp_type_reader *const reader = user;
    if (strcmp(name, "i") == 0) {
        reader->reads_layer = true;
        *out = sp_value_of_int(reader->layer_idx);
        return reader->layer_idx != SP_TYPE_NO_LAYER ? SP_FORMULA_OK : SP_FORMULA_UNBOUND;
    }
    if (strcmp(name, "n") == 0) {
        *out = sp_value_of_int(reader->n_layers);
        return reader->n_layers > 0 ? SP_FORMULA_OK : SP_FORMULA_UNBOUND;
    }
    const sp_type_symbol *found = sp_type_symbol_find(reader, name);
    if (found == NULL) return SP_FORMULA_UNBOUND;
    sp_type_symbol *symbol = &reader->symbols[found - reader->symbols];
    if (symbol->let == NULL) return read_key(reader, symbol, out);
    const sp_formula_code code = sp_type_eval(reader, symbol->let);
    *out = symbol->let->value;
    return code;
}

static bool holds(const sp_type_reader *reader, const sp_type_expr *expr)
{
    return expr->known && (!expr->layered || expr->layer_idx == reader->layer_idx);
}

static sp_formula_code work_out(sp_type_reader *reader, sp_type_expr *expr)
{
    const sp_scope scope = {.lookup = look_up, .user = reader};
    sp_formula_failure failure = {.name = ""};
    if (expr->busy) return SP_FORMULA_CYCLE;
    reader->origin = reader->null = NULL;
    reader->reads_layer = reader->reads_keys = false;
    expr->busy = true;
    const sp_formula_code code = sp_formula_eval(expr->formula, &scope, &expr->value, &failure);
    expr->busy = false;
    expr->known = code == SP_FORMULA_OK;
    expr->origin = reader->origin;
    expr->null = reader->null;
    expr->layered = reader->reads_layer;
    expr->reads_keys = reader->reads_keys;
    expr->layer_idx = reader->layer_idx;
    const bool innermost = reader->failure.detail[0] == '\0';
    if (code != SP_FORMULA_OK && innermost) reader->failure = failure;
    return code;
}

sp_formula_code sp_type_eval(sp_type_reader *reader, sp_type_expr *expr)
{
    const sp_json *const origin = reader->origin, *const null = reader->null;
    const bool reads_layer = reader->reads_layer, reads_keys = reader->reads_keys;
    const sp_formula_code code = holds(reader, expr) ? SP_FORMULA_OK : work_out(reader, expr);
    reader->origin = origin != NULL ? origin : expr->origin;
    reader->null = null != NULL ? null : expr->null;
    reader->reads_layer = reads_layer || expr->layered;
    reader->reads_keys = reads_keys || expr->reads_keys;
    return code;
}

sp_status sp_type_fail(const sp_type_reader *reader, const sp_type_expr *expr, sp_error *err,
                       sp_status status, const char *format, ...)
{
    char message[sizeof err->message];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message, sizeof message, format, args);
    va_end(args);
    const sp_json *const key = expr->origin != NULL ? expr->origin : expr->null;
    if (key != NULL) return sp_json_fail(key, err, status, "%s", message);
    if (!expr->reads_keys || reader->config->node == NULL) {
        return sp_json_fail(&expr->json, err, status, "%s", message);
    }
    sp_json_fail(reader->config, err, status, "%s, by the defaults of %s", message, reader->type);
    err->value[0] = '\0'; /* the whole object says nothing */
    return status;
}

static sp_status start(sp_type_reader *reader, sp_type_expr *expr, const char *what, sp_error *err)
{
    reader->origin = reader->null = reader->latest = NULL;
    reader->reads_layer = reader->reads_keys = false;
    reader->failure = (sp_formula_failure){.name = ""};
    const sp_formula_code code = sp_type_eval(reader, expr);
    if (code == SP_FORMULA_OK) return SP_OK;
    reader->unevaluated = true;
    if (reader->latest != NULL) expr->origin = reader->latest; /* there it went wrong */
    const bool told = reader->failure.detail[0] != '\0';
    return sp_type_fail(reader, expr, err, code == SP_FORMULA_TYPE ? SP_E_TYPE : SP_E_INCONSISTENT,
                        "%s cannot be worked out: %s", what,
                        told ? reader->failure.detail : sp_formula_code_words(code));
}

sp_status sp_type_is_true(sp_type_reader *reader, sp_type_expr *expr, const char *what, bool *truth,
                          sp_error *err)
{
    SP_TRY(start(reader, expr, what, err));
    *truth = sp_value_is_true(&expr->value);
    return SP_OK;
}

/* The value is just the number that the config states under the key. */
static bool is_as_stated(const sp_type_expr *expr)
{
    sp_value stated;
    if (expr->origin == NULL || !sp_json_is_number(expr->origin)) return false;
    return sp_value_of_json(expr->origin, &stated) == SP_FORMULA_OK &&
           expr->value.kind == SP_VALUE_NUMBER && stated.number.num == expr->value.number.num &&
           stated.number.den == expr->value.number.den;
}

sp_status sp_type_fail_limits(const sp_type_reader *reader, const sp_type_expr *expr,
                              const char *meaning, uint64_t lo, uint64_t hi, sp_error *err)
{
    char number[SP_RATIONAL_TEXT_BYTES];
    uint64_t ignored = 0;
    if (is_as_stated(expr)) {
        const sp_status status = sp_json_as_u64(expr->origin, lo, hi, &ignored, err);
        if (status != SP_OK) return status;
    }
    (void)sp_rational_format(expr->value.number, number);
    sp_type_fail(reader, expr, err, SP_E_RANGE, "%s would be %s", meaning, number);
    return sp_fail_range(err, "%" PRIu64 " .. %" PRIu64 " for that", lo, hi);
}

static sp_status read_form(const sp_type_expr *expr, uint64_t *value, sp_error *err)
{
    if (expr->value.kind == SP_VALUE_TEXT) {
        for (uint32_t i = 0; i < SP_RECURRENCE_CONV; i++) {
            if (strcmp(sp_recurrence_names[i], expr->value.text) != 0) continue;
            *value = (uint64_t)i + 1;
            return SP_OK;
        }
    }
    sp_json_fail(&expr->json, err, SP_E_UNKNOWN_NAME, "no form of a recurrence");
    return sp_fail_names(err, expr->value.kind == SP_VALUE_TEXT ? expr->value.text : "",
                         sp_recurrence_names, SP_RECURRENCE_CONV);
}

sp_status sp_type_field_value(sp_type_reader *reader, const sp_model_field *field,
                              sp_type_expr *expr, uint64_t *value, sp_error *err)
{
    int64_t number = 0;
    SP_TRY(start(reader, expr, field->meaning, err));
    if (sp_model_field_is_form(field)) return read_form(expr, value, err);
    if (expr->value.kind != SP_VALUE_NUMBER) {
        reader->unevaluated = true; /* a requirement may know better why */
        return sp_type_fail(reader, expr, err, SP_E_TYPE, "%s would be %s", field->meaning,
                            sp_value_kind_words(&expr->value));
    }
    if (!sp_value_as_int(&expr->value, (int64_t)field->lo, (int64_t)field->hi, &number)) {
        return sp_type_fail_limits(reader, expr, field->meaning, field->lo, field->hi, err);
    }
    *value = (uint64_t)number;
    return SP_OK;
}

/* ---- requirements ---- */

static sp_status refuse(const sp_type_reader *reader, const sp_type_requirement *requirement,
                        sp_error *err)
{
    const sp_status status = requirement->later ? SP_E_NOT_YET : SP_E_INCONSISTENT;
    const sp_type_symbol *symbol = sp_type_symbol_find(reader, requirement->key);
    const bool stated = symbol != NULL && symbol->stated != NULL;
    if (stated) return sp_json_fail(symbol->stated, err, status, "%s", requirement->sentence);
    if (requirement->that.origin != NULL) {
        return sp_json_fail(requirement->that.origin, err, status, "%s: %s", requirement->key,
                            requirement->sentence);
    }
    sp_json_fail(reader->config->node != NULL ? reader->config : reader->file, err, status,
                 "%s: %s", requirement->key, requirement->sentence);
    err->value[0] = '\0'; /* the whole object says nothing */
    return status;
}

sp_status sp_type_check_requirements(sp_type_reader *reader, bool patient, sp_error *err)
{
    reader->layer_idx = SP_TYPE_NO_LAYER;
    for (size_t i = 0; i < reader->n_requirements; i++) {
        sp_type_requirement *requirement = &reader->requirements[i];
        bool truth = false;
        const sp_status status =
            sp_type_is_true(reader, &requirement->that, requirement->sentence, &truth, err);
        if (status != SP_OK && patient) continue;
        if (status != SP_OK) return status;
        if (truth) continue;
        if (!requirement->remark) return refuse(reader, requirement, err);
        if (!patient)
            sp_model_note(reader->build, "%s: %s.", requirement->key, requirement->sentence);
    }
    return SP_OK;
}
