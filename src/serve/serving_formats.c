/* SPDX-License-Identifier: Apache-2.0 */
/* Number formats of weights and cache: what the model's own files say, what a question names
 * instead, and what the parts compute. Nothing is put in the place of a format: a part or an engine
 * without it is refused. */
#include "serve/serving_formats.h"

#include <assert.h>
#include <string.h>

/* The first of the kernels whose number format the part computes in; NULL: none. */
static const char *kernel_on(const sp_format_part *part, const sp_gpu *gpu)
{
    for (uint32_t i = 0; i < part->n_kernels; i++) {
        if (gpu->peak_flops_per_s[part->needs[i]] > 0.0) return part->kernel[i];
    }
    return NULL;
}

static sp_weight_format format_on_parts(const sp_serving_problem *problem,
                                        const sp_format_entry *entry)
{
    sp_weight_format format = {
        .name = entry->name, .attention_bits = entry->attention.bits, .ffn_bits = entry->ffn.bits};
    for (int place = 0; place < SP_N_PLACES; place++) {
        const sp_cluster *cluster = problem->machine[place].cluster;
        if (cluster == NULL) continue;
        format.attention[place] = kernel_on(&entry->attention, cluster->gpu);
        format.ffn[place] = kernel_on(&entry->ffn, cluster->gpu);
    }
    return format;
}

/* The part that computes no product in the format; NULL where all do. */
static const sp_gpu *part_without(const sp_serving_problem *problem, const sp_weight_format *format)
{
    for (int place = 0; place < SP_N_PLACES; place++) {
        const sp_cluster *cluster = problem->machine[place].cluster;
        if (cluster == NULL) continue;
        if (format->attention[place] == NULL || format->ffn[place] == NULL) return cluster->gpu;
    }
    return NULL;
}

static void add_weights(sp_serving_problem *problem, const sp_weight_format *format)
{
    for (uint32_t i = 0; i < problem->n_weights; i++) {
        if (strcmp(problem->weight_names[i], format->name) == 0) return;
    }
    assert(problem->n_weights < SP_MAX_WEIGHT_FORMATS);
    problem->weight_names[problem->n_weights] = format->name;
    problem->weights[problem->n_weights++] = *format;
}

/* Of a format that the user or the checkpoint names: refused where a part cannot. */
static sp_status add_named(sp_serving_problem *problem, const sp_formats_file *file,
                           const char *name, const char *whose, sp_error *err)
{
    const char *names[SP_MAX_WEIGHT_FORMATS];
    for (uint32_t i = 0; i < file->n; i++) {
        names[i] = file->list[i].name;
        if (strcmp(name, names[i]) != 0) continue;
        const sp_weight_format format = format_on_parts(problem, &file->list[i]);
        const sp_gpu *gpu = part_without(problem, &format);
        if (gpu == NULL) {
            add_weights(problem, &format);
            return SP_OK;
        }
        sp_fail(err, SP_E_INCONSISTENT,
                "%s computes no products of weights in this format; say --set weight_dtype=bf16, "
                "or another that it has",
                gpu->name);
        sp_fail_value(err, "%s", name);
        return sp_fail_file(err, whose);
    }
    sp_fail(err, SP_E_UNKNOWN_NAME, "there is no such number format of weights");
    sp_fail_value(err, "%s", name);
    sp_fail_names(err, name, names, file->n);
    return sp_fail_file(err, whose);
}

/* ---- lists ---- */

typedef sp_status (*take_name)(sp_serving_problem *problem, const sp_formats_file *file,
                               const char *name, sp_error *err);

static sp_status each_name(sp_serving_problem *problem, const sp_formats_file *file,
                           const char *list, take_name take, sp_error *err)
{
    for (;;) {
        char name[32];
        const size_t length = strcspn(list, ",");
        if (length == 0 || length >= sizeof name) {
            sp_fail(err, SP_E_SYNTAX, "values are written AXIS=VALUE[,VALUE..]");
            sp_fail_value(err, "%s", list);
            return sp_fail_file(err, "--set");
        }
        memcpy(name, list, length);
        name[length] = '\0';
        SP_TRY(take(problem, file, name, err));
        if (list[length] == '\0') return SP_OK;
        list += length + 1;
    }
}

