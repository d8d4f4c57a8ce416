/* SPDX-License-Identifier: Apache-2.0 */
/* The name of a serving question: a hash over everything that its answer depends on, in a fixed
 * order and in text. Ids of plans mean something only together with it. */
#include "analysis/memory_priv.h"
#include "serve/serving_priv.h"

/* Raised whenever the same question may give other figures or other ids. */
#define MODEL_VERSION "2"

static void add_number(sp_text *t, double x)
{
    char text[32];
    sp_format_double(x, text);
    sp_text_add(t, text);
    sp_text_add(t, " ");
}

static void add_numbers(sp_text *t, const double *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        add_number(t, values[i]);
    }
}

static void add_surface(sp_text *t, const sp_surface *s)
{
    sp_text_printf(t, "\nsurface %s %s %s %s %s ", sp_surface_form_of(s->op)->name, s->framework,
                   s->kernel, s->dtype, s->kv_dtype);
    const double values[] = {s->peak_flops_per_s, s->memory_bytes_per_s, s->link_bytes_per_s,
                             s->low_ratio, s->high_ratio};
    add_numbers(t, values, sizeof values / sizeof values[0]);
    add_numbers(t, s->param, SP_SURFACE_MAX_PARAMS);
}

static void add_machine(sp_text *t, const sp_serving_machine *m)
{
    if (m->cluster == NULL) return;
    const sp_gpu *gpu = m->cluster->gpu;
    const double values[] = {
        gpu->memory_bytes, gpu->memory_bytes_per_s,  gpu->context_bytes,      gpu->stream_ratio,
        gpu->tdp_watts,    gpu->compute_power_ratio, gpu->vector_flops_per_s, m->usd_per_gpu_hour};
    sp_text_printf(t, "\nmachine %s nodes of %u ", gpu->name, m->cluster->node_gpus);
    add_numbers(t, values, sizeof values / sizeof values[0]);
    add_numbers(t, gpu->peak_flops_per_s, SP_N_DTYPES);
    for (uint32_t i = 0; i < m->fabric.n_levels; i++) {
        const sp_fabric_level *l = &m->fabric.level[i];
        const sp_kv_link sent = sp_kv_link_between(m->cluster, m->cluster, l->n_gpus);
        sp_text_printf(t, "\nlevel %u ", l->n_gpus);
        const double level[] = {l->s_per_byte, l->half_bytes,    l->latency_s,
                                l->base_s,     sent.bytes_per_s, sent.latency_s};
        add_numbers(t, level, sizeof level / sizeof level[0]);
    }
    for (uint32_t i = 0; i < m->surfaces->n; i++) {
        add_surface(t, &m->surfaces->list[i]);
    }
}

static void add_server(sp_text *t, const sp_server *s)
{
    sp_text_printf(t, "\nengine %s %s %s", s->name, s->version, sp_pool_base_name(s->base));
#define SP_KNOB(name, least, most) add_number(t, s->name);
#include "shardplan/memory_knobs.def"
#undef SP_KNOB
    for (uint32_t i = 0; i < s->n_kv_formats; i++) {
        const sp_kv_format *f = &s->kv_formats[i];
        sp_text_printf(t, "\ncache %s ", f->name);
        const double values[] = {f->bits, f->scale_bits, f->group};
        add_numbers(t, values, 3);
    }
}

static void add_timing(sp_text *t, const sp_server_timing *timing)
{
    sp_text_printf(t, "\ntiming %s %s %s %s ", sp_serve_rule_name(timing->rule),
                   timing->frameworks[0],
                   timing->frameworks[1] != NULL ? timing->frameworks[1] : "",
                   timing->reduce_kernel != NULL ? timing->reduce_kernel : "");
#define SP_TIMING(name, least, most) add_number(t, timing->name);
#include "shardplan/serve_timing.def"
#undef SP_TIMING
}

/* Rules decide which plans there are. What they name is in the model and in add_facts. */
static void add_rules(sp_text *t, const sp_serving_rules *rules)
{
    for (uint32_t i = 0; i < rules->n_rules; i++) {
        const sp_engine_rule *rule = &rules->rules[i];
        sp_text_printf(t, "\nrule %s when %s require %s", rule->id,
                       rule->when_text != NULL ? rule->when_text : "", rule->require_text);
    }
}

