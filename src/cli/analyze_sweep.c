/* SPDX-License-Identifier: Apache-2.0 */
/* See analyze_sweep.h: each flag is one question to shardplan/sweep.h and one answer. */
#include "cli/analyze_sweep.h"

#define MOST_CHIPS       1024
#define POPULATION       200
#define MOST_GENERATIONS 10000
#define SEED             1

/* What an answer is made from. */
typedef struct asked {
    const sp_context *context;
    sp_arena *arena;
    const sp_analysis_question *question;
    const sp_analysis *analysis;
    sp_economics money;
    sp_report_options options;
    sp_text *out;
    sp_exit *code; /* SP_EXIT_FOUND unless an answer says that there is none */
} asked;

static const char *value_of(const asked *a, sp_flag_id flag)
{
    return sp_settings_text(a->context->settings, flag);
}

static sp_status need_form(const asked *a, unsigned forms, sp_error *err)
{
    return sp_run_check_format(&a->context->run, forms, err);
}

/* A mistake in a file is told with the file, one in the flag with the flag. */
static sp_status blame(sp_status status, sp_flag_id flag, sp_error *err)
{
    return status == SP_OK || err->line > 0 ? status : sp_flag_blame(status, flag, err);
}

static bool wants(const asked *a, sp_format format)
{
    return a->context->run.format == format;
}

/* ---- --sweep, --evolve ---- */

static sp_status show_evolved(const asked *a, const sp_workload *workload, const sp_sweep *ranges,
                              sp_error *err)
{
    uint32_t generations = 0;
    sp_silicon silicon;
    const sp_individual *all = NULL;
    SP_TRY(need_form(a, SP_FORM_TABLE | SP_FORM_JSON, err));
    SP_TRY(sp_flag_count(a->context->settings, SP_FLAG_evolve, 1, MOST_GENERATIONS, &generations,
                         err));
    SP_TRY(sp_silicon_load(a->context->home, &silicon, err));
    SP_TRY(sp_evolve_chips(a->arena, workload, &a->money, &silicon, ranges, POPULATION, generations,
                           SEED, &all, err));
    if (wants(a, SP_FORMAT_JSON)) {
        sp_report_evolved_json(a->question, ranges, &a->money, all, POPULATION, a->out);
    } else {
        sp_report_evolved_page(a->question, ranges, &a->money, all, POPULATION, &a->options,
                               a->out);
    }
    return SP_OK;
}

static void show_result(const asked *a, const sp_sweep *sweep, const sp_sweep_result *result)
{
    if (wants(a, SP_FORMAT_JSON)) {
        sp_report_sweep_json(a->question, sweep, &a->money, result, a->out);
    } else if (wants(a, SP_FORMAT_CSV)) {
        sp_report_sweep_csv(result, a->out);
    } else {
        sp_report_sweep_page(a->question, sweep, &a->money, result, &a->options, a->out);
    }
}

static sp_status answer_sweep(const asked *a, sp_error *err)
{
    const sp_sweep *sweep = NULL;
    const sp_sweep_result *result = NULL;
    sp_workload *workload = NULL;
    uint32_t max_points = 0;
    SP_TRY(blame(sp_sweep_find(a->arena, a->context->home, value_of(a, SP_FLAG_sweep), &sweep, err),
                 SP_FLAG_sweep, err));
    SP_TRY(sp_workload_build(a->arena, a->question, a->analysis, &workload, err));
    if (value_of(a, SP_FLAG_evolve) != NULL) return show_evolved(a, workload, sweep, err);
    SP_TRY(sp_flag_count(a->context->settings, SP_FLAG_max_points, 1, SP_SWEEP_MAX_POINTS,
                         &max_points, err));
    SP_TRY(sp_sweep_run(a->arena, workload, &a->money, sweep, max_points, &result, err));
    show_result(a, sweep, result);
    if (result->n_fitting == 0) *a->code = SP_EXIT_NOTHING;
    return SP_OK;
}

/* ---- --sensitivity ---- */

