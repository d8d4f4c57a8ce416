/* SPDX-License-Identifier: Apache-2.0 */
/* Layers of published models while they decode, and what they remember of a sequence, by hand. */
#include "common/close.h"
#include "common/models.h"
#include "graph/sums.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define EXACT 1e-14

static const sp_sharding alone = {.tp = 1, .cp = 1, .ep = 1, .etp = 1, .sp = false};

static sp_layer_work decode(const sp_model *model, uint32_t kind, double sequences, double past,
                            const sp_sharding *sharding)
{
    const sp_shape shape = {.sequences = sequences,
                            .tokens = sequences,
                            .length = 1,
                            .context = past + 1,
                            .past = past,
                            .absorbed = true};
    sp_layer_work work;
    sp_graph_layer(model, &model->kinds[kind], &shape, sharding, true, &work);
    return work;
}

/* 128 heads, 16 on a rank; 64 sequences of 4096. Queries of 128 without rotation meet the latent
 * space of 512; the core has keys of 512 + 64 and values of 512, read once for all heads. */
static void absorbed_latent_attention_of_deepseek_v3(void **state)
{
    (void)state;
    made_model made;
    make_deepseek_v3(&made);
    const sp_sharding eight = {.tp = 8, .cp = 1, .ep = 1, .etp = 1, .sp = false};
    const sp_layer_work work = decode(&made.model, 0, 64, 4095, &eight);
    const sp_op *absorb = find_op(&work, "q_absorb"), *release = find_op(&work, "output_absorb");
    assert_true(absorb->m == 64 && absorb->n == 512 && absorb->k == 128 && absorb->count == 16);
    assert_true(release->m == 64 && release->n == 128 && release->k == 512 && release->count == 16);
    assert_true(absorb->flops == 2.0 * 64 * 512 * 128 * 16);
    const sp_op *core = find_op(&work, "attention_core");
    assert_true(core->m == 1 && core->n == 4096 && core->k == 576 && core->v == 512);
    assert_true(core->count == 16 * 64);
    assert_true(core->flops == 2.0 * 64 * 16 * 4096 * (576 + 512));
    assert_true(core->bytes == 2.0 * 64 * 4096 * 576);
}

/* Both forms have the same weights, and their products give the same scores: what differs is the
 * work. One query of 4096 keys: absorbed 2 * 128 (512 + 128) * 128... against building all keys. */
static void absorption_saves_building_keys_and_values(void **state)
{
    (void)state;
    made_model made;
    make_deepseek_v3(&made);
    sp_shape shape = {.sequences = 1, .tokens = 1, .length = 1, .context = 4096, .past = 4095};
    sp_layer_work expanded;
    sp_graph_layer(&made.model, &made.model.kinds[0], &shape, &alone, true, &expanded);
    const sp_layer_work absorbed = decode(&made.model, 0, 1, 4095, &alone);
    const sp_op *up = find_op(&expanded, "kv_up");
    assert_true(up->m == 4096 && up->n == 128 * 256 && up->k == 512);
    const double absorb = 2 * 2.0 * 128 * 128 * 512;
    const double cores =
        find_op(&absorbed, "attention_core")->flops - find_op(&expanded, "attention_core")->flops;
    assert_close(attention_flops(&expanded) - up->flops,
                 attention_flops(&absorbed) - absorb - cores, EXACT);
}

/* DeepSeek-V3.2 at 131,072 tokens: 64 small heads of 128 weigh all keys, of which 2048 are met. */
static void sparse_attention_of_deepseek_v3_2(void **state)
{
    (void)state;
    made_model made;
    make_deepseek_v3(&made);
    sp_attention *a = &made.model.kinds[0].attention;
    const double before = sp_graph_layer_params(&made.model, &made.model.kinds[0], &alone).dense;
    a->index_heads = 64;
    a->index_dim = 128;
    a->index_top_k = 2048;
    /* Queries 1536 x 8192, key 7168 x 128, weights 7168 x 64, LayerNorm 2 * 128. */
    assert_true(sp_graph_layer_params(&made.model, &made.model.kinds[0], &alone).dense - before ==
                13959424.0);
    const sp_layer_work work = decode(&made.model, 0, 1, 131071, &alone);
    const sp_op *scores = find_op(&work, "index_scores"), *core = find_op(&work, "attention_core");
    assert_true(scores->flops == 2147483648.0);
    assert_true(scores->bytes == 2.0 * 128 * 131072);
    assert_true(core->flops == 2.0 * 2048 * 128 * 1088);
    assert_true(core->bytes == 2.0 * 2048 * 576);
    const sp_cache cache = sp_graph_cache(&made.model.kinds[0], &alone);
    assert_true(cache.token == 576 + 128);
}

