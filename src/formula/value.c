/* SPDX-License-Identifier: Apache-2.0 */
/* What a value is: truth, equality, length, elements and membership as Python has them, and values
 * out of JSON. Lists and objects stay JSON; nothing is copied. */
#include "formula/formula_priv.h"

#include <assert.h>
#include <string.h>

sp_value sp_value_of_int(int64_t number)
{
    return (sp_value){.kind = SP_VALUE_NUMBER, .number = sp_rational_of_int(number)};
}

static sp_value value_of_text(const char *text)
{
    return (sp_value){.kind = SP_VALUE_TEXT, .text = text};
}

/* Whole numbers are exact; others are the shortest decimal that reads back as the double. No getter
 * that fails is asked: the cursor of an element has lost its way back, which errors would follow.
 */
static sp_formula_code number_of_json(const sp_json *json, sp_rational *out)
{
    const double most = (double)(UINT64_C(1) << 53);
    int64_t whole = 0;
    double real = 0;
    if (sp_json_number(json, &whole, &real)) return sp_rational_make(whole, 1, out);
    if (real > most || real < -most) return SP_FORMULA_OVERFLOW;
    char text[32];
    size_t length = 0;
    sp_format_double(real < 0 ? -real : real, text);
    const sp_formula_code code = sp_rational_scan(text, &length, out);
    if (code == SP_FORMULA_OK && real < 0) *out = sp_rational_negate(*out);
    return code;
}

sp_formula_code sp_value_of_json(const sp_json *json, sp_value *out)
{
    sp_error ignored = {0};
    bool truth = false;
    *out = (sp_value){.kind = SP_VALUE_NONE};
    if (!json->node || sp_json_is_null(json)) return SP_FORMULA_OK;
    if (sp_json_is_number(json)) {
        out->kind = SP_VALUE_NUMBER;
        return number_of_json(json, &out->number);
    }
    if (sp_json_is_bool(json)) {
        (void)sp_json_as_bool(json, &truth, &ignored);
        *out = sp_value_of_int(truth);
    } else if (sp_json_is_string(json)) {
        out->kind = SP_VALUE_TEXT;
        (void)sp_json_as_string(json, &out->text, &ignored);
    } else {
        *out = (sp_value){.kind = SP_VALUE_JSON, .json = *json};
        out->json.parent = NULL; /* the way to it may not outlive it */
    }
    return SP_FORMULA_OK;
}

bool sp_value_is_true(const sp_value *value)
{
    switch (value->kind) {
    case SP_VALUE_NONE:
        return false;
    case SP_VALUE_NUMBER:
        return value->number.num != 0;
    case SP_VALUE_TEXT:
        return value->text[0] != '\0';
    case SP_VALUE_JSON:
        return sp_json_size(&value->json) > 0;
    }
    return false;
}

bool sp_value_as_int(const sp_value *value, int64_t lo, int64_t hi, int64_t *out)
{
    if (value->kind != SP_VALUE_NUMBER || value->number.den != 1) return false;
    if (value->number.num < lo || value->number.num > hi) return false;
    *out = (int64_t)value->number.num;
    return true;
}

const char *sp_value_kind_words(const sp_value *value)
{
    switch (value->kind) {
    case SP_VALUE_NONE:
        return "None";
    case SP_VALUE_NUMBER:
        return "a number";
    case SP_VALUE_TEXT:
        return "a text";
    case SP_VALUE_JSON:
        return sp_json_is_array(&value->json) ? "a list" : "an object";
    }
    return "nothing";
}

/* Lists are equal if they are the same one: nobody compares two of them. */
bool sp_value_equal(const sp_value *a, const sp_value *b)
{
    if (a->kind != b->kind) return false;
    switch (a->kind) {
    case SP_VALUE_NONE:
        return true;
    case SP_VALUE_NUMBER:
        return a->number.num == b->number.num && a->number.den == b->number.den;
    case SP_VALUE_TEXT:
        return strcmp(a->text, b->text) == 0;
    case SP_VALUE_JSON:
        return a->json.node == b->json.node;
    }
    return false;
}

