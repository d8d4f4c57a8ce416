/* SPDX-License-Identifier: Apache-2.0 */
/* What LLM-para gets wrong about memory tiers, several chips and speculative decoding: each test
 * states its value, ours, and why ours is right. */
#include "sweep_records.h"

#include <math.h>
#include <string.h>

/* A record's question on its hardware, and on its tiers where it has some. */
typedef struct deployed {
    made_model model;
    sp_gpu gpu;
    sp_analysis_question question;
    sp_arena arena;
    const sp_analysis *analysis;
    const sp_tier_plan *plan;
} deployed;

static void analyse(const sp_json *record, deployed *d)
{
    sp_error err = {0};
    *d = (deployed){0};
    reference_model(record, "config", &d->model);
    d->question = reference_question(record, &d->model, &d->gpu);
    must(sp_analyze(&d->arena, &d->question, &d->analysis, &err), &err);
}

static const sp_tier_plan *place(const sp_json *record, deployed *d)
{
    sp_error err = {0};
    const sp_tiered_chip *chip = NULL;
    must(sp_tiered_chip_find(&d->arena, source_home(), reference_text(record, "hardware_key"),
                             &chip, &err),
         &err);
    must(sp_tiers_plan(&d->arena, &d->question, d->analysis, chip, &d->plan, &err), &err);
    return d->plan;
}

static const sp_tier_item *item_of(const sp_tier_plan *plan, const char *name)
{
    for (uint32_t i = 0; i < plan->n_items; i++) {
        if (strcmp(plan->items[i].name, name) == 0) return &plan->items[i];
    }
    fail_msg("nothing is called %s", name);
    return NULL;
}

/* Phi-3 Mini in 16 bits, batch 2: 7.6 GB of weights, SRAM 0.25, DRAM 8, Flash 64 GB. It leaves
 * 6.1 GB in Flash, charges all 7.2 GB it reads to Flash, once a sequence: 0.55 tokens/s. */
static void slowest_tier(const sp_json *record, void *user)
{
    deployed d;
    (void)user;
    analyse(record, &d);
    const double theirs = reference_number(record, "hetero/throughput/decode_tokens_per_sec");
    const double by_tier_s =
        reference_number(record, "hetero/placement/summary/weights_in_dram_gb") / 256.0 +
        reference_number(record, "hetero/placement/summary/weights_in_flash_gb") / 8.0;
    const double at_flash_s = reference_number(record, "hetero/throughput/bytes_per_token") / 8e9;
    assert_close(theirs, 0.5518948590313947, 1e-12);
    assert_close(theirs, 1.0 / at_flash_s, 1e-12);
    assert_true(by_tier_s < at_flash_s / 2.0);
    assert_at_most(theirs, place(record, &d)->tokens_per_s, 0.0);
    print_message("%.3f tokens/s, by it %.3f\n", d.plan->tokens_per_s, theirs);
    sp_arena_fini(&d.arena);
}

static void defect_14_each_byte_moves_at_the_speed_of_its_tier(void **state)
{
    (void)state;
    reference_one("lp-dev-045", slowest_tier, NULL);
}

/* Its bytes a token grow with the batch (2 sequences: twice 7.25 GB). A step reads a weight once
 * for all sequences: two sequences get more than one and a half times the tokens of one, while both
 * caches leave room. */
static void weights_once_a_step(const sp_json *record, void *user)
{
    deployed two, one;
    sp_error err = {0};
    (void)user;
    analyse(record, &two);
    analyse(record, &one);
    one.question.batch = 1;
    two.question.prompt_tokens = one.question.prompt_tokens = 128;
    two.question.generated_tokens = one.question.generated_tokens = 128;
    must(sp_analyze(&one.arena, &one.question, &one.analysis, &err), &err);
    must(sp_analyze(&two.arena, &two.question, &two.analysis, &err), &err);
    const double bytes = reference_number(record, "hetero/throughput/bytes_per_token");
    assert_close(bytes, 2.0 * 32.0 * 2.0 * (4.0 * 3072.0 * 3072.0 + 3.0 * 3072.0 * 8192.0), 1e-12);
    assert_at_most(1.5 * place(record, &one)->tokens_per_s, place(record, &two)->tokens_per_s, 0.0);
    sp_arena_fini(&one.arena);
    sp_arena_fini(&two.arena);
}

static void defect_15_weights_are_read_once_a_step(void **state)
{
    (void)state;
    reference_one("lp-dev-045", weights_once_a_step, NULL);
}

static void take_scores_tier(const sp_json *op, void *user)
{
    const char *category = reference_text(op, "category"), *phase = reference_text(op, "phase");
    if (strcmp(category, "Attention") != 0 || strcmp(phase, "Decode") != 0) return;
    if (strcmp(reference_text(op, "operation"), "Softmax") == 0) return;
    assert_string_equal(reference_text(op, "data_tier"), "Flash");
    (*(uint32_t *)user)++;
}

