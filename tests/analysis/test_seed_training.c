/* SPDX-License-Identifier: Apache-2.0 */
/* Every training record and preset of GPU Memory Calculator, figure by figure. The right values are
 * those of ZeRO (Rajbhandari et al., arXiv:1910.02054), Megatron-LM (Narayanan et al.,
 * arXiv:2104.04473; Korthikanti et al., arXiv:2205.05198) and ZeRO-Offload (Ren et al.,
 * arXiv:2101.06840), worked out here from a model's dimensions. */
#include "analysis/seed.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GIB 0x1p30

static bool is(const seed_plan *p, const char *engine)
{
    return strcmp(p->engine, engine) == 0;
}

static double figure(const sp_json *output, const char *part)
{
    const sp_json breakdown = sp_json_get(output, "breakdown");
    return number_in(&breakdown, part) * GIB;
}

/* ---- state ---- */

/* Parameters of the first pipeline stage on one rank: matrices are cut by tp, norms and the biases
 * of row-cut matrices are whole, and so are learned positions. */
static double rank_params(const seed_plan *p)
{
    const sp_model *m = p->problem->model;
    const double t = p->plan.tp, h = m->hidden, table = (double)m->vocab * h / t;
    double sum = 0.0, n = 0.0, per_stage = (double)m->n_layers / p->plan.pp;
    for (uint32_t r = 0; r < m->n_runs; r++) {
        const sp_layer_kind *kind = &m->kinds[m->runs[r].kind];
        const sp_attention *a = &kind->attention;
        const sp_ffn *f = &kind->ffn;
        const double count = fmin(m->runs[r].count, per_stage - n);
        const double d = a->head_dim, mats = f->gated ? 3.0 : 2.0;
        const double attention = 2.0 * h * a->heads * d + 2.0 * h * a->kv_heads * d;
        const double routed = f->n_experts * mats * h * f->expert_ffn;
        const double dense = mats * h * (f->ffn + f->shared_ffn);
        const double gpt = f->gated ? 2.0 * h : (3.0 * h + f->ffn) / t + 2.0 * h + 4.0 * h;
        const double router = (double)f->n_experts * h;
        sum += count * ((attention + routed + dense) / t + gpt + router);
        n += count;
    }
    const double positions = m->kinds[0].ffn.gated ? 0.0 : m->max_context * h;
    const double end = p->plan.pp > 1 ? 0.0 : m->tied_embeddings ? 2.0 * h : table + h;
    return sum + table + positions + end;
}

static double shards_of(const seed_plan *p, uint32_t from_stage)
{
    return p->plan.zero >= from_stage ? p->plan.dp : 1.0;
}

/* FSDP under MixedPrecisionPolicy: weights, gradients and moments that are sharded have fp32. */
static bool has_fp32_shards(const seed_plan *p)
{
    return seed_engine_constant(p->engine, "fp32_shards") > 0.0;
}

/* Bytes of a gradient by engine, from the file that has the sources: Megatron and autocast
 * accumulate in fp32, 4 where a file says nothing; some hold the 2-byte gradient of a micro-batch
 * beside. */
static double gradient_bytes(const seed_plan *p)
{
    const double stated = seed_engine_constant(p->engine, "grad_bytes");
    return stated > 0.0 ? stated : 4.0;
}

static double twin_bytes(const seed_plan *p)
{
    const bool waits = gradient_bytes(p) > 2.0 && p->zero < 2;
    return waits ? seed_engine_constant(p->engine, "twin_grad_bytes") : 0.0;
}

/* Of a parameter on this rank: 2 of the working copy, gathered at stage 3, and 4 of its shard where
 * that is fp32. */
static double weight_bytes(const seed_plan *p)
{
    if (p->offloads_params) return 0.0;
    if (!has_fp32_shards(p)) return 2.0 / shards_of(p, 3);
    return (p->zero == 3 ? 0.0 : 2.0) + 4.0 / shards_of(p, 1);
}

