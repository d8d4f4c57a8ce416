/* SPDX-License-Identifier: Apache-2.0 */
/* Laws that hold for every model that ships: shards add up to the whole, operators to the model's
 * FLOPs, activations to the published totals. */
#include "base/base.h"
#include "common/close.h"
#include "common/models.h"
#include "graph/sums.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define EXACT 1e-14

static const sp_sharding alone = {.tp = 1, .cp = 1, .ep = 1, .etp = 1, .sp = false};

typedef void (*model_law)(const sp_model *model);

/* Tries a law on every file of configs/models that can be cut: formulas cannot. */
static void for_all_models(model_law law)
{
    const char *home = getenv("SHARDPLAN_HOME");
    if (home == NULL) fail_msg("%s", "SHARDPLAN_HOME names the source tree");
    sp_arena arena = {0};
    sp_error err = {0};
    char dir[512];
    const char *const *names = NULL;
    size_t n_names = 0;
    (void)snprintf(dir, sizeof dir, "%s/configs/models", home);
    assert_int_equal(sp_dir_names(&arena, dir, ".json", &names, &n_names, &err), SP_OK);
    assert_true(n_names > 0);
    for (size_t i = 0; i < n_names; i++) {
        const sp_model *model = NULL;
        if (sp_model_find(&arena, home, names[i], &model, &err) != SP_OK) {
            fail_msg("%s: %s", names[i], err.message);
        }
        if (model->formulas == NULL) law(model);
    }
    sp_arena_fini(&arena);
}

/* The same on those, and on models with what none of the files may have. */
static void for_all_graphs(model_law law)
{
    made_model deepseek, gpt_oss;
    make_deepseek_v3(&deepseek);
    make_gpt_oss_20b(&gpt_oss);
    law(&deepseek.model);
    law(&gpt_oss.model);
    for_all_models(law);
}

static double layers_params(const sp_model *model, const sp_sharding *sharding)
{
    double sum = 0.0;
    for (uint32_t r = 0; r < model->n_runs; r++) {
        const sp_layer_kind *kind = &model->kinds[model->runs[r].kind];
        const sp_layer_params p = sp_graph_layer_params(model, kind, sharding);
        sum += model->runs[r].count * (p.dense + p.expert);
    }
    return sum;
}

static double model_params(const sp_model *model)
{
    const double table = (double)model->vocab * model->hidden;
    return layers_params(model, &alone) + sp_graph_embedding_params(model, &alone) +
           sp_graph_head_params(model, &alone) - (model->tied_embeddings ? table : 0.0);
}

static void whole_adds_up(const sp_model *model)
{
    const double sum = model_params(model);
    if (sum != (double)sp_model_parameters(model).total) {
        fail_msg("%s: %.0f, not %llu", model->name, sum,
                 (unsigned long long)sp_model_parameters(model).total);
    }
    const sp_layer_params mtp = sp_graph_mtp_params(model, &alone);
    if (mtp.dense + mtp.expert != (double)sp_model_parameters(model).mtp) {
        fail_msg("%s: %.0f of prediction modules, not %llu", model->name, mtp.dense + mtp.expert,
                 (unsigned long long)sp_model_parameters(model).mtp);
    }
}

static void layers_and_ends_add_up_to_the_parameters_of_the_model(void **state)
{
    (void)state;
    for_all_models(whole_adds_up);
}

/* The published sizes of the checkpoints without prediction modules: DeepSeek-V3
 *   2 * 129280 * 7168 + 61 (187107328 + 2 * 7168) + 3 * 3 * 7168 * 18432
 *   + 58 (257 * 3 * 7168 * 2048 + 7168 * 256) + 7168 = 671,026,404,352
 * gpt-oss-20b
 *   2 * 201088 * 2880 + 24 (26553024 + 796633952) + 2880 = 20,914,757,184 */
static void models_with_latents_sinks_and_biases_have_their_published_size(void **state)
{
    (void)state;
    made_model made;
    make_deepseek_v3(&made);
    assert_true(model_params(&made.model) == 671026404352.0);
    make_gpt_oss_20b(&made);
    assert_true(model_params(&made.model) == 20914757184.0);
}

