/* SPDX-License-Identifier: Apache-2.0 */
/* What training Llama-2-7B is held in, by hand: 32 layers with 4 h^2 + 3 h f numbers in matrices
 * and 2 h in norms (h = 4096, f = 11008), embedding and head of 32,000 h, a last norm of h. */
#include "common/close.h"
#include "common/shipped.h"
#include "step/step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define EXACT    1e-12
#define H        4096.0
#define F        11008.0
#define MATRICES (32 * (4 * H * H + 3 * H * F))
#define NORMS    (32 * 2 * H)
#define TABLE    (32000 * H)
#define PARAMS   (MATRICES + NORMS + 2 * TABLE + H)

typedef struct asked {
    const char *engine, *cluster, *optimizer, *plan;
    sp_gradients gradients;
    sp_task task;
} asked;

static sp_problem *build(const asked *a)
{
    sp_question q = sp_question_default();
    q.home = source_home();
    q.model = "llama-2-7b";
    q.cluster = a->cluster != NULL ? a->cluster : "dgx-a100-80g";
    q.gpus = "1,2,4,8,16";
    q.engine = a->engine != NULL ? a->engine : "any";
    q.seq_len = 2048;
    q.global_batch = 64;
    q.task = a->task;
    q.lora_rank = 16;
    q.gradients = a->gradients;
    if (a->optimizer != NULL) q.optimizer = a->optimizer;
    return build_problem(&q);
}

static sp_estimate estimate(const asked *a)
{
    sp_problem *problem = build(a);
    const sp_plan plan = plan_on(problem, a->plan != NULL ? a->plan : "gpus=1,zero=0");
    sp_estimate out;
    sp_estimate_plan(problem, &plan, &out);
    sp_problem_free(problem);
    return out;
}

static sp_memory memory(const asked *a)
{
    return estimate(a).memory;
}

/* ---- state ---- */

static void the_model_is_the_one_counted_by_hand(void **state)
{
    (void)state;
    sp_problem *problem = build(&(asked){0});
    assert_true((double)problem->parameters.total == PARAMS);
    assert_true(PARAMS == 6738415616.0);
    sp_problem_free(problem);
}

/* 2 + 4 + 4 + 8, Megatron-LM's 18 bytes; 14 with moments of 16 bits; 10 and 14 for SGD. */
static void alike_for_all_tensors_state_is_bytes_by_parameters(void **state)
{
    static const struct {
        const char *name;
        double optimizer_bytes;
    } cases[] = {
        {"adamw",        12},
        {"adamw-bf16",   8 },
        {"sgd",          4 },
        {"sgd-momentum", 8 }
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const sp_memory m = memory(&(asked){.optimizer = cases[i].name});
        assert_close(m.weights_bytes + m.gradients_bytes, 6 * PARAMS, EXACT);
        assert_close(m.optimizer_bytes, cases[i].optimizer_bytes * PARAMS, EXACT);
    }
}

/* 2 (1 + 4/256) bytes but for the embedding, which Transformers keeps at 32 bits; norms of 4096
 * are not fewer than 4096. */
static void adamw8bit_keeps_the_embedding_in_32_bits(void **state)
{
    (void)state;
    const sp_memory m = memory(&(asked){.optimizer = "adamw8bit"});
    assert_close(m.optimizer_bytes, 4 * PARAMS + 2.03125 * (PARAMS - TABLE) + 8 * TABLE, EXACT);
}

/* DeepSpeed's partitions are pieces of one vector: all of them are of 8 bits. 2 + 2 whole, then
 * 4 + 2.03125 and 4 of flattened gradients over 8 ranks. */
static void flat_partitions_are_all_alike(void **state)
{
    (void)state;
    const sp_memory m =
        memory(&(asked){.engine = "deepspeed", .optimizer = "adamw8bit", .plan = "gpus=8,zero=1"});
    assert_close(m.weights_bytes + m.gradients_bytes, 4 * PARAMS, EXACT);
    assert_close(m.optimizer_bytes, (4 + 2.03125 + 4) * PARAMS / 8, EXACT);
}

/* Rows: 3 h + h + 2 f + h a layer, the tables' 64,000 and the last norm's 1; columns h, h, h and f,
 * and h for each end. Norms of layers in full. */