static void add_facts(sp_text *t, const sp_serving_facts *facts)
{
    sp_text_printf(t, "\nfacts %u %llu", facts->cluster->node_gpus,
                   (unsigned long long)facts->max_context);
    for (uint32_t i = 0; i < facts->n_weight_formats; i++) {
        sp_text_printf(t, " %s", facts->weight_formats[i]);
    }
    for (uint32_t i = 0; i < facts->n_kv_formats; i++) {
        sp_text_printf(t, " %s", facts->kv_formats[i]);
    }
}

static void add_formats(sp_text *t, const sp_serving_problem *problem)
{
    for (uint32_t i = 0; i < problem->n_weights; i++) {
        const sp_weight_format *w = &problem->weights[i];
        sp_text_printf(t, "\nweights %s ", w->name);
        add_number(t, w->attention_bits);
        add_number(t, w->ffn_bits);
        for (int place = 0; place < SP_N_PLACES; place++) {
            sp_text_printf(t, "%s %s ", w->attention[place] != NULL ? w->attention[place] : "",
                           w->ffn[place] != NULL ? w->ffn[place] : "");
        }
    }
    for (uint32_t i = 0; i < problem->n_caches; i++) {
        sp_text_printf(t, "\nkv %s ", problem->caches[i].name);
        add_number(t, problem->caches[i].bits);
    }
}

static void add_load(sp_text *t, const sp_serving_problem *problem)
{
    const sp_serve_load *l = &problem->load;
    const sp_serving_question *q = &problem->question;
    const double values[] = {l->isl,
                             l->osl,
                             l->prefix_hit_ratio,
                             l->concurrency,
                             l->rate,
                             l->burstiness,
                             l->length_spread,
                             q->utilization,
                             q->spare_replicas,
                             q->spec_acceptance,
                             q->headroom_ratio,
                             q->reserve_bytes,
                             (double)q->max_context};
    sp_text_add(t, "\nload ");
    add_numbers(t, values, sizeof values / sizeof values[0]);
    for (uint32_t i = 0; i < problem->n_limits; i++) {
        const sp_limit *limit = &problem->limits[i];
        sp_text_printf(t, "\nlimit %s %s ", sp_latency_name(limit->latency),
                       sp_percentile_name(limit->percentile));
        add_number(t, limit->most_s);
    }
}

static void add_space(sp_text *t, const sp_serving_problem *problem)
{
    sp_text_printf(t, "\nuse_upto %d space_all %d agg %d disagg %d gpus",
                   problem->question.use_upto, problem->space_all, problem->modes[SP_SERVING_AGG],
                   problem->modes[SP_SERVING_DISAGG]);
    for (uint32_t i = 0; i < problem->n_gpus_values; i++) {
        sp_text_printf(t, " %u", problem->gpus_values[i]);
    }
    for (uint32_t i = 0; i < problem->n_objectives; i++) {
        sp_text_printf(t, "\nobjective %s", sp_serving_problem_objective(problem, i)->name);
    }
    for (uint32_t i = 0; i < problem->n_sets; i++) {
        const sp_serving_set *set = &problem->sets[i];
        sp_text_printf(t, "\nset %s", sp_serving_axis_describe(set->axis)->name);
        for (uint32_t v = 0; v < set->n_values; v++) {
            sp_text_printf(t, " %u", set->values[v]);
        }
    }
    for (uint32_t i = 0; i < problem->n_wheres; i++) {
        sp_text_printf(t, "\nwhere %s", sp_expr_text(problem->wheres[i].expr));
    }
}

sp_status sp_serving_fingerprint_build(sp_serving_problem *problem, sp_error *err)
{
    sp_text text = {0};
    sp_text_add(&text, "shardplan serving " MODEL_VERSION "\n");
    sp_model_write_numbers(problem->model, &text);
    for (int place = 0; place < SP_N_PLACES; place++) {
        add_machine(&text, &problem->machine[place]);
    }
    for (uint32_t e = 0; e < problem->n_engines; e++) {
        add_server(&text, &problem->engines[e].server);
        add_timing(&text, &problem->engines[e].timing);
        add_rules(&text, &problem->engines[e].rules);
    }
    add_facts(&text, &problem->facts);
    add_formats(&text, problem);
    add_load(&text, problem);
    add_space(&text, problem);
    const bool failed = text.failed;
    if (!failed) sp_hash_hex(sp_hash_bytes(text.data, text.length), problem->fingerprint);
    sp_text_fini(&text);
    return failed ? sp_fail(err, SP_E_MEMORY, "no memory for the fingerprint") : SP_OK;
}
