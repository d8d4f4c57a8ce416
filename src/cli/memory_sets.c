/* SPDX-License-Identifier: Apache-2.0 */
/* --set in `shardplan memory` of training: conditions on axes, of which some have flags of their
 * own. */
#include "cli/memory.h"

#include <string.h>

const char *sp_memory_set_of(const sp_question *q, const char *axis)
{
    const size_t length = strlen(axis);
    for (uint32_t i = 0; i < q->n_sets; i++) {
        if (strncmp(q->sets[i], axis, length) == 0 && q->sets[i][length] == '=') {
            return q->sets[i] + length + 1;
        }
    }
    return NULL;
}

sp_status sp_memory_add_set(sp_arena *arena, const char *axis, const char *value, sp_question *q,
                            sp_error *err)
{
    if (q->n_sets == SP_MAX_SETS) return sp_fail(err, SP_E_RANGE, "too many values of --set");
    q->sets[q->n_sets] = sp_arena_printf(arena, "%s=%s", axis, value);
    return q->sets[q->n_sets++] != NULL ? SP_OK
                                        : sp_fail(err, SP_E_MEMORY, "the question needs more");
}

sp_status sp_memory_read_sets(const sp_settings *s, sp_question *q, sp_error *err)
{
    const sp_setting *sets = &s->of[SP_FLAG_set];
    if (sets->n_values > SP_MAX_SETS) return sp_fail(err, SP_E_RANGE, "too many values of --set");
    for (uint32_t i = 0; i < sets->n_values; i++) {
        q->sets[q->n_sets++] = sets->values[i];
    }
    return SP_OK;
}

sp_status sp_memory_sets_to_flags(sp_settings *s, const sp_question *q, sp_error *err)
{
    static const struct {
        const char *axis;
        sp_flag_id flag;
    } same[] = {
        {"tp",          SP_FLAG_tp   },
        {"pp",          SP_FLAG_pp   },
        {"ep",          SP_FLAG_ep   },
        {"micro_batch", SP_FLAG_batch},
    };
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        const char *value = sp_memory_set_of(q, same[i].axis);
        if (value == NULL) continue;
        if (s->of[same[i].flag].origin != SP_FROM_DEFAULT) {
            sp_fail(err, SP_E_INCONSISTENT, "--set %s says the same: leave one out", same[i].axis);
            return sp_flag_blame(err->status, same[i].flag, err);
        }
        if (strchr(value, ',') != NULL) {
            sp_fail(err, SP_E_INCONSISTENT, "the memory is that of one plan: give one %s",
                    same[i].axis);
            sp_fail_value(err, "%s", value);
            return sp_flag_blame(err->status, SP_FLAG_set, err);
        }
        SP_TRY(sp_settings_put(s, same[i].flag, SP_FROM_FLAG, value, err));
    }
    return SP_OK;
}
