/* SPDX-License-Identifier: Apache-2.0 */
/* Our memory beside Calculon's (calculon-ai/calculon, caa4b11), case by case over its reference
 * outputs in $SHARDPLAN_DATA/calculon-golden. What means the same is equal; what does not:
 * - it has no ends, biases or positions, so the models here have none either;
 * - of fp32 gradients it counts one block, the others in the format of the weights: one block is
 *   compared;
 * - a checkpoint is the whole input of a block even where tensor parallelism cuts the sequence;
 * - with few micro-batches its interleaved schedule holds no fewer than with many;
 * - an attention that it recomputes still keeps what it gathers unless "seq_par_ag_redo" is set.
 * Cases beyond these are not compared. */
#include "base/base.h"
#include "common/close.h"
#include "common/models.h"
#include "step/step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define EXACT 1e-12

/* One case of the file. */
typedef struct golden {
    sp_json execution, stats, model;
    uint32_t tp, pp, vpp, batches;
    double micro_batch, seq;
} golden;

static double number(const sp_json *object, const char *key)
{
    sp_error err = {0};
    double value = 0.0;
    if (sp_json_double(object, key, -1e300, 1e300, &value, &err) != SP_OK)
        fail_msg("%s", err.message);
    return value;
}

static const char *word(const sp_json *object, const char *key)
{
    sp_error err = {0};
    const char *text = NULL;
    if (sp_json_string(object, key, &text, &err) != SP_OK) fail_msg("%s", err.message);
    return text;
}

static bool flag(const sp_json *object, const char *key)
{
    sp_error err = {0};
    bool on = false;
    if (sp_json_bool(object, key, &on, &err) != SP_OK) fail_msg("%s", err.message);
    return on;
}

/* A GPT without ends, biases and positions. */
static void make_model(const golden *g, made_model *made)
{
    make_gpt(made, (uint32_t)number(&g->model, "hidden"), 1,
             (uint32_t)number(&g->model, "num_blocks"));
    sp_layer_kind *kind = &made->model.kinds[0];
    const uint32_t heads = (uint32_t)number(&g->model, "attn_heads");
    const bool shared = strcmp(word(&g->execution, "attention_type"), "multiquery") == 0;
    kind->attention = (sp_attention){.norms = 1,
                                     .heads = heads,
                                     .kv_heads = shared ? 1 : heads,
                                     .head_dim = (uint32_t)number(&g->model, "attn_size")};
    kind->ffn = (sp_ffn){.norms = 1, .ffn = (uint32_t)number(&g->model, "feedforward")};
}

static void expand(const golden *g, bool sequence_parallel, sp_layer_work *work)
{
    made_model made;
    make_model(g, &made);
    const sp_shape shape = {.sequences = g->micro_batch,
                            .tokens = g->micro_batch * g->seq,
                            .length = g->seq,
                            .context = g->seq / 2.0};
    const sp_sharding sharding = {
        .tp = g->tp, .cp = 1, .ep = 1, .etp = 1, .sp = sequence_parallel && g->tp > 1};
    sp_graph_layer(&made.model, &made.model.kinds[0], &shape, &sharding, false, work);
}

/* ---- what is compared ---- */

static bool in_16_bits(const golden *g)
{
    const char *type = word(&g->execution, "datatype");
    return strcmp(type, "float16") == 0 || strcmp(type, "bfloat16") == 0;
}

static bool check_state(const golden *g)
{
    if (!in_16_bits(g)) return false;
    const double dp = number(&g->execution, "data_par");
    const bool sharded = flag(&g->execution, "optimizer_sharding");
    const sp_recipe recipe = sp_recipe_adamw(4.0);
    sp_layer_work work;
    expand(g, false, &work);
    const sp_state_bytes s = sp_mem_state(&recipe, work.params.dense, &(sp_units){0},
                                          sharded ? 1 : 0, sharded ? (uint32_t)dp : 1);
    assert_close(s.weights, number(&g->stats, "block_weight_space"), EXACT);
    assert_close(s.optimizer, number(&g->stats, "block_optimizer_space"), EXACT);
    assert_close(s.gradients, number(&g->stats, "block_weight_grad_space_no_sharding"), EXACT);
    return true;
}

/* The input of a block. */
static bool check_checkpoint(const golden *g)
{
    if (!in_16_bits(g) || strcmp(word(&g->execution, "activation_recompute"), "full") != 0)
        return false;
    sp_layer_work work;
    expand(g, false, &work);
    const sp_keeping keeping = {.full = true, .product_bytes = 2.0};
    assert_close(sp_mem_layer(&work, &keeping).kept, number(&g->stats, "block_act_checkpoint_size"),
                 EXACT);
    return true;
}

