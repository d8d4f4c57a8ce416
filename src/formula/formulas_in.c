/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the formulas of a file of any published form by the keys under which they stand, so that
 * they can be evaluated one by one. */
#include "formula/formula_priv.h"

#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 1024, LEVELS = 128 };

typedef struct walk {
    sp_formula_visit visit;
    void *user;
    char path[PATH_BYTES]; /* JSON pointer of where we are */
    size_t length;
} walk;

static bool is_one_of(const char *key, const char *const *keys, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(key, keys[i]) == 0) return true;
    }
    return false;
}

/* Texts under these keys are formulas. */
static bool is_formula_key(const char *key)
{
    static const char *const keys[] = {"flops",
                                       "read",
                                       "write",
                                       "memory_read",
                                       "memory_write",
                                       "repeat",
                                       "count",
                                       "calculation_formula",
                                       "reads_calculation_formula",
                                       "writes_calculation_formula",
                                       "intermediates_calculation_formula",
                                       "formula_template",
                                       "reads_template",
                                       "writes_template",
                                       "intermediates_template"};
    return is_one_of(key, keys, sizeof keys / sizeof keys[0]);
}

/* Every text in an object under these keys is a formula. */
static bool is_group_key(const char *key)
{
    static const char *const keys[] = {"breakdown", "bindings", "parameters", "where"};
    return is_one_of(key, keys, sizeof keys / sizeof keys[0]);
}

/* Adds a step to the path, with "~" and "/" written as RFC 6901 has it; returns the length before.
 */
static size_t enter(walk *w, const char *key, size_t idx)
{
    const size_t before = w->length;
    char number[24];
    snprintf(number, sizeof number, "%zu", idx);
    const char *step = key ? key : number;
    if (w->length + 2 * strlen(step) + 2 > PATH_BYTES) return before;
    w->path[w->length++] = '/';
    for (; *step; step++) {
        if (*step == '~' || *step == '/') {
            w->path[w->length++] = '~';
            w->path[w->length++] = *step == '~' ? '0' : '1';
        } else {
            w->path[w->length++] = *step;
        }
    }
    w->path[w->length] = '\0';
    return before;
}

static void leave(walk *w, size_t before)
{
    w->length = before;
    w->path[before] = '\0';
}

static sp_status visit_value(walk *w, const sp_json *value, bool formula, unsigned level,
                             sp_error *err);

static sp_status visit_parts(walk *w, const sp_json *whole, bool in_group, unsigned level,
                             sp_error *err)
{
    const bool object = sp_json_is_object(whole);
    for (size_t i = 0; i < sp_json_size(whole); i++) {
        const sp_json part = object ? sp_json_member(whole, i) : sp_json_at(whole, i);
        const char *key = object ? part.key : NULL;
        const size_t before = enter(w, key, i);
        const bool group = key && is_group_key(key) && sp_json_is_object(&part);
        if (group) {
            SP_TRY(visit_parts(w, &part, true, level + 1, err));
        } else {
            SP_TRY(visit_value(w, &part, key && (in_group || is_formula_key(key)), level + 1, err));
        }
        leave(w, before);
    }
    return SP_OK;
}

static sp_status visit_value(walk *w, const sp_json *value, bool formula, unsigned level,
                             sp_error *err)
{
    const char *text = NULL;
    if (level > LEVELS)
        return sp_json_fail(value, err, SP_E_RANGE, "the file is too deeply nested");
    if (!sp_json_is_string(value)) return visit_parts(w, value, false, level, err);
    SP_TRY(sp_json_as_string(value, &text, err));
    if (formula) w->visit(w->user, w->path, text);
    return SP_OK;
}

sp_status sp_formulas_in(const sp_json *root, sp_formula_visit visit, void *user, sp_error *err)
{
    walk w = {.visit = visit, .user = user};
    return visit_value(&w, root, false, 0, err);
}
