/* SPDX-License-Identifier: Apache-2.0 */
/* Estimates and searches a second on one core, for a dense model and one with experts. Medians of
 * five repetitions taken in turns, so that a busy machine slows all of them alike: trust the
 * ratios.
 *
 *     SHARDPLAN_HOME=. build/release/bench_estimate */
#include "must.h"

#include "search/search_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_REPEATS = 5, MAX_PLANS = 20000, N_CASES = 3 };

/* A question, some of its plans, and what was measured. */
typedef struct bench {
    const char *name;
    sp_question question;
    sp_problem *problem;
    sp_space *space;
    uint32_t n_plans;
    sp_plan *plans;
    double keys_per_s[N_REPEATS], memory_per_s[N_REPEATS], search_s[N_REPEATS];
    sp_search_counts counts; /* pruned is not kept */
    double checksum;
} bench;

/* Plans that pass every rule, evenly over the walk: every `step`-th. */
static void pick_plans(bench *b)
{
    uint64_t *pruned = sp_alloc(sp_space_rule_count(b->space) * sizeof *pruned);
    b->plans = sp_alloc(MAX_PLANS * sizeof *b->plans);
    if (pruned == NULL || b->plans == NULL) exit(EXIT_FAILURE);
    sp_walk walk;
    uint64_t n_seen = 0;
    sp_walk_begin(&walk, b->space, 0, SP_AXIS_gpus, (sp_axis_id)(SP_N_AXES - 1), pruned);
    while (b->n_plans < MAX_PLANS && sp_walk_next(&walk)) {
        if (walk.refused[SP_N_AXES - 1] == SP_NO_RULE && n_seen++ % 3 == 0) {
            b->plans[b->n_plans++] = walk.plan;
        }
    }
    sp_free(pruned);
}

static void prepare(bench *b, const char *home)
{
    sp_error err = {0};
    b->question.home = home;
    must(sp_problem_build(&b->question, &b->problem, &err), &err);
    must(sp_space_build(b->problem, &b->space, &err), &err);
    pick_plans(b);
}

static void clean(bench *b)
{
    sp_free(b->plans);
    sp_space_free(b->space);
    sp_problem_free(b->problem);
}

static double time_keys(bench *b)
{
    const double start_s = sp_clock_s();
    double keys[SP_MAX_OBJECTIVES] = {0}, sum = 0.0;
    for (uint32_t i = 0; i < b->n_plans; i++) {
        (void)sp_estimate_keys(b->problem, &b->plans[i], keys);
        sum += keys[0];
    }
    b->checksum += sum;
    return b->n_plans / (sp_clock_s() - start_s);
}

static double time_memory(bench *b)
{
    const double start_s = sp_clock_s();
    double sum = 0.0;
    for (uint32_t i = 0; i < b->n_plans; i++) {
        sp_memory memory;
        sp_estimate_memory(b->problem, &b->plans[i], &memory);
        sum += memory.peak_bytes;
    }
    b->checksum += sum;
    return b->n_plans / (sp_clock_s() - start_s);
}

static double time_search(bench *b)
{
    sp_error err = {0};
    sp_search_result result;
    const sp_search_options options = {.threads = 1, .top_k = 10};
    const double start_s = sp_clock_s();
    must(sp_search_run(b->space, &options, &result, &err), &err);
    const double seconds = sp_clock_s() - start_s;
    b->counts = result.counts;
    b->counts.pruned = NULL;
    sp_search_result_fini(&result);
    return seconds;
}

/* The first allocation after arming the hook would fail; it is still armed when there was none. */
static uint32_t count_allocations(bench *b)
{
    sp_alloc_fail_at(1);
    (void)time_keys(b);
    (void)time_memory(b);
    void *probe = sp_alloc(1);
    sp_alloc_fail_at(0);
    sp_free(probe);
    return probe == NULL ? 0 : 1;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const double values[N_REPEATS])
{
    double sorted[N_REPEATS];
    memcpy(sorted, values, sizeof sorted);
    qsort(sorted, N_REPEATS, sizeof sorted[0], ascending);
    return sorted[N_REPEATS / 2];
}

static void print(bench *b)
{
    const double keys = median(b->keys_per_s), search_s = median(b->search_s);
    printf("%s\n", b->name);
    printf("  estimates        %8.3f M/s a core, direct path (%u plans)\n", keys / 1e6, b->n_plans);
    printf("  memory alone     %8.3f M/s\n", median(b->memory_per_s) / 1e6);
    printf("  search           %8.3f s: %.3f M admitted plans/s, %llu admitted, %llu evaluated\n",
           search_s, (double)b->counts.admitted / search_s / 1e6,
           (unsigned long long)b->counts.admitted, (unsigned long long)b->counts.evaluated);
    printf("  search/estimates %8.3f: admitted plans a second over estimates a second\n",
           (double)b->counts.admitted / search_s / keys);
    printf("  allocations      %8u while estimating\n", count_allocations(b));
}

int main(void)
{
    const char *home = getenv("SHARDPLAN_HOME");
    bench cases[N_CASES] = {{.name = "dense: llama-3.1-405b, 512 to 1024 H100"},
                            {.name = "experts: mixtral-8x22b, 128 H100"},
                            {.name = "latent: deepseek-v3, 2048 H800, fp8"}};
    for (int i = 0; i < N_CASES; i++) {
        cases[i].question = sp_question_default();
        cases[i].question.cluster = "dgx-h100";
    }
    sp_question *dense = &cases[0].question, *experts = &cases[1].question;
    sp_question *latent = &cases[2].question;
    dense->model = "llama-3.1-405b";
    dense->gpus = "512,1024";
    dense->seq_len = 8192;
    dense->global_batch = 2048;
    experts->model = "mixtral-8x22b";
    experts->gpus = "128";
    experts->seq_len = 4096;
    experts->global_batch = 256;
    latent->model = "deepseek-v3";
    latent->cluster = "hgx-h800";
    latent->gpus = "2048";
    latent->seq_len = 4096;
    latent->global_batch = 15360;
    latent->sets[latent->n_sets++] = "precision=fp8";
    latent->sets[latent->n_sets++] = "cp=1,2";
    latent->sets[latent->n_sets++] = "vpp=1,2,4";
    latent->sets[latent->n_sets++] = "micro_batch=1,2,4";
    for (int i = 0; i < N_CASES; i++) {
        prepare(&cases[i], home != NULL ? home : ".");
    }
    for (int repeat = 0; repeat < N_REPEATS; repeat++) {
        for (int i = 0; i < N_CASES; i++) {
            cases[i].keys_per_s[repeat] = time_keys(&cases[i]);
            cases[i].memory_per_s[repeat] = time_memory(&cases[i]);
            cases[i].search_s[repeat] = time_search(&cases[i]);
        }
    }
    for (int i = 0; i < N_CASES; i++) {
        print(&cases[i]);
    }
    printf("dense over experts, estimates: %.2f; checksum %g\n",
           median(cases[0].keys_per_s) / median(cases[1].keys_per_s),
           cases[0].checksum + cases[1].checksum + cases[2].checksum);
    for (int i = 0; i < N_CASES; i++) {
        clean(&cases[i]);
    }
    return EXIT_SUCCESS;
}
