/* SPDX-License-Identifier: Apache-2.0 */
/* The name of a question: a hash over everything that its answer depends on, in a fixed order and
 * in text, so that it does not depend on padding or byte order. Ids of plans mean something only
 * together with it. A baseline is shown beside the plans and changes neither them nor their ids, so
 * it is no part of the name. */
#include "step/step.h"

/* Raised whenever the same question may give other figures or other ids. */
#define MODEL_VERSION "4"

static void add_number(sp_text *t, double x)
{
    char text[32];
    sp_format_double(x, text);
    sp_text_add(t, text);
    sp_text_add(t, " ");
}

static void add_rate(sp_text *t, const sp_gemm_rate *r)
{
    const double values[] = {r->s_per_flop, r->s_per_byte, r->launch_s,
                             r->m_half,     r->n_half,     r->k_half};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        add_number(t, values[i]);
    }
}

/* The rates hold the GPU's surfaces and the profile's ratios as the estimate uses them. */
static void add_machine(sp_text *t, const sp_problem *problem)
{
    const sp_gpu *gpu = problem->cluster->gpu;
    const sp_rates *r = &problem->rates;
    sp_text_add(t, "machine ");
    for (int p = 0; p < SP_N_PRECISIONS; p++) {
        add_rate(t, &r->gemm[p]);
        add_rate(t, &r->grouped[p]);
    }
    const double values[] = {r->attention_s_per_flop,
                             r->attention_sequence_half,
                             r->attention_head_dim_64_ratio,
                             r->attention_backward_ratio,
                             r->attention_launch_s,
                             r->stream_s_per_byte,
                             r->stream_launch_s,
                             r->state_s_per_byte,
                             r->vector_s_per_flop,
                             r->score_bytes_ratio,
                             r->misaligned_ratio,
                             r->grad_bytes,
                             r->added_bytes,
                             (double)r->flash,
                             gpu->memory_bytes,
                             gpu->context_bytes,
                             sp_gpu_peak_flops_per_s(gpu),
                             problem->usd_per_gpu_hour,
                             problem->host.memory_bytes,
                             problem->host.link_s_per_byte,
                             problem->host.update_s_per_byte,
                             problem->host.nvme_bytes,
                             problem->host.nvme_s_per_byte};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        add_number(t, values[i]);
    }
    for (uint32_t i = 0; i < problem->fabric.n_levels; i++) {
        const sp_fabric_level *l = &problem->fabric.level[i];
        sp_text_printf(t, "\nlevel %u ", l->n_gpus);
        add_number(t, l->s_per_byte);
        add_number(t, l->half_bytes);
        add_number(t, l->latency_s);
        add_number(t, l->base_s);
    }
}

static void add_recipe(sp_text *t, const sp_recipe *r)
{
    const double values[] = {r->weight_bytes, r->shard_bytes,  r->gradient_bytes, r->twin_bytes,
                             r->sent_bytes,   r->master_bytes, r->moments_bytes,  r->step_bytes};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        add_number(t, values[i]);
    }
}

/* What recipes do not say of the optimizer: how tensors differ, and what an update takes besides.
 */
static void add_optimizer(sp_text *t, const sp_problem *problem)
{
    const sp_optimizer *o = problem->optimizer;
    const double values[] = {o->embedding_bytes,     o->head_bytes,    o->vector_bytes,
                             o->row_bytes,           o->column_bytes,  o->small_elements,
                             o->small_bytes,         o->largest_bytes, o->pass_bytes,
                             o->newton_schulz_steps, o->narrow_state,  o->engine_temporaries};
    sp_text_printf(t, "\noptimizer %s gradients %s ", o->name,
                   sp_gradients_name(problem->question.gradients));
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        add_number(t, values[i]);
    }
    add_recipe(t, &problem->recipe);
    add_recipe(t, &problem->adapter_recipe);
    for (int p = 0; p < SP_N_PRECISIONS; p++) {
        add_number(t, problem->copy_bytes[p]);
    }
}