/* It places the cache in DRAM, then charges the products that read it to Flash, the tier of the
 * weights: the branch for the cache looks for a word that no row has. Ours has one place for the
 * cache, and its bytes are moved from there. */
static void tier_of_the_cache(const sp_json *record, void *user)
{
    deployed d;
    uint32_t n = 0;
    (void)user;
    for (size_t i = 0; i < reference_count(record, "hetero/hetero_ops"); i++) {
        reference_element(record, "hetero/hetero_ops", i, take_scores_tier, &n);
    }
    assert_int_equal(n, 2);
    assert_true(reference_number(record, "hetero/placement/summary/kv_cache_gb") < 8.0);
    analyse(record, &d);
    const sp_tier_item *cache = item_of(place(record, &d), "kv_cache");
    double placed_bytes = 0.0;
    for (uint32_t t = 0; t < SP_TIERS_MAX; t++) {
        placed_bytes += cache->in_tier[t];
    }
    assert_close(placed_bytes, d.analysis->kv_max_bytes, 1e-12);
    sp_arena_fini(&d.arena);
}

static void defect_16_the_cache_is_read_from_where_it_lies(void **state)
{
    (void)state;
    reference_one("lp-dev-045", tier_of_the_cache, NULL);
}

/* LLaMA-3 8B, 2,048 tokens: its time to the first token stands for 28.59 TFLOP, without the output
 * projection of 2 x 2048 x 4096 x 4096 x 32 = 2.2 TFLOP, which ours has as a row. */
static void output_projection(const sp_json *record, void *user)
{
    deployed d;
    double ours = 0.0;
    (void)user;
    analyse(record, &d);
    const double theirs = reference_number(record, "hetero/throughput/ttft_ms") / 1e3 *
                          reference_number(record, "hardware/peak_performance");
    assert_close(theirs, 28.59e12, 1e-3);
    for (uint32_t i = 0; i < d.analysis->n_operators; i++) {
        const sp_operator *row = &d.analysis->operators[i];
        if (row->phase != SP_PHASE_PREFILL || strcmp(row->name, "output_projection") != 0) continue;
        ours += row->layers * row->flops;
    }
    assert_close(ours, 2.0 * 2048.0 * 4096.0 * 4096.0 * 32.0, 1e-12);
    assert_close(theirs + ours, 30.79e12, 1e-3);
    sp_arena_fini(&d.arena);
}

static void defect_17_a_prompt_passes_the_output_projection(void **state)
{
    (void)state;
    reference_one("lp-dev-042", output_projection, NULL);
}

static void take_activation(const sp_json *place, void *user)
{
    if (strcmp(reference_text(place, "data_type"), "activation") != 0) return;
    *(double *)user += reference_number(place, "size_gb");
}

/* 2.15 GB of activations by its own count, 0.25 GB of SRAM: it places 0.25 GB and the rest nowhere.
 * Whatever ours holds lies somewhere, or the answer is that it does not fit. */
static void nothing_lost(const sp_json *record, void *user)
{
    deployed d;
    double placed_gb = 0.0;
    (void)user;
    for (size_t i = 0; i < reference_count(record, "hetero/placement/placement"); i++) {
        reference_element(record, "hetero/placement/placement", i, take_activation, &placed_gb);
    }
    assert_close(placed_gb, 0.25, 1e-12);
    assert_true(reference_number(record, "hetero/placement/summary/activations_gb") > 2.0);
    analyse(record, &d);
    const sp_tier_plan *plan = place(record, &d);
    double used_bytes = 0.0;
    for (uint32_t t = 0; t < SP_TIERS_MAX; t++) {
        used_bytes += plan->used_bytes[t];
    }
    assert_close(used_bytes + plan->overflow_bytes, d.analysis->memory_needed_bytes, 1e-9);
    sp_arena_fini(&d.arena);
}

static void defect_18_what_is_held_lies_somewhere(void **state)
{
    (void)state;
    reference_one("lp-dev-045", nothing_lost, NULL);
}

/* ---- 19: several chips ---- */

static const sp_cluster nvlink = {.name = "8 by NVLink",
                                  .node_gpus = 8,
                                  .n_levels = 1,
                                  .max_gpus = 8,
                                  .levels = {{.label = "NVLink",
                                              .n_gpus = UINT32_MAX,
                                              .bytes_per_s = 450e9,
                                              .efficiency_ratio = 1.0,
                                              .oversubscription = 1.0}}};

/* Mixtral 8x22B: 22.2 billion parameters by its sharding, one expert of eight; ours holds 140.6. */
static void experts(const sp_json *record, void *user)
{
    deployed d;
    (void)user;
    analyse(record, &d);
    assert_close(reference_number(record, "parallelism/sharding/total_params"), 22237839360.0, 0.0);
    assert_close(d.analysis->parameters, 140.6e9, 1e-3);
    sp_arena_fini(&d.arena);
}

static void defect_19_all_experts_are_held(void **state)
{
    (void)state;
    reference_one("lp-dev-023", experts, NULL);
}

