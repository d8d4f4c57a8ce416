/* SPDX-License-Identifier: Apache-2.0 */
/* Our memory beside Megatron-LM's own reporter (megatron/training/theoretical_memory_usage.py, at
 * d98e8a64dd), row by row of $SHARDPLAN_DATA/megatron-memory/dev.csv. What means the same is equal:
 * parameters of the first stage, their bytes, and the activations of GPT layers. Different are:
 * - it divides layers by stages, so a stage of 126 layers over 16 holds 7.875: not compared;
 * - prediction modules stand on the first stage there: not compared;
 * - its activations know no gate, no grouped queries and no experts: GPT rows alone are compared;
 * - it keeps 4 bytes a logit and the inputs of head and embedding as closed forms: taken off. */
#include "base/base.h"
#include "common/close.h"
#include "common/problems.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define EXACT       1e-9
#define MIB         1048576.0
#define MAX_COLUMNS 48

/* The file's first line, and one row of it. */
typedef struct row {
    char head[4096], line[4096];
    const char *names[MAX_COLUMNS], *cells[MAX_COLUMNS];
    uint32_t n;
} row;

static uint32_t split(char *line, const char *cells[MAX_COLUMNS])
{
    uint32_t n = 0;
    line[strcspn(line, "\r\n")] = '\0';
    cells[n++] = line;
    for (char *c = line; *c != '\0'; c++) {
        if (*c != ',') continue;
        *c = '\0';
        assert_true(n < MAX_COLUMNS);
        cells[n++] = c + 1;
    }
    return n;
}

/* 0 where the cell is blank. */
static double cell(const row *r, const char *name)
{
    for (uint32_t i = 0; i < r->n; i++) {
        if (strcmp(r->names[i], name) == 0) return strtod(r->cells[i], NULL);
    }
    fail_msg("there is no column %s", name);
    return 0.0;
}

static uint32_t count(const row *r, const char *name)
{
    return (uint32_t)cell(r, name);
}

/* Without the biases and positions that the reporter leaves out. */
static void make_model(const row *r, made_model *made)
{
    const uint32_t layers = count(r, "num_layers"), hidden = count(r, "hidden_size");
    const bool gated = cell(r, "swiglu") != 0.0;
    make_gpt(made, hidden, 1, layers);
    made->model.positions = 0;
    made->model.vocab = count(r, "padded_vocab_size");
    made->model.tied_embeddings = cell(r, "untie_embeddings") == 0.0;
    made->model.norm_vectors = gated ? 1 : 2;
    made->model.dropout = !gated;
    sp_layer_kind *kind = &made->model.kinds[0];
    kind->attention = (sp_attention){.norms = 1,
                                     .no_rope = true,
                                     .heads = count(r, "num_attention_heads"),
                                     .kv_heads = count(r, "num_query_groups"),
                                     .head_dim = count(r, "kv_channels")};
    kind->ffn = (sp_ffn){.norms = 1, .gated = gated, .ffn = count(r, "ffn_hidden_size")};
    if (cell(r, "num_experts") > 0.0) {
        kind->ffn.ffn = 0;
        kind->ffn.n_experts = count(r, "num_experts");
        kind->ffn.top_k = count(r, "moe_router_topk");
        kind->ffn.expert_ffn = count(r, "moe_ffn_hidden_size");
    }
}

static sp_plan read_plan(const row *r, made_problem *made)
{
    made->gpus = count(r, "world_size");
    make_machine(made);
    make_model(r, &made->model);
    made->gpus = count(r, "world_size");
    made->problem.question.seq_len = count(r, "seq_length");
    made->problem.question.global_batch =
        (uint64_t)(cell(r, "dp") * cell(r, "micro_batch_size") * cell(r, "num_microbatches"));
    derive_problem(made);
    sp_plan plan = make_plan(made, (uint16_t)cell(r, "tp"), (uint16_t)cell(r, "pp"), count(r, "dp"),
                             count(r, "micro_batch_size"));
    plan.ep = (uint16_t)cell(r, "ep");
    plan.etp = (uint16_t)cell(r, "etp");
    plan.sp = cell(r, "sequence_parallel") != 0.0 ? SP_ON : SP_OFF;
    plan.zero = cell(r, "distributed_optimizer") != 0.0 ? 1 : 0;
    plan.recompute = SP_RECOMPUTE_SELECTIVE;
    if (cell(r, "vpp") > 1.0) {
        plan.vpp = (uint16_t)cell(r, "vpp");
        plan.schedule = SP_SCHEDULE_INTERLEAVED;
    }
    return plan;
}

