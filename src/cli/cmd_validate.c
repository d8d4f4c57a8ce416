/* SPDX-License-Identifier: Apache-2.0 */
/* `shardplan validate KIND FILE`: the models against measurements. */
#include "cli/cli.h"
#include "cli/ops.h"
#include "shardplan/fidelity.h"

#include <string.h>

static sp_status check_kind(const char *word, sp_error *err)
{
    static const char *const names[] = {"training", "serving", "params", "memory", "ops"};
    for (size_t i = 0; word != NULL && i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(word, names[i]) == 0) return SP_OK;
    }
    sp_fail(err, SP_E_USAGE,
            word != NULL
                ? "there is no such kind of measurements"
                : "say what was measured, for example shardplan validate training runs.csv");
    sp_fail_value(err, "%s", word != NULL ? word : "");
    return word != NULL ? sp_fail_names(err, word, names, 5) : err->status;
}

static sp_status check_words(const sp_settings *settings, sp_error *err)
{
    SP_TRY(check_kind(settings->n_words > 0 ? settings->words[0] : NULL, err));
    if (settings->n_words > 1) return SP_OK;
    return sp_fail(err, SP_E_USAGE,
                   "name the table or folder, for example shardplan validate training runs.csv");
}

static sp_status check_format(sp_format format, sp_error *err)
{
    if (format == SP_FORMAT_TABLE || format == SP_FORMAT_JSON) return SP_OK;
    sp_fail(err, SP_E_NOT_YET, "a score is written as a table or as JSON");
    return sp_fail_file(err, "--format");
}

static sp_exit show(const sp_context *context, const sp_score *score, bool points)
{
    const sp_report_options options = sp_cli_options(context);
    sp_text text = {0};
    if (context->run.format == SP_FORMAT_JSON) {
        sp_score_json(score, points, &text);
    } else {
        sp_score_page(score, &options, &text);
    }
    return sp_cli_write(context, &text, SP_EXIT_FOUND);
}

static sp_exit score_training(const sp_context *context, bool points)
{
    sp_error err = {0};
    sp_score *score = NULL;
    const char *fold = sp_settings_text(context->settings, SP_FLAG_cross);
    const char *file = context->settings->words[1];
    if (sp_score_training(context->home, file, fold, &score, &err) != SP_OK) {
        return sp_cli_fail(context, &err);
    }
    const sp_exit code = show(context, score, points);
    sp_score_free(score);
    return code;
}

/* Nothing is fitted that counts parameters. */
static sp_status check_no_fold(const sp_settings *settings, sp_error *err)
{
    const char *fold = sp_settings_text(settings, SP_FLAG_cross);
    if (fold == NULL) return SP_OK;
    sp_fail(err, SP_E_INCONSISTENT, "parameters are counted by constants that no one fits");
    sp_fail_value(err, "%s", fold);
    return sp_fail_file(err, "--cross");
}

static sp_exit score_params(const sp_context *context, bool points)
{
    sp_error err = {0};
    sp_text text = {0};
    sp_params_score *score = NULL;
    if (check_no_fold(context->settings, &err) != SP_OK) return sp_cli_fail(context, &err);
    if (sp_score_params(context->home, context->settings->words[1], &score, &err) != SP_OK) {
        return sp_cli_fail(context, &err);
    }
    if (context->run.format == SP_FORMAT_JSON) {
        sp_params_score_json(score, points, &text);
    } else {
        sp_params_score_page(score, &text);
    }
    sp_params_score_free(score);
    return sp_cli_write(context, &text, SP_EXIT_FOUND);
}

static sp_exit score_memory(const sp_context *context, bool points)
{
    sp_error err = {0};
    sp_text text = {0};
    sp_memory_score *score = NULL;
    if (sp_score_memory(context->home, context->settings->words[1], &score, &err) != SP_OK) {
        return sp_cli_fail(context, &err);
    }
    if (context->run.format == SP_FORMAT_JSON) {
        sp_memory_score_json(score, points, &text);
    } else {
        sp_memory_score_page(score, points, &text);
    }
    sp_memory_score_free(score);
    return sp_cli_write(context, &text, SP_EXIT_FOUND);
}

static sp_exit score_stages(const sp_context *context, bool points)
{
    sp_error err = {0};
    sp_text text = {0};
    sp_stages_score *score = NULL;
    const sp_report_options options = sp_cli_options(context);
    if (sp_score_stages(context->home, context->settings->words[1], &score, &err) != SP_OK) {
        return sp_cli_fail(context, &err);
    }
    if (context->run.format == SP_FORMAT_JSON) {
        sp_stages_score_json(score, points, &text);
    } else {
        sp_stages_score_page(score, &options, &text);
    }
    sp_stages_score_free(score);
    return sp_cli_write(context, &text, SP_EXIT_FOUND);
}

