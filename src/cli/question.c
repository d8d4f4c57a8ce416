/* SPDX-License-Identifier: Apache-2.0 */
/* Settings become a question and a way to run it. Errors name the flag; sp_settings_locate turns
 * that into the place the value came from. */
#include "cli/cli.h"
#include "step/step.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- how to run ---- */

/* By sp_format; behind them YAML, which is written as JSON first. */
#define YAML SP_N_FORMATS
static const char *const format_names[SP_N_FORMATS + 1] = {"table", "json", "csv", "md", "yaml"};

static sp_status read_format(const sp_settings *s, sp_run *run, sp_error *err)
{
    uint32_t format = SP_FORMAT_TABLE;
    bool json = false;
    SP_TRY(sp_flag_choice(s, SP_FLAG_format, format_names, SP_N_FORMATS + 1, &format, err));
    SP_TRY(sp_settings_switch(s, SP_FLAG_json, &json, err));
    const bool format_wins = s->of[SP_FLAG_format].origin > s->of[SP_FLAG_json].origin;
    run->as_yaml = format == YAML && (!json || format_wins);
    run->format = json && !format_wins ? SP_FORMAT_JSON : (sp_format)format;
    if (!run->as_yaml) return SP_OK;
    run->format = SP_FORMAT_JSON;
    if (!sp_yaml_is_built()) {
        sp_fail(err, SP_E_NOT_YET,
                "this build has no libyaml: install libyaml-dev and build again");
        sp_fail_value(err, "yaml");
        return sp_flag_blame(err->status, SP_FLAG_format, err);
    }
    return SP_OK;
}

sp_status sp_run_check_format(const sp_run *run, unsigned forms, sp_error *err)
{
    const char *names[SP_N_FORMATS + 1];
    const char *given = format_names[run->as_yaml ? YAML : run->format];
    size_t n = 0;
    if ((forms >> run->format & 1u) != 0) return SP_OK;
    for (unsigned format = 0; format < SP_N_FORMATS; format++) {
        if ((forms >> format & 1u) != 0) names[n++] = format_names[format];
    }
    if ((forms & SP_FORM_JSON) != 0) names[n++] = format_names[YAML];
    sp_fail(err, SP_E_UNKNOWN_NAME, "this answer has no such form");
    sp_fail_value(err, "%s", given);
    sp_fail_names(err, given, names, n);
    err->nearest[0] = '\0'; /* no form stands for another */
    return sp_flag_blame(err->status, SP_FLAG_format, err);
}

/* As the C library would choose the locale. */
static bool speaks_unicode(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value = getenv(names[i]);
        if (value == NULL || value[0] == '\0') continue;
        return strstr(value, "UTF-8") != NULL || strstr(value, "utf8") != NULL;
    }
    return false;
}

static sp_status read_color(const sp_settings *s, sp_run *run, sp_error *err)
{
    static const char *const names[] = {"auto", "always", "never"};
    uint32_t choice = 0;
    SP_TRY(sp_flag_choice(s, SP_FLAG_color, names, 3, &choice, err));
    const char *no_color = getenv("NO_COLOR"), *terminal = getenv("TERM");
    const bool wanted = (no_color == NULL || no_color[0] == '\0') &&
                        (terminal == NULL || strcmp(terminal, "dumb") != 0);
    const bool shown = strcmp(run->output, "-") == 0 && isatty(STDOUT_FILENO) == 1;
    run->color = choice == 1 || (choice == 0 && wanted && shown);
    run->unicode = shown && speaks_unicode();
    return SP_OK;
}

static sp_status read_switches(const sp_settings *s, sp_run *run, sp_error *err)
{
    SP_TRY(sp_settings_switch(s, SP_FLAG_no_bounds, &run->no_bounds, err));
    SP_TRY(sp_settings_switch(s, SP_FLAG_dry_run, &run->dry_run, err));
    SP_TRY(sp_settings_switch(s, SP_FLAG_show_config, &run->show_config, err));
    SP_TRY(sp_settings_switch(s, SP_FLAG_quiet, &run->quiet, err));
    SP_TRY(sp_settings_switch(s, SP_FLAG_verbose, &run->verbose, err));
    return sp_settings_switch(s, SP_FLAG_help, &run->help, err);
}

