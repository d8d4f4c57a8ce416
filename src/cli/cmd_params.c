/* SPDX-License-Identifier: Apache-2.0 */
/* `shardplan params MODEL`: what was read from a model. */
#include "cli/cli.h"

static sp_exit show(const sp_context *context, const sp_model *model)
{
    sp_text text = {0};
    if (context->run.format == SP_FORMAT_JSON) {
        sp_report_params_json(model, &text);
    } else {
        sp_report_params_page(model, &text);
    }
    return sp_cli_write(context, &text, SP_EXIT_FOUND);
}

static sp_exit run(const sp_context *context)
{
    sp_error err = {0};
    sp_arena arena = {0};
    const sp_model *model = NULL;
    sp_exit code = SP_EXIT_FAILED;
    if (context->settings->n_words == 0) {
        sp_fail(&err, SP_E_USAGE, "name the model, for example shardplan params llama-3.1-70b");
        code = sp_cli_fail(context, &err);
    } else if (sp_run_check_format(&context->run, SP_FORM_TABLE | SP_FORM_JSON, &err) != SP_OK) {
        code = sp_cli_fail(context, &err);
    } else if (sp_model_find(&arena, context->home, context->settings->words[0], &model, &err) !=
               SP_OK) {
        code = sp_cli_fail(context, &err);
    } else {
        code = show(context, model);
    }
    sp_arena_fini(&arena);
    return code;
}

const sp_command sp_command_params = {
    .name = "params",
    .usage = "params MODEL [FLAG..]",
    .summary = "what was read from a model: exact parameter counts, assumptions",
    .about = "MODEL is a name of `shardplan list models`, a Hugging Face config.json, or a folder "
             "with one.\n",
    .examples = "  shardplan params llama-3.1-70b\n"
                "  shardplan params ./my-model/config.json --json\n",
    .takes = SP_TAKES_OUTPUT,
    .max_words = 1,
    .run = run,
};
