/* SPDX-License-Identifier: Apache-2.0 */
/* What the rows mean, in sentences: how sure the first one is, what holds it back, one pool against
 * two, and what a reader should beware of. */
#include "report/serving_page.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- what binds ---- */

/* The limit with the least room; UINT32_MAX without limits. */
static uint32_t tightest(const sp_serving_problem *problem, const sp_serving_estimate *e,
                         double *used_ratio)
{
    uint32_t worst = UINT32_MAX;
    *used_ratio = 0.0;
    for (uint32_t i = 0; i < sp_serving_problem_n_limits(problem); i++) {
        const sp_limit *limit = sp_serving_problem_limit(problem, i);
        const double used = e->latency_s[limit->latency][limit->percentile] / limit->most_s;
        if (worst != UINT32_MAX && used <= *used_ratio) continue;
        worst = i;
        *used_ratio = used;
    }
    return worst;
}

/* The largest part of a step of answers. */
static const char *largest_part(const sp_serve_step_time *t, double *ratio)
{
    const struct {
        const char *words;
        double seconds;
    } parts[] = {
        {"products outside experts", t->projection_s},
        {"attention",                t->attention_s },
        {"experts",                  t->experts_s   },
        {"norms and the like",       t->element_s   },
        {"collectives",              t->collective_s},
        {"the engine's own loop",    t->host_s      },
    };
    size_t most = 0;
    for (size_t i = 1; i < sizeof parts / sizeof parts[0]; i++) {
        if (parts[i].seconds > parts[most].seconds) most = i;
    }
    *ratio = t->step_s > 0.0 ? parts[most].seconds / t->step_s : 0.0;
    return parts[most].words;
}

static void add_busy(const sp_served_plan *served, struct sp_text *out)
{
    const sp_serving_estimate *e = &served->estimate;
    if (sp_served_mode(&served->plan) == SP_SERVING_DISAGG) {
        sp_text_printf(out, "; the prefill pool is %.0f %% busy, the decode pool %.0f %%",
                       100.0 * e->prefill_busy_ratio, 100.0 * e->decode_busy_ratio);
    }
    double ratio = 0.0;
    const char *part = largest_part(&e->decode_step, &ratio);
    if (ratio > 0.0) {
        sp_text_printf(out, "; of a step of answers %.0f %% is %s", 100.0 * ratio, part);
    }
}

/* Where the cache, not batch, says how many run: users who follow each other then wait for it,
 * those who come at a rate only when they are many. */
static const char *cache_words(const sp_serving_problem *problem)
{
    return sp_serving_problem_question(problem)->rate > 0.0
               ? "the cache has room for fewer requests than batch allows"
               : "requests wait for room in the cache, more would run with more of it";
}

void sp_serving_binds(const sp_serving_problem *problem, const sp_served_plan *served,
                      struct sp_text *out)
{
    const sp_serving_estimate *e = &served->estimate;
    double used = 0.0;
    char words[64];
    const uint32_t limit = tightest(problem, e, &used);
    if (limit != UINT32_MAX) {
        const sp_limit *l = sp_serving_problem_limit(problem, limit);
        sp_limit_words(l, words, sizeof words);
        sp_text_printf(out, "%s is the closest limit, at %s (%.0f %% of it)", words,
                       sp_word_latency(e->latency_s[l->latency][l->percentile]).text, 100.0 * used);
    } else {
        sp_text_add(out, "no limit on times was asked for (--slo)");
    }
    if (e->cache_limited) sp_text_printf(out, "; %s", cache_words(problem));
    add_busy(served, out);
}

/* ---- the leader ---- */

static void add_leader(const sp_serving_answer *answer, const sp_report_options *o,
                       struct sp_text *out)
{
    const sp_serving_problem *problem = sp_serving_space_problem(answer->space);
    const sp_serving_estimate *e = &answer->rows[0].served.estimate;
    const double ttft_s = e->latency_s[SP_LATENCY_TTFT][SP_MEAN];
    const double tpot_s = e->latency_s[SP_LATENCY_TPOT][SP_MEAN];
    struct sp_text words = {0};
    uint32_t n_tied = 0;
    for (uint32_t i = 0; i < answer->n_rows; i++) {
        n_tied += answer->rows[i].tied;
    }
    sp_text_printf(&words, "Row 1 leads: %s tok/s/GPU, likely %s to %s; TTFT %s to %s",
                   sp_word_brief(e->tokens_per_s_per_gpu).text,
                   sp_word_brief(e->tokens_per_s_per_gpu * e->rate_low_ratio).text,
                   sp_word_brief(e->tokens_per_s_per_gpu * e->rate_high_ratio).text,
                   sp_word_latency(ttft_s * e->ttft_low_ratio).text,
                   sp_word_latency(ttft_s * e->ttft_high_ratio).text);
    sp_text_printf(&words, ", TPOT %s to %s.", sp_word_latency(tpot_s * e->low_ratio).text,
                   sp_word_latency(tpot_s * e->high_ratio).text);
    if (n_tied > 1) {
        sp_text_printf(&words,
                       " The %u rows marked = lie within that error; most of it is common to all, "
                       "so the order is still the best guess.",
                       n_tied);
    }
    sp_serving_sentence(&words, o, out);
    sp_text_add(&words, "What binds it: ");
    sp_serving_binds(problem, &answer->rows[0].served, &words);
    sp_text_add(&words, ".");
    sp_serving_sentence(&words, o, out);
}