/* The copy that is updated, where it is no shard of the weights, the fp32 copy of gradients that
 * DeepSpeed flattens for the update, and what the optimizer keeps beside it: two moments of fp32;
 * nothing for SGD; two of 8 bits with a scale for each 256 elements, but for those of the token
 * table (bitsandbytes, Optimizer2State; Transformers registers nn.Embedding with 32 bits). */
static double optimizer_bytes(const seed_plan *p)
{
    const double flat =
        twin_bytes(p) > 0.0 ? 0.0 : seed_engine_constant(p->engine, "flat_update_bytes");
    const double master = has_fp32_shards(p) ? 0.0 : 4.0;
    const sp_model *m = p->problem->model;
    const double table = (double)m->vocab * m->hidden / p->plan.tp / rank_params(p);
    if (strcmp(p->optimizer, "sgd") == 0) return master + flat;
    if (strcmp(p->optimizer, "adamw_8bit") == 0) {
        /* ZeRO flattens the token table with all else. */
        return master + 2.03125 + (is(p, "deepspeed") ? 0.0 : table * (8.0 - 2.03125)) + flat;
    }
    return master + 8.0 + flat;
}

static seed_error state_error(const seed_plan *p)
{
    if (p->plan.pp > 1 || p->plan.tp > 1) {
        return is(p, "deepspeed") || is(p, "fsdp") ? SEED_FIXED_SHARDS : SEED_STAGES;
    }
    return SEED_RIGHT;
}

static void judge_weights(const seed_plan *p, const sp_json *output, seed_tally *t)
{
    const double right = weight_bytes(p) * rank_params(p);
    seed_error error = state_error(p);
    if (error == SEED_RIGHT && has_fp32_shards(p)) error = SEED_FP32_WEIGHTS;
    if (p->zero == 3) {
        error = p->offloads_params ? SEED_OFFLOAD
                : is(p, "fsdp")    ? SEED_LARGEST_LAYER
                                   : SEED_OWN_SHARD;
    }
    seed_judge(t, p->id, "weights", figure(output, "model_params_gb"),
               p->estimate.memory.weights_bytes * p->scale, right * p->scale, error);
}

/* Gradients of what the host updates leave the GPU as they arise (ZeRO-Offload, section 4.1), from
 * stage 2 on. */
static void judge_gradients(const seed_plan *p, const sp_json *output, seed_tally *t)
{
    const bool away = p->offloads_optimizer && p->zero >= 2;
    const double right =
        away ? 0.0 : (gradient_bytes(p) / shards_of(p, 2) + twin_bytes(p)) * rank_params(p);
    seed_error error = state_error(p);
    if (away) error = SEED_OFFLOAD;
    if (error == SEED_RIGHT && gradient_bytes(p) == 4.0) error = SEED_GRADIENTS;
    seed_judge(t, p->id, "gradients", figure(output, "gradients_gb"),
               p->estimate.memory.gradients_bytes * p->scale, right * p->scale, error);
}

static void judge_optimizer(const seed_plan *p, const sp_json *output, seed_tally *t)
{
    const double right =
        p->offloads_optimizer ? 0.0 : optimizer_bytes(p) * rank_params(p) / shards_of(p, 1);
    seed_error error = state_error(p);
    if (p->offloads_optimizer) error = SEED_OFFLOAD;
    if (error == SEED_RIGHT && strncmp(p->optimizer, "adam", 4) != 0) error = SEED_OPTIMIZERS;
    if (error == SEED_RIGHT && strcmp(p->optimizer, "adamw_8bit") == 0) error = SEED_OPTIMIZERS;
    if (error == SEED_RIGHT && is(p, "deepspeed")) error = SEED_FLAT_GRADIENTS;
    if (error == SEED_RIGHT && has_fp32_shards(p)) error = SEED_FP32_WEIGHTS;
    seed_judge(t, p->id, "optimizer", figure(output, "optimizer_states_gb"),
               p->estimate.memory.optimizer_bytes * p->scale, right * p->scale, error);
}

/* The host holds master copy and moments, 12 bytes, with the gradients that it reads, and what is
 * offloaded of the weights, 2: over all GPUs, as if all stages were as full as the first. */