/* 61 layers in 2 stages: it counts 30 in each. Ours prices 31 and 30 (test_chips.c). */
static void lost_layer(const sp_json *record, void *user)
{
    (void)user;
    assert_close(reference_number(record, "config/num_layers"), 61.0, 0.0);
    assert_close(reference_number(record, "parallelism/sharding/layers_per_stage"), 30.0, 0.0);
}

static void defect_19_no_layer_falls_between_stages(void **state)
{
    (void)state;
    reference_one("lp-dev-037", lost_layer, NULL);
}

/* LLaMA-3 8B in 8 stages: it credits one token with a speed-up of 2.9. A token passes the same
 * layers one after the other, and the hand-overs besides. */
static void pipeline_latency(const sp_json *record, void *user)
{
    deployed d;
    sp_chips one, eight;
    sp_error err = {0};
    (void)user;
    analyse(record, &d);
    d.question.cluster = &nvlink;
    d.question.batch = 1;
    must(sp_chips_price(&d.question, 1, 1, 1, &one, &err), &err);
    must(sp_chips_price(&d.question, 1, 8, 1, &eight, &err), &err);
    assert_close(reference_number(record, "parallelism/throughput/speedup"), 2.909090909090909,
                 1e-12);
    assert_at_most(one.token_s, eight.token_s, 0.0);
    assert_at_most(eight.tokens_per_s, one.tokens_per_s, 0.0);
    sp_arena_fini(&d.arena);
}

static void defect_19_stages_speed_up_no_single_token(void **state)
{
    (void)state;
    reference_one("lp-dev-008", pipeline_latency, NULL);
}

/* ---- 20: speculative decoding ---- */

/* It takes 1.448 GiB for 1.448 GB and reads no cache: 0.273 ms a token of GPT-2 XL on an MI300X.
 * The same weights alone are 7.4 % more bytes, and 2.5 GB of cache cost more than they. */
static void gib_for_gb(const sp_json *record, void *user)
{
    deployed d;
    sp_error err = {0};
    sp_speculation s;
    made_model draft_model;
    const sp_economics money = reference_money(record);
    (void)user;
    analyse(record, &d);
    reference_model(record, "config", &draft_model);
    draft_model.runs[0].count = draft_model.model.n_layers = 6;
    sp_analysis_question draft = d.question;
    draft.model = &draft_model.model;
    must(sp_speculate(&d.arena, &d.question, &draft, &money, &s, &err), &err);
    const double bytes_per_s = reference_number(record, "hardware/memory_bandwidth");
    const double gib = reference_number(record, "summary/model_size_gb");
    const double theirs_s = gib * 1e9 / bytes_per_s;
    assert_close(theirs_s * 1e3,
                 reference_number(record, "speculative/target_summary/decode_latency_ms"), 2e-3);
    assert_close(gib * 0x1p30 / bytes_per_s, 1.073741824 * theirs_s, 1e-12);
    assert_at_most(gib * 0x1p30 / bytes_per_s, s.target_s, 0.0);
    sp_arena_fini(&d.arena);
}

static void defect_20_a_step_reads_all_bytes_and_the_cache(void **state)
{
    (void)state;
    reference_one("lp-dev-000", gib_for_gb, NULL);
}

/* With a depth of 1 the target sees 2 tokens a sequence: the last accepted one and the proposal. It
 * counts the arithmetic of one. On a memory without limit only arithmetic is left. */
static void one_more_token(const sp_json *record, void *user)
{
    deployed d;
    sp_error err = {0};
    sp_speculation s;
    const sp_economics money = reference_money(record);
    (void)user;
    analyse(record, &d);
    d.gpu.memory_bytes_per_s = 1e24;
    must(sp_speculate(&d.arena, &d.question, &d.question, &money, &s, &err), &err);
    assert_close(reference_number(record, "speculative_inputs/gamma"), 1.0, 0.0);
    assert_close(s.verify_s[1], 2.0 * s.target_s, 1e-3);
    sp_arena_fini(&d.arena);
}

static void defect_20_verification_sees_one_token_more_than_were_proposed(void **state)
{
    (void)state;
    reference_one("lp-dev-000", one_more_token, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defect_14_each_byte_moves_at_the_speed_of_its_tier),
        cmocka_unit_test(defect_15_weights_are_read_once_a_step),
        cmocka_unit_test(defect_16_the_cache_is_read_from_where_it_lies),
        cmocka_unit_test(defect_17_a_prompt_passes_the_output_projection),
        cmocka_unit_test(defect_18_what_is_held_lies_somewhere),
        cmocka_unit_test(defect_19_all_experts_are_held),
        cmocka_unit_test(defect_19_no_layer_falls_between_stages),
        cmocka_unit_test(defect_19_stages_speed_up_no_single_token),
        cmocka_unit_test(defect_20_a_step_reads_all_bytes_and_the_cache),
        cmocka_unit_test(defect_20_verification_sees_one_token_more_than_were_proposed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
