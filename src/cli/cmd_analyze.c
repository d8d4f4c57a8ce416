/* SPDX-License-Identifier: Apache-2.0 */
/* `shardplan analyze MODEL`: every operator of every phase under the roofline. */
#include "cli/analyze.h"
#include "cli/analyze_sweep.h"

/* ---- forms of the answer ---- */

static sp_exit write_workbook(const sp_context *context, const sp_analyzed *done)
{
    sp_error err = {0};
    if (!context->speaks) return SP_EXIT_FOUND;
    if (sp_report_analysis_xlsx(&done->questions[0], done->analyses[0], context->run.output,
                                &err) == SP_OK) {
        return SP_EXIT_FOUND;
    }
    (void)sp_cli_fail(context, &err);
    return SP_EXIT_FAILED;
}

static void write_pages(const sp_context *context, const sp_analyzed *done, sp_text *text)
{
    const sp_report_options options = sp_cli_options(context);
    for (uint32_t i = 0; i < done->n; i++) {
        if (i > 0) sp_text_add(text, "\n");
        sp_report_analysis_page(&done->questions[i], done->analyses[i], &options, text);
    }
}

static sp_exit show(const sp_context *context, const sp_analyzed *done)
{
    sp_text text = {0};
    if (sp_analyze_wants_workbook(context)) return write_workbook(context, done);
    if (done->graph == SP_GRAPH_DOT) {
        sp_report_graph_dot(&done->questions[0], &text);
    } else if (done->graph == SP_GRAPH_JSON) {
        sp_report_graph_json(&done->questions[0], &text);
    } else if (context->run.format == SP_FORMAT_JSON) {
        sp_report_analysis_json(&done->questions[0], done->analyses[0], &text);
    } else if (context->run.format == SP_FORMAT_CSV) {
        sp_report_analysis_csv(done->analyses[0], &text);
    } else {
        write_pages(context, done, &text);
    }
    return sp_cli_write(context, &text, SP_EXIT_FOUND);
}

static sp_status analyze(const sp_context *context, sp_arena *arena, sp_analyzed *done,
                         sp_error *err)
{
    SP_TRY(sp_analyze_read(context->settings, arena, context->home, done, err));
    SP_TRY(sp_analyze_check_flags(context, done, err));
    for (uint32_t i = 0; i < done->n; i++) {
        SP_TRY(sp_analyze(arena, &done->questions[i], &done->analyses[i], err));
    }
    return context->speaks ? sp_analyze_draw(context, arena, done, err) : SP_OK;
}

static sp_exit run(const sp_context *context)
{
    sp_error err = {0};
    sp_arena arena = {0};
    sp_analyzed done = {0};
    const sp_status status = analyze(context, &arena, &done, &err);
    const sp_exit code = status != SP_OK ? sp_cli_fail(context, &err)
                         : sp_cli_sweep_asked(context)
                             ? sp_cli_sweep(context, &arena, &done.questions[0], done.analyses[0])
                             : show(context, &done);
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
             "name of `shardplan list models`, a Hugging Face config.json, a folder with one, or a "
             "GGUF file. An\n"
             "output that ends in .xlsx is a workbook with a sheet for each phase.\n",
    .examples = "  shardplan analyze llama-3.1-8b --hardware h100-sxm\n"
                "  shardplan analyze deepseek-v3 --cluster dgx-h200 --tp 8 --bits fp8-block "
                "--batch 64\n"
                "  shardplan analyze ./my-model --hardware rtx-4090 --bits w4a16 -o analysis.xlsx\n"
                "  shardplan analyze qwen3-32b --hardware h100-sxm,b200 --roofline roof.svg\n"
                "  shardplan analyze mixtral-8x7b --hardware h100-sxm --graph dot | dot -Tsvg\n",
    .takes = SP_TAKES_ANALYSIS | SP_TAKES_OUTPUT,
    .max_words = 1,
    .run = run,
};
