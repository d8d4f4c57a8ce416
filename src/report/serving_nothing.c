/* SPDX-License-Identifier: Apache-2.0 */
/* Why no serving plan was found: the limit that binds, and the nearest value that some plan keeps.
 * The question is asked again with less: without limits, on more GPUs. */
#include "report/serving_page.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MAX_DOUBLES 8u

static sp_status ask(const sp_serving_question *question, sp_serving_asked *asked)
{
    sp_error ignored = {0};
    const sp_search_options options = {.top_k = 1, .alone = true};
    return sp_serving_ask(question, &options, asked, &ignored);
}

static bool found_any(const sp_serving_asked *asked)
{
    return asked->result.ranked.n_points > 0;
}

static void add_text(const sp_serving_problem *problem, const sp_serving_plan *plan,
                     struct sp_text *out)
{
    char text[SP_SERVING_TEXT_BYTES];
    (void)sp_serving_plan_format(problem, plan, text, sizeof text);
    sp_text_add(out, text);
}

/* ---- limits on times ---- */

/* Of the plans that trade time to the first token against time of each further one, the one with
 * the least of this figure among those that keep a limit (NULL: any); false where there is none. */
static bool least_of(const sp_serving_asked *asked, const sp_limit *figure, const sp_limit *kept,
                     double *least_s, sp_serving_plan *plan)
{
    const sp_front *front = &asked->result.front;
    bool found = false;
    for (uint32_t i = 0; i < front->n_points; i++) {
        const sp_served_plan p = sp_serving_price_point(asked->space, &front->points[i]);
        const double(*seconds)[SP_N_PERCENTILES] = p.estimate.latency_s;
        const double mine_s = seconds[figure->latency][figure->percentile];
        if (kept != NULL && seconds[kept->latency][kept->percentile] > kept->most_s) continue;
        if (found && mine_s >= *least_s) continue;
        found = true;
        *least_s = mine_s;
        *plan = p.plan;
    }
    return found;
}

static void add_least(const sp_serving_asked *asked, const sp_limit *limit, double least_s,
                      const sp_serving_plan *plan, struct sp_text *out)
{
    char words[64];
    sp_limit_words(limit, words, sizeof words);
    sp_text_printf(out, "%s: the least that any plan reaches is %s (", words,
                   sp_word_latency(least_s).text);
    add_text(asked->problem, plan, out);
    sp_text_add(out, ")");
}

/* A limit that no plan keeps even alone. */
static bool explain_alone(const sp_serving_problem *problem, const sp_serving_asked *asked,
                          struct sp_text *out)
{
    bool any = false;
    for (uint32_t i = 0; i < sp_serving_problem_n_limits(problem); i++) {
        const sp_limit *limit = sp_serving_problem_limit(problem, i);
        sp_serving_plan plan;
        double least_s = 0.0;
        if (!least_of(asked, limit, NULL, &least_s, &plan) || least_s <= limit->most_s) continue;
        if (any) sp_text_add(out, "; ");
        add_least(asked, limit, least_s, &plan, out);
        any = true;
    }
    return any;
}

/* Each limit is kept by some plan, and no plan keeps these two. */
static bool explain_pair(const sp_serving_problem *problem, const sp_serving_asked *asked,
                         struct sp_text *out)
{
    const uint32_t n = sp_serving_problem_n_limits(problem);
    for (uint32_t i = 0; i < n * n; i++) {
        const sp_limit *kept = sp_serving_problem_limit(problem, i / n);
        const sp_limit *other = sp_serving_problem_limit(problem, i % n);
        sp_serving_plan plan;
        double least_s = 0.0;
        char words[64], missed[64];
        if (kept == other || !least_of(asked, other, kept, &least_s, &plan)) continue;
        if (least_s <= other->most_s) continue;
        sp_limit_words(kept, words, sizeof words);
        sp_limit_words(other, missed, sizeof missed);
        sp_text_printf(out,
                       "each limit can be kept alone, not together: under %s the least %s %s is "
                       "%s, not %s (",
                       words, sp_latency_name(other->latency),
                       sp_percentile_name(other->percentile), sp_word_latency(least_s).text,
                       sp_word_latency(other->most_s).text);
        add_text(asked->problem, &plan, out);
        sp_text_add(out, ")");
        return true;
    }
    return false;
}

/* False where limits are not what refuses. */
static bool explain_limits(const sp_serving_problem *problem, struct sp_text *out)
{
    sp_serving_question question = *sp_serving_problem_question(problem);
    sp_serving_asked asked;
    question.slo = NULL;
    question.objectives = "ttft,tpot";
    bool told = false;
    if (sp_serving_problem_n_limits(problem) == 0) return false;
    if (ask(&question, &asked) == SP_OK && found_any(&asked)) {
        told = explain_alone(problem, &asked, out) || explain_pair(problem, &asked, out);
        if (!told) sp_text_add(out, "no plan keeps all limits together; relax one of --slo");
        told = true;
    }
    sp_serving_asked_fini(&asked);
    return told;
}

/* ---- the load ---- */

