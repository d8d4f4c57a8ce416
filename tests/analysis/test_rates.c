/* SPDX-License-Identifier: Apache-2.0 */
/* The rates of an analysis are those of measured kernels, with nothing of an engine about them. */
#include "analysis/analysis_priv.h"
#include "common/problems.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void no_engine_has_a_say_in_measured_kernels(void **state)
{
    (void)state;
    made_problem made;
    sp_rates plain, portable;
    make_machine(&made);
    const sp_analysis_question question = {.gpu = &made.gpu, .compute = SP_BF16, .flash = true};
    assert_true(sp_analysis_rates(&question, &plain));
    made.gpu.portable_attention_ratio = 1.7; /* of engines that call such kernels */
    assert_true(sp_analysis_rates(&question, &portable));
    assert_true(plain.attention_s_per_flop == portable.attention_s_per_flop);
    assert_true(plain.misaligned_ratio == 1.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_engine_has_a_say_in_measured_kernels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
