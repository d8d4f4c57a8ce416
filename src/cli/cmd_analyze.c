/* SPDX-License-Identifier: Apache-2.0 */
/* `shardplan analyze MODEL`: every operator of every phase under the roofline. */
#include "cli/analyze.h"
#include "cli/analyze_sweep.h"

#include <string.h>

static bool ends_with(const char *text, const char *end)
{
    const size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

static sp_exit show(const sp_context *context, const sp_analysis_question *question,
                    const sp_analysis *analysis)
{
    const sp_report_options options = sp_cli_options(context);
    sp_text text = {0};
    sp_error err = {0};
    if (ends_with(context->run.output, ".xlsx")) {
        if (!context->speaks) return SP_EXIT_FOUND;
        const sp_status status =
            sp_report_analysis_xlsx(question, analysis, context->run.output, &err);
        if (status == SP_OK) return SP_EXIT_FOUND;
        (void)sp_cli_fail(context, &err);
        return SP_EXIT_FAILED;
    }
    if (context->run.format == SP_FORMAT_JSON) {
        sp_report_analysis_json(question, analysis, &text);
    } else if (context->run.format == SP_FORMAT_CSV) {
        sp_report_analysis_csv(analysis, &text);
    } else {
        sp_report_analysis_page(question, analysis, &options, &text);
    }
    return sp_cli_write(context, &text, SP_EXIT_FOUND);
}

static sp_exit run(const sp_context *context)
{
    sp_error err = {0};
    sp_arena arena = {0};
    sp_analysis_question question;
    const sp_analysis *analysis = NULL;
    sp_status status =
        sp_run_check_format(&context->run, SP_FORM_TABLE | SP_FORM_JSON | SP_FORM_CSV, &err);
    if (status == SP_OK) {
        status = sp_analyze_read(context->settings, &arena, context->home, &question, &err);
    }
    if (status == SP_OK) status = sp_analyze(&arena, &question, &analysis, &err);
    const sp_exit code = status != SP_OK ? sp_cli_fail(context, &err)
                         : sp_cli_sweep_asked(context)
                             ? sp_cli_sweep(context, &arena, &question, analysis)
                             : show(context, &question, analysis);
    sp_arena_fini(&arena);
    return code;
}

const sp_command sp_command_analyze = {
    .name = "analyze",
    .usage = "analyze MODEL --hardware NAME [FLAG..]",
    .summary = "operators of a model: FLOPs, bytes, roofline, cache",
    .about = "Every operator of every phase on one accelerator of a deployment: FLOPs, bytes by "
             "number format,\n"
             "intensity, time under the roofline and what bounds it; the cache and the memory "
             "needed. MODEL is a\n"
             "name of `shardplan list models`, a Hugging Face config.json, or a folder with one. "
             "An output that\n"
             "ends in .xlsx is a workbook with a sheet for each phase.\n",
    .examples =
        "  shardplan analyze llama-3.1-8b --hardware h100-sxm\n"
        "  shardplan analyze deepseek-v3 --cluster dgx-h200 --tp 8 --bits fp8-block "
        "--batch 64\n"
        "  shardplan analyze ./my-model --hardware rtx-4090 --bits w4a16 -o analysis.xlsx\n",
    .takes = SP_TAKES_ANALYSIS | SP_TAKES_OUTPUT,
    .max_words = 1,
    .run = run,
};
