/* SPDX-License-Identifier: Apache-2.0 */
/* Which rule refuses which plan, one example a rule. */
#include "space/ask.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void canonical_rules_leave_one_id_a_plan(void **state)
{
    (void)state;
    const sp_question q = ask_dense();
    asked a = build(&q);
    assert_string_equal(refusal(&a, "tp=8,pp=2,ep=2"), "ep_without_experts");
    assert_string_equal(refusal(&a, "tp=8,pp=2,etp=8"), "etp_without_experts");
    assert_string_equal(refusal(&a, "tp=8,pp=8,placement=tp_pp_dp"), "placement_without_effect");
    assert_string_equal(refusal(&a, "tp=8,pp=8,zero=1"), "zero_without_copies");
    assert_string_equal(refusal(&a, "tp=8,pp=1,schedule=interleaved"), "schedule_without_pp");
    assert_string_equal(refusal(&a, "tp=8,pp=2,vpp=2"), "vpp_without_interleaving");
    assert_string_equal(refusal(&a, "tp=1,pp=2,sp=on"), "sp_without_tp");
    assert_string_equal(refusal(&a, "tp=1,pp=2,tp_overlap=on"), "tp_overlap_without_tp");
    assert_string_equal(refusal(&a, "tp=8,pp=8,zero=0,dp_overlap=on"), "dp_overlap_without_copies");
    assert_string_equal(refusal(&a, "tp=8,pp=1,stage_layers=weighted"),
                        "stage_layers_without_effect");
    drop(&a);
}

static void canonical_rules_know_the_axes_of_memory_and_sequence(void **state)
{
    (void)state;
    const sp_question q = ask_dense();
    asked a = build(&q);
    assert_string_equal(refusal(&a, "tp=8,pp=2,recompute=mla_up"), "recompute_without_effect");
    assert_string_equal(refusal(&a, "tp=8,pp=2,recompute_layers=4"),
                        "recompute_layers_without_full");
    assert_string_equal(refusal(&a, "tp=8,pp=2,zero=0,shard_group=2"), "shard_group_without_zero");
    assert_string_equal(refusal(&a, "tp=8,pp=2,shard_group=4"), "shard_group_without_zero");
    assert_string_equal(refusal(&a, "tp=8,pp=2,offload_target=nvme"),
                        "offload_target_without_offload");
    assert_string_equal(refusal(&a, "tp=8,pp=2,cp_kind=ulysses"), "cp_kind_without_cp");
    assert_string_equal(refusal(&a, "tp=8,pp=2,ep_overlap=on"), "ep_overlap_without_ep");
    /* dp = 4 ranks share 128 sequences, 2 micro-batches of 16 each: gpipe holds no more than 1f1b
     */
    assert_string_equal(refusal(&a, "tp=8,pp=2,micro_batch=16,schedule=gpipe"),
                        "schedule_without_pp");
    /* Ranks of a sequence hold copies of the weights, without dp too. */
    assert_string_not_equal(refusal(&a, "tp=8,cp=2,pp=4,zero=1"), "zero_without_copies");
    drop(&a);
}

static void structure_rules_refuse_what_leaves_a_remainder(void **state)
{
    (void)state;
    const sp_question q = ask_dense();
    asked a = build(&q);
    assert_string_equal(refusal(&a, "gpus=63,tp=2,pp=1"), "tp_divides_gpus");
    assert_string_equal(refusal(&a, "gpus=66,tp=3,pp=1"), "tp_divides_model");
    assert_string_equal(refusal(&a, "gpus=96,tp=1,pp=96"), "pp_within_layers");
    assert_string_equal(refusal(&a, "tp=8,pp=3"), "pp_divides_gpus");
    assert_string_equal(refusal(&a, "gpus=48,tp=8,pp=2"), "dp_divides_batch");
    assert_string_equal(refusal(&a, "tp=8,pp=2,micro_batch=3"), "micro_batch_divides_batch");
    assert_string_equal(refusal(&a, "tp=8,pp=8,micro_batch=32,zero=0,schedule=interleaved,vpp=2"),
                        "interleaved_batches");
    assert_string_equal(refusal(&a, "tp=8,pp=2,schedule=interleaved"), "interleaved_chunks");
    /* Chunks need not be equal, but none is empty: 4 x 20 of 80 layers, not 4 x 40. */
    assert_string_equal(refusal(&a, "tp=8,pp=4,schedule=interleaved,vpp=40"), "interleaved_layers");
    assert_string_not_equal(refusal(&a, "tp=8,pp=4,schedule=interleaved,vpp=20"),
                            "interleaved_layers");
    assert_string_equal(refusal(&a, "tp=8,pp=2,tp_overlap=on"), "tp_overlap_needs_sp");
    assert_string_equal(refusal(&a, "tp=8,pp=8,micro_batch=32,zero=0,schedule=zb_h1"),
                        "split_batches");
    assert_string_equal(refusal(&a, "tp=8,pp=2,zero=2,schedule=dualpipe"), "mirrored_zero");
    assert_string_equal(refusal(&a, "tp=8,pp=2,schedule=zb_v"), "interleaved_chunks");
    assert_string_equal(refusal(&a, "tp=8,pp=2,schedule=zb_h2,vpp=2"), "vpp_without_interleaving");
    drop(&a);
    sp_question odd = ask_dense();
    odd.seq_len = 8190;
    a = build(&odd);
    assert_string_equal(refusal(&a, "tp=8,pp=2,sp=on"), "sp_divides_sequence");
    drop(&a);
}

