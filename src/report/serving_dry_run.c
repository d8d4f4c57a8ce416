/* SPDX-License-Identifier: Apache-2.0 */
/* What a search of serving plans would look at: the axes with their values, the number of ids. */
#include "report/serving_page.h"

#define SHOWN_VALUES 12u

static void add_values(const sp_serving_space *space, sp_serving_axis_id axis,
                       const uint32_t *values, uint32_t n, struct sp_text *out)
{
    const sp_serving_problem *problem = sp_serving_space_problem(space);
    char value[32];
    for (uint32_t i = 0; i < n; i++) {
        const bool hidden = n > SHOWN_VALUES + 4 && i >= SHOWN_VALUES && i + 1 < n;
        if (hidden) continue;
        sp_serving_format_value(problem, axis, values[i], value);
        const bool after_gap = n > SHOWN_VALUES + 4 && i + 1 == n;
        sp_text_printf(out, "%s%s%s", i > 0 ? " " : "", after_gap ? ".. " : "", value);
    }
}

void sp_report_serve_dry_run(const sp_serving_space *space, const sp_report_options *options,
                             struct sp_text *out)
{
    sp_report_options o = *options;
    if (o.width == 0) o.width = 100;
    sp_serving_summary_question(sp_serving_space_problem(space), &o, out);
    sp_text_add(out, "\n");
    for (sp_serving_axis_id axis = 0; axis < SP_N_SERVING_AXES; axis++) {
        const uint32_t *values = NULL;
        const uint32_t n = sp_serving_space_values(space, axis, &values);
        sp_text_printf(out, "  %-16s %6u  ", sp_serving_axis_describe(axis)->name, n);
        add_values(space, axis, values, n, out);
        sp_text_add(out, "\n");
    }
    sp_text_printf(out, "\n%s combinations; most mean nothing, and rules settle them in runs\n",
                   sp_word_count(sp_serving_space_count(space)).text);
}