/* The largest rate that a plan of the best throughput takes. */
static bool explain_rate(const sp_serving_problem *problem, struct sp_text *out)
{
    sp_serving_question question = *sp_serving_problem_question(problem);
    const double wanted = question.rate;
    sp_serving_asked asked;
    bool told = false;
    if (wanted <= 0.0) return false;
    question.rate = 0.0;
    question.slo = NULL;
    question.concurrency = 0.0;
    question.objectives = "tokens_per_s_per_gpu";
    if (ask(&question, &asked) == SP_OK && found_any(&asked)) {
        const sp_served_plan best =
            sp_serving_price_point(asked.space, &asked.result.ranked.points[0]);
        const double most =
            best.estimate.max_rate > 0.0 ? best.estimate.max_rate : best.estimate.requests_per_s;
        const double gpus = best.plan.value[SP_SERVING_AXIS_gpus];
        sp_text_printf(out, "%s requests/s are more than any plan takes: the most is about %s (",
                       sp_word_brief(wanted).text, sp_word_brief(most).text);
        add_text(asked.problem, &best.plan, out);
        sp_text_printf(out, "); try --rate %s, or about %.0f GPUs", sp_word_brief(most).text,
                       ceil(gpus * wanted / most));
        told = true;
    }
    sp_serving_asked_fini(&asked);
    return told;
}

/* ---- --set and --where ---- */

/* One of a list that alone leaves nothing: without it the rest finds a plan. */
static bool explain_one(const sp_serving_problem *problem, bool of_sets, struct sp_text *out)
{
    const sp_serving_question *whole = sp_serving_problem_question(problem);
    const uint32_t n = of_sets ? whole->n_sets : whole->n_wheres;
    bool told = false;
    for (uint32_t i = 0; i < n && !told; i++) {
        sp_serving_question question = *whole;
        const char **list = of_sets ? question.sets : question.wheres;
        const char *left_out = list[i];
        sp_serving_asked asked;
        memmove(&list[i], &list[i + 1], (n - i - 1) * sizeof *list);
        *(of_sets ? &question.n_sets : &question.n_wheres) = n - 1;
        told = ask(&question, &asked) == SP_OK && found_any(&asked);
        if (told) {
            const uint64_t id = asked.result.ranked.points[0].id;
            const sp_serving_plan plan = sp_serving_space_unrank(asked.space, id);
            sp_text_printf(out, "no plan keeps %s %s; without it there is ",
                           of_sets ? "--set" : "--where", left_out);
            add_text(asked.problem, &plan, out);
        }
        sp_serving_asked_fini(&asked);
    }
    return told;
}

/* ---- memory and structure ---- */

static uint32_t most_gpus(const sp_serving_space *space)
{
    const uint32_t *values = NULL;
    const uint32_t n = sp_serving_space_values(space, SP_SERVING_AXIS_gpus, &values);
    return n > 0 ? values[n - 1] : 0;
}

/* The smallest doubling of the GPUs that helps; 0 = none of those tried. */
static uint32_t enough_gpus(const sp_serving_space *space)
{
    const sp_serving_problem *problem = sp_serving_space_problem(space);
    sp_serving_question question = *sp_serving_problem_question(problem);
    uint64_t gpus = most_gpus(space);
    for (uint32_t i = 0; i < MAX_DOUBLES && gpus > 0; i++) {
        char text[24];
        sp_serving_asked asked;
        gpus *= 2;
        (void)snprintf(text, sizeof text, "%llu", (unsigned long long)gpus);
        question.gpus = text;
        const bool asked_it = ask(&question, &asked) == SP_OK;
        const bool helps = asked_it && found_any(&asked);
        sp_serving_asked_fini(&asked);
        if (helps) return (uint32_t)gpus;
        if (!asked_it) return 0;
    }
    return 0;
}

/* The rule that refused most of the plans that mean something. */
static const sp_rule_info *strictest(const sp_serving_space *space, const sp_search_counts *counts)
{
    const sp_rule_info *worst = NULL;
    uint64_t most = 0;
    for (uint32_t i = 0; i < sp_serving_space_rule_count(space); i++) {
        const sp_rule_info *rule = sp_serving_space_rule(space, i);
        const bool of_ids = rule->class == SP_RULE_CANONICAL ||
                            (rule->class == SP_RULE_STRUCTURE && counts->admitted > 0);
        if (of_ids || counts->pruned[i] <= most) continue;
        most = counts->pruned[i];
        worst = rule;
    }
    return worst;
}

static void explain_rule(const sp_serving_space *space, const sp_search_result *result,
                         struct sp_text *out)
{
    const sp_serving_question *q = sp_serving_problem_question(sp_serving_space_problem(space));
    const sp_rule_info *rule = strictest(space, &result->counts);
    const uint32_t gpus = enough_gpus(space);
    const char *before = "; try ";
    if (result->counts.admitted == 0) {
        sp_text_printf(out, "no plan can be built for %s GPUs", q->gpus);
    } else {
        sp_text_printf(out, "none of the %s plans is left",
                       sp_word_count(result->counts.admitted).text);
    }
    if (rule != NULL) sp_text_printf(out, ": %s refuses most (%s)", rule->name, rule->meaning);
    if (gpus > 0) {
        sp_text_printf(out, "%s--gpus %u", before, gpus);
        before = ", or ";
    }
    if (q->n_sets > 0 || q->n_wheres > 0) {
        sp_text_printf(out, "%sfewer --set and --where", before);
    } else if (gpus == 0) {
        sp_text_printf(out, "%sa GPU with more memory, or shorter prompts and answers", before);
    }
}

void sp_report_serve_nothing(const sp_serving_space *space, const sp_search_result *result,
                             struct sp_text *out)
{
    const sp_serving_problem *problem = sp_serving_space_problem(space);
    if (explain_limits(problem, out) || explain_rate(problem, out)) return;
    if (explain_one(problem, true, out) || explain_one(problem, false, out)) return;
    explain_rule(space, result, out);
}
