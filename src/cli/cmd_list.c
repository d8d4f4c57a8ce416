/* SPDX-License-Identifier: Apache-2.0 */
/* `shardplan list WHAT`: what there is to name. */
#include "cli/cli.h"

#include <string.h>

static sp_status find_kind(const char *word, sp_list_kind *kind, sp_error *err)
{
    const char *names[SP_N_LISTS];
    for (sp_list_kind k = 0; k < SP_N_LISTS; k++) {
        names[k] = sp_list_name(k);
        *kind = k;
        if (word != NULL && strcmp(word, names[k]) == 0) return SP_OK;
    }
    if (word != NULL && strcmp(word, "targets") == 0) {
        sp_fail(err, SP_E_NOT_YET, "launch files cannot be written");
        return sp_fail_value(err, "%s", word);
    }
    sp_fail(err, SP_E_USAGE, word != NULL ? "there is no such list" : "say what to list");
    sp_fail_value(err, "%s", word != NULL ? word : "");
    return sp_fail_names(err, word != NULL ? word : "", names, SP_N_LISTS);
}

static sp_exit run(const sp_context *context)
{
    sp_error err = {0};
    sp_text text = {0};
    sp_list_kind kind = SP_N_LISTS;
    const sp_settings *settings = context->settings;
    const sp_report_options options = sp_cli_options(context);
    const bool json = context->run.format == SP_FORMAT_JSON;
    sp_status status = sp_run_check_format(&context->run, SP_FORM_TABLE | SP_FORM_JSON, &err);
    if (status == SP_OK) {
        status = find_kind(settings->n_words > 0 ? settings->words[0] : NULL, &kind, &err);
    }
    if (status == SP_OK) status = sp_report_list(context->home, kind, json, &options, &text, &err);
    if (status == SP_OK) return sp_cli_write(context, &text, SP_EXIT_FOUND);
    sp_text_fini(&text);
    return sp_cli_fail(context, &err);
}

const sp_command sp_command_list = {
    .name = "list",
    .usage = "list models|types|hardware|engines|rules|axes|objectives|recipes [FLAG..]",
    .summary = "models, model types, hardware, engines, rules, axes, objectives, recipes",
    .about = "Shows the names that other commands take, with what they stand for.\n",
    .examples = "  shardplan list hardware\n"
                "  shardplan list axes --json\n",
    .takes = SP_TAKES_OUTPUT,
    .max_words = 1,
    .run = run,
};