/* 126 layers, embedding and head fill 128 chunks, 16 stages of 8. */
static void ends_take_the_place_of_layers_in_chunks(void **state)
{
    (void)state;
    sp_question q = ask_dense();
    q.model = "llama-3.1-405b";
    q.gpus = "1024";
    q.global_batch = 2048;
    q.headroom_ratio = 0.0;
    asked a = build(&q);
    assert_string_equal(refusal(&a, "tp=8,pp=16,sp=on,schedule=interleaved,vpp=8,recompute=full"),
                        "");
    assert_string_equal(refusal(&a, "tp=8,pp=16,sp=on,schedule=interleaved,vpp=9,recompute=full"),
                        "interleaved_layers");
    drop(&a);
}

/* Llama-3.1-70B has 8 key and value heads, an H100 no 4-bit products. */
static void structure_rules_refuse_what_cannot_be_shared_out(void **state)
{
    (void)state;
    const sp_question q = ask_dense();
    asked a = build(&q);
    assert_string_equal(refusal(&a, "tp=8,cp=16"), "cp_divides_gpus");
    assert_string_equal(refusal(&a, "tp=4,cp=4,pp=2,cp_kind=ulysses"), "cp_exchanges_heads");
    assert_string_not_equal(refusal(&a, "tp=2,cp=4,pp=2,cp_kind=ulysses"), "cp_exchanges_heads");
    assert_string_equal(refusal(&a, "tp=1,cp=8,cp_kind=hybrid"), "hybrid_has_two_parts");
    assert_string_equal(refusal(&a, "tp=8,cp=4,cp_kind=hybrid"), "hybrid_has_two_parts");
    assert_string_not_equal(refusal(&a, "tp=4,cp=4,cp_kind=hybrid"), "hybrid_has_two_parts");
    assert_string_equal(refusal(&a, "tp=8,pp=8,zero=0,recompute=full,recompute_layers=10"),
                        "recompute_layers_in_stage");
    assert_string_equal(refusal(&a, "tp=8,pp=2,shard_group=3"), "shard_group_divides_copies");
    assert_string_equal(refusal(&a, "tp=8,pp=2,precision=nvfp4"), "gpu_precision");
    assert_string_equal(refusal(&a, "tp=8,pp=2,offload_params=0.5"), "offload_params_needs_zero_3");
    /* 12 bytes of 70.6 billion parameters on every GPU of 8 of a node with 2 TB */
    assert_string_equal(refusal(&a, "zero=0,offload_optimizer=1"), "offload_has_room");
    assert_string_not_equal(refusal(&a, "tp=8,pp=2,offload_optimizer=1"), "offload_has_room");
    assert_string_equal(refusal(&a, "tp=16,pp=2,sp=on,tp_overlap=on"), "tp_overlap_in_domain");
    drop(&a);
}

static void a_sequence_is_dealt_in_pairs_of_chunks(void **state)
{
    (void)state;
    sp_question q = ask_dense();
    q.seq_len = 8190;
    asked a = build(&q);
    assert_string_equal(refusal(&a, "tp=8,cp=2,pp=2"), "cp_divides_sequence");
    assert_string_not_equal(refusal(&a, "tp=8,cp=1,pp=2"), "cp_divides_sequence");
    drop(&a);
}

/* 4 ranks to a sequence, 3 copies of those: groups of 6 would be one and a half of them. */
static void shard_groups_are_whole_runs_of_neighbours(void **state)
{
    (void)state;
    sp_question q = ask_dense();
    q.gpus = "96";
    q.global_batch = 96;
    asked a = build(&q);
    assert_string_equal(refusal(&a, "tp=8,cp=4,shard_group=6"), "shard_group_divides_copies");
    assert_string_not_equal(refusal(&a, "tp=8,cp=4,shard_group=4"), "shard_group_divides_copies");
    assert_string_not_equal(refusal(&a, "tp=8,cp=4,shard_group=2"), "shard_group_divides_copies");
    drop(&a);
}