static sp_status find_figure(const asked *a, uint32_t *figure, sp_error *err)
{
    const char *names[SP_CHIP_N_FIGURES];
    for (uint32_t f = 0; f < SP_CHIP_N_FIGURES; f++) {
        names[f] = sp_chip_figure_name(f);
    }
    return sp_flag_choice(a->context->settings, SP_FLAG_sensitivity, names, SP_CHIP_N_FIGURES,
                          figure, err);
}

static sp_status own_chip(const asked *a, sp_chip *chip, sp_error *err)
{
    const sp_gpu *gpu = a->question->gpu;
    *chip = (sp_chip){.flops_per_s = gpu->peak_flops_per_s[a->question->compute],
                      .bytes_per_s = gpu->memory_bytes_per_s,
                      .capacity_bytes = gpu->memory_bytes,
                      .tdp_watts = gpu->tdp_watts,
                      .price_usd = gpu->usd};
    SP_TRY(sp_flag_amount(a->context->settings, SP_FLAG_chip_price, &chip->price_usd, err));
    if (chip->price_usd > 0.0) return SP_OK;
    return sp_fail(err, SP_E_USAGE,
                   "--sensitivity needs the price of the accelerator, which its file does not "
                   "hold; give --chip-price, for example --chip-price 30000");
}

/* A sweep of one figure, so that JSON and CSV are those of a sweep. */
static sp_status answer_sensitivity(const asked *a, sp_error *err)
{
    static const double times[] = {0.25, 0.5, 1.0, 2.0, 4.0, 8.0};
    enum { N_TIMES = sizeof times / sizeof times[0] };
    sp_sweep sweep = {.name = "sensitivity", .source = "", .n_points = N_TIMES};
    sp_workload *workload = NULL;
    const sp_sweep_result *result = NULL;
    sp_chip chip;
    uint32_t figure = 0;
    SP_TRY(find_figure(a, &figure, err));
    SP_TRY(own_chip(a, &chip, err));
    SP_TRY(sp_workload_build(a->arena, a->question, a->analysis, &workload, err));
    for (uint32_t f = 0; f < SP_CHIP_N_FIGURES; f++) {
        sweep.n_values[f] = f == figure ? N_TIMES : 1;
        for (uint32_t i = 0; i < sweep.n_values[f]; i++) {
            sweep.values[f][i] = *sp_chip_figure(&chip, f) * (f == figure ? times[i] : 1.0);
        }
    }
    SP_TRY(sp_sweep_run(a->arena, workload, &a->money, &sweep, 0, &result, err));
    if (wants(a, SP_FORMAT_TABLE)) {
        const sp_sensitivity page = {figure, N_TIMES, times, result->points};
        sp_report_sensitivity_page(a->question, &page, &a->options, a->out);
    } else {
        show_result(a, &sweep, result);
    }
    return SP_OK;
}

/* ---- --tiers, --chips, --draft ---- */

static sp_status answer_tiers(const asked *a, sp_error *err)
{
    const sp_tiered_chip *chip = NULL;
    const sp_tier_plan *plan = NULL;
    SP_TRY(need_form(a, SP_FORM_TABLE | SP_FORM_JSON, err));
    SP_TRY(blame(
        sp_tiered_chip_find(a->arena, a->context->home, value_of(a, SP_FLAG_tiers), &chip, err),
        SP_FLAG_tiers, err));
    SP_TRY(sp_tiers_plan(a->arena, a->question, a->analysis, chip, &plan, err));
    if (wants(a, SP_FORMAT_JSON)) {
        sp_report_tiers_json(a->question, chip, plan, a->out);
    } else {
        sp_report_tiers_page(a->question, chip, plan, &a->options, a->out);
    }
    return SP_OK;
}