/* ---- one pool against two ---- */

static void add_champion(const sp_serving_champion *champion, struct sp_text *out)
{
    char layout[96];
    sp_served_layout(&champion->served.plan, layout, sizeof layout);
    if (champion->row != UINT32_MAX) {
        sp_text_printf(out, "row %u", champion->row + 1);
    } else {
        sp_text_add(out, layout);
    }
}

static void add_modes(const sp_serving_answer *answer, const sp_report_options *o,
                      struct sp_text *out)
{
    const sp_serving_champion *agg = &answer->champions[SP_SERVING_AGG];
    const sp_serving_champion *disagg = &answer->champions[SP_SERVING_DISAGG];
    struct sp_text words = {0};
    if (!sp_serving_varies(answer->space, SP_SERVING_AXIS_mode)) return;
    if (!agg->found || !disagg->found) {
        sp_text_printf(&words, "Among the best and on the front there are only %s plans.",
                       agg->found ? "aggregated" : "disaggregated");
        sp_serving_sentence(&words, o, out);
        return;
    }
    const double one = agg->served.estimate.tokens_per_s_per_gpu;
    const double two = disagg->served.estimate.tokens_per_s_per_gpu;
    const bool apart = two > one;
    sp_text_printf(&words, "%s wins: ", apart ? "Disaggregation" : "One pool for all");
    sp_text_printf(&words, "the best aggregated plan (");
    add_champion(agg, &words);
    sp_text_printf(&words, ") yields %s tok/s/GPU, the best disaggregated one (",
                   sp_word_brief(one).text);
    add_champion(disagg, &words);
    sp_text_printf(&words, ") %s, %.0f %% %s.", sp_word_brief(two).text,
                   100.0 * fabs(two / one - 1.0), apart ? "more" : "less");
    sp_serving_sentence(&words, o, out);
}

/* ---- beware ---- */

static bool is_limited(const sp_serving_estimate *e)
{
    return e->cache_limited;
}

static bool is_borrowed(const sp_serving_estimate *e)
{
    return e->borrowed;
}

/* The last of the rows from `first` on that all are so. */
static uint32_t last_alike(const sp_serving_answer *answer, uint32_t first,
                           bool (*is)(const sp_serving_estimate *))
{
    uint32_t last = first;
    while (last + 1 < answer->n_rows && is(&answer->rows[last + 1].served.estimate)) {
        last++;
    }
    return last;
}

/* "Row 2", "Rows 1 to 5, 8, 9" or "All rows"; false where there is none. */
static bool add_rows(const sp_serving_answer *answer, bool (*is)(const sp_serving_estimate *),
                     struct sp_text *out)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < answer->n_rows; i++) {
        n += is(&answer->rows[i].served.estimate);
    }
    if (n == 0) return false;
    if (n == answer->n_rows && n > 1) {
        sp_text_add(out, "All rows");
        return true;
    }
    const char *before = n == 1 ? "Row" : "Rows";
    for (uint32_t i = 0; i < answer->n_rows; i++) {
        if (!is(&answer->rows[i].served.estimate)) continue;
        const uint32_t last = last_alike(answer, i, is);
        sp_text_printf(out, "%s %u", before, i + 1);
        if (last > i) sp_text_printf(out, "%s %u", last == i + 1 ? "," : " to", last + 1);
        before = ",";
        i = last;
    }
    return true;
}

static void add_notes(const sp_serving_answer *answer, const sp_report_options *o,
                      struct sp_text *out)
{
    struct sp_text words = {0};
    if (answer->n_repeats > 0) {
        sp_text_printf(&words,
                       "%u layouts that only put a row's workers on more GPUs are left out.",
                       answer->n_repeats);
        sp_serving_sentence(&words, o, out);
    }
    if (add_rows(answer, is_limited, &words)) {
        sp_text_printf(&words, ": %s.", cache_words(sp_serving_space_problem(answer->space)));
        sp_serving_sentence(&words, o, out);
    }
    if (add_rows(answer, is_borrowed, &words)) {
        sp_text_add(&words, ": some kernels were measured on another part or in another number "
                            "format, so the interval is wider.");
        sp_serving_sentence(&words, o, out);
    }
}

void sp_serving_reading(const sp_serving_answer *answer, const sp_report_options *options,
                        struct sp_text *out)
{
    if (answer->n_rows == 0) return;
    add_leader(answer, options, out);
    sp_serving_run_words(answer, options, out);
    add_modes(answer, options, out);
    add_notes(answer, options, out);
}
