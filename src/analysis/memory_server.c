/* SPDX-License-Identifier: Apache-2.0 */
/* Serving engines as files: their settings, the number formats of their cache, and their head. */
#include "analysis/memory_priv.h"
#include "base/base.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const sp_knob knobs[] = {
#define SP_KNOB(name, least, most) {#name, offsetof(sp_server, name), least, most},
#include "shardplan/memory_knobs.def"
#undef SP_KNOB
};

const char *sp_pool_base_name(sp_pool_base base)
{
    static const char *const names[] = {"total", "start", "free", "growing"};
    assert((size_t)base < COUNT(names));
    return names[base];
}

const sp_knob *sp_knob_find(const char *name)
{
    for (size_t i = 0; i < COUNT(knobs); i++) {
        if (strcmp(knobs[i].name, name) == 0) return &knobs[i];
    }
    return NULL;
}

void sp_knob_set(sp_server *server, const sp_knob *knob, double value)
{
    memcpy((char *)server + knob->offset, &value, sizeof value);
}

static_assert(COUNT(knobs) <= 64, "a bit for each");

static uint64_t knob_bit(const sp_knob *knob)
{
    return UINT64_C(1) << (knob - knobs);
}

void sp_knob_give(sp_server *server, const sp_knob *knob, double value)
{
    sp_knob_set(server, knob, value);
    server->given |= knob_bit(knob);
}

bool sp_knob_is_given(const sp_server *server, const sp_knob *knob)
{
    return (server->given & knob_bit(knob)) != 0;
}

static sp_status keep(struct sp_arena *arena, const char *text, const char **kept, sp_error *err)
{
    *kept = text == NULL ? NULL : sp_arena_strdup(arena, text);
    if (text != NULL && *kept == NULL) return sp_fail(err, SP_E_MEMORY, "the engine needs more");
    return SP_OK;
}

/* ---- settings ---- */

static sp_status check_origin(const sp_json *entry, sp_error *err)
{
    const char *text = NULL;
    SP_TRY(sp_json_string(entry, "source", &text, err));
    return sp_json_string(entry, "date", &text, err);
}

sp_status sp_knob_read(const sp_json *settings, const sp_knob *knob, double *value, sp_error *err)
{
    static const char *const keys[] = {"value", "unit", "source", "date"};
    sp_json entry;
    SP_TRY(sp_json_object(settings, knob->name, &entry, err));
    SP_TRY(sp_json_only(&entry, keys, COUNT(keys), err));
    SP_TRY(sp_json_double(&entry, "value", knob->least, knob->most, value, err));
    return check_origin(&entry, err);
}

static sp_status read_settings(const sp_json *root, sp_server *server, sp_error *err)
{
    const char *names[COUNT(knobs)];
    sp_json settings;
    for (size_t i = 0; i < COUNT(knobs); i++) {
        names[i] = knobs[i].name;
        sp_knob_set(server, &knobs[i], knobs[i].least > 0.0 ? knobs[i].least : 0.0);
    }
    SP_TRY(sp_json_object(root, "settings", &settings, err));
    SP_TRY(sp_json_only(&settings, names, COUNT(names), err));
    for (size_t i = 0; i < COUNT(knobs); i++) {
        double value = 0.0;
        if (!sp_json_has(&settings, names[i])) continue;
        SP_TRY(sp_knob_read(&settings, &knobs[i], &value, err));
        sp_knob_set(server, &knobs[i], value);
    }
    return SP_OK;
}

/* ---- formats of the cache ---- */

static sp_status read_format(struct sp_arena *arena, const sp_json *entry, sp_kv_format *format,
                             sp_error *err)
{
    static const char *const keys[] = {"name",  "flag",   "bits", "scale_bits",
                                       "group", "source", "date"};
    const char *name = NULL, *flag = NULL;
    SP_TRY(sp_json_only(entry, keys, COUNT(keys), err));
    SP_TRY(sp_json_string(entry, "name", &name, err));
    SP_TRY(sp_json_string(entry, "flag", &flag, err));
    SP_TRY(check_origin(entry, err));
    SP_TRY(sp_json_double(entry, "bits", 1.0, 64.0, &format->bits, err));
    SP_TRY(sp_json_double_or(entry, "scale_bits", 0.0, 256.0, 0.0, &format->scale_bits, err));
    SP_TRY(sp_json_double_or(entry, "group", 0.0, 65536.0, 0.0, &format->group, err));
    SP_TRY(keep(arena, name, &format->name, err));
    return keep(arena, flag, &format->flag, err);
}