static void adafactor_holds_rows_and_columns(void **state)
{
    (void)state;
    const double rows = 32 * (5 * H + 2 * F) + 64000 + 1, columns = 32 * (3 * H + F) + 2 * H;
    const asked one = {.optimizer = "adafactor"};
    assert_close(memory(&one).optimizer_bytes, 4 * (PARAMS + rows + columns + NORMS), EXACT);
    /* shards by rows: columns are whole on each of 8 */
    const asked eight = {.optimizer = "adafactor", .plan = "gpus=8,zero=1"};
    assert_close(memory(&eight).optimizer_bytes, 4 * ((PARAMS + rows + NORMS) / 8 + columns),
                 EXACT);
}

static void muon_has_one_momentum_for_matrices_of_layers(void **state)
{
    (void)state;
    const sp_memory m = memory(&(asked){.optimizer = "muon"});
    assert_close(m.optimizer_bytes, 4 * PARAMS + 4 * MATRICES + 8 * (PARAMS - MATRICES), EXACT);
}

/* ---- the engine's part ---- */

/* Megatron-Core, precision-aware optimizer: bf16 weights, the 16 bits they lack, moments of 16
 * bits, fp32 or bf16 gradients: 12 and 10 bytes a parameter. */
static void megatron_stores_the_bits_that_bf16_lacks(void **state)
{
    (void)state;
    asked a = {.engine = "megatron", .optimizer = "adamw-bf16"};
    const sp_memory wide = memory(&a);
    assert_close(wide.weights_bytes + wide.gradients_bytes + wide.optimizer_bytes, 12 * PARAMS,
                 EXACT);
    a.gradients = SP_GRADIENTS_BF16;
    const sp_memory narrow = memory(&a);
    assert_close(narrow.weights_bytes + narrow.gradients_bytes + narrow.optimizer_bytes,
                 10 * PARAMS, EXACT);
    a.engine = "megatron@0.12";
    assert_close(memory(&a).optimizer_bytes, 8 * PARAMS, EXACT);
}

/* BF16_Optimizer: 2 of weights, 4 of sums and 2 of the micro-batch whole; 12 over 8 ranks, their
 * gradients flat already. fp16 has no twin. */
static void deepspeed_holds_two_gradients_in_bf16(void **state)
{
    (void)state;
    asked a = {.engine = "deepspeed", .plan = "gpus=8,zero=1", .gradients = SP_GRADIENTS_FP32};
    const sp_memory bf16 = memory(&a);
    assert_close(bf16.gradients_bytes, 6 * PARAMS, EXACT);
    assert_close(bf16.optimizer_bytes, 12 * PARAMS / 8, EXACT);
    a.plan = "gpus=8,zero=1,precision=fp16";
    assert_close(memory(&a).gradients_bytes, 4 * PARAMS, EXACT);
    a.plan = "gpus=8,zero=2";
    assert_close(memory(&a).gradients_bytes, 4 * PARAMS / 8, EXACT);
    a.gradients = SP_GRADIENTS_AUTO;
    assert_close(memory(&a).gradients_bytes, 2 * PARAMS / 8, EXACT);
}

static double added_bytes(const char *engine, sp_gradients gradients)
{
    sp_problem *problem = build(&(asked){.engine = engine, .gradients = gradients});
    const double added = problem->rates.added_bytes;
    sp_problem_free(problem);
    return added;
}

/* Autograd reads the new gradient and the sum and writes the sum: 2 + 2 + 2 bytes, 2 + 4 + 4 into
 * fp32. BF16_Optimizer clears its 2-byte gradient (2), lets autograd add to it (6) and adds that
 * (10). From v3.0 on the products of Megatron-LM add. */
static void gradients_are_added_in_a_pass_of_their_own(void **state)
{
    (void)state;
    assert_true(added_bytes("megatron-deepspeed@0.6", SP_GRADIENTS_AUTO) == 6.0);
    assert_true(added_bytes("megatron-deepspeed@0.6", SP_GRADIENTS_FP32) == 18.0);
    assert_true(added_bytes("megatron-lm@2.5", SP_GRADIENTS_FP32) == 10.0);
    assert_true(added_bytes("megatron-lm@2.5", SP_GRADIENTS_BF16) == 6.0);
    assert_true(added_bytes("megatron-lm@3.0", SP_GRADIENTS_FP32) == 0.0);
    assert_true(added_bytes("megatron", SP_GRADIENTS_FP32) == 0.0);
}

/* PyTorch: fp32 shards of weights, gradients and moments. */
static void fsdp_shards_16_bytes(void **state)
{
    (void)state;
    const sp_memory m = memory(&(asked){.engine = "fsdp", .plan = "gpus=8,zero=3"});
    assert_close(m.weights_bytes, 4 * PARAMS / 8, EXACT);
    assert_close(m.gradients_bytes, 4 * PARAMS / 8, EXACT);
    assert_close(m.optimizer_bytes, 8 * PARAMS / 8, EXACT);
}

