/* SPDX-License-Identifier: Apache-2.0 */
/* Published runs beside a plan: the nearest one, and what we say of it. */
#include "report/evidence.h"

#include "step/step.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* One recipe as a run, and its price once it was asked for. */
typedef struct entry {
    const sp_cluster *cluster;
    sp_evidence_run run;
    bool tried, priced;
    sp_recipe_answer answer;
} entry;

struct sp_evidence_base {
    sp_arena arena;
    const char *home;
    const sp_recipes *recipes;
    entry *entries;       /* [recipes->n] */
    const char *measured; /* the GPU whose surfaces were read last */
    const sp_surfaces *surfaces;
    sp_evidence_weights weights;
};

const sp_recipes *sp_evidence_recipes(const sp_evidence_base *base)
{
    return base->recipes;
}

/* ---- loading ---- */

static void describe_model(sp_evidence_run *run)
{
    const sp_model *model = run->model;
    run->active_parameters = (double)sp_model_parameters(model).active;
    for (uint32_t k = 0; k < model->n_kinds; k++) {
        run->experts |= model->kinds[k].ffn.n_experts > 0;
        run->latent |= model->kinds[k].attention.kv_lora > 0;
    }
}

/* Many recipes share a model or a cluster, which is read once. */
static sp_status find_model(sp_evidence_base *base, uint32_t idx, sp_error *err)
{
    const sp_training_recipe *list = base->recipes->list;
    for (uint32_t i = 0; i < idx; i++) {
        if (strcmp(list[i].model, list[idx].model) != 0) continue;
        base->entries[idx].run.model = base->entries[i].run.model;
        return SP_OK;
    }
    return sp_model_find(&base->arena, base->home, list[idx].model, &base->entries[idx].run.model,
                         err);
}

static sp_status find_cluster(sp_evidence_base *base, uint32_t idx, sp_error *err)
{
    const sp_training_recipe *list = base->recipes->list;
    for (uint32_t i = 0; i < idx; i++) {
        if (strcmp(list[i].cluster, list[idx].cluster) != 0) continue;
        base->entries[idx].cluster = base->entries[i].cluster;
        return SP_OK;
    }
    return sp_cluster_find(&base->arena, base->home, list[idx].cluster, &base->entries[idx].cluster,
                           err);
}

/* Adds the file of the recipe to an error about a name in it. */
static sp_status of_recipe(const sp_evidence_base *base, uint32_t idx, sp_status status,
                           sp_error *err)
{
    if (status == SP_OK || err->file[0] != '\0') return status;
    char file[sizeof err->file];
    (void)snprintf(file, sizeof file, "%.120s/configs/recipes/%.100s.json", base->home,
                   base->recipes->list[idx].name);
    return sp_fail_file(err, file);
}

static sp_status load_entry(sp_evidence_base *base, uint32_t idx, sp_error *err)
{
    const sp_training_recipe *recipe = &base->recipes->list[idx];
    entry *e = &base->entries[idx];
    SP_TRY(of_recipe(base, idx, find_model(base, idx, err), err));
    SP_TRY(of_recipe(base, idx, find_cluster(base, idx, err), err));
    e->run.plan = &recipe->plan;
    e->run.gpu = e->cluster->gpu;
    e->run.seq_len = (double)recipe->seq_len;
    e->run.step_tokens = (double)recipe->seq_len * (double)recipe->global_batch;
    describe_model(&e->run);
    return SP_OK;
}

static sp_status load(sp_evidence_base *base, const char *home, sp_error *err)
{
    base->home = sp_arena_strdup(&base->arena, home);
    const char *file = sp_arena_printf(&base->arena, "%s/configs/evidence.json", home);
    if (base->home == NULL || file == NULL) return sp_fail(err, SP_E_MEMORY, "out of memory");
    SP_TRY(sp_evidence_weights_load(file, &base->weights, err));
    SP_TRY(sp_recipes_load(&base->arena, home, &base->recipes, err));
    base->entries = sp_arena_alloc(&base->arena, (base->recipes->n + 1) * sizeof *base->entries);
    if (base->entries == NULL) return sp_fail(err, SP_E_MEMORY, "out of memory");
    for (uint32_t i = 0; i < base->recipes->n; i++) {
        SP_TRY(load_entry(base, i, err));
    }
    return SP_OK;
}

