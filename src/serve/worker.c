/* SPDX-License-Identifier: Apache-2.0 */
/* A worker from its layout: who sits where, which layers there are, at which rates. */
#include "base/base.h"
#include "serve/serve_priv.h"

#include <string.h>

static sp_status fail_layout(sp_error *err, const char *message, uint32_t value)
{
    sp_fail(err, SP_E_INCONSISTENT, "%s", message);
    return sp_fail_value(err, "%u", value);
}

sp_status sp_worker_check(const sp_model *model, const sp_worker_layout *l, sp_error *err)
{
    const uint32_t width = l->tp * l->attn_dp;
    if (width == 0 || l->pp == 0 || l->moe_tp * l->ep == 0) {
        return fail_layout(err, "every dimension of a worker is 1 or more", 0);
    }
    if (width != l->moe_tp * l->ep) {
        return fail_layout(err, "moe_tp x ep are the same GPUs as tp x attn_dp", l->moe_tp * l->ep);
    }
    if (l->pp > model->n_layers) {
        return fail_layout(err, "there are fewer layers than pipeline stages", l->pp);
    }
    for (uint32_t k = 0; k < model->n_kinds; k++) {
        const sp_attention *a = &model->kinds[k].attention;
        const sp_ffn *f = &model->kinds[k].ffn;
        if (a->heads > 0 && a->heads % l->tp != 0) {
            return fail_layout(err, "tp does not divide the query heads", l->tp);
        }
        if (f->n_experts > 0 && f->n_experts % l->ep != 0) {
            return fail_layout(err, "ep does not divide the experts", l->ep);
        }
    }
    return SP_OK;
}

static void count_layers(const sp_model *model, uint32_t *n_layers)
{
    for (uint32_t i = 0; i < model->n_runs; i++) {
        n_layers[model->runs[i].kind] += model->runs[i].count;
    }
}

/* tp nearest, then attention's replicas (the same GPUs hold the experts), then stages. A worker
 * that a domain has room for lies inside one, however many others share the domain with it. */
static void place(const sp_fabric *whole, sp_worker *worker)
{
    const sp_worker_layout *l = &worker->layout;
    const uint32_t width = l->tp * l->attn_dp;
    worker->gpus = width * l->pp;
    worker->fabric = sp_fabric_fit(whole, worker->gpus);
    worker->tp = sp_group_build(&worker->fabric, l->tp, 1);
    worker->width = sp_group_build(&worker->fabric, width, 1);
    worker->stages = sp_group_build(&worker->fabric, l->pp, width);
}

void sp_worker_fill(const sp_worker_setup *setup, const sp_serve_rates *rates,
                    const sp_fabric *fabric, sp_worker *worker)
{
    *worker = (sp_worker){
        .model = setup->model,
        .timing = setup->timing,
        .layout = setup->layout,
        .formats = setup->formats,
        .rates = *rates,
        .sharding = {
                     .tp = setup->layout.tp, .cp = 1, .ep = setup->layout.ep, .etp = setup->layout.moe_tp}
    };
    count_layers(setup->model, worker->n_layers);
    place(fabric, worker);
}

sp_status sp_worker_build(struct sp_arena *arena, const sp_worker_setup *setup,
                          const sp_worker **worker, sp_error *err)
{
    sp_serve_rates rates;
    sp_fabric fabric;
    SP_TRY(sp_worker_check(setup->model, &setup->layout, err));
    sp_worker *made = sp_arena_alloc(arena, sizeof *made);
    if (made == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for a worker");
    SP_TRY(sp_serve_rates_build(setup, &rates, err));
    sp_fabric_build(setup->cluster, &fabric);
    sp_worker_fill(setup, &rates, &fabric, made);
    *worker = made;
    return SP_OK;
}

uint32_t sp_worker_gpus(const sp_worker *worker)
{
    return worker->gpus;
}

bool sp_worker_borrows(const sp_worker *worker)
{
    return worker->rates.borrowed;
}
