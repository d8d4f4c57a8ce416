/* SPDX-License-Identifier: Apache-2.0 */
/* The search against the plainest thing that can be right (plain.h), over random small questions.
 * SHARDPLAN_LONG is the number of spaces to try (200). */
#include "laws/plain.h"
#include "laws/questions.h"
#include "step/step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MAX_IDS = 60000 };

/* ---- training plans, looked at one by one ---- */

static const sp_rule_info *rule_of(const void *space, uint32_t rule)
{
    return sp_space_rule(space, rule);
}

static uint32_t cell_of(const void *space, uint64_t id)
{
    const sp_axis *tp = sp_space_axis(space, SP_AXIS_tp), *pp = sp_space_axis(space, SP_AXIS_pp);
    const uint64_t row = id / tp->stride % tp->n_values, column = id / pp->stride % pp->n_values;
    return (uint32_t)(row * pp->n_values + column);
}

static uint32_t refusal_of(const void *space, uint64_t id)
{
    const sp_plan plan = sp_space_unrank(space, id);
    return sp_space_refusal(space, &plan);
}

static bool reads_results(const void *space, uint32_t rule)
{
    const sp_problem *problem = sp_space_problem(space);
    for (uint32_t i = 0; i < problem->n_wheres; i++) {
        if (sp_space_rule(space, rule)->name == sp_expr_text(problem->wheres[i].expr)) {
            return problem->wheres[i].reads_results;
        }
    }
    return false;
}

static void keys_of(const void *space, uint64_t id, double keys[SP_MAX_OBJECTIVES])
{
    const sp_plan plan = sp_space_unrank(space, id);
    const sp_verdict verdict = sp_estimate_keys(sp_space_problem(space), &plan, keys);
    assert_true(verdict == SP_FITS || verdict == SP_TIGHT);
}

static looked_at look_at_training(const sp_space *space)
{
    const sp_axis *placement = sp_space_axis(space, SP_AXIS_placement);
    return (looked_at){.space = space,
                       .n_ids = sp_space_count(space),
                       .layout_ids = placement->stride * placement->n_values,
                       .n_rules = sp_space_rule_count(space),
                       .n_keys = sp_problem_n_objectives(sp_space_problem(space)),
                       .n_cells = sp_space_axis(space, SP_AXIS_tp)->n_values *
                                  sp_space_axis(space, SP_AXIS_pp)->n_values,
                       .rule = rule_of,
                       .cell_of = cell_of,
                       .refusal = refusal_of,
                       .reads_results = reads_results,
                       .keys = keys_of};
}

/* Returns whether the space holds a plan. */
static bool compare(draw *d, const sp_space *space)
{
    sp_error err = {0};
    sp_search_result result;
    const sp_search_options options = {
        .threads = draw_between(d, 1, 4), .top_k = PLAIN_TOP_K, .no_bounds = draw_coin(d)};
    assert_int_equal(sp_search_run(space, &options, &result, &err), SP_OK);
    const looked_at of = look_at_training(space);
    plain p;
    plain_init(&p, &of);
    assert_plain_finds(&p, &result);
    const bool any = p.n_points > 0;
    plain_fini(&p);
    sp_search_result_fini(&result);
    return any;
}

static uint32_t wanted_spaces(void)
{
    const char *text = getenv("SHARDPLAN_LONG");
    const long n = text != NULL ? strtol(text, NULL, 10) : 0;
    return n > 0 ? (uint32_t)n : 200;
}

static void the_search_finds_what_looking_at_every_id_finds(void **state)
{
    const uint32_t wanted = wanted_spaces();
    uint32_t n_feasible = 0;
    static drawn_question drawn; /* outlives a failure, which tell_question describes */
    draw d = draw_begin("brute force");
    *state = &drawn.question;
    for (uint32_t n = 0; n < wanted;) {
        sp_problem *problem = NULL;
        sp_space *space = NULL;
        draw_question(&d, &drawn);
        build_question(&drawn.question, &problem, &space);
        if (sp_space_count(space) <= MAX_IDS) {
            n_feasible += compare(&d, space);
            n++;
        }
        sp_space_free(space);
        sp_problem_free(problem);
    }
    *state = NULL;
    print_message("%u spaces, %u of them with plans\n", wanted, n_feasible);
    assert_true(n_feasible > wanted / 8);
}

/* The question that a failure left behind. */
static int tell_question(void **state)
{
    if (*state != NULL) print_question(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(the_search_finds_what_looking_at_every_id_finds, tell_question),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
