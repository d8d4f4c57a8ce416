/* SPDX-License-Identifier: Apache-2.0 */
/* The figures of a serving estimate by name. */
#include "serve/serving_priv.h"

#include <assert.h>
#include <string.h>

static const sp_field fields[] = {
#define SP_SERVING_FIELD(value, json, where, unit, meaning) {json, where, unit, meaning},
#include "serve/serving_fields.def"
#undef SP_SERVING_FIELD
};

#define N_FIELDS (sizeof fields / sizeof fields[0])

/* Neighbours among the parts of memory, when it is fullest. */
static double part_bytes(const sp_serving_estimate *e, sp_memory_part first, sp_memory_part last)
{
    double bytes = 0.0;
    for (sp_memory_part part = first; part <= last; part++) {
        bytes += e->memory.bytes[e->memory.peak_phase][part];
    }
    return bytes;
}

uint32_t sp_serving_field_count(void)
{
    return (uint32_t)N_FIELDS;
}

const sp_field *sp_serving_field_describe(uint32_t field)
{
    assert(field < N_FIELDS);
    return &fields[field];
}

/* An id for each line of the list. */
enum field_id {
#define SP_SERVING_FIELD(value, json, where, unit, meaning) FIELD_AT(__LINE__),
#define FIELD_AT(line)                                      FIELD_NAME(line)
#define FIELD_NAME(line)                                    FIELD_##line
#include "serve/serving_fields.def"
#undef SP_SERVING_FIELD
    N_FIELD_IDS
};

double sp_serving_field_get(const sp_serving_estimate *e, uint32_t field)
{
    switch ((enum field_id)field) {
#define SP_SERVING_FIELD(value, json, where, unit, meaning)                                        \
    case FIELD_AT(__LINE__):                                                                       \
        return value;
#include "serve/serving_fields.def"
#undef SP_SERVING_FIELD
    case N_FIELD_IDS:
        break;
    }
    assert(false);
    return 0.0;
}

uint32_t sp_serving_field_find(const char *name)
{
    for (uint32_t i = 0; i < N_FIELDS; i++) {
        if (strcmp(fields[i].json, name) == 0 || strcmp(fields[i].where, name) == 0) return i;
    }
    return UINT32_MAX;
}
