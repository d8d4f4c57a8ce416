/* SPDX-License-Identifier: Apache-2.0 */
/* The engines of a question: "any", or names, each with its version behind '@'. */
#include "serve/serving_priv.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* "0.26" of 0.26.0, "0" of either; not "0.2". */
static bool is_version(const char *asked, const char *version)
{
    const size_t n = strlen(asked);
    return strncmp(asked, version, n) == 0 && (version[n] == '\0' || version[n] == '.');
}

/* Releases that differ in memory are values of the option `release`. */
static sp_status choose_release(sp_serving_problem *problem, const char *version, sp_server *server,
                                sp_error *err)
{
    char option[64];
    if (is_version(version, server->version)) return SP_OK;
    if (strlen(version) < 32) {
        const int n = snprintf(option, sizeof option, "release=%s", version);
        if (n > 0 &&
            sp_server_set(&problem->arena, problem->question.home, option, server, err) == SP_OK) {
            return SP_OK;
        }
    }
    sp_fail(err, SP_E_UNKNOWN_NAME, "this release of %s is not known; the newest is %s",
            server->name, server->version);
    sp_fail_value(err, "%s", version);
    return sp_fail_file(err, "--engine");
}

static sp_status add_engine(sp_serving_problem *problem, const char *name, const char *version,
                            sp_error *err)
{
    const char *home = problem->question.home;
    if (problem->n_engines == SP_MAX_SERVING_ENGINES) {
        sp_fail(err, SP_E_RANGE, "too many engines");
        sp_fail_range(err, "1 .. %d", SP_MAX_SERVING_ENGINES);
        return sp_fail_file(err, "--engine");
    }
    for (uint32_t i = 0; i < problem->n_engines; i++) {
        if (strcmp(problem->engine_names[i], name) != 0) continue;
        sp_fail(err, SP_E_INCONSISTENT, "an engine is named twice");
        sp_fail_value(err, "%s", name);
        return sp_fail_file(err, "--engine");
    }
    sp_serving_engine *e = &problem->engines[problem->n_engines];
    if (sp_server_load(&problem->arena, home, name, &e->server, err) != SP_OK) {
        return err->file[0] == '\0' ? sp_fail_file(err, "--engine") : err->status;
    }
    SP_TRY(sp_server_timing_load(&problem->arena, home, name, &e->timing, err));
    if (version != NULL) SP_TRY(choose_release(problem, version, &e->server, err));
    e->name = e->server.name;
    problem->engine_names[problem->n_engines++] = e->name;
    return SP_OK;
}

static sp_status add_all(sp_serving_problem *problem, sp_error *err)
{
    const char *const *names = NULL;
    size_t n = 0;
    const char *dir =
        sp_arena_printf(&problem->arena, "%s/configs/engines/serving", problem->question.home);
    if (dir == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for the engines");
    SP_TRY(sp_dir_names(&problem->arena, dir, ".json", &names, &n, err));
    for (size_t i = 0; i < n; i++) {
        SP_TRY(add_engine(problem, names[i], NULL, err));
    }
    return SP_OK;
}

sp_status sp_serving_engines_load(sp_serving_problem *problem, sp_error *err)
{
    const char *which = problem->question.engine;
    if (strcmp(which, "any") == 0) return add_all(problem, err);
    char *rest = sp_arena_strdup(&problem->arena, which);
    if (rest == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for the engines");
    while (rest != NULL) {
        char *comma = strchr(rest, ',');
        if (comma != NULL) *comma = '\0';
        char *at = strchr(rest, '@');
        if (at != NULL) *at = '\0';
        SP_TRY(add_engine(problem, rest, at != NULL ? at + 1 : NULL, err));
        rest = comma != NULL ? comma + 1 : NULL;
    }
    return SP_OK;
}

/* ---- rules ---- */

const sp_cluster *sp_serving_any_cluster(const sp_serving_problem *problem)
{
    const sp_cluster *together = problem->machine[SP_PLACE_TOGETHER].cluster;
    return together != NULL ? together : problem->machine[SP_PLACE_DECODE].cluster;
}

/* Tokens that an engine provides for: what was asked, else the longest request. */
static uint64_t longest_context(const sp_serving_problem *problem)
{
    const sp_serving_question *q = &problem->question;
    double longest = q->isl + q->osl;
    for (uint32_t i = 0; i < problem->n_lengths; i++) {
        longest = fmax(longest, problem->lengths[i].isl + problem->lengths[i].osl);
    }
    return q->max_context > 0 ? q->max_context : (uint64_t)ceil(longest);
}

sp_status sp_serving_engine_rules_load(sp_serving_problem *problem, sp_error *err)
{
    problem->facts = (sp_serving_facts){.model = problem->model,
                                        .cluster = sp_serving_any_cluster(problem),
                                        .max_context = longest_context(problem),
                                        .weight_formats = problem->spoken_weights,
                                        .n_weight_formats = problem->n_spoken_weights,
                                        .kv_formats = problem->spoken_caches,
                                        .n_kv_formats = problem->n_spoken_caches};
    for (uint32_t e = 0; e < problem->n_engines; e++) {
        sp_serving_engine *engine = &problem->engines[e];
        SP_TRY(sp_serving_rules_load(&problem->arena, problem->question.home, engine->name,
                                     engine->server.version, &problem->facts, &engine->rules, err));
    }
    return SP_OK;
}
