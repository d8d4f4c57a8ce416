/* SPDX-License-Identifier: Apache-2.0 */
/* The engines that ship: which plans they run, by examples of their documentation; and how a list
 * of engines is read. */
#include "base/base.h"
#include "shardplan/engine.h"
#include "shardplan/model.h"
#include "shardplan/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static const char *home(void)
{
    const char *path = getenv("SHARDPLAN_HOME");
    if (path == NULL) fail_msg("%s", "SHARDPLAN_HOME names the source tree");
    return path;
}

/* 80 layers, 64 heads, 8 key-value heads: the shape of a 70B model. */
static sp_model dense_model(void)
{
    return (sp_model){
        .hidden = 8192,
        .n_layers = 80,
        .n_kinds = 1,
        .kinds = {{.attention = {.heads = 64, .kv_heads = 8}, .ffn = {.ffn = 28672}}},
    };
}

static sp_model expert_model(void)
{
    sp_model model = dense_model();
    model.kinds[0].ffn = (sp_ffn){.n_experts = 8, .top_k = 2, .expert_ffn = 14336};
    return model;
}

typedef struct loaded {
    sp_arena arena;
    const sp_engine *engines;
    uint32_t n_engines;
    const sp_engine_profile *profile;
} loaded;

static sp_status load(const char *which, const sp_model *model, loaded *out, sp_error *err)
{
    const sp_engine_facts facts = {.model = model,
                                   .seq_len = 8192,
                                   .global_batch = 128,
                                   .trains_all = true,
                                   .optimizer = "adamw"};
    *out = (loaded){0};
    return sp_engines_load(&out->arena, home(), which, &facts, &out->engines, &out->n_engines,
                           &out->profile, err);
}

static loaded load_or_stop(const char *which, const sp_model *model)
{
    sp_error err = {0};
    loaded out;
    if (load(which, model, &out, &err) == SP_OK) return out;
    char text[SP_ERROR_TEXT_BYTES];
    sp_error_format(&err, text, sizeof text);
    fail_msg("%s", text);
    return out;
}

static sp_error refuse(const char *which, sp_status status)
{
    const sp_model model = dense_model();
    sp_error err = {0};
    loaded out;
    assert_int_equal(load(which, &model, &out, &err), status);
    sp_arena_fini(&out.arena);
    return err;
}

/* The id of the first rule that refuses the plan, or "" */
static const char *first_refusal(const sp_engine *engine, const double *values)
{
    for (uint32_t i = 0; i < engine->n_rules; i++) {
        const sp_engine_rule *rule = &engine->rules[i];
        const bool applies = rule->when == NULL || sp_expr_eval(rule->when, values) > 0.0;
        if (applies && sp_expr_eval(rule->require, values) <= 0.0) return rule->id;
    }
    return "";
}

static void check(const char *which, const sp_model *model, const char *plan_text, const char *rule)
{
    loaded out = load_or_stop(which, model);
    sp_error err = {0};
    sp_plan plan = sp_plan_default();
    double values[SP_N_PLAN_VARS];
    assert_int_equal(out.n_engines, 1);
    assert_int_equal(sp_plan_parse("gpus=64", &plan, &err), SP_OK);
    assert_int_equal(sp_plan_parse(plan_text, &plan, &err), SP_OK);
    sp_plan_derive(&plan, 128);
    sp_plan_values(&plan, values);
    assert_string_equal(first_refusal(out.engines, values), rule);
    sp_arena_fini(&out.arena);
}

static void check_dense(const char *which, const char *plan_text, const char *rule)
{
    const sp_model model = dense_model();
    check(which, &model, plan_text, rule);
}

static void check_experts(const char *which, const char *plan_text, const char *rule)
{
    const sp_model model = expert_model();
    check(which, &model, plan_text, rule);
}

/* ---- rules ---- */

