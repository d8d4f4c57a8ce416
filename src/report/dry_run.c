/* SPDX-License-Identifier: Apache-2.0 */
/* What a search would look at: the axes with their values, the number of plans by a sample, the
 * time. */
#include "report/report_priv.h"

#include <math.h>
#include <string.h>

/* An odd step visits the ids evenly whatever the radices are; 2^64 over the golden ratio. */
static const uint64_t STEP = UINT64_C(0x9e3779b97f4a7c15);

sp_sample sp_sample_space(const sp_space *space, uint64_t n_tries)
{
    const uint64_t count = sp_space_count(space);
    sp_sample sample = {0};
    uint64_t draw = 0;
    for (; sample.tried < n_tries; sample.tried++) {
        draw += STEP;
        const uint64_t id = count < n_tries ? sample.tried : draw % count;
        if (id >= count) break;
        const sp_plan plan = sp_space_unrank(space, id);
        const uint32_t rule = sp_space_refusal(space, &plan);
        const bool means_nothing =
            rule != UINT32_MAX && sp_space_rule(space, rule)->class <= SP_RULE_STRUCTURE;
        if (means_nothing) continue;
        sample.plan = plan;
        sample.admitted++;
    }
    return sample;
}

static void add_values(const sp_axis *axis, struct sp_text *out)
{
    const uint32_t shown = axis->n_values > 16 ? 12 : axis->n_values;
    for (uint32_t i = 0; i < shown; i++) {
        char value[24];
        sp_axis_format_value(axis->id, axis->values[i], value);
        sp_text_printf(out, "%s%s", i > 0 ? " " : "", value);
    }
    if (shown < axis->n_values) {
        char last[24];
        sp_axis_format_value(axis->id, axis->values[axis->n_values - 1], last);
        sp_text_printf(out, " .. %s", last);
    }
}

static void add_axes(const sp_space *space, struct sp_text *out)
{
    for (sp_axis_id id = 0; id < SP_N_AXES; id++) {
        const sp_axis *axis = sp_space_axis(space, id);
        struct sp_text values = {0};
        add_values(axis, &values);
        sp_text_printf(out, "  %-14s %6u  %s\n", sp_axis_describe(id)->name, axis->n_values,
                       values.length > 0 ? values.data : "");
        out->failed = out->failed || values.failed;
        sp_text_fini(&values);
    }
}

void sp_report_dry_run(const sp_space *space, const sp_sample *sample, double seconds_per_plan,
                       double resident_bytes, uint32_t threads, const sp_report_options *options,
                       struct sp_text *out)
{
    const double count = (double)sp_space_count(space);
    const double plans = count * (double)sample->admitted / (double)sample->tried;
    sp_report_options o = *options;
    if (o.width == 0) o.width = 100;
    sp_summary_question(sp_space_problem(space), &o, out);
    sp_text_add(out, "\n");
    add_axes(space, out);
    sp_text_printf(out, "\n%s combinations, of which about %s are plans (of %s tried, %s were)\n",
                   sp_word_count(sp_space_count(space)).text, sp_word_count((uint64_t)plans).text,
                   sp_word_count(sample->tried).text, sp_word_count(sample->admitted).text);
    if (seconds_per_plan > 0.0) {
        const double seconds = plans * seconds_per_plan / (threads > 0 ? threads : 1);
        sp_text_printf(
            out,
            "at most about %s on %u thread%s; rules and bounds usually settle most plans "
            "sooner\n",
            sp_word_duration(seconds).text, threads, threads == 1 ? "" : "s");
    }
    sp_text_printf(
        out,
        "about %.0f MiB of memory now; a search adds the front and the best plans of each "
        "thread\n",
        ceil(resident_bytes / 1048576.0));
}