/* Whole for fsdp from the first pass to the last, 2 bytes each; torchtitan wraps them apart. */
static void the_root_unit_of_fsdp_stays_gathered(void **state)
{
    (void)state;
    sp_problem *problem = build(&(asked){.engine = "fsdp"});
    assert_true(problem->profile->root_unit);
    sp_problem_free(problem);
    problem = build(&(asked){.engine = "torchtitan"});
    assert_false(problem->profile->root_unit);
    sp_problem_free(problem);
}

/* ---- low precision ---- */

/* Matrices of layers in fp8 twice where products take one layout, once on Blackwell; mxfp8 twice
 * with scales; nvfp4 beside 16 bits. The rest stays at 2 bytes. */
static void weights_are_held_as_their_products_take_them(void **state)
{
    static const struct {
        const char *cluster, *plan;
        double matrix_bytes;
    } cases[] = {
        {"dgx-h100", "gpus=8,zero=1,precision=fp8",   2        },
        {"dgx-h100", "gpus=8,zero=0,precision=fp8",   4        },
        {"dgx-b200", "gpus=8,zero=1,precision=fp8",   1        },
        {"dgx-b200", "gpus=8,zero=1,precision=mxfp8", 2.0625   },
        {"dgx-b200", "gpus=8,zero=1,precision=nvfp4", 2 + 1.125},
        {"dgx-b200", "gpus=8,zero=1,precision=bf16",  2        },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const sp_memory m = memory(
            &(asked){.engine = "megatron", .cluster = cases[i].cluster, .plan = cases[i].plan});
        assert_close(m.weights_bytes, cases[i].matrix_bytes * MATRICES + 2 * (PARAMS - MATRICES),
                     EXACT);
    }
    const sp_memory titan = memory(&(asked){
        .engine = "torchtitan", .cluster = "dgx-h100", .plan = "gpus=8,zero=3,precision=fp8"});
    assert_close(titan.weights_bytes, 4 * PARAMS / 8, EXACT);
}

/* ---- adapters ---- */

/* NF4 with double-quantised constants, 0.516 bytes, for matrices of layers alone; a pair of 16
 * columns beside qkv, output, gate and up, and down. */
static void qlora_packs_matrices_and_nothing_else(void **state)
{
    (void)state;
    const double adapters = 32 * 16 * ((H + 3 * H) + (H + H) + (H + 2 * F) + (F + H));
    const sp_memory m = memory(&(asked){.task = SP_TASK_QLORA});
    assert_close(m.weights_bytes, 0.516 * MATRICES + 2 * (PARAMS - MATRICES) + 2 * adapters, EXACT);
    assert_close(m.optimizer_bytes, 12 * adapters, EXACT);
    const sp_memory lora = memory(&(asked){.task = SP_TASK_LORA});
    assert_close(lora.weights_bytes, 2 * (PARAMS + adapters), EXACT);
    assert_close(lora.optimizer_bytes, 12 * adapters, EXACT);
}

/* ---- offload ---- */

/* The host holds the state of its half and fp32 gradients for it. */
static void the_host_holds_the_state_of_each_optimizer(void **state)
{
    static const struct {
        const char *name;
        double state_bytes;
    } cases[] = {
        {"adamw",        12},
        {"adamw-bf16",   8 },
        {"sgd",          4 },
        {"sgd-momentum", 8 }
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const sp_memory m = memory(
            &(asked){.optimizer = cases[i].name, .plan = "gpus=8,zero=3,offload_optimizer=0.5"});
        assert_close(m.host_bytes, 0.5 * (cases[i].state_bytes + 4) * PARAMS / 8, EXACT);
        assert_close(m.optimizer_bytes, 0.5 * cases[i].state_bytes * PARAMS / 8, EXACT);
    }
}

/* ---- the update ---- */

/* Adafactor works on fp32 copies of one tensor at a time: three of the embedding. */
static void adafactor_peaks_where_it_updates_the_largest_table(void **state)
{
    (void)state;
    sp_problem *problem = build(&(asked){.optimizer = "adafactor"});
    sp_plan plan = sp_plan_default();
    plan.gpus = 1;
    sp_plan_derive(&plan, 64);
    sp_inputs in;
    sp_inputs_build(problem, &plan, false, &in);
    const sp_stage_class whole = {.layers = {32}, .n_stages = 1, .embedding = true, .head = true};
    const sp_stage_params params = sp_stage_params_of(&in, &whole);
    assert_close(sp_update_bytes(&in, &params, PARAMS), 12 * (TABLE + H), EXACT);
    sp_problem_free(problem);
}

