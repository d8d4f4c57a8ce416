/* SPDX-License-Identifier: Apache-2.0 */
/* What a question about serving memory must obey: counts that divide what they cut, lengths that
 * the engine was told, heads that it can share out. */
#include "analysis/memory_priv.h"
#include "base/base.h"

void sp_footprint_defaults(sp_footprint_question *question)
{
    sp_analysis_question plain = {.model = question->model, .gpu = question->gpu};
    sp_analysis_defaults(&plain);
    question->tp = question->pp = question->dp = question->ep = 1;
    question->nodes = 1;
    question->batch = 1;
    question->isl = plain.prompt_tokens;
    question->osl = plain.generated_tokens;
    question->bits = plain.bits;
    question->headroom_ratio = 0.06;
    question->reserve_bytes = 0.0;
}

/* The rules of an analysis, whatever the format of the products. */
static sp_status check_shares(const sp_footprint_question *q, sp_error *err)
{
    sp_analysis_question plain = {.model = q->model, .gpu = q->gpu};
    sp_analysis_defaults(&plain);
    plain.tp = q->tp;
    plain.dp = q->dp;
    plain.ep = q->ep;
    plain.batch = q->dp;
    plain.dispatch = true;
    for (sp_dtype dtype = 0; dtype < SP_N_DTYPES; dtype++) {
        if (q->gpu->peak_flops_per_s[dtype] > 0.0) plain.compute = dtype;
    }
    return sp_analysis_check(&plain, err);
}

static sp_status check_heads(const sp_footprint_question *q, sp_error *err)
{
    for (uint32_t k = 0; k < q->model->n_kinds; k++) {
        const sp_attention *a = &q->model->kinds[k].attention;
        if (q->server.replicates_kv > 0.0 || a->heads == 0 || a->kv_lora > 0) continue;
        if (a->kv_heads % q->tp == 0) continue;
        sp_fail(err, SP_E_INCONSISTENT,
                "%s does not replicate heads of keys and values, and --tp does not divide the %u",
                q->server.name, (unsigned)a->kv_heads);
        return sp_fail_value(err, "%u", (unsigned)q->tp);
    }
    return SP_OK;
}

static sp_status check_stages(const sp_footprint_question *q, sp_error *err)
{
    if (q->pp > 1 && q->server.stages < 1.0) {
        sp_fail(err, SP_E_INCONSISTENT, "%s deals no layers to stages: --pp 1", q->server.name);
        return sp_fail_value(err, "%u", (unsigned)q->pp);
    }
    if (q->pp <= q->model->n_layers) return SP_OK;
    sp_fail(err, SP_E_INCONSISTENT, "--pp is more than the layers");
    sp_fail_value(err, "%u", (unsigned)q->pp);
    return sp_fail_range(err, "1 .. %u", (unsigned)q->model->n_layers);
}

/* Copies may lie on different nodes whatever the engine; experts that they share tie them. */
static sp_status check_nodes(const sp_footprint_question *q, sp_error *err)
{
    const uint64_t gpus = (uint64_t)q->tp * q->pp * q->dp;
    const uint64_t copy = q->ep > 1 ? gpus : (uint64_t)q->tp * q->pp;
    if (q->nodes <= 1) return SP_OK;
    if (gpus % q->nodes != 0) {
        sp_fail(err, SP_E_INCONSISTENT, "nodes are equally large: --nodes divides tp x pp x dp");
        return sp_fail_value(err, "%llu GPUs on %u nodes", (unsigned long long)gpus,
                             (unsigned)q->nodes);
    }
    if (copy <= gpus / q->nodes || q->server.spans_nodes >= 1.0) return SP_OK;
    sp_fail(err, SP_E_INCONSISTENT, "%s runs a copy of the model within one node", q->server.name);
    return sp_fail_value(err, "%llu GPUs of a copy, %llu on a node", (unsigned long long)copy,
                         (unsigned long long)(gpus / q->nodes));
}

sp_status sp_footprint_check(const sp_footprint_question *q, sp_error *err)
{
    const double asked = (double)q->isl + (double)q->osl, most = q->server.max_context;
    SP_TRY(check_shares(q, err));
    SP_TRY(check_heads(q, err));
    SP_TRY(check_stages(q, err));
    SP_TRY(check_nodes(q, err));
    if (most > 0.0 && asked > most) {
        sp_fail(err, SP_E_INCONSISTENT,
                "prompt and answer are longer than the longest sequence that the engine is told");
        sp_fail_value(err, "%.0f", asked);
        return sp_fail_range(err, "1 .. %.0f", most);
    }
    return SP_OK;
}
