/* SPDX-License-Identifier: Apache-2.0 */
/* Laws of serving spaces over random small questions: the search finds what looking at every id
 * finds (plain.h), ids name plans, and no admitted plan says the same as another.
 * SHARDPLAN_LONG is the number of spaces to try (60). */
#include "laws/plain.h"
#include "laws/serving_questions.h"
#include "space/serving.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_IDS = 30000 };

/* ---- serving plans, looked at one by one ---- */

static const sp_rule_info *rule_of(const void *space, uint32_t rule)
{
    return sp_serving_space_rule(space, rule);
}

static uint32_t cell_of(const void *of, uint64_t id)
{
    const sp_serving_space *space = of;
    const sp_serving_axis *tp = &space->axes[SP_SERVING_AXIS_tp];
    const sp_serving_axis *pp = &space->axes[SP_SERVING_AXIS_pp];
    const uint64_t row = id / tp->stride % tp->n_values, column = id / pp->stride % pp->n_values;
    return (uint32_t)(row * pp->n_values + column);
}

static uint32_t refusal_of(const void *space, uint64_t id)
{
    const sp_serving_plan plan = sp_serving_space_unrank(space, id);
    return sp_serving_space_refusal(space, &plan);
}

static bool reads_results(const void *of, uint32_t rule)
{
    const sp_serving_space *space = of;
    const sp_serving_problem *problem = space->problem;
    for (uint32_t i = 0; i < problem->n_wheres; i++) {
        if (space->rules[rule].name == sp_expr_text(problem->wheres[i].expr)) {
            return problem->wheres[i].reads_results;
        }
    }
    return false;
}

static void keys_of(const void *of, uint64_t id, double keys[SP_MAX_OBJECTIVES])
{
    const sp_serving_space *space = of;
    const sp_serving_plan plan = sp_serving_space_unrank(space, id);
    sp_serving_estimate estimate;
    sp_serving_estimate_plan(space->problem, &plan, &estimate);
    assert_true(estimate.verdict == SP_SERVING_FITS || estimate.verdict == SP_SERVING_TIGHT);
    sp_serving_space_keys(space, &estimate, keys);
}

static looked_at look_at_serving(const sp_serving_space *space)
{
    return (looked_at){.space = space,
                       .n_ids = space->n_plans,
                       .layout_ids = space->axes[SP_SERVING_LAYOUT_AXIS].stride,
                       .n_rules = space->n_rules,
                       .n_keys = space->problem->n_objectives,
                       .n_cells = space->axes[SP_SERVING_AXIS_tp].n_values *
                                  space->axes[SP_SERVING_AXIS_pp].n_values,
                       .rule = rule_of,
                       .cell_of = cell_of,
                       .refusal = refusal_of,
                       .reads_results = reads_results,
                       .keys = keys_of};
}

/* ---- laws ---- */

/* Returns whether the space holds a plan. */
static bool compare(draw *d, const sp_serving_space *space)
{
    sp_error err = {0};
    sp_search_result result;
    const sp_search_options options = {
        .threads = draw_between(d, 1, 4), .top_k = PLAIN_TOP_K, .no_bounds = draw_coin(d)};
    assert_int_equal(sp_serving_search(space, &options, &result, &err), SP_OK);
    const looked_at of = look_at_serving(space);
    plain p;
    plain_init(&p, &of);
    assert_plain_finds(&p, &result);
    const bool any = p.n_points > 0;
    plain_fini(&p);
    sp_search_result_fini(&result);
    return any;
}

static void assert_ids(draw *d, const sp_serving_space *space)
{
    for (uint32_t i = 0; i < 200; i++) {
        const uint64_t id = draw_u64(d) % space->n_plans;
        sp_serving_plan plan = sp_serving_space_unrank(space, id);
        uint64_t again = UINT64_MAX;
        assert_true(sp_serving_space_rank(space, &plan, &again));
        assert_int_equal(again, id);
        plan.value[SP_SERVING_AXIS_batch] += 100000;
        assert_false(sp_serving_space_rank(space, &plan, &again));
    }
}