static sp_status read_formats(struct sp_arena *arena, const sp_json *root, sp_server *server,
                              sp_error *err)
{
    sp_json list;
    SP_TRY(sp_json_array(root, "kv_formats", &list, err));
    const size_t n = sp_json_size(&list);
    if (n == 0 || n > SP_MAX_KV_FORMATS) {
        return sp_json_fail(&list, err, SP_E_RANGE, "an engine has 1 to %d formats of its cache",
                            SP_MAX_KV_FORMATS);
    }
    for (size_t i = 0; i < n; i++) {
        const sp_json entry = sp_json_at(&list, i);
        SP_TRY(read_format(arena, &entry, &server->kv_formats[i], err));
    }
    server->n_kv_formats = (uint32_t)n;
    server->kv = 0;
    return SP_OK;
}

sp_status sp_server_set_kv(const char *format, sp_server *server, sp_error *err)
{
    const char *names[SP_MAX_KV_FORMATS];
    for (uint32_t i = 0; i < server->n_kv_formats; i++) {
        const sp_kv_format *known = &server->kv_formats[i];
        names[i] = known->name;
        if (strcmp(format, known->name) != 0 && strcmp(format, known->flag) != 0) continue;
        server->kv = i;
        return SP_OK;
    }
    sp_fail(err, SP_E_UNKNOWN_NAME, "%s has no such format of its cache", server->name);
    sp_fail_value(err, "%s", format);
    return sp_fail_names(err, format, names, server->n_kv_formats);
}

/* ---- the file ---- */

static sp_status read_head(struct sp_arena *arena, const sp_json *root, sp_server *server,
                           sp_error *err)
{
    static const char *const keys[] = {"schema",   "name",          "about",        "version",
                                       "base",     "fraction_flag", "running_flag", "cache_unit",
                                       "settings", "by_gpu",        "kv_formats",   "options",
                                       "timing",   "rules",         "flags"};
    static const char *const bases[] = {"total", "start", "free", "growing"};
    const char *text = NULL;
    uint32_t base = 0;
    SP_TRY(sp_json_schema(root, "shardplan/server/1", err));
    SP_TRY(sp_json_only(root, keys, COUNT(keys), err));
    SP_TRY(sp_json_string(root, "name", &text, err));
    SP_TRY(keep(arena, text, &server->name, err));
    SP_TRY(sp_json_string(root, "about", &text, err));
    SP_TRY(keep(arena, text, &server->about, err));
    SP_TRY(sp_json_string(root, "version", &text, err));
    SP_TRY(keep(arena, text, &server->version, err));
    SP_TRY(sp_json_string(root, "cache_unit", &text, err));
    SP_TRY(keep(arena, text, &server->cache_unit, err));
    SP_TRY(sp_json_string_or(root, "fraction_flag", NULL, &text, err));
    SP_TRY(keep(arena, text, &server->fraction_flag, err));
    SP_TRY(sp_json_string_or(root, "running_flag", NULL, &text, err));
    SP_TRY(keep(arena, text, &server->running_flag, err));
    SP_TRY(sp_json_enum(root, "base", bases, COUNT(bases), &base, err));
    server->base = (sp_pool_base)base;
    return SP_OK;
}

static sp_status check_name(struct sp_arena *arena, const char *home, const char *name,
                            sp_error *err)
{
    const char *dir = sp_arena_printf(arena, "%s/configs/engines/serving", home);
    const char *const *names = NULL;
    size_t n = 0;
    if (dir == NULL) return sp_fail(err, SP_E_MEMORY, "the engine needs more");
    SP_TRY(sp_dir_names(arena, dir, ".json", &names, &n, err));
    for (size_t i = 0; i < n; i++) {
        if (strcmp(names[i], name) == 0) return SP_OK;
    }
    sp_fail(err, SP_E_UNKNOWN_NAME, "no serving engine goes by this name");
    sp_fail_value(err, "%s", name);
    return sp_fail_names(err, name, names, n);
}

sp_status sp_server_open(struct sp_arena *arena, const char *home, const char *name,
                         sp_json_doc **doc, sp_error *err)
{
    SP_TRY(check_name(arena, home, name, err));
    const char *file = sp_arena_printf(arena, "%s/configs/engines/serving/%s.json", home, name);
    if (file == NULL) return sp_fail(err, SP_E_MEMORY, "the engine needs more");
    return sp_json_load_file(file, doc, err);
}

static sp_status read_server(struct sp_arena *arena, const sp_json *root, sp_server *server,
                             sp_error *err)
{
    SP_TRY(read_head(arena, root, server, err));
    SP_TRY(read_settings(root, server, err));
    SP_TRY(sp_server_read_tiers(arena, root, server, err));
    return read_formats(arena, root, server, err);
}

sp_status sp_server_load(struct sp_arena *arena, const char *home, const char *name,
                         sp_server *server, sp_error *err)
{
    sp_json_doc *doc = NULL;
    *server = (sp_server){0};
    SP_TRY(sp_server_open(arena, home, name, &doc, err));
    const sp_json root = sp_json_root(doc);
    const sp_status status = read_server(arena, &root, server, err);
    sp_json_free(doc);
    return status;
}
