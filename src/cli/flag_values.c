/* SPDX-License-Identifier: Apache-2.0 */
/* Values of flags as numbers and choices; an error names the flag. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

#define LEAST_RESERVE_BYTES 1024.0

/* Adds the flag to an error of a parser. */
sp_status sp_flag_blame(sp_status status, sp_flag_id flag, sp_error *err)
{
    if (status == SP_OK || err->line > 0) return status; /* a line is that of a file */
    char name[64];
    (void)snprintf(name, sizeof name, "--%s", sp_flag_describe(flag)->name);
    return sp_fail_file(err, name);
}

sp_status sp_flag_length(const sp_settings *s, sp_flag_id flag, uint64_t *out, sp_error *err)
{
    const char *text = sp_settings_text(s, flag);
    return text == NULL ? SP_OK : sp_flag_blame(sp_parse_length(text, out, err), flag, err);
}

sp_status sp_flag_amount(const sp_settings *s, sp_flag_id flag, double *out, sp_error *err)
{
    const char *text = sp_settings_text(s, flag);
    return text == NULL ? SP_OK : sp_flag_blame(sp_parse_amount(text, out, err), flag, err);
}

sp_status sp_flag_ratio(const sp_settings *s, sp_flag_id flag, double *out, sp_error *err)
{
    const char *text = sp_settings_text(s, flag);
    return text == NULL ? SP_OK : sp_flag_blame(sp_parse_ratio(text, out, err), flag, err);
}

sp_status sp_flag_choice(const sp_settings *s, sp_flag_id flag, const char *const *names,
                         size_t n_names, uint32_t *choice, sp_error *err)
{
    const char *text = sp_settings_text(s, flag);
    for (uint32_t i = 0; text != NULL && i < n_names; i++) {
        *choice = i;
        if (strcmp(text, names[i]) == 0) return SP_OK;
    }
    if (text == NULL) return SP_OK;
    sp_fail(err, SP_E_UNKNOWN_NAME, "there is no such choice");
    sp_fail_value(err, "%s", text);
    sp_fail_names(err, text, names, n_names);
    return sp_flag_blame(err->status, flag, err);
}

/* A few bytes are a forgotten unit. */
sp_status sp_flag_reserve(const sp_settings *s, double *bytes, sp_error *err)
{
    const char *text = sp_settings_text(s, SP_FLAG_reserve);
    if (text == NULL) return SP_OK;
    SP_TRY(sp_flag_blame(sp_parse_bytes(text, bytes, err), SP_FLAG_reserve, err));
    if (*bytes == 0.0 || *bytes >= LEAST_RESERVE_BYTES) return SP_OK;
    sp_fail(err, SP_E_RANGE, "so few bytes are a size without its unit: write 4GiB");
    sp_fail_value(err, "%s", text);
    return sp_flag_blame(err->status, SP_FLAG_reserve, err);
}

sp_status sp_flag_gradients(const sp_settings *s, sp_gradients *out, sp_error *err)
{
    const char *names[SP_N_GRADIENTS];
    for (uint32_t i = 0; i < SP_N_GRADIENTS; i++) {
        names[i] = sp_gradients_name((sp_gradients)i);
    }
    uint32_t choice = SP_GRADIENTS_AUTO;
    SP_TRY(sp_flag_choice(s, SP_FLAG_gradients, names, SP_N_GRADIENTS, &choice, err));
    *out = (sp_gradients)choice;
    return SP_OK;
}

sp_status sp_flag_count(const sp_settings *s, sp_flag_id flag, uint64_t lo, uint64_t hi,
                        uint32_t *out, sp_error *err)
{
    uint64_t value = *out;
    SP_TRY(sp_flag_length(s, flag, &value, err));
    const char *text = sp_settings_text(s, flag);
    *out = (uint32_t)value;
    if (text == NULL || (value >= lo && value <= hi)) return SP_OK;
    sp_fail(err, SP_E_RANGE, "the number is out of range");
    sp_fail_value(err, "%s", text);
    sp_fail_range(err, "%llu .. %llu", (unsigned long long)lo, (unsigned long long)hi);
    return sp_flag_blame(err->status, flag, err);
}

sp_status sp_flag_take_list(const sp_settings *s, sp_flag_id flag, const char **out, uint32_t most,
                            uint32_t *n, sp_error *err)
{
    const sp_setting *setting = &s->of[flag];
    for (uint32_t i = 0; i < setting->n_values; i++) {
        if (*n == most) {
            sp_fail(err, SP_E_RANGE, "too many values");
            sp_fail_range(err, "0 .. %u", most);
            return sp_flag_blame(err->status, flag, err);
        }
        out[(*n)++] = setting->values[i];
    }
    return SP_OK;
}
