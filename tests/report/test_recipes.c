/* SPDX-License-Identifier: Apache-2.0 */
/* Every published run under its own question: it lies in the space, no rule refuses it (or its file
 * says which one and why), some engine of its question runs it, and our step stands beside the
 * published one. Failures of all files are printed before the test ends. */
#include "common/asked.h"
#include "report/evidence_base.h"
#include "shardplan/space.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Beyond this a transcription is more likely wrong than the estimate. */
#define LARGEST_ERROR_RATIO 0.65

/* What is wrong with a recipe in its space, or NULL. */
static const char *fault_in_space(const sp_training_recipe *recipe, const sp_space *space)
{
    static const char *const refused = "is refused by rule";
    uint64_t id = 0;
    const uint32_t rule = sp_space_refusal(space, &recipe->plan);
    const char *name = rule != UINT32_MAX ? sp_space_rule(space, rule)->name : NULL;
    if (name != NULL && recipe->refused_by == NULL) {
        print_message("  %s: %s\n", name, sp_space_rule(space, rule)->meaning);
        return refused;
    }
    if (recipe->refused_by != NULL) {
        const bool same = name != NULL && strcmp(name, recipe->refused_by) == 0;
        return same ? NULL : "says that a rule refuses it, which that rule does not";
    }
    return sp_space_rank(space, &recipe->plan, &id) ? NULL : "is outside the space";
}

static const char *fault_of(const sp_training_recipe *recipe)
{
    sp_error err = {0};
    sp_problem *problem = NULL;
    sp_space *space = NULL;
    const sp_question q = sp_recipe_question(source_home(), recipe);
    must(sp_problem_build(&q, &problem, &err), &err);
    must(sp_space_build(problem, &space, &err), &err);
    const char *fault = fault_in_space(recipe, space);
    sp_memory memory;
    sp_estimate_memory(problem, &recipe->plan, &memory);
    if (fault != NULL) {
        print_message("%s %s (%.1f of %.1f GiB)\n", recipe->name, fault,
                      memory.peak_bytes / 1073741824.0, memory.usable_bytes / 1073741824.0);
    }
    sp_space_free(space);
    sp_problem_free(problem);
    return fault;
}

static void every_recipe_runs_by_our_rules_or_says_why_not(void **state)
{
    const sp_recipes *recipes = sp_evidence_recipes(*state);
    uint32_t n_faults = 0;
    for (uint32_t i = 0; i < recipes->n; i++) {
        n_faults += fault_of(&recipes->list[i]) != NULL;
    }
    assert_true(recipes->n >= 40);
    assert_int_equal(n_faults, 0);
}

static void every_recipe_is_near_what_was_published(void **state)
{
    const sp_recipes *recipes = sp_evidence_recipes(*state);
    uint32_t n_far = 0;
    print_message("%-36s %10s %10s %8s\n", "recipe", "measured s", "estimate s", "error");
    for (uint32_t i = 0; i < recipes->n; i++) {
        const sp_recipe_answer *answer = NULL;
        sp_error err = {0};
        must(sp_evidence_price(*state, i, &answer, &err), &err);
        print_message("%-36s %10.4g %10.4g %+7.1f %%\n", recipes->list[i].name,
                      answer->measured_step_s, answer->estimate.time.step_s,
                      100.0 * answer->error_ratio);
        n_far += !(answer->error_ratio > -LARGEST_ERROR_RATIO &&
                   answer->error_ratio < LARGEST_ERROR_RATIO);
    }
    assert_int_equal(n_far, 0);
}

static void every_recipe_says_what_it_assumes(void **state)
{
    const sp_recipes *recipes = sp_evidence_recipes(*state);
    for (uint32_t i = 0; i < recipes->n; i++) {
        const sp_training_recipe *recipe = &recipes->list[i];
        assert_true(recipe->n_notes > 0);
        for (uint32_t k = 0; k < recipe->n_notes; k++) {
            const size_t length = strlen(recipe->notes[k]);
            assert_true(length > 1);
            assert_int_equal(recipe->notes[k][length - 1], '.');
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_recipe_runs_by_our_rules_or_says_why_not),
        cmocka_unit_test(every_recipe_is_near_what_was_published),
        cmocka_unit_test(every_recipe_says_what_it_assumes),
    };
    return cmocka_run_group_tests(tests, load_evidence, free_evidence);
}
