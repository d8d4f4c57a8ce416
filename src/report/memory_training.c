/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of the fullest GPU of a training plan: parts with bars, as "shardplan/memory/1", and
 * as CSV. */
#include "report/report_priv.h"
#include "step/step.h"

#include <string.h>

#define BAR_WIDTH 20

static const char prefix[] = "memory_bytes.";

/* The parts that add up to what is allocated, and --reserve. */
static bool is_part(const sp_field *field)
{
    static const char *const others[] = {"allocated_peak", "reserved_peak", "peak",
                                         "usable",         "host",          "nvme"};
    if (strncmp(field->json, prefix, strlen(prefix)) != 0) return false;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (strcmp(field->json + strlen(prefix), others[i]) == 0) return false;
    }
    return true;
}

static double fragmentation_bytes(const sp_memory *m)
{
    return m->reserved_peak_bytes - m->allocated_peak_bytes;
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

static const char *word_verdict(const sp_problem *problem, const sp_priced *p)
{
    if (!sp_memory_fits(problem, &p->estimate.memory)) return "oom: does not fit";
    if (p->estimate.verdict != SP_TIGHT) return "fits";
    return "tight: more than one chance in ten to run out";
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
    sp_text_printf(out, "%s of %s GiB are allowed\n  ", sp_word_gib(problem->allowed_bytes).text,
                   sp_word_gib(m->usable_bytes).text);
    sp_tone_add(out, options->color, fits ? SP_TONE_GOOD : SP_TONE_BAD, word_verdict(problem, p));
    sp_text_printf(out, "; P(out of memory) %s", sp_word_chance(range.p_oom).text);
    if (m->host_bytes > 0.0) {
        sp_text_printf(out, "; for each GPU %s GiB of the host", sp_word_gib(m->host_bytes).text);
    }
    if (m->nvme_bytes > 0.0) {
        sp_text_printf(out, "; for each GPU %s GiB of storage", sp_word_gib(m->nvme_bytes).text);
    }
    sp_text_add(out, "\n");
    if (!fits) sp_page_put_way_out(out);
}

static void add_question(const sp_problem *problem, const sp_plan *plan, struct sp_text *out)
{
    const sp_question *q = &problem->question;
    const bool one = q->global_batch == 1;
    char text[SP_PLAN_TEXT_BYTES];
    sp_plan_format(plan, text, sizeof text);
    sp_text_printf(out, "%s on %u %s, %s, %s: %s sequence%s of %s tokens a step\n",
                   problem->model->name, plan->gpus, problem->cluster->gpu->name,
                   sp_task_name(q->task), q->optimizer, sp_word_count(q->global_batch).text,
                   one ? "" : "s", sp_word_count(q->seq_len).text);
    sp_text_printf(out, "  %s\n  dp=%u, micro_batch=%u, accumulation=%u, zero=%u\n\n", text,
                   plan->dp, plan->micro_batch, plan->accumulation, plan->zero);
}

void sp_report_training_memory_page(const sp_space *space, const sp_priced *p, const char *found,
                                    const sp_advice *advice, const sp_report_options *options,
                                    struct sp_text *out)
{
    const sp_problem *problem = sp_space_problem(space);
    const sp_memory *m = &p->estimate.memory;
    sp_page_put_found(found, out);
    add_question(problem, &p->plan, out);
    sp_text_printf(out, "  %-14s %8s  share of the GPU\n", "", "GiB");
    for (uint32_t field = 0; field < sp_field_count(); field++) {
        const sp_field *info = sp_field_describe(field);
        const double bytes = sp_field_get(&p->estimate, field);
        if (!is_part(info) || bytes == 0.0) continue;
        add_part(m, info->json + strlen(prefix), bytes, info->meaning, out);
    }
    add_part(m, "fragmentation", fragmentation_bytes(m), "held by the allocator", out);
    add_verdict(problem, p, options, out);
    if (advice != NULL) {
        sp_page_put_traffic(advice, p, options, out);
    } else if (p->plan.gpus > 1) {
        add_network(&p->estimate.network, out);
    }
    sp_page_put_assumptions(problem->model, out);
}

static void put_question(sp_json_writer *w, const sp_problem *problem, const sp_plan *plan)
{
    const sp_question *q = &problem->question;
    char text[SP_PLAN_TEXT_BYTES];
    sp_plan_format(plan, text, sizeof text);
    sp_jw_open_object(w, "question");
    sp_jw_string(w, "task", sp_task_name(q->task));
    sp_jw_string(w, "model", problem->model->name);
    sp_jw_string(w, "hardware", problem->cluster->gpu->name);
    sp_jw_u64(w, "gpus", plan->gpus);
    sp_jw_u64(w, "seq_len", q->seq_len);
    sp_jw_u64(w, "global_batch", q->global_batch);
    sp_jw_double(w, "headroom_ratio", q->headroom_ratio);
    sp_jw_double(w, "reserve_bytes", q->reserve_bytes);
    sp_jw_string(w, "plan", text);
    sp_jw_close_object(w);
}

static void put_bytes(sp_json_writer *w, const sp_estimate *estimate, const sp_memory_range *range)
{
    sp_jw_open_object(w, "memory_bytes");
    for (uint32_t field = 0; field < sp_field_count(); field++) {
        const sp_field *info = sp_field_describe(field);
        if (strncmp(info->json, prefix, strlen(prefix)) != 0) continue;
        sp_jw_double(w, info->json + strlen(prefix), sp_field_get(estimate, field));
    }
    sp_jw_double(w, "low", range->low_bytes);
    sp_jw_double(w, "high", range->high_bytes);
    sp_jw_close_object(w);
}

void sp_report_training_memory_json(const sp_space *space, const sp_priced *p, const char *found,
                                    const sp_advice *advice, struct sp_text *out)
{
    const sp_problem *problem = sp_space_problem(space);
    const sp_memory_range range = sp_memory_range_of(problem, &p->estimate.memory);
    sp_json_writer w;
    sp_jw_init(&w, out);
    sp_jw_open_object(&w, NULL);
    sp_jw_string(&w, "schema", "shardplan/memory/1");
    sp_json_put_version(&w);
    put_question(&w, problem, &p->plan);
    sp_jw_string(&w, "found", found);
    put_bytes(&w, &p->estimate, &range);
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

static void add_csv_row(const char *part, double bytes, struct sp_text *out)
{
    sp_text_add(out, part);
    sp_csv_add_number(out, bytes);
    sp_text_add(out, "\n");
}

/* Parts down to fragmentation add up to the peak. */
void sp_report_training_memory_csv(const sp_priced *p, struct sp_text *out)
{
    const sp_memory *m = &p->estimate.memory;
    sp_text_add(out, "part,bytes\n");
    for (uint32_t field = 0; field < sp_field_count(); field++) {
        const sp_field *info = sp_field_describe(field);
        if (!is_part(info)) continue;
        add_csv_row(info->json + strlen(prefix), sp_field_get(&p->estimate, field), out);
    }
    add_csv_row("fragmentation", fragmentation_bytes(m), out);
    add_csv_row("peak", m->peak_bytes, out);
    add_csv_row("usable", m->usable_bytes, out);
    add_csv_row("host", m->host_bytes, out);
    add_csv_row("nvme", m->nvme_bytes, out);
}