sp_status sp_run_read(const sp_settings *s, sp_run *run, sp_error *err)
{
    static const char *const distinct[] = {"layout", "none"};
    uint32_t rows = 0;
    *run = (sp_run){0};
    run->output = sp_settings_text(s, SP_FLAG_output);
    SP_TRY(read_switches(s, run, err));
    SP_TRY(read_format(s, run, err));
    SP_TRY(read_color(s, run, err));
    SP_TRY(sp_flag_count(s, SP_FLAG_top, 1, 100000, &run->top, err));
    SP_TRY(sp_flag_count(s, SP_FLAG_threads, 1, 4096, &run->threads, err));
    SP_TRY(sp_flag_choice(s, SP_FLAG_distinct, distinct, 2, &rows, err));
    run->by_layout = rows == 0;
    const char *timeout = sp_settings_text(s, SP_FLAG_timeout);
    if (timeout == NULL) return SP_OK;
    return sp_flag_blame(sp_parse_duration(timeout, &run->timeout_s, err), SP_FLAG_timeout, err);
}

/* ---- the question ---- */

static sp_status read_task(const sp_settings *s, sp_question *q, sp_error *err)
{
    const char *names[SP_N_TASKS];
    for (uint32_t i = 0; i < SP_N_TASKS; i++) {
        names[i] = sp_task_name((sp_task)i);
    }
    uint32_t task = SP_TASK_PRETRAIN;
    SP_TRY(sp_flag_choice(s, SP_FLAG_task, names, SP_N_TASKS, &task, err));
    q->task = (sp_task)task;
    SP_TRY(sp_flag_count(s, SP_FLAG_lora_rank, 1, 65536, &q->lora_rank, err));
    return sp_flag_length(s, SP_FLAG_doc_len, &q->doc_len, err);
}

sp_status sp_uneven_read(const sp_settings *s, sp_question *q, sp_error *err)
{
    const char *parts = sp_settings_text(s, SP_FLAG_zeropp);
    const char *load = sp_settings_text(s, SP_FLAG_moe_imbalance);
    SP_TRY(sp_flag_blame(sp_zeropp_parse(parts, &q->zeropp, err), SP_FLAG_zeropp, err));
    if (strcmp(load, "natural") == 0) return SP_OK;
    SP_TRY(sp_flag_amount(s, SP_FLAG_moe_imbalance, &q->moe_imbalance_ratio, err));
    if (q->moe_imbalance_ratio != 0.0) return SP_OK;
    sp_fail(err, SP_E_RANGE, "the busiest rank has at least the mean load");
    sp_fail_value(err, "%s", load);
    return sp_flag_blame(sp_fail_range(err, "natural, or 1 .. 1000"), SP_FLAG_moe_imbalance, err);
}

/* How tokens reach their experts, and what is uneven between ranks. */
static sp_status read_ranks(const sp_settings *s, sp_question *q, sp_error *err)
{
    const char *names[SP_N_DISPATCHES];
    uint32_t dispatch = SP_DISPATCH_BF16;
    for (uint32_t i = 0; i < SP_N_DISPATCHES; i++) {
        names[i] = sp_dispatch_name((sp_dispatch)i);
    }
    SP_TRY(sp_uneven_read(s, q, err));
    SP_TRY(sp_flag_choice(s, SP_FLAG_dispatch_dtype, names, SP_N_DISPATCHES, &dispatch, err));
    q->dispatch = (sp_dispatch)dispatch;
    return sp_flag_amount(s, SP_FLAG_straggler, &q->straggler_ratio, err);
}