/* What no structure rule refuses can be priced. */
static void assert_sound(const sp_serving_space *space, const sp_serving_plan *plan)
{
    sp_error why = {0};
    const bool apart = plan->value[SP_SERVING_AXIS_mode] == SP_SERVING_DISAGG;
    assert_true(plan->workers > 0);
    for (int role = apart ? SP_ROLE_PREFILL : SP_ROLE_DECODE; role < SP_N_ROLES; role++) {
        if (sp_serving_side_is_sound(space->problem, plan, (sp_serving_role)role, &why)) continue;
        print_message("%s (%s)\n", why.message, why.value);
        fail();
    }
}

/* An axis that is turned alone gives another estimate, or a plan that means nothing. */
static void assert_effect(draw *d, const sp_serving_space *space, uint64_t id)
{
    const sp_serving_plan plan = sp_serving_space_unrank(space, id);
    const sp_serving_axis_id axis = draw_between(d, 0, SP_N_SERVING_AXES - 1);
    const sp_serving_axis *a = &space->axes[axis];
    sp_serving_plan other = plan;
    other.value[axis] = a->values[draw_between(d, 0, a->n_values - 1)];
    sp_serving_plan_derive(space->problem, &other);
    if (other.value[axis] == plan.value[axis]) return;
    const uint32_t rule = sp_serving_space_refusal(space, &other);
    if (rule != SP_NO_RULE) return;
    sp_serving_estimate x, y;
    memset(&x, 0, sizeof x);
    memset(&y, 0, sizeof y);
    sp_serving_estimate_plan(space->problem, &plan, &x);
    sp_serving_estimate_plan(space->problem, &other, &y);
    if (memcmp(&x, &y, sizeof x) != 0) return;
    char text[SP_SERVING_TEXT_BYTES];
    (void)sp_serving_plan_format(space->problem, &plan, text, sizeof text);
    print_message("%s has no effect in %s\n", sp_serving_axis_describe(axis)->name, text);
    fail();
}

static void assert_plans(draw *d, const sp_serving_space *space)
{
    for (uint32_t i = 0, met = 0; i < 20000 && met < 20; i++) {
        const uint64_t id = draw_u64(d) % space->n_plans;
        const sp_serving_plan plan = sp_serving_space_unrank(space, id);
        const uint32_t rule = sp_serving_space_refusal(space, &plan);
        const bool admitted = rule == SP_NO_RULE || space->rules[rule].class > SP_RULE_WHERE;
        if (!admitted) continue;
        assert_sound(space, &plan);
        if (rule == SP_NO_RULE) assert_effect(d, space, id);
        met++;
    }
}

static uint32_t wanted_spaces(void)
{
    const char *text = getenv("SHARDPLAN_LONG");
    const long n = text != NULL ? strtol(text, NULL, 10) : 0;
    return n > 0 ? (uint32_t)n : 60;
}

static void serving_spaces_keep_their_laws(void **state)
{
    const uint32_t wanted = wanted_spaces();
    uint32_t n_feasible = 0;
    static drawn_serving drawn; /* outlives a failure, which tell_question describes */
    draw d = draw_begin("serving spaces");
    *state = &drawn.question;
    for (uint32_t n = 0; n < wanted;) {
        sp_serving_problem *problem = NULL;
        sp_serving_space *space = NULL;
        draw_serving(&d, &drawn);
        build_serving(&drawn.question, &problem, &space);
        if (sp_serving_space_count(space) <= MAX_IDS) {
            assert_ids(&d, space);
            assert_plans(&d, space);
            n_feasible += compare(&d, space);
            n++;
        }
        sp_serving_space_free(space);
        sp_serving_problem_free(problem);
    }
    *state = NULL;
    print_message("%u spaces, %u of them with plans\n", wanted, n_feasible);
    assert_true(n_feasible > wanted / 8);
}

/* The question that a failure left behind. */
static int tell_question(void **state)
{
    if (*state != NULL) print_serving(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(serving_spaces_keep_their_laws, tell_question),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
