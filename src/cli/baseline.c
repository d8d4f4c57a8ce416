/* SPDX-License-Identifier: Apache-2.0 */
/* --baseline PLAN and --measured FIGURE=VALUE: the plan that others are compared with, and the step
 * that a measurement of it means. */
#include "cli/plan_list.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What people measure of a run. Rates fall as the step grows. */
static const struct figure {
    const char *name, *field;
    bool is_rate;
    sp_status (*parse)(const char *text, double *value, sp_error *err);
} figures[] = {
    {"step_s",               "time_s.step",          false, sp_parse_duration},
    {"tokens_per_s",         "tokens_per_s",         true,  sp_parse_amount  },
    {"tokens_per_s_per_gpu", "tokens_per_s_per_gpu", true,  sp_parse_amount  },
    {"mfu",                  "mfu",                  true,  sp_parse_ratio   },
};
enum { N_FIGURES = sizeof figures / sizeof figures[0] };

static sp_status find_figure(const char *name, size_t length, const struct figure **figure,
                             sp_error *err)
{
    const char *names[N_FIGURES];
    char word[64];
    for (size_t i = 0; i < N_FIGURES; i++) {
        *figure = &figures[i];
        names[i] = figures[i].name;
        if (strlen(names[i]) == length && strncmp(name, names[i], length) == 0) return SP_OK;
    }
    (void)snprintf(word, sizeof word, "%.*s", (int)length, name);
    sp_fail(err, SP_E_UNKNOWN_NAME, "this figure of a plan cannot be measured");
    sp_fail_value(err, "%s", word);
    return sp_fail_names(err, word, names, N_FIGURES);
}

/* "step_s=9.8", "mfu=41%" */
static sp_status parse_measured(const char *text, const sp_estimate *estimate, double *step_s,
                                sp_error *err)
{
    const struct figure *figure = NULL;
    const size_t length = strcspn(text, "=");
    double value = 0.0;
    if (text[length] == '\0') {
        sp_fail(err, SP_E_SYNTAX, "a measurement is a figure and its value, such as step_s=9.8");
        return sp_fail_value(err, "%s", text);
    }
    SP_TRY(find_figure(text, length, &figure, err));
    SP_TRY(figure->parse(text + length + 1, &value, err));
    if (value <= 0.0) {
        sp_fail(err, SP_E_RANGE, "a measurement is above 0");
        return sp_fail_value(err, "%s", text);
    }
    const double estimated = sp_field_get(estimate, sp_field_find(figure->field));
    const double base_s = estimate->time.step_s;
    *step_s = figure->is_rate ? base_s * (estimated / value) : value;
    return SP_OK;
}

/* The plan is measured against nothing that has no step. */
static sp_status refuse_unbuilt(const sp_space *space, const sp_priced *priced, const char *text,
                                sp_error *err)
{
    if (priced->priced) return SP_OK;
    const sp_rule_info *rule = sp_space_rule(space, priced->rule);
    sp_fail(err, SP_E_INCONSISTENT, "a baseline must be a plan that can be built; rule %s: %s",
            rule->name, rule->meaning);
    return sp_fail_value(err, "%s", text);
}

/* Plan text that reads back as the plan of an id: what the question would fill in is said. */
static const char *text_of_id(sp_arena *arena, const sp_plan *plan)
{
    char text[SP_PLAN_TEXT_BYTES];
    const sp_axis_info *gpus = sp_axis_describe(SP_AXIS_gpus);
    (void)sp_plan_format(plan, text, sizeof text);
    const bool said = plan->gpus != gpus->fallback;
    return said ? sp_arena_strdup(arena, text)
                : sp_arena_printf(arena, "%s=%" PRIu32 ",%s", gpus->name, plan->gpus, text);
}

static sp_status read_plan(sp_settings *settings, const sp_space *space, const char *text,
                           sp_baseline *baseline, sp_error *err)
{
    sp_plan plan;
    SP_TRY(sp_plan_check_launch_file(text, err));
    SP_TRY(sp_plan_check_id(settings, text, sp_problem_fingerprint(sp_space_problem(space)), err));
    SP_TRY(sp_plan_read(text, space, &plan, err));
    sp_price_plan(space, &plan, &baseline->priced);
    SP_TRY(refuse_unbuilt(space, &baseline->priced, text, err));
    baseline->text = sp_plan_is_id(text) ? text_of_id(&settings->arena, &plan) : text;
    return baseline->text != NULL ? SP_OK : sp_fail(err, SP_E_MEMORY, "no memory for the baseline");
}

/* A measurement from a source that another one overrules was made of another baseline. */
static bool is_of_another(const sp_settings *settings)
{
    const sp_setting *baseline = &settings->of[SP_FLAG_baseline];
    const sp_setting *measured = &settings->of[SP_FLAG_measured];
    return measured->n_values > 0 && measured->origin < baseline->origin;
}

static sp_status blame(sp_status status, sp_flag_id flag, sp_error *err)
{
    char name[64];
    if (status == SP_OK || err->file[0] != '\0') return status;
    (void)snprintf(name, sizeof name, "--%s", sp_flag_describe(flag)->name);
    return sp_fail_file(err, name);
}

sp_status sp_baseline_read(const sp_context *context, const sp_space *space, sp_baseline *baseline,
                           sp_error *err)
{
    sp_settings *settings = context->settings;
    const char *text = sp_settings_text(settings, SP_FLAG_baseline);
    const char *measured = sp_settings_text(settings, SP_FLAG_measured);
    *baseline = (sp_baseline){0};
    if (text == NULL && measured == NULL) return SP_OK;
    if (text == NULL) {
        sp_fail(err, SP_E_USAGE, "a measurement needs the plan that was measured: --baseline PLAN");
        sp_fail_value(err, "%s", measured);
        return blame(err->status, SP_FLAG_measured, err);
    }
    SP_TRY(blame(read_plan(settings, space, text, baseline, err), SP_FLAG_baseline, err));
    if (measured == NULL) return SP_OK;
    if (is_of_another(settings)) {
        sp_cli_warn(context, "the measurement beside the earlier baseline is left out; --measured "
                             "says what this one takes");
        return SP_OK;
    }
    return blame(
        parse_measured(measured, &baseline->priced.estimate, &baseline->measured_step_s, err),
        SP_FLAG_measured, err);
}
