/* SPDX-License-Identifier: Apache-2.0 */
/* --checkpointing: five levels of activation checkpointing, each keeping less than the one before.
 * They are values of the axis recompute, which has more. */
#include "cli/memory.h"

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

static sp_status parse_level(const sp_settings *s, uint32_t *level, sp_error *err)
{
    const char *names[N_LEVELS];
    const char *text = sp_settings_text(s, SP_FLAG_checkpointing);
    if (*text >= '0' && *text <= '9') {
        return sp_flag_count(s, SP_FLAG_checkpointing, 0, N_LEVELS - 1, level, err);
    }
    for (uint32_t i = 0; i < N_LEVELS; i++) {
        names[i] = levels[i].name;
    }
    return sp_flag_choice(s, SP_FLAG_checkpointing, names, N_LEVELS, level, err);
}

sp_status sp_memory_read_level(const sp_settings *s, sp_arena *arena, sp_question *q, sp_error *err)
{
    uint32_t level = 0;
    if (sp_settings_text(s, SP_FLAG_checkpointing) == NULL) return SP_OK;
    SP_TRY(parse_level(s, &level, err));
    if (sp_memory_set_of(q, "recompute") != NULL) {
        sp_fail(err, SP_E_INCONSISTENT, "--set recompute says the same: leave one out");
        return sp_flag_blame(err->status, SP_FLAG_checkpointing, err);
    }
    return sp_memory_add_set(arena, "recompute", levels[level].values, q, err);
}
