/* SPDX-License-Identifier: Apache-2.0 */
/* One pool of a plan: a worker, its memory, and the room that this leaves for the cache. */
#include "serve/serving_priv.h"

#include <assert.h>
#include <math.h>

static bool is_apart(const sp_serving_plan *plan)
{
    return plan->value[SP_SERVING_AXIS_mode] == SP_SERVING_DISAGG;
}

sp_serving_place sp_serving_place_of(const sp_serving_plan *plan, sp_serving_role role)
{
    if (!is_apart(plan)) return SP_PLACE_TOGETHER;
    return role == SP_ROLE_PREFILL ? SP_PLACE_PREFILL : SP_PLACE_DECODE;
}

sp_worker_layout sp_serving_layout_of(const sp_serving_plan *plan, sp_serving_role role)
{
    const uint32_t *v = plan->value;
    if (is_apart(plan) && role == SP_ROLE_PREFILL) {
        return (sp_worker_layout){v[SP_SERVING_AXIS_prefill_tp], v[SP_SERVING_AXIS_prefill_attn_dp],
                                  v[SP_SERVING_AXIS_prefill_moe_tp], v[SP_SERVING_AXIS_prefill_ep],
                                  v[SP_SERVING_AXIS_prefill_pp]};
    }
    return (sp_worker_layout){v[SP_SERVING_AXIS_tp], v[SP_SERVING_AXIS_attn_dp],
                              v[SP_SERVING_AXIS_moe_tp], v[SP_SERVING_AXIS_ep],
                              v[SP_SERVING_AXIS_pp]};
}

uint32_t sp_serving_cp_of(const sp_serving_plan *plan, sp_serving_role role)
{
    const bool prompts = !is_apart(plan) || role == SP_ROLE_PREFILL;
    return prompts ? plan->value[SP_SERVING_AXIS_cp_prefill] : 1;
}

uint32_t sp_serving_worker_gpus(const sp_serving_plan *plan, sp_serving_role role)
{
    const sp_worker_layout l = sp_serving_layout_of(plan, role);
    const uint64_t gpus = (uint64_t)l.tp * l.attn_dp * l.pp * sp_serving_cp_of(plan, role);
    return gpus <= UINT32_MAX ? (uint32_t)gpus : 0;
}

/* ---- the worker ---- */

static sp_worker_setup setup_of(const sp_serving_problem *problem, const sp_serving_plan *plan,
                                sp_serving_role role)
{
    const sp_serving_place place = sp_serving_place_of(plan, role);
    const sp_serving_machine *m = &problem->machine[place];
    const sp_weight_format *w = &problem->weights[plan->value[SP_SERVING_AXIS_weight_dtype]];
    return (sp_worker_setup){
        .surfaces = m->surfaces,
        .model = problem->model,
        .cluster = m->cluster,
        .timing = &problem->engines[plan->value[SP_SERVING_AXIS_engine]].timing,
        .layout = sp_serving_layout_of(plan, role),
        .formats = {.attention = w->attention[place],
                    .ffn = w->ffn[place],
                    .kv_bits = problem->caches[plan->value[SP_SERVING_AXIS_kv_dtype]].bits}
    };
}

static const sp_serve_rates *rates_of(const sp_serving_problem *problem,
                                      const sp_serving_plan *plan, sp_serving_role role)
{
    size_t at = sp_serving_place_of(plan, role);
    at = at * problem->n_engines + plan->value[SP_SERVING_AXIS_engine];
    at = at * problem->n_weights + plan->value[SP_SERVING_AXIS_weight_dtype];
    at = at * problem->n_caches + plan->value[SP_SERVING_AXIS_kv_dtype];
    return &problem->rates[at];
}

void sp_serving_worker_of(const sp_serving_problem *problem, const sp_serving_plan *plan,
                          sp_serving_role role, sp_worker *worker)
{
    const sp_worker_setup setup = setup_of(problem, plan, role);
    assert(setup.cluster != NULL);
    sp_worker_fill(&setup, rates_of(problem, plan, role),
                   &problem->machine[sp_serving_place_of(plan, role)].fabric, worker);
}

/* ---- memory ---- */

/* Lengths of a rank: under context parallelism each holds its piece of every request. */
static sp_footprint_question memory_question(const sp_serving_problem *problem,
                                             const sp_serving_plan *plan, sp_serving_role role)
{
    const sp_serving_question *asked = &problem->question;
    const sp_serving_engine *e = &problem->engines[plan->value[SP_SERVING_AXIS_engine]];
    const sp_weight_format *w = &problem->weights[plan->value[SP_SERVING_AXIS_weight_dtype]];
    const sp_worker_layout l = sp_serving_layout_of(plan, role);
    const sp_cluster *cluster = problem->machine[sp_serving_place_of(plan, role)].cluster;
    const uint32_t gpus = sp_serving_worker_gpus(plan, role);
    const double cp = sp_serving_cp_of(plan, role);
    sp_footprint_question q = {.model = problem->model, .gpu = cluster->gpu, .server = e->server};
    sp_footprint_defaults(&q);
    q.tp = l.tp;
    q.pp = l.pp;
    q.dp = l.attn_dp;
    q.ep = l.attn_dp > 1 ? l.moe_tp * l.ep : l.ep;
    q.nodes = (gpus + cluster->node_gpus - 1) / cluster->node_gpus;
    q.isl = (uint64_t)ceil(problem->load.isl / cp);
    q.osl = (uint64_t)ceil(problem->load.osl / cp);
    q.bits.attention_weight = w->attention_bits;
    q.bits.ffn_weight = w->ffn_bits;
    q.reserve_bytes = asked->reserve_bytes + asked->headroom_ratio * cluster->gpu->memory_bytes;
    q.headroom_ratio = 0.0;
    q.server.kv = e->kv[plan->value[SP_SERVING_AXIS_kv_dtype]];
    q.server.max_context = ceil((double)asked->max_context / cp);
    q.server.draft_layers =
        plan->value[SP_SERVING_AXIS_spec] > 0 ? problem->model->mtp_layers : 0.0;
    return q;
}

