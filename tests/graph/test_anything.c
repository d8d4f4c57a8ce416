/* SPDX-License-Identifier: Apache-2.0 */
/* Laws of a layer over models drawn from everything that a model can state. */
#include "common/close.h"
#include "graph/anything.h"
#include "graph/sums.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define CLOSE 1e-12

enum { N_MODELS = 2000 };

static const sp_sharding alone = {.tp = 1, .cp = 1, .ep = 1, .etp = 1, .sp = false};

typedef void (*model_law)(const sp_model *model, draw *d);

static void for_anything(const char *name, model_law law)
{
    draw d = draw_begin(name);
    for (int i = 0; i < N_MODELS; i++) {
        made_model made;
        make_anything(&made, &d);
        law(&made.model, &d);
    }
}

static sp_sharding draw_sharding(draw *d)
{
    return (sp_sharding){.tp = 1u << draw_between(d, 0, 3),
                         .cp = 1u << draw_between(d, 0, 3),
                         .ep = 1u << draw_between(d, 0, 3),
                         .etp = 1u << draw_between(d, 0, 3),
                         .sp = draw_coin(d)};
}

/* ---- parameters ---- */

static double ops_params(const sp_layer_work *work)
{
    double sum = 0.0;
    for (uint32_t i = 0; i < work->n_ops; i++) {
        sum += sp_op_params(&work->ops[i]);
    }
    return sum;
}

static void whole_is_exact(const sp_model *model, draw *d)
{
    (void)d;
    const sp_parameters exact = sp_model_parameters(model);
    const sp_layer_params sum = sp_graph_model_params(model, &alone);
    assert_true(sum.dense + sum.expert == (double)exact.total);
    const sp_layer_params mtp = sp_graph_mtp_params(model, &alone);
    assert_true(mtp.dense + mtp.expert == (double)exact.mtp);
}

static void layers_and_ends_add_up_to_the_exact_count(void **state)
{
    (void)state;
    for_anything("layers_and_ends_add_up_to_the_exact_count", whole_is_exact);
}

static void operators_read_all(const sp_model *model, draw *d)
{
    const sp_sharding cut = draw_sharding(d);
    for (uint32_t k = 0; k < model->n_kinds; k++) {
        const sp_layer_params p = sp_graph_layer_params(model, &model->kinds[k], &cut);
        sp_layer_work work;
        sp_shape shape = causal_shape(2, 2048);
        shape.tokens /= cut.cp;
        shape.absorbed = draw_coin(d);
        sp_graph_layer(model, &model->kinds[k], &shape, &cut, true, &work);
        assert_close(ops_params(&work), p.dense + p.expert, CLOSE);
    }
}

static void operators_read_all_that_a_layer_holds_at_any_sharding(void **state)
{
    (void)state;
    for_anything("operators_read_all_that_a_layer_holds_at_any_sharding", operators_read_all);
}

/* Tables whose rows are not known and encoders that no token meets have no operator. */
static void ends_read_all(const sp_model *model, draw *d)
{
    const sp_sharding cut = draw_sharding(d);
    const sp_shape shape = causal_shape(2, 2048);
    sp_layer_work work;
    sp_graph_embedding_work(model, &shape, &cut, &work);
    assert_close(ops_params(&work) + (double)model->table_params + (double)model->tower_params,
                 sp_graph_embedding_params(model, &cut), CLOSE);
    sp_graph_head_work(model, &shape, &cut, &work);
    assert_close(ops_params(&work), sp_graph_head_params(model, &cut), CLOSE);
}

static void operators_of_the_ends_read_all_that_they_hold(void **state)
{
    (void)state;
    for_anything("operators_of_the_ends_read_all_that_they_hold", ends_read_all);
}

/* A rank of t holds a part that all have and 1/t of the rest: what follows from one and two ranks
 * holds for four and eight. */
static void shards_are_even(const sp_model *model, draw *d)
{
    (void)d;
    for (uint32_t k = 0; k < model->n_kinds; k++) {
        double dense[9], expert[9];
        for (uint32_t t = 1; t <= 8; t *= 2) {
            const sp_sharding cut = {.tp = t, .cp = 1, .ep = 1, .etp = t, .sp = true};
            const sp_layer_params p = sp_graph_layer_params(model, &model->kinds[k], &cut);
            dense[t] = p.dense;
            expert[t] = p.expert;
        }
        for (uint32_t t = 4; t <= 8; t *= 2) {
            const double rest = 1.0 - 1.0 / t;
            assert_close(dense[t], (2.0 * dense[2] - dense[1]) * rest + dense[1] / t, 1e-9);
            assert_close(expert[t], (2.0 * expert[2] - expert[1]) * rest + expert[1] / t, 1e-9);
        }
    }
}

static void ranks_hold_even_parts_of_what_is_cut(void **state)
{
    (void)state;
    for_anything("ranks_hold_even_parts_of_what_is_cut", shards_are_even);
}

/* ---- work ---- */

