/* SPDX-License-Identifier: Apache-2.0 */
/* The question in two lines and the search in a few: what every table begins and ends with. */
#include "report/report_priv.h"
#include "step/step.h"

#include <string.h>

/* A line that is built first and painted whole. */
static void add_line(struct sp_text *out, bool color, sp_tone tone, struct sp_text *line)
{
    sp_tone_add(out, color, tone, line->length > 0 ? line->data : "");
    sp_text_add(out, "\n");
    out->failed = out->failed || line->failed;
    sp_text_fini(line);
}

static void add_gpus(struct sp_text *line, const sp_problem *problem)
{
    const uint32_t least = problem->gpus_values[0];
    const uint32_t most = problem->gpus_values[problem->n_gpus_values - 1];
    if (problem->n_gpus_values == 1) {
        sp_text_printf(line, " on %u x %s", most, problem->cluster->gpu->name);
    } else {
        sp_text_printf(line, " on %u to %u x %s", least, most, problem->cluster->gpu->name);
    }
    if (strcmp(problem->cluster->name, problem->cluster->gpu->name) != 0) {
        sp_text_printf(line, " (%s)", problem->cluster->name);
    }
}

static void add_model(struct sp_text *line, const sp_problem *problem)
{
    const sp_parameters *p = &problem->parameters;
    sp_text_printf(line, "%s, %s parameters", problem->model->name, sp_word_count(p->total).text);
    if (p->active != p->total) {
        sp_text_printf(line, " (%s active)", sp_word_count(p->active).text);
    }
}

static void add_limits(struct sp_text *line, const sp_problem *problem)
{
    const sp_question *q = &problem->question;
    sp_text_printf(line, "; memory up to %s of %s GiB", sp_word_gib(problem->allowed_bytes).text,
                   sp_word_gib(problem->cluster->gpu->memory_bytes).text);
    if (q->max_network_ratio < 1.0) {
        sp_text_printf(line, ", exposed network up to %g %%", 100.0 * q->max_network_ratio);
    }
    for (uint32_t i = 0; i < q->n_wheres; i++) {
        sp_text_printf(line, ", %s", q->wheres[i]);
    }
}

static void add_uneven(struct sp_text *line, const sp_problem *problem)
{
    const sp_question *q = &problem->question;
    char parts[SP_ZEROPP_TEXT_BYTES];
    sp_zeropp_format(q->zeropp, parts);
    if (q->moe_imbalance_ratio > 0.0 && problem->has_experts) {
        sp_text_printf(line, ", busiest experts %g x the mean", q->moe_imbalance_ratio);
    }
    if (q->dispatch != SP_DISPATCH_BF16 && problem->has_experts) {
        sp_text_printf(line, ", tokens dispatched in %s", sp_dispatch_name(q->dispatch));
    }
    if (q->zeropp != 0) sp_text_printf(line, ", ZeRO++ with %s", parts);
    if (q->straggler_ratio > 1.0) {
        sp_text_printf(line, ", slowest rank %g x the others", q->straggler_ratio);
    }
}

/* What is trained and on what, where it is not the usual. */
static void add_task(struct sp_text *line, const sp_problem *problem)
{
    const sp_question *q = &problem->question;
    if (q->task != SP_TASK_PRETRAIN) sp_text_printf(line, ", %s", sp_task_name(q->task));
    if (problem->has_adapters) sp_text_printf(line, " of rank %u", q->lora_rank);
    if (q->doc_len > 0) {
        sp_text_printf(line, ", documents of %s tokens", sp_word_count(q->doc_len).text);
    }
    add_uneven(line, problem);
    if (q->site_factor > 0.0) {
        sp_text_printf(line, ", steps %.3g x the estimate", q->site_factor);
    }
}

