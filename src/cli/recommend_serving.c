/* SPDX-License-Identifier: Apache-2.0 */
/* The fewest GPUs, the least money or the largest rate that serve a load within its limits. Numbers
 * of GPUs are tried one by one, each by a complete search; the rate is closed in on by complete
 * searches, since a deployment that takes a rate takes any lower one. */
#include "cli/recommend.h"
#include "cli/serving.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_COUNTS 256u
#define RATE_STEPS 12u
static const char *const default_gpus = "1..64";

typedef struct trial {
    bool found;
    sp_served_plan best;
} trial;

static sp_status try_question(const sp_context *context, const sp_serving_question *question,
                              trial *out, sp_error *err)
{
    sp_serving_asked asked;
    const sp_search_options options = {.threads = context->run.threads, .top_k = 1, .alone = true};
    *out = (trial){0};
    const sp_status status = sp_serving_ask(question, &options, &asked, err);
    if (status == SP_OK && asked.result.ranked.n_points > 0) {
        const sp_serving_plan plan =
            sp_serving_space_unrank(asked.space, asked.result.ranked.points[0].id);
        sp_serving_price(asked.space, &plan, &out->best);
        out->found = true;
    }
    sp_serving_asked_fini(&asked);
    return status;
}

static sp_status try_gpus(const sp_context *context, const sp_serving_question *question,
                          uint32_t gpus, trial *out, sp_error *err)
{
    char text[24];
    sp_serving_question q = *question;
    (void)snprintf(text, sizeof text, "%u", gpus);
    q.gpus = text;
    return try_question(context, &q, out, err);
}

/* The numbers of GPUs that the question allows. */
static sp_status read_counts(const sp_serving_question *question, uint32_t counts[MAX_COUNTS],
                             uint32_t *n, sp_error *err)
{
    sp_serving_problem *problem = NULL;
    sp_serving_space *space = NULL;
    const uint32_t *values = NULL;
    *n = 0;
    sp_status status = sp_serving_problem_build(question, &problem, err);
    if (status == SP_OK) status = sp_serving_space_build(problem, &space, err);
    if (status == SP_OK) {
        const uint32_t all = sp_serving_space_values(space, SP_SERVING_AXIS_gpus, &values);
        for (uint32_t i = 0; i < all && i < MAX_COUNTS; i++) {
            counts[(*n)++] = values[i];
        }
    }
    sp_serving_space_free(space);
    sp_serving_problem_free(problem);
    return status;
}

/* ---- GPUs and money ---- */

static sp_status nothing(const uint32_t *counts, uint32_t n, sp_error *err)
{
    return sp_fail(err, SP_E_INFEASIBLE,
                   "no number of GPUs from %u to %u keeps every limit; shardplan serve --gpus %u "
                   "says which one binds",
                   counts[0], counts[n - 1], counts[n - 1]);
}

static sp_status fewest_gpus(const sp_context *context, const sp_serving_question *q,
                             const uint32_t *counts, uint32_t n, sp_recommendation *out,
                             sp_error *err)
{
    trial t = {0};
    uint32_t i = 0;
    for (; i < n && !t.found; i++) {
        SP_TRY(try_gpus(context, q, counts[i], &t, err));
    }
    if (!t.found) return nothing(counts, n, err);
    out->gpus = counts[i - 1];
    SP_TRY(sp_recommend_put_gpus(context, out->gpus, err));
    char *sentence =
        i == 1 ? sp_arena_printf(&context->settings->arena,
                                 "Fewest GPUs: %u, the least that was asked about.", out->gpus)
               : sp_arena_printf(&context->settings->arena,
                                 "Fewest GPUs: %u; on %u no plan keeps every limit.", out->gpus,
                                 counts[i - 2]);
    return sp_recommend_say(out, sentence, err);
}

/* At a rate all plans on as many GPUs cost the same: what differs is how fast each user is served.
 */
static const char *money_objectives(const sp_serving_question *question)
{
    return question->rate > 0.0 ? "tokens_per_s_per_user,usd_per_million_tokens"
                                : "usd_per_million_tokens,tokens_per_s_per_user";
}