static sp_status take_weights(sp_serving_problem *problem, const sp_formats_file *file,
                              const char *name, sp_error *err)
{
    return add_named(problem, file, name, "--set weight_dtype", err);
}

static sp_status load_weights(sp_serving_problem *problem, const sp_formats_file *file,
                              sp_error *err)
{
    const char *set = sp_serving_set_text(problem, SP_SERVING_AXIS_weight_dtype);
    if (set != NULL) return each_name(problem, file, set, take_weights, err);
    const char *own = NULL;
    SP_TRY(sp_checkpoint_format_of(problem, file, &own, err));
    SP_TRY(add_named(problem, file, own, "--model", err));
    for (uint32_t i = 0; i < file->n && problem->space_all; i++) {
        const sp_weight_format format = format_on_parts(problem, &file->list[i]);
        if (part_without(problem, &format) == NULL) add_weights(problem, &format);
    }
    return SP_OK;
}

/* ---- cache ---- */

/* Engines call the model's own 16 bits "none". */
static const char *engine_word(const char *name)
{
    return strcmp(name, "bf16") == 0 ? "none" : name;
}

static uint32_t find_cache(const sp_server *server, const char *name)
{
    for (uint32_t i = 0; i < server->n_kv_formats; i++) {
        if (strcmp(server->kv_formats[i].name, engine_word(name)) == 0) return i;
    }
    return UINT32_MAX;
}

static void list_caches(const sp_serving_problem *problem, const char *name, sp_error *err)
{
    const char *names[SP_MAX_SERVING_ENGINES * SP_MAX_KV_FORMATS];
    size_t n = 0;
    names[n++] = "bf16";
    for (uint32_t e = 0; e < problem->n_engines; e++) {
        const sp_server *server = &problem->engines[e].server;
        for (uint32_t i = 0; i < server->n_kv_formats; i++) {
            bool listed = strcmp(server->kv_formats[i].name, "none") == 0;
            for (size_t k = 0; k < n && !listed; k++) {
                listed = strcmp(names[k], server->kv_formats[i].name) == 0;
            }
            if (!listed) names[n++] = server->kv_formats[i].name;
        }
    }
    sp_fail_names(err, name, names, n);
}