/* Latent vectors: the projections to them, rotary key included, and their norms. */
static double replicated_latents(const sp_attention *a, double h)
{
    const double latents = (double)a->q_lora + a->kv_lora;
    return a->kv_lora > 0 ? h * (latents + a->rope_dim) + latents : 0.0;
}

/* An indexer is whole on every rank: queries from their latent vector, one key, a weight a head,
 * and the norm of the key with its bias. */
static double replicated_indexer(const sp_attention *a, double h)
{
    const double queries = (double)a->q_lora * a->index_heads * a->index_dim;
    return a->index_heads > 0
               ? queries + h * ((double)a->index_dim + a->index_heads) + 2.0 * a->index_dim
               : 0.0;
}

/* What every tensor-parallel rank holds of a layer: norms, biases of sums, router, shared gate. */
static double replicated_params(const sp_model *model, const sp_layer_kind *kind)
{
    const double h = model->hidden, norm = model->norm_vectors * h;
    const uint32_t norms = kind->attention.norms + kind->recurrent.norms + kind->ffn.norms;
    return norms * norm + replicated_latents(&kind->attention, h) +
           replicated_indexer(&kind->attention, h) + (kind->attention.out_bias ? h : 0.0) +
           kind->attention.qk_norm + (kind->ffn.bias ? h : 0.0) + h * kind->ffn.n_experts +
           (kind->ffn.router_bias ? kind->ffn.n_experts : 0.0) + (kind->ffn.shared_gate ? h : 0.0);
}

/* The outer bias of each expert, which all of its pieces hold. */
static double replicated_expert_params(const sp_model *model, const sp_layer_kind *kind)
{
    return kind->ffn.expert_bias ? (double)kind->ffn.n_experts * model->hidden : 0.0;
}

/* The sums above know the parts that most models have; graph/anything has the laws of the others,
 * over models drawn at random. */
static bool counted_by_hand(const sp_layer_kind *kind)
{
    const sp_attention *a = &kind->attention;
    return !a->factored && !a->keys_as_values && !a->kv_of_other && a->compress == 0 &&
           a->index_block == 0 && kind->n_projections == 0 && kind->vectors == 0 &&
           kind->ffn.latent == 0;
}

static void shards_add_up(const sp_model *model)
{
    for (uint32_t k = 0; k < model->n_kinds; k++) {
        const sp_layer_kind *kind = &model->kinds[k];
        if (!counted_by_hand(kind)) continue;
        const sp_layer_params whole = sp_graph_layer_params(model, kind, &alone);
        for (uint32_t tp = 1; tp <= kind->attention.kv_heads; tp++) {
            if (kind->attention.kv_heads % tp != 0) continue;
            const sp_sharding cut = {.tp = tp, .cp = 1, .ep = 1, .etp = tp, .sp = true};
            const sp_layer_params rank = sp_graph_layer_params(model, kind, &cut);
            const double twice = (tp - 1) * replicated_params(model, kind);
            assert_close(tp * rank.dense - twice, whole.dense, EXACT);
            assert_close(tp * rank.expert - (tp - 1) * replicated_expert_params(model, kind),
                         whole.expert, EXACT);
        }
    }
}

static void tensor_parallel_shards_add_up_but_for_norms_biases_and_routers(void **state)
{
    (void)state;
    for_all_graphs(shards_add_up);
}

/* Ranks beyond the key/value heads hold them again, with their biases. */
static void surplus_ranks_hold_kv_again(const sp_model *model)
{
    const sp_layer_kind *kind = &model->kinds[0];
    const sp_attention *a = &kind->attention;
    if (a->heads == 0 || !counted_by_hand(kind)) return; /* a recurrence */
    const sp_sharding cut = {.tp = a->heads, .cp = 1, .ep = 1, .etp = 1, .sp = true};
    const double tp = a->heads, d = a->head_dim;
    const double both = d + (a->v_dim > 0 ? a->v_dim : d); /* key and value */
    const double head = both * (model->hidden + (a->qkv_bias ? 1.0 : 0.0));
    const double twice = (tp - 1) * replicated_params(model, kind) + (tp - a->kv_heads) * head;
    assert_close(tp * sp_graph_layer_params(model, kind, &cut).dense - twice,
                 sp_graph_layer_params(model, kind, &alone).dense, EXACT);
}

