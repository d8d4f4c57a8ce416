/* SPDX-License-Identifier: Apache-2.0 */
/* The batch of a training step in `shardplan memory`: as such, or as micro-batches of a GPU. */
#include "cli/memory.h"

#include <stdlib.h>

#define MOST_MICRO_BATCHES 65536u

/* Of --set cp=N; other sizes of a replica have flags of their own. */
static uint64_t context_ranks(const sp_question *question)
{
    const char *text = sp_memory_set_of(question, "cp");
    const uint64_t cp = text != NULL ? strtoull(text, NULL, 10) : 1;
    return cp > 0 ? cp : 1;
}

static sp_status read_accumulation(const sp_settings *s, uint64_t replicas, uint32_t micro_batch,
                                   sp_question *question, sp_error *err)
{
    uint32_t n = 1;
    SP_TRY(sp_flag_count(s, SP_FLAG_accumulation, 1, MOST_MICRO_BATCHES, &n, err));
    if (sp_settings_text(s, SP_FLAG_global_batch) != NULL) {
        sp_fail(err, SP_E_INCONSISTENT, "--global-batch says the same: leave one out");
        return sp_flag_blame(err->status, SP_FLAG_accumulation, err);
    }
    question->global_batch = replicas * micro_batch * n;
    return SP_OK;
}

sp_status sp_memory_read_batch(const sp_settings *s, uint32_t gpus, uint32_t ranks,
                               uint32_t micro_batch, sp_question *question, sp_error *err)
{
    /* gpus is 0 while it is asked for */
    const char *text = sp_settings_text(s, SP_FLAG_global_batch);
    const uint64_t replicas = gpus / (ranks * context_ranks(question));
    sp_batch batch = {.sequences = (uint64_t)gpus * micro_batch};
    if (sp_settings_text(s, SP_FLAG_accumulation) != NULL) {
        return read_accumulation(s, replicas > 0 ? replicas : 1, micro_batch, question, err);
    }
    if (text != NULL) {
        SP_TRY(sp_flag_blame(sp_batch_parse(text, question->seq_len, &batch, err),
                             SP_FLAG_global_batch, err));
    }
    question->global_batch = gpus > 0 ? sp_batch_nearest(&batch, gpus) : batch.sequences;
    return SP_OK;
}
