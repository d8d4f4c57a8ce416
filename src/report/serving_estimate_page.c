/* SPDX-License-Identifier: Apache-2.0 */
/* One serving plan on a page: what it is, whether it runs within its limits, what users see, where
 * the time of its steps and the memory of its GPUs go, and what it costs. */
#include "report/serving_page.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Columns that are left of a line where something stands before. */
static uint32_t room_behind(const sp_report_options *o, uint32_t taken)
{
    return o->width > 2 * taken ? o->width - taken : taken;
}

/* ---- the plan and its verdict ---- */

static void add_plan(const sp_serving_space *space, const sp_served_plan *p,
                     const sp_report_options *o, struct sp_text *out)
{
    const sp_serving_problem *problem = sp_serving_space_problem(space);
    char text[SP_SERVING_TEXT_BYTES], layout[96];
    struct sp_text words = {0};
    (void)sp_serving_plan_format(problem, &p->plan, text, sizeof text);
    sp_served_layout(&p->plan, layout, sizeof layout);
    sp_text_add(out, "\nplan     ");
    sp_tone_add(out, o->color, SP_TONE_STRONG, text);
    sp_text_printf(&words, "%s, %s", layout,
                   sp_served_mode(&p->plan) == SP_SERVING_DISAGG
                       ? "workers that read prompts + workers that answer"
                       : "workers that read prompts and answer");
    if (p->has_id) {
        sp_text_printf(&words, "; id %" PRIu64, p->id);
    } else {
        sp_text_add(&words, "; outside the space of the question: no id");
    }
    sp_text_add(out, "\n         ");
    sp_text_wrap(out, words.length > 0 ? words.data : "", room_behind(o, 10), 9);
    out->failed = out->failed || words.failed;
    sp_text_fini(&words);
}

static void add_refusal(const sp_serving_space *space, const sp_served_plan *p,
                        struct sp_text *words)
{
    const sp_serving_problem *problem = sp_serving_space_problem(space);
    const sp_rule_info *rule = sp_serving_space_rule(space, p->rule);
    sp_text_printf(words, "by rule %s: %s", rule->name, rule->meaning);
    if (!p->priced || p->estimate.limit >= sp_serving_problem_n_limits(problem)) return;
    const sp_limit *limit = sp_serving_problem_limit(problem, p->estimate.limit);
    char text[64];
    sp_limit_words(limit, text, sizeof text);
    sp_text_printf(words, "; %s is not kept: %s", text,
                   sp_word_latency(p->estimate.latency_s[limit->latency][limit->percentile]).text);
}

static void add_verdict(const sp_serving_space *space, const sp_served_plan *p,
                        const sp_report_options *o, struct sp_text *out)
{
    struct sp_text words = {0};
    sp_text_add(out, "verdict  ");
    if (p->rule != UINT32_MAX) {
        sp_tone_add(out, o->color, SP_TONE_BAD, "refused");
        sp_text_add(out, " ");
        add_refusal(space, p, &words);
    } else {
        sp_tone_add(out, o->color, SP_TONE_GOOD, sp_serving_verdict_name(p->estimate.verdict));
        sp_text_add(out, "; ");
        sp_serving_binds(sp_serving_space_problem(space), p, &words);
    }
    sp_text_wrap(out, words.length > 0 ? words.data : "", room_behind(o, 18), 9);
    out->failed = out->failed || words.failed;
    sp_text_fini(&words);
}

/* ---- what users see ---- */

static void add_latency_row(sp_grid *grid, const char *name, const char *tier,
                            const double *seconds)
{
    sp_grid_row_add(grid, SP_TONE_PLAIN);
    sp_grid_set(grid, 0, name);
    for (uint32_t i = 0; i < SP_N_PERCENTILES; i++) {
        sp_grid_set(grid, 1 + i, sp_word_latency(seconds[i]).text);
    }
    sp_grid_set(grid, 1 + SP_N_PERCENTILES, tier);
}

static void add_simulated(sp_grid *grid, const char *name, const sp_tail *t)
{
    const double seconds[SP_N_PERCENTILES] = {t->mean, t->p50, t->p90, t->p95, t->p99};
    add_latency_row(grid, name, "simulated", seconds);
}