/* Stages come as one JSON object a line, deployments as a table. */
static bool is_lines(const char *file)
{
    const char *dot = strrchr(file, '.');
    return dot != NULL && strcmp(dot, ".jsonl") == 0;
}

static sp_exit score_serving(const sp_context *context, bool points)
{
    if (is_lines(context->settings->words[1])) return score_stages(context, points);

    sp_error err = {0};
    sp_text text = {0};
    sp_deployed_score *score = NULL;
    const sp_report_options options = sp_cli_options(context);
    const sp_deployed_request request = {
        .home = context->home,
        .file = context->settings->words[1],
        .models = sp_settings_text(context->settings, SP_FLAG_models),
        .cross = sp_settings_text(context->settings, SP_FLAG_cross)};
    if (sp_score_serving(&request, &score, &err) != SP_OK) return sp_cli_fail(context, &err);
    if (context->run.format == SP_FORMAT_JSON) {
        sp_deployed_score_json(score, points, &text);
    } else {
        sp_deployed_score_page(score, &options, &text);
    }
    sp_deployed_score_free(score);
    return sp_cli_write(context, &text, SP_EXIT_FOUND);
}

/* Only tables of kernels may be several. */
static sp_status check_count(const sp_settings *settings, sp_error *err)
{
    if (settings->n_words <= 2 || strcmp(settings->words[0], "ops") == 0) return SP_OK;
    (void)sp_fail(err, SP_E_USAGE, "one word too many: name one table or folder");
    return sp_fail_value(err, "%s", settings->words[2]);
}

static sp_exit run(const sp_context *context)
{
    sp_error err = {0};
    bool points = false;
    const sp_settings *settings = context->settings;
    sp_status status = check_words(settings, &err);
    if (status == SP_OK) status = check_count(settings, &err);
    if (status == SP_OK) status = check_format(context->run.format, &err);
    if (status == SP_OK) status = sp_settings_switch(settings, SP_FLAG_points, &points, &err);
    if (status != SP_OK) return sp_cli_fail(context, &err);
    if (!context->speaks) return SP_EXIT_FOUND;
    if (strcmp(settings->words[0], "params") == 0) return score_params(context, points);
    if (strcmp(settings->words[0], "memory") == 0) return score_memory(context, points);
    if (strcmp(settings->words[0], "serving") == 0) return score_serving(context, points);
    if (strcmp(settings->words[0], "ops") == 0) return sp_cli_score_ops(context, points);
    return score_training(context, points);
}

const sp_command sp_command_validate = {
    .name = "validate",
    .usage = "validate training|serving|params|memory|ops FILE.. [FLAG..]",
    .summary = "scores the models against measurements",
    .about =
        "training: FILE is a CSV table of measured training runs, one run or out-of-memory "
        "event a row.\n"
        "Every row is predicted from its configuration alone and compared with what was "
        "measured; rows\n"
        "that cannot be expressed are counted with the reason. "
        "configs/validation/training-points.json\n"
        "says how the words of a row become a plan. --cross fits the constants that\n"
        "configs/validation/fit-training.json lists without each group of rows and scores "
        "that group.\n"
        "serving: FILE is a CSV table of measured deployments under a closed loop of requests, in "
        "the columns\n"
        "of InferenceMAX dumps. configs/validation/serving-points.json says how its words become "
        "formats.\n"
        "--cross model|system is as with training, by configs/validation/fit-serving.json.\n"
        "A FILE.jsonl has load stages instead, one JSON object a line: an engine at a rate of "
        "requests.\n"
        "params: FILE is a folder with configs/NAME.json, Hugging Face configurations, and "
        "expected.json,\n"
        "the counts that another client makes of them; ours must be equal.\n"
        "memory: FILE is a JSON list of what serving engines printed when they started: "
        "weights, peak,\n"
        "cache. configs/validation/serving-memory.json is one.\n"
        "ops: FILEs are CSV tables of measured kernel calls, as `calibrate ops` takes them; the "
        "surfaces\n"
        "of the accelerator (--gpu, else the folder of the table) are compared with every "
        "call.\n",
    .examples = "  shardplan validate training runs.csv\n"
                "  shardplan validate training runs.csv --json --points -o score.json\n"
                "  shardplan validate training runs.csv --cross source\n"
                "  shardplan validate serving deployments.csv --cross model\n"
                "  shardplan validate serving deployments.csv --models ./configs --json --points\n"
                "  shardplan validate params ./counts\n"
                "  shardplan validate memory configs/validation/serving-memory.json\n"
                "  shardplan validate ops h100_sxm/gemm.csv.gz\n",
    .takes = SP_TAKES_OUTPUT | SP_TAKES_TABLE,
    .max_words = SP_OPS_MAX_WORDS,
    .run = run,
};