sp_formula_code sp_value_length(const sp_value *value, sp_value *out, sp_formula_failure *failure)
{
    if (value->kind == SP_VALUE_TEXT) {
        *out = sp_value_of_int((int64_t)strlen(value->text));
    } else if (value->kind == SP_VALUE_JSON) {
        *out = sp_value_of_int((int64_t)sp_json_size(&value->json));
    } else {
        return sp_formula_fail(failure, SP_FORMULA_TYPE, "len", "%s has no length",
                               sp_value_kind_words(value));
    }
    return SP_FORMULA_OK;
}

/* ---- elements ---- */

/* Texts of one character, so that text[i] needs no memory: the printable ones of ASCII. */
static const char *letter(char c)
{
    static const char letters[] =
        " \0!\0\"\0#\0$\0%\0&\0'\0(\0)\0*\0+\0,\0-\0.\0/\0"
        "0\0"
        "1\0"
        "2\0"
        "3\0"
        "4\0"
        "5\0"
        "6\0"
        "7\0"
        "8\0"
        "9\0:\0;\0<\0=\0>\0?\0"
        "@\0A\0B\0C\0D\0E\0F\0G\0H\0I\0J\0K\0L\0M\0N\0O\0P\0Q\0R\0S\0T\0U\0V\0W\0X\0Y\0Z\0"
        "[\0\\\0]\0^\0_\0`\0a\0b\0c\0d\0e\0f\0g\0h\0i\0j\0k\0l\0m\0n\0o\0p\0q\0r\0s\0t\0u\0v\0w\0"
        "x\0y\0z\0{\0|\0}\0~\0";
    return c >= ' ' && c <= '~' ? letters + 2 * (c - ' ') : NULL;
}

static sp_formula_code index_object(const sp_value *object, const char *key, sp_value *out,
                                    sp_formula_failure *failure)
{
    const sp_json member = sp_json_get(&object->json, key);
    if (member.node) return sp_value_of_json(&member, out);
    return sp_formula_fail(failure, SP_FORMULA_UNBOUND, key, "the object has no such member");
}

sp_formula_code sp_value_index(const sp_value *value, const sp_value *at, sp_value *out,
                               sp_formula_failure *failure)
{
    int64_t idx = 0;
    const bool json = value->kind == SP_VALUE_JSON, text = value->kind == SP_VALUE_TEXT;
    const bool object = json && sp_json_is_object(&value->json);
    if (object && at->kind == SP_VALUE_TEXT) return index_object(value, at->text, out, failure);
    if ((!json && !text) || object || !sp_value_as_int(at, -INT32_MAX, INT32_MAX, &idx)) {
        return sp_formula_fail(failure, SP_FORMULA_TYPE, "[]", "%s has no element %s",
                               sp_value_kind_words(value), sp_value_kind_words(at));
    }
    const size_t size = json ? sp_json_size(&value->json) : strlen(value->text);
    if (idx < 0) idx += (int64_t)size;
    if (idx < 0 || (size_t)idx >= size) {
        return sp_formula_fail(failure, SP_FORMULA_UNBOUND, "[]", "there are only %zu elements",
                               size);
    }
    if (json) {
        const sp_json element = sp_json_at(&value->json, (size_t)idx);
        return sp_value_of_json(&element, out);
    }
    const char *one = letter(value->text[idx]);
    *out = value_of_text(one ? one : "");
    return SP_FORMULA_OK;
}

static bool list_holds(const sp_json *list, const sp_value *needle)
{
    for (size_t i = 0; i < sp_json_size(list); i++) {
        const sp_json element = sp_json_at(list, i);
        sp_value value;
        if (sp_value_of_json(&element, &value) == SP_FORMULA_OK && sp_value_equal(&value, needle)) {
            return true;
        }
    }
    return false;
}

sp_formula_code sp_value_in(const sp_value *needle, const sp_value *haystack, bool *found,
                            sp_formula_failure *failure)
{
    const bool json = haystack->kind == SP_VALUE_JSON, text = needle->kind == SP_VALUE_TEXT;
    if (json && sp_json_is_array(&haystack->json)) {
        *found = list_holds(&haystack->json, needle);
    } else if (json && text) {
        *found = sp_json_has(&haystack->json, needle->text);
    } else if (haystack->kind == SP_VALUE_TEXT && text) {
        *found = strstr(haystack->text, needle->text) != NULL;
    } else {
        return sp_formula_fail(failure, SP_FORMULA_TYPE, "in", "%s cannot be in %s",
                               sp_value_kind_words(needle), sp_value_kind_words(haystack));
    }
    return SP_FORMULA_OK;
}
