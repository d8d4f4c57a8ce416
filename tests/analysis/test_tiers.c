/* SPDX-License-Identifier: Apache-2.0 */
/* Placement over memory tiers: no other placement takes less time, what does not fit says so, and a
 * memory of one speed is what the analysis knows. */
#include "common/draw.h"
#include "sweep_fixture.h"

#include <math.h>
#include <string.h>

static double time_of(const sp_tier *tiers, uint32_t n_tiers, const sp_tier_item *items,
                      uint32_t n_items)
{
    double time_s = 0.0;
    for (uint32_t i = 0; i < n_items; i++) {
        for (uint32_t t = 0; t < n_tiers; t++) {
            time_s += items[i].moved_per_request * items[i].in_tier[t] / items[i].held_bytes /
                      tiers[t].bytes_per_s;
        }
    }
    return time_s;
}

/* Bytes one by one: byte `idx` of all goes to every tier that has room. */
static double least_time(const sp_tier *tiers, uint32_t n_tiers, const double *moves, uint32_t n,
                         uint32_t idx, double *room)
{
    double least = HUGE_VAL;
    if (idx == n) return 0.0;
    for (uint32_t t = 0; t < n_tiers; t++) {
        if (room[t] < 1.0) continue;
        room[t] -= 1.0;
        least = fmin(least, moves[idx] / tiers[t].bytes_per_s +
                                least_time(tiers, n_tiers, moves, n, idx + 1, room));
        room[t] += 1.0;
    }
    return least;
}

static void no_placement_of_single_bytes_is_faster(void **state)
{
    draw d = draw_begin("placement by trying all");
    (void)state;
    for (int game = 0; game < 300; game++) {
        sp_tier tiers[3];
        sp_tier_item items[4] = {{0}};
        double moves[8], room[3] = {0.0};
        uint32_t n = 0;
        for (uint32_t t = 0; t < 3; t++) {
            tiers[t] =
                (sp_tier){.bytes_per_s = draw_scale(&d, 1.0, 1e3),
                          .capacity_bytes = draw_between(&d, t == 2 ? 8 : 1, t == 2 ? 8 : 4)};
            room[t] = tiers[t].capacity_bytes;
        }
        for (uint32_t i = 0; i < 4; i++) {
            items[i].held_bytes = draw_between(&d, 1, 2);
            items[i].moved_per_request = items[i].held_bytes * draw_between(&d, 0, 5);
            for (uint32_t b = 0; b < (uint32_t)items[i].held_bytes; b++) {
                moves[n++] = items[i].moved_per_request / items[i].held_bytes;
            }
        }
        assert_close(sp_tiers_place(tiers, 3, items, 4), 0.0, 0.0);
        assert_close(time_of(tiers, 3, items, 4), least_time(tiers, 3, moves, n, 0, room), 1e-12);
    }
}

/* 3 bytes that move twice each beside 2 that move once, room for 2 + 4: both fast places go to the
 * busy item. 2 x 2 / 10 s for them, 2 s for its third byte, 2 s for the other item. */
static void an_item_may_lie_in_two_tiers(void **state)
{
    const sp_tier tiers[2] = {
        {.bytes_per_s = 10.0, .capacity_bytes = 2.0},
        {.bytes_per_s = 1.0,  .capacity_bytes = 4.0}
    };
    sp_tier_item items[2] = {
        {.held_bytes = 2.0, .moved_per_request = 2.0},
        {.held_bytes = 3.0, .moved_per_request = 6.0}
    };
    (void)state;
    assert_close(sp_tiers_place(tiers, 2, items, 2), 0.0, 0.0);
    assert_close(items[1].in_tier[0], 2.0, 0.0);
    assert_close(items[1].in_tier[1], 1.0, 0.0);
    assert_close(items[0].in_tier[1], 2.0, 0.0);
    assert_close(time_of(tiers, 2, items, 2), 4.0 / 10.0 + 2.0 + 2.0, 1e-12);
}

static void what_finds_no_room_is_said(void **state)
{
    const sp_tier tier = {.bytes_per_s = 1.0, .capacity_bytes = 4.0};
    sp_tier_item items[2] = {
        {.held_bytes = 2.0, .moved_per_request = 2.0},
        {.held_bytes = 3.0, .moved_per_request = 6.0}
    };
    (void)state;
    assert_close(sp_tiers_place(&tier, 1, items, 2), 1.0, 0.0);
}

