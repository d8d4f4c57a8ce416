/* SPDX-License-Identifier: Apache-2.0 */
/* `shardplan calibrate ops` and `shardplan validate ops`: surfaces of kernels from tables of
 * measured calls, and against them. */
#include "cli/ops.h"
#include "shardplan/calibrate.h"

#include <string.h>

static sp_calibrate_question question_of(const sp_settings *s)
{
    return (sp_calibrate_question){.gpu = sp_settings_text(s, SP_FLAG_gpu),
                                   .files = (const char *const *)s->words + 1,
                                   .n_files = (uint32_t)s->n_words - 1,
                                   .op = sp_settings_text(s, SP_FLAG_op),
                                   .source = sp_settings_text(s, SP_FLAG_source),
                                   .date = sp_settings_text(s, SP_FLAG_date)};
}

static sp_status check_log(const sp_settings *s, sp_calibrate_question *q, sp_error *err)
{
    static const char *const names[] = {"nccl-tests"};
    const char *log = sp_settings_text(s, SP_FLAG_log);
    q->nccl_tests = log != NULL && strcmp(log, names[0]) == 0;
    if (log == NULL || q->nccl_tests) return SP_OK;
    (void)sp_fail(err, SP_E_UNKNOWN_NAME, "no kernels are read from such logs");
    (void)sp_fail_file(err, "--log");
    (void)sp_fail_value(err, "%s", log);
    return sp_fail_names(err, log, names, 1);
}

/* A fit needs tables and the part that was measured. */
static sp_status check_fit(const sp_calibrate_question *q, sp_error *err)
{
    if (q->n_files == 0) {
        return sp_fail(err, SP_E_USAGE,
                       "name the tables, for example shardplan calibrate ops gemm.csv --gpu "
                       "h100-sxm");
    }
    if (q->gpu != NULL) return SP_OK;
    (void)sp_fail(err, SP_E_USAGE,
                  "say which accelerator was measured, for example --gpu h100-sxm");
    return sp_fail_file(err, "--gpu");
}

/* Writes the accelerator's file to -o, or in place of the one it was read from. */
static sp_status write_file(const sp_context *context, const sp_calibrated *calibrated,
                            bool in_place, sp_error *err)
{
    sp_text text = {0};
    const char *file = in_place ? sp_calibrated_path(calibrated) : context->run.output;
    sp_status status = sp_calibrated_file(calibrated, &text, err);
    if (status == SP_OK) status = sp_file_write(file, text.data, text.length, err);
    sp_text_fini(&text);
    return status;
}

static sp_exit show(const sp_context *context, const sp_calibrated *calibrated)
{
    sp_context printing = *context;
    sp_text text = {0};
    printing.run.output = "-"; /* -o is where the accelerator's file goes */
    if (context->run.format == SP_FORMAT_JSON) {
        sp_calibrated_json(calibrated, &text);
    } else {
        sp_calibrated_page(calibrated, &text);
    }
    return sp_cli_write(&printing, &text, SP_EXIT_FOUND);
}

sp_exit sp_cli_calibrate_ops(const sp_context *context)
{
    sp_error err = {0};
    bool in_place = false;
    sp_calibrate_question question = question_of(context->settings);
    sp_calibrated *calibrated = NULL;
    sp_status status = check_log(context->settings, &question, &err);
    if (status == SP_OK) status = check_fit(&question, &err);
    if (status == SP_OK && !context->speaks) return SP_EXIT_FOUND;
    if (status == SP_OK) {
        status = sp_settings_switch(context->settings, SP_FLAG_in_place, &in_place, &err);
    }
    if (status == SP_OK) status = sp_calibrate_ops(context->home, &question, &calibrated, &err);
    const bool writes = in_place || strcmp(context->run.output, "-") != 0;
    if (status == SP_OK && writes) status = write_file(context, calibrated, in_place, &err);
    const sp_exit code = status == SP_OK ? show(context, calibrated) : sp_cli_fail(context, &err);
    sp_calibrated_free(calibrated);
    return code;
}

sp_exit sp_cli_score_ops(const sp_context *context, bool points)
{
    sp_error err = {0};
    sp_text text = {0};
    sp_ops_score *score = NULL;
    sp_calibrate_question question = question_of(context->settings);
    if (check_log(context->settings, &question, &err) != SP_OK ||
        sp_score_ops(context->home, &question, &score, &err) != SP_OK) {
        return sp_cli_fail(context, &err);
    }
    if (context->run.format == SP_FORMAT_JSON) {
        sp_ops_score_json(score, points, &text);
    } else {
        sp_ops_score_page(score, &text);
    }
    sp_ops_score_free(score);
    return sp_cli_write(context, &text, SP_EXIT_FOUND);
}

sp_exit sp_cli_write_runs(const sp_context *context, const char *format)
{
    sp_error err = {0};
    sp_text text = {0};
    const sp_settings *settings = context->settings;
    if (sp_runs_of_logs(format, sp_settings_text(settings, SP_FLAG_gpu),
                        (const char *const *)settings->words + 1, (uint32_t)settings->n_words - 1,
                        &text, &err) == SP_OK) {
        return sp_cli_write(context, &text, SP_EXIT_FOUND);
    }
    sp_text_fini(&text);
    return sp_cli_fail(context, &err);
}