static void megatron_runs_what_its_arguments_allow(void **state)
{
    (void)state;
    check_dense("megatron", "tp=8,pp=4,sp=on,zero=1,tp_overlap=on,dp_overlap=on", "");
    check_dense("megatron", "tp=4,pp=4,schedule=interleaved,vpp=5", "");
    check_dense("megatron", "zero=2", "megatron-zero");
    check_dense("megatron", "tp=16", "");
    check_dense("megatron@0.15", "tp=16", "megatron-kv-heads");
    check_dense("megatron", "pp=4,schedule=gpipe", "megatron-schedule");
    check_experts("megatron", "tp=2,sp=on,ep=8", "");
    check_experts("megatron", "ep=8,precision=fp16", "");
    check_experts("megatron@0.15", "ep=8,precision=fp16", "megatron-ep-not-fp16");
    check_experts("megatron", "ep=8,pp=2,ep_overlap=on", "megatron-ep-overlap-needs-chunks");
}

static void old_megatron_gains_abilities_with_its_third_version(void **state)
{
    (void)state;
    sp_model model = dense_model();
    model.kinds[0].attention.kv_heads = 64;
    check("megatron-lm", &model, "tp=8,pp=4,sp=on,zero=1,recompute=selective", "");
    check("megatron-lm@2.6", &model, "tp=8,pp=4,zero=0,recompute=full", "");
    check("megatron-lm@2.6", &model, "tp=8,zero=0,sp=on", "megatron-lm-no-sp");
    check("megatron-lm@2.6", &model, "zero=1", "megatron-lm-no-zero");
    check("megatron-lm@2.6", &model, "zero=0,recompute=selective", "megatron-lm-no-selective");
    check("megatron-lm", &model, "dp_overlap=on", "megatron-lm-no-dp-overlap");
    check_dense("megatron-lm", "tp=8", "megatron-lm-no-query-groups");
}

static void deepspeed_keeps_zero_and_pipelines_apart(void **state)
{
    (void)state;
    check_dense("deepspeed", "zero=3", "");
    check_dense("deepspeed", "pp=4,zero=1", "");
    check_dense("deepspeed", "pp=4,zero=2", "deepspeed-pipeline-zero");
    check_dense("deepspeed", "tp=4,zero=2", "");
    check_dense("deepspeed", "tp=4,zero=3", "");
    check_dense("deepspeed@0.19.3", "tp=4,zero=3", "deepspeed-tp-zero");
    check_dense("deepspeed", "tp=4,pp=2", "deepspeed-tp-without-pipeline");
    check_dense("deepspeed@0.15", "tp=4", "deepspeed-tp-version");
    check_dense("deepspeed", "tp=4,sp=on", "deepspeed-no-sp");
    check_dense("deepspeed", "pp=4,placement=tp_pp_dp", "deepspeed-placement");
    check_experts("deepspeed", "ep=8,zero=2", "");
    check_experts("deepspeed", "ep=8,zero=3", "");
    check_experts("deepspeed@0.19.2", "ep=8,zero=3", "deepspeed-ep-zero");
}

static void megatron_deepspeed_joins_the_rules_of_both(void **state)
{
    (void)state;
    check_dense("megatron-deepspeed", "tp=4,pp=4,zero=1", "");
    check_dense("megatron-deepspeed", "tp=4,zero=3", "");
    check_dense("megatron-deepspeed", "pp=4,zero=2", "megatron-deepspeed-pipeline-zero");
    check_dense("megatron-deepspeed", "pp=4,schedule=interleaved,vpp=2",
                "megatron-deepspeed-schedule");
}

static void fsdp_shards_and_knows_no_stages(void **state)
{
    (void)state;
    check_dense("fsdp", "zero=3", "");
    check_dense("fsdp", "zero=2", "");
    check_dense("fsdp", "gpus=1,zero=0", "");
    check_dense("fsdp", "zero=1", "fsdp-shards");
    check_dense("fsdp", "zero=3,tp=2", "");
    check_dense("fsdp", "zero=3,pp=2", "fsdp-no-pipeline");
}