static void add_profile(sp_text *t, const sp_problem *problem)
{
    const sp_engine_profile *f = problem->profile;
    const double values[] = {(double)f->merges_expert_copies,
                             (double)f->flat_state,
                             (double)f->fp8_params,
                             (double)f->root_unit,
                             (double)f->waits_for_tp_sums,
                             (double)f->cuts_messages,
                             f->quantised_weight_bytes,
                             f->quantised_rest_bytes,
                             f->cast_grad_bytes,
                             f->kernel_host_s,
                             f->layer_kernels,
                             f->layer_kernels_tp,
                             f->expert_layer_kernels,
                             f->expert_kernels,
                             f->scaled_expert_kernels,
                             f->micro_batch_s,
                             f->step_s,
                             (double)f->gathers_each_batch,
                             f->tp_pieces,
                             f->tp_interference_ratio,
                             f->cp_overlap_ratio,
                             f->ep_overlap_ratio,
                             f->shared_overlap_ratio,
                             f->expert_excess_ratio,
                             f->fp8_dispatch_bytes,
                             f->qwz_bytes,
                             f->qgz_bytes,
                             f->offload_overlap_ratio,
                             f->host_update_ratio,
                             f->dp_overlap_ratio,
                             f->dp_interference_ratio,
                             f->fragmentation_ratio,
                             f->communication_bytes,
                             f->workspace_bytes,
                             f->bucket_bytes,
                             f->unit_grad_bytes,
                             f->update_bytes,
                             f->flat_update_bytes,
                             f->live_params,
                             f->pipeline_unit_bytes,
                             f->logit_bytes,
                             f->logit_bytes_tp,
                             f->norm_extra_bytes,
                             f->gate_extra_bytes,
                             f->ops_dropped_ratio,
                             sp_problem_step_error(problem),
                             f->rank_error_ratio,
                             f->memory_error_ratio};
    sp_text_add(t, "\nprofile ");
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        add_number(t, values[i]);
    }
}

static void add_engines(sp_text *t, const sp_problem *problem)
{
    for (uint32_t e = 0; e < problem->n_engines; e++) {
        const sp_engine *engine = &problem->engines[e];
        sp_text_printf(t, "\nengine %s %s", engine->name, engine->versions);
        for (uint32_t i = 0; i < engine->n_rules; i++) {
            const sp_engine_rule *rule = &engine->rules[i];
            sp_text_printf(t, "\nrule %s: %s => %s", rule->id,
                           rule->when_text != NULL ? rule->when_text : "", rule->require_text);
        }
    }
}

static void add_question(sp_text *t, const sp_problem *problem)
{
    const sp_question *q = &problem->question;
    sp_text_printf(t, "\nworkload %llu %llu ", (unsigned long long)q->seq_len,
                   (unsigned long long)q->global_batch);
    sp_text_printf(t, "%llu %s %u %s ", (unsigned long long)q->doc_len, sp_task_name(q->task),
                   q->lora_rank, sp_kernels_name(q->kernels));
    add_number(t, q->moe_imbalance_ratio);
    sp_text_printf(t, "%s %u ", sp_dispatch_name(q->dispatch), q->zeropp);
    add_number(t, q->straggler_ratio);
    add_number(t, q->site_factor);
    add_number(t, q->tokens);
    add_number(t, q->max_network_ratio);
    add_number(t, q->headroom_ratio);
    add_number(t, q->reserve_bytes);
    sp_text_printf(t, "\nuse_upto %d space_all %d gpus", q->use_upto, problem->space_all);
    for (uint32_t i = 0; i < problem->n_gpus_values; i++) {
        sp_text_printf(t, " %u", problem->gpus_values[i]);
    }
    for (uint32_t i = 0; i < problem->n_objectives; i++) {
        sp_text_printf(t, "\nobjective %s", sp_problem_objective(problem, i)->name);
    }
    for (uint32_t i = 0; i < problem->n_sets; i++) {
        const sp_set *set = &problem->sets[i];
        sp_text_printf(t, "\nset %s", sp_axis_describe(set->axis)->name);
        for (uint32_t v = 0; v < set->n_values; v++) {
            sp_text_printf(t, " %u", set->values[v]);
        }
    }
    for (uint32_t i = 0; i < problem->n_wheres; i++) {
        sp_text_printf(t, "\nwhere %s", sp_expr_text(problem->wheres[i].expr));
    }
}

sp_status sp_problem_fingerprint_build(sp_problem *problem, sp_error *err)
{
    sp_text text = {0};
    sp_text_add(&text, "shardplan " MODEL_VERSION "\n");
    sp_model_write_numbers(problem->model, &text);
    add_machine(&text, problem);
    add_profile(&text, problem);
    add_engines(&text, problem);
    add_optimizer(&text, problem);
    add_question(&text, problem);
    const bool failed = text.failed;
    if (!failed) {
        sp_hash_hex(sp_hash_bytes(text.data, text.length), problem->fingerprint);
    }
    sp_text_fini(&text);
    return failed ? sp_fail(err, SP_E_MEMORY, "no memory for the fingerprint") : SP_OK;
}