static sp_status least_money(const sp_context *context, const sp_serving_question *question,
                             const uint32_t *counts, uint32_t n, sp_recommendation *out,
                             sp_error *err)
{
    sp_serving_question q = *question;
    trial best = {0};
    uint32_t n_found = 0;
    q.objectives = "usd_per_million_tokens,gpus";
    for (uint32_t i = 0; i < n; i++) {
        trial t;
        SP_TRY(try_gpus(context, &q, counts[i], &t, err));
        n_found += t.found;
        const double usd = t.best.estimate.usd_per_million_tokens;
        if (!t.found || (best.found && usd >= best.best.estimate.usd_per_million_tokens)) continue;
        best = t;
        out->gpus = counts[i];
        out->usd_per_million_tokens = usd;
    }
    if (!best.found) return nothing(counts, n, err);
    SP_TRY(sp_recommend_put_gpus(context, out->gpus, err));
    SP_TRY(sp_recommend_put(context, SP_FLAG_objectives, money_objectives(question), err));
    return sp_recommend_say(
        out,
        sp_arena_printf(&context->settings->arena,
                        "Least money: %u GPUs, $%.3f a million tokens, $%.2f an hour; of "
                        "%u numbers of GPUs from %u to %u, %u keep every limit.",
                        out->gpus, out->usd_per_million_tokens, best.best.estimate.usd_per_hour, n,
                        counts[0], counts[n - 1], n_found),
        err);
}

/* ---- the rate ---- */

/* What the plan with the highest throughput takes without limits. */
static sp_status bound_rate(const sp_context *context, const sp_serving_question *question,
                            double *most, sp_error *err)
{
    sp_serving_question q = *question;
    trial t;
    q.slo = NULL;
    q.objectives = "tokens_per_s_per_gpu";
    SP_TRY(try_question(context, &q, &t, err));
    if (!t.found) return sp_fail(err, SP_E_INFEASIBLE, "no plan serves a single request");
    *most = fmax(t.best.estimate.max_rate, t.best.estimate.requests_per_s);
    return SP_OK;
}

static sp_status largest_rate(const sp_context *context, const sp_serving_question *question,
                              sp_recommendation *out, sp_error *err)
{
    sp_serving_question q = *question;
    double low = 0.0, high = 0.0;
    char text[32];
    SP_TRY(bound_rate(context, question, &high, err));
    q.concurrency = 0.0;
    for (uint32_t i = 0; i < RATE_STEPS; i++) {
        trial t;
        q.rate = low > 0.0 ? sqrt(low * high) : high / ldexp(1.0, (int)i);
        SP_TRY(try_question(context, &q, &t, err));
        if (t.found) {
            low = q.rate;
        } else {
            high = q.rate;
        }
    }
    if (low <= 0.0) {
        return sp_fail(err, SP_E_INFEASIBLE,
                       "no plan keeps every limit even at %.3g requests a second; shardplan serve "
                       "says which one binds",
                       high);
    }
    (void)snprintf(text, sizeof text, "%.3g", low * (1.0 - 5e-3));
    out->rate = strtod(text, NULL);
    SP_TRY(sp_recommend_put(context, SP_FLAG_rate, text, err));
    return sp_recommend_say(
        out,
        sp_arena_printf(&context->settings->arena,
                        "Largest rate: %s requests a second; at %.3g no plan keeps every "
                        "limit.",
                        text, high),
        err);
}

sp_status sp_recommend_serving(const sp_context *context, sp_goal goal, sp_recommendation *out,
                               sp_error *err)
{
    sp_serving_question q;
    uint32_t counts[MAX_COUNTS], n = 0;
    SP_TRY(sp_serving_question_read(context->settings, context->home, &q, err));
    if (goal == SP_GOAL_MAX_RATE) {
        if (q.rate > 0.0 || q.concurrency > 0.0) {
            sp_fail(err, SP_E_INCONSISTENT,
                    "the largest rate is looked for: leave out --rate and --concurrency");
            return sp_flag_blame(err->status, SP_FLAG_recommend_find, err);
        }
        return largest_rate(context, &q, out, err);
    }
    if (q.gpus == NULL) q.gpus = default_gpus;
    SP_TRY(read_counts(&q, counts, &n, err));
    return goal == SP_GOAL_MIN_GPUS ? fewest_gpus(context, &q, counts, n, out, err)
                                    : least_money(context, &q, counts, n, out, err);
}