void sp_summary_question(const sp_problem *problem, const sp_report_options *options,
                         struct sp_text *out)
{
    const sp_question *q = &problem->question;
    struct sp_text line = {0};
    add_model(&line, problem);
    add_gpus(&line, problem);
    add_line(out, options->color, SP_TONE_STRONG, &line);
    sp_text_printf(&line, "%s x %s tokens a step, %s", sp_word_count(q->global_batch).text,
                   sp_word_count(q->seq_len).text, q->optimizer);
    add_task(&line, problem);
    if (q->tokens > 0.0) {
        sp_text_printf(&line, ", %s tokens in all", sp_word_number(q->tokens).text);
    }
    add_limits(&line, problem);
    add_line(out, false, SP_TONE_PLAIN, &line);
}

/* ---- the search ---- */

static uint64_t pruned_by_class(const sp_space *space, const sp_search_counts *counts,
                                sp_rule_class class)
{
    uint64_t sum = 0;
    for (uint32_t rule = 0; rule < sp_space_rule_count(space); rule++) {
        if (sp_space_rule(space, rule)->class == class) sum += counts->pruned[rule];
    }
    return sum;
}

static void add_pruned(struct sp_text *line, const sp_space *space, const sp_search_counts *counts)
{
    static const char *const words[SP_N_RULE_CLASSES] = {
        [SP_RULE_CANONICAL] = "say the same as another",
        [SP_RULE_STRUCTURE] = "cannot be built",
        [SP_RULE_ENGINE] = "no framework runs",
        [SP_RULE_WHERE] = "your --where refuses",
        [SP_RULE_MEMORY] = "do not fit the memory",
        [SP_RULE_NETWORK] = "wait too long for the network",
    };
    const char *before = "Left out: ";
    for (sp_rule_class class = 0; class < SP_N_RULE_CLASSES; class ++) {
        const uint64_t n = pruned_by_class(space, counts, class);
        if (n == 0) continue;
        sp_text_printf(line, "%s%s %s", before, sp_word_count(n).text, words[class]);
        before = ", ";
    }
    if (before[0] == ',') sp_text_add(line, ".");
}

static void add_run(struct sp_text *line, const sp_search_result *result)
{
    const sp_search_counts *counts = &result->counts;
    sp_text_printf(
        line, "Searched %s combinations: %s plans, %s priced, %s feasible, in %s on %u thread%s",
        sp_word_count(counts->space).text, sp_word_count(counts->admitted).text,
        sp_word_count(counts->evaluated).text, sp_word_count(counts->feasible).text,
        sp_word_duration(result->seconds).text, result->threads, result->threads == 1 ? "" : "s");
    if (result->ranks > 1) sp_text_printf(line, " of each of %u ranks", result->ranks);
    sp_text_printf(line, " (%s plans/s); ",
                   sp_word_count((uint64_t)sp_search_plans_per_s(result)).text);
    if (result->exact) {
        sp_text_add(line, "exact: every plan was settled.");
    } else {
        sp_text_printf(line, "stopped early with %.1f %% covered: better plans may exist.",
                       100.0 * result->covered_ratio);
    }
    if (result->ranks_lost > 0) {
        sp_text_printf(line, " %u ranks were lost and their work done again.", result->ranks_lost);
    }
}

static void add_rules(const sp_space *space, const sp_search_counts *counts, struct sp_text *out)
{
    for (uint32_t rule = 0; rule < sp_space_rule_count(space); rule++) {
        if (counts->pruned[rule] == 0) continue;
        const sp_rule_info *info = sp_space_rule(space, rule);
        sp_text_printf(out, "  %18s  %s: %s\n", sp_word_count(counts->pruned[rule]).text,
                       info->name, info->meaning);
    }
}

void sp_summary_search(const sp_space *space, const sp_search_result *result,
                       const sp_report_options *options, struct sp_text *out)
{
    struct sp_text line = {0};
    add_run(&line, result);
    sp_text_add(&line, " ");
    add_pruned(&line, space, &result->counts);
    sp_text_wrap(out, line.length > 0 ? line.data : "", options->width, 2);
    out->failed = out->failed || line.failed;
    sp_text_fini(&line);
    if (options->verbose) add_rules(space, &result->counts, out);
}
