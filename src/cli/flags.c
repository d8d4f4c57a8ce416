/* SPDX-License-Identifier: Apache-2.0 */
/* The table of flags, and finding one by its name. */
#include "cli/cli.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define Q SP_TAKES_QUESTION
#define T SP_TAKES_SEARCH
#define E SP_TAKES_PLAN
#define M SP_TAKES_PLANS
#define B SP_TAKES_BASELINE
#define R SP_TAKES_RESULT
#define A SP_TAKES_OUTPUT
#define V SP_TAKES_TABLE
#define L SP_TAKES_ANALYSIS
#define F SP_TAKES_FORMULAS
#define K SP_TAKES_MEMORY
#define C SP_TAKES_CALIBRATE
#define S SP_TAKES_SERVING
#define N SP_TAKES_RECOMMEND

/* clang-format off */
static const sp_flag flags[SP_N_FLAGS] = {
#define SP_FLAG(id, name, letter, kind, group, commands, argument, fallback, meaning)              \
    [SP_FLAG_##id] = {name, letter, SP_KIND_##kind, SP_GROUP_##group, commands, argument, fallback, meaning},
#include "cli/flags.def"
#undef SP_FLAG
};
/* clang-format on */

const sp_flag *sp_flag_describe(sp_flag_id flag)
{
    assert(flag < SP_N_FLAGS);
    return &flags[flag];
}

static bool same_name(const char *a, const char *b)
{
    while (*a != '\0' && (*a == *b || (*a == '-' && *b == '_'))) {
        a++;
        b++;
    }
    return *a == '\0' && *b == '\0';
}

sp_flag_id sp_flag_find(const char *name)
{
    for (sp_flag_id flag = 0; flag < SP_N_FLAGS; flag++) {
        if (same_name(flags[flag].name, name)) return flag;
    }
    return SP_N_FLAGS;
}

sp_flag_id sp_flag_find_among(const char *name, unsigned commands)
{
    for (sp_flag_id flag = 0; flag < SP_N_FLAGS; flag++) {
        const bool taken = (flags[flag].commands & commands) != 0;
        if (taken && same_name(flags[flag].name, name)) return flag;
    }
    return sp_flag_find(name);
}

void sp_flag_variable(const sp_flag *flag, char name[80])
{
    (void)snprintf(name, 80, "SHARDPLAN_%s", flag->name);
    for (char *c = name; *c != '\0'; c++) {
        *c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
    }
}

/* Choices of a plan have no flags: "--zero" means "--set zero=...". */
static bool suggest_set(const char *name, unsigned commands, sp_error *err)
{
    char axis[sizeof err->nearest];
    if ((flags[SP_FLAG_set].commands & commands) == 0 || strlen(name) + 13 > sizeof axis) {
        return false;
    }
    strcpy(axis, name);
    for (char *c = axis; *c != '\0'; c++) {
        if (*c == '-') *c = '_';
    }
    const bool of_training = (commands & (Q | K)) != 0 && sp_axis_find(axis) != SP_N_AXES;
    const bool of_serving = (commands & S) != 0 && sp_serving_axis_find(axis) != SP_N_SERVING_AXES;
    if (!of_training && !of_serving) return false;
    (void)snprintf(err->nearest, sizeof err->nearest, "--set %.*s=VALUE", (int)sizeof axis - 13,
                   axis);
    return true;
}

sp_status sp_flag_refuse(const char *word, const char *nearest_to, unsigned commands, sp_error *err)
{
    const char *names[SP_N_FLAGS];
    size_t n = 0;
    for (sp_flag_id flag = 0; flag < SP_N_FLAGS; flag++) {
        const bool taken = (flags[flag].commands & commands) != 0;
        if (taken && flags[flag].kind != SP_KIND_LATER) names[n++] = flags[flag].name;
    }
    sp_fail(err, SP_E_USAGE, "there is no such flag here");
    sp_fail_value(err, "%s", word);
    if (suggest_set(nearest_to, commands, err)) return err->status;
    const char *nearest = sp_name_nearest(nearest_to, names, n);
    if (nearest != NULL) {
        err->nearest[0] = err->nearest[1] = '-';
        strncpy(err->nearest + 2, nearest, sizeof err->nearest - 3);
    }
    return err->status;
}
