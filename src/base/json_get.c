/* SPDX-License-Identifier: Apache-2.0 */
/* Members of JSON objects, required and optional, on top of the getters of single values. */
#include "base/base_priv.h"

#include <string.h>

/* ---- required members ---- */

static sp_status require(const sp_json *object, const char *key, sp_json *out, sp_error *err)
{
    if (!sp_json_is_object(object)) return sp_json_fail_type(object, "an object", err);
    *out = sp_json_get(object, key);
    return out->node ? SP_OK : sp_json_fail_missing(object, key, err);
}

sp_status sp_json_object(const sp_json *object, const char *key, sp_json *out, sp_error *err)
{
    SP_TRY(require(object, key, out, err));
    return sp_json_is_object(out) ? SP_OK : sp_json_fail_type(out, "an object", err);
}

sp_status sp_json_array(const sp_json *object, const char *key, sp_json *out, sp_error *err)
{
    SP_TRY(require(object, key, out, err));
    return sp_json_is_array(out) ? SP_OK : sp_json_fail_type(out, "an array", err);
}

sp_status sp_json_string(const sp_json *object, const char *key, const char **out, sp_error *err)
{
    sp_json value;
    SP_TRY(require(object, key, &value, err));
    return sp_json_as_string(&value, out, err);
}

sp_status sp_json_u64(const sp_json *object, const char *key, uint64_t lo, uint64_t hi,
                      uint64_t *out, sp_error *err)
{
    sp_json value;
    SP_TRY(require(object, key, &value, err));
    return sp_json_as_u64(&value, lo, hi, out, err);
}

sp_status sp_json_u32(const sp_json *object, const char *key, uint32_t lo, uint32_t hi,
                      uint32_t *out, sp_error *err)
{
    uint64_t wide = 0;
    SP_TRY(sp_json_u64(object, key, lo, hi, &wide, err));
    *out = (uint32_t)wide;
    return SP_OK;
}

sp_status sp_json_double(const sp_json *object, const char *key, double lo, double hi, double *out,
                         sp_error *err)
{
    sp_json value;
    SP_TRY(require(object, key, &value, err));
    return sp_json_as_double(&value, lo, hi, out, err);
}

sp_status sp_json_bool(const sp_json *object, const char *key, bool *out, sp_error *err)
{
    sp_json value;
    SP_TRY(require(object, key, &value, err));
    return sp_json_as_bool(&value, out, err);
}

sp_status sp_json_enum(const sp_json *object, const char *key, const char *const *names,
                       size_t n_names, uint32_t *out, sp_error *err)
{
    sp_json value;
    const char *given = NULL;
    SP_TRY(require(object, key, &value, err));
    SP_TRY(sp_json_as_string(&value, &given, err));
    for (size_t i = 0; i < n_names; i++) {
        if (strcmp(names[i], given) != 0) continue;
        *out = (uint32_t)i;
        return SP_OK;
    }
    sp_json_fail(&value, err, SP_E_UNKNOWN_NAME, "\"%s\" is not one of the names allowed here",
                 given);
    return sp_fail_names(err, given, names, n_names);
}

/* ---- optional members ---- */

/* Finds the member; *present is false when it, or the whole object, is absent or null. */
static sp_status look_up(const sp_json *object, const char *key, sp_json *out, bool *present,
                         sp_error *err)
{
    *out = sp_json_get(object, key);
    *present = out->node && !sp_json_is_null(out);
    const bool readable = !object->node || sp_json_is_null(object) || sp_json_is_object(object);
    return readable ? SP_OK : sp_json_fail_type(object, "an object", err);
}

sp_status sp_json_string_or(const sp_json *object, const char *key, const char *fallback,
                            const char **out, sp_error *err)
{
    sp_json value;
    bool present = false;
    SP_TRY(look_up(object, key, &value, &present, err));
    if (present) return sp_json_as_string(&value, out, err);
    *out = fallback;
    return SP_OK;
}

sp_status sp_json_u64_or(const sp_json *object, const char *key, uint64_t lo, uint64_t hi,
                         uint64_t fallback, uint64_t *out, sp_error *err)
{
    sp_json value;
    bool present = false;
    SP_TRY(look_up(object, key, &value, &present, err));
    if (present) return sp_json_as_u64(&value, lo, hi, out, err);
    *out = fallback;
    return SP_OK;
}

sp_status sp_json_u32_or(const sp_json *object, const char *key, uint32_t lo, uint32_t hi,
                         uint32_t fallback, uint32_t *out, sp_error *err)
{
    uint64_t wide = 0;
    SP_TRY(sp_json_u64_or(object, key, lo, hi, fallback, &wide, err));
    *out = (uint32_t)wide;
    return SP_OK;
}

sp_status sp_json_double_or(const sp_json *object, const char *key, double lo, double hi,
                            double fallback, double *out, sp_error *err)
{
    sp_json value;
    bool present = false;
    SP_TRY(look_up(object, key, &value, &present, err));
    if (present) return sp_json_as_double(&value, lo, hi, out, err);
    *out = fallback;
    return SP_OK;
}

sp_status sp_json_bool_or(const sp_json *object, const char *key, bool fallback, bool *out,
                          sp_error *err)
{
    sp_json value;
    bool present = false;
    SP_TRY(look_up(object, key, &value, &present, err));
    if (present) return sp_json_as_bool(&value, out, err);
    *out = fallback;
    return SP_OK;
}

sp_status sp_json_schema(const sp_json *root, const char *schema, sp_error *err)
{
    const char *given = NULL;
    sp_status status = sp_json_string(root, "schema", &given, err);
    if (status == SP_OK && strcmp(given, schema) == 0) return SP_OK;
    if (status == SP_OK) {
        const sp_json value = sp_json_get(root, "schema");
        status = sp_json_fail(&value, err, SP_E_UNKNOWN_NAME, "not the kind of file expected here");
    }
    sp_fail_range(err, "\"%s\"", schema);
    return status;
}
