/* SPDX-License-Identifier: Apache-2.0 */
/* Questions: what is loaded, what is refused and by which flag, and the name of a question. */
#include "common/shipped.h"
#include "step/step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static sp_question example(void)
{
    sp_question q = sp_question_default();
    q.home = source_home();
    q.model = "llama-3.1-8b";
    q.cluster = "dgx-h100";
    q.gpus = "64";
    q.seq_len = 8192;
    q.global_batch = 128;
    return q;
}

static void a_question_loads_what_it_names(void **state)
{
    (void)state;
    const sp_question q = example();
    sp_problem *problem = build_problem(&q);
    assert_string_equal(sp_problem_model(problem)->name, "llama-3.1-8b");
    assert_string_equal(sp_problem_cluster(problem)->name, "dgx-h100");
    assert_int_equal(problem->n_gpus_values, 1);
    assert_int_equal(problem->gpus_values[0], 64);
    assert_int_equal(sp_problem_n_objectives(problem), 2);
    assert_string_equal(sp_problem_objective(problem, 0)->name, "tokens_per_s");
    assert_string_equal(sp_problem_objective(problem, 1)->name, "memory_peak");
    assert_int_equal(problem->parameters.total, 8030261248);
    assert_false(problem->has_experts);
    assert_true(problem->profile != NULL && problem->n_engines > 0);
    sp_problem_free(problem);
    sp_problem_free(NULL);
}

static void a_question_keeps_nothing_of_its_caller(void **state)
{
    (void)state;
    sp_question q = example();
    char model[] = "llama-3.1-8b", set[] = "tp=4,8", where[] = "pp<=4", gpus[] = "8..64";
    q.model = model;
    q.gpus = gpus;
    q.sets[q.n_sets++] = set;
    q.wheres[q.n_wheres++] = where;
    sp_problem *problem = build_problem(&q);
    memset(model, '#', sizeof model - 1);
    memset(set, '#', sizeof set - 1);
    memset(where, '#', sizeof where - 1);
    memset(gpus, '#', sizeof gpus - 1);
    assert_string_equal(problem->question.model, "llama-3.1-8b");
    assert_string_equal(problem->question.sets[0], "tp=4,8");
    assert_string_equal(sp_expr_text(problem->wheres[0].expr), "pp<=4");
    assert_int_equal(problem->n_gpus_values, 8);
    sp_problem_free(problem);
}

/* The headroom of 6 % is left of the usable memory; model FLOPs are those of the batch. */
static void what_no_plan_changes_is_worked_out_once(void **state)
{
    (void)state;
    sp_question q = example();
    q.usd_per_gpu_hour = 3.5;
    sp_problem *problem = build_problem(&q);
    const double usable = problem->cluster->gpu->memory_bytes;
    assert_true(problem->allowed_bytes == usable * (1.0 - 0.06));
    assert_true(problem->usd_per_gpu_hour == 3.5);
    assert_true(problem->forward_flops ==
                sp_graph_forward_flops(problem->model, 8192, 8192.0 * 128));
    sp_problem_free(problem);
}

static void wheres_know_when_they_can_be_decided(void **state)
{
    (void)state;
    sp_question q = example();
    q.wheres[q.n_wheres++] = "tp*pp<=16";
    q.wheres[q.n_wheres++] = "memory.peak<=72GiB";
    q.wheres[q.n_wheres++] = "tp==8 || time.step<=3s";
    q.wheres[q.n_wheres++] = "accumulation>=8";
    sp_problem *problem = build_problem(&q);
    assert_int_equal(problem->n_wheres, 4);
    assert_false(problem->wheres[0].reads_results);
    assert_int_equal(problem->wheres[0].deepest, SP_AXIS_pp);
    assert_true(problem->wheres[1].reads_results);
    assert_true(problem->wheres[2].reads_results);
    assert_false(problem->wheres[3].reads_results);
    assert_int_equal(problem->wheres[3].deepest, SP_AXIS_micro_batch);
    sp_problem_free(problem);
}

/* ---- refusals ---- */
static sp_error refusal(const sp_question *q, sp_status status)
{
    sp_error err = {0};
    sp_problem *problem = NULL;
    const sp_status got = sp_problem_build(q, &problem, &err);
    assert_null(problem);
    if (got != status) {
        fail_msg("%s (%s), not %s", sp_status_words(got), err.message, sp_status_words(status));
    }
    assert_int_equal(err.status, status);
    assert_true(err.message[0] != '\0');
    return err;
}

