/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a model described by formulas: parts and their counts, and what happens without memory.
 */
#include "common/asked.h"
#include "spec/model_formula.h"

#include "shardplan/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char name[] = "llama-3.1-8b-formulas";

static void parts_hold_what_their_formulas_count(void **state)
{
    (void)state;
    sp_arena arena = {0};
    sp_error err = {0};
    const sp_model *model = NULL;
    const sp_flat_kernel *kernels = NULL;
    must(sp_model_find(&arena, source_home(), name, &model, &err), &err);
    assert_int_equal(model->hidden, 4096);
    assert_int_equal(model->n_layers, 32);
    assert_int_equal(model->n_kinds, 1);
    assert_int_equal(model->max_context, 131072);
    const struct sp_layer_formula *layer = model->kinds[0].formula;
    /* Two norms, queries and output of 4096^2, keys and values of 4096 x 1024, three matrices. */
    assert_int_equal(layer->parameters,
                     2 * 4096 + 2 * 4096 * 4096 + 2 * 4096 * 1024 + 3 * 4096 * 14336);
    assert_int_equal(layer->cache_elements, 2 * 8 * 128);
    assert_int_equal(sp_flat_kernels(layer->flat, &kernels), 11);
    assert_string_equal(kernels[3].name, "attention_core");
    assert_true(kernels[3].matrix);
    assert_int_equal(kernels[2].part, SP_FLAT_ROTARY);
    assert_true(kernels[2].parameters == 0.0);
    assert_int_equal(model->formulas->head_parameters, 128256 * 4096);
    sp_arena_fini(&arena);
}

static void reading_survives_every_lack_of_memory(void **state)
{
    (void)state;
    sp_status status = SP_E_MEMORY;
    for (uint64_t nth = 1; status != SP_OK; nth += 1 + nth / 20) {
        sp_arena arena = {0};
        sp_error err = {0};
        const sp_model *model = NULL;
        assert_true(nth < 1000000);
        sp_alloc_fail_at(nth);
        status = sp_model_find(&arena, source_home(), name, &model, &err);
        sp_alloc_fail_at(0);
        if (status != SP_OK && status != SP_E_MEMORY) fail_msg("%d: %s", status, err.message);
        assert_int_equal(model != NULL, status == SP_OK);
        sp_arena_fini(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_hold_what_their_formulas_count),
        cmocka_unit_test(reading_survives_every_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
