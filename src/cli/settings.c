/* SPDX-License-Identifier: Apache-2.0 */
/* The value of every flag and where it comes from: a flag beats the environment, that a file, that
 * the default, in whatever order they are read. */
#include "cli/cli.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static sp_status no_memory(sp_error *err)
{
    return sp_fail(err, SP_E_MEMORY, "no memory for the settings");
}

sp_status sp_settings_put(sp_settings *settings, sp_flag_id flag, sp_origin origin,
                          const char *value, sp_error *err)
{
    sp_setting *setting = &settings->of[flag];
    const sp_flag *info = sp_flag_describe(flag);
    if (origin < setting->origin) {
        settings->file_differs = settings->file_differs || origin == SP_FROM_FILE;
        return SP_OK;
    }
    if (origin > setting->origin || info->kind != SP_KIND_LIST) setting->n_values = 0;
    if (setting->n_values == SP_MAX_VALUES) {
        sp_fail(err, SP_E_RANGE, "too many values");
        sp_fail_range(err, "0 .. %d", SP_MAX_VALUES);
        char name[64];
        (void)snprintf(name, sizeof name, "--%s", info->name);
        return sp_fail_file(err, name);
    }
    const char *copy = sp_arena_strdup(&settings->arena, value);
    if (copy == NULL) return no_memory(err);
    setting->origin = origin;
    setting->values[setting->n_values++] = copy;
    return SP_OK;
}

const char *sp_settings_text(const sp_settings *settings, sp_flag_id flag)
{
    const sp_setting *setting = &settings->of[flag];
    const char *text = setting->n_values > 0 ? setting->values[setting->n_values - 1]
                                             : sp_flag_describe(flag)->fallback;
    return text[0] != '\0' ? text : NULL;
}

sp_status sp_settings_switch(const sp_settings *settings, sp_flag_id flag, bool *on, sp_error *err)
{
    static const char *const yes[] = {"on", "true", "1"}, *const no[] = {"off", "false", "0"};
    const char *text = sp_settings_text(settings, flag);
    for (size_t i = 0; text != NULL && i < 3; i++) {
        *on = strcmp(text, yes[i]) == 0;
        if (*on || strcmp(text, no[i]) == 0) return SP_OK;
    }
    char name[64];
    (void)snprintf(name, sizeof name, "--%s", sp_flag_describe(flag)->name);
    sp_fail(err, SP_E_TYPE, "this is either on or off");
    sp_fail_value(err, "%s", text != NULL ? text : "");
    sp_fail_range(err, "on, off");
    return sp_fail_file(err, name);
}

const char *sp_origin_name(sp_origin origin)
{
    static const char *const names[] = {"default", "file", "environment", "flag"};
    return names[origin];
}

/* The value that the error is about, when the flag has several. */
static uint32_t blamed_value(const sp_setting *setting, const sp_error *err)
{
    for (uint32_t i = 0; i < setting->n_values; i++) {
        if (err->value[0] != '\0' && strstr(setting->values[i], err->value) != NULL) return i;
    }
    return 0;
}

/* Of flags with this name the one that was given. */
static sp_flag_id given_flag(const sp_settings *settings, const char *name)
{
    const sp_flag_id first = sp_flag_find(name);
    for (sp_flag_id flag = first; flag < SP_N_FLAGS; flag++) {
        const bool named = strcmp(sp_flag_describe(flag)->name, sp_flag_describe(first)->name) == 0;
        if (named && settings->of[flag].n_values > 0) return flag;
    }
    return first;
}

void sp_settings_locate(const sp_settings *settings, sp_error *err)
{
    if (strncmp(err->file, "--", 2) != 0 || err->line != 0) return;
    const sp_flag_id flag = given_flag(settings, err->file + 2);
    if (flag == SP_N_FLAGS) return;
    const sp_setting *setting = &settings->of[flag];
    if (setting->origin == SP_FROM_ENVIRONMENT) {
        char variable[80];
        sp_flag_variable(sp_flag_describe(flag), variable);
        sp_fail_file(err, variable);
    }
    if (setting->origin != SP_FROM_FILE) return;
    const uint32_t i = blamed_value(setting, err);
    sp_fail_file(err, settings->file);
    err->line = setting->lines[i];
    (void)snprintf(err->path, sizeof err->path, "%s",
                   setting->pointers[i] ? setting->pointers[i] : "");
}
