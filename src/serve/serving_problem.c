/* SPDX-License-Identifier: Apache-2.0 */
/* Loads what a serving question names and works out everything that does not depend on a plan. */
#include "analysis/memory_priv.h"
#include "serve/serving_priv.h"
#include "step/step.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* ---- machines ---- */

static sp_status load_machine(sp_serving_problem *problem, const char *name,
                              sp_serving_machine *machine, sp_error *err)
{
    const sp_serving_question *q = &problem->question;
    sp_arena *arena = &problem->arena;
    SP_TRY(sp_cluster_find(arena, q->home, name, &machine->cluster, err));
    const sp_gpu *gpu = machine->cluster->gpu;
    SP_TRY(sp_surfaces_load(arena, q->home, gpu, &machine->surfaces, err));
    sp_fabric_build(machine->cluster, &machine->fabric);
    machine->usd_per_gpu_hour = q->usd_per_gpu_hour > 0.0 ? q->usd_per_gpu_hour : gpu->usd_per_hour;
    return SP_OK;
}

static const char *cluster_name(const sp_serving_question *q, sp_serving_place place)
{
    const char *own = place == SP_PLACE_PREFILL  ? q->prefill_cluster
                      : place == SP_PLACE_DECODE ? q->decode_cluster
                                                 : NULL;
    return own != NULL ? own : q->cluster;
}

/* Places that share a name share what was read. */
static sp_status load_machines(sp_serving_problem *problem, sp_error *err)
{
    for (int place = 0; place < SP_N_PLACES; place++) {
        const char *name = cluster_name(&problem->question, (sp_serving_place)place);
        const bool together = place == SP_PLACE_TOGETHER;
        if (!problem->modes[together ? SP_SERVING_AGG : SP_SERVING_DISAGG]) continue;
        if (name == NULL) {
            return sp_fail(err, SP_E_USAGE,
                           "aggregated plans need --cluster; say --mode disagg for plans of a "
                           "prefill and a decode cluster alone");
        }
        bool shared = false;
        for (int other = 0; other < place && !shared; other++) {
            const char *known = cluster_name(&problem->question, (sp_serving_place)other);
            shared = problem->machine[other].cluster != NULL && strcmp(known, name) == 0;
            if (shared) problem->machine[place] = problem->machine[other];
        }
        if (!shared) SP_TRY(load_machine(problem, name, &problem->machine[place], err));
    }
    return SP_OK;
}

/* ---- words ---- */

static sp_status find_word(const char *flag, const char *word, const char *const *names, size_t n,
                           size_t *found, sp_error *err)
{
    for (*found = 0; *found < n; (*found)++) {
        if (strcmp(word, names[*found]) == 0) return SP_OK;
    }
    sp_fail(err, SP_E_UNKNOWN_NAME, "%s has no such value", flag);
    sp_fail_value(err, "%s", word);
    sp_fail_names(err, word, names, n);
    return sp_fail_file(err, flag);
}

static sp_status load_words(sp_serving_problem *problem, sp_error *err)
{
    static const char *const spaces[] = {"default", "all"};
    static const char *const modes[] = {"agg", "disagg", "both"};
    size_t space = 0, mode = 0;
    SP_TRY(find_word("--space", problem->question.space, spaces, 2, &space, err));
    SP_TRY(find_word("--mode", problem->question.mode, modes, 3, &mode, err));
    problem->space_all = space == 1;
    problem->modes[SP_SERVING_AGG] = mode != 1;
    problem->modes[SP_SERVING_DISAGG] = mode != 0;
    return SP_OK;
}

/* ---- the load ---- */

/* Lengths drawn evenly within 1 +- s of their mean have a variance of s^2 / 3 of its square. */
static double spread_of(double mean, double square)
{
    const double variance = fmax(0.0, square - mean * mean);
    return fmin(1.0, sqrt(3.0 * variance) / mean);
}

static void average_lengths(sp_serving_problem *problem)
{
    double weight = 0.0, isl = 0.0, osl = 0.0, isl2 = 0.0, osl2 = 0.0;
    for (uint32_t i = 0; i < problem->n_lengths; i++) {
        const sp_length *l = &problem->lengths[i];
        weight += l->weight;
        isl += l->weight * l->isl;
        osl += l->weight * l->osl;
        isl2 += l->weight * l->isl * l->isl;
        osl2 += l->weight * l->osl * l->osl;
    }
    problem->load.isl = isl / weight;
    problem->load.osl = osl / weight;
    problem->load.length_spread = fmax(spread_of(problem->load.isl, isl2 / weight),
                                       spread_of(problem->load.osl, osl2 / weight));
}

static sp_status load_load(sp_serving_problem *problem, sp_error *err)
{
    const sp_serving_question *q = &problem->question;
    problem->load = (sp_serve_load){.isl = q->isl,
                                    .osl = q->osl,
                                    .prefix_hit_ratio = q->prefix_hit_ratio,
                                    .concurrency = q->concurrency,
                                    .rate = q->rate,
                                    .burstiness = q->burstiness};
    if (q->lengths == NULL) return SP_OK;
    SP_TRY(
        sp_lengths_load(&problem->arena, q->lengths, &problem->lengths, &problem->n_lengths, err));
    average_lengths(problem);
    return SP_OK;
}

