/* SPDX-License-Identifier: Apache-2.0 */
/* One plan on a page: what it is, whether it runs, and every term of its time, memory, network,
 * throughput and money, with bars that show where the time and the bytes go. */
#include "report/report_priv.h"
#include "step/step.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool begins(const char *name, const char *group)
{
    return strncmp(name, group, strlen(group)) == 0;
}

static void add_time(const sp_estimate *e, const sp_report_options *o, struct sp_text *out)
{
    char heading[160];
    (void)snprintf(heading, sizeof heading, "Time of a step: %s s, likely %s to %s s",
                   sp_word_number(e->time.step_s).text, sp_word_number(e->step_low_s).text,
                   sp_word_number(e->step_high_s).text);
    sp_page_put_heading(out, o, heading);
    for (uint32_t field = 0; field < sp_field_count(); field++) {
        const sp_field *info = sp_field_describe(field);
        const double seconds = sp_field_get(e, field);
        if (!begins(info->json, "time_s.") || strcmp(info->json, "time_s.step") == 0) continue;
        if (seconds == 0.0) continue;
        char amount[SP_WORD_BYTES + 4];
        (void)snprintf(amount, sizeof amount, "%s s", sp_word_number(seconds).text);
        sp_page_put_term(out, info->json + strlen("time_s."), amount, seconds / e->time.step_s,
                 info->meaning);
    }
}

/* The last four are sums of the others. */
static bool is_memory_part(const char *json)
{
    return begins(json, "memory_bytes.") && strstr(json, "_peak") == NULL &&
           strcmp(json, "memory_bytes.peak") != 0 && strcmp(json, "memory_bytes.usable") != 0;
}

static void add_memory_part(const sp_memory *m, const char *name, double bytes, const char *meaning,
                            struct sp_text *out)
{
    char amount[SP_WORD_BYTES + 4];
    (void)snprintf(amount, sizeof amount, "%s GiB", sp_word_gib(bytes).text);
    sp_page_put_term(out, name, amount, bytes / m->usable_bytes, meaning);
}

static const char *phase_words(sp_memory_phase phase)
{
    static const char *const words[SP_N_MEMORY_PHASES] = {"at the loss", "in the backward pass",
                                                          "at the update"};
    return words[phase];
}

static void add_memory(const sp_problem *problem, const sp_estimate *e, const sp_report_options *o,
                       struct sp_text *out)
{
    const sp_memory *m = &e->memory;
    char heading[200];
    (void)snprintf(heading, sizeof heading,
                   "Memory of the fullest GPU (stage %u, %s): %s of %s GiB; %s GiB are allowed",
                   m->worst_stage, phase_words(m->peak_phase), sp_word_gib(m->peak_bytes).text,
                   sp_word_gib(m->usable_bytes).text, sp_word_gib(problem->allowed_bytes).text);
    sp_page_put_heading(out, o, heading);
    for (uint32_t field = 0; field < sp_field_count(); field++) {
        const sp_field *info = sp_field_describe(field);
        const double bytes = sp_field_get(e, field);
        if (!is_memory_part(info->json) || bytes == 0.0) continue;
        add_memory_part(m, info->json + strlen("memory_bytes."), bytes, info->meaning, out);
    }
    add_memory_part(m, "fragmentation", m->reserved_peak_bytes - m->allocated_peak_bytes,
                    "held by the allocator", out);
    const double free_bytes = m->usable_bytes - m->peak_bytes;
    if (free_bytes >= 0.0) {
        add_memory_part(m, "free", free_bytes, "left of the device", out);
    } else {
        add_memory_part(m, "missing", -free_bytes, "more than the device has", out);
    }
}

static void add_sent(struct sp_text *out, const char *name, double bytes)
{
    if (bytes > 0.0) sp_text_printf(out, ", %s %s", name, sp_word_bytes(bytes).text);
}

static void add_network(const sp_estimate *e, const sp_report_options *o, struct sp_text *out)
{
    const sp_network *n = &e->network;
    sp_page_put_heading(out, o, "Network");
    sp_text_printf(out, "  exposed over the time of the layers  %s\n",
                   sp_word_percent(n->exposed_ratio).text);
    sp_text_printf(out, "  exposed over the step                %s\n",
                   sp_word_percent(n->step_ratio).text);
    const double sum = n->tp_bytes + n->ep_bytes + n->pp_bytes + n->dp_bytes;
    sp_text_printf(out, "  sent by one GPU in a step            %s", sp_word_bytes(sum).text);
    add_sent(out, "tp", n->tp_bytes);
    add_sent(out, "ep", n->ep_bytes);
    add_sent(out, "pp", n->pp_bytes);
    add_sent(out, "dp", n->dp_bytes);
    sp_text_add(out, "\n");
}

static void add_throughput(const sp_estimate *e, const sp_report_options *o, struct sp_text *out)
{
    sp_page_put_heading(out, o, "Throughput");
    sp_text_printf(out, "  tokens                 %s a second, %s a second and GPU\n",
                   sp_word_number(e->tokens_per_s).text,
                   sp_word_number(e->tokens_per_s_per_gpu).text);
    sp_text_printf(out, "  model FLOPs            %s TFLOP/s and GPU\n",
                   sp_word_number(e->model_tflops_per_gpu).text);
    sp_text_printf(out,
                   "  MFU                    %s of the dense bf16 peak, %s with recomputation\n",
                   sp_word_percent(e->mfu).text, sp_word_percent(e->hfu).text);
}

