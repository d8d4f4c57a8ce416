/* SPDX-License-Identifier: Apache-2.0 */
/* The question of an answer as a complete job: `shardplan train RESULT.json` asks it again. What
 * only concerns the run (threads, formats, files) is left out. */
#include "report/report_priv.h"
#include "step/step.h"

#include <stdio.h>

#ifndef SHARDPLAN_VERSION
#define SHARDPLAN_VERSION "0"
#endif

void sp_json_put_version(sp_json_writer *w)
{
    sp_jw_open_object_compact(w, "shardplan");
    sp_jw_string(w, "version", SHARDPLAN_VERSION);
    sp_jw_close_object(w);
}

static void put_cluster(sp_json_writer *w, const sp_question *q)
{
    if (q->cluster != NULL) sp_jw_string(w, "cluster", q->cluster);
    if (q->from.nvidia_smi != NULL) sp_jw_string(w, "from_nvidia_smi", q->from.nvidia_smi);
    if (q->from.hwloc != NULL) sp_jw_string(w, "from_hwloc", q->from.hwloc);
    if (q->from.sinfo != NULL) sp_jw_string(w, "from_sinfo", q->from.sinfo);
}

/* Only what is not the usual. */
static void put_uneven(sp_json_writer *w, const sp_question *q)
{
    char parts[SP_ZEROPP_TEXT_BYTES];
    sp_zeropp_format(q->zeropp, parts);
    if (q->moe_imbalance_ratio > 0.0) sp_jw_double(w, "moe_imbalance", q->moe_imbalance_ratio);
    if (q->dispatch != SP_DISPATCH_BF16) {
        sp_jw_string(w, "dispatch_dtype", sp_dispatch_name(q->dispatch));
    }
    if (q->zeropp != 0) sp_jw_string(w, "zeropp", parts);
    if (q->straggler_ratio > 1.0) sp_jw_double(w, "straggler", q->straggler_ratio);
}

/* "1.07:0.09", as --site-factor takes it. */
static void put_site(sp_json_writer *w, const sp_question *q)
{
    char factor[32], error[32], text[80];
    if (q->site_factor <= 0.0) return;
    sp_format_double(q->site_factor, factor);
    sp_format_double(q->site_error_ratio, error);
    (void)snprintf(text, sizeof text, "%s:%s", factor, error);
    sp_jw_string(w, "site_factor", text);
}

static void put_workload(sp_json_writer *w, const sp_question *q)
{
    sp_jw_open_object(w, "workload");
    sp_jw_u64(w, "seq_len", q->seq_len);
    sp_jw_u64(w, "global_batch", q->global_batch);
    if (q->tokens > 0.0) sp_jw_double(w, "tokens", q->tokens);
    sp_jw_string(w, "task", sp_task_name(q->task));
    if (q->task == SP_TASK_LORA || q->task == SP_TASK_QLORA) {
        sp_jw_u64(w, "lora_rank", q->lora_rank);
    }
    if (q->gradients != SP_GRADIENTS_AUTO) {
        sp_jw_string(w, "gradients", sp_gradients_name(q->gradients));
    }
    if (q->kernels != SP_KERNELS_ENGINE) {
        sp_jw_string(w, "kernels", sp_kernels_name(q->kernels));
    }
    if (q->doc_len > 0) sp_jw_u64(w, "doc_len", q->doc_len);
    put_uneven(w, q);
    put_site(w, q);
    sp_jw_string(w, "optimizer", q->optimizer);
    sp_jw_close_object(w);
}

static void put_texts(sp_json_writer *w, const char *key, const char *const *texts, uint32_t n)
{
    sp_jw_open_array_compact(w, key);
    for (uint32_t i = 0; i < n; i++) {
        sp_jw_string(w, NULL, texts[i]);
    }
    sp_jw_close_array(w);
}

static void put_constraints(sp_json_writer *w, const sp_question *q)
{
    sp_jw_open_object(w, "constraints");
    sp_jw_double(w, "max_network_ratio", q->max_network_ratio);
    sp_jw_double(w, "headroom", q->headroom_ratio);
    sp_jw_double(w, "reserve", q->reserve_bytes);
    sp_jw_string(w, "use", q->use_upto ? "upto" : "all");
    sp_jw_string(w, "space", q->space);
    put_texts(w, "set", q->sets, q->n_sets);
    put_texts(w, "where", q->wheres, q->n_wheres);
    sp_jw_close_object(w);
}

static void put_objectives(sp_json_writer *w, const sp_problem *problem)
{
    sp_jw_open_array_compact(w, "objectives");
    for (uint32_t i = 0; i < problem->n_objectives; i++) {
        sp_jw_string(w, NULL, sp_problem_objective(problem, i)->name);
    }
    sp_jw_close_array(w);
}

/* A price with a source was read from the GPU's file; without, the user gave it. */
static void put_prices(sp_json_writer *w, const sp_problem *problem)
{
    if (problem->usd_per_gpu_hour <= 0.0) return;
    const sp_gpu *gpu = problem->cluster->gpu;
    sp_jw_open_object(w, "prices");
    sp_jw_double(w, "usd_per_gpu_hour", problem->usd_per_gpu_hour);
    if (problem->question.usd_per_gpu_hour <= 0.0) {
        sp_jw_string(w, "source", gpu->price_source);
        sp_jw_string(w, "date", gpu->price_date);
    }
    sp_jw_close_object(w);
}

static void put_baseline(sp_json_writer *w, const sp_baseline *baseline)
{
    if (baseline == NULL) return;
    sp_jw_open_object(w, "baseline");
    sp_jw_string(w, "text", baseline->text);
    sp_jw_double(w, "step_s", baseline->priced.estimate.time.step_s);
    if (baseline->measured_step_s > 0.0) {
        sp_jw_double(w, "measured_step_s", baseline->measured_step_s);
    }
    sp_jw_close_object(w);
}

void sp_json_put_question(sp_json_writer *w, const char *key, const sp_problem *problem,
                          const sp_baseline *baseline)
{
    const sp_question *q = &problem->question;
    sp_jw_open_object(w, key);
    sp_jw_string(w, "schema", "shardplan/job/1");
    sp_jw_string(w, "command", "train");
    sp_jw_string(w, "model", q->model);
    put_cluster(w, q);
    sp_jw_string(w, "gpus", q->gpus);
    sp_jw_string(w, "engine", q->engine);
    put_workload(w, q);
    put_constraints(w, q);
    put_objectives(w, problem);
    put_prices(w, problem);
    put_baseline(w, baseline);
    sp_jw_string(w, "fingerprint", problem->fingerprint);
    sp_jw_close_object(w);
}

void sp_json_put_model(sp_json_writer *w, const sp_problem *problem)
{
    const sp_parameters *p = &problem->parameters;
    sp_jw_open_object(w, "model");
    sp_jw_string(w, "name", problem->model->name);
    sp_jw_open_object_compact(w, "parameters");
    sp_jw_u64(w, "total", p->total);
    sp_jw_u64(w, "active", p->active);
    sp_jw_u64(w, "embedding", p->embedding);
    sp_jw_close_object(w);
    sp_jw_close_object(w);
}