/* gpt-oss-20b: a window of 128 of 4001 tokens, 8 key/value heads of 64, 64 query heads. */
static void a_sliding_window_reads_its_tokens_alone(void **state)
{
    (void)state;
    made_model made;
    make_gpt_oss_20b(&made);
    const sp_layer_work near = decode(&made.model, 0, 2, 4000, &alone);
    const sp_layer_work all = decode(&made.model, 1, 2, 4000, &alone);
    assert_true(find_op(&near, "attention_core")->flops == 2.0 * 2 * 128 * 64 * 128);
    assert_true(find_op(&near, "attention_core")->bytes == 2.0 * 2 * 128 * 8 * 128);
    assert_true(find_op(&all, "attention_core")->bytes == 2.0 * 2 * 4001 * 8 * 128);
    assert_true(find_op(&near, "attention_core")->vectors == 64);
}

/* Windows keep their newest tokens, full layers all, ranks beyond the heads one head each; a latent
 * vector is whole on every rank. */
static void caches_by_hand(void **state)
{
    (void)state;
    made_model oss, deepseek;
    make_gpt_oss_20b(&oss);
    make_deepseek_v3(&deepseek);
    const sp_sharding sixteen = {.tp = 16, .cp = 1, .ep = 1, .etp = 1, .sp = false};
    const sp_cache near = sp_graph_cache(&oss.model.kinds[0], &alone);
    assert_true(near.token == 0 && near.near_token == 8 * 128 && near.near_tokens == 128);
    assert_true(sp_cache_elements(&near, 100) == 100.0 * 1024);
    assert_true(sp_cache_elements(&near, 4000) == 128.0 * 1024);
    const sp_cache all = sp_graph_cache(&oss.model.kinds[1], &sixteen);
    assert_true(sp_cache_elements(&all, 4000) == 4000.0 * 128);
    const sp_cache latent = sp_graph_cache(&deepseek.model.kinds[0], &sixteen);
    assert_true(latent.token == 576);
}

/* Values made of the keys are kept beside them (Gemma 4 rotates keys alone), unless both are one
 * tensor (DeepSeek-V4), those of another layer not at all; compressed ones for
 * each group of tokens, beside the window. */
static void caches_of_shared_and_compressed_keys(void **state)
{
    (void)state;
    sp_layer_kind kind = {
        .attention = {.heads = 64,
                      .kv_heads = 1,
                      .head_dim = 512,
                      .keys_as_values = true,
                      .kv_cached_once = true}
    };
    assert_true(sp_graph_cache(&kind, &alone).token == 512);
    kind.attention.kv_cached_once = false;
    assert_true(sp_graph_cache(&kind, &alone).token == 1024);
    kind.attention.kv_cached_once = true;
    kind.attention.window = 128;
    kind.attention.compress = 4;
    kind.attention.index_heads = 64;
    kind.attention.index_dim = 128;
    const sp_cache cache = sp_graph_cache(&kind, &alone);
    assert_true(sp_cache_elements(&cache, 4096) == 128 * 512 + 1024 * (512.0 + 128));
    kind.attention = (sp_attention){.heads = 8, .kv_heads = 4, .head_dim = 64, .kv_of_other = true};
    assert_true(sp_cache_elements(&(sp_cache){0}, 10) == 0.0);
    assert_true(sp_graph_cache(&kind, &alone).token == 0.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(absorbed_latent_attention_of_deepseek_v3),
        cmocka_unit_test(absorption_saves_building_keys_and_values),
        cmocka_unit_test(sparse_attention_of_deepseek_v3_2),
        cmocka_unit_test(a_sliding_window_reads_its_tokens_alone),
        cmocka_unit_test(caches_by_hand),
        cmocka_unit_test(caches_of_shared_and_compressed_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