static void add_money(const sp_problem *problem, const sp_estimate *e, const sp_report_options *o,
                      struct sp_text *out)
{
    const bool priced = problem->usd_per_gpu_hour > 0.0;
    const bool run = problem->question.tokens > 0.0;
    if (!priced && !run) return;
    sp_page_put_heading(out, o, "Run and money");
    if (priced) {
        sp_text_printf(out, "  price                  %s a GPU and hour, %s an hour in all\n",
                       sp_word_usd(problem->usd_per_gpu_hour).text,
                       sp_word_usd(e->usd_per_hour).text);
        sp_text_printf(out, "  a million tokens       %s\n",
                       sp_word_usd(e->usd_per_million_tokens).text);
    }
    if (!run) return;
    sp_text_printf(out, "  whole run              %s days, %s GPU hours",
                   sp_word_number(e->days).text, sp_word_number(e->gpu_hours).text);
    if (priced) sp_text_printf(out, ", %s", sp_word_usd(e->usd_run).text);
    sp_text_add(out, "\n");
}

static void add_against(const sp_space *space, const sp_priced *p, const sp_report_options *o,
                        struct sp_text *out)
{
    if (o->baseline == NULL) return;
    const sp_against against = sp_against_baseline(sp_space_problem(space), o->baseline, p);
    struct sp_text changes = {0};
    sp_page_put_heading(out, o, "Against the baseline");
    sp_text_add(out, "  ");
    sp_baseline_add(space, o->baseline, 94, out);
    sp_text_printf(out, "  speed-up               %.3f, P(faster) %s\n", against.speedup_ratio,
                   sp_word_chance(against.p_faster).text);
    if (against.factor > 0.0) {
        sp_text_printf(out, "  step with site factor  %s s, likely %s to %s s\n",
                       sp_word_number(against.step_s).text, sp_word_number(against.step_low_s).text,
                       sp_word_number(against.step_high_s).text);
    }
    sp_plan_changes(&o->baseline->priced.plan, &p->plan, &changes);
    sp_text_add(out, "  changes                ");
    sp_text_wrap(out, changes.length > 0 ? changes.data : "none: it is the baseline", 74, 25);
    out->failed = out->failed || changes.failed;
    sp_text_fini(&changes);
}

static void add_verdict(const sp_space *space, const sp_priced *p, const sp_report_options *o,
                        struct sp_text *out)
{
    sp_text_add(out, "verdict  ");
    if (p->rule != UINT32_MAX) {
        const sp_rule_info *rule = sp_space_rule(space, p->rule);
        struct sp_text words = {0};
        sp_tone_add(out, o->color, SP_TONE_BAD, "refused");
        sp_text_printf(&words, "by rule %s: %s", rule->name, rule->meaning);
        sp_text_add(out, " ");
        sp_text_wrap(out, words.length > 0 ? words.data : "", 80, 9);
        out->failed = out->failed || words.failed;
        sp_text_fini(&words);
    } else if (p->estimate.verdict == SP_TIGHT) {
        sp_tone_add(out, o->color, SP_TONE_GOOD, "tight");
        sp_text_add(out, ": runs, with more than one chance in ten to run out of memory\n");
    } else {
        sp_tone_add(out, o->color, SP_TONE_GOOD, sp_verdict_name(p->estimate.verdict));
        sp_text_add(out, "\n");
    }
}

static void add_plan(const sp_space *space, const sp_priced *p, const sp_report_options *o,
                     struct sp_text *out)
{
    char text[SP_PLAN_TEXT_BYTES];
    (void)sp_plan_format(&p->plan, text, sizeof text);
    sp_text_add(out, "\nplan     ");
    sp_tone_add(out, o->color, SP_TONE_STRONG, text);
    sp_text_printf(out, "\n         dp=%u, accumulation=%u", p->plan.dp, p->plan.accumulation);
    if (p->has_id) {
        sp_text_printf(out, ", id %" PRIu64 "\n", p->id);
    } else {
        sp_text_add(out, ", outside the space of the question: no id\n");
    }
    struct sp_text engines = {0};
    if (p->priced) sp_plan_runs_on(space, &p->plan, " ", &engines);
    sp_text_printf(out, "runs on  %s\n",
                   engines.length > 0 ? engines.data
                   : p->priced        ? "none of the frameworks asked for"
                                      : "nothing: it cannot be built");
    out->failed = out->failed || engines.failed;
    sp_text_fini(&engines);
}

void sp_report_estimate_page(const sp_space *space, const sp_priced *priced,
                             const sp_report_options *options, struct sp_text *out)
{
    const sp_problem *problem = sp_space_problem(space);
    const sp_estimate *e = &priced->estimate;
    sp_summary_question(problem, options, out);
    add_plan(space, priced, options, out);
    add_verdict(space, priced, options, out);
    if (!priced->priced) return;
    add_time(e, options, out);
    add_memory(problem, e, options, out);
    add_network(e, options, out);
    add_throughput(e, options, out);
    add_money(problem, e, options, out);
    add_against(space, priced, options, out);
    sp_page_put_evidence(options, space, &priced->plan, out);
}
