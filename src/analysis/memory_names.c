/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of a GPU's memory, phases and verdicts by name. */
#include "shardplan/memory.h"

#include <assert.h>
#include <stddef.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct part_name {
    const char *name, *meaning;
} parts[] = {
#define SP_MEMORY_PART(name, meaning) {#name, meaning},
#include "shardplan/memory_parts.def"
#undef SP_MEMORY_PART
};

const char *sp_memory_part_name(sp_memory_part part)
{
    assert((size_t)part < COUNT(parts));
    return parts[part].name;
}

const char *sp_memory_part_meaning(sp_memory_part part)
{
    assert((size_t)part < COUNT(parts));
    return parts[part].meaning;
}

const char *sp_serving_phase_name(sp_serving_phase phase)
{
    static const char *const names[] = {"load", "profile", "prefill", "decode"};
    assert((size_t)phase < COUNT(names));
    return names[phase];
}

const char *sp_footprint_verdict_name(sp_footprint_verdict verdict)
{
    static const char *const names[] = {"fits", "tight", "queues", "oom"};
    assert((size_t)verdict < COUNT(names));
    return names[verdict];
}