static void torchtitan_combines_sharding_with_other_dimensions(void **state)
{
    (void)state;
    check_dense("torchtitan", "tp=8,pp=4,zero=2,sp=on,schedule=interleaved,vpp=2", "");
    check_dense("torchtitan", "tp=8,zero=3", "");
    check_dense("torchtitan@0.2", "tp=8,zero=3", "torchtitan-tp-is-sp");
    check_dense("torchtitan", "zero=1", "torchtitan-zero");
    check_dense("torchtitan", "zero=0", "");
    check_dense("torchtitan", "zero=0,tp=8,sp=on", "");
    check_dense("torchtitan@0.2", "zero=0,tp=8,sp=on", "torchtitan-ddp-alone");
    check_dense("torchtitan", "tp=8,pp=8,zero=0,sp=on", "");
    check_dense("torchtitan", "zero=3,precision=fp16", "torchtitan-precision");
    check_dense("torchtitan", "zero=3,cp=2", "torchtitan-cp-kind");
}

static void ddp_does_nothing_but_replicate(void **state)
{
    (void)state;
    check_dense("ddp", "zero=0,dp_overlap=on,recompute=full", "");
    check_dense("ddp", "zero=1", "ddp-replicates");
    check_dense("ddp", "zero=0,pp=2", "ddp-one-dimension");
}

static void a_fact_is_the_common_divisor_of_all_kinds(void **state)
{
    (void)state;
    sp_model model = dense_model();
    model.n_kinds = 2;
    model.kinds[1] = (sp_layer_kind){
        .attention = {.heads = 48, .kv_heads = 12}
    };
    check("megatron@0.15", &model, "tp=4", "");
    check("megatron@0.15", &model, "tp=8", "megatron-kv-heads");
}

static void every_rule_names_its_engine_and_its_source(void **state)
{
    (void)state;
    const sp_model model = expert_model();
    loaded out = load_or_stop("any", &model);
    for (uint32_t i = 0; i < out.n_engines; i++) {
        const sp_engine *engine = &out.engines[i];
        assert_true(engine->n_rules > 0);
        for (uint32_t k = 0; k < engine->n_rules; k++) {
            const sp_engine_rule *rule = &engine->rules[k];
            assert_memory_equal(rule->id, engine->name, strlen(engine->name));
            assert_true(rule->source[0] != '\0' && rule->require_text[0] != '\0');
            assert_int_equal(rule->when == NULL, rule->when_text == NULL);
        }
    }
    sp_arena_fini(&out.arena);
}

/* ---- lists and versions ---- */

static void any_means_every_current_engine_by_name(void **state)
{
    (void)state;
    static const char *const names[] = {"ddp",      "deepspeed",          "fsdp",
                                        "megatron", "megatron-deepspeed", "torchtitan"};
    const sp_model model = dense_model();
    loaded out = load_or_stop("any", &model);
    assert_int_equal(out.n_engines, 6);
    for (size_t i = 0; i < 6; i++) {
        assert_string_equal(out.engines[i].name, names[i]);
    }
    assert_true(out.profile->flash_attention);
    assert_true(out.profile->grad_bytes == 4.0);
    sp_arena_fini(&out.arena);
}

static void several_engines_come_in_the_order_asked_with_the_common_profile(void **state)
{
    (void)state;
    const sp_model model = dense_model();
    loaded out = load_or_stop("fsdp,ddp", &model);
    assert_int_equal(out.n_engines, 2);
    assert_string_equal(out.engines[0].name, "fsdp");
    assert_string_equal(out.engines[1].name, "ddp");
    assert_true(out.engines[0].profile.sent_grad_bytes == 2.0);
    assert_true(out.profile->sent_grad_bytes == 0.0);
    sp_arena_fini(&out.arena);
}

static void one_engine_is_priced_with_its_own_constants(void **state)
{
    (void)state;
    const sp_model model = dense_model();
    loaded out = load_or_stop("megatron-lm", &model);
    assert_string_equal(out.engines[0].versions, "==3.0");
    assert_ptr_equal(out.profile, &out.engines[0].profile);
    assert_false(out.profile->flash_attention);
    assert_true(out.profile->kernel_host_s > 15e-6); /* eager launches of 2021 */
    sp_arena_fini(&out.arena);
}