/* Joins the list where at least one engine has the format. */
static sp_status take_cache(sp_serving_problem *problem, const sp_formats_file *file,
                            const char *name, sp_error *err)
{
    (void)file;
    sp_cache_format format = {0};
    for (uint32_t e = 0; e < problem->n_engines && format.name == NULL; e++) {
        const uint32_t at = find_cache(&problem->engines[e].server, name);
        if (at == UINT32_MAX) continue;
        format.name = sp_arena_strdup(&problem->arena, name);
        format.bits = problem->engines[e].server.kv_formats[at].bits;
        if (format.name == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for the question");
    }
    if (format.name == NULL) {
        sp_fail(err, SP_E_UNKNOWN_NAME, "no engine of the question has such a cache");
        sp_fail_value(err, "%s", name);
        list_caches(problem, name, err);
        return sp_fail_file(err, "--set kv_dtype");
    }
    for (uint32_t i = 0; i < problem->n_caches; i++) {
        if (strcmp(problem->cache_names[i], name) == 0) return SP_OK;
    }
    if (problem->n_caches == SP_MAX_KV_FORMATS) {
        return sp_fail(err, SP_E_RANGE, "too many number formats of the cache");
    }
    problem->cache_names[problem->n_caches] = format.name;
    problem->caches[problem->n_caches++] = format;
    return SP_OK;
}

static sp_status take_all_caches(sp_serving_problem *problem, sp_error *err)
{
    for (uint32_t e = 0; e < problem->n_engines; e++) {
        const sp_server *server = &problem->engines[e].server;
        for (uint32_t i = 0; i < server->n_kv_formats; i++) {
            const char *name = server->kv_formats[i].name;
            if (strcmp(name, "none") == 0) continue;
            SP_TRY(take_cache(problem, NULL, name, err));
        }
    }
    return SP_OK;
}

static sp_status load_caches(sp_serving_problem *problem, const sp_formats_file *file,
                             sp_error *err)
{
    const char *set = sp_serving_set_text(problem, SP_SERVING_AXIS_kv_dtype);
    if (set != NULL) {
        SP_TRY(each_name(problem, file, set, take_cache, err));
    } else {
        SP_TRY(take_cache(problem, file, "bf16", err));
        if (problem->space_all) SP_TRY(take_all_caches(problem, err));
    }
    for (uint32_t e = 0; e < problem->n_engines; e++) {
        for (uint32_t c = 0; c < problem->n_caches; c++) {
            problem->engines[e].kv[c] =
                find_cache(&problem->engines[e].server, problem->cache_names[c]);
        }
    }
    return SP_OK;
}

/* ---- rates: kernels of every engine in every format, found once ---- */

static sp_status find_rates(const sp_serving_problem *problem, int place, uint32_t e, uint32_t w,
                            uint32_t c, sp_serve_rates *rates, sp_error *err)
{
    const sp_serving_machine *m = &problem->machine[place];
    const sp_worker_setup setup = {
        .surfaces = m->surfaces,
        .model = problem->model,
        .cluster = m->cluster,
        .timing = &problem->engines[e].timing,
        .formats = {.attention = problem->weights[w].attention[place],
                    .ffn = problem->weights[w].ffn[place],
                    .kv_bits = problem->caches[c].bits}
    };
    return m->cluster != NULL ? sp_serve_rates_build(&setup, rates, err) : SP_OK;
}

static sp_status load_rates(sp_serving_problem *problem, sp_error *err)
{
    const size_t n =
        (size_t)SP_N_PLACES * problem->n_engines * problem->n_weights * problem->n_caches;
    sp_serve_rates *rates = sp_arena_alloc(&problem->arena, n * sizeof *rates);
    if (rates == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for the engines' kernels");
    problem->rates = rates;
    for (int place = 0; place < SP_N_PLACES; place++) {
        for (uint32_t e = 0; e < problem->n_engines; e++) {
            for (uint32_t w = 0; w < problem->n_weights; w++) {
                for (uint32_t c = 0; c < problem->n_caches; c++) {
                    SP_TRY(find_rates(problem, place, e, w, c, rates++, err));
                }
            }
        }
    }
    return SP_OK;
}

/* ---- names ---- */

static void speak(const char *name, const char **names, uint32_t *n, uint32_t capacity)
{
    for (uint32_t i = 0; i < *n; i++) {
        if (strcmp(names[i], name) == 0) return;
    }
    if (*n < capacity) names[(*n)++] = name;
}

static void list_spoken(sp_serving_problem *p, const sp_formats_file *file)
{
    const uint32_t most_caches = sizeof p->spoken_caches / sizeof p->spoken_caches[0];
    for (uint32_t i = 0; i < p->n_weights; i++) {
        speak(p->weight_names[i], p->spoken_weights, &p->n_spoken_weights, SP_MAX_WEIGHT_FORMATS);
    }
    for (uint32_t i = 0; i < file->n; i++) {
        speak(file->list[i].name, p->spoken_weights, &p->n_spoken_weights, SP_MAX_WEIGHT_FORMATS);
    }
    for (uint32_t i = 0; i < p->n_caches; i++) {
        speak(p->cache_names[i], p->spoken_caches, &p->n_spoken_caches, most_caches);
    }
    for (uint32_t e = 0; e < p->n_engines; e++) {
        const sp_server *server = &p->engines[e].server;
        for (uint32_t i = 0; i < server->n_kv_formats; i++) {
            const char *name = server->kv_formats[i].name;
            const char *ours = strcmp(name, "none") == 0 ? "bf16" : name;
            speak(ours, p->spoken_caches, &p->n_spoken_caches, most_caches);
        }
    }
}

sp_status sp_serving_formats_load(sp_serving_problem *problem, sp_error *err)
{
    sp_formats_file file = {0};
    SP_TRY(sp_formats_file_load(problem, &file, err));
    SP_TRY(load_weights(problem, &file, err));
    SP_TRY(load_caches(problem, &file, err));
    list_spoken(problem, &file);
    return load_rates(problem, err);
}