static const sp_tier_plan *plan_of(swept *s, const sp_tiered_chip *chip)
{
    sp_error err = {0};
    const sp_tier_plan *plan = NULL;
    must(sp_tiers_plan(&s->arena, &s->question, s->analysis, chip, &plan, &err), &err);
    return plan;
}

static void one_tier_takes_as_long_as_the_analysis(void **state)
{
    swept s;
    (void)state;
    sweep_setup(&s);
    const sp_tiered_chip chip = {
        .chip = sweep_own_chip(&s),
        .n_tiers = 1,
        .tiers = {{.bytes_per_s = 1e12, .capacity_bytes = 80e9, .joules_per_byte = 1e-12}}};
    const sp_tier_plan *plan = plan_of(&s, &chip);
    const sp_phase_total *phase = s.analysis->phase;
    assert_close(plan->ttft_s, phase[SP_PHASE_PREFILL].time_s, 1e-12);
    assert_close(plan->phase_s[1], phase[SP_PHASE_DECODE].time_s, 1e-12);
    assert_close(plan->phase_memory_s[2], phase[SP_PHASE_LAST_DECODE].memory_s, 1e-12);
    assert_close(plan->phase_joules[1], phase[SP_PHASE_DECODE].memory_s * 1e12 * 1e-12, 1e-12);
    assert_close(plan->used_bytes[0], s.analysis->memory_needed_bytes, 1e-12);
    sweep_fini(&s);
}

static void a_memory_that_is_too_small_never_answers(void **state)
{
    swept s;
    (void)state;
    sweep_setup(&s);
    const sp_tiered_chip chip = {.chip = sweep_own_chip(&s),
                                 .n_tiers = 1,
                                 .tiers = {{.bytes_per_s = 1e12, .capacity_bytes = 1e6}}};
    const sp_tier_plan *plan = plan_of(&s, &chip);
    assert_close(plan->overflow_bytes, s.analysis->memory_needed_bytes - 1e6, 1e-9);
    assert_true(isinf(plan->token_s));
    assert_true(plan->tokens_per_s == 0.0);
    sweep_fini(&s);
}

/* Of 8 experts one token meets two, of the embedding table one row; attention's weights all move.
 */
static void weights_that_rest_go_to_the_slow_tier(void **state)
{
    swept s;
    (void)state;
    sweep_machine(&s);
    make_moe(&s.model, 1024, 16, 2048, 8, 2, 0, 12);
    s.question = (sp_analysis_question){.model = &s.model.model, .gpu = &s.gpu};
    sp_analysis_defaults(&s.question);
    s.question.prompt_tokens = 16;
    s.question.generated_tokens = 64;
    sweep_analyse(&s);
    const sp_tiered_chip chip = {
        .chip = sweep_own_chip(&s),
        .n_tiers = 2,
        .tiers = {{.bytes_per_s = 1e12, .capacity_bytes = s.analysis->kv_max_bytes + 0.4e9},
                  {.bytes_per_s = 1e10, .capacity_bytes = 80e9}}
    };
    const sp_tier_plan *plan = plan_of(&s, &chip);
    for (uint32_t i = 0; i < plan->n_items; i++) {
        const sp_tier_item *item = &plan->items[i];
        if (strcmp(item->name, "expert_down") == 0) assert_true(item->in_tier[1] > 0.0);
        if (strcmp(item->name, "embedding") == 0) assert_true(item->in_tier[0] == 0.0);
        if (strcmp(item->name, "qkv_projection") == 0) assert_true(item->in_tier[1] == 0.0);
    }
    sweep_fini(&s);
}

static void every_file_of_tiers_reads(void **state)
{
    static const char *const names[] = {"cambricon-llm", "flash-llm", "nand-pim",
                                        "sram-dram-flash"};
    sp_arena arena = {0};
    sp_error err = {0};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const sp_tiered_chip *chip = NULL;
        must(sp_tiered_chip_find(&arena, source_home(), names[i], &chip, &err), &err);
        assert_int_equal(chip->n_tiers, 3);
        assert_string_equal(chip->tiers[0].name, "SRAM");
    }
    sp_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_placement_of_single_bytes_is_faster),
        cmocka_unit_test(an_item_may_lie_in_two_tiers),
        cmocka_unit_test(what_finds_no_room_is_said),
        cmocka_unit_test(one_tier_takes_as_long_as_the_analysis),
        cmocka_unit_test(a_memory_that_is_too_small_never_answers),
        cmocka_unit_test(weights_that_rest_go_to_the_slow_tier),
        cmocka_unit_test(every_file_of_tiers_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
