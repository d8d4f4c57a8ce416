/* SPDX-License-Identifier: Apache-2.0 */
/* See llmsim.h. */
#include "analysis/llmsim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

sp_status llmsim_model(sp_arena *arena, const sp_json *record, const sp_model **model,
                       sp_error *err)
{
    const sp_json input = sp_json_get(record, "input");
    const char *path = sp_arena_printf(arena, "%s/hf-configs/%s", getenv("SHARDPLAN_DATA"),
                                       word_in(&input, "model"));
    assert_non_null(path);
    return sp_model_load(arena, getenv("SHARDPLAN_HOME"), path, model, err);
}

sp_phase llmsim_phase(const sp_json *record)
{
    const sp_json input = sp_json_get(record, "input");
    return strcmp(word_in(&input, "mode"), "decode") == 0 ? SP_PHASE_DECODE : SP_PHASE_PREFILL;
}

sp_analysis_question llmsim_question(const sp_model *model, const sp_json *record)
{
    const sp_json input = sp_json_get(record, "input");
    const bool decode = llmsim_phase(record) == SP_PHASE_DECODE;
    sp_analysis_question q = plain_question(model);
    q.tp = count_in(&input, "tp_size");
    q.dp = count_in(&input, "dp_size");
    q.ep = count_in(&input, "ep_size");
    q.batch = (uint64_t)q.dp * (decode ? count_in(&input, "batch_size") : 1);
    /* max_seqlen keys in decode, the new token's among them */
    q.prompt_tokens = count_in(&input, "max_seqlen") - (decode ? 1 : 0);
    q.dense_dp = flag_in(&input, "dense_fully_dp");
    q.mtp = flag_in(&input, "mtp");
    q.dispatch = flag_in(&input, "deepep") || q.ep > q.tp;
    q.flash = false;
    q.bits = (sp_widths){8.0, 8.0, 8.0, 8.0, 8.0, 8.0, 8.0};
    q.phases = 1u << llmsim_phase(record);
    return q;
}

sp_json llmsim_op(const sp_json *record, const char *name)
{
    const sp_json ops = sp_json_get(record, "ops");
    for (size_t i = 0; i < sp_json_size(&ops); i++) {
        const sp_json op = sp_json_at(&ops, i);
        if (strcmp(word_in(&op, "name"), name) == 0) return op;
    }
    fail_msg("%s: no operator %s", word_in(record, "id"), name);
    return ops;
}