static void add_latencies(const sp_served_plan *p, const sp_report_options *o, struct sp_text *out)
{
    static const char *const words[SP_N_LATENCIES] = {[SP_LATENCY_TTFT] = "to the first token",
                                                      [SP_LATENCY_TPOT] = "each further token",
                                                      [SP_LATENCY_ITL] = "between two tokens",
                                                      [SP_LATENCY_E2E] = "whole answer"};
    const sp_serving_estimate *e = &p->estimate;
    char heading[120];
    sp_grid grid;
    (void)snprintf(
        heading, sizeof heading,
        "What users see (8 of 10: %.2f to %.2f times as long per token, %.2f to %.2f to the "
        "first)",
        e->low_ratio, e->high_ratio, e->ttft_low_ratio, e->ttft_high_ratio);
    sp_page_put_heading(out, o, heading);
    sp_grid_init(&grid, 2 + SP_N_PERCENTILES, 2 * SP_N_LATENCIES);
    sp_grid_column_add(&grid, "time", SP_LEFT, 0);
    for (uint32_t i = 0; i < SP_N_PERCENTILES; i++) {
        sp_grid_column_add(&grid, sp_percentile_name((sp_percentile)i), SP_RIGHT, 0);
    }
    sp_grid_column_add(&grid, "by", SP_LEFT, 0);
    for (uint32_t i = 0; i < SP_N_LATENCIES; i++) {
        add_latency_row(&grid, words[i], "closed form", e->latency_s[i]);
    }
    if (p->simulated) {
        add_simulated(&grid, words[SP_LATENCY_TTFT], &p->run.simulated.ttft_s);
        add_simulated(&grid, words[SP_LATENCY_TPOT], &p->run.simulated.tpot_s);
        add_simulated(&grid, words[SP_LATENCY_E2E], &p->run.simulated.e2e_s);
    }
    sp_grid_write(&grid, 2, o->width, o->color, out);
    sp_grid_fini(&grid);
}

/* ---- where the time goes ---- */

static void add_seconds(struct sp_text *out, const char *name, double seconds, double of_s,
                        const char *meaning)
{
    if (seconds <= 0.0) return;
    sp_page_put_term(out, name, sp_word_latency(seconds).text, of_s > 0.0 ? seconds / of_s : 0.0,
                     meaning);
}

static void add_request(const sp_serving_estimate *e, const sp_report_options *o,
                        struct sp_text *out)
{
    const double whole_s = e->latency_s[SP_LATENCY_E2E][SP_MEAN];
    const double ttft_s = e->latency_s[SP_LATENCY_TTFT][SP_MEAN];
    char heading[80];
    (void)snprintf(heading, sizeof heading, "Time of a request: %s", sp_word_latency(whole_s).text);
    sp_page_put_heading(out, o, heading);
    add_seconds(out, "waiting", e->queue_s, whole_s, "for room, and for prompts of others");
    add_seconds(out, "prompt", e->prefill_s, whole_s, "reading it");
    add_seconds(out, "cache sent", e->kv_transfer_s, whole_s, "to the worker that answers");
    add_seconds(out, "answer", whole_s - ttft_s, whole_s, "all tokens but the first");
}

static void add_step(const char *name, const sp_serve_step_time *t, const sp_report_options *o,
                     struct sp_text *out)
{
    char heading[120];
    if (t->step_s <= 0.0) return;
    (void)snprintf(heading, sizeof heading, "%s: %s", name, sp_word_latency(t->step_s).text);
    sp_page_put_heading(out, o, heading);
    add_seconds(out, "projections", t->projection_s, t->step_s, "matrix products outside experts");
    add_seconds(out, "attention", t->attention_s, t->step_s, "with reading the cache");
    add_seconds(out, "experts", t->experts_s, t->step_s, "routed, with their router");
    add_seconds(out, "elements", t->element_s, t->step_s, "norms, gates, sums");
    add_seconds(out, "collectives", t->collective_s, t->step_s, "between GPUs");
    add_seconds(out, "host", t->host_s, t->step_s, "the engine's loop, and launches");
}

/* ---- memory ---- */