static void what_is_missing_is_asked_for_by_its_flag(void **state)
{
    (void)state;
    sp_question q = example();
    q.model = NULL;
    assert_non_null(strstr(refusal(&q, SP_E_USAGE).message, "--model"));
    q = example();
    q.cluster = "";
    assert_non_null(strstr(refusal(&q, SP_E_USAGE).message, "--cluster"));
    q = example();
    q.gpus = NULL;
    assert_non_null(strstr(refusal(&q, SP_E_USAGE).message, "--gpus"));
    q = example();
    q.seq_len = 0;
    assert_non_null(strstr(refusal(&q, SP_E_USAGE).message, "--seq-len"));
    q = example();
    q.global_batch = 0;
    assert_non_null(strstr(refusal(&q, SP_E_USAGE).message, "--global-batch"));
}

static void unknown_names_come_with_the_nearest(void **state)
{
    (void)state;
    sp_question q = example();
    q.model = "lama-3.1-8b";
    assert_string_equal(refusal(&q, SP_E_UNKNOWN_NAME).nearest, "llama-3.1-8b");
    q = example();
    q.cluster = "dgx-h1000";
    assert_string_equal(refusal(&q, SP_E_UNKNOWN_NAME).nearest, "dgx-h100");
    q = example();
    q.objectives = "token_per_s";
    assert_string_equal(refusal(&q, SP_E_UNKNOWN_NAME).nearest, "tokens_per_s");
    q = example();
    q.space = "al";
    assert_string_equal(refusal(&q, SP_E_UNKNOWN_NAME).nearest, "all");
    q = example();
    q.wheres[q.n_wheres++] = "memory.peek<=72GiB";
    const sp_error where = refusal(&q, SP_E_UNKNOWN_NAME);
    assert_string_equal(where.nearest, "memory.peak");
    assert_string_equal(where.file, "--where");
}

static void figures_out_of_range_name_their_flag(void **state)
{
    (void)state;
    sp_question q = example();
    q.headroom_ratio = 0.95;
    assert_string_equal(refusal(&q, SP_E_RANGE).file, "--headroom");
    q = example();
    q.max_network_ratio = -0.1;
    assert_string_equal(refusal(&q, SP_E_RANGE).file, "--max-network-ratio");
    q.max_network_ratio = 1.5;
    assert_string_equal(refusal(&q, SP_E_RANGE).file, "--max-network-ratio");
    q = example();
    q.seq_len = (1u << 30) + 1u;
    assert_string_equal(refusal(&q, SP_E_RANGE).file, "--seq-len");
    q = example();
    q.global_batch = (1u << 30) + 1u;
    assert_string_equal(refusal(&q, SP_E_RANGE).file, "--global-batch");
    q = example();
    q.gpus = "0";
    assert_string_equal(refusal(&q, SP_E_RANGE).file, "--gpus");
}

/* GPT-2 learned 1024 positions. */
static void a_sequence_beyond_learned_positions_is_refused(void **state)
{
    (void)state;
    sp_question q = example();
    q.model = "gpt2";
    q.seq_len = 1025;
    const sp_error err = refusal(&q, SP_E_RANGE);
    assert_string_equal(err.file, "--seq-len");
    assert_string_equal(err.range, "1 .. 1024");
    q.seq_len = 1024;
    sp_problem_free(build_problem(&q));
}

static void an_axis_is_set_once(void **state)
{
    (void)state;
    sp_question q = example();
    q.sets[q.n_sets++] = "tp=4";
    q.sets[q.n_sets++] = "pp=2";
    q.sets[q.n_sets++] = "tp=8";
    const sp_error err = refusal(&q, SP_E_INCONSISTENT);
    assert_string_equal(err.file, "--set");
    assert_string_equal(err.value, "tp=8");
}

/* A run has a price where an hour has one and the run a length. */
static void money_needs_a_price_and_a_length(void **state)
{
    (void)state;
    sp_question q = example();
    q.objectives = "usd_run";
    assert_non_null(strstr(refusal(&q, SP_E_USAGE).message, "--tokens"));
    q.tokens = 1e12;
    sp_problem *problem = build_problem(&q);
    assert_true(problem->ranks_by_money);
    sp_problem_free(problem);
}

static void an_optimizer_that_is_not_there_is_refused_with_the_nearest(void **state)
{
    (void)state;
    sp_question q = example();
    q.optimizer = "moun";
    const sp_error err = refusal(&q, SP_E_UNKNOWN_NAME);
    assert_string_equal(err.file, "--optimizer");
    assert_string_equal(err.nearest, "muon");
}

/* ---- the name of a question ---- */
static void name_of(const sp_question *q, char out[33])
{
    sp_problem *problem = build_problem(q);
    strcpy(out, sp_problem_fingerprint(problem));
    sp_problem_free(problem);
}

