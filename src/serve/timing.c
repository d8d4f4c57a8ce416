/* SPDX-License-Identifier: Apache-2.0 */
/* The section "timing" of an engine's file. */
#include "analysis/memory_priv.h"
#include "base/base.h"
#include "shardplan/serve.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
    const char *name;
    size_t offset;
    double least, most;
} settings[] = {
#define SP_TIMING(name, least, most) {#name, offsetof(sp_server_timing, name), least, most},
#include "shardplan/serve_timing.def"
#undef SP_TIMING
};

uint32_t sp_timing_count(void)
{
    return COUNT(settings);
}

const char *sp_timing_name(uint32_t constant)
{
    assert(constant < COUNT(settings));
    return settings[constant].name;
}

const char *sp_timing_unit(uint32_t constant)
{
    const char *name = sp_timing_name(constant), *last = strrchr(name, '_');
    return last != NULL ? last + 1 : name;
}

double sp_timing_get(const sp_server_timing *timing, uint32_t constant)
{
    double value = 0.0;
    assert(constant < COUNT(settings));
    memcpy(&value, (const char *)timing + settings[constant].offset, sizeof value);
    return value;
}

void sp_timing_set(sp_server_timing *timing, uint32_t constant, double value)
{
    assert(constant < COUNT(settings));
    memcpy((char *)timing + settings[constant].offset, &value, sizeof value);
}

static const char *const rules[SP_N_SERVE_RULES] = {"mixed", "whole", "prompts_first", "static"};

const char *sp_serve_rule_name(sp_serve_rule rule)
{
    assert(rule < SP_N_SERVE_RULES);
    return rules[rule];
}

/* {"value", "unit", "source", "date"}: every one is needed. */
static sp_status read_setting(const sp_json *section, size_t idx, sp_server_timing *timing,
                              sp_error *err)
{
    static const char *const keys[] = {"value", "unit", "source", "date", "samples", "range"};
    sp_json entry;
    double value = 0.0;
    const char *text = NULL;
    SP_TRY(sp_json_object(section, settings[idx].name, &entry, err));
    SP_TRY(sp_json_only(&entry, keys, COUNT(keys), err));
    SP_TRY(sp_json_string(&entry, "source", &text, err));
    SP_TRY(sp_json_string(&entry, "date", &text, err));
    SP_TRY(sp_json_double(&entry, "value", settings[idx].least, settings[idx].most, &value, err));
    sp_timing_set(timing, (uint32_t)idx, value);
    return SP_OK;
}

static sp_status read_kernels(struct sp_arena *arena, const sp_json *section,
                              sp_server_timing *timing, sp_error *err)
{
    sp_json list;
    const char *text = NULL;
    SP_TRY(sp_json_array(section, "frameworks", &list, err));
    if (sp_json_size(&list) < 1 || sp_json_size(&list) > 2) {
        return sp_json_fail(&list, err, SP_E_RANGE, "one or two frameworks");
    }
    for (size_t i = 0; i < sp_json_size(&list); i++) {
        const sp_json name = sp_json_at(&list, i);
        SP_TRY(sp_json_as_string(&name, &text, err));
        timing->frameworks[i] = sp_arena_strdup(arena, text);
        if (timing->frameworks[i] == NULL)
            return sp_fail(err, SP_E_MEMORY, "the engine needs more");
    }
    SP_TRY(sp_json_string_or(section, "reduce_kernel", NULL, &text, err));
    if (text == NULL) return SP_OK;
    timing->reduce_kernel = sp_arena_strdup(arena, text);
    return timing->reduce_kernel != NULL ? SP_OK
                                         : sp_fail(err, SP_E_MEMORY, "the engine needs more");
}

static sp_status read_section(struct sp_arena *arena, const sp_json *root, sp_server_timing *timing,
                              sp_error *err)
{
    const char *names[COUNT(settings) + 3];
    uint32_t rule = 0;
    sp_json section;
    for (size_t i = 0; i < COUNT(settings); i++) {
        names[i] = settings[i].name;
    }
    names[COUNT(settings)] = "rule";
    names[COUNT(settings) + 1] = "frameworks";
    names[COUNT(settings) + 2] = "reduce_kernel";
    SP_TRY(sp_json_object(root, "timing", &section, err));
    SP_TRY(sp_json_only(&section, names, COUNT(names), err));
    SP_TRY(sp_json_enum(&section, "rule", rules, SP_N_SERVE_RULES, &rule, err));
    timing->rule = (sp_serve_rule)rule;
    SP_TRY(read_kernels(arena, &section, timing, err));
    for (size_t i = 0; i < COUNT(settings); i++) {
        SP_TRY(read_setting(&section, i, timing, err));
    }
    return SP_OK;
}

sp_status sp_server_timing_load(struct sp_arena *arena, const char *home, const char *name,
                                sp_server_timing *timing, sp_error *err)
{
    sp_json_doc *doc = NULL;
    *timing = (sp_server_timing){0};
    SP_TRY(sp_server_open(arena, home, name, &doc, err));
    const sp_json root = sp_json_root(doc);
    const sp_status status = read_section(arena, &root, timing, err);
    sp_json_free(doc);
    return status;
}
