/* SPDX-License-Identifier: Apache-2.0 */
/* How many steps of an engine one core prices in a second: of answers alone and with a prompt
 * beside them, each of another size, for a dense model and for two with experts.
 *     SHARDPLAN_HOME=. build/release/bench_serve_step */
#include "base/base.h"
#include "must.h"
#include "shardplan/serve.h"

#include <time.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define STEPS        20000

static const struct {
    const char *model, *attention, *ffn;
    sp_worker_layout layout;
} cases[] = {
    {"llama-3.1-8b", "bfloat16",  "bfloat16",    {1, 1, 1, 1, 1}},
    {"gpt-oss-120b", "bfloat16",  "w4a16_mxfp4", {2, 1, 2, 1, 1}},
    {"deepseek-v3",  "fp8_block", "fp8_block",   {1, 8, 1, 8, 1}},
};

static double now_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double steps_per_s(const sp_worker *worker, double prompt_tokens, double *sum_s)
{
    const double began_s = now_s();
    for (int i = 0; i < STEPS; i++) {
        const double decodes = 1 + i % 256;
        const sp_serve_batch batch = {.prompts = prompt_tokens > 0.0 ? 1.0 : 0.0,
                                      .prompt_tokens = prompt_tokens,
                                      .decodes = decodes,
                                      .context = 1000.0 + i,
                                      .emitted = decodes};
        sp_serve_step_time t;
        sp_serve_step(worker, &batch, &t);
        *sum_s += t.step_s;
    }
    return STEPS / (now_s() - began_s);
}

int main(void)
{
    const char *home = getenv("SHARDPLAN_HOME") != NULL ? getenv("SHARDPLAN_HOME") : ".";
    sp_arena arena = {0};
    sp_error err = {0};
    sp_server_timing timing;
    sp_worker_setup setup = {.timing = &timing};
    must(sp_server_timing_load(&arena, home, "vllm", &timing, &err), &err);
    must(sp_cluster_find(&arena, home, "dgx-h200", &setup.cluster, &err), &err);
    must(sp_surfaces_load(&arena, home, setup.cluster->gpu, &setup.surfaces, &err), &err);
    printf("steps a second on one core   answers   with a prompt   mean step\n");
    for (size_t i = 0; i < COUNT(cases); i++) {
        const sp_worker *worker = NULL;
        double sum_s = 0.0;
        setup.layout = cases[i].layout;
        setup.formats = (sp_serve_formats){cases[i].attention, cases[i].ffn, 16.0};
        must(sp_model_find(&arena, home, cases[i].model, &setup.model, &err), &err);
        must(sp_worker_build(&arena, &setup, &worker, &err), &err);
        const double answers = steps_per_s(worker, 0.0, &sum_s);
        const double mixed = steps_per_s(worker, 1024.0, &sum_s);
        printf("%-25s %10.0f %15.0f %8.1f ms\n", cases[i].model, answers, mixed,
               1e3 * sum_s / (2.0 * STEPS));
    }
    sp_arena_fini(&arena);
    return EXIT_SUCCESS;
}
