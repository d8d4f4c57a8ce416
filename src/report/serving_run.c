/* SPDX-License-Identifier: Apache-2.0 */
/* The runs request by request beside the closed forms that ranked the plans: what the first row's
 * says, and whether it keeps the limits that the closed form kept. */
#include "report/serving_page.h"

#include <stdio.h>

static const sp_tail *tail_of(const sp_simulated *s, sp_latency latency)
{
    const sp_tail *const tails[SP_N_LATENCIES] = {[SP_LATENCY_TTFT] = &s->ttft_s,
                                                  [SP_LATENCY_TPOT] = &s->tpot_s,
                                                  [SP_LATENCY_ITL] = &s->itl_s,
                                                  [SP_LATENCY_E2E] = &s->e2e_s};
    return tails[latency];
}

static double simulated_s(const sp_served_plan *served, const sp_limit *limit)
{
    const sp_tail *t = tail_of(&served->run.simulated, limit->latency);
    const double seconds[SP_N_PERCENTILES] = {t->mean, t->p50, t->p90, t->p95, t->p99};
    return seconds[limit->percentile];
}

uint32_t sp_serving_broken_limit(const sp_serving_problem *problem, const sp_served_plan *served)
{
    const uint32_t n = sp_serving_problem_n_limits(problem);
    uint32_t i = 0;
    while (i < n && simulated_s(served, sp_serving_problem_limit(problem, i)) <=
                        sp_serving_problem_limit(problem, i)->most_s) {
        i++;
    }
    return i < n ? i : UINT32_MAX;
}

/* The first row whose run keeps every limit; UINT32_MAX where no row that was run does. */
static uint32_t first_that_keeps(const sp_serving_answer *answer, uint32_t *n_runs)
{
    const sp_serving_problem *problem = sp_serving_space_problem(answer->space);
    uint32_t first = UINT32_MAX;
    *n_runs = 0;
    for (uint32_t i = 0; i < answer->n_rows; i++) {
        const sp_served_plan *served = &answer->rows[i].served;
        if (!served->simulated) continue;
        (*n_runs)++;
        if (first == UINT32_MAX && sp_serving_broken_limit(problem, served) == UINT32_MAX)
            first = i;
    }
    return first;
}

/* Where the run of the first row misses a limit that its closed form keeps. */
static void add_broken(const sp_serving_answer *answer, struct sp_text *words)
{
    const sp_serving_problem *problem = sp_serving_space_problem(answer->space);
    const sp_served_plan *served = &answer->rows[0].served;
    const uint32_t broken = sp_serving_broken_limit(problem, served);
    if (broken == UINT32_MAX) return;
    const sp_limit *limit = sp_serving_problem_limit(problem, broken);
    char text[64];
    uint32_t n_runs = 0;
    const uint32_t keeps = first_that_keeps(answer, &n_runs);
    sp_limit_words(limit, text, sizeof text);
    sp_text_printf(words, " Its run misses %s, at %s", text,
                   sp_word_latency(simulated_s(served, limit)).text);
    if (keeps != UINT32_MAX) {
        sp_text_printf(words, "; row %u is the first whose run keeps every limit.", keeps + 1);
    } else {
        sp_text_printf(words, "%s%s.", n_runs > 1 ? "; no row that was run keeps every limit" : "",
                       n_runs < answer->n_rows ? " (-v runs all)" : "");
    }
    const sp_serving_question *q = sp_serving_problem_question(problem);
    if (q->rate > 0.0 && q->utilization >= 1.0) {
        sp_text_add(words, " --utilization 0.8 keeps room for crowds.");
    }
}

void sp_serving_run_words(const sp_serving_answer *answer, const sp_report_options *options,
                          struct sp_text *out)
{
    const sp_served_plan *served = &answer->rows[0].served;
    const sp_simulated *s = &served->run.simulated;
    struct sp_text words = {0};
    if (!served->simulated) return;
    sp_text_printf(&words,
                   "Simulated request by request (%s of them): TTFT mean %s, p95 %s; TPOT mean %s, "
                   "p95 %s; %s tok/s/GPU",
                   sp_word_count(s->requests).text, sp_word_latency(s->ttft_s.mean).text,
                   sp_word_latency(s->ttft_s.p95).text, sp_word_latency(s->tpot_s.mean).text,
                   sp_word_latency(s->tpot_s.p95).text,
                   sp_word_brief(s->tokens_per_s_per_gpu).text);
    if (sp_serving_problem_n_limits(sp_serving_space_problem(answer->space)) > 0) {
        sp_text_printf(&words, "; %.0f %% of requests keep every limit",
                       100.0 * served->run.slo_attainment_ratio);
    }
    sp_text_add(&words, ". The table has the closed forms that ranked the plans.");
    add_broken(answer, &words);
    sp_serving_sentence(&words, options, out);
}