static void ranks_beyond_the_key_value_heads_hold_them_again(void **state)
{
    (void)state;
    for_all_graphs(surplus_ranks_hold_kv_again);
}

static void expert_shards_add_up_for(const sp_model *model)
{
    for (uint32_t k = 0; k < model->n_kinds; k++) {
        const sp_layer_kind *kind = &model->kinds[k];
        const sp_layer_params whole = sp_graph_layer_params(model, kind, &alone);
        for (uint32_t ep = 1; ep <= kind->ffn.n_experts; ep++) {
            const uint32_t etp = 1u << ep % 4;
            const sp_sharding cut = {.tp = 1, .cp = 1, .ep = ep, .etp = etp, .sp = false};
            const sp_layer_params rank = sp_graph_layer_params(model, kind, &cut);
            const double biases = (etp - 1) * replicated_expert_params(model, kind);
            assert_close(ep * (double)etp * rank.expert - biases, whole.expert, EXACT);
            assert_true(rank.dense == whole.dense);
        }
    }
}

static void expert_shards_add_up_over_ep_and_etp(void **state)
{
    (void)state;
    for_all_graphs(expert_shards_add_up_for);
}

static void tables_are_cut_and_positions_and_the_last_norm_are_not(void **state)
{
    (void)state;
    made_model gpt, llama;
    make_gpt(&gpt, 512, 8, 2);
    make_llama(&llama, 1024, 8, 2, 2816, 2);
    const sp_sharding four = {.tp = 4, .cp = 1, .ep = 1, .etp = 1, .sp = true};
    assert_true(sp_graph_embedding_params(&gpt.model, &four) == 51200.0 / 4 * 512 + 4096.0 * 512);
    assert_true(sp_graph_head_params(&gpt.model, &four) == 51200.0 / 4 * 512 + 2 * 512);
    assert_true(sp_graph_embedding_params(&llama.model, &four) == 64000.0 / 4 * 1024);
    assert_true(sp_graph_head_params(&llama.model, &four) == 64000.0 / 4 * 1024 + 1024);
}

/* ---- FLOPs ---- */
static double operator_flops(const sp_model *model, double b, double s)
{
    const sp_shape shape = causal_shape(b, s);
    double sum = sp_graph_head(model, &shape, &alone).flops;
    for (uint32_t r = 0; r < model->n_runs; r++) {
        const sp_layer_work work = expand_layer(model, model->runs[r].kind, b, s, &alone, true);
        sum += model->runs[r].count * (attention_flops(&work) + ffn_flops(&work));
    }
    for (uint32_t i = 0; i < model->n_projections; i++) {
        const sp_projection *p = &model->projections[i];
        sum += 2.0 * b * s * p->in * p->out * p->blocks; /* outside layers */
    }
    return sum;
}

static void flops_add_up(const sp_model *model)
{
    for (double s = 512; s <= 8192; s *= 4) {
        const double whole = sp_graph_forward_flops(model, s, 2 * s);
        const double operators = operator_flops(model, 2, s);
        if (whole < operators * (1 - 1e-12) || whole > operators * (1 + 1e-12)) {
            fail_msg("%s, %.0f tokens: the operators do %.17g FLOPs, the model %.17g (%+.3g %%)",
                     model->name, s, operators, whole, 100 * (whole / operators - 1));
        }
    }
}

/* Both count matrix products and the causal core; norms and biases are not products. */
static void operators_add_up_to_the_forward_flops_of_the_model(void **state)
{
    (void)state;
    for_all_graphs(flops_add_up);
}

/* h = 512, 2 layers, V = 51200, 1024 tokens of s = 1024: 24 h^2 and 2 s h a layer, 2 h V for the
 * head: 1024 (2 (6,291,456 + 1,048,576) + 52,428,800) = 68,719,476,736 = 2^36. */
