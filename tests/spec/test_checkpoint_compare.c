/* SPDX-License-Identifier: Apache-2.0 */
/* A checkpoint beside its model: what is more is put down to its reason. */
#include "common/models.h"
#include "shardplan/checkpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* All parameters of the model in one tensor, and others. */
static sp_checkpoint_match compare(const sp_model *model, sp_checkpoint_tensor *tensors, size_t n)
{
    sp_checkpoint c = {.n_listed = n, .tensors = tensors};
    tensors[0] = (sp_checkpoint_tensor){.name = "model.layers.0.x",
                                        .parameters = sp_model_parameters(model).total};
    for (size_t i = 0; i < n; i++)
        c.parameters += tensors[i].parameters;
    return sp_checkpoint_compare(&c, model);
}

static void the_same_is_the_same(void **state)
{
    (void)state;
    made_model made;
    make_llama(&made, 64, 4, 2, 128, 3);
    sp_checkpoint_tensor tensors[1];
    const sp_checkpoint_match m = compare(&made.model, tensors, 1);
    assert_int_equal(m.model, m.checkpoint);
    assert_int_equal(m.prediction + m.tied_head + m.unexplained, 0);
}

static void layers_behind_the_last_one_predict(void **state)
{
    (void)state;
    made_model made;
    make_llama(&made, 64, 4, 2, 128, 3);
    sp_checkpoint_tensor tensors[] = {
        {.name = ""          },
        { .name = "model.layers.3.mlp.weight",   .parameters = 100},
        { .name = "blk.3.w",    .parameters = 20},
        { .name = "mtp.norm.weight",     .parameters = 3},
        { .name = "vision.layers.9.w",  .parameters = 4000},
        { .name = "model.layers.x", .parameters = 50000}
    };
    const sp_checkpoint_match m = compare(&made.model, tensors, 6);
    assert_int_equal(m.prediction, 123);
    assert_true(m.more);
    assert_int_equal(m.unexplained, 54000);
}

static void a_shared_head_stored_twice_is_named(void **state)
{
    (void)state;
    made_model made;
    make_gpt(&made, 64, 4, 2);
    sp_checkpoint_tensor tensors[] = {
        {.name = ""       },
        { .name = "lm_head.weight", .parameters = 77}
    };
    assert_true(made.model.tied_embeddings);
    assert_int_equal(compare(&made.model, tensors, 2).tied_head, 77);
    made.model.tied_embeddings = false;
    assert_int_equal(compare(&made.model, tensors, 2).tied_head, 0);
}

static void what_is_missing_is_fewer(void **state)
{
    (void)state;
    made_model made;
    make_llama(&made, 64, 4, 2, 128, 3);
    const sp_checkpoint nothing = {.n_listed = 0};
    const sp_checkpoint_match m = sp_checkpoint_compare(&nothing, &made.model);
    assert_false(m.more);
    assert_int_equal(m.unexplained, m.model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_is_the_same),
        cmocka_unit_test(layers_behind_the_last_one_predict),
        cmocka_unit_test(a_shared_head_stored_twice_is_named),
        cmocka_unit_test(what_is_missing_is_fewer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