static const sp_stage_class *first_stage(const made_problem *made, const sp_plan *plan)
{
    const sp_stage_split *s = sp_plan_split(&made->problem, plan);
    for (uint32_t i = 0; i < s->n_classes; i++) {
        if (s->classes[i].embedding) return &s->classes[i];
    }
    fail_msg("no stage has the embedding");
    return NULL;
}

static bool check_state(const row *r)
{
    made_problem made;
    if (cell(r, "mla") != 0.0 || count(r, "num_layers") % count(r, "pp") != 0) return false;
    const sp_plan plan = read_plan(r, &made);
    const sp_stage_class *stage = first_stage(&made, &plan);
    const sp_shards shards = sp_plan_shards(&made.problem, &plan);
    const sp_recipe recipe = sp_recipe_adamw(4.0);
    sp_inputs in;
    sp_inputs_build(&made.problem, &plan, false, &in);
    const sp_stage_params p = sp_stage_params_of(&in, stage);
    /* Its first stage has the final norm too. */
    const double norm =
        stage->head ? 0.0 : (double)made.model.model.norm_vectors * made.model.model.hidden;
    assert_close(p.dense + p.expert, cell(r, "params_most_loaded_shard"), 1e-5);
    const sp_units none = {0};
    const sp_state_bytes dense =
        sp_mem_state(&recipe, p.dense + norm, &none, plan.zero, shards.dense);
    const sp_state_bytes expert = sp_mem_state(&recipe, p.expert, &none, plan.zero, shards.expert);
    assert_close(dense.weights + dense.gradients + dense.optimizer + expert.weights +
                     expert.gradients + expert.optimizer,
                 MIB * cell(r, "weight_optimizer_MiB"), 1e-2);
    free_problem(&made);
    return true;
}

/* Layers of all stages in flight: (18 + 4 f / h) s b h / t each. */
static bool check_activations(const row *r)
{
    made_problem made;
    if (cell(r, "swiglu") != 0.0 || cell(r, "sequence_parallel") == 0.0) return false;
    const double t = cell(r, "tp"), p = cell(r, "pp"), v = cell(r, "vpp"),
                 h = cell(r, "hidden_size");
    const double sb = cell(r, "seq_length") * cell(r, "micro_batch_size");
    const double more = v > 0.0 ? 1.0 + (p - 1.0) / (p * v) : 1.0;
    const double ends =
        more * (8.0 * sb * p + sb * h * p) / t +
        (p == 1.0 ? 4.0 * sb * h * (1.0 + cell(r, "padded_vocab_size") / h) / t : 0.0);
    const sp_plan plan = read_plan(r, &made);
    const sp_stage_class *stage = first_stage(&made, &plan);
    sp_inputs in;
    sp_inputs_build(&made.problem, &plan, false, &in);
    const sp_schedule_kind *schedule = sp_schedule_describe((sp_schedule)plan.schedule);
    const sp_pipeline_shape shape = sp_plan_pipeline(&plan);
    const double held = sp_schedule_in_flight(schedule, &shape, 0);
    assert_close(held * sp_stage_kept_bytes(&in, stage), MIB * cell(r, "activation_MiB") - ends,
                 EXACT);
    free_problem(&made);
    return true;
}

/* At least `least` rows must be comparable. */
static void for_each_row(uint32_t least, bool (*check)(const row *r))
{
    static row r;
    char path[4096];
    const char *data = getenv("SHARDPLAN_DATA");
    if (data == NULL) skip();
    (void)snprintf(path, sizeof path, "%s/megatron-memory/dev.csv", data);
    FILE *file = fopen(path, "r");
    if (file == NULL) fail_msg("%s cannot be read", path);
    assert_non_null(fgets(r.head, sizeof r.head, file));
    r.n = split(r.head, r.names);
    uint32_t compared = 0;
    while (fgets(r.line, sizeof r.line, file) != NULL) {
        assert_int_equal(split(r.line, r.cells), r.n);
        compared += check(&r);
    }
    assert_int_equal(fclose(file), 0);
    print_message("%u rows compared\n", compared);
    assert_true(compared >= least);
}

static void the_state_is_megatrons(void **state)
{
    (void)state;
    for_each_row(9, check_state);
}

static void activations_of_gpt_are_megatrons(void **state)
{
    (void)state;
    for_each_row(3, check_activations);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_state_is_megatrons),
        cmocka_unit_test(activations_of_gpt_are_megatrons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