static void forward_flops_of_a_small_gpt_by_hand(void **state)
{
    (void)state;
    made_model gpt;
    make_gpt(&gpt, 512, 8, 2);
    assert_true(operator_flops(&gpt.model, 1, 1024) == 68719476736.0);
}

static void ranks_share_the_flops_of_a_dense_layer_evenly(void **state)
{
    (void)state;
    made_model llama;
    make_llama(&llama, 1024, 8, 8, 2816, 2);
    const sp_shape shape = causal_shape(2, 2048);
    const sp_layer_work whole = expand_layer(&llama.model, 0, 2, 2048, &alone, true);
    for (uint32_t tp = 2; tp <= 8; tp *= 2) {
        const sp_sharding cut = {.tp = tp, .cp = 1, .ep = 1, .etp = 1, .sp = tp % 4 == 0};
        const sp_layer_work rank = expand_layer(&llama.model, 0, 2, 2048, &cut, true);
        assert_close(tp * (attention_flops(&rank) + ffn_flops(&rank)),
                     attention_flops(&whole) + ffn_flops(&whole), EXACT);
        assert_close(tp * sp_graph_head(&llama.model, &shape, &cut).flops,
                     2.0 * 4096 * 64000 * 1024, EXACT);
    }
}

/* The ranks that share sequences do equal parts of all work, and keep equal parts. */
static void cp_shares_add_up(const sp_model *model)
{
    for (uint32_t k = 0; k < model->n_kinds; k++) {
        for (uint32_t cp = 2; cp <= 16; cp *= 2) {
            const sp_sharding cut = {.tp = 2, .cp = cp, .ep = 1, .etp = 1, .sp = cp > 4};
            sp_sharding uncut = cut;
            uncut.cp = 1;
            const sp_layer_work whole = expand_layer(model, k, 4, 8192, &uncut, true);
            const sp_layer_work rank = expand_layer(model, k, 4, 8192, &cut, true);
            assert_close(cp * attention_flops(&rank), attention_flops(&whole), EXACT);
            assert_close(cp * ffn_flops(&rank), ffn_flops(&whole), EXACT);
            assert_close(cp * layer_kept(&rank), layer_kept(&whole), EXACT);
            assert_close(cp * rank.working_bytes, whole.working_bytes, EXACT);
            assert_close(cp * rank.ffn.ep_bytes, whole.ffn.ep_bytes, EXACT);
        }
    }
}

static void context_parallel_ranks_share_work_and_activations_evenly(void **state)
{
    (void)state;
    for_all_graphs(cp_shares_add_up);
}

/* ---- activations ---- */
/* Korthikanti et al., MLSys 2023, table 2, bytes a layer:
 *   no parallelism                 s b h (34 + 5 a s / h)
 *   tensor                         s b h (10 + 24/t + 5 a s / (h t))
 *   tensor and sequence            s b h (34/t + 5 a s / (h t))
 * A fused core keeps 4 a s b / t bytes of log-sum-exp in place of the scores; the paper's table for
 * selective recomputation, 34 s b h / t, is what is left without the core's own bytes. */
static void gpt_layers_keep_what_korthikanti_et_al_state(void **state)
{
    (void)state;
    made_model gpt;
    make_gpt(&gpt, 1024, 16, 2);
    const double s = 2048, b = 4, h = 1024, a = 16;
    for (uint32_t t = 1; t <= 16; t *= 2) {
        sp_sharding sharding = {.tp = t, .cp = 1, .ep = 1, .etp = 1, .sp = false};
        const double scores = 5 * a * s * s * b / t, sums = 4 * a * s * b / t;
        const sp_layer_work tensor = expand_layer(&gpt.model, 0, b, s, &sharding, false);
        assert_close(layer_kept(&tensor), s * b * h * (10 + 24.0 / t) + scores, EXACT);
        sharding.sp = true;
        const sp_layer_work sequence = expand_layer(&gpt.model, 0, b, s, &sharding, false);
        assert_close(layer_kept(&sequence), 34 * s * b * h / t + scores, EXACT);
        const sp_layer_work flash = expand_layer(&gpt.model, 0, b, s, &sharding, true);
        assert_close(layer_kept(&flash), 34 * s * b * h / t + sums, EXACT);
        assert_close(layer_kept(&flash) - layer_dropped(&flash, SP_MODULE_CORE), 34 * s * b * h / t,
                     EXACT);
    }
}

