/* SPDX-License-Identifier: Apache-2.0 */
#include "laws/serving_questions.h"

#include "common/shipped.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define PICK(d, list) (list)[draw_between(d, 0, (uint32_t)(sizeof(list) / sizeof((list)[0])) - 1)]

/* Two or three values of each axis; the first one, on which most plans depend, most often. */
static void draw_sets(draw *d, drawn_serving *out)
{
    static const struct {
        const char *axis;
        const char *values[5];
    } sets[] = {
        {"prefill.tp=",      {"1", "2", "4", "1,2", "3,4"}                         },
        {"prefill.attn_dp=", {"1", "1", "1", "1,2", "2"}                           },
        {"prefill.ep=",      {"1", "1", "1", "1,4", "1,2"}                         },
        {"prefill.moe_tp=",  {"1,2,4", "1,2", "1,2,4", "1,2,3", "2,4"}             },
        {"prefill.pp=",      {"1", "1", "1", "1,2", "2"}                           },
        {"prefill.workers=", {"0,1", "0,1,2", "0..3", "0,2", "0,1"}                },
        {"tp=",              {"1,2", "2,4", "1,4,8", "1,2,4", "1"}                 },
        {"attn_dp=",         {"1", "1", "1,2", "1,4", "1,2,4"}                     },
        {"ep=",              {"1", "1,2", "1,4", "1,8", "1,2,4"}                   },
        {"moe_tp=",          {"1,2,4", "1,2,4,8", "1,2,4,8", "1,2,4", "1,2,3"}     },
        {"pp=",              {"1", "1", "1,2", "1,3", "1,4"}                       },
        {"cp_prefill=",      {"1", "1", "1", "1", "1,2"}                           },
        {"spec=", {"0", "0", "0", "0", "0"}},
        {"chunk_tokens=",    {"2048", "512,8192", "8192", "256,4096", "2048,16384"}},
        {"batch=",           {"1,16", "8,64", "32,256", "4,8", "24,1024"}          },
    };
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        const char *values = PICK(d, sets[i].values);
        (void)snprintf(out->sets[i], sizeof out->sets[i], "%s%s", sets[i].axis, values);
        out->question.sets[i] = out->sets[i];
    }
    out->question.n_sets = sizeof sets / sizeof sets[0];
}

static void draw_wheres(draw *d, sp_serving_question *q)
{
    static const char *const wheres[] = {"tp*attn_dp<=4", "replicas>=2", "tokens_per_s_per_gpu>=50",
                                         "mode==agg || batch>=16", "mode==agg || prefill.tp<=tp"};
    q->n_wheres = draw_between(d, 0, 3) == 0 ? draw_between(d, 1, 2) : 0;
    for (uint32_t i = 0; i < q->n_wheres; i++) {
        q->wheres[i] = PICK(d, wheres);
    }
}

static void draw_load(draw *d, sp_serving_question *q)
{
    static const char *const slos[] = {NULL,
                                       NULL,
                                       "ttft:mean<=2s",
                                       "tpot:mean<=30ms,ttft:p95<=1s",
                                       "itl:p99<=60ms,e2e:mean<=40s",
                                       "ttft:mean<=1ms"};
    const uint32_t kind = draw_between(d, 0, 3);
    q->isl = draw_between(d, 16, 6000);
    q->osl = draw_between(d, 2, 1500);
    q->slo = PICK(d, slos);
    if (kind == 1) q->concurrency = draw_between(d, 1, 300);
    if (kind == 2) q->rate = draw_scale(d, 0.05, 50.0);
    q->prefix_hit_ratio = draw_coin(d) ? 0.0 : 0.25;
    q->spare_replicas = draw_between(d, 0, 7) == 0;
}

void draw_serving(draw *d, drawn_serving *out)
{
    static const char *const models[] = {"llama-3.1-8b",  "qwen3-32b",     "mixtral-8x7b",
                                         "qwen3-30b-a3b", "llama-3.1-70b", "deepseek-v2-lite"};
    static const char *const clusters[] = {"dgx-h100", "dgx-h200", "dgx-b200"};
    static const char *const gpus[] = {"2", "4", "8", "4,8", "12", "16"};
    static const char *const engines[] = {"vllm", "sglang", "trtllm", "vllm,sglang", "hf", "tgi"};
    static const char *const modes[] = {"agg", "disagg", "both", "both"};
    static const char *const objectives[] = {NULL, "tokens_per_s_per_gpu",
                                             "tokens_per_s_per_user,tokens_per_s_per_gpu,gpus"};
    sp_serving_question *q = &out->question;
    *q = sp_serving_question_default();
    q->home = source_home();
    q->model = PICK(d, models);
    q->cluster = PICK(d, clusters);
    q->gpus = PICK(d, gpus);
    q->engine = PICK(d, engines);
    q->mode = PICK(d, modes);
    q->objectives = PICK(d, objectives);
    q->use_upto = draw_between(d, 0, 3) == 0;
    draw_load(d, q);
    draw_wheres(d, q);
    draw_sets(d, out);
}

void build_serving(const sp_serving_question *question, sp_serving_problem **problem,
                   sp_serving_space **space)
{
    sp_error err = {0};
    must(sp_serving_problem_build(question, problem, &err), &err);
    must(sp_serving_space_build(*problem, space, &err), &err);
}

void print_serving(const sp_serving_question *q)
{
    print_message("serve --model %s --cluster %s --gpus %s --engine %s --mode %s --isl %g --osl %g "
                  "--concurrency %g --rate %g --slo '%s'",
                  q->model, q->cluster, q->gpus, q->engine, q->mode, q->isl, q->osl, q->concurrency,
                  q->rate, q->slo != NULL ? q->slo : "");
    for (uint32_t i = 0; i < q->n_sets; i++) {
        print_message(" --set %s", q->sets[i]);
    }
    for (uint32_t i = 0; i < q->n_wheres; i++) {
        print_message(" --where '%s'", q->wheres[i]);
    }
    print_message("%s\n", q->use_upto ? " --use upto" : "");
}
