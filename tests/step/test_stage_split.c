/* SPDX-License-Identifier: Apache-2.0 */
/* Layers dealt to pipeline stages: by hand, and for every depth of models up to 128 layers. */
#include "common/close.h"
#include "common/problems.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void make_layers(made_problem *made, uint32_t layers)
{
    make_machine(made);
    make_llama(&made->model, 1024, 8, 8, 2816, layers);
    derive_problem(made);
}

static uint32_t layers_of(const sp_stage_class *stage)
{
    uint32_t sum = 0;
    for (uint32_t k = 0; k < SP_MODEL_MAX_KINDS; k++) {
        sum += stage->layers[k];
    }
    return sum;
}

static const sp_stage_class *stage_with(const sp_stage_split *split, bool embedding, bool head)
{
    for (uint32_t i = 0; i < split->n_classes; i++) {
        const sp_stage_class *c = &split->classes[i];
        if (c->embedding == embedding && c->head == head) return c;
    }
    fail_msg("no stage with%s embedding and with%s head", embedding ? "" : "out",
             head ? "" : "out");
    return &split->classes[0]; /* not reached */
}

/* 10 layers over 4 stages: 2 3 3 2. */
static void surplus_layers_go_to_the_middle(void **state)
{
    (void)state;
    made_problem made;
    make_layers(&made, 10);
    const sp_stage_split *split =
        sp_problem_split(&made.problem, 4, SP_STAGE_LAYERS_EVEN, SP_LAYOUT_ROW);
    assert_int_equal(split->n_classes, 3);
    assert_int_equal(layers_of(stage_with(split, true, false)), 2);
    assert_int_equal(layers_of(stage_with(split, false, true)), 2);
    const sp_stage_class *middle = stage_with(split, false, false);
    assert_int_equal(layers_of(middle), 3);
    assert_int_equal(middle->n_stages, 2);
    assert_int_equal(middle->first_stage, 1);
    free_problem(&made);
}

/* A layer of h = 1024, f = 2816 has 2 (4 h^2 + 3 h f) + 2 s h = 29,884,416 FLOPs a token at s =
 * 2048; a head of twice that, 59,768,832 = 2 h V, has V = 29184. With 22 layers over 4 stages: 6 6
 * 6 and 4 with the head weigh 6, where even stages, 5 6 6 5, weigh 7. */
static void a_head_of_two_layers_takes_the_place_of_two(void **state)
{
    (void)state;
    made_problem made;
    make_machine(&made);
    make_llama(&made.model, 1024, 8, 8, 2816, 22);
    made.model.model.vocab = 29184;
    derive_problem(&made);
    const sp_stage_split *split =
        sp_problem_split(&made.problem, 4, SP_STAGE_LAYERS_WEIGHTED, SP_LAYOUT_ROW);
    assert_int_equal(layers_of(stage_with(split, true, false)), 6);
    assert_int_equal(layers_of(stage_with(split, false, false)), 6);
    assert_int_equal(layers_of(stage_with(split, false, true)), 4);
    const sp_stage_split *even =
        sp_problem_split(&made.problem, 4, SP_STAGE_LAYERS_EVEN, SP_LAYOUT_ROW);
    assert_int_equal(layers_of(stage_with(even, false, true)), 5);
    free_problem(&made);
}

static void one_stage_holds_everything(void **state)
{
    (void)state;
    made_problem made;
    make_layers(&made, 12);
    for (int policy = 0; policy < SP_N_STAGE_LAYERS; policy++) {
        const sp_stage_split *split =
            sp_problem_split(&made.problem, 1, (sp_stage_layers)policy, SP_LAYOUT_ROW);
        assert_int_equal(split->n_classes, 1);
        const sp_stage_class *only = stage_with(split, true, true);
        assert_int_equal(layers_of(only), 12);
        assert_int_equal(only->n_stages, 1);
        assert_false(only->never_fullest);
    }
    free_problem(&made);
}

static void check_counts(const sp_stage_split *split, uint32_t n_layers, uint32_t p)
{
    uint32_t layers = 0, stages = 0, embeddings = 0, heads = 0;
    for (uint32_t i = 0; i < split->n_classes; i++) {
        const sp_stage_class *c = &split->classes[i];
        assert_true(layers_of(c) >= 1 && c->n_stages >= 1);
        assert_true(c->first_stage < p && c->embedding == (c->first_stage == 0));
        layers += c->n_stages * layers_of(c);
        stages += c->n_stages;
        embeddings += c->embedding ? c->n_stages : 0u;
        heads += c->head ? c->n_stages : 0u;
    }
    assert_int_equal(layers, n_layers);
    assert_int_equal(stages, p);
    assert_int_equal(embeddings, 1);
    assert_int_equal(heads, 1);
}

static void check_even(const sp_stage_split *split, uint32_t n_layers, uint32_t p)
{
    for (uint32_t i = 0; i < split->n_classes; i++) {
        assert_in_range(layers_of(&split->classes[i]), n_layers / p, (n_layers + p - 1) / p);
    }
}

