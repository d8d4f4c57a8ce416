/* SPDX-License-Identifier: Apache-2.0 */
/* Prices serving plans: candidates a second and core, one by one and in a search, and seconds of
 * whole searches. Cores are those that the process had: others' work does not count.
 *
 *     bench_serve [--only NAME] [--threads N]
 */
#include "must.h"

#include "base/base.h"
#include "search/search_priv.h"
#include "space/serving.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Plans that are priced one by one. */
#define N_DIRECT 2000u

typedef struct asked {
    const char *name, *model, *cluster, *gpus, *slo;
} asked;

static const asked questions[] = {
    {"qwen3-32b",        "qwen3-32b",   "dgx-h200", "32", NULL                           },
    {"qwen3-32b-limits", "qwen3-32b",   "dgx-h200", "32", "ttft:mean<=2s,tpot:mean<=50ms"},
    {"deepseek-v3",      "deepseek-v3", "dgx-h200", "32", NULL                           },
};

typedef struct bench {
    sp_serving_problem *problem;
    sp_serving_space *space;
    double build_s;
} bench;

static bench build(const asked *a)
{
    bench b;
    sp_error err = {0};
    sp_serving_question q = sp_serving_question_default();
    const char *home = getenv("SHARDPLAN_HOME");
    q.home = home != NULL ? home : ".";
    q.model = a->model;
    q.cluster = a->cluster;
    q.gpus = a->gpus;
    q.engine = "any";
    q.mode = "both";
    q.slo = a->slo;
    q.isl = 4000.0;
    q.osl = 1000.0;
    const double start_s = sp_clock_s();
    must(sp_serving_problem_build(&q, &b.problem, &err), &err);
    must(sp_serving_space_build(b.problem, &b.space, &err), &err);
    b.build_s = sp_clock_s() - start_s;
    return b;
}

static double core_s(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

/* Seconds of one plan priced by itself, over plans of all layouts. */
static double direct_s(const bench *b)
{
    sp_serving_walk walk;
    sp_serving_estimate estimate;
    uint64_t *pruned = sp_alloc(b->space->n_rules * sizeof *pruned);
    uint32_t n = 0;
    double sum = 0.0, seconds = 0.0;
    sp_serving_walk_begin(&walk, b->space, 0, SP_SERVING_AXIS_gpus, SP_SERVING_LAST_AXIS, pruned);
    for (uint64_t seen = 0; n < N_DIRECT && sp_serving_walk_next(&walk); seen++) {
        if (walk.refused[SP_SERVING_LAST_AXIS] != SP_NO_RULE || seen % 101 != 0) continue;
        const double start_s = core_s();
        sp_serving_estimate_plan(b->problem, &walk.plan, &estimate);
        seconds += core_s() - start_s;
        sum += estimate.tokens_per_s;
        n++;
    }
    sp_free(pruned);
    return sum > 0.0 && n > 0 ? seconds / n : 0.0;
}

static void report(const asked *a, uint32_t threads)
{
    const bench b = build(a);
    sp_search_options options = {.threads = threads, .top_k = 10};
    sp_search_result result;
    sp_error err = {0};
    const double start_s = core_s();
    must(sp_serving_search(b.space, &options, &result, &err), &err);
    const double search_s = core_s() - start_s, one_s = direct_s(&b);
    const double admitted = (double)result.counts.admitted;
    const double evaluated = (double)result.counts.evaluated;
    printf("%-18s built in %.0f ms; search %.0f ms on %u threads, %.0f ms of cores, front %u\n",
           a->name, 1e3 * b.build_s, 1e3 * result.seconds, result.threads, 1e3 * search_s,
           result.front.n_points);
    printf("%18s %.3f M candidates, %.2f M/s/core; %.3f M evaluated, %.2f M/s/core; one by one "
           "%.3f M/s/core\n",
           "", admitted / 1e6, admitted / search_s / 1e6, evaluated / 1e6,
           evaluated / search_s / 1e6, one_s > 0.0 ? 1e-6 / one_s : 0.0);
    sp_search_result_fini(&result);
    sp_serving_space_free(b.space);
    sp_serving_problem_free(b.problem);
}

int main(int argc, char **argv)
{
    const char *only = NULL;
    uint32_t threads = 0;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--only") == 0) only = argv[i + 1];
        if (strcmp(argv[i], "--threads") == 0) threads = (uint32_t)strtoul(argv[i + 1], NULL, 10);
    }
    for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++) {
        if (only == NULL || strcmp(only, questions[i].name) == 0) report(&questions[i], threads);
    }
    return 0;
}
