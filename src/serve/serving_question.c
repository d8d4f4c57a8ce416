/* SPDX-License-Identifier: Apache-2.0 */
/* What a serving question must state, and within which limits. */
#include "serve/serving_priv.h"

#include <math.h>

#define MOST_TOKENS 1e8

sp_serving_question sp_serving_question_default(void)
{
    return (sp_serving_question){
        .engine = "any", .space = "default", .mode = "agg", .burstiness = 1.0, .utilization = 1.0};
}

static sp_status copy_text(sp_serving_problem *problem, const char **text, sp_error *err)
{
    if (*text == NULL) return SP_OK;
    *text = sp_arena_strdup(&problem->arena, *text);
    return *text != NULL ? SP_OK : sp_fail(err, SP_E_MEMORY, "no memory for the question");
}

sp_status sp_serving_question_copy(sp_serving_problem *problem, const sp_serving_question *question,
                                   sp_error *err)
{
    sp_serving_question *q = &problem->question;
    *q = *question;
    const char **texts[] = {&q->home, &q->model,      &q->cluster, &q->prefill_cluster,
                            &q->gpus, &q->engine,     &q->space,   &q->decode_cluster,
                            &q->mode, &q->objectives, &q->lengths, &q->slo};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        SP_TRY(copy_text(problem, texts[i], err));
    }
    for (uint32_t i = 0; i < q->n_sets; i++) {
        SP_TRY(copy_text(problem, &q->sets[i], err));
    }
    for (uint32_t i = 0; i < q->n_wheres; i++) {
        SP_TRY(copy_text(problem, &q->wheres[i], err));
    }
    return SP_OK;
}

static sp_status need(const char *text, const char *flag, const char *example, sp_error *err)
{
    if (text != NULL && text[0] != '\0') return SP_OK;
    return sp_fail(err, SP_E_USAGE, "%s is missing; for example %s %s", flag, flag, example);
}

static sp_status check_within(double value, double least, double most, const char *flag,
                              const char *message, sp_error *err)
{
    if (value >= least && value <= most) return SP_OK;
    sp_fail(err, SP_E_RANGE, "%s", message);
    sp_fail_value(err, "%g", value);
    sp_fail_range(err, "%g .. %g", least, most);
    return sp_fail_file(err, flag);
}

static sp_status check_lengths(const sp_serving_question *q, sp_error *err)
{
    if (q->lengths != NULL) {
        if (q->isl == 0.0 && q->osl == 0.0) return SP_OK;
        return sp_fail(err, SP_E_USAGE, "--lengths states what --isl and --osl would: one of them");
    }
    if (q->isl == 0.0) return need(NULL, "--isl", "4000", err);
    if (q->osl == 0.0) return need(NULL, "--osl", "1000", err);
    SP_TRY(check_within(q->isl, 1.0, MOST_TOKENS, "--isl", "a prompt has tokens", err));
    SP_TRY(check_within(q->osl, 1.0, MOST_TOKENS, "--osl", "an answer has tokens", err));
    if (q->max_context == 0 || (double)q->max_context >= q->isl + q->osl) return SP_OK;
    sp_fail(err, SP_E_INCONSISTENT, "prompt and answer are longer than the longest sequence");
    sp_fail_value(err, "%llu", (unsigned long long)q->max_context);
    sp_fail_range(err, "from %.0f on", ceil(q->isl + q->osl));
    return sp_fail_file(err, "--max-context");
}

static sp_status check_load(const sp_serving_question *q, sp_error *err)
{
    if (q->concurrency > 0.0 && q->rate > 0.0) {
        return sp_fail(err, SP_E_USAGE,
                       "--concurrency is a closed loop, --rate an open one: one of them");
    }
    SP_TRY(check_within(q->concurrency, 0.0, 1e9, "--concurrency", "requests under way", err));
    SP_TRY(check_within(q->rate, 0.0, 1e9, "--rate", "requests a second", err));
    SP_TRY(check_within(q->burstiness, 0.01, 1000.0, "--burstiness",
                        "variance of the gaps between requests over their squared mean", err));
    SP_TRY(check_within(q->prefix_hit_ratio, 0.0, 1.0, "--prefix-hit",
                        "a share of the prompt's tokens", err));
    SP_TRY(check_within(q->utilization, 0.01, 1.0, "--utilization",
                        "a share of what the deployment can take", err));
    return check_within(q->spec_acceptance, 0.0, 1.0, "--spec-acceptance",
                        "the chance that a drafted token is accepted", err);
}

static sp_status check_clusters(const sp_serving_question *q, sp_error *err)
{
    const bool both = q->prefill_cluster != NULL && q->decode_cluster != NULL;
    if (q->cluster != NULL || both) return SP_OK;
    return need(NULL, "--cluster", "dgx-h200", err);
}

sp_status sp_serving_question_check(const sp_serving_question *q, sp_error *err)
{
    if (q->loaded_model == NULL) SP_TRY(need(q->model, "--model", "qwen3-32b", err));
    SP_TRY(check_clusters(q, err));
    SP_TRY(need(q->gpus, "--gpus", "32", err));
    SP_TRY(check_lengths(q, err));
    SP_TRY(check_load(q, err));
    SP_TRY(
        check_within(q->headroom_ratio, 0.0, 0.9, "--headroom", "the share is out of range", err));
    SP_TRY(check_within(q->reserve_bytes, 0.0, 1e15, "--reserve", "bytes of a GPU", err));
    return check_within(q->usd_per_gpu_hour, 0.0, 1e6, "--usd-per-gpu-hour", "a price", err);
}