static sp_status read_site_factor(const sp_settings *s, sp_question *q, sp_error *err)
{
    const char *text = sp_settings_text(s, SP_FLAG_site_factor);
    if (text == NULL) return SP_OK;
    return sp_flag_blame(sp_site_factor_read(text, q, err), SP_FLAG_site_factor, err);
}

sp_status sp_question_read_kernels(const sp_settings *s, sp_question *q, sp_error *err)
{
    const char *names[SP_N_KERNELS];
    for (uint32_t i = 0; i < SP_N_KERNELS; i++) {
        names[i] = sp_kernels_name((sp_kernels)i);
    }
    uint32_t kernels = SP_KERNELS_ENGINE;
    SP_TRY(sp_flag_choice(s, SP_FLAG_kernels, names, SP_N_KERNELS, &kernels, err));
    q->kernels = (sp_kernels)kernels;
    return SP_OK;
}

/* --precision is short for --set precision=; the default is not written down. */
static sp_status take_precision(sp_settings *s, sp_question *q, sp_error *err)
{
    const char *precision =
        s->of[SP_FLAG_precision].n_values > 0 ? sp_settings_text(s, SP_FLAG_precision) : NULL;
    if (precision == NULL) return SP_OK;
    if (q->n_sets == SP_MAX_SETS) return sp_fail(err, SP_E_RANGE, "too many values of --set");
    uint32_t value = 0;
    SP_TRY(sp_flag_blame(sp_axis_parse_value(SP_AXIS_precision, precision, &value, err),
                         SP_FLAG_precision, err));
    q->sets[q->n_sets] = sp_arena_printf(&s->arena, "precision=%s", precision);
    if (q->sets[q->n_sets++] == NULL)
        return sp_fail(err, SP_E_MEMORY, "no memory for the question");
    return SP_OK;
}

static sp_status read_limits(sp_settings *s, sp_question *q, sp_error *err)
{
    static const char *const uses[] = {"all", "upto"};
    uint32_t use = 0;
    SP_TRY(sp_flag_ratio(s, SP_FLAG_max_network_ratio, &q->max_network_ratio, err));
    SP_TRY(sp_flag_ratio(s, SP_FLAG_headroom, &q->headroom_ratio, err));
    SP_TRY(sp_flag_reserve(s, &q->reserve_bytes, err));
    SP_TRY(sp_flag_choice(s, SP_FLAG_use, uses, 2, &use, err));
    q->use_upto = use == 1;
    SP_TRY(sp_flag_take_list(s, SP_FLAG_set, q->sets, SP_MAX_SETS, &q->n_sets, err));
    SP_TRY(sp_flag_take_list(s, SP_FLAG_where, q->wheres, SP_MAX_WHERES, &q->n_wheres, err));
    return take_precision(s, q, err);
}