/* ---- the model ---- */

/* A drafting module is one more layer and the head, over all layers and the head. */
static double draft_ratio(const sp_model *model, const sp_parameters *p)
{
    const double head = (double)model->vocab * model->hidden;
    const double layers = fmax(0.0, (double)p->active - (double)p->embedding - (double)p->head);
    return (layers / model->n_layers + head) / (layers + head);
}

static sp_status load_model(sp_serving_problem *problem, sp_error *err)
{
    const sp_serving_question *q = &problem->question;
    problem->model = q->loaded_model;
    if (problem->model == NULL) {
        SP_TRY(sp_model_find(&problem->arena, q->home, q->model, &problem->model, err));
    }
    problem->parameters = sp_model_parameters(problem->model);
    problem->draft_ratio = draft_ratio(problem->model, &problem->parameters);
    for (uint32_t k = 0; k < problem->model->n_kinds; k++) {
        problem->has_experts |= problem->model->kinds[k].ffn.n_experts > 0;
    }
    return SP_OK;
}

static sp_status check_positions(const sp_serving_problem *problem, sp_error *err)
{
    const double positions = problem->model->positions;
    const double most = problem->load.isl + problem->load.osl;
    if (positions == 0.0 || most <= positions) return SP_OK;
    sp_fail(err, SP_E_RANGE, "prompt and answer are longer than the model's learned positions");
    sp_fail_value(err, "%.0f", most);
    sp_fail_range(err, "1 .. %.0f", positions);
    return sp_fail_file(err, "--isl, --osl");
}

/* ---- all of it ---- */

/* Plans state these in place of what the engine's file has by GPU. */
static void give_axes(sp_serving_problem *problem)
{
    static const char *const stated[] = {"chunk_tokens", "max_running", "max_context"};
    for (uint32_t e = 0; e < problem->n_engines; e++) {
        sp_server *server = &problem->engines[e].server;
        for (size_t i = 0; i < sizeof stated / sizeof stated[0]; i++) {
            sp_knob_give(server, sp_knob_find(stated[i]), 0.0);
        }
    }
}

static sp_status check_money(sp_serving_problem *problem, sp_error *err)
{
    for (uint32_t i = 0; i < problem->n_objectives; i++) {
        const char *name = sp_serving_objective_describe(problem->objectives[i])->name;
        if (strncmp(name, "usd_", 4) != 0) continue;
        problem->ranks_by_money = true;
        for (int place = 0; place < SP_N_PLACES; place++) {
            const sp_serving_machine *m = &problem->machine[place];
            if (m->cluster == NULL || m->usd_per_gpu_hour > 0.0) continue;
            return sp_fail(err, SP_E_USAGE,
                           "--objectives %s needs a price, and %s has none; say "
                           "--usd-per-gpu-hour",
                           name, m->cluster->gpu->name);
        }
    }
    return SP_OK;
}

static sp_status load_gpus(sp_serving_problem *problem, sp_error *err)
{
    const sp_serving_machine *m =
        &problem->machine[problem->modes[SP_SERVING_AGG] ? SP_PLACE_TOGETHER : SP_PLACE_DECODE];
    return sp_gpus_parse(&problem->arena, problem->question.gpus, m->cluster->node_gpus,
                         &problem->gpus_values, &problem->n_gpus_values, err);
}

static sp_status load(sp_serving_problem *problem, sp_error *err)
{
    const sp_serving_question *q = &problem->question;
    SP_TRY(sp_serving_question_check(q, err));
    SP_TRY(load_words(problem, err));
    SP_TRY(sp_limits_parse(q->slo, problem->limits, &problem->n_limits, err));
    SP_TRY(load_model(problem, err));
    SP_TRY(load_load(problem, err));
    SP_TRY(check_positions(problem, err));
    SP_TRY(load_machines(problem, err));
    SP_TRY(load_gpus(problem, err));
    SP_TRY(sp_serving_engines_load(problem, err));
    SP_TRY(sp_serving_formats_load(problem, err));
    SP_TRY(sp_serving_engine_rules_load(problem, err));
    give_axes(problem);
    SP_TRY(sp_serving_objectives_parse(q->objectives, problem->objectives, &problem->n_objectives,
                                       err));
    SP_TRY(check_money(problem, err));
    SP_TRY(sp_serving_sets_load(problem, err));
    SP_TRY(sp_serving_wheres_load(problem, err));
    return sp_serving_fingerprint_build(problem, err);
}

sp_status sp_serving_problem_build(const sp_serving_question *question,
                                   sp_serving_problem **problem, sp_error *err)
{
    *problem = NULL;
    sp_serving_problem *p = sp_alloc(sizeof *p);
    if (p == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for the question");
    sp_status status = sp_serving_question_copy(p, question, err);
    if (status == SP_OK) status = load(p, err);
    if (status != SP_OK) {
        sp_serving_problem_free(p);
        return status;
    }
    *problem = p;
    return SP_OK;
}

void sp_serving_problem_free(sp_serving_problem *problem)
{
    if (problem == NULL) return;
    sp_arena_fini(&problem->arena);
    sp_free(problem);
}