static void experts_need_ranks_to_live_on(void **state)
{
    (void)state;
    const sp_question q = ask_experts();
    asked a = build(&q);
    assert_string_equal(refusal(&a, "tp=8,pp=8,ep=16,sp=on"), "ep_divides_ranks");
    assert_string_equal(refusal(&a, "tp=1,pp=1,ep=16"), "ep_divides_experts");
    assert_string_equal(refusal(&a, "tp=4,pp=1,ep=8,etp=8,sp=on"), "etp_divides_ranks");
    assert_string_equal(refusal(&a, "tp=4,pp=1,ep=8,etp=4"), "experts_need_sp");
    /* ep lives on tp x cp x dp ranks: 4 x 2 = 8 of them here */
    assert_string_equal(refusal(&a, "tp=4,cp=2,pp=8,ep=8,sp=on,placement=tp_pp_dp"),
                        "folded_experts_near");
    assert_string_not_equal(refusal(&a, "tp=4,cp=2,pp=8,ep=8,sp=on"), "ep_divides_ranks");
    /* 32 copies of an expert in 64 copies of the rest: 32 groups of 2, not 64 of 1 */
    assert_string_equal(refusal(&a, "ep=2,shard_group=1"), "shard_group_divides_copies");
    assert_string_not_equal(refusal(&a, "ep=2,shard_group=2"), "shard_group_divides_copies");
    drop(&a);
}

static void an_engine_is_enough(void **state)
{
    (void)state;
    sp_question q = ask_dense();
    q.engine = "megatron,deepspeed";
    asked a = build(&q);
    const sp_engine *engines[8];
    const sp_plan ours = read_plan(&a, "tp=8,pp=4,sp=on");
    assert_int_equal(sp_space_runs_on(a.space, &ours, engines, 8), 1);
    assert_string_equal(engines[0]->name, "megatron");
    const sp_plan theirs = read_plan(&a, "zero=2");
    assert_int_equal(sp_space_runs_on(a.space, &theirs, engines, 8), 1);
    assert_string_equal(engines[0]->name, "deepspeed");
    const sp_plan nobodys = read_plan(&a, "tp=8,sp=on,zero=2");
    assert_int_equal(sp_space_runs_on(a.space, &nobodys, engines, 8), 0);
    const uint32_t rule = sp_space_refusal(a.space, &nobodys);
    assert_int_equal(sp_space_rule(a.space, rule)->class, SP_RULE_ENGINE);
    drop(&a);
}

static void the_users_conditions_have_their_own_names(void **state)
{
    (void)state;
    sp_question q = ask_dense();
    q.wheres[q.n_wheres++] = "pp<=4";
    q.wheres[q.n_wheres++] = "memory.peak<=20GiB || recompute==full"; /* 26 GB of state */
    asked a = build(&q);
    assert_string_equal(refusal(&a, "tp=8,pp=8,zero=0"), "pp<=4");
    assert_string_equal(refusal(&a, "tp=8,pp=2"), "memory");
    assert_string_equal(refusal(&a, "tp=8,pp=4,sp=on"), "memory.peak<=20GiB || recompute==full");
    assert_string_equal(refusal(&a, "tp=8,pp=4,recompute=full,sp=on"), "");
    drop(&a);
}

static void limits_of_memory_and_network_hold(void **state)
{
    (void)state;
    sp_question q = ask_dense();
    q.max_network_ratio = 0.02;
    asked a = build(&q);
    assert_string_equal(refusal(&a, "tp=1,pp=1"), "memory");
    assert_string_equal(refusal(&a, "tp=8,pp=4,recompute=full,sp=on"), "network");
    drop(&a);
}

static void classes_follow_each_other_in_the_list(void **state)
{
    (void)state;
    sp_question q = ask_dense();
    q.wheres[q.n_wheres++] = "pp<=4";
    asked a = build(&q);
    sp_rule_class class = SP_RULE_CANONICAL;
    for (uint32_t i = 0; i < sp_space_rule_count(a.space); i++) {
        const sp_rule_info *rule = sp_space_rule(a.space, i);
        assert_true(rule->class >= class);
        assert_true(strlen(rule->name) > 0 && strlen(rule->meaning) > 0);
        class = rule->class;
    }
    assert_int_equal(class, SP_RULE_NETWORK);
    drop(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(canonical_rules_leave_one_id_a_plan),
        cmocka_unit_test(structure_rules_refuse_what_leaves_a_remainder),
        cmocka_unit_test(ends_take_the_place_of_layers_in_chunks),
        cmocka_unit_test(canonical_rules_know_the_axes_of_memory_and_sequence),
        cmocka_unit_test(structure_rules_refuse_what_cannot_be_shared_out),
        cmocka_unit_test(a_sequence_is_dealt_in_pairs_of_chunks),
        cmocka_unit_test(shard_groups_are_whole_runs_of_neighbours),
        cmocka_unit_test(experts_need_ranks_to_live_on),
        cmocka_unit_test(an_engine_is_enough),
        cmocka_unit_test(the_users_conditions_have_their_own_names),
        cmocka_unit_test(limits_of_memory_and_network_hold),
        cmocka_unit_test(classes_follow_each_other_in_the_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