static sp_status read_question(sp_settings *s, const char *home, sp_question *q, sp_batch *batch,
                               sp_error *err)
{
    *q = sp_question_default();
    q->home = home;
    q->model = sp_settings_text(s, SP_FLAG_model);
    q->cluster = sp_settings_text(s, SP_FLAG_cluster);
    q->from.sinfo = sp_settings_text(s, SP_FLAG_from_sinfo);
    q->from.nvidia_smi = sp_settings_text(s, SP_FLAG_from_nvidia_smi);
    q->from.hwloc = sp_settings_text(s, SP_FLAG_from_hwloc);
    q->gpus = sp_settings_text(s, SP_FLAG_gpus);
    q->engine = sp_settings_text(s, SP_FLAG_engine);
    q->objectives = sp_settings_text(s, SP_FLAG_objectives);
    q->space = sp_settings_text(s, SP_FLAG_space);
    q->optimizer = sp_settings_text(s, SP_FLAG_optimizer);
    SP_TRY(read_task(s, q, err));
    SP_TRY(sp_question_read_kernels(s, q, err));
    SP_TRY(read_site_factor(s, q, err));
    SP_TRY(sp_flag_gradients(s, &q->gradients, err));
    SP_TRY(read_ranks(s, q, err));
    SP_TRY(sp_flag_length(s, SP_FLAG_seq_len, &q->seq_len, err));
    if (q->seq_len == 0 && sp_settings_text(s, SP_FLAG_seq_len) != NULL) {
        sp_fail(err, SP_E_RANGE, "a sequence has a token or more");
        sp_fail_value(err, "%s", sp_settings_text(s, SP_FLAG_seq_len));
        return sp_flag_blame(sp_fail_range(err, "1 .. %u", 1u << 30), SP_FLAG_seq_len, err);
    }
    SP_TRY(sp_flag_amount(s, SP_FLAG_tokens, &q->tokens, err));
    SP_TRY(sp_flag_amount(s, SP_FLAG_usd_per_gpu_hour, &q->usd_per_gpu_hour, err));
    SP_TRY(read_limits(s, q, err));
    const char *text = sp_settings_text(s, SP_FLAG_global_batch);
    if (text == NULL) return SP_OK;
    SP_TRY(sp_batch_parse(text, q->seq_len, batch, err));
    q->global_batch = batch->sequences;
    return SP_OK;
}

/* Errors of loaders that name no place: the flag whose value they repeat. */
static void blame(const sp_settings *s, sp_error *err)
{
    static const sp_flag_id flags[] = {SP_FLAG_model, SP_FLAG_cluster, SP_FLAG_engine};
    if (err->file[0] != '\0' || err->value[0] == '\0') return;
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        const char *text = sp_settings_text(s, flags[i]);
        if (text == NULL || strstr(text, err->value) == NULL) continue;
        (void)sp_flag_blame(err->status, flags[i], err);
        return;
    }
}

/* The batch may depend on the GPUs, which are known once the cluster is: then the problem is built
 * twice. */
static sp_status settle_batch(sp_settings *s, sp_question *q, const sp_batch *batch,
                              sp_problem **problem, const char **note, sp_error *err)
{
    const uint32_t gpus = (*problem)->gpus_values[(*problem)->n_gpus_values - 1];
    const uint64_t sequences = sp_batch_nearest(batch, gpus);
    if (batch->tolerance_ratio <= 0.0 || sequences == q->global_batch) return SP_OK;
    *note = sp_arena_printf(
        &s->arena, "global batch: %llu sequences instead of %llu, so that more plans divide it",
        (unsigned long long)sequences, (unsigned long long)q->global_batch);
    q->global_batch = sequences;
    sp_problem_free(*problem);
    return sp_problem_build(q, problem, err);
}

/* What was read from the files of a cluster, and what was assumed. */
static sp_status note_discovery(sp_settings *s, const sp_question *q, const sp_problem *problem,
                                const char **note, sp_error *err)
{
    if (!sp_discover_any(&q->from)) return SP_OK;
    const char *source = sp_problem_cluster(problem)->source;
    *note = *note == NULL ? sp_arena_strdup(&s->arena, source)
                          : sp_arena_printf(&s->arena, "%s; %s", *note, source);
    return *note != NULL ? SP_OK : sp_fail(err, SP_E_MEMORY, "no memory for the question");
}

sp_status sp_question_build(sp_settings *s, const char *home, sp_problem **problem,
                            sp_space **space, const char **note, sp_error *err)
{
    sp_question q;
    sp_batch batch = {0};
    *problem = NULL;
    *space = NULL;
    *note = NULL;
    sp_status status = read_question(s, home, &q, &batch, err);
    if (status == SP_OK) status = sp_problem_build(&q, problem, err);
    if (status == SP_OK) status = settle_batch(s, &q, &batch, problem, note, err);
    if (status == SP_OK) status = note_discovery(s, &q, *problem, note, err);
    if (status == SP_OK) status = sp_space_build(*problem, space, err);
    if (status != SP_OK) blame(s, err);
    return status;
}