static void the_same_question_has_the_same_name(void **state)
{
    (void)state;
    sp_question q = example();
    char first[33], again[33];
    name_of(&q, first);
    name_of(&q, again);
    assert_string_equal(first, again);
    assert_int_equal(strlen(first), 32);
    assert_int_equal(strspn(first, "0123456789abcdef"), 32);
    q.gpus = "64,64"; /* other words for it */
    q.cluster = "DGX H100";
    name_of(&q, again);
    assert_string_equal(first, again);
}

static void set_tp(sp_question *q)
{
    q->sets[q->n_sets++] = "tp=4";
}
static void set_where(sp_question *q)
{
    q->wheres[q->n_wheres++] = "pp<=4";
}
static void set_model(sp_question *q)
{
    q->model = "llama-2-7b";
}
static void set_cluster(sp_question *q)
{
    q->cluster = "dgx-h200";
}
static void set_gpus(sp_question *q)
{
    q->gpus = "56";
}
static void set_range(sp_question *q)
{
    q->gpus = "56,64";
}
static void set_length(sp_question *q)
{
    q->seq_len = 4096;
}
static void set_batch(sp_question *q)
{
    q->global_batch = 256;
}
static void set_engine(sp_question *q)
{
    q->engine = "megatron";
}
static void set_objectives(sp_question *q)
{
    q->objectives = "memory_peak,tokens_per_s";
}
static void set_space(sp_question *q)
{
    q->space = "all";
}
static void set_tokens(sp_question *q)
{
    q->tokens = 1e12;
}
static void set_network(sp_question *q)
{
    q->max_network_ratio = 0.5;
}
static void set_headroom(sp_question *q)
{
    q->headroom_ratio = 0.1;
}
static void set_reserve(sp_question *q)
{
    q->reserve_bytes = 1e9;
}
static void set_use(sp_question *q)
{
    q->use_upto = true;
}
static void set_price(sp_question *q)
{
    q->usd_per_gpu_hour = 1.25;
}

static void every_part_of_a_question_changes_its_name(void **state)
{
    (void)state;
    static void (*const changes[])(sp_question *) = {
        set_tp,      set_where,    set_model,   set_cluster,    set_gpus,  set_range,
        set_length,  set_batch,    set_engine,  set_objectives, set_space, set_tokens,
        set_network, set_headroom, set_reserve, set_use,        set_price};
    enum { N = sizeof changes / sizeof changes[0] };
    char names[N + 1][33];
    sp_question q = example();
    name_of(&q, names[N]);
    for (size_t i = 0; i < N; i++) {
        q = example();
        changes[i](&q);
        name_of(&q, names[i]);
    }
    for (size_t i = 0; i <= N; i++) {
        for (size_t k = 0; k < i; k++) {
            if (strcmp(names[i], names[k]) == 0) fail_msg("changes %zu and %zu: one name", i, k);
        }
    }
}

/* ---- memory ---- */
/* Every allocation in turn fails: each time the question is refused for that and nothing leaks. */
static void any_allocation_may_fail(void **state)
{
    (void)state;
    sp_question q = example();
    q.sets[q.n_sets++] = "tp=4,8";
    q.wheres[q.n_wheres++] = "pp<=4";
    uint64_t nth = 1;
    for (;; nth += nth < 64 ? 1 : 17) {
        sp_error err = {0};
        sp_problem *problem = NULL;
        sp_alloc_fail_at(nth);
        const sp_status status = sp_problem_build(&q, &problem, &err);
        sp_alloc_fail_at(0);
        if (status == SP_OK) {
            sp_problem_free(problem);
            break;
        }
        assert_null(problem);
        if (status != SP_E_MEMORY) fail_msg("allocation %u: %s", (unsigned)nth, err.message);
    }
    assert_true(nth > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_question_loads_what_it_names),
        cmocka_unit_test(a_question_keeps_nothing_of_its_caller),
        cmocka_unit_test(what_no_plan_changes_is_worked_out_once),
        cmocka_unit_test(wheres_know_when_they_can_be_decided),
        cmocka_unit_test(what_is_missing_is_asked_for_by_its_flag),
        cmocka_unit_test(unknown_names_come_with_the_nearest),
        cmocka_unit_test(figures_out_of_range_name_their_flag),
        cmocka_unit_test(a_sequence_beyond_learned_positions_is_refused),
        cmocka_unit_test(an_axis_is_set_once),
        cmocka_unit_test(money_needs_a_price_and_a_length),
        cmocka_unit_test(an_optimizer_that_is_not_there_is_refused_with_the_nearest),
        cmocka_unit_test(the_same_question_has_the_same_name),
        cmocka_unit_test(every_part_of_a_question_changes_its_name),
        cmocka_unit_test(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