static void add_memory(const sp_footprint *m, const sp_report_options *o, struct sp_text *out)
{
    char heading[160], amount[SP_WORD_BYTES + 4];
    (void)snprintf(heading, sizeof heading, "Memory of a GPU (%s, stage %u): %s of %s GiB",
                   sp_serving_phase_name(m->peak_phase), m->stage, sp_word_gib(m->peak).text,
                   sp_word_gib(m->usable).text);
    sp_page_put_heading(out, o, heading);
    for (uint32_t part = 0; part < SP_N_MEMORY_PARTS; part++) {
        const double bytes = m->bytes[m->peak_phase][part];
        if (bytes <= 0.0) continue;
        (void)snprintf(amount, sizeof amount, "%s GiB", sp_word_gib(bytes).text);
        sp_page_put_term(out, sp_memory_part_name((sp_memory_part)part), amount, bytes / m->usable,
                         sp_memory_part_meaning((sp_memory_part)part));
    }
    sp_text_printf(out, "  room in the cache for %s tokens, %s requests of this length\n",
                   sp_word_count((uint64_t)m->tokens).text, sp_word_brief(m->concurrency).text);
}

/* ---- throughput and money ---- */

static void add_throughput(const sp_served_plan *p, bool limited, const sp_report_options *o,
                           struct sp_text *out)
{
    const sp_serving_estimate *e = &p->estimate;
    sp_page_put_heading(out, o, "Throughput");
    sp_text_printf(out, "  generated              %s tok/s, %s tok/s/GPU, %s tok/s/user\n",
                   sp_word_brief(e->tokens_per_s).text, sp_word_brief(e->tokens_per_s_per_gpu).text,
                   sp_word_brief(e->tokens_per_s_per_user).text);
    sp_text_printf(out, "  with prompts           %s tok/s\n",
                   sp_word_brief(e->total_tokens_per_s).text);
    sp_text_printf(out,
                   "  requests               %s a second, %s under way, %s of a rank decode "
                   "at once\n",
                   sp_word_brief(e->requests_per_s).text, sp_word_brief(e->concurrency).text,
                   sp_word_brief(e->running).text);
    if (e->max_rate > 0.0) {
        sp_text_printf(out, "  at most                %s requests a second\n",
                       sp_word_brief(e->max_rate).text);
    }
    if (sp_served_mode(&p->plan) == SP_SERVING_DISAGG) {
        sp_text_printf(out, "  busy                   prefill pool %s, decode pool %s\n",
                       sp_word_percent(e->prefill_busy_ratio).text,
                       sp_word_percent(e->decode_busy_ratio).text);
    }
    if (p->simulated) {
        sp_text_printf(out, "  simulated              %s tok/s/GPU over %s requests",
                       sp_word_brief(p->run.simulated.tokens_per_s_per_gpu).text,
                       sp_word_count(p->run.simulated.requests).text);
        if (limited) {
            sp_text_printf(out, "; %s of them keep every limit",
                           sp_word_percent(p->run.slo_attainment_ratio).text);
        }
        sp_text_add(out, "\n");
    }
}

static void add_money(const sp_serving_estimate *e, const sp_report_options *o, struct sp_text *out)
{
    if (e->usd_per_hour <= 0.0) return;
    sp_page_put_heading(out, o, "Money");
    sp_text_printf(out, "  price                  %s an hour in all\n",
                   sp_word_usd(e->usd_per_hour).text);
    sp_text_printf(out, "  a million tokens       %s, generated\n",
                   sp_word_usd(e->usd_per_million_tokens).text);
}

void sp_report_served_page(const sp_serving_space *space, const sp_served_plan *served,
                           const sp_report_options *options, struct sp_text *out)
{
    const sp_serving_problem *problem = sp_serving_space_problem(space);
    const sp_serving_estimate *e = &served->estimate;
    sp_report_options o = *options;
    if (o.width == 0) o.width = 100;
    sp_serving_summary_question(problem, &o, out);
    add_plan(space, served, &o, out);
    add_verdict(space, served, &o, out);
    if (!served->priced) return;
    add_latencies(served, &o, out);
    add_request(e, &o, out);
    add_step("A step of prompts", &e->prefill_step, &o, out);
    add_step("A step of answers", &e->decode_step, &o, out);
    add_memory(&e->memory, &o, out);
    add_throughput(served, sp_serving_problem_n_limits(problem) > 0, &o, out);
    add_money(e, &o, out);
    sp_serving_names_plan(space, &served->plan, &o, out);
    if (e->borrowed) {
        sp_text_add(out, "\nSome kernels were measured on another part or in another number "
                         "format.\n");
    }
}
