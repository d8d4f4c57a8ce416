/* SPDX-License-Identifier: Apache-2.0 */
/* Multi-node records of GPU Memory Calculator, its hybrid parallelism and its search for a batch.
 * The right volumes: a ring sends (n - 1)/n of what it gathers or scatters and twice that of what
 * it reduces (Thakur et al., IJHPCA 2005); ZeRO-3 gathers twice and scatters once a micro-batch, 1
 * and 2 once each (arXiv:1910.02054, section 7); a layer reduces four tensors over tp ranks
 * (arXiv:2205.05198, section 4.2); stages send a tensor each way (arXiv:2104.04473, section 3.2).
 */
#include "analysis/seed.h"
#include "common/shipped.h"
#include "shardplan/search.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GIB 0x1p30

typedef struct asked {
    sp_question question;
    sp_problem *problem;
    sp_plan plan;
    sp_estimate estimate;
    sp_traffic traffic;
    char gpus[16];
} asked;

static const char *engine_of(const sp_json *input)
{
    const sp_json engine = sp_json_get(input, "engine");
    const char *type = sp_json_is_object(&engine) ? word_in(&engine, "type") : "any";
    return strcmp(type, "megatron_lm") == 0 ? "megatron" : type;
}

static void ask(asked *a, const sp_json *input, uint32_t gpus, uint32_t batch, const char *plan)
{
    const sp_json model = sp_json_get(input, "model");
    sp_error err = {0};
    *a = (asked){.question = sp_question_default(), .plan = sp_plan_default()};
    (void)snprintf(a->gpus, sizeof a->gpus, "%u", gpus);
    a->question.home = source_home();
    a->question.model = word_in(&model, "name");
    a->question.cluster = "8xa100-sxm-80g,64xib-hdr";
    a->question.gpus = a->gpus;
    a->question.engine = engine_of(input);
    a->question.seq_len = count_in(&model, "max_seq_len");
    a->question.objectives = "tokens_per_s";
    must(sp_plan_parse(plan, &a->plan, &err), &err);
    a->plan.gpus = gpus;
    const uint32_t copies = gpus / ((uint32_t)a->plan.tp * a->plan.pp);
    a->question.global_batch = (uint64_t)copies * batch;
    a->problem = build_problem(&a->question);
    sp_plan_derive(&a->plan, a->question.global_batch);
    sp_estimate_plan(a->problem, &a->plan, &a->estimate);
    sp_traffic_build(a->problem, &a->plan, &a->traffic);
}

/* ---- volumes ---- */

static double sent(const asked *a, sp_collective collective, bool far)
{
    double sum = 0.0;
    for (uint32_t i = 0; i < a->traffic.n_rows; i++) {
        const sp_exchange *row = &a->traffic.rows[i];
        if (row->collective == collective && (!far || row->leaves_domain)) sum += row->sent_bytes;
    }
    return sum;
}

/* Parameters of a rank: those of the slowest stage under a pipeline, which has at least its share
 * of the layers and at most a token table more. */
static void judge_volume(seed_tally *t, const asked *a, const char *id, const char *what,
                         double theirs, sp_collective collective, double per_param, double tensors)
{
    const sp_model *m = a->problem->model;
    const double tp = a->plan.tp, pp = a->plan.pp;
    const double share = (double)a->problem->parameters.total / (tp * pp);
    const double tensor = 2.0 * m->hidden * (double)a->question.seq_len * a->plan.micro_batch;
    const double right = per_param * share + tensors * tensor;
    const double ours = sent(a, collective, false);
    const double slack = pp > 1.0 || tp > 1.0 ? 0.15 * right : 1e-3 * right;
    if (fabs(ours - right) > slack) fail_msg("%s: %s is %.5g, not %.5g", id, what, ours, right);
    seed_count(t, fabs(theirs - ours) <= 1e-3 * ours, SEED_VOLUMES, id, what);
}

