/* SPDX-License-Identifier: Apache-2.0 */
/* --show-config: the value of every flag and which source won. */
#include "cli/cli.h"

#include <string.h>

static void add_source(const sp_settings *settings, sp_flag_id id, uint32_t i, sp_text *out)
{
    const sp_setting *setting = &settings->of[id];
    char variable[80];
    switch (setting->origin) {
    case SP_FROM_DEFAULT:
        sp_text_add(out, "default\n");
        return;
    case SP_FROM_FILE:
        sp_text_printf(out, "file %s:%d\n", settings->file, setting->lines[i]);
        return;
    case SP_FROM_ENVIRONMENT:
        sp_flag_variable(sp_flag_describe(id), variable);
        sp_text_printf(out, "environment %s\n", variable);
        return;
    case SP_FROM_FLAG:
        sp_text_add(out, "flag\n");
        return;
    }
}

void sp_show_config(const sp_settings *settings, unsigned commands, sp_text *out)
{
    for (sp_flag_id id = 0; id < SP_N_FLAGS; id++) {
        const sp_flag *flag = sp_flag_describe(id);
        const sp_setting *setting = &settings->of[id];
        if ((flag->commands & commands) == 0 || flag->kind == SP_KIND_LATER) continue;
        if (id == SP_FLAG_help || id == SP_FLAG_show_config) continue;
        const uint32_t n = setting->n_values > 0 ? setting->n_values : 1;
        for (uint32_t i = 0; i < n; i++) {
            const char *value = setting->n_values > 0 ? setting->values[i] : flag->fallback;
            sp_text_printf(out, "%-18s %-28s ", flag->name, value[0] != '\0' ? value : "-");
            add_source(settings, id, i, out);
        }
    }
}