/* 34 s b h / t, and the scores where they are kept. */
static bool check_kept(const golden *g)
{
    const char *redo = word(&g->execution, "activation_recompute");
    const bool same = strcmp(word(&g->execution, "tensor_par_comm_type"), "rs_ag") == 0 &&
                      flag(&g->execution, "seq_par_ag_redo") &&
                      !flag(&g->execution, "fused_activation") &&
                      strcmp(word(&g->execution, "attention_type"), "multihead") == 0;
    if (!in_16_bits(g) || !same || strcmp(redo, "full") == 0) return false;
    sp_layer_work work;
    expand(g, true, &work);
    const sp_keeping keeping = {.modules = strcmp(redo, "none") == 0 ? 0 : SP_MODULE_CORE,
                                .product_bytes = 2.0};
    assert_close(sp_mem_layer(&work, &keeping).kept, number(&g->stats, "block_act_storage_space"),
                 EXACT);
    return true;
}

/* Checkpoints of a stage over those of its blocks: micro-batches in flight on the first stage. */
static bool check_in_flight(const golden *g)
{
    const double one = number(&g->stats, "block_act_checkpoint_size");
    if (one == 0.0 || g->batches < 2 * g->pp) return false;
    const double layers = number(&g->model, "num_blocks");
    const double blocks = (double)(((uint32_t)layers + g->pp - 1) / g->pp);
    const sp_schedule_kind *schedule =
        sp_schedule_describe(g->vpp > 1 ? SP_SCHEDULE_INTERLEAVED : SP_SCHEDULE_1F1B);
    const sp_pipeline_shape shape = {.p = g->pp, .v = g->vpp, .m = g->batches};
    const double held = sp_schedule_in_flight(schedule, &shape, 0);
    assert_close(held, number(&g->stats, "act_checkpoint_size") / (blocks * one), EXACT);
    return true;
}

/* ---- the file ---- */

static sp_json load(const char *folder, const char *name, sp_json_doc **doc)
{
    char path[4096];
    sp_error err = {0};
    (void)snprintf(path, sizeof path, "%s/%s.json", folder, name);
    if (sp_json_load_file(path, doc, &err) != SP_OK) fail_msg("%s", err.message);
    return sp_json_root(*doc);
}

/* False for inference and what Calculon refused. */
static bool ask_case(const char *folder, const sp_json *record, bool (*check)(const golden *g))
{
    golden g = {.execution = sp_json_get(record, "execution")};
    if (!flag(record, "ok") || !flag(&g.execution, "training")) return false;
    sp_json_doc *model = NULL;
    g.stats = sp_json_get(record, "stats");
    g.model = load(folder, word(record, "model"), &model);
    g.tp = (uint32_t)number(&g.execution, "tensor_par");
    g.pp = (uint32_t)number(&g.execution, "pipeline_par");
    g.vpp = (uint32_t)number(&g.execution, "pipeline_interleaving");
    g.micro_batch = number(&g.execution, "microbatch_size");
    g.batches = (uint32_t)(number(&g.execution, "batch_size") /
                           (number(&g.execution, "data_par") * g.micro_batch));
    g.seq = number(&g.model, "seq_size");
    const bool compared = check(&g);
    sp_json_free(model);
    return compared;
}

/* Calls check with each accepted training case; at least `least` of them must be comparable. */
static void for_each_case(uint32_t least, bool (*check)(const golden *g))
{
    static char line[1 << 16];
    char path[3072], folder[3072];
    const char *data = getenv("SHARDPLAN_DATA");
    if (data == NULL) skip();
    (void)snprintf(path, sizeof path, "%s/calculon-golden/dev.jsonl", data);
    (void)snprintf(folder, sizeof folder, "%s/calculon-golden/models", data);
    FILE *file = fopen(path, "r");
    if (file == NULL) fail_msg("%s cannot be read", path);
    uint32_t compared = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        sp_json_doc *doc = NULL;
        sp_error err = {0};
        if (sp_json_load_text(line, strlen(line), path, &doc, &err) != SP_OK)
            fail_msg("%s", err.message);
        const sp_json record = sp_json_root(doc);
        compared += ask_case(folder, &record, check);
        sp_json_free(doc);
    }
    assert_int_equal(fclose(file), 0);
    print_message("%u cases compared\n", compared);
    assert_true(compared >= least);
}

static void weights_gradients_and_optimizer_are_calculons(void **state)
{
    (void)state;
    for_each_case(50, check_state);
}

static void checkpoints_are_calculons(void **state)
{
    (void)state;
    for_each_case(20, check_checkpoint);
}

static void activations_are_calculons(void **state)
{
    (void)state;
    for_each_case(5, check_kept);
}

static void micro_batches_in_flight_are_calculons(void **state)
{
    (void)state;
    for_each_case(15, check_in_flight);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_gradients_and_optimizer_are_calculons),
        cmocka_unit_test(checkpoints_are_calculons),
        cmocka_unit_test(activations_are_calculons),
        cmocka_unit_test(micro_batches_in_flight_are_calculons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