static void judge_volumes(seed_tally *t, const asked *a, const char *id, const sp_json *output)
{
    const sp_plan *p = &a->plan;
    const double d = p->dp, tp = p->tp, ring = (d - 1.0) / d;
    const double grads = strcmp(a->question.engine, "megatron") == 0 ? 4.0 : 2.0;
    const double layers = (double)a->problem->model->n_layers / p->pp;
    /* Without sequence parallelism: 4 a layer, and one each at the ends of a single stage. A block
     * of experts whose matrices are cut has, instead of its two, a gather and a scatter of all
     * copies of the tokens each way. */
    const sp_ffn *ffn = &a->problem->model->kinds[0].ffn;
    const double ways = ffn->n_experts > 0 ? 2.0 : 4.0;
    const double cut = (tp - 1.0) / tp;
    const double reduced = tp > 1.0 ? (layers * ways + (p->pp == 1 ? 2.0 : 1.0)) * 2.0 * cut : 0.0;
    const double copies = ffn->n_experts > 0 ? layers * 2.0 * ffn->top_k * cut : 0.0;
    judge_volume(t, a, id, "all-reduce", number_in(output, "allreduce_gb") * GIB, SP_ALL_REDUCE,
                 p->zero == 0 ? 2.0 * ring * grads : 0.0, reduced);
    judge_volume(t, a, id, "all-gather", number_in(output, "allgather_gb") * GIB, SP_ALL_GATHER,
                 p->zero == 0 ? 0.0 : (p->zero == 3 ? 4.0 : 2.0) * ring, copies);
    judge_volume(t, a, id, "reduce-scatter", number_in(output, "reducescatter_gb") * GIB,
                 SP_REDUCE_SCATTER, p->zero == 0 ? 0.0 : grads * ring, copies);
    judge_volume(t, a, id, "send", number_in(output, "point_to_point_gb") * GIB, SP_SEND, 0.0,
                 p->pp > 1 ? 2.0 : 0.0);
}

static void replay_nodes(const sp_json *record, void *context)
{
    const sp_json input = sp_json_get(record, "input"), output = sp_json_get(record, "output");
    const sp_json node = sp_json_get(&input, "node"), engine = sp_json_get(&input, "engine");
    const sp_json shares = sp_json_get(&input, "parallelism");
    const sp_json training = sp_json_get(&input, "training");
    const uint32_t nodes = count_in(&node, "num_nodes"), batch = count_in(&training, "batch_size");
    const bool fsdp = strcmp(word_in(&engine, "type"), "fsdp") == 0;
    seed_tally *t = context;
    const char *id = word_in(record, "id");
    char plan[96];
    asked a;
    (void)snprintf(plan, sizeof plan, "tp=%u,pp=%u,zero=%u,micro_batch=%u,etp=%u",
                   count_in(&shares, "tensor_parallel_size"),
                   count_in(&shares, "pipeline_parallel_size"),
                   fsdp ? 3 : count_in(&engine, "zero_stage"), batch,
                   count_in(&shares, "tensor_parallel_size"));
    ask(&a, &input, nodes * count_in(&node, "gpus_per_node"), batch, plan);
    t->records++;
    if (nodes == 1) { /* nothing goes between nodes */
        static const char *const volumes[] = {"allreduce_gb", "allgather_gb", "reducescatter_gb",
                                              "point_to_point_gb", "total_overhead_gb"};
        for (uint32_t i = 0; i < 5; i++) {
            const double ours = i < 4 ? sent(&a, (sp_collective)i, true) : 0.0;
            seed_count(t, number_in(&output, volumes[i]) == ours, SEED_RIGHT, id, volumes[i]);
        }
    } else {
        double sum = 0.0, busy_s = 0.0;
        for (uint32_t i = 0; i < a.traffic.n_rows; i++) {
            sum += a.traffic.rows[i].sent_bytes;
            busy_s += a.traffic.rows[i].busy_s;
        }
        judge_volumes(t, &a, id, &output);
        seed_count(t, fabs(number_in(&output, "total_overhead_gb") * GIB - sum) <= 1e-3 * sum,
                   SEED_VOLUMES, id, "total");
        seed_count(
            t, fabs(number_in(&output, "estimated_overhead_ms_per_step") - 1e3 * busy_s) <= busy_s,
            SEED_VOLUMES, id, "time");
    }
    sp_problem_free(a.problem);
}

static void volumes_are_equal_or_of_a_named_error(void **state)
{
    seed_tally t = {0};
    (void)state;
    for_each_record("seed-gpumem", "multinode", replay_nodes, &t);
    seed_print("multi-node", &t);
    assert_int_equal(t.records, 12);
}

/* ---- hybrid parallelism: ours is what a search finds ---- */

