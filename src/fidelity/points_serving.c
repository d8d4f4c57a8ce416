/* SPDX-License-Identifier: Apache-2.0 */
/* A row as workers, pools and a load, and its prediction from configuration columns alone. */
#include "fidelity/deployed.h"
#include "shardplan/surface.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* An engine's timing and memory. */
typedef struct engine {
    sp_server server;
    sp_server_timing *timing; /* a fit changes it */
} engine;

typedef struct named {
    const char *name;
    const void *thing; /* NULL: the reason stands instead */
    sp_reason reason;
    struct named *next;
} named;

struct sp_deployed_predictor {
    sp_arena arena;
    const char *home, *models;
    const sp_deployed_table *table;
    const sp_deployed_map *map;
    named *known_models, *clusters, *surfaces, *engines; /* clusters and surfaces: by system */
};

sp_status sp_deployed_predictor_make(const char *home, const char *models,
                                     const sp_deployed_table *table, const sp_deployed_map *map,
                                     sp_deployed_predictor **predictor, sp_error *err)
{
    sp_deployed_predictor *p = sp_alloc(sizeof *p);
    *predictor = p;
    if (p == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for predictions");
    *p = (sp_deployed_predictor){.home = home, .models = models, .table = table, .map = map};
    return SP_OK;
}

void sp_deployed_predictor_free(sp_deployed_predictor *predictor)
{
    if (predictor == NULL) return;
    sp_arena_fini(&predictor->arena);
    sp_free(predictor);
}

/* ---- things by name, each read once ---- */

static sp_status find_named(sp_deployed_predictor *p, named **list, const char *name,
                            sp_status (*load)(sp_deployed_predictor *p, const char *name,
                                              const void **thing, sp_error *err),
                            const named **found, sp_error *err)
{
    sp_error failure = {0};
    for (named *n = *list; n != NULL; n = n->next) {
        *found = n;
        if (strcmp(n->name, name) == 0) return SP_OK;
    }
    named *n = sp_arena_alloc(&p->arena, sizeof *n);
    if (n != NULL) n->name = sp_arena_strdup(&p->arena, name);
    if (n == NULL || n->name == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for predictions");
    n->next = *list;
    *list = n;
    *found = n;
    if (load(p, n->name, &n->thing, &failure) == SP_OK) return SP_OK;
    n->thing = NULL;
    return sp_excuse(&failure, &n->reason, err);
}

static sp_status load_model(sp_deployed_predictor *p, const char *name, const void **thing,
                            sp_error *err)
{
    const sp_model *model = NULL;
    SP_TRY(sp_deployed_model_find(&p->arena, p->home, p->models, name, &model, err));
    *thing = model;
    return SP_OK;
}

static sp_status load_cluster(sp_deployed_predictor *p, const char *name, const void **thing,
                              sp_error *err)
{
    char nearest[sizeof err->nearest];
    const sp_cluster *cluster = NULL;
    const sp_status status = sp_cluster_find(&p->arena, p->home, name, &cluster, err);
    *thing = cluster;
    if (status != SP_E_UNKNOWN_NAME || err->nearest[0] == '\0') return status;
    (void)snprintf(nearest, sizeof nearest, "%s", err->nearest);
    (void)sp_fail(err, status, "no cluster goes by this name, the nearest is %s", nearest);
    return sp_fail_value(err, "%s", name);
}

static sp_status load_surfaces(sp_deployed_predictor *p, const char *name, const void **thing,
                               sp_error *err)
{
    const sp_cluster *cluster = NULL;
    const sp_surfaces *surfaces = NULL;
    SP_TRY(sp_cluster_find(&p->arena, p->home, name, &cluster, err));
    SP_TRY(sp_surfaces_load(&p->arena, p->home, cluster->gpu, &surfaces, err));
    *thing = surfaces;
    return SP_OK;
}

static sp_status load_engine(sp_deployed_predictor *p, const char *name, const void **thing,
                             sp_error *err)
{
    engine *e = sp_arena_alloc(&p->arena, sizeof *e);
    if (e == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for predictions");
    e->timing = sp_arena_alloc(&p->arena, sizeof *e->timing);
    if (e->timing == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for predictions");
    SP_TRY(sp_server_load(&p->arena, p->home, name, &e->server, err));
    SP_TRY(sp_server_timing_load(&p->arena, p->home, name, e->timing, err));
    *thing = e;
    return SP_OK;
}

/* ---- the parts of a row ---- */

typedef struct row_parts {
    const sp_model *model;
    const sp_cluster *cluster;
    const sp_surfaces *surfaces;
    const engine *engine;
    sp_deployed_rule rule;
    sp_serve_formats formats;
    sp_serve_load load;
} row_parts;

static void give(sp_reason *reason, const char *text)
{
    (void)snprintf(reason->text, sizeof reason->text, "%s", text);
}

/* Models are asked for by the path that was served, then by architecture. */
static sp_status find_model(sp_deployed_predictor *p, uint32_t row, const named **found,
                            sp_error *err)
{
    const char *arch = sp_deployed_text(p->table, row, SP_DEPLOYED_MODEL);
    const char *path = sp_deployed_text(p->table, row, SP_DEPLOYED_PATH);
    const named *other = NULL;
    SP_TRY(find_named(p, &p->known_models, path, load_model, found, err));
    if ((*found)->thing != NULL) return SP_OK;
    SP_TRY(find_named(p, &p->known_models, arch, load_model, &other, err));
    if (other->thing != NULL) *found = other;
    return SP_OK;
}

static sp_status read_load(const sp_deployed_predictor *p, uint32_t row,
                           const sp_deployed_rule *rule, sp_serve_load *load, sp_error *err)
{
    double ranks = 0.0, batch = 0.0;
    SP_TRY(sp_deployed_double(p->table, row, SP_DEPLOYED_ISL, &load->isl, err));
    SP_TRY(sp_deployed_double(p->table, row, SP_DEPLOYED_OSL, &load->osl, err));
    SP_TRY(sp_deployed_double(p->table, row, SP_DEPLOYED_CONCURRENCY, &load->concurrency, err));
    SP_TRY(sp_deployed_double(p->table, row, SP_DEPLOYED_DP, &ranks, err));
    SP_TRY(sp_deployed_double(p->table, row, SP_DEPLOYED_BATCH, &batch, err));
    if (load->concurrency <= 0.0) load->concurrency = batch * (ranks > 1.0 ? ranks : 1.0);
    load->isl *= rule->length_ratio;
    load->osl *= rule->length_ratio;
    load->requests_per_user = rule->requests_per_user;
    load->length_spread =
        rule->length_ratio < 1.0 ? (1.0 - rule->length_ratio) / rule->length_ratio : 0.0;
    return SP_OK;
}

static sp_status read_parts(sp_deployed_predictor *p, uint32_t row, row_parts *out,
                            sp_reason *reason, sp_error *err)
{
    const named *model = NULL, *cluster = NULL, *surfaces = NULL, *served_by = NULL;
    const char *system = sp_deployed_text(p->table, row, SP_DEPLOYED_SYSTEM);
    out->rule = sp_deployed_map_apply(p->map, &p->table->csv, row);
    if (out->rule.skip != NULL) {
        give(reason, out->rule.skip);
        return SP_OK;
    }
    SP_TRY(find_model(p, row, &model, err));
    SP_TRY(find_named(p, &p->clusters, system, load_cluster, &cluster, err));
    SP_TRY(find_named(p, &p->surfaces, system, load_surfaces, &surfaces, err));
    SP_TRY(find_named(p, &p->engines, sp_deployed_text(p->table, row, SP_DEPLOYED_BACKEND),
                      load_engine, &served_by, err));
    const named *const all[] = {model, cluster, surfaces, served_by};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (all[i]->thing == NULL) {
            *reason = all[i]->reason;
            return SP_OK;
        }
    }
    out->model = model->thing;
    out->cluster = cluster->thing;
    out->surfaces = surfaces->thing;
    out->engine = served_by->thing;
    SP_TRY(read_load(p, row, &out->rule, &out->load, err));
    if (out->load.isl <= 0.0 || out->load.osl <= 0.0 || out->load.concurrency <= 0.0) {
        give(reason, "the load is not stated");
        return SP_OK;
    }
    out->formats = (sp_serve_formats){
        .attention = out->rule.attention, .ffn = out->rule.ffn, .kv_bits = out->rule.kv_bits};
    return SP_OK;
}

/* ---- pools ---- */

typedef struct layout_columns {
    sp_deployed_column workers, tp, pp, dp, moe_tp, ep;
} layout_columns;

static const layout_columns together = {SP_N_DEPLOYED_COLUMNS, SP_DEPLOYED_TP,
                                        SP_DEPLOYED_PP,        SP_DEPLOYED_DP,
                                        SP_DEPLOYED_MOE_TP,    SP_DEPLOYED_MOE_EP};
static const layout_columns prefill = {SP_DEPLOYED_PREFILL_WORKERS, SP_DEPLOYED_PREFILL_TP,
                                       SP_DEPLOYED_PREFILL_PP,      SP_DEPLOYED_PREFILL_DP,
                                       SP_DEPLOYED_PREFILL_MOE_TP,  SP_DEPLOYED_PREFILL_MOE_EP};
static const layout_columns decode = {SP_DEPLOYED_DECODE_WORKERS, SP_DEPLOYED_DECODE_TP,
                                      SP_DEPLOYED_DECODE_PP,      SP_DEPLOYED_DECODE_DP,
                                      SP_DEPLOYED_DECODE_MOE_TP,  SP_DEPLOYED_DECODE_MOE_EP};

static sp_status read_count(const sp_deployed_table *table, uint32_t row, sp_deployed_column column,
                            uint32_t *value, sp_error *err)
{
    *value = 1;
    if (column == SP_N_DEPLOYED_COLUMNS) return SP_OK;
    SP_TRY(sp_deployed_u32(table, row, column, value, err));
    *value = *value > 0 ? *value : 1;
    return SP_OK;
}

/* Dense models share the work of a layer over tp alone, whatever the columns of experts say. */
static sp_status read_layout(const sp_deployed_predictor *p, uint32_t row, const layout_columns *c,
                             const sp_model *model, sp_worker_layout *l, uint32_t *workers,
                             sp_error *err)
{
    bool routed = false;
    for (uint32_t k = 0; k < model->n_kinds; k++) {
        routed = routed || model->kinds[k].ffn.n_experts > 0;
    }
    SP_TRY(read_count(p->table, row, c->workers, workers, err));
    SP_TRY(read_count(p->table, row, c->tp, &l->tp, err));
    SP_TRY(read_count(p->table, row, c->pp, &l->pp, err));
    SP_TRY(read_count(p->table, row, c->dp, &l->attn_dp, err));
    SP_TRY(read_count(p->table, row, c->moe_tp, &l->moe_tp, err));
    SP_TRY(read_count(p->table, row, c->ep, &l->ep, err));
    if (!routed) {
        l->moe_tp = l->tp * l->attn_dp;
        l->ep = 1;
    }
    return SP_OK;
}

/* What a GPU of the pool holds, asked of the engine's memory; false where it cannot be asked. */
static bool ask_memory(const row_parts *parts, const sp_worker_layout *l, double concurrency,
                       sp_footprint *out)
{
    sp_error unasked = {0};
    sp_footprint_question q = {
        .model = parts->model, .gpu = parts->cluster->gpu, .server = parts->engine->server};
    const sp_surface_format *attention = sp_surface_format_find(parts->formats.attention);
    const sp_surface_format *ffn = sp_surface_format_find(parts->formats.ffn);
    sp_footprint_defaults(&q);
    q.tp = l->tp;
    q.pp = l->pp;
    q.dp = l->attn_dp;
    q.ep = l->attn_dp > 1 ? l->moe_tp * l->ep : l->ep;
    q.batch = (uint64_t)ceil(concurrency);
    q.isl = (uint64_t)ceil(parts->load.isl);
    q.osl = (uint64_t)ceil(parts->load.osl);
    if (attention != NULL) q.bits.attention_weight = 8.0 * attention->weight_bytes;
    if (ffn != NULL) q.bits.ffn_weight = 8.0 * ffn->weight_bytes;
    if (sp_footprint_check(&q, &unasked) != SP_OK) return false;
    sp_footprint_evaluate(&q, out);
    return true;
}

/* As the rules say; else the engine's own. */
static double step_tokens_of(const row_parts *parts, double users)
{
    const sp_deployed_rule *rule = &parts->rule;
    const double nominal = parts->load.isl / rule->length_ratio;
    const double said = rule->step_tokens + rule->step_prompts * nominal + rule->step_users * users;
    return said > 0.0 ? said : parts->engine->timing->step_tokens;
}

static sp_status make_pool(sp_deployed_predictor *p, uint32_t row, const layout_columns *c,
                           const row_parts *parts, sp_pool *pool, bool *fits, sp_reason *reason,
                           sp_error *err)
{
    sp_error failure = {0};
    sp_footprint footprint;
    sp_worker_setup setup = {.surfaces = parts->surfaces,
                             .model = parts->model,
                             .cluster = parts->cluster,
                             .timing = parts->engine->timing,
                             .formats = parts->formats};
    *pool = (sp_pool){.poll_steps = parts->rule.poll_steps,
                      .batch = parts->rule.running,
                      .draft_tokens = parts->rule.draft_tokens,
                      .acceptance = parts->rule.acceptance,
                      .draft_ratio = 1.0 / parts->model->n_layers, /* one layer like the last */
                      .mixes = parts->rule.mixes};
    SP_TRY(read_layout(p, row, c, parts->model, &setup.layout, &pool->workers, err));
    if (parts->rule.spreads && setup.layout.attn_dp > 1) {
        setup.layout.ep *= setup.layout.moe_tp;
        setup.layout.moe_tp = 1;
    }
    const double ranks = (double)pool->workers * setup.layout.attn_dp;
    pool->step_tokens = step_tokens_of(parts, parts->load.concurrency / ranks);
    if (sp_worker_build(&p->arena, &setup, &pool->worker, &failure) != SP_OK) {
        return sp_excuse(&failure, reason, err);
    }
    if (ask_memory(parts, &setup.layout, parts->load.concurrency / pool->workers, &footprint)) {
        *fits = *fits && footprint.verdict != SP_FOOTPRINT_OOM;
        if (footprint.verdict != SP_FOOTPRINT_OOM) pool->cache_tokens = footprint.tokens;
    }
    return SP_OK;
}

static sp_status count_workers(const sp_deployed_predictor *p, uint32_t row, const sp_pool *pool,
                               uint32_t *workers, sp_error *err)
{
    uint32_t gpus = 0;
    const uint32_t of_one = sp_worker_gpus(pool->worker);
    SP_TRY(sp_deployed_u32(p->table, row, SP_DEPLOYED_GPUS, &gpus, err));
    *workers = gpus > of_one ? gpus / of_one : 1;
    return SP_OK;
}

/* ---- asking ---- */

static double gpus_of(const sp_deployed_question *q)
{
    return (double)q->first.workers * sp_worker_gpus(q->first.worker) +
           (double)q->second.workers * sp_worker_gpus(q->second.worker);
}

static sp_status ask_apart(sp_deployed_predictor *p, uint32_t row, const row_parts *parts,
                           sp_deployed_question *q, sp_error *err)
{
    SP_TRY(make_pool(p, row, &prefill, parts, &q->first, &q->fits, &q->reason, err));
    if (q->reason.text[0] != '\0') return SP_OK;
    q->first.batch = 0.0; /* what rules bound are answers */
    SP_TRY(make_pool(p, row, &decode, parts, &q->second, &q->fits, &q->reason, err));
    q->apart = true;
    if (q->reason.text[0] != '\0') return SP_OK;
    q->link = sp_kv_link_between(parts->cluster, parts->cluster, gpus_of(q));
    return SP_OK;
}

static sp_status ask_together(sp_deployed_predictor *p, uint32_t row, const row_parts *parts,
                              sp_deployed_question *q, sp_error *err)
{
    SP_TRY(make_pool(p, row, &together, parts, &q->first, &q->fits, &q->reason, err));
    if (q->reason.text[0] != '\0') return SP_OK;
    return count_workers(p, row, &q->first, &q->first.workers, err);
}

sp_status sp_deployed_ask(sp_deployed_predictor *predictor, uint32_t row, sp_deployed_question *out,
                          sp_error *err)
{
    row_parts parts = {0};
    const char *mode = sp_deployed_text(predictor->table, row, SP_DEPLOYED_MODE);
    *out = (sp_deployed_question){.fits = true};
    SP_TRY(read_parts(predictor, row, &parts, &out->reason, err));
    if (out->reason.text[0] != '\0') return SP_OK;
    out->load = parts.load;
    out->timing = parts.engine->timing;
    out->engine = parts.engine->server.name;
    SP_TRY(strcmp(mode, "disagg") == 0 ? ask_apart(predictor, row, &parts, out, err)
                                       : ask_together(predictor, row, &parts, out, err));
    out->asked = out->reason.text[0] == '\0';
    if (!out->asked) return SP_OK;
    out->borrowed = sp_worker_borrows(out->first.worker) ||
                    (out->apart && sp_worker_borrows(out->second.worker));
    return SP_OK;
}

/* ---- answering ---- */

/* Times to first tokens are those of a run. */
static sp_status simulate(const sp_pool *pool, const sp_serve_load *load, sp_served *served,
                          sp_error *err)
{
    sp_simulated run;
    sp_arena scratch = {0};
    const sp_status status = sp_serve_simulate(&scratch, pool, load, 0, 1, &run, err);
    sp_arena_fini(&scratch);
    if (status != SP_OK) return status;
    served->ttft_s = run.ttft_s.mean;
    served->tokens_per_s_per_gpu = run.tokens_per_s_per_gpu;
    return SP_OK;
}

static sp_status simulate_apart(const sp_deployed_question *q, sp_served *served, sp_error *err)
{
    sp_simulated run;
    sp_arena scratch = {0};
    const sp_status status = sp_serve_simulate_apart(&scratch, &q->first, &q->second, &q->load,
                                                     &q->link, 0, 1, &run, err);
    sp_arena_fini(&scratch);
    if (status != SP_OK) return status;
    const double tokens_per_s = q->load.concurrency * q->load.osl / run.e2e_s.mean;
    served->ttft_s = run.ttft_s.mean;
    served->tpot_s = run.tpot_s.mean;
    served->tokens_per_s_per_gpu = tokens_per_s / gpus_of(q);
    return SP_OK;
}

/* 80 % lie within the estimate over and times 1 + these. */
static void spread(const sp_deployed_question *q, sp_deployed_prediction *out)
{
    const sp_server_timing *t = q->timing;
    const double wider = q->borrowed ? 1.0 + t->borrowed_error_ratio : 1.0;
    const double tpot = q->apart ? t->apart_error_ratio : t->error_ratio;
    const double ttft = q->apart ? t->apart_ttft_error_ratio : t->ttft_error_ratio;
    const double rate = q->apart ? t->apart_rate_error_ratio : t->rate_error_ratio;
    out->spread_ratio[SP_DEPLOYED_METRIC_TPOT] = (1.0 + tpot) * wider - 1.0;
    out->spread_ratio[SP_DEPLOYED_METRIC_TTFT] = (1.0 + ttft) * wider - 1.0;
    out->spread_ratio[SP_DEPLOYED_METRIC_RATE] = (1.0 + rate) * wider - 1.0;
}

sp_status sp_deployed_answer(const sp_deployed_question *question, bool tpot_alone,
                             sp_deployed_prediction *out, sp_error *err)
{
    sp_served served;
    const sp_pool first = question->first;
    *out = (sp_deployed_prediction){.made = question->asked, .fits = question->fits};
    if (!question->asked) {
        out->reason = question->reason;
        return SP_OK;
    }
    if (question->apart) {
        sp_joined joined;
        sp_serve_apart(&first, &question->second, &question->load, &question->link, &joined);
        served = joined.served;
        if (!tpot_alone) SP_TRY(simulate_apart(question, &served, err));
    } else {
        sp_serve_together(&first, &question->load, &served);
        if (!tpot_alone) SP_TRY(simulate(&first, &question->load, &served, err));
    }
    out->value[SP_DEPLOYED_METRIC_TPOT] = served.tpot_s;
    out->value[SP_DEPLOYED_METRIC_TTFT] = served.ttft_s;
    out->value[SP_DEPLOYED_METRIC_RATE] = served.tokens_per_s_per_gpu;
    spread(question, out);
    return SP_OK;
}
