/* SPDX-License-Identifier: Apache-2.0 */
/* Evidence as people and programs read it: one line on a page, one object in a plan's JSON. */
#include "report/report_priv.h"

#include <stdio.h>

/* "Llama 3 70B in fp8 on 64 GPUs of dgx-h100: 1664 tokens_per_s_per_gpu" */
static void add_run(struct sp_text *out, const sp_training_recipe *recipe)
{
    const sp_measured *m = &recipe->measured;
    sp_text_printf(out, "%s on %u GPUs (%s), published as %s %s", recipe->about, recipe->gpus,
                   recipe->cluster, sp_measure_name(m->measure), sp_word_number(m->value).text);
    if (m->measure == SP_MEASURE_GPU_HOURS) {
        sp_text_printf(out, " for %s tokens", sp_word_number(m->tokens).text);
    }
    if (m->measure == SP_MEASURE_TFLOPS || m->measure == SP_MEASURE_MFU) {
        sp_text_printf(out, " (FLOPs: %s)", sp_flops_name(m->flops));
    }
}

static void put_extrapolated(sp_json_writer *w, const sp_evidence *e)
{
    sp_jw_open_array_compact(w, "extrapolated");
    if (e->other_hardware) sp_jw_string(w, NULL, "hardware");
    if (e->other_size) sp_jw_string(w, NULL, "size");
    if (e->other_kind) sp_jw_string(w, NULL, "kind");
    if (e->beyond.products) sp_jw_string(w, NULL, "products");
    if (e->beyond.attention) sp_jw_string(w, NULL, "attention");
    if (e->beyond.collectives) sp_jw_string(w, NULL, "collectives");
    sp_jw_close_array(w);
}

void sp_json_put_evidence(sp_json_writer *w, const sp_report_options *options,
                          const sp_space *space, const sp_plan *plan)
{
    if (options->evidence == NULL) return;
    const sp_evidence e = sp_evidence_nearest(options->evidence, sp_space_problem(space), plan);
    if (e.nearest == NULL || !e.priced) return;
    struct sp_text text = {0};
    add_run(&text, e.nearest);
    sp_jw_open_object(w, "evidence");
    sp_jw_open_object(w, "nearest_published");
    sp_jw_string(w, "name", e.nearest->name);
    sp_jw_string(w, "source", e.nearest->citation);
    sp_jw_string(w, "url", e.nearest->url);
    sp_jw_string(w, "date", e.nearest->date);
    sp_jw_string(w, "text", text.length > 0 ? text.data : "");
    sp_jw_string(w, "figure", "step_s");
    sp_jw_double(w, "measured", e.measured_step_s);
    sp_jw_double(w, "predicted", e.predicted_step_s);
    sp_jw_double(w, "error_ratio", e.error_ratio);
    sp_jw_double(w, "distance", e.distance);
    sp_jw_close_object(w);
    put_extrapolated(w, &e);
    sp_jw_close_object(w);
    w->out->failed = w->out->failed || text.failed;
    sp_text_fini(&text);
}

static void add_differences(struct sp_text *out, const sp_evidence *e)
{
    const char *between = "; another ";
    if (e->other_hardware) sp_text_printf(out, "%sGPU", between);
    if (e->other_hardware) between = ", ";
    if (e->other_size) sp_text_printf(out, "%ssize", between);
    if (e->other_size) between = ", ";
    if (e->other_kind) sp_text_printf(out, "%skind of model", between);
}

/* "; shapes of its products and attention were not measured" */
static void add_beyond(struct sp_text *out, const sp_beyond *beyond)
{
    const struct {
        bool is;
        const char *name;
    } kernels[] = {
        {beyond->products,    "products"   },
        {beyond->attention,   "attention"  },
        {beyond->collectives, "collectives"}
    };
    uint32_t n = 0;
    for (size_t i = 0; i < sizeof kernels / sizeof kernels[0]; i++) {
        if (!kernels[i].is) continue;
        sp_text_printf(out, "%s%s", n++ == 0 ? "; shapes of its " : " and ", kernels[i].name);
    }
    if (n > 0) sp_text_add(out, " lie beyond those measured on its GPU");
}

void sp_page_put_evidence(const sp_report_options *options, const sp_space *space,
                          const sp_plan *plan, struct sp_text *out)
{
    if (options->evidence == NULL) return;
    const sp_evidence e = sp_evidence_nearest(options->evidence, sp_space_problem(space), plan);
    if (e.nearest == NULL || !e.priced) return;
    struct sp_text line = {0};
    sp_text_printf(&line,
                   "Nearest published run: %s, measured %s s, shardplan says %s s (%+.0f %%)",
                   e.nearest->name, sp_word_number(e.measured_step_s).text,
                   sp_word_number(e.predicted_step_s).text, 100.0 * e.error_ratio);
    add_differences(&line, &e);
    add_beyond(&line, &e.beyond);
    sp_text_add(out, "\n");
    sp_text_wrap(out, line.length > 0 ? line.data : "", options->width, 2);
    out->failed = out->failed || line.failed;
    sp_text_fini(&line);
}
