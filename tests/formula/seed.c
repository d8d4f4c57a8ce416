/* SPDX-License-Identifier: Apache-2.0 */
#include "seed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

const char *seed_path(const char *file)
{
    static char path[512];
    const char *data = getenv("SHARDPLAN_DATA");
    if (!data) return NULL;
    snprintf(path, sizeof path, "%s/seed-lmpredictor/%s", data, file);
    return sp_file_exists(path) ? path : NULL;
}

sp_json_doc *seed_load(const char *file)
{
    sp_json_doc *doc = NULL;
    sp_error err = {0};
    const char *path = seed_path(file);
    assert_non_null(path);
    assert_int_equal(sp_json_load_file(path, &doc, &err), SP_OK);
    return doc;
}

void seed_lines(const char *file, seed_visit visit, void *user)
{
    sp_text text = {0};
    sp_error err = {0};
    assert_int_equal(sp_file_read(seed_path(file), 8U << 20, &text, &err), SP_OK);
    for (char *p = text.data, *end; *p; p = end + (*end == '\n')) {
        end = p + strcspn(p, "\n");
        sp_json_doc *doc = NULL;
        if (end == p) continue;
        assert_int_equal(sp_json_load_text(p, (size_t)(end - p), file, &doc, &err), SP_OK);
        const sp_json root = sp_json_root(doc);
        visit(user, &root);
        sp_json_free(doc);
    }
    sp_text_fini(&text);
}

static const char *text_of(const sp_json *object, const char *key)
{
    const char *text = "";
    sp_error err = {0};
    assert_int_equal(sp_json_string(object, key, &text, &err), SP_OK);
    return text;
}

/* "num/den", "num" or the name of an error. */
static void expected_text(const sp_json *expected, char *out, size_t bytes)
{
    sp_value value;
    char number[SP_RATIONAL_TEXT_BYTES];
    if (sp_json_has(expected, "error")) {
        snprintf(out, bytes, "%s", text_of(expected, "error"));
    } else if (sp_json_has(expected, "int")) {
        snprintf(out, bytes, "%s", text_of(expected, "int"));
    } else if (sp_json_has(expected, "num")) {
        snprintf(out, bytes, "%s/%s", text_of(expected, "num"), text_of(expected, "den"));
    } else {
        assert_int_equal(sp_value_of_json(expected, &value), SP_FORMULA_OK);
        sp_rational_format(value.number, number);
        snprintf(out, bytes, "%s", number);
    }
}

bool seed_agrees(const sp_json *expected, sp_formula_code code, const sp_value *value,
                 const sp_formula_failure *failure, const char *what)
{
    char want[192], have[SP_RATIONAL_TEXT_BYTES];
    expected_text(expected, want, sizeof want);
    if (code == SP_FORMULA_OK) {
        sp_rational_format(value->number, have);
    } else {
        snprintf(have, sizeof have, "%s", sp_formula_code_name(code));
    }
    bool agrees = strcmp(want, have) == 0;
    if (agrees && sp_json_has(expected, "name")) {
        agrees = strcmp(text_of(expected, "name"), failure->name) == 0;
    }
    if (!agrees) {
        print_error("%s: %s where %s is expected (%s)\n", what, have, want,
                    code == SP_FORMULA_OK ? "" : failure->name);
    }
    return agrees;
}
