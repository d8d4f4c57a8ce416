/* SPDX-License-Identifier: Apache-2.0 */
/* `shardplan memory` of training: the flags become a question about one plan, whose memory is that
 * of the estimate which the search ranks by. */
#include "cli/memory.h"
#include "cli/plan_list.h"
#include "step/step.h"

#include <stdio.h>
#include <string.h>

#define MOST_BATCH 65536u

/* ---- what is asked ---- */

bool sp_memory_is_training(const sp_settings *s, sp_arena *arena, const char *home)
{
    const char *task = sp_settings_text(s, SP_FLAG_task);
    const char *engine = sp_settings_text(s, SP_FLAG_engine);
    if (s->of[SP_FLAG_task].origin != SP_FROM_DEFAULT) return strcmp(task, "inference") != 0;
    if (s->of[SP_FLAG_engine].origin == SP_FROM_DEFAULT) return false;
    const size_t length = strcspn(engine, "@,");
    const char *file =
        sp_arena_printf(arena, "%s/configs/engines/%.*s.json", home, (int)length, engine);
    return file != NULL && sp_file_exists(file);
}

sp_status sp_memory_name_hardware(const sp_settings *s, const char **name, sp_error *err)
{
    *name = sp_settings_text(s, SP_FLAG_hardware);
    if (*name != NULL) return SP_OK;
    return sp_fail(err, SP_E_USAGE,
                   "name the accelerator with --hardware, for example h100-sxm, or a --cluster, "
                   "for example dgx-h100");
}

/* Nodes as large as the plan, unless a cluster is named. */
static sp_status read_cluster(const sp_settings *s, sp_arena *arena, uint32_t gpus, sp_question *q,
                              sp_error *err)
{
    const char *hardware = NULL;
    q->cluster = sp_settings_text(s, SP_FLAG_cluster);
    if (q->cluster != NULL) return sp_memory_no_nodes(s, err);
    SP_TRY(sp_memory_name_hardware(s, &hardware, err));
    return sp_memory_nodes(s, arena, q->home, gpus, &q->cluster, err);
}

static sp_status read_task(const sp_settings *s, sp_question *q, sp_error *err)
{
    const char *names[SP_N_TASKS + 2];
    uint32_t task = SP_TASK_PRETRAIN;
    for (uint32_t i = 0; i < SP_N_TASKS; i++) {
        names[i] = sp_task_name((sp_task)i);
    }
    names[SP_N_TASKS] = "train";
    names[SP_N_TASKS + 1] = "inference"; /* not here, and yet a name that may be meant */
    SP_TRY(sp_flag_choice(s, SP_FLAG_task, names, SP_N_TASKS + 2, &task, err));
    q->task = task >= SP_N_TASKS ? SP_TASK_PRETRAIN : (sp_task)task;
    return sp_flag_count(s, SP_FLAG_lora_rank, 1, 65536, &q->lora_rank, err);
}

static sp_status read_shares(const sp_settings *s, sp_training_find find, sp_training *t,
                             sp_error *err)
{
    uint32_t dp = 1;
    t->tp = t->pp = t->ep = t->batch = 1;
    SP_TRY(sp_flag_count(s, SP_FLAG_tp, 1, 4096, &t->tp, err));
    SP_TRY(sp_flag_count(s, SP_FLAG_pp, 1, 4096, &t->pp, err));
    SP_TRY(sp_flag_count(s, SP_FLAG_dp, 1, 65536, &dp, err));
    SP_TRY(sp_flag_count(s, SP_FLAG_ep, 1, 4096, &t->ep, err));
    SP_TRY(sp_flag_count(s, SP_FLAG_batch, 1, MOST_BATCH, &t->batch, err));
    SP_TRY(sp_flag_count(s, SP_FLAG_gpus, 1, 1u << 20, &t->gpus, err));
    if (find == SP_FIND_GPUS) return SP_OK;
    if (t->gpus == 0) t->gpus = t->tp * t->pp * dp;
    if (s->of[SP_FLAG_dp].origin != SP_FROM_DEFAULT) t->dp = dp;
    (void)snprintf(t->gpus_text, sizeof t->gpus_text, "%u", t->gpus);
    t->question.gpus = t->gpus_text;
    if (t->gpus % (t->tp * t->pp) == 0) return SP_OK;
    sp_fail(err, SP_E_INCONSISTENT, "--tp times --pp does not divide the GPUs");
    return sp_fail_value(err, "%u GPUs, --tp %u and --pp %u", t->gpus, t->tp, t->pp);
}

static sp_status read_limits(const sp_settings *s, sp_question *q, sp_error *err)
{
    q->optimizer = sp_settings_text(s, SP_FLAG_optimizer);
    SP_TRY(sp_flag_gradients(s, &q->gradients, err));
    q->engine = sp_settings_text(s, SP_FLAG_engine);
    q->seq_len = 2048;
    SP_TRY(sp_flag_length(s, SP_FLAG_seq_len, &q->seq_len, err));
    SP_TRY(sp_flag_ratio(s, SP_FLAG_headroom, &q->headroom_ratio, err));
    return sp_flag_reserve(s, &q->reserve_bytes, err);
}

