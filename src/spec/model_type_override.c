/* SPDX-License-Identifier: Apache-2.0 */
/* "per_layer_config" of a config: objects by the index of a layer, with the keys that hold another
 * value there. Only types whose file has a default for it know it, as with the classes. */
#include "spec/model_type.h"

#include <stdlib.h>
#include <string.h>

#define KEY "per_layer_config"

/* The classes pad indices with zeros: "05". */
static sp_status read_layer_idx(const sp_json *value, uint32_t *layer_idx, sp_error *err)
{
    const size_t n_digits = strspn(value->key, "0123456789");
    if (n_digits == 0 || n_digits > 9 || value->key[n_digits] != '\0') {
        return sp_json_fail(value, err, SP_E_UNKNOWN_KEY, "the name must be the index of a layer");
    }
    *layer_idx = (uint32_t)strtoul(value->key, NULL, 10);
    return SP_OK;
}

static sp_status read_override(const sp_json *value, sp_type_override *out, sp_error *err)
{
    SP_TRY(read_layer_idx(value, &out->layer_idx, err));
    if (!sp_json_is_object(value)) {
        return sp_json_fail(value, err, SP_E_TYPE, "must be an object");
    }
    const sp_json skip = sp_json_get(value, "skip");
    if (sp_json_size(&skip) > 0) {
        return sp_json_fail(&skip, err, SP_E_NOT_YET, "leaves out blocks of a layer");
    }
    out->keys = value;
    return SP_OK;
}

sp_status sp_type_overrides_read(sp_type_reader *reader, sp_error *err)
{
    const sp_json stated = sp_json_get(reader->config, KEY);
    if (!sp_json_has(&reader->defaults, KEY) || sp_json_is_null(&stated)) return SP_OK;
    const sp_json *object = sp_type_keep(reader->scratch, stated);
    const size_t n = sp_json_size(&stated);
    reader->overrides = sp_arena_alloc(reader->scratch, (n + 1) * sizeof *reader->overrides);
    if (object == NULL || reader->overrides == NULL) {
        return sp_fail(err, SP_E_MEMORY, "the layers of a config need more");
    }
    for (size_t i = 0; i < n; i++) {
        const sp_json *value = sp_type_keep(reader->scratch, sp_json_member(object, i));
        if (value == NULL) return sp_fail(err, SP_E_MEMORY, "the layers of a config need more");
        SP_TRY(read_override(value, &reader->overrides[i], err));
        reader->n_overrides++;
    }
    return SP_OK;
}

sp_status sp_type_overrides_check(const sp_type_reader *reader, sp_error *err)
{
    for (size_t i = 0; i < reader->n_overrides; i++) {
        if (reader->overrides[i].layer_idx < reader->n_layers) continue;
        sp_json_fail(reader->overrides[i].keys, err, SP_E_RANGE, "there is no such layer");
        err->value[0] = '\0';
        return sp_fail_range(err, "0 .. %u", (unsigned)reader->n_layers - 1);
    }
    return SP_OK;
}

const sp_json *sp_type_overriding(const sp_type_reader *reader, const char *key)
{
    for (size_t i = 0; i < reader->n_overrides; i++) {
        const sp_type_override *override = &reader->overrides[i];
        if (override->layer_idx != reader->layer_idx) continue;
        const char *spelt = sp_type_spelling(reader, override->keys, key);
        if (!sp_json_has(override->keys, spelt)) return NULL;
        return sp_type_keep(reader->scratch, sp_json_get(override->keys, spelt));
    }
    return NULL;
}