sp_status sp_evidence_base_load(const char *home, sp_evidence_base **base, sp_error *err)
{
    *base = NULL;
    sp_evidence_base *b = sp_alloc(sizeof *b);
    if (b == NULL) return sp_fail(err, SP_E_MEMORY, "out of memory");
    const sp_status status = load(b, home, err);
    if (status == SP_OK) {
        *base = b;
    } else {
        sp_evidence_base_free(b);
    }
    return status;
}

void sp_evidence_base_free(sp_evidence_base *base)
{
    if (base == NULL) return;
    sp_arena_fini(&base->arena);
    sp_free(base);
}

/* ---- what we say ---- */

sp_status sp_evidence_price(sp_evidence_base *base, uint32_t idx, const sp_recipe_answer **answer,
                            sp_error *err)
{
    assert(idx < base->recipes->n);
    entry *e = &base->entries[idx];
    if (!e->priced) {
        e->tried = true;
        const sp_status status =
            sp_recipe_price(base->home, &base->recipes->list[idx], &e->run, &e->answer, err);
        SP_TRY(of_recipe(base, idx, status, err));
        e->priced = true;
    }
    *answer = &e->answer;
    return SP_OK;
}

/* ---- the nearest ---- */

static uint32_t find_nearest(const sp_evidence_base *base, const sp_evidence_run *asked,
                             double *distance)
{
    uint32_t nearest = 0;
    for (uint32_t i = 0; i < base->recipes->n; i++) {
        const double d = sp_evidence_distance(&base->weights, asked, &base->entries[i].run);
        if (i > 0 && d >= *distance) continue;
        *distance = d;
        nearest = i;
    }
    return nearest;
}

/* Plans of one question follow each other. A file that cannot be read has been complained about
 * when the cluster was. */
static const sp_surfaces *surfaces_of(sp_evidence_base *base, const sp_gpu *gpu)
{
    sp_error err = {0};
    if (base->measured != NULL && strcmp(base->measured, gpu->name) == 0) return base->surfaces;
    base->measured = sp_arena_strdup(&base->arena, gpu->name);
    if (base->measured == NULL ||
        sp_surfaces_load(&base->arena, base->home, gpu, &base->surfaces, &err) != SP_OK) {
        base->surfaces = NULL;
    }
    return base->surfaces;
}

sp_evidence sp_evidence_nearest(sp_evidence_base *base, const sp_problem *problem,
                                const sp_plan *plan)
{
    sp_evidence out = {0};
    if (base->recipes->n == 0) return out;
    const sp_question *q = &problem->question;
    sp_evidence_run asked = {.plan = plan, .model = problem->model, .gpu = problem->cluster->gpu};
    asked.seq_len = (double)q->seq_len;
    asked.step_tokens = (double)q->seq_len * (double)q->global_batch;
    describe_model(&asked);
    const uint32_t idx = find_nearest(base, &asked, &out.distance);
    out.nearest = &base->recipes->list[idx];
    sp_evidence_extrapolate(&base->weights, &asked, &base->entries[idx].run, &out);
    const sp_surfaces *surfaces = surfaces_of(base, asked.gpu);
    if (surfaces != NULL) out.beyond = sp_beyond_measured(surfaces, problem, plan);
    const sp_recipe_answer *answer = NULL;
    sp_error err = {0};
    if (base->entries[idx].tried && !base->entries[idx].priced) return out;
    if (sp_evidence_price(base, idx, &answer, &err) != SP_OK) return out;
    out.priced = true;
    out.measured_step_s = answer->measured_step_s;
    out.predicted_step_s = answer->estimate.time.step_s;
    out.error_ratio = answer->error_ratio;
    return out;
}