/* RMSNorm, SwiGLU, grouped queries, no dropout, fused core; bytes a token:
 *   norms 2 x 2 h, their outputs (inputs of the products) 2 x 2 h, queries 2 h, attention output 2
 * h, keys and values 2 x 2 g d, gate, up and product 3 x 2 f, log-sum-exp 4 a = 12 h + 4 g d + 6 f
 * + 4 a, all of it cut by t with sequence parallelism. */
static void llama_layers_keep_12_h_4_gd_6_f_and_4_a(void **state)
{
    (void)state;
    made_model llama;
    make_llama(&llama, 4096, 32, 8, 14336, 2);
    const double tokens = 2.0 * 8192, token = 12 * 4096 + 4 * 8 * 128 + 6 * 14336 + 4 * 32;
    for (uint32_t t = 1; t <= 8; t *= 2) {
        const sp_sharding sharding = {.tp = t, .cp = 1, .ep = 1, .etp = 1, .sp = true};
        const sp_layer_work work = expand_layer(&llama.model, 0, 2, 8192, &sharding, true);
        assert_close(layer_kept(&work), tokens * token / t, EXACT);
    }
}

/* Bytes a token that each module gives back, of Korthikanti's 34 h: the outputs of both norms
 * 2 + 2; the output of GeLU 8; its input with that 16; all element-wise outputs with the two
 * dropout masks 4 + 8 + 2; the scores 5 a s. Nothing is latent. */
static void modules_of_a_gpt_layer_by_hand(void **state)
{
    (void)state;
    made_model gpt;
    make_gpt(&gpt, 1024, 16, 2);
    const double s = 2048, b = 4, h = 1024, a = 16, sbh = s * b * h;
    const sp_layer_work work = expand_layer(&gpt.model, 0, b, s, &alone, false);
    assert_close(layer_dropped(&work, SP_MODULE_CORE), 5 * a * s * s * b, EXACT);
    assert_close(layer_dropped(&work, SP_MODULE_NORM), 4 * sbh, 1e-12);
    assert_close(layer_dropped(&work, SP_MODULE_ACTIVATION), 8 * sbh, 1e-12);
    assert_close(layer_dropped(&work, SP_MODULE_FFN), 16 * sbh, 1e-12);
    assert_close(layer_dropped(&work, SP_MODULE_STREAMS), 14 * sbh, 1e-12);
    assert_close(layer_dropped(&work, SP_MODULE_NORM | SP_MODULE_ACTIVATION), 12 * sbh, 1e-12);
    assert_close(layer_dropped(&work, SP_MODULE_ACTIVATION | SP_MODULE_FFN), 16 * sbh, 1e-12);
    assert_true(layer_dropped(&work, SP_MODULE_MLA_UP) == 0.0);
    /* Inputs of products: of the projections 2, the output projection 2, both matrices 2 + 8. */
    assert_close(product_inputs(&work), 14 * sbh, EXACT);
    /* Both matrices of the block run again, 16 h^2 a token; norms and GeLU are no products. */
    assert_close(flops_again(&work, SP_MODULE_FFN), 16 * sbh * h, EXACT);
    assert_close(flops_again(&work, SP_MODULE_CORE), 2 * sbh * s, EXACT);
    assert_true(flops_again(&work, SP_MODULE_NORM | SP_MODULE_STREAMS) == 0.0);
}

