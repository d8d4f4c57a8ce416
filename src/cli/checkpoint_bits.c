/* SPDX-License-Identifier: Apache-2.0 */
/* --bits checkpoint: weights as wide as the model's files hold them on average, scales included. */
#include "cli/cli.h"
#include "shardplan/checkpoint.h"

#include <string.h>

static const char own_bits[] = "checkpoint";

/* What is not known of the files is refused when it was asked for, and otherwise left as it is. */
static sp_status take(sp_arena *arena, const char *ref, bool asked, sp_widths *bits, bool *taken,
                      sp_error *err)
{
    const sp_checkpoint *weights = NULL;
    if (ref != NULL && sp_checkpoint_is(ref)) SP_TRY(sp_checkpoint_read(arena, ref, &weights, err));
    if (weights != NULL && weights->bits_per_parameter > 0.0) {
        bits->attention_weight = bits->ffn_weight = bits->embedding = weights->bits_per_parameter;
        *taken = true;
        return SP_OK;
    }
    if (!asked) return SP_OK;
    sp_fail(err, SP_E_INCONSISTENT,
            "the width of its weights is not known: the model must be a GGUF file or a folder with "
            "all of its weights");
    return sp_fail_value(err, "%s", ref != NULL ? ref : "a size alone");
}

sp_status sp_checkpoint_bits(sp_arena *arena, const char *ref, bool said, const char **text,
                             sp_widths *bits, bool *taken, sp_error *err)
{
    const size_t n = sizeof own_bits - 1;
    const bool asked =
        strncmp(*text, own_bits, n) == 0 && ((*text)[n] == '\0' || (*text)[n] == ',');
    *taken = false;
    if (asked) *text += n + ((*text)[n] == ',');
    if (asked || !said) SP_TRY(take(arena, ref, asked, bits, taken, err));
    if (!asked && *taken) *text = "";
    return SP_OK;
}