static sp_status answer_chips(const asked *a, sp_error *err)
{
    const sp_chips *curve = NULL;
    uint32_t n = 0;
    SP_TRY(need_form(a, SP_FORM_TABLE | SP_FORM_JSON, err));
    SP_TRY(sp_flag_count(a->context->settings, SP_FLAG_chips, 1, MOST_CHIPS, &n, err));
    SP_TRY(sp_chips_curve(a->arena, a->question, n, &curve, err));
    if (wants(a, SP_FORMAT_JSON)) {
        sp_report_chips_json(a->question, curve, n, a->out);
    } else {
        sp_report_chips_page(a->question, curve, n, &a->options, a->out);
    }
    return SP_OK;
}

static sp_status answer_draft(const asked *a, sp_error *err)
{
    sp_analysis_question draft = *a->question;
    sp_speculation speculation;
    SP_TRY(need_form(a, SP_FORM_TABLE | SP_FORM_JSON, err));
    SP_TRY(blame(
        sp_model_find(a->arena, a->context->home, value_of(a, SP_FLAG_draft), &draft.model, err),
        SP_FLAG_draft, err));
    SP_TRY(sp_speculate(a->arena, a->question, &draft, &a->money, &speculation, err));
    if (wants(a, SP_FORMAT_JSON)) {
        sp_report_speculation_json(a->question, &draft, &speculation, a->out);
    } else {
        sp_report_speculation_page(a->question, &draft, &speculation, &a->options, a->out);
    }
    return SP_OK;
}

/* ---- which ---- */

static const struct answer {
    sp_flag_id flag;
    sp_status (*give)(const asked *a, sp_error *err);
} answers[] = {
    {SP_FLAG_sweep,       answer_sweep      },
    {SP_FLAG_sensitivity, answer_sensitivity},
    {SP_FLAG_tiers,       answer_tiers      },
    {SP_FLAG_chips,       answer_chips      },
    {SP_FLAG_draft,       answer_draft      },
};
#define N_ANSWERS (sizeof answers / sizeof answers[0])

bool sp_cli_sweep_asked(const sp_context *context)
{
    for (size_t i = 0; i < N_ANSWERS; i++) {
        if (sp_settings_text(context->settings, answers[i].flag) != NULL) return true;
    }
    return sp_settings_text(context->settings, SP_FLAG_evolve) != NULL;
}

/* The one that is asked for. */
static sp_status choose(const asked *a, const struct answer **chosen, sp_error *err)
{
    *chosen = NULL;
    for (size_t i = 0; i < N_ANSWERS; i++) {
        if (value_of(a, answers[i].flag) == NULL) continue;
        if (*chosen != NULL) {
            return sp_fail(err, SP_E_USAGE, "--%s and --%s ask for different answers",
                           sp_flag_describe((*chosen)->flag)->name,
                           sp_flag_describe(answers[i].flag)->name);
        }
        *chosen = &answers[i];
    }
    if (*chosen != NULL) return SP_OK;
    return sp_fail(err, SP_E_USAGE, "--evolve needs the ranges of a sweep; give --sweep any-chip");
}

static sp_status read_money(asked *a, sp_error *err)
{
    const char *text = value_of(a, SP_FLAG_economics);
    SP_TRY(sp_economics_load(a->context->home, NULL, &a->money, err));
    if (text == NULL) return SP_OK;
    return blame(sp_economics_parse(a->context->home, text, &a->money, err), SP_FLAG_economics,
                 err);
}

sp_exit sp_cli_sweep(const sp_context *context, sp_arena *arena,
                     const sp_analysis_question *question, const sp_analysis *analysis)
{
    sp_text text = {0};
    sp_error err = {0};
    const struct answer *chosen = NULL;
    sp_exit code = SP_EXIT_FOUND;
    asked a = {.context = context,
               .arena = arena,
               .question = question,
               .analysis = analysis,
               .options = sp_cli_options(context),
               .out = &text,
               .code = &code};
    sp_status status = choose(&a, &chosen, &err);
    if (status == SP_OK) status = read_money(&a, &err);
    if (status == SP_OK) status = chosen->give(&a, &err);
    if (status == SP_OK) return sp_cli_write(context, &text, code);
    sp_text_fini(&text);
    return sp_cli_fail(context, &err);
}