static void put_batch(const sp_serving_plan *plan, sp_serving_role role, sp_footprint_question *q)
{
    const double cp = sp_serving_cp_of(plan, role);
    q->batch = (uint64_t)plan->value[SP_SERVING_AXIS_batch] * q->dp;
    q->server.chunk_tokens = ceil(plan->value[SP_SERVING_AXIS_chunk_tokens] / cp);
    q->server.max_running = plan->value[SP_SERVING_AXIS_batch];
}

bool sp_serving_side_is_sound(const sp_serving_problem *problem, const sp_serving_plan *plan,
                              sp_serving_role role, sp_error *why)
{
    const sp_serving_engine *e = &problem->engines[plan->value[SP_SERVING_AXIS_engine]];
    const uint32_t kv = plan->value[SP_SERVING_AXIS_kv_dtype];
    const sp_worker_layout layout = sp_serving_layout_of(plan, role);
    if (problem->machine[sp_serving_place_of(plan, role)].cluster == NULL) {
        (void)sp_fail(why, SP_E_INCONSISTENT, "no cluster is named for plans of this mode");
        return false;
    }
    if (sp_serving_worker_gpus(plan, role) == 0) {
        (void)sp_fail(why, SP_E_RANGE, "a worker of so many GPUs is beyond counting");
        return false;
    }
    if (e->kv[kv] == UINT32_MAX) {
        (void)sp_fail(why, SP_E_INCONSISTENT, "%s has no such format of its cache", e->name);
        (void)sp_fail_value(why, "%s", problem->cache_names[kv]);
        return false;
    }
    if (sp_worker_check(problem->model, &layout, why) != SP_OK) return false;
    sp_footprint_question q = memory_question(problem, plan, role);
    put_batch(plan, role, &q);
    return sp_footprint_check(&q, why) == SP_OK;
}

/* ---- both ---- */

void sp_serving_base_of(const sp_serving_problem *problem, const sp_serving_plan *plan,
                        sp_serving_role role, sp_serving_base *base)
{
    sp_serving_worker_of(problem, plan, role, &base->worker);
    const sp_serve_load *load = &problem->load;
    const uint32_t cp = sp_serving_cp_of(plan, role);
    const double width = 1.0 + plan->value[SP_SERVING_AXIS_spec];
    const double context = (load->isl + load->osl / 2.0) / width;
    const double past = load->prefix_hit_ratio * load->isl;
    sp_step_table_begin(&base->worker, cp > 1 ? context / cp : context, fmax(1.0, load->isl - past),
                        past, &base->steps);
    base->around = sp_fabric_fit(&problem->machine[sp_serving_place_of(plan, role)].fabric,
                                 sp_serving_worker_gpus(plan, role));
    base->cp = sp_group_build(&base->around, cp, base->worker.gpus);
    base->memory = memory_question(problem, plan, role);
    base->memory.server = sp_server_on_gpu(&base->memory);
    sp_share_build(&base->memory, &base->share);
    base->gpus = sp_serving_worker_gpus(plan, role);
}

void sp_serving_side_of(const sp_serving_problem *problem, const sp_serving_plan *plan,
                        sp_serving_role role, sp_serving_base *base, sp_serving_side *side)
{
    sp_footprint_question q = base->memory;
    put_batch(plan, role, &q);
    sp_footprint_evaluate_shared(&q, &base->share, &side->memory);
    side->base = base;
    side->pool = (sp_pool){.worker = &base->worker,
                           .steps = &base->steps,
                           .cp = base->cp.n > 1 ? &base->cp : NULL,
                           .workers = 1,
                           .batch = plan->value[SP_SERVING_AXIS_batch],
                           .cache_tokens = side->memory.tokens * sp_serving_cp_of(plan, role),
                           .step_tokens = plan->value[SP_SERVING_AXIS_chunk_tokens],
                           .draft_tokens = plan->value[SP_SERVING_AXIS_spec],
                           .acceptance = problem->question.spec_acceptance,
                           .draft_ratio = problem->draft_ratio};
    if (!is_apart(plan)) return;
    if (role == SP_ROLE_PREFILL) {
        sp_prefill_side_make(&side->pool, &problem->load, &side->prompts);
    } else {
        sp_decode_side_make(&side->pool, &problem->load, side->pool.batch, &side->answers);
    }
}
