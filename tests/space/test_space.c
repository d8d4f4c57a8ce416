/* SPDX-License-Identifier: Apache-2.0 */
/* Plans to ids and back, and building without memory. */
#include "space/ask.h"

#include "common/draw.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* gpus 1 value, then tp 2, cp 2, pp 3, ..., dp_overlap 2: the id is the mixed-radix number of the
 * digits.
 */
static void an_id_is_the_mixed_radix_number_of_its_digits(void **state)
{
    (void)state;
    sp_question q = ask_dense();
    const char *const sets[] = {"tp=4,8",   "cp=1,2",         "pp=1,2,4",
                                "etp=1",    "micro_batch=1",  "placement=tp_dp_pp",
                                "zero=0,1", "recompute=none", "schedule=1f1b",
                                "vpp=1",    "cp_kind=ring",   "stage_layers=even",
                                "sp=on",    "tp_overlap=off", "ep_overlap=off"};
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        q.sets[q.n_sets++] = sets[i];
    }
    asked a = build(&q);
    assert_int_equal(sp_space_count(a.space), 2 * 2 * 3 * 2 * 2);
    uint64_t id = 0;
    const sp_plan plan = read_plan(&a, "tp=8,cp=2,pp=2,zero=0,sp=on,dp_overlap=on");
    assert_true(sp_space_rank(a.space, &plan, &id));
    assert_int_equal(id, 1 * 24 + 1 * 12 + 1 * 4 + 0 * 2 + 1);
    const sp_plan back = sp_space_unrank(a.space, id);
    assert_memory_equal(&back, &plan, sizeof plan);
    const sp_plan outside = read_plan(&a, "tp=2,pp=2,zero=0,sp=on");
    assert_false(sp_space_rank(a.space, &outside, &id));
    drop(&a);
}

static void ranking_undoes_unranking(void **state)
{
    (void)state;
    sp_question q = ask_experts();
    q.gpus = "8..256";
    q.space = "all";
    asked a = build(&q);
    draw d = draw_begin("rank and unrank");
    for (uint32_t i = 0; i < 20000; i++) {
        const uint64_t id =
            i == 0 ? sp_space_count(a.space) - 1 : draw_u64(&d) % sp_space_count(a.space);
        const sp_plan plan = sp_space_unrank(a.space, id);
        uint64_t back = 0;
        assert_true(sp_space_rank(a.space, &plan, &back));
        assert_int_equal(back, id);
    }
    drop(&a);
}

static void building_survives_every_lack_of_memory(void **state)
{
    (void)state;
    const sp_question q = ask_dense();
    asked a = build(&q);
    sp_status status = SP_E_MEMORY;
    for (uint64_t nth = 1; status != SP_OK; nth++) {
        sp_error err = {0};
        sp_space *space = NULL;
        assert_true(nth < 1000);
        sp_alloc_fail_at(nth);
        status = sp_space_build(a.problem, &space, &err);
        sp_alloc_fail_at(0);
        assert_true(status == SP_OK || status == SP_E_MEMORY);
        assert_int_equal(space != NULL, status == SP_OK);
        sp_space_free(space);
    }
    drop(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_is_the_mixed_radix_number_of_its_digits),
        cmocka_unit_test(ranking_undoes_unranking),
        cmocka_unit_test(building_survives_every_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
