/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of the fullest GPU of a training plan: parts with bars, as "shardplan/memory/1", and
 * as CSV. */
#include "report/report_priv.h"
#include "step/step.h"

#include <string.h>

#define BAR_WIDTH 20

static const char prefix[] = "memory_bytes.";

/* The parts that add up to the peak, and those that lie elsewhere. */
static bool is_part(const char *json)
{
    return strncmp(json, prefix, strlen(prefix)) == 0 && strstr(json, "_peak") == NULL &&
           strcmp(json, "memory_bytes.peak") != 0 && strcmp(json, "memory_bytes.usable") != 0;
}

static void add_part(const sp_memory *m, const char *name, double bytes, const char *meaning,
                     struct sp_text *out)
{
    const double length = bytes / m->usable_bytes * BAR_WIDTH + 0.5;
    const int n = length > BAR_WIDTH ? BAR_WIDTH : (int)length;
    char bar[BAR_WIDTH + 1];
    memset(bar, '#', (size_t)n);
    bar[n] = '\0';
    sp_text_printf(out, "  %-14s %8s  %-*s  %s\n", name, sp_word_gib(bytes).text, BAR_WIDTH, bar,
                   meaning);
}

/* What one GPU sends in a step, by the engine's own collectives. */
static void add_network(const sp_network *n, struct sp_text *out)
{
    static const char *const names[] = {"tp", "cp", "ep", "pp", "dp"};
    const double bytes[] = {n->tp_bytes, n->cp_bytes, n->ep_bytes, n->pp_bytes, n->dp_bytes};
    sp_text_add(out, "Sent by one GPU in a step:");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (bytes[i] > 0.0) {
            sp_text_printf(out, " %s %s;", names[i], sp_word_bytes(bytes[i]).text);
        }
    }
    sp_text_printf(out, " the step waits %s of its time for it\n",
                   sp_word_percent(n->step_ratio).text);
}

static void put_network(sp_json_writer *w, const sp_network *n)
{
    sp_jw_open_object(w, "network");
    sp_jw_double(w, "tp_bytes", n->tp_bytes);
    sp_jw_double(w, "cp_bytes", n->cp_bytes);
    sp_jw_double(w, "ep_bytes", n->ep_bytes);
    sp_jw_double(w, "pp_bytes", n->pp_bytes);
    sp_jw_double(w, "dp_bytes", n->dp_bytes);
    sp_jw_double(w, "exposed_ratio", n->exposed_ratio);
    sp_jw_double(w, "step_ratio", n->step_ratio);
    sp_jw_close_object(w);
}

static void add_verdict(const sp_problem *problem, const sp_priced *p,
                        const sp_report_options *options, struct sp_text *out)
{
    const sp_memory *m = &p->estimate.memory;
    const sp_memory_range range = sp_memory_range_of(problem, m);
    const bool fits = sp_memory_fits(problem, m);
    sp_text_printf(out, "\nPeak %s GiB in %s on stage %u of %u, %s to %s; ",
                   sp_word_gib(m->peak_bytes).text, sp_memory_phase_name(m->peak_phase),
                   m->worst_stage + 1, p->plan.pp, sp_word_gib(range.low_bytes).text,
                   sp_word_gib(range.high_bytes).text);
    sp_text_printf(out, "%s of %s GiB are allowed: ", sp_word_gib(problem->allowed_bytes).text,
                   sp_word_gib(m->usable_bytes).text);
    sp_tone_add(out, options->color, fits ? SP_TONE_GOOD : SP_TONE_BAD,
                sp_verdict_name(p->estimate.verdict));
    sp_text_printf(out, "\n  P(out of memory) %s", sp_word_chance(range.p_oom).text);
    if (m->host_bytes > 0.0) {
        sp_text_printf(out, "; %s GiB of the host", sp_word_gib(m->host_bytes).text);
    }
    sp_text_add(out, "\n");
}