static sp_plan best_of(const asked *a, sp_estimate *best)
{
    const sp_search_options options = {.top_k = 1};
    sp_search_result result = {0};
    sp_space *space = NULL;
    sp_error err = {0};
    if (sp_space_build(a->problem, &space, &err) != SP_OK ||
        sp_search_run(space, &options, &result, &err) != SP_OK) {
        fail_msg("%s", err.message);
    }
    assert_true(result.ranked.n_points > 0);
    const sp_plan plan = sp_space_unrank(space, result.ranked.points[0].id);
    sp_estimate_plan(a->problem, &plan, best);
    sp_search_result_fini(&result);
    sp_space_free(space);
    return plan;
}

/* Its plan with the rest at rest and one sequence a micro-batch; 512 sequences a step. */
static void replay_hybrid(const sp_json *record, void *context)
{
    const sp_json input = sp_json_get(record, "input"), output = sp_json_get(record, "output");
    const sp_json node = sp_json_get(&input, "node"), hybrid = sp_json_get(&input, "hybrid");
    const uint32_t tp = count_in(&output, "tensor_parallel_size");
    const uint32_t pp = count_in(&output, "pipeline_parallel_size");
    const uint32_t dp = count_in(&output, "data_parallel_size"), gpus = tp * pp * dp;
    const char *id = word_in(record, "id");
    seed_tally *t = context;
    char plan[64];
    asked a;
    sp_estimate best;
    t->records++;
    if (!flag_in(&hybrid, "auto_optimize")) { /* gives back what it was asked */
        seed_count(t, gpus == 1, SEED_RIGHT, id, "unchanged");
        return;
    }
    assert_true(gpus == count_in(&node, "num_nodes") * fmax(1.0, count_in(&node, "gpus_per_node")));
    (void)snprintf(plan, sizeof plan, "tp=%u,pp=%u,sp=%s,zero=1", tp, pp,
                   tp > 1 && flag_in(&output, "sequence_parallel") ? "on" : "off");
    ask(&a, &input, gpus, 512 / dp, plan);
    const sp_plan found = best_of(&a, &best);
    const bool fits = sp_memory_fits(a.problem, &a.estimate.memory);
    assert_true(sp_memory_fits(a.problem, &best.memory));
    assert_true(!fits || best.time.step_s <= a.estimate.time.step_s);
    seed_count(t, fits && found.tp == tp && found.pp == pp && found.cp == 1, SEED_NO_SEARCH, id,
               "hybrid");
    sp_problem_free(a.problem);
}

static void hybrid_parallelism_is_found_by_search(void **state)
{
    seed_tally t = {0};
    (void)state;
    for_each_record("seed-gpumem", "hybrid", replay_hybrid, &t);
    seed_print("hybrid", &t);
    assert_int_equal(t.records, 5);
}

/* ---- the largest batch ---- */

static bool batch_fits(const seed_plan *p, uint32_t batch)
{
    sp_plan plan = p->plan;
    sp_memory memory;
    sp_plan_set(&plan, SP_AXIS_micro_batch, batch);
    sp_plan_derive(&plan, (uint64_t)plan.dp * batch);
    sp_estimate_memory(p->problem, &plan, &memory);
    return sp_memory_fits(p->problem, &memory);
}

/* Ours is 0 where one sequence does not fit. */
static void replay_batch(const sp_json *record, void *context)
{
    const sp_json input = sp_json_get(record, "input"), output = sp_json_get(record, "output");
    seed_tally *t = context;
    uint32_t ours = 0;
    seed_plan p;
    seed_plan_build(&p, &input, word_in(record, "id"));
    assert_non_null(p.problem);
    while (ours < 512 && batch_fits(&p, ours + 1))
        ours++;
    t->records++;
    seed_count(t, count_in(&output, "max_batch_size") == ours, SEED_RECOMMENDED, p.id, "batch");
    print_message("%s: their largest batch is %u, ours %u\n", p.id,
                  count_in(&output, "max_batch_size"), ours);
    seed_plan_free(&p);
}

static void the_largest_batch_is_that_of_whole_evaluations(void **state)
{
    seed_tally t = {0};
    (void)state;
    for_each_record("seed-gpumem", "batch_size_opt", replay_batch, &t);
    seed_print("batch", &t);
    assert_int_equal(t.records, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(volumes_are_equal_or_of_a_named_error),
        cmocka_unit_test(hybrid_parallelism_is_found_by_search),
        cmocka_unit_test(the_largest_batch_is_that_of_whole_evaluations),
    };
    return getenv("SHARDPLAN_DATA") != NULL ? cmocka_run_group_tests(tests, NULL, NULL) : 77;
}
