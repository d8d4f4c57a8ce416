/* SPDX-License-Identifier: Apache-2.0 */
/* Plans in an engine's own flags (--names): a line for each kind of worker. */
#include "report/serving_page.h"
#include "space/serving.h"

#include <assert.h>
#include <string.h>

/* The engine's position in the problem; UINT32_MAX without --names. */
static uint32_t wanted_engine(const sp_serving_space *space, const sp_report_options *o)
{
    const char *const *names = NULL;
    const uint32_t n =
        sp_serving_axis_names(sp_serving_space_problem(space), SP_SERVING_AXIS_engine, &names);
    for (uint32_t i = 0; o->names != NULL && i < n; i++) {
        if (strcmp(names[i], o->names) == 0) return i;
    }
    return UINT32_MAX;
}

static void add_worker(const sp_serving_space *space, const sp_serving_plan *plan,
                       sp_worker_role role, const char *before, struct sp_text *out)
{
    const uint32_t engine = plan->value[SP_SERVING_AXIS_engine];
    double values[SP_N_SERVING_VARS];
    struct sp_text flags = {0};
    sp_serving_worker_values(plan, role, values);
    sp_text_add(&flags, before);
    sp_serving_flags_put(&space->problem->engines[engine].rules, values, &flags);
    sp_text_add(out, "  ");
    sp_text_wrap(out, flags.length > 0 ? flags.data : "", 96, 6);
    out->failed = out->failed || flags.failed;
    sp_text_fini(&flags);
}

static void add_plan(const sp_serving_space *space, const sp_serving_plan *plan,
                     struct sp_text *out)
{
    if (sp_served_mode(plan) == SP_SERVING_DISAGG) {
        add_worker(space, plan, SP_WORKER_PREFILL, "prompts: ", out);
        add_worker(space, plan, SP_WORKER_DECODE, "answers: ", out);
    } else {
        add_worker(space, plan, SP_WORKER_BOTH, "", out);
    }
}

void sp_serving_names_rows(const sp_serving_answer *answer, const sp_report_options *options,
                           struct sp_text *out)
{
    const uint32_t engine = wanted_engine(answer->space, options);
    uint32_t n = 0;
    if (engine == UINT32_MAX) return;
    sp_text_printf(out, "\nIn the flags of %s\n", options->names);
    for (uint32_t i = 0; i < answer->n_rows; i++) {
        const sp_serving_plan *plan = &answer->rows[i].served.plan;
        if (plan->value[SP_SERVING_AXIS_engine] != engine) continue;
        const bool apart = sp_served_mode(plan) == SP_SERVING_DISAGG;
        const uint32_t of_prompts = apart ? plan->value[SP_SERVING_AXIS_prefill_workers] : 0;
        const uint32_t workers = plan->workers + of_prompts;
        sp_text_printf(out, "row %u, ", i + 1);
        if (workers > 1) sp_text_printf(out, "each of its %u workers\n", workers);
        if (workers <= 1) sp_text_add(out, "its worker\n");
        add_plan(answer->space, plan, out);
        n++;
    }
    if (n == 0) sp_text_add(out, "  no row runs on it\n");
}

void sp_serving_names_plan(const sp_serving_space *space, const sp_serving_plan *plan,
                           const sp_report_options *options, struct sp_text *out)
{
    const uint32_t engine = wanted_engine(space, options);
    if (engine == UINT32_MAX) return;
    sp_page_put_heading(out, options, "In its engine's own flags");
    if (plan->value[SP_SERVING_AXIS_engine] == engine) {
        add_plan(space, plan, out);
    } else {
        sp_text_printf(out, "  the plan does not run on %s\n", options->names);
    }
}