void sp_report_training_memory_page(const sp_space *space, const sp_priced *p, const char *found,
                                    const sp_advice *advice, const sp_report_options *options,
                                    struct sp_text *out)
{
    const sp_problem *problem = sp_space_problem(space);
    const sp_memory *m = &p->estimate.memory;
    char text[SP_PLAN_TEXT_BYTES];
    sp_plan_format(&p->plan, text, sizeof text);
    if (found != NULL) sp_text_printf(out, "%s\n\n", found);
    sp_text_printf(out, "%s on %u %s, %s, sequences of %s tokens\n  %s\n\n", problem->model->name,
                   p->plan.gpus, problem->cluster->gpu->name, sp_task_name(problem->question.task),
                   sp_word_count(problem->question.seq_len).text, text);
    sp_text_printf(out, "  %-14s %8s  share of the GPU\n", "", "GiB");
    for (uint32_t field = 0; field < sp_field_count(); field++) {
        const sp_field *info = sp_field_describe(field);
        const double bytes = sp_field_get(&p->estimate, field);
        if (!is_part(info->json) || bytes == 0.0) continue;
        add_part(m, info->json + strlen(prefix), bytes, info->meaning, out);
    }
    add_part(m, "fragmentation", m->reserved_peak_bytes - m->allocated_peak_bytes,
             "held by the allocator", out);
    add_verdict(problem, p, options, out);
    if (advice != NULL) {
        sp_page_put_traffic(advice, p, options, out);
    } else if (p->plan.gpus > 1) {
        add_network(&p->estimate.network, out);
    }
    sp_page_put_assumptions(problem->model, out);
}

void sp_report_training_memory_json(const sp_space *space, const sp_priced *p, const char *found,
                                    const sp_advice *advice, struct sp_text *out)
{
    const sp_problem *problem = sp_space_problem(space);
    const sp_memory_range range = sp_memory_range_of(problem, &p->estimate.memory);
    char text[SP_PLAN_TEXT_BYTES];
    sp_json_writer w;
    sp_plan_format(&p->plan, text, sizeof text);
    sp_jw_init(&w, out);
    sp_jw_open_object(&w, NULL);
    sp_jw_string(&w, "schema", "shardplan/memory/1");
    sp_json_put_version(&w);
    sp_jw_open_object(&w, "question");
    sp_jw_string(&w, "task", sp_task_name(problem->question.task));
    sp_jw_string(&w, "model", problem->model->name);
    sp_jw_string(&w, "hardware", problem->cluster->gpu->name);
    sp_jw_u64(&w, "gpus", p->plan.gpus);
    sp_jw_u64(&w, "seq_len", problem->question.seq_len);
    sp_jw_u64(&w, "global_batch", problem->question.global_batch);
    sp_jw_double(&w, "headroom_ratio", problem->question.headroom_ratio);
    sp_jw_double(&w, "reserve_bytes", problem->question.reserve_bytes);
    sp_jw_string(&w, "plan", text);
    sp_jw_close_object(&w);
    sp_jw_string(&w, "found", found);
    sp_jw_open_object(&w, "memory_bytes");
    for (uint32_t field = 0; field < sp_field_count(); field++) {
        const sp_field *info = sp_field_describe(field);
        if (strncmp(info->json, prefix, strlen(prefix)) != 0) continue;
        sp_jw_double(&w, info->json + strlen(prefix), sp_field_get(&p->estimate, field));
    }
    sp_jw_double(&w, "low", range.low_bytes);
    sp_jw_double(&w, "high", range.high_bytes);
    sp_jw_close_object(&w);
    sp_jw_string(&w, "peak_phase", sp_memory_phase_name(p->estimate.memory.peak_phase));
    sp_jw_double(&w, "out_of_memory_probability", range.p_oom);
    put_network(&w, &p->estimate.network);
    if (advice != NULL) sp_json_put_traffic(&w, advice, p);
    sp_jw_u64(&w, "worst_stage", p->estimate.memory.worst_stage);
    sp_jw_string(&w, "verdict", sp_verdict_name(p->estimate.verdict));
    sp_json_put_assumptions(&w, problem->model);
    sp_jw_close_object(&w);
    sp_text_add(out, "\n");
}

void sp_report_training_memory_csv(const sp_priced *p, struct sp_text *out)
{
    sp_text_add(out, "part,bytes\n");
    for (uint32_t field = 0; field < sp_field_count(); field++) {
        const sp_field *info = sp_field_describe(field);
        if (!is_part(info->json)) continue;
        sp_text_add(out, info->json + strlen(prefix));
        sp_csv_add_number(out, sp_field_get(&p->estimate, field));
        sp_text_add(out, "\n");
    }
}
