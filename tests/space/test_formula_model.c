/* SPDX-License-Identifier: Apache-2.0 */
/* Plans of a model described by formulas: the step of each is that of the same model as its
 * dimensions, since products state their shapes; plans that would cut it are refused. */
#include "space/ask.h"

#include "shardplan/estimate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static asked ask_model(const char *name)
{
    sp_question q = ask_dense();
    q.model = name;
    return build(&q);
}

static const char *const plans[] = {
    "micro_batch=1,zero=3,recompute=full",
    "pp=4,micro_batch=2,zero=1",
    "pp=2,vpp=4,schedule=interleaved,micro_batch=1,zero=1,recompute=full",
    "micro_batch=1,zero=3,precision=fp8",
};

static void steps_are_those_of_the_dimensions(void **state)
{
    (void)state;
    asked plain = ask_model("llama-3.1-8b"), formulas = ask_model("llama-3.1-8b-formulas");
    for (size_t i = 0; i < sizeof plans / sizeof plans[0]; i++) {
        const sp_plan plan = read_plan(&plain, plans[i]);
        sp_estimate a, b;
        sp_estimate_plan(plain.problem, &plan, &a);
        sp_estimate_plan(formulas.problem, &plan, &b);
        assert_memory_equal(&a.time, &b.time, sizeof a.time);
        assert_true(a.mfu == b.mfu);
        assert_true(a.memory.weights_bytes == b.memory.weights_bytes);
        assert_true(a.memory.optimizer_bytes == b.memory.optimizer_bytes);
        /* All that kernels write is kept; of a layer that is computed again its input alone. */
        assert_true(b.memory.activations_bytes >= a.memory.activations_bytes);
        assert_true(b.memory.activations_bytes <= 1.4 * a.memory.activations_bytes);
    }
    drop(&plain);
    drop(&formulas);
}

static void plans_that_cut_formulas_are_refused(void **state)
{
    (void)state;
    asked a = ask_model("llama-3.1-8b-formulas");
    assert_string_equal(refusal(&a, "tp=2,micro_batch=1"), "formulas_of_one_device");
    assert_string_equal(refusal(&a, "cp=2,micro_batch=1"), "formulas_of_one_device");
    assert_string_equal(refusal(&a, "ep=2,micro_batch=1"), "ep_without_experts");
    assert_string_equal(refusal(&a, "micro_batch=1,zero=3,recompute=selective"),
                        "recompute_without_effect");
    assert_string_equal(refusal(&a, "micro_batch=1,zero=3,recompute=full"), "");
    drop(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_are_those_of_the_dimensions),
        cmocka_unit_test(plans_that_cut_formulas_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
