/* SPDX-License-Identifier: Apache-2.0 */
/* The figures of an estimate by name. */
#include "step/step.h"

#include <assert.h>
#include <string.h>

typedef struct sp_field_entry {
    sp_field field;
    size_t offset;
} sp_field_entry;

/* clang-format off */
static const sp_field_entry entries[] = {
#define SP_FIELD(member, json, where, unit, meaning)                                               \
    {{json, where, unit, meaning}, offsetof(sp_estimate, member)},
#include "step/fields.def"
#undef SP_FIELD
};
/* clang-format on */

#define N_FIELDS (sizeof entries / sizeof entries[0])

uint32_t sp_field_count(void)
{
    return (uint32_t)N_FIELDS;
}

const sp_field *sp_field_describe(uint32_t field)
{
    assert(field < N_FIELDS);
    return &entries[field].field;
}

double sp_field_get(const sp_estimate *estimate, uint32_t field)
{
    assert(field < N_FIELDS);
    double value;
    memcpy(&value, (const char *)estimate + entries[field].offset, sizeof value);
    return value;
}

uint32_t sp_field_find(const char *name)
{
    for (uint32_t i = 0; i < N_FIELDS; i++) {
        if (strcmp(entries[i].field.json, name) == 0 || strcmp(entries[i].field.where, name) == 0) {
            return i;
        }
    }
    return UINT32_MAX;
}
