/* SPDX-License-Identifier: Apache-2.0 */
/* The question about serving in two lines and the search in a few. */
#include "report/serving_page.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* "2,4,8" and "8..64" with room to read. */
static void add_counts(struct sp_text *line, const char *gpus)
{
    for (const char *c = gpus; *c != '\0'; c++) {
        if (strncmp(c, "..", 2) == 0) {
            sp_text_add(line, " to ");
            c++;
        } else if (*c == ',') {
            sp_text_add(line, ", ");
        } else {
            sp_text_add_n(line, c, 1);
        }
    }
}

static void add_gpus(struct sp_text *line, const sp_serving_problem *problem)
{
    const sp_serving_question *q = sp_serving_problem_question(problem);
    const sp_cluster *prefill = sp_serving_problem_cluster(problem, SP_ROLE_PREFILL);
    const sp_cluster *decode = sp_serving_problem_cluster(problem, SP_ROLE_DECODE);
    sp_text_add(line, " on ");
    add_counts(line, q->gpus);
    sp_text_printf(line, " x %s", decode->gpu->name);
    if (strcmp(decode->name, decode->gpu->name) != 0) sp_text_printf(line, " (%s)", decode->name);
    if (prefill != decode && strcmp(prefill->name, decode->name) != 0) {
        sp_text_printf(line, ", prompts on %s (%s)", prefill->gpu->name, prefill->name);
    }
}

static void add_model(struct sp_text *line, const sp_serving_problem *problem)
{
    const sp_model *model = sp_serving_problem_model(problem);
    const sp_parameters p = sp_model_parameters(model);
    sp_text_printf(line, "%s, %s parameters", model->name, sp_word_count(p.total).text);
    if (p.active != p.total) sp_text_printf(line, " (%s active)", sp_word_count(p.active).text);
}

static void add_load(struct sp_text *line, const sp_serving_question *q)
{
    if (q->lengths != NULL) {
        sp_text_printf(line, "requests of %s", q->lengths);
    } else {
        sp_text_printf(line, "prompts of %s and answers of %s tokens",
                       sp_word_count((uint64_t)q->isl).text, sp_word_count((uint64_t)q->osl).text);
    }
    if (q->prefix_hit_ratio > 0.0) {
        sp_text_printf(line, ", %g %% of prompts in the cache", 100.0 * q->prefix_hit_ratio);
    }
    if (q->rate > 0.0) {
        sp_text_printf(line, ", %s requests/s", sp_word_brief(q->rate).text);
        if (q->burstiness != 1.0) sp_text_printf(line, " in bursts of %g", q->burstiness);
    } else if (q->concurrency > 0.0) {
        sp_text_printf(line, ", %s requests under way",
                       sp_word_count((uint64_t)q->concurrency).text);
    } else {
        sp_text_add(line, ", as many requests as run at once");
    }
}

static void add_limits(struct sp_text *line, const sp_serving_problem *problem)
{
    const sp_serving_question *q = sp_serving_problem_question(problem);
    for (uint32_t i = 0; i < sp_serving_problem_n_limits(problem); i++) {
        char words[64];
        sp_limit_words(sp_serving_problem_limit(problem, i), words, sizeof words);
        sp_text_printf(line, "%s %s", i == 0 ? "; limits:" : ",", words);
    }
    for (uint32_t i = 0; i < q->n_wheres; i++) {
        sp_text_printf(line, "; %s", q->wheres[i]);
    }
    if (q->utilization < 1.0) sp_text_printf(line, "; load up to %g %%", 100.0 * q->utilization);
    if (q->spare_replicas > 0) sp_text_printf(line, "; %u workers to spare", q->spare_replicas);
}

void sp_serving_summary_question(const sp_serving_problem *problem,
                                 const sp_report_options *options, struct sp_text *out)
{
    struct sp_text line = {0};
    add_model(&line, problem);
    add_gpus(&line, problem);
    sp_tone_add(out, options->color, SP_TONE_STRONG, line.length > 0 ? line.data : "");
    sp_text_add(out, "\n");
    out->failed = out->failed || line.failed;
    sp_text_fini(&line);
    add_load(&line, sp_serving_problem_question(problem));
    add_limits(&line, problem);
    sp_text_wrap(out, line.length > 0 ? line.data : "", options->width, 0);
    out->failed = out->failed || line.failed;
    sp_text_fini(&line);
}

/* ---- the search ---- */

static const char *words_of(sp_rule_class class)
{
    switch (class) {
    case SP_RULE_CANONICAL:
        return "say the same as another";
    case SP_RULE_STRUCTURE:
        return "cannot be built";
    case SP_RULE_ENGINE:
        return "no engine runs";
    case SP_RULE_WHERE:
        return "your --where refuses";
    case SP_RULE_MEMORY:
        return "do not fit the memory";
    case SP_RULE_NETWORK:
        return "wait too long for the network";
    case SP_RULE_SLO:
        return "miss your limits";
    case SP_N_RULE_CLASSES:
        break;
    }
    assert(!"a class of rules");
    return "";
}

static void add_pruned(struct sp_text *line, const sp_serving_space *space,
                       const sp_search_counts *counts)
{
    const char *before = "Left out: ";
    for (uint32_t class = 0; class < SP_N_RULE_CLASSES; class ++) {
        uint64_t n = 0;
        for (uint32_t rule = 0; rule < sp_serving_space_rule_count(space); rule++) {
            const bool of_class = sp_serving_space_rule(space, rule)->class == class;
            n += of_class ? counts->pruned[rule] : 0;
        }
        if (n == 0) continue;
        sp_text_printf(line, "%s%s %s", before, sp_word_count(n).text,
                       words_of((sp_rule_class) class));
        before = ", ";
    }
    if (before[0] == ',') sp_text_add(line, ".");
}

static void add_searched(struct sp_text *line, const sp_search_result *result)
{
    const sp_search_counts *counts = &result->counts;
    sp_text_printf(
        line, "Searched %s combinations: %s plans, %s priced, %s feasible, in %s on %u thread%s; ",
        sp_word_count(counts->space).text, sp_word_count(counts->admitted).text,
        sp_word_count(counts->evaluated).text, sp_word_count(counts->feasible).text,
        sp_word_duration(result->seconds).text, result->threads, result->threads == 1 ? "" : "s");
    if (result->exact) {
        sp_text_add(line, "exact: every plan was settled. ");
    } else {
        sp_text_printf(line, "stopped early with %.1f %% covered: better plans may exist. ",
                       100.0 * result->covered_ratio);
    }
}

static void add_rules(const sp_serving_space *space, const sp_search_counts *counts,
                      struct sp_text *out)
{
    for (uint32_t rule = 0; rule < sp_serving_space_rule_count(space); rule++) {
        if (counts->pruned[rule] == 0) continue;
        const sp_rule_info *info = sp_serving_space_rule(space, rule);
        sp_text_printf(out, "  %18s  %s: %s\n", sp_word_count(counts->pruned[rule]).text,
                       info->name, info->meaning);
    }
}

void sp_serving_summary_search(const sp_serving_space *space, const sp_search_result *result,
                               const sp_report_options *options, struct sp_text *out)
{
    struct sp_text line = {0};
    add_searched(&line, result);
    add_pruned(&line, space, &result->counts);
    sp_text_wrap(out, line.length > 0 ? line.data : "", options->width, 2);
    out->failed = out->failed || line.failed;
    sp_text_fini(&line);
    if (options->verbose) add_rules(space, &result->counts, out);
}
