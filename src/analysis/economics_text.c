/* SPDX-License-Identifier: Apache-2.0 */
/* Assumptions about money and carbon as people type them: "years=4,pue=1.2,grid=France" changes the
 * parts that it names. */
#include "base/base.h"
#include "shardplan/sweep.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define MAX_WORD 64

static const struct part {
    const char *name;
    size_t offset;
    double lo, hi;
} parts[] = {
    {"years",       offsetof(sp_economics, lifetime_years),      0.1,   50.0},
    {"utilization", offsetof(sp_economics, utilization_ratio),   0.001, 1.0 },
    {"pue",         offsetof(sp_economics, pue),                 1.0,   5.0 },
    {"usd_per_kwh", offsetof(sp_economics, usd_per_kwh),         0.0,   10.0},
    {"g_per_kwh",   offsetof(sp_economics, grid_g_per_kwh),      0.0,   1e4 },
    {"embodied_kg", offsetof(sp_economics, embodied_kg),         0.0,   1e6 },
    {"alpha",       offsetof(sp_economics, compute_power_ratio), 0.0,   1.0 },
};
#define N_PARTS (sizeof parts / sizeof parts[0])

static sp_status set_number(const struct part *part, const char *text, sp_economics *money,
                            sp_error *err)
{
    char *end = NULL;
    const double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= part->lo && value <= part->hi)) {
        sp_fail(err, SP_E_RANGE, "%s must be a number in its range", part->name);
        sp_fail_value(err, "%s", text);
        return sp_fail_range(err, "%g .. %g", part->lo, part->hi);
    }
    memcpy((char *)money + part->offset, &value, sizeof value);
    return SP_OK;
}

static sp_status set_grid(const char *home, const char *name, sp_economics *money, sp_error *err)
{
    sp_economics of_grid;
    SP_TRY(sp_economics_load(home, name, &of_grid, err));
    money->grid_g_per_kwh = of_grid.grid_g_per_kwh;
    return SP_OK;
}

static sp_status refuse(const char *name, sp_error *err)
{
    const char *names[N_PARTS + 1];
    for (size_t i = 0; i < N_PARTS; i++) {
        names[i] = parts[i].name;
    }
    names[N_PARTS] = "grid";
    sp_fail(err, SP_E_UNKNOWN_NAME, "no assumption goes by this name");
    sp_fail_value(err, "%s", name);
    return sp_fail_names(err, name, names, N_PARTS + 1);
}

/* One "name=value"; word is cut in two at its sign. */
static sp_status set_part(const char *home, char *word, sp_economics *money, sp_error *err)
{
    char *sign = strchr(word, '=');
    if (sign == NULL) return refuse(word, err);
    *sign = '\0';
    if (strcmp(word, "grid") == 0) return set_grid(home, sign + 1, money, err);
    for (size_t i = 0; i < N_PARTS; i++) {
        if (strcmp(word, parts[i].name) == 0) return set_number(&parts[i], sign + 1, money, err);
    }
    return refuse(word, err);
}

sp_status sp_economics_parse(const char *home, const char *text, sp_economics *money, sp_error *err)
{
    while (*text != '\0') {
        char word[MAX_WORD] = "";
        const size_t length = strcspn(text, ",");
        if (length >= sizeof word) return refuse(text, err);
        memcpy(word, text, length);
        SP_TRY(set_part(home, word, money, err));
        text += length + (text[length] == ',');
    }
    return SP_OK;
}