static void every_split_deals_each_layer_once(void **state)
{
    (void)state;
    for (uint32_t n_layers = 1; n_layers <= 128; n_layers++) {
        made_problem made;
        make_layers(&made, n_layers);
        for (uint32_t p = 1; p <= n_layers; p++) {
            check_even(sp_problem_split(&made.problem, p, SP_STAGE_LAYERS_EVEN, SP_LAYOUT_ROW),
                       n_layers, p);
            for (int policy = 0; policy < SP_N_STAGE_LAYERS; policy++) {
                check_counts(
                    sp_problem_split(&made.problem, p, (sp_stage_layers)policy, SP_LAYOUT_ROW),
                    n_layers, p);
            }
        }
        free_problem(&made);
    }
}

static double slowest(const sp_stage_split *split, double head_weight)
{
    double most = 0.0;
    for (uint32_t i = 0; i < split->n_classes; i++) {
        const sp_stage_class *c = &split->classes[i];
        most = fmax(most, layers_of(c) + (c->head ? head_weight : 0.0));
    }
    return most;
}

/* In layers, the head by its FLOPs over those of a layer. */
static void weighted_stages_are_never_slower_than_even_ones(void **state)
{
    (void)state;
    uint32_t better = 0;
    for (uint32_t n_layers = 1; n_layers <= 128; n_layers++) {
        made_problem made;
        make_layers(&made, n_layers);
        const double head = 2.0 * 1024 * 64000,
                     layer = 2 * (4 * 1024.0 * 1024 + 3 * 1024.0 * 2816) + 2 * 2048.0 * 1024;
        for (uint32_t p = 1; p <= n_layers; p++) {
            const double even =
                slowest(sp_problem_split(&made.problem, p, SP_STAGE_LAYERS_EVEN, SP_LAYOUT_ROW),
                        head / layer);
            const double weighted =
                slowest(sp_problem_split(&made.problem, p, SP_STAGE_LAYERS_WEIGHTED, SP_LAYOUT_ROW),
                        head / layer);
            assert_at_most(weighted, even, 1e-12);
            better += weighted < 0.9 * even;
        }
        free_problem(&made);
    }
    assert_true(better > 100);
}

/* Dense layers first, then experts: where stages are runs of layers, one at most holds both. */
static void stages_are_runs_of_neighbouring_layers(void **state)
{
    (void)state;
    for (uint32_t dense = 1; dense < 24; dense++) {
        made_problem made;
        make_machine(&made);
        make_moe(&made.model, 1024, 8, 512, 16, 2, dense, 24);
        derive_problem(&made);
        for (uint32_t p = 1; p <= 24; p++) {
            const sp_stage_split *split =
                sp_problem_split(&made.problem, p, SP_STAGE_LAYERS_EVEN, SP_LAYOUT_ROW);
            uint32_t mixed = 0, dense_dealt = 0;
            for (uint32_t i = 0; i < split->n_classes; i++) {
                const sp_stage_class *c = &split->classes[i];
                mixed += c->layers[0] > 0 && c->layers[1] > 0 ? c->n_stages : 0u;
                dense_dealt += (uint32_t)c->layers[0] * c->n_stages;
            }
            assert_in_range(mixed, 0, 1);
            assert_int_equal(dense_dealt, dense);
        }
        free_problem(&made);
    }
}

/* 13 layers in 8 blocks, 1 2 2 2 2 2 1 1: stage 0 of a V has the blocks 0 and 7 with both ends, the
 * others 1 and 6, 2 and 5, 3 and 4. 4 blocks of a mirrored pipeline, 3 4 3 3, lie on two stages. */
static void folded_pipelines_have_both_ends_on_the_first_stage(void **state)
{
    (void)state;
    made_problem made;
    make_layers(&made, 13);
    const sp_stage_split *v = sp_problem_split(&made.problem, 4, SP_STAGE_LAYERS_EVEN, SP_LAYOUT_V);
    assert_int_equal(v->n_classes, 3);
    assert_int_equal(layers_of(stage_with(v, true, true)), 2);
    assert_int_equal(layers_of(&v->classes[1]), 3);
    assert_int_equal(layers_of(&v->classes[2]), 4);
    assert_int_equal(v->classes[2].n_stages, 2);
    assert_int_equal(v->classes[2].first_stage, 2);
    assert_int_equal(v->classes[2].last_stage, 3);
    assert_int_equal(v->classes[1].after[2], 2);
    const sp_stage_split *mirror =
        sp_problem_split(&made.problem, 4, SP_STAGE_LAYERS_EVEN, SP_LAYOUT_MIRROR);
    assert_int_equal(mirror->n_classes, 2);
    assert_int_equal(layers_of(stage_with(mirror, true, true)), 6);
    assert_int_equal(layers_of(stage_with(mirror, false, false)), 7);
    free_problem(&made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folded_pipelines_have_both_ends_on_the_first_stage),
        cmocka_unit_test(surplus_layers_go_to_the_middle),
        cmocka_unit_test(a_head_of_two_layers_takes_the_place_of_two),
        cmocka_unit_test(one_stage_holds_everything),
        cmocka_unit_test(every_split_deals_each_layer_once),
        cmocka_unit_test(weighted_stages_are_never_slower_than_even_ones),
        cmocka_unit_test(stages_are_runs_of_neighbouring_layers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