static void judge_host(const seed_plan *p, const sp_json *output, seed_tally *t)
{
    const sp_memory *m = &p->estimate.memory;
    const double ours = (p->to_nvme ? m->nvme_bytes : m->host_bytes) * p->n_gpus * p->scale;
    const double state =
        (p->offloads_optimizer ? 12.0 + gradient_bytes(p) : 0.0) + (p->offloads_params ? 2.0 : 0.0);
    const double copies = p->plan.dp / (p->zero >= 1 ? (double)p->plan.dp : 1.0);
    const double right = state * rank_params(p) * p->plan.tp * p->plan.pp * copies * p->scale;
    const bool offloads = p->offloads_optimizer || p->offloads_params;
    seed_judge(t, p->id, "host", number_in(output, "cpu_memory_gb") * GIB, ours, right,
               offloads ? SEED_OFFLOAD : SEED_RIGHT);
}

/* ---- activations ---- */

/* Kept by a layer of one token, in bytes, under each level: Korthikanti et al., table 2, for GPT;
 * for Llama 12 h + 4 g d + 6 f + 4 a, of which the outputs of norms are 4 h. What Transformers'
 * modules keep beside (fp32 copies of norms, the gate's activation) is 8 h and 2 f. */
static double token_bytes(const seed_plan *p, const sp_layer_kind *kind)
{
    const double t = p->plan.tp, h = p->problem->model->hidden, s = p->plan.sp == SP_ON ? t : 1.0;
    const double lse = 4.0 * kind->attention.heads / t;
    const bool eager = is(p, "deepspeed"), moe = kind->ffn.n_experts > 0;
    const double kv = (double)kind->attention.kv_heads * kind->attention.head_dim;
    const uint32_t level = p->level;
    if (level == 4) return 2.0 * h / s;
    if (!kind->ffn.gated) {
        return (level >= 2 ? 6.0 : 10.0) * h / s + 24.0 * h / t + (level == 1 ? 0.0 : lse);
    }
    const double f =
        moe ? (double)kind->ffn.top_k * kind->ffn.expert_ffn + kind->ffn.shared_ffn : kind->ffn.ffn;
    const double gate = f * (6.0 + (eager ? 2.0 : 0.0)) / t;
    const double norms =
        level == 2 || (level == 3 && moe) ? 0.0 : 4.0 * h / s + (eager ? 8.0 * h / s : 0.0);
    const double routed = moe ? 2.0 * kind->ffn.top_k * h + 4.0 * kind->ffn.n_experts : 0.0;
    const double block = level == 3 ? (moe ? gate - f * (eager ? 4.0 : 2.0) / t : 0.0) : gate;
    return 4.0 * h / s + norms + (4.0 * h + 4.0 * kv) / t + (level == 1 ? 0.0 : lse) + block +
           routed;
}

/* What the layers of the first stage keep of one micro-batch until their backward pass. */
static double kept_bytes(const seed_plan *p)
{
    const sp_stage_split *split =
        sp_problem_split(p->problem, p->plan.pp, SP_STAGE_LAYERS_EVEN, SP_LAYOUT_ROW);
    sp_inputs in;
    sp_inputs_build(p->problem, &p->plan, false, &in);
    for (uint32_t i = 0; i < split->n_classes; i++) {
        if (split->classes[i].embedding) return sp_stage_kept_bytes(&in, &split->classes[i]);
    }
    return 0.0;
}

static void judge_activations(const seed_plan *p, const sp_json *output, seed_tally *t)
{
    const sp_model *m = p->problem->model;
    const double layers = (double)m->n_layers / p->plan.pp;
    double right = 0.0, n = 0.0;
    for (uint32_t r = 0; r < m->n_runs; r++) {
        const double count = fmin(m->runs[r].count, layers - n);
        right += count * token_bytes(p, &m->kinds[m->runs[r].kind]) * (double)p->seq_len * p->batch;
        n += count;
    }
    seed_judge(t, p->id, "activations", figure(output, "activations_gb"), kept_bytes(p), right,
               p->moe ? SEED_EXPERTS : SEED_ACTIVATIONS);
}

/* ---- what follows from the parts ---- */

/* Ours beside the parts: communicators and buckets, gathered units, workspaces, the context,
 * fragmentation; logits, which theirs has not. */
