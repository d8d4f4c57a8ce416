/* SPDX-License-Identifier: Apache-2.0 */
/* The engine of a question about serving, with the options that the flags give it. */
#include "cli/memory.h"

#include <string.h>

#define MOST_ENGINES 64u

static const char DEFAULT_ENGINE[] = "vllm";

/* Names of both halves of the command, for one that is neither's. */
static sp_status refuse_engine(sp_arena *arena, const char *home, const char *name, sp_error *err)
{
    static const char *const dirs[] = {"configs/engines/serving", "configs/engines"};
    const char *all[MOST_ENGINES];
    size_t n_all = 0;
    *err = (sp_error){0};
    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++) {
        const char *dir = sp_arena_printf(arena, "%s/%s", home, dirs[i]);
        const char *const *names = NULL;
        size_t n = 0;
        if (dir == NULL) return sp_fail(err, SP_E_MEMORY, "the question needs more");
        SP_TRY(sp_dir_names(arena, dir, ".json", &names, &n, err));
        for (size_t k = 0; k < n && n_all < MOST_ENGINES; k++) {
            all[n_all++] = names[k];
        }
    }
    sp_fail(err, SP_E_UNKNOWN_NAME, "no engine goes by this name, neither to serve nor to train");
    sp_fail_value(err, "%s", name);
    return sp_fail_names(err, name, all, n_all);
}

static sp_status load_engine(sp_arena *arena, const char *home, const char *name, sp_server *server,
                             sp_error *err)
{
    if (strchr(name, '@') != NULL) {
        sp_fail(err, SP_E_INCONSISTENT,
                "where releases of an engine that serves differ, the release is an option: "
                "--option release=...");
        return sp_fail_value(err, "%s", name);
    }
    const sp_status status = sp_server_load(arena, home, name, server, err);
    const bool foreign =
        status == SP_E_UNKNOWN_NAME && err->file[0] == '\0'; /* no file is at fault */
    return foreign ? refuse_engine(arena, home, name, err) : status;
}

static sp_status read_options(const sp_settings *s, sp_arena *arena, const char *home,
                              sp_server *server, sp_error *err)
{
    const sp_setting *options = &s->of[SP_FLAG_option];
    const char *kv = sp_settings_text(s, SP_FLAG_kv);
    for (uint32_t i = 0; i < options->n_values; i++) {
        const sp_status status = sp_server_set(arena, home, options->values[i], server, err);
        SP_TRY(sp_flag_blame(status, SP_FLAG_option, err));
    }
    if (s->of[SP_FLAG_kv].origin == SP_FROM_DEFAULT) return SP_OK;
    return sp_flag_blame(sp_server_set_kv(kv, server, err), SP_FLAG_kv, err);
}

sp_status sp_memory_read_engine(const sp_settings *s, sp_arena *arena, const char *home,
                                sp_footprint_question *q, sp_error *err)
{
    const bool given = s->of[SP_FLAG_engine].origin != SP_FROM_DEFAULT;
    const char *name = given ? sp_settings_text(s, SP_FLAG_engine) : DEFAULT_ENGINE;
    uint64_t longest = 0;
    SP_TRY(sp_flag_blame(load_engine(arena, home, name, &q->server, err), SP_FLAG_engine, err));
    SP_TRY(read_options(s, arena, home, &q->server, err));
    SP_TRY(sp_flag_length(s, SP_FLAG_max_context, &longest, err));
    if (longest > 0) q->server.max_context = (double)longest;
    return SP_OK;
}
