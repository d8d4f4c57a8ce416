/* SPDX-License-Identifier: Apache-2.0 */
/* --checkpointing: five levels of activation checkpointing, each keeping less than the one before.
 * They are values of the axis recompute, which has more. */
#include "cli/memory.h"

#include <string.h>

#define N_LEVELS 5

/* selective drops what the attention core leaves, layernorm the outputs of norms, then go those of
 * activations or the whole dense block, which Megatron-Core has; torch's selective checkpointing is
 * ops. What the engine does not run is passed over (memory_settle.c). */
static const struct level {
    const char *name, *values;
} levels[N_LEVELS] = {
    {"none",      "none"                 },
    {"selective", "selective,ops"        },
    {"layernorm", "layernorm,ops"        },
    {"blocks",    "layernorm_act,mlp,ops"},
    {"full",      "full"                 },
};

static bool sets_recompute(const sp_question *q)
{
    for (uint32_t i = 0; i < q->n_sets; i++) {
        if (strncmp(q->sets[i], "recompute=", strlen("recompute=")) == 0) return true;
    }
    return false;
}

static sp_status parse_level(const sp_settings *s, const char *text, uint32_t *level, sp_error *err)
{
    const char *names[N_LEVELS];
    if (strlen(text) == 1 && *text >= '0' && *text < '0' + N_LEVELS) {
        *level = (uint32_t)(*text - '0');
        return SP_OK;
    }
    for (uint32_t i = 0; i < N_LEVELS; i++) {
        names[i] = levels[i].name;
    }
    return sp_flag_choice(s, SP_FLAG_checkpointing, names, N_LEVELS, level, err);
}

sp_status sp_memory_read_level(const sp_settings *s, sp_arena *arena, sp_question *q, sp_error *err)
{
    const char *text = sp_settings_text(s, SP_FLAG_checkpointing);
    uint32_t level = 0;
    if (text == NULL) return SP_OK;
    SP_TRY(parse_level(s, text, &level, err));
    if (sets_recompute(q) || q->n_sets == SP_MAX_SETS) {
        sp_fail(err, SP_E_INCONSISTENT, "--set recompute says the same: leave one out");
        return sp_flag_blame(err->status, SP_FLAG_checkpointing, err);
    }
    q->sets[q->n_sets] = sp_arena_printf(arena, "recompute=%s", levels[level].values);
    return q->sets[q->n_sets++] != NULL ? SP_OK
                                        : sp_fail(err, SP_E_MEMORY, "the question needs more");
}