static sp_status read_batch(const sp_settings *s, sp_training *t, sp_error *err)
{
    t->batch_follows = sp_settings_text(s, SP_FLAG_global_batch) == NULL &&
                       sp_settings_text(s, SP_FLAG_accumulation) == NULL;
    return sp_memory_read_batch(s, t->gpus, t->tp * t->pp, t->batch, &t->question, err);
}

static sp_status read_question(const sp_context *context, sp_arena *arena, sp_training_find find,
                               sp_training *t, sp_error *err)
{
    sp_settings *s = context->settings;
    SP_TRY(sp_memory_refuse_serving(s, err));
    t->question = sp_question_default();
    t->question.home = context->home;
    SP_TRY(sp_memory_model(s, arena, context->home, find == SP_FIND_MODEL,
                           &t->question.loaded_model, err));
    t->question.model = t->question.loaded_model->name;
    SP_TRY(sp_memory_read_sets(s, &t->question, err));
    if (find != SP_FIND_GPUS) SP_TRY(sp_memory_sets_to_flags(s, &t->question, err));
    SP_TRY(read_shares(s, find, t, err));
    if (find != SP_FIND_GPUS) SP_TRY(read_cluster(s, arena, t->gpus, &t->question, err));
    SP_TRY(read_task(s, &t->question, err));
    SP_TRY(sp_question_read_kernels(s, &t->question, err));
    SP_TRY(sp_memory_read_level(s, arena, &t->question, err));
    SP_TRY(read_limits(s, &t->question, err));
    SP_TRY(sp_uneven_read(s, &t->question, err));
    return read_batch(s, t, err);
}

/* ---- the answer ---- */

/* Settings that nothing names are at rest, as those of shardplan estimate. */
static sp_status take_plan(sp_training *t, sp_error *err)
{
    char text[SP_PLAN_TEXT_BYTES];
    SP_TRY(sp_training_build(t, err));
    (void)snprintf(text, sizeof text, "gpus=%u,tp=%u,pp=%u,ep=%u,micro_batch=%u", t->gpus, t->tp,
                   t->pp, t->ep, t->batch);
    SP_TRY(sp_plan_read(text, t->space, &t->plan, err));
    SP_TRY(sp_memory_settle(t->space, t->question.global_batch, &t->plan, err));
    sp_plan derived = t->plan;
    sp_plan_derive(&derived, t->question.global_batch);
    if (t->dp == 0 || t->dp == derived.dp) return SP_OK;
    sp_fail(err, SP_E_INCONSISTENT, "tp, cp, pp and the GPUs leave another number than --dp");
    return sp_fail_value(err, "%u, not %u", derived.dp, t->dp);
}

/* Plans of several nodes get advice. */
static bool spans_nodes(const sp_training *t)
{
    return t->plan.gpus > sp_problem_cluster(t->problem)->node_gpus;
}

static sp_exit show(const sp_context *context, const sp_training *t, const char *found)
{
    const sp_report_options options = sp_cli_options(context);
    sp_priced priced;
    sp_advice advice;
    sp_error trouble = {0};
    sp_text text = {0};
    sp_price_plan(t->space, &t->plan, &priced);
    if (!priced.priced) {
        (void)sp_memory_refuse_plan(sp_space_rule(t->space, priced.rule), &t->plan,
                                    t->question.global_batch, &trouble);
        return sp_cli_fail(context, &trouble);
    }
    const bool advised = spans_nodes(t);
    if (advised &&
        sp_memory_advise(&t->question, t->problem, &priced.plan, &advice, &trouble) != SP_OK) {
        return sp_cli_fail(context, &trouble);
    }
    if (context->run.format == SP_FORMAT_JSON) {
        sp_report_training_memory_json(t->space, &priced, found, advised ? &advice : NULL, &text);
    } else if (context->run.format == SP_FORMAT_CSV) {
        if (found != NULL) sp_cli_warn(context, found);
        sp_report_training_memory_csv(&priced, &text);
    } else {
        sp_report_training_memory_page(t->space, &priced, found, advised ? &advice : NULL, &options,
                                       &text);
    }
    const bool works = sp_memory_fits(t->problem, &priced.estimate.memory);
    return sp_cli_write(context, &text, works ? SP_EXIT_FOUND : SP_EXIT_NOTHING);
}

/* The fewest GPUs have no plan yet. */
static sp_status answer(const sp_context *context, sp_arena *arena, sp_training *t,
                        const char **found, sp_error *err)
{
    const unsigned all = SP_FORM_TABLE | SP_FORM_JSON | SP_FORM_CSV;
    sp_training_find find = SP_FIND_NO_SIZE;
    SP_TRY(sp_run_check_format(&context->run, all, err));
    SP_TRY(sp_memory_translate(context->settings, err));
    SP_TRY(sp_training_read_find(context->settings, &find, err));
    SP_TRY(read_question(context, arena, find, t, err));
    if (find != SP_FIND_GPUS) SP_TRY(take_plan(t, err));
    return find == SP_FIND_NO_SIZE ? SP_OK
                                   : sp_training_search(context, arena, find, t, found, err);
}

sp_exit sp_memory_train(const sp_context *context, sp_arena *arena)
{
    sp_training t = {0};
    sp_error err = {0};
    const char *found = NULL;
    const sp_exit code = answer(context, arena, &t, &found, &err) == SP_OK
                             ? show(context, &t, found)
                             : sp_cli_fail(context, &err);
    sp_training_free(&t);
    return code;
}
