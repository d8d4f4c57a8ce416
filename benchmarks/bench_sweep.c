/* SPDX-License-Identifier: Apache-2.0 */
/* Design points a second on one core, and the CPU time of a whole analysis of three phases, in one
 * run. Medians of five repetitions taken in turns.
 *
 *     SHARDPLAN_HOME=. build/release/bench_sweep */
#include "must.h"

#include "base/base.h"
#include "shardplan/sweep.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { N_REPEATS = 5, N_ANALYSES = 200, N_POINTS = 1000000 };

static const char *const models[] = {"llama-3.1-8b", "deepseek-v3", "mixtral-8x7b"};
enum { N_MODELS = sizeof models / sizeof models[0] };

/* A model, its reduced work, and what was measured. */
typedef struct bench {
    sp_analysis_question question;
    sp_workload *workload;
    uint32_t n_operators;
    double analysis_s[N_REPEATS], points_per_s[N_REPEATS];
    double checksum;
} bench;

static double cpu_s(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void prepare(sp_arena *arena, const char *home, const char *name, bench *b)
{
    sp_error err = {0};
    const sp_analysis *analysis = NULL;
    must(sp_model_find(arena, home, name, &b->question.model, &err), &err);
    must(sp_gpu_find(arena, home, "h100-sxm", &b->question.gpu, &err), &err);
    sp_analysis_defaults(&b->question);
    must(sp_analyze(arena, &b->question, &analysis, &err), &err);
    must(sp_workload_build(arena, &b->question, analysis, &b->workload, &err), &err);
    b->n_operators = analysis->n_operators;
}

static double time_analysis(const sp_analysis_question *question)
{
    const double start_s = cpu_s();
    for (int i = 0; i < N_ANALYSES; i++) {
        sp_arena arena = {0};
        sp_error err = {0};
        const sp_analysis *analysis = NULL;
        must(sp_analyze(&arena, question, &analysis, &err), &err);
        sp_arena_fini(&arena);
    }
    return (cpu_s() - start_s) / N_ANALYSES;
}

/* Every point of the grid in turn: full price and scores. */
static double time_points(bench *b, const sp_economics *money, const sp_sweep *sweep)
{
    const double start_s = cpu_s();
    for (uint64_t i = 0; i < N_POINTS; i++) {
        const sp_chip chip = sp_sweep_chip(sweep, i % sweep->n_points);
        const sp_chip_price price = sp_chip_evaluate(b->workload, money, &chip);
        b->checksum += sp_chip_scores(&chip, &price, money).overall;
    }
    return N_POINTS / (cpu_s() - start_s);
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

int main(void)
{
    static bench benches[N_MODELS];
    const char *home = getenv("SHARDPLAN_HOME");
    sp_arena arena = {0};
    sp_error err = {0};
    sp_economics money;
    const sp_sweep *sweep = NULL;
    home = home != NULL ? home : ".";
    must(sp_economics_load(home, NULL, &money, &err), &err);
    must(sp_sweep_find(&arena, home, "datacenter-gpu", &sweep, &err), &err);
    for (int m = 0; m < N_MODELS; m++) {
        prepare(&arena, home, models[m], &benches[m]);
    }
    for (int r = 0; r < N_REPEATS; r++) {
        for (int m = 0; m < N_MODELS; m++) {
            benches[m].analysis_s[r] = time_analysis(&benches[m].question);
            benches[m].points_per_s[r] = time_points(&benches[m], &money, sweep);
        }
    }
    puts("model            operators   analysis of three phases   design points/s, one core");
    for (int m = 0; m < N_MODELS; m++) {
        printf("%-16s %9u   %16.3f ms CPU   %15.0f   (%.6g)\n", models[m],
               (unsigned)benches[m].n_operators, 1e3 * median(benches[m].analysis_s),
               median(benches[m].points_per_s), benches[m].checksum);
    }
    sp_arena_fini(&arena);
    return 0;
}