static void cp_shares_add_up(const sp_model *model, draw *d)
{
    sp_sharding cut = draw_sharding(d), uncut = cut;
    uncut.cp = 1;
    for (uint32_t k = 0; k < model->n_kinds; k++) {
        sp_layer_work whole, rank;
        sp_shape shape = causal_shape(4, 8192);
        sp_graph_layer(model, &model->kinds[k], &shape, &uncut, true, &whole);
        shape.tokens /= cut.cp;
        sp_graph_layer(model, &model->kinds[k], &shape, &cut, true, &rank);
        assert_close(cut.cp * attention_flops(&rank), attention_flops(&whole), CLOSE);
        assert_close(cut.cp * ffn_flops(&rank), ffn_flops(&whole), CLOSE);
        assert_close(cut.cp * layer_kept(&rank), layer_kept(&whole), CLOSE);
        assert_close(cut.cp * rank.working_bytes, whole.working_bytes, CLOSE);
        assert_close(cut.cp * rank.ffn.ep_bytes, whole.ffn.ep_bytes, CLOSE);
    }
}

static void context_parallel_ranks_share_work_and_activations_evenly(void **state)
{
    (void)state;
    for_anything("context_parallel_ranks_share_work_and_activations_evenly", cp_shares_add_up);
}

static void modules_are_whole(const sp_model *model, draw *d)
{
    (void)d;
    for (uint32_t k = 0; k < model->n_kinds; k++) {
        sp_layer_work work;
        const sp_shape shape = causal_shape(1, 4096);
        sp_graph_layer(model, &model->kinds[k], &shape, &alone, true, &work);
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
    for_anything("what_a_module_drops_its_operators_make_again", modules_are_whole);
}

/* A prompt in two pieces costs what it costs in one, but for keys and values that are built from
 * latent vectors again, and recurrences whose last chunk is cut. */
static double step_by_step(const sp_model *model, const sp_layer_kind *kind, double past,
                           double length)
{
    const sp_shape shape = {.sequences = 3,
                            .tokens = 3 * length,
                            .length = length,
                            .context = past + (length + 1.0) / 2.0,
                            .past = past,
                            .absorbed = true};
    sp_layer_work work;
    sp_graph_layer(model, kind, &shape, &alone, true, &work);
    return attention_flops(&work) + ffn_flops(&work);
}

static void pieces_add_up(const sp_model *model, draw *d)
{
    const double length = draw_between(d, 200, 5000), first = draw_between(d, 130, 199);
    for (uint32_t k = 0; k < model->n_kinds; k++) {
        const sp_layer_kind *kind = &model->kinds[k];
        assert_close(step_by_step(model, kind, 0, first) +
                         step_by_step(model, kind, first, length - first + 128),
                     step_by_step(model, kind, 0, length + 128), CLOSE);
    }
}

static void a_prompt_in_pieces_costs_what_it_costs_in_one(void **state)
{
    (void)state;
    for_anything("a_prompt_in_pieces_costs_what_it_costs_in_one", pieces_add_up);
}

static void keeps_the_same(const sp_model *model, draw *d)
{
    const double length = 128.0 * draw_between(d, 1, 64);
    const sp_shape shape = {
        .sequences = 2, .tokens = 2 * length, .length = length, .context = length / 2.0};
    for (uint32_t k = 0; k < model->n_kinds; k++) {
        sp_layer_work a, b;
        sp_graph_layer(model, &model->kinds[k], &shape, &alone, true, &a);
        sp_graph_kept(model, &model->kinds[k], &shape, &alone, true, &b);
        assert_int_equal(a.n_tensors, b.n_tensors);
        for (uint32_t i = 0; i < a.n_tensors; i++) {
            assert_true(a.tensors[i].bytes == b.tensors[i].bytes);
            assert_int_equal(a.tensors[i].modules, b.tensors[i].modules);
        }
        assert_true(a.params.dense == b.params.dense && a.params.expert == b.params.expert);
        assert_true(a.working_bytes == b.working_bytes && a.input_bytes == b.input_bytes);
        assert_true(a.attention.kv_bytes == b.attention.kv_bytes);
    }
}

static void what_is_kept_does_not_depend_on_operators_being_there(void **state)
{
    (void)state;
    for_anything("what_is_kept_does_not_depend_on_operators_being_there", keeps_the_same);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_and_ends_add_up_to_the_exact_count),
        cmocka_unit_test(operators_read_all_that_a_layer_holds_at_any_sharding),
        cmocka_unit_test(operators_of_the_ends_read_all_that_they_hold),
        cmocka_unit_test(ranks_hold_even_parts_of_what_is_cut),
        cmocka_unit_test(context_parallel_ranks_share_work_and_activations_evenly),
        cmocka_unit_test(what_a_module_drops_its_operators_make_again),
        cmocka_unit_test(a_prompt_in_pieces_costs_what_it_costs_in_one),
        cmocka_unit_test(what_is_kept_does_not_depend_on_operators_being_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