/* 2 of gradients twice, 4 + 8 both ways, 2: 30; with fp32 gradients 34. Muon adds the products of
 * 5 iterations: (4 r^2 c + 2 r^3) for each of 4 matrices of 32 layers, at no more than the peak. */
static void an_update_takes_what_it_moves_and_multiplies(void **state)
{
    (void)state;
    const double r3 = H * H * H, up = 4 * H * H * 2 * F, down = 4 * H * H * F;
    const double flops = 5 * 32 * (4 * 3 * r3 + 4 * r3 + up + down + 4 * 2 * r3);
    const sp_estimate adamw = estimate(&(asked){0}), muon = estimate(&(asked){.optimizer = "muon"});
    const sp_estimate narrow = estimate(&(asked){.optimizer = "sgd"});
    assert_true(muon.time.optimizer_s > flops / 312e12);
    assert_true(muon.time.optimizer_s < adamw.time.optimizer_s + 3 * flops / 312e12);
    /* 2 * 4 + 2 * 4 + 2 of 34 */
    assert_close(narrow.time.optimizer_s, adamw.time.optimizer_s * 18 / 34, 1e-9);
}

/* ---- effect of every choice ---- */

static void every_optimizer_has_its_own_name_and_holds_less_than_adamw(void **state)
{
    static const char *const names[] = {"adamw",        "adamw-bf16", "adamw8bit", "sgd",
                                        "sgd-momentum", "adafactor",  "muon"};
    enum { N = sizeof names / sizeof names[0] };
    double bytes[N];
    char prints[N][33];
    (void)state;
    for (size_t i = 0; i < N; i++) {
        const asked a = {.optimizer = names[i]};
        sp_problem *problem = build(&a);
        memcpy(prints[i], problem->fingerprint, sizeof prints[i]);
        sp_problem_free(problem);
        bytes[i] = memory(&a).optimizer_bytes;
        assert_true(i == 0 || bytes[i] < bytes[0]);
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(prints[i], prints[k]);
        }
    }
}

static void the_format_of_gradients_changes_memory_and_name(void **state)
{
    (void)state;
    char prints[SP_N_GRADIENTS][33];
    for (int i = 0; i < SP_N_GRADIENTS; i++) {
        sp_problem *problem = build(&(asked){.gradients = (sp_gradients)i});
        memcpy(prints[i], problem->fingerprint, sizeof prints[i]);
        sp_problem_free(problem);
    }
    assert_string_not_equal(prints[SP_GRADIENTS_FP32], prints[SP_GRADIENTS_BF16]);
    assert_string_not_equal(prints[SP_GRADIENTS_AUTO], prints[SP_GRADIENTS_BF16]);
    assert_close(memory(&(asked){.gradients = SP_GRADIENTS_FP32}).gradients_bytes, 4 * PARAMS,
                 EXACT);
    assert_close(memory(&(asked){.gradients = SP_GRADIENTS_BF16}).gradients_bytes, 2 * PARAMS,
                 EXACT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_model_is_the_one_counted_by_hand),
        cmocka_unit_test(alike_for_all_tensors_state_is_bytes_by_parameters),
        cmocka_unit_test(adamw8bit_keeps_the_embedding_in_32_bits),
        cmocka_unit_test(flat_partitions_are_all_alike),
        cmocka_unit_test(adafactor_holds_rows_and_columns),
        cmocka_unit_test(muon_has_one_momentum_for_matrices_of_layers),
        cmocka_unit_test(megatron_stores_the_bits_that_bf16_lacks),
        cmocka_unit_test(deepspeed_holds_two_gradients_in_bf16),
        cmocka_unit_test(gradients_are_added_in_a_pass_of_their_own),
        cmocka_unit_test(fsdp_shards_16_bytes),
        cmocka_unit_test(the_root_unit_of_fsdp_stays_gathered),
        cmocka_unit_test(weights_are_held_as_their_products_take_them),
        cmocka_unit_test(qlora_packs_matrices_and_nothing_else),
        cmocka_unit_test(the_host_holds_the_state_of_each_optimizer),
        cmocka_unit_test(adafactor_peaks_where_it_updates_the_largest_table),
        cmocka_unit_test(an_update_takes_what_it_moves_and_multiplies),
        cmocka_unit_test(every_optimizer_has_its_own_name_and_holds_less_than_adamw),
        cmocka_unit_test(the_format_of_gradients_changes_memory_and_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
