/* SPDX-License-Identifier: Apache-2.0 */
/* CPU time of the questions that turn memory round, serving and training: medians of five
 * repetitions taken in turns. The question stands already: reading its files comes before.
 *
 *     SHARDPLAN_HOME=. build/release/bench_inverse */
#include "must.h"

#include "base/base.h"
#include "shardplan/inverse.h"
#include "shardplan/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { N_REPEATS = 5, N_CASES = 7 };
#define MOST_S 10e-3

/* Training: a plan for the sizes, and a space for the fewest GPUs. */
typedef struct bench {
    const char *name, *model, *cluster, *plan, *most_gpus, *micro_batch;
    uint64_t seq_len;
    sp_problem *problem, *wide;
    sp_space *space;
    double seconds[SP_N_INVERSE_GOALS + 1][N_REPEATS];
    uint64_t value[SP_N_INVERSE_GOALS + 1];
} bench;

static double cpu_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* As `shardplan memory --find min-gpus` asks it (src/cli/memory_inverse.c). */
static void prepare(const char *home, bench *b)
{
    sp_error err = {0};
    sp_question q = sp_question_default();
    q.home = home;
    q.model = b->model;
    q.cluster = b->cluster;
    q.seq_len = b->seq_len;
    q.task = SP_TASK_LORA;
    q.lora_rank = 32;
    q.gpus = "64";
    q.global_batch = 64;
    must(sp_problem_build(&q, &b->problem, &err), &err);
    q.task = SP_TASK_PRETRAIN;
    q.gpus = b->most_gpus;
    q.global_batch = 1;
    q.sets[q.n_sets++] = "schedule=1f1b";
    q.sets[q.n_sets++] = "ep_overlap=off";
    q.sets[q.n_sets++] = "placement=tp_dp_pp";
    q.sets[q.n_sets++] = b->micro_batch;
    q.wheres[q.n_wheres++] = "tp<=8";
    must(sp_problem_build(&q, &b->wide, &err), &err);
    must(sp_space_build(b->wide, &b->space, &err), &err);
}

static void ask(bench *b, int goal, int repeat)
{
    sp_error err = {0};
    sp_arena arena = {0};
    sp_inverse answer;
    sp_inverse_question q = {
        .goal = (sp_inverse_goal)goal, .problem = b->problem, .batch_follows = true};
    q.plan = sp_plan_default();
    q.plan.gpus = 64;
    must(sp_plan_parse(b->plan, &q.plan, &err), &err);
    const double start_s = cpu_s();
    must(goal < SP_N_INVERSE_GOALS ? sp_inverse_largest(&arena, &q, &answer, &err)
                                   : sp_inverse_fewest_gpus(b->space, true, &answer, &err),
         &err);
    b->seconds[goal][repeat] = cpu_s() - start_s;
    b->value[goal] = answer.found ? answer.value : 0;
    sp_arena_fini(&arena);
}

static int ascending(const void *left, const void *right)
{
    const double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static double median(double *values)
{
    qsort(values, N_REPEATS, sizeof *values, ascending);
    return values[N_REPEATS / 2];
}

static bool print(bench *b)
{
    static const char *const goals[] = {"max-batch",     "max-global-batch", "max-context",
                                        "max-lora-rank", "max-model",        "min-gpus"};
    bool good = true;
    puts(b->name);
    for (int goal = 0; goal <= SP_N_INVERSE_GOALS; goal++) {
        const double seconds = median(b->seconds[goal]);
        printf("  %-16s %8.3f ms CPU, %5.3f of the 10 ms allowed   (%llu)\n", goals[goal],
               1e3 * seconds, seconds / MOST_S, (unsigned long long)b->value[goal]);
        good &= seconds < MOST_S;
    }
    return good;
}

int main(void)
{
    static bench benches[N_CASES] = {
        {.name = "dense: llama-3.1-8b on H100", .model = "llama-3.1-8b", .seq_len = 8192,
         .plan = "tp=2"},
        {.name = "dense: llama-3.1-70b on H100", .model = "llama-3.1-70b", .seq_len = 8192,
         .plan = "tp=8,pp=2,sp=on"},
        {.name = "dense: llama-3.1-405b on H100, layers by weight", .model = "llama-3.1-405b",
         .seq_len = 8192, .plan = "tp=8,pp=8,stage_layers=weighted,sp=on"},
        {.name = "experts: mixtral-8x22b on H100", .model = "mixtral-8x22b", .seq_len = 4096,
         .plan = "tp=4,pp=2,ep=8,sp=on"},
        {.name = "latent: deepseek-v3 on H100", .model = "deepseek-v3", .seq_len = 4096,
         .plan = "tp=1,pp=8,ep=8,zero=1"},
        {.name = "dense, long: llama-3.1-8b on H100, 512k", .model = "llama-3.1-8b",
         .seq_len = 524288, .plan = "tp=8"},
        {.name = "no plan fits: llama-3.1-405b on H100, micro-batch of 4096",
         .model = "llama-3.1-405b", .seq_len = 8192, .plan = "tp=8,pp=8",
         .micro_batch = "micro_batch=4096"},
    };
    const char *home = getenv("SHARDPLAN_HOME");
    bool good = true;
    for (int i = 0; i < N_CASES; i++) {
        benches[i].cluster = "dgx-h100";
        benches[i].most_gpus = "1..4096";
        if (benches[i].micro_batch == NULL) benches[i].micro_batch = "micro_batch=1";
        prepare(home != NULL ? home : ".", &benches[i]);
    }
    for (int repeat = 0; repeat < N_REPEATS; repeat++) {
        for (int i = 0; i < N_CASES; i++) {
            for (int goal = 0; goal <= SP_N_INVERSE_GOALS; goal++) {
                ask(&benches[i], goal, repeat);
            }
        }
    }
    for (int i = 0; i < N_CASES; i++) {
        good &= print(&benches[i]);
        sp_space_free(benches[i].space);
        sp_problem_free(benches[i].wide);
        sp_problem_free(benches[i].problem);
    }
    puts(good ? "every question answers in under 10 ms" : "some questions take longer than 10 ms");
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
