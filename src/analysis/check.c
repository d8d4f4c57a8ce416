/* SPDX-License-Identifier: Apache-2.0 */
/* What a question must obey before it is analysed: counts that divide what they cut, lengths that
 * exist, formats that the accelerator computes in. */
#include "analysis/analysis_priv.h"
#include "base/base.h"

/* Sets the divisors of n around value as the range of the error. */
static sp_status refuse_share(sp_error *err, const char *flag, uint64_t value, const char *what,
                              uint64_t n)
{
    uint64_t below = value > n ? n : value, above = value;
    while (below > 1 && n % below != 0)
        below--;
    while (above < n && n % above != 0)
        above++;
    sp_fail(err, SP_E_INCONSISTENT, "%s does not divide the %s, %llu", flag, what,
            (unsigned long long)n);
    sp_fail_value(err, "%llu", (unsigned long long)value);
    if (above >= n && below >= n) return sp_fail_range(err, "%llu", (unsigned long long)n);
    return sp_fail_range(err, "%llu or %llu", (unsigned long long)below,
                         (unsigned long long)(above > n ? n : above));
}

static sp_status check_attention(const sp_analysis_question *q, const sp_attention *a,
                                 sp_error *err)
{
    if (a->heads == 0) return SP_OK;
    if (a->heads % q->tp != 0) return refuse_share(err, "--tp", q->tp, "attention heads", a->heads);
    if (a->kv_lora > 0 || a->kv_heads % q->tp == 0 || q->tp % a->kv_heads == 0) return SP_OK;
    return refuse_share(err, "--tp", q->tp, "key and value heads", a->kv_heads);
}

static sp_status check_ffn(const sp_analysis_question *q, const sp_ffn *f, sp_error *err)
{
    if (!q->dense_dp && f->ffn > 0 && f->ffn % q->tp != 0) {
        return refuse_share(err, "--tp", q->tp, "feed-forward width", f->ffn);
    }
    if (f->n_experts == 0) return SP_OK;
    if (f->n_experts % q->ep != 0) {
        return refuse_share(err, "--ep", q->ep, "routed experts", f->n_experts);
    }
    if (q->ep < q->tp && f->expert_ffn % (q->tp / q->ep) != 0) {
        return refuse_share(err, "--tp over --ep", q->tp / q->ep, "width of an expert",
                            f->expert_ffn);
    }
    if (f->shared_ffn % q->tp != 0) {
        return refuse_share(err, "--tp", q->tp, "width of the shared experts", f->shared_ffn);
    }
    return SP_OK;
}

static sp_status check_recurrent(const sp_analysis_question *q, const sp_recurrent *r,
                                 sp_error *err)
{
    if (r->form == SP_RECURRENCE_NONE || r->heads == 0 || r->heads % q->tp == 0) return SP_OK;
    return refuse_share(err, "--tp", q->tp, "heads of the recurrence", r->heads);
}

static sp_status check_ranks(const sp_analysis_question *q, sp_error *err)
{
    const uint64_t ranks = (uint64_t)q->tp * q->dp;
    if (q->batch % q->dp != 0) return refuse_share(err, "--dp", q->dp, "batch", q->batch);
    if (ranks % q->ep != 0) return refuse_share(err, "--ep", q->ep, "tp x dp ranks", ranks);
    if (q->ep % q->tp != 0 && q->tp % q->ep != 0) {
        return refuse_share(err, "--ep", q->ep, "tensor-parallel ranks", q->tp);
    }
    if (q->ep > q->tp && !q->dispatch) {
        sp_fail(err, SP_E_INCONSISTENT,
                "experts that lie on other data-parallel ranks need the "
                "exchange of tokens; give --dispatch");
        return sp_fail_value(err, "--ep %u over --tp %u", (unsigned)q->ep, (unsigned)q->tp);
    }
    return SP_OK;
}

/* Formulas are those of one device, whose kernels are what they are. */
static sp_status check_formulas(const sp_analysis_question *q, sp_error *err)
{
    const bool cut = q->tp > 1 || q->ep > 1;
    if (q->model->formulas == NULL || (!cut && q->flash)) return SP_OK;
    if (!cut) {
        return sp_fail(err, SP_E_INCONSISTENT,
                       "the kernels of %s are those of its formulas: its attention cannot be taken "
                       "apart",
                       q->model->name);
    }
    sp_fail(err, SP_E_INCONSISTENT,
            "the cost formulas of %s are those of one device and cannot be cut", q->model->name);
    sp_fail_value(err, "--tp %u --ep %u", (unsigned)q->tp, (unsigned)q->ep);
    return sp_fail_range(err, "--tp 1 --ep 1");
}

static sp_status check_format(const sp_analysis_question *q, sp_error *err)
{
    const char *names[SP_N_DTYPES];
    size_t n = 0;
    if (q->gpu->peak_flops_per_s[q->compute] > 0.0) return SP_OK;
    for (sp_dtype dtype = 0; dtype < SP_N_DTYPES; dtype++) {
        if (q->gpu->peak_flops_per_s[dtype] > 0.0) names[n++] = sp_dtype_name(dtype);
    }
    sp_fail(err, SP_E_INCONSISTENT, "%s has no products in this format", q->gpu->name);
    sp_fail_value(err, "%s", sp_dtype_name(q->compute));
    return sp_fail_names(err, sp_dtype_name(q->compute), names, n);
}

sp_status sp_analysis_check(const sp_analysis_question *question, sp_error *err)
{
    const sp_model *model = question->model;
    SP_TRY(check_format(question, err));
    SP_TRY(check_formulas(question, err));
    for (uint32_t k = 0; k < model->n_kinds; k++) {
        SP_TRY(check_attention(question, &model->kinds[k].attention, err));
        SP_TRY(check_recurrent(question, &model->kinds[k].recurrent, err));
        SP_TRY(check_ffn(question, &model->kinds[k].ffn, err));
    }
    return check_ranks(question, err);
}