static void judge_rest(const seed_plan *p, const sp_json *output, seed_tally *t)
{
    const sp_memory *m = &p->estimate.memory;
    const double parts = m->weights_bytes + m->gradients_bytes + m->optimizer_bytes +
                         m->activations_bytes + m->logits_bytes;
    const double rest = m->peak_bytes - parts, theirs = figure(output, "overhead_gb");
    assert_true(rest > 0.0);
    seed_count(t, fabs(theirs - rest) <= 1e-3 * rest, SEED_OVERHEAD, p->id, "overhead");
    const double total = number_in(output, "total_memory_per_gpu_gb") * GIB;
    const bool equal = fabs(total - m->peak_bytes) <= 1e-3 * total;
    seed_count(t, equal, SEED_OVERHEAD, p->id, "total");
    seed_count(t, equal, SEED_OVERHEAD, p->id, "all GPUs");
    seed_count(t, equal, SEED_OVERHEAD, p->id, "utilization");
    const bool fits = sp_memory_fits(p->problem, m);
    seed_count(t, flag_in(output, "fits_on_gpu") == fits, SEED_OVERHEAD, p->id, "fits");
    const sp_json batch = sp_json_get(output, "recommended_batch_size");
    seed_count(t, !sp_json_is_number(&batch) && fits,
               sp_json_is_number(&batch) ? SEED_RECOMMENDED : SEED_OVERHEAD, p->id, "batch");
}

static void judge_network(const seed_plan *p, const sp_json *input, const sp_json *output,
                          seed_tally *t)
{
    const sp_json node = sp_json_get(input, "node");
    const sp_json network = sp_json_get(output, "network_overhead");
    sp_traffic traffic;
    if (!sp_json_is_object(&node)) return;
    sp_traffic_build(p->problem, &p->plan, &traffic);
    assert_true(sp_traffic_sent_bytes(&traffic, SP_BY_DP) > 0.0 || p->plan.dp == 1);
    seed_count(t, false, sp_json_is_object(&network) ? SEED_VOLUMES : SEED_NO_NODES, p->id,
               "network");
}

static void judge(const sp_json *config, const sp_json *record, const char *id, seed_tally *t)
{
    const sp_json output = sp_json_get(record, "output"), input = sp_json_get(record, "input");
    seed_plan p;
    t->records++;
    seed_plan_build(&p, config, id);
    if (p.problem == NULL) {
        assert_true(strlen(p.err.message) > 10 && p.err.value[0] != '\0');
        seed_refuse(t, 12);
        return;
    }
    judge_weights(&p, &output, t);
    judge_gradients(&p, &output, t);
    judge_optimizer(&p, &output, t);
    judge_host(&p, &output, t);
    judge_activations(&p, &output, t);
    judge_rest(&p, &output, t);
    judge_network(&p, &input, &output, t);
    seed_plan_free(&p);
}

static void replay(const sp_json *record, void *context)
{
    const sp_json input = sp_json_get(record, "input");
    if (!flag_in(record, "ok")) return;
    judge(&input, record, word_in(record, "id"), context);
}

static void replay_preset(const sp_json *record, void *context)
{
    const sp_json config = sp_json_get(record, "config");
    judge(&config, record, word_in(record, "id"), context);
}

static void every_figure_of_training_is_equal_or_of_a_named_error(void **state)
{
    seed_tally t = {0};
    (void)state;
    for_each_record("seed-gpumem", "training", replay, &t);
    seed_print("training", &t);
    assert_int_equal(t.records, 61);
}

static void every_figure_of_a_preset_is_equal_or_of_a_named_error(void **state)
{
    seed_tally t = {0};
    (void)state;
    for_each_record("seed-gpumem", "preset", replay_preset, &t);
    seed_print("presets", &t);
    assert_int_equal(t.records, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_figure_of_training_is_equal_or_of_a_named_error),
        cmocka_unit_test(every_figure_of_a_preset_is_equal_or_of_a_named_error),
    };
    return getenv("SHARDPLAN_DATA") != NULL ? cmocka_run_group_tests(tests, NULL, NULL) : 77;
}
