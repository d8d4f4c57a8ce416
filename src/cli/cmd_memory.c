/* SPDX-License-Identifier: Apache-2.0 */
/* `shardplan memory MODEL`: what one GPU holds while an engine serves the model, and what fits. */
#include "cli/memory.h"

/* What --find came to, in words. */
static const char *words_of(sp_arena *arena, const sp_memory_asked *asked)
{
    const sp_footprint_question *q = &asked->question;
    switch (asked->find) {
    case SP_FIND_NOTHING:
        break;
    case SP_FIND_MAX_BATCH:
        return sp_arena_printf(arena, "largest batch: %llu", (unsigned long long)q->batch);
    case SP_FIND_MAX_CONTEXT:
        return sp_arena_printf(arena, "longest context: %llu tokens, %llu of them the prompt",
                               (unsigned long long)(q->isl + q->osl), (unsigned long long)q->isl);
    case SP_FIND_MAX_MODEL:
        return sp_arena_printf(arena, "largest model: %s parameters", q->model->name);
    case SP_FIND_MIN_GPUS:
        return sp_arena_printf(arena, "fewest GPUs: %u, tp %u and pp %u", q->tp * q->pp, q->tp,
                               q->pp);
    }
    return NULL;
}

static sp_exit show(const sp_context *context, sp_arena *arena, const sp_memory_asked *asked)
{
    const sp_footprint_question *q = &asked->question;
    const sp_report_options options = sp_cli_options(context);
    sp_text text = {0};
    sp_footprint footprint;
    sp_footprint_evaluate(q, &footprint);
    const char *found = words_of(arena, asked);
    if (context->run.format == SP_FORMAT_JSON) {
        sp_report_footprint_json(q, &footprint, found, &text);
    } else if (context->run.format == SP_FORMAT_CSV) {
        if (found != NULL) sp_cli_warn(context, found);
        sp_report_footprint_csv(&footprint, &text);
    } else {
        sp_report_footprint_page(q, &footprint, found, &options, &text);
    }
    const bool works = footprint.verdict != SP_FOOTPRINT_OOM;
    return sp_cli_write(context, &text, works ? SP_EXIT_FOUND : SP_EXIT_NOTHING);
}

static sp_status find(const sp_context *context, sp_arena *arena, sp_memory_asked *asked,
                      sp_error *err)
{
    bool found = false;
    if (asked->find == SP_FIND_NOTHING) return SP_OK;
    SP_TRY(sp_footprint_search(arena, context->home, asked->find, asked->domain, &asked->question,
                               &found, err));
    if (found) return SP_OK;
    return sp_fail(err, SP_E_INFEASIBLE,
                   "not even the smallest is served; without --find the parts of the memory are "
                   "shown");
}

static sp_status answer(const sp_context *context, sp_arena *arena, sp_memory_asked *asked,
                        sp_error *err)
{
    const unsigned all = SP_FORM_TABLE | SP_FORM_JSON | SP_FORM_CSV;
    SP_TRY(sp_run_check_format(&context->run, all, err));
    SP_TRY(sp_memory_read(context->settings, arena, context->home, asked, err));
    return find(context, arena, asked, err);
}

/* `quick` without an accelerator takes a usual one, and says so. */
static sp_status name_hardware(const sp_context *context, sp_arena *arena, sp_error *err)
{
    sp_settings *s = context->settings;
    const char *name = NULL;
    if (!sp_memory_is_quick(s) || sp_settings_text(s, SP_FLAG_hardware) != NULL ||
        sp_settings_text(s, SP_FLAG_cluster) != NULL) {
        return SP_OK;
    }
    SP_TRY(sp_quick_hardware(arena, context->home, &name, err));
    SP_TRY(sp_settings_put(s, SP_FLAG_hardware, SP_FROM_DEFAULT, name, err));
    const char *words =
        sp_arena_printf(arena, "no --hardware is named: the answer is for %s", name);
    if (words != NULL) sp_cli_warn(context, words);
    return SP_OK;
}

static sp_exit run(const sp_context *context)
{
    sp_error err = {0};
    sp_arena arena = {0};
    sp_memory_asked asked;
    if (name_hardware(context, &arena, &err) != SP_OK) {
        sp_arena_fini(&arena);
        return sp_cli_fail(context, &err);
    }
    if (sp_memory_is_training(context->settings, &arena, context->home)) {
        const sp_exit trained = sp_memory_train(context, &arena);
        sp_arena_fini(&arena);
        return trained;
    }
    const sp_exit code = answer(context, &arena, &asked, &err) == SP_OK
                             ? show(context, &arena, &asked)
                             : sp_cli_fail(context, &err);
    sp_arena_fini(&arena);
    return code;
}

const sp_command sp_command_memory = {
    .name = "memory",
    .usage = "memory MODEL --hardware NAME | quick SIZE [FLAG..]",
    .summary = "what one GPU holds while an engine serves a model; what fits",
    .about = "Every byte of one GPU while an engine serves a model, phase by phase; its cache in "
             "the engine's own\n"
             "terms, and the value of the engine's memory fraction that holds the batch. Engines "
             "are vllm (where\n"
             "none is named), sglang, trtllm, tgi, hf and dashinfer. Of a SIZE such as 7B the "
             "shape is guessed\n"
             "from published models. --find turns the question round. With --task, or an engine "
             "that trains, the\n"
             "memory is that of a training plan as shardplan estimate has it; --batch is then the "
             "micro-batch, and\n"
             "--find min-gpus fixes what is named and leaves everything else of the plan free. A "
             "plan over\n"
             "several nodes is shown with its collectives, what they suggest, and the fastest plan "
             "of a search.\n",
    .examples =
        "  shardplan memory llama-3.1-70b --hardware h100-sxm --tp 4 --batch 32 --isl 4k --osl 1k\n"
        "  shardplan memory deepseek-v3 --hardware h200-sxm --engine sglang --tp 8 --bits "
        "fp8-block\n"
        "  shardplan memory quick 7B --hardware rtx4090 --bits w4a16 --find max-context\n"
        "  shardplan memory llama-3.1-405b --hardware h100-sxm --kv fp8 --find min-gpus\n"
        "  shardplan memory llama-3.1-8b --hardware h100-sxm --option gpu_memory_utilization=0.8\n"
        "  shardplan memory quick 7B --gpus 8 --engine deepspeed --set zero=3\n"
        "  shardplan memory llama-2-7b --hardware h100-sxm --gpus 16 --nodes 2 --interconnect 400 "
        "--task lora\n"
        "  shardplan memory llama-3.1-8b --hardware h100-sxm --gpus 8 --tp 8 --task train --find "
        "max-context\n"
        "  shardplan memory deepseek-v3 --cluster dgx-h100 --task train --seq-len 4k --find "
        "min-gpus\n",
    .takes = SP_TAKES_MEMORY | SP_TAKES_OUTPUT,
    .max_words = 2,
    .run = run,
};