/* Norm outputs 2 x 2 h; SwiGLU's output 2 f, with its inputs 6 f; log-sum-exp 4 a. */
static void modules_of_a_llama_layer_by_hand(void **state)
{
    (void)state;
    made_model llama;
    make_llama(&llama, 4096, 32, 8, 14336, 2);
    const double tokens = 2.0 * 8192, h = 4096, f = 14336;
    for (uint32_t t = 1; t <= 8; t *= 2) {
        const sp_sharding sharding = {.tp = t, .cp = 1, .ep = 1, .etp = 1, .sp = true};
        const sp_layer_work work = expand_layer(&llama.model, 0, 2, 8192, &sharding, true);
        assert_close(t * layer_dropped(&work, SP_MODULE_CORE), tokens * 4 * 32, EXACT);
        assert_close(t * layer_dropped(&work, SP_MODULE_NORM), tokens * 4 * h, EXACT);
        assert_close(t * layer_dropped(&work, SP_MODULE_ACTIVATION), tokens * 2 * f, EXACT);
        assert_close(t * layer_dropped(&work, SP_MODULE_FFN), tokens * 6 * f, EXACT);
        assert_close(t * layer_dropped(&work, SP_MODULE_STREAMS), tokens * (4 * h + 2 * f), EXACT);
        assert_close(t * product_inputs(&work), tokens * (6 * h + 2 * f), EXACT);
    }
}

/* Nothing is dropped that does not run again, and nothing runs again for nothing. */
static void dropped_tensors_have_their_operators(const sp_model *model)
{
    for (uint32_t k = 0; k < model->n_kinds; k++) {
        const sp_layer_work work = expand_layer(model, k, 1, 4096, &alone, true);
        for (uint32_t module = SP_MODULE_CORE; module <= SP_MODULE_STREAMS; module *= 2) {
            uint32_t n_ops = 0;
            for (uint32_t i = 0; i < work.n_ops; i++) {
                n_ops += (work.ops[i].modules & module) != 0;
            }
            assert_int_equal(layer_dropped(&work, module) > 0.0, n_ops > 0);
        }
    }
}

static void what_a_module_drops_its_operators_make_again(void **state)
{
    (void)state;
    for_all_graphs(dropped_tensors_have_their_operators);
}

/* Full recomputation keeps the input, 2 s b h, cut by t with sequence parallelism. */
static void the_input_of_a_layer_is_two_bytes_a_token_and_channel(void **state)
{
    (void)state;
    made_model llama;
    make_llama(&llama, 1024, 8, 8, 2816, 2);
    sp_sharding sharding = {.tp = 4, .cp = 1, .ep = 1, .etp = 1, .sp = false};
    assert_true(expand_layer(&llama.model, 0, 2, 2048, &sharding, true).input_bytes ==
                2.0 * 2 * 2048 * 1024);
    sharding.sp = true;
    assert_true(expand_layer(&llama.model, 0, 2, 2048, &sharding, true).input_bytes ==
                2.0 * 2 * 2048 * 1024 / 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_and_ends_add_up_to_the_parameters_of_the_model),
        cmocka_unit_test(models_with_latents_sinks_and_biases_have_their_published_size),
        cmocka_unit_test(tensor_parallel_shards_add_up_but_for_norms_biases_and_routers),
        cmocka_unit_test(ranks_beyond_the_key_value_heads_hold_them_again),
        cmocka_unit_test(expert_shards_add_up_over_ep_and_etp),
        cmocka_unit_test(tables_are_cut_and_positions_and_the_last_norm_are_not),
        cmocka_unit_test(operators_add_up_to_the_forward_flops_of_the_model),
        cmocka_unit_test(forward_flops_of_a_small_gpt_by_hand),
        cmocka_unit_test(ranks_share_the_flops_of_a_dense_layer_evenly),
        cmocka_unit_test(context_parallel_ranks_share_work_and_activations_evenly),
        cmocka_unit_test(gpt_layers_keep_what_korthikanti_et_al_state),
        cmocka_unit_test(llama_layers_keep_12_h_4_gd_6_f_and_4_a),
        cmocka_unit_test(modules_of_a_gpt_layer_by_hand),
        cmocka_unit_test(modules_of_a_llama_layer_by_hand),
        cmocka_unit_test(what_a_module_drops_its_operators_make_again),
        cmocka_unit_test(the_input_of_a_layer_is_two_bytes_a_token_and_channel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
