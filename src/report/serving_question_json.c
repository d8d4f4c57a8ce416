/* SPDX-License-Identifier: Apache-2.0 */
/* The question about serving as a complete job: `shardplan serve RESULT.json` asks it again. */
#include "report/serving_page.h"

static void put_workload(sp_json_writer *w, const sp_serving_question *q)
{
    sp_jw_open_object(w, "workload");
    if (q->lengths != NULL) {
        sp_jw_string(w, "lengths", q->lengths);
    } else {
        sp_jw_double(w, "isl", q->isl);
        sp_jw_double(w, "osl", q->osl);
    }
    if (q->max_context > 0) sp_jw_u64(w, "max_context", q->max_context);
    if (q->prefix_hit_ratio > 0.0) sp_jw_double(w, "prefix_hit", q->prefix_hit_ratio);
    if (q->concurrency > 0.0) sp_jw_double(w, "concurrency", q->concurrency);
    if (q->rate > 0.0) {
        sp_jw_double(w, "rate", q->rate);
        sp_jw_double(w, "burstiness", q->burstiness);
    }
    if (q->spec_acceptance > 0.0) sp_jw_double(w, "spec_acceptance", q->spec_acceptance);
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

static void put_constraints(sp_json_writer *w, const sp_serving_question *q)
{
    sp_jw_open_object(w, "constraints");
    if (q->slo != NULL) sp_jw_string(w, "slo", q->slo);
    sp_jw_string(w, "mode", q->mode);
    sp_jw_double(w, "utilization", q->utilization);
    sp_jw_u64(w, "spare_replicas", q->spare_replicas);
    sp_jw_double(w, "headroom", q->headroom_ratio);
    sp_jw_double(w, "reserve", q->reserve_bytes);
    sp_jw_string(w, "use", q->use_upto ? "upto" : "all");
    sp_jw_string(w, "space", q->space);
    put_texts(w, "set", q->sets, q->n_sets);
    put_texts(w, "where", q->wheres, q->n_wheres);
    sp_jw_close_object(w);
}

static void put_objectives(sp_json_writer *w, const sp_serving_problem *problem)
{
    sp_jw_open_array_compact(w, "objectives");
    for (uint32_t i = 0; i < sp_serving_problem_n_objectives(problem); i++) {
        sp_jw_string(w, NULL, sp_serving_problem_objective(problem, i)->name);
    }
    sp_jw_close_array(w);
}

/* A price with a source was read from the GPU's file; without, the user gave it. */
static void put_prices(sp_json_writer *w, const sp_serving_problem *problem)
{
    const double usd = sp_serving_usd_per_gpu_hour(problem, SP_ROLE_DECODE);
    const sp_gpu *gpu = sp_serving_problem_cluster(problem, SP_ROLE_DECODE)->gpu;
    if (usd <= 0.0) return;
    sp_jw_open_object(w, "prices");
    sp_jw_double(w, "usd_per_gpu_hour", usd);
    if (sp_serving_problem_question(problem)->usd_per_gpu_hour <= 0.0) {
        sp_jw_string(w, "source", gpu->price_source);
        sp_jw_string(w, "date", gpu->price_date);
    }
    sp_jw_close_object(w);
}

void sp_json_put_serving_question(sp_json_writer *w, const sp_serving_problem *problem)
{
    const sp_serving_question *q = sp_serving_problem_question(problem);
    sp_jw_open_object(w, "question");
    sp_jw_string(w, "schema", "shardplan/job/1");
    sp_jw_string(w, "command", "serve");
    sp_jw_string(w, "model", q->model);
    sp_jw_string(w, "cluster", q->cluster);
    if (q->prefill_cluster != NULL) sp_jw_string(w, "prefill_cluster", q->prefill_cluster);
    if (q->decode_cluster != NULL) sp_jw_string(w, "decode_cluster", q->decode_cluster);
    sp_jw_string(w, "gpus", q->gpus);
    sp_jw_string(w, "engine", q->engine);
    put_workload(w, q);
    put_constraints(w, q);
    put_objectives(w, problem);
    put_prices(w, problem);
    sp_jw_string(w, "fingerprint", sp_serving_problem_fingerprint(problem));
    sp_jw_close_object(w);
}

void sp_json_put_serving_model(sp_json_writer *w, const sp_serving_problem *problem)
{
    const sp_model *model = sp_serving_problem_model(problem);
    const sp_parameters p = sp_model_parameters(model);
    sp_jw_open_object(w, "model");
    sp_jw_string(w, "name", model->name);
    sp_jw_open_object_compact(w, "parameters");
    sp_jw_u64(w, "total", p.total);
    sp_jw_u64(w, "active", p.active);
    sp_jw_u64(w, "embedding", p.embedding);
    sp_jw_close_object(w);
    sp_jw_close_object(w);
}
