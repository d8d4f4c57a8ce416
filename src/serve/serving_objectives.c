/* SPDX-License-Identifier: Apache-2.0 */
/* What serving plans are ranked by. */
#include "serve/serving_priv.h"
#include "step/step.h"

#include <assert.h>
#include <string.h>

static const char fallback[] = "tokens_per_s_per_gpu,tokens_per_s_per_user";

static const sp_objective objectives[] = {
#define SP_SERVING_OBJECTIVE(name, unit, maximise, value, meaning) {#name, unit, meaning, maximise},
#include "serve/serving_objectives.def"
#undef SP_SERVING_OBJECTIVE
};

enum objective_id {
#define SP_SERVING_OBJECTIVE(name, unit, maximise, value, meaning) OBJECTIVE_##name,
#include "serve/serving_objectives.def"
#undef SP_SERVING_OBJECTIVE
    N_OBJECTIVES
};

uint32_t sp_serving_objective_count(void)
{
    return N_OBJECTIVES;
}

const sp_objective *sp_serving_objective_describe(uint32_t objective)
{
    assert(objective < N_OBJECTIVES);
    return &objectives[objective];
}

double sp_serving_objective_value(uint32_t objective, const sp_serving_estimate *e)
{
    switch ((enum objective_id)objective) {
#define SP_SERVING_OBJECTIVE(name, unit, maximise, value, meaning)                                 \
    case OBJECTIVE_##name:                                                                         \
        return value;
#include "serve/serving_objectives.def"
#undef SP_SERVING_OBJECTIVE
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
        if (strcmp(name, names[i]) != 0) continue;
        *objective = i;
        return SP_OK;
    }
    sp_fail(err, SP_E_UNKNOWN_NAME, "there is no such objective");
    sp_fail_value(err, "%s", name);
    sp_fail_names(err, name, names, N_OBJECTIVES);
    return sp_fail_file(err, "--objectives");
}

sp_status sp_serving_objectives_parse(const char *text, uint32_t *list, uint32_t *n, sp_error *err)
{
    return sp_objective_list_parse(text != NULL ? text : fallback, find_objective, list, n, err);
}
