/* SPDX-License-Identifier: Apache-2.0 */
/* What plans are ranked by. */
#include "step/step.h"

#include <assert.h>
#include <string.h>

static const sp_objective objectives[] = {
#define SP_OBJECTIVE(name, unit, maximise, value, meaning) {#name, unit, meaning, maximise},
#include "step/objectives.def"
#undef SP_OBJECTIVE
};

enum objective_id {
#define SP_OBJECTIVE(name, unit, maximise, value, meaning) OBJECTIVE_##name,
#include "step/objectives.def"
#undef SP_OBJECTIVE
    N_OBJECTIVES
};

/* Named in the interface, and not built. */
static const char *const announced[] = {"joules_per_token", "goodput"};

uint32_t sp_objective_count(void)
{
    return N_OBJECTIVES;
}

const sp_objective *sp_objective_describe(uint32_t objective)
{
    assert(objective < N_OBJECTIVES);
    return &objectives[objective];
}

double sp_objective_value(uint32_t objective, const sp_estimate *e, const sp_plan *p)
{
    switch ((enum objective_id)objective) {
#define SP_OBJECTIVE(name, unit, maximise, value, meaning)                                         \
    case OBJECTIVE_##name:                                                                         \
        return value;
#include "step/objectives.def"
#undef SP_OBJECTIVE
    case N_OBJECTIVES:
        break;
    }
    assert(false);
    return 0.0;
}

static sp_status find_objective(const char *name, uint32_t *objective, sp_error *err)
{
    const char *names[N_OBJECTIVES];
    for (uint32_t i = 0; i < N_OBJECTIVES; i++) {
        names[i] = objectives[i].name;
        if (strcmp(name, names[i]) == 0) {
            *objective = i;
            return SP_OK;
        }
    }
    for (size_t i = 0; i < sizeof announced / sizeof announced[0]; i++) {
        if (strcmp(name, announced[i]) == 0) {
            sp_fail(err, SP_E_NOT_YET, "this objective is planned and not built");
            sp_fail_value(err, "%s", name);
            return sp_fail_file(err, "--objectives");
        }
    }
    sp_fail(err, SP_E_UNKNOWN_NAME, "there is no such objective");
    sp_fail_value(err, "%s", name);
    sp_fail_names(err, name, names, N_OBJECTIVES);
    return sp_fail_file(err, "--objectives");
}

static sp_status add_objective(const char *name, sp_objective_find find, uint32_t *list,
                               uint32_t *n, sp_error *err)
{
    uint32_t objective = 0;
    SP_TRY(find(name, &objective, err));
    for (uint32_t i = 0; i < *n; i++) {
        if (list[i] == objective) {
            sp_fail(err, SP_E_INCONSISTENT, "an objective is named twice");
            sp_fail_value(err, "%s", name);
            return sp_fail_file(err, "--objectives");
        }
    }
    if (*n == SP_MAX_OBJECTIVES) {
        sp_fail(err, SP_E_RANGE, "too many objectives");
        sp_fail_range(err, "1 .. %d", SP_MAX_OBJECTIVES);
        return sp_fail_file(err, "--objectives");
    }
    list[(*n)++] = objective;
    return SP_OK;
}

sp_status sp_objective_list_parse(const char *text, sp_objective_find find, uint32_t *list,
                                  uint32_t *n, sp_error *err)
{
    const char *rest = text;
    *n = 0;
    for (;;) {
        char name[64];
        const size_t length = strcspn(rest, ",");
        if (length >= sizeof name) {
            sp_fail(err, SP_E_UNKNOWN_NAME, "there is no objective with so long a name");
            return sp_fail_file(err, "--objectives");
        }
        memcpy(name, rest, length);
        name[length] = '\0';
        SP_TRY(add_objective(name, find, list, n, err));
        if (rest[length] == '\0') {
            return SP_OK;
        }
        rest += length + 1;
    }
}

sp_status sp_objectives_parse(const char *text, bool gpus_vary, uint32_t *list, uint32_t *n,
                              sp_error *err)
{
    const char *fallback = gpus_vary ? "tokens_per_s,gpus,memory_peak" : "tokens_per_s,memory_peak";
    return sp_objective_list_parse(text != NULL ? text : fallback, find_objective, list, n, err);
}
