/* SPDX-License-Identifier: Apache-2.0 */
/* `shardplan calibrate KIND FILE..`: what the models know of machines, from measurements. */
#include "cli/cli.h"
#include "shardplan/calibrate.h"

#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* One thing that can be calibrated. */
typedef struct kind {
    const char *name;
    sp_exit (*run)(const sp_context *context);
} kind;

static sp_status fill_question(const sp_context *context, sp_calibrate_question *q, sp_error *err)
{
    const sp_settings *s = context->settings;
    *q = (sp_calibrate_question){.gpu = sp_settings_text(s, SP_FLAG_gpu),
                                 .files = (const char *const *)s->words + 1,
                                 .n_files = (uint32_t)s->n_words - 1,
                                 .op = sp_settings_text(s, SP_FLAG_op),
                                 .source = sp_settings_text(s, SP_FLAG_source),
                                 .date = sp_settings_text(s, SP_FLAG_date)};
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

static sp_exit calibrate_ops(const sp_context *context)
{
    sp_error err = {0};
    bool in_place = false;
    sp_calibrate_question question;
    sp_calibrated *calibrated = NULL;
    sp_status status = fill_question(context, &question, &err);
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

static const kind kinds[] = {
    {"ops", calibrate_ops}
};

static sp_status find_kind(const sp_settings *settings, const kind **out, sp_error *err)
{
    const char *names[COUNT(kinds)];
    const char *word = settings->n_words > 0 ? settings->words[0] : "";
    for (size_t i = 0; i < COUNT(kinds); i++) {
        names[i] = kinds[i].name;
        *out = &kinds[i];
        if (strcmp(word, names[i]) != 0) continue;
        if (settings->n_words > 1) return SP_OK;
        return sp_fail(err, SP_E_USAGE,
                       "name the tables, for example shardplan calibrate ops gemm.csv --gpu "
                       "h100-sxm");
    }
    (void)sp_fail(err, SP_E_USAGE, "say what to calibrate");
    (void)sp_fail_value(err, "%s", word);
    return sp_fail_names(err, word, names, COUNT(kinds));
}

static sp_exit run(const sp_context *context)
{
    sp_error err = {0};
    const kind *chosen = NULL;
    sp_status status = find_kind(context->settings, &chosen, &err);
    if (status == SP_OK) {
        status = sp_run_check_format(&context->run, SP_FORM_TABLE | SP_FORM_JSON, &err);
    }
    if (status != SP_OK) return sp_cli_fail(context, &err);
    return context->speaks ? chosen->run(context) : SP_EXIT_FOUND;
}

const sp_command sp_command_calibrate = {
    .name = "calibrate",
    .usage = "calibrate ops FILE.. --gpu NAME [FLAG..]",
    .summary = "fits efficiencies to measurements",
    .about = "ops: FILEs are CSV tables of measured kernel calls, plain or packed (.csv.gz), one "
             "kind of operator\n"
             "a table, which its name says (gemm.csv, attention_context.csv.gz) or --op. Every "
             "kernel with enough\n"
             "rows gets a surface of at most eight numbers; what is printed is its error on whole "
             "shapes that were\n"
             "left out of the fit. -o writes the accelerator's file with the surfaces, --in-place "
             "puts it where it\n"
             "was read from.\n",
    .examples = "  shardplan calibrate ops gemm.csv moe.csv.gz --gpu h100-sxm\n"
                "  shardplan calibrate ops *.csv --gpu my-part.json -o calibrated.json \\\n"
                "      --source 'our cluster, CUDA 13.0' --date 2026-11-21\n",
    .takes = SP_TAKES_OUTPUT | SP_TAKES_CALIBRATION,
    .max_words = 256,
    .run = run,
};