static void a_constant_not_stated_is_that_of_any(void **state)
{
    (void)state;
    const sp_model model = dense_model();
    loaded old = load_or_stop("megatron-lm", &model), any = load_or_stop("any", &model);
    assert_true(old.profile->gemm_ratio == any.profile->gemm_ratio);
    assert_true(old.profile->layer_kernels == 95.0);
    assert_true(old.profile->communication_bytes == 154.1e6);
    sp_arena_fini(&old.arena);
    sp_arena_fini(&any.arena);
}

static void a_wrong_engine_is_told_the_nearest(void **state)
{
    (void)state;
    const sp_error err = refuse("megatorn", SP_E_UNKNOWN_NAME);
    assert_string_equal(err.value, "megatorn");
    assert_string_equal(err.nearest, "megatron");
    refuse("", SP_E_UNKNOWN_NAME);
    refuse("fsdp,", SP_E_UNKNOWN_NAME);
    refuse("../engines/fsdp", SP_E_UNKNOWN_NAME);
}

static void a_serving_engine_is_refused_as_not_yet(void **state)
{
    (void)state;
    refuse("vllm", SP_E_NOT_YET);
    refuse("megatron,sglang@0.5", SP_E_NOT_YET);
}

static void a_version_that_no_profile_covers_is_told_those_that_are(void **state)
{
    (void)state;
    const sp_error err = refuse("megatron@0.0.9", SP_E_RANGE);
    assert_string_equal(err.value, "0.0.9");
    assert_string_equal(err.range, ">=0.13 or >=0.9 or >=0.1");
    refuse("megatron@latest", SP_E_SYNTAX);
    refuse("megatron@", SP_E_SYNTAX);
}

static void a_list_that_contradicts_itself_is_refused(void **state)
{
    (void)state;
    refuse("fsdp,ddp,fsdp", SP_E_INCONSISTENT);
    refuse("any,fsdp", SP_E_INCONSISTENT);
    refuse("any@1", SP_E_INCONSISTENT);
}

/* Every allocation fails once: the loader says so each time, and leaks nothing. */
static void memory_may_run_out_anywhere(void **state)
{
    (void)state;
    const sp_model model = dense_model();
    for (uint64_t n = 1;; n++) {
        sp_error err = {0};
        loaded out;
        sp_alloc_fail_at(n);
        const sp_status status = load("any", &model, &out, &err);
        sp_alloc_fail_at(0);
        sp_arena_fini(&out.arena);
        if (status == SP_OK) {
            assert_true(n > 10);
            return;
        }
        assert_int_equal(status, SP_E_MEMORY);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(megatron_runs_what_its_arguments_allow),
        cmocka_unit_test(old_megatron_gains_abilities_with_its_third_version),
        cmocka_unit_test(deepspeed_keeps_zero_and_pipelines_apart),
        cmocka_unit_test(megatron_deepspeed_joins_the_rules_of_both),
        cmocka_unit_test(fsdp_shards_and_knows_no_stages),
        cmocka_unit_test(torchtitan_combines_sharding_with_other_dimensions),
        cmocka_unit_test(ddp_does_nothing_but_replicate),
        cmocka_unit_test(a_fact_is_the_common_divisor_of_all_kinds),
        cmocka_unit_test(every_rule_names_its_engine_and_its_source),
        cmocka_unit_test(any_means_every_current_engine_by_name),
        cmocka_unit_test(several_engines_come_in_the_order_asked_with_the_common_profile),
        cmocka_unit_test(one_engine_is_priced_with_its_own_constants),
        cmocka_unit_test(a_constant_not_stated_is_that_of_any),
        cmocka_unit_test(a_wrong_engine_is_told_the_nearest),
        cmocka_unit_test(a_serving_engine_is_refused_as_not_yet),
        cmocka_unit_test(a_version_that_no_profile_covers_is_told_those_that_are),
        cmocka_unit_test(a_list_that_contradicts_itself_is_refused),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
