/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of what the data files hold: models, hardware, engines and their rules. */
#include "report/report_priv.h"

#include <stdio.h>
#include <string.h>

static sp_status names_in(sp_listing *l, const char *folder, const char *const **names, size_t *n,
                          sp_error *err)
{
    const char *dir = sp_arena_printf(&l->arena, "%s/%s", l->home, folder);
    if (dir == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for the list");
    return sp_dir_names(&l->arena, dir, ".json", names, n, err);
}

/* ---- models ---- */

sp_status sp_list_models(sp_listing *l, sp_error *err)
{
    static const char *const keys[] = {"name",   "model_type", "parameters", "active",
                                       "layers", "hidden",     "vocab",      "max_context_tokens"};
    static const char *const headers[] = {"model",  "type",   "parameters", "active",
                                          "layers", "hidden", "vocabulary", "context"};
    const char *const *names = NULL;
    size_t n = 0;
    sp_listing_begin(l, keys, headers, 8, 0xfc);
    SP_TRY(names_in(l, "configs/models", &names, &n, err));
    for (size_t i = 0; i < n; i++) {
        const sp_model *model = NULL;
        SP_TRY(sp_model_find(&l->arena, l->home, names[i], &model, err));
        const sp_parameters p = sp_model_parameters(model);
        if (!sp_listing_row(l)) return SP_OK;
        sp_listing_text(l, model->name);
        sp_listing_text(l, model->model_type);
        sp_listing_count(l, p.total);
        sp_listing_count(l, p.active);
        sp_listing_count(l, model->n_layers);
        sp_listing_count(l, model->hidden);
        sp_listing_count(l, model->vocab);
        sp_listing_count(l, model->max_context);
        sp_listing_row_end(l);
    }
    return SP_OK;
}

/* ---- hardware ---- */

static void join_links(const sp_cluster *cluster, char *text, size_t capacity)
{
    size_t length = 0;
    for (uint32_t i = 0; i < cluster->n_levels && length < capacity; i++) {
        const int added = snprintf(text + length, capacity - length, "%s%s", i > 0 ? " > " : "",
                                   cluster->levels[i].link);
        length += added > 0 ? (size_t)added : 0;
    }
}

/* Of bf16, or fp16 where a part has no bf16. */
static double peak_16_bit(const sp_gpu *gpu)
{
    const double bf16 = gpu->peak_flops_per_s[SP_BF16];
    return bf16 > 0.0 ? bf16 : gpu->peak_flops_per_s[SP_FP16];
}

/* Whose measured kernels price its plans; a part without any can be analysed alone. */
static const char *kernels_of(const sp_gpu *gpu)
{
    const bool own = strcmp(gpu->name, gpu->calibrated_from) == 0;
    return !sp_gpu_is_measured(gpu) ? "none" : own ? "its own" : gpu->calibrated_from;
}

static void put_gpu(sp_listing *l, const sp_gpu *gpu)
{
    const double peak = peak_16_bit(gpu);
    sp_listing_number(l, gpu->memory_bytes, sp_word_gib(gpu->memory_bytes));
    sp_listing_number(l, peak, sp_word_number(peak / 1e12));
    sp_listing_number(l, gpu->memory_bytes_per_s, sp_word_number(gpu->memory_bytes_per_s / 1e9));
    sp_listing_number(l, gpu->tdp_watts, sp_word_number(gpu->tdp_watts));
    sp_listing_number(l, gpu->usd_per_hour, sp_word_usd(gpu->usd_per_hour));
    sp_listing_text(l, kernels_of(gpu));
}

static void list_gpu(sp_listing *l, const sp_gpu *gpu)
{
    sp_listing_text(l, sp_device_kind_name(gpu->kind));
    sp_listing_text(l, gpu->name);
    sp_listing_text(l, gpu->name);
    sp_listing_count(l, 1);
    sp_listing_text(l, "");
    put_gpu(l, gpu);
    sp_listing_row_end(l);
}

/* One kind of part after the other, by name. */
static sp_status list_gpus(sp_listing *l, sp_error *err)
{
    const char *const *names = NULL;
    size_t n = 0;
    SP_TRY(names_in(l, "hardware/gpus", &names, &n, err));
    const sp_gpu **gpus = sp_arena_alloc(&l->arena, n * sizeof *gpus);
    if (gpus == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for the list");
    for (size_t i = 0; i < n; i++) {
        SP_TRY(sp_gpu_find(&l->arena, l->home, names[i], &gpus[i], err));
    }
    for (sp_device_kind kind = 0; kind < SP_N_DEVICE_KINDS; kind++) {
        for (size_t i = 0; i < n; i++) {
            if (gpus[i]->kind == kind && sp_listing_row(l)) list_gpu(l, gpus[i]);
        }
    }
    return SP_OK;
}

sp_status sp_list_hardware(sp_listing *l, sp_error *err)
{
    static const char *const keys[] = {"kind",
                                       "name",
                                       "gpu",
                                       "node_gpus",
                                       "links",
                                       "memory_bytes",
                                       "peak_16bit_flops_per_s",
                                       "memory_bytes_per_s",
                                       "power_watts",
                                       "usd_per_gpu_hour",
                                       "kernels"};
    static const char *const headers[] = {"kind",  "name", "part",           "a node",
                                          "links", "GiB",  "16-bit TFLOP/s", "GB/s",
                                          "W",     "$/h",  "kernels"};
    const char *const *names = NULL;
    size_t n = 0;
    sp_listing_begin(l, keys, headers, 11, 0x3e8);
    SP_TRY(names_in(l, "hardware/clusters", &names, &n, err));
    for (size_t i = 0; i < n; i++) {
        const sp_cluster *cluster = NULL;
        char links[160] = "";
        SP_TRY(sp_cluster_find(&l->arena, l->home, names[i], &cluster, err));
        join_links(cluster, links, sizeof links);
        if (!sp_listing_row(l)) return SP_OK;
        sp_listing_text(l, "cluster");
        sp_listing_text(l, names[i]);
        sp_listing_text(l, cluster->gpu->name);
        sp_listing_count(l, cluster->node_gpus);
        sp_listing_text(l, links);
        put_gpu(l, cluster->gpu);
        sp_listing_row_end(l);
    }
    return list_gpus(l, err);
}

/* ---- engines and rules, from the files ---- */

typedef sp_status (*engine_reader)(sp_listing *l, const sp_json *root, sp_error *err);

static sp_status each_engine_in(sp_listing *l, const char *folder, engine_reader read,
                                sp_error *err)
{
    const char *const *names = NULL;
    size_t n = 0;
    SP_TRY(names_in(l, folder, &names, &n, err));
    for (size_t i = 0; i < n; i++) {
        const char *file = sp_arena_printf(&l->arena, "%s/%s/%s.json", l->home, folder, names[i]);
        if (file == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for the list");
        sp_json_doc *doc = NULL;
        SP_TRY(sp_json_load_file(file, &doc, err));
        const sp_json root = sp_json_root(doc);
        const sp_status status = read(l, &root, err);
        sp_json_free(doc);
        if (status != SP_OK) return status;
    }
    return SP_OK;
}

/* Those that train, then those that serve. */
static sp_status each_engine(sp_listing *l, engine_reader read, sp_error *err)
{
    SP_TRY(each_engine_in(l, "configs/engines", read, err));
    return each_engine_in(l, "configs/engines/serving", read, err);
}

/* Only engines that serve say how long their loop takes. */
static const char *engine_does(const sp_json *root)
{
    return sp_json_has(root, "timing") ? "serve" : "train";
}

static sp_status read_engine(sp_listing *l, const sp_json *root, sp_error *err)
{
    const char *name = NULL, *version = NULL, *about = NULL;
    sp_json rules = {0};
    SP_TRY(sp_json_string(root, "name", &name, err));
    SP_TRY(sp_json_string_or(root, "version", "", &version, err));
    SP_TRY(sp_json_string_or(root, "about", "", &about, err));
    SP_TRY(sp_json_array(root, "rules", &rules, err));
    if (!sp_listing_row(l)) return SP_OK;
    sp_listing_text(l, name);
    sp_listing_text(l, version);
    sp_listing_count(l, sp_json_size(&rules));
    sp_listing_text(l, engine_does(root));
    sp_listing_text(l, about);
    sp_listing_row_end(l);
    return SP_OK;
}

sp_status sp_list_engines(sp_listing *l, sp_error *err)
{
    static const char *const keys[] = {"name", "newest_version", "rules", "of", "about"};
    static const char *const headers[] = {"engine", "newest", "rules", "of", "about"};
    sp_listing_begin(l, keys, headers, 5, 0x4);
    return each_engine(l, read_engine, err);
}

static sp_status read_rules(sp_listing *l, const sp_json *root, sp_error *err)
{
    const char *engine = NULL;
    sp_json rules = {0};
    SP_TRY(sp_json_string(root, "name", &engine, err));
    SP_TRY(sp_json_array(root, "rules", &rules, err));
    for (size_t i = 0; i < sp_json_size(&rules); i++) {
        const sp_json rule = sp_json_at(&rules, i);
        const char *id = NULL, *when = NULL, *require = NULL;
        char meaning[512];
        SP_TRY(sp_json_string(&rule, "id", &id, err));
        SP_TRY(sp_json_string_or(&rule, "when", "", &when, err));
        SP_TRY(sp_json_string(&rule, "require", &require, err));
        (void)snprintf(meaning, sizeof meaning, "%s%s%s", when, when[0] != '\0' ? " needs " : "",
                       require);
        if (!sp_listing_row(l)) return SP_OK;
        sp_listing_text(l, id);
        sp_listing_text(l, engine);
        sp_listing_text(l, meaning);
        sp_listing_row_end(l);
    }
    return SP_OK;
}

/* Rules that hold for every question, read off the smallest one that the data files allow. */
static sp_status list_space_rules(sp_listing *l, sp_error *err)
{
    const char *const *models = NULL, *const *clusters = NULL;
    size_t n_models = 0, n_clusters = 0;
    SP_TRY(names_in(l, "configs/models", &models, &n_models, err));
    SP_TRY(names_in(l, "hardware/clusters", &clusters, &n_clusters, err));
    if (n_models == 0 || n_clusters == 0) return SP_OK;
    sp_question q = sp_question_default();
    q.home = l->home;
    q.model = models[0];
    q.cluster = clusters[0];
    q.gpus = "1";
    q.seq_len = q.global_batch = 1;
    sp_problem *problem = NULL;
    sp_space *space = NULL;
    sp_status status = sp_problem_build(&q, &problem, err);
    if (status == SP_OK) status = sp_space_build(problem, &space, err);
    for (uint32_t i = 0; status == SP_OK && i < sp_space_rule_count(space); i++) {
        static const char *const classes[SP_N_RULE_CLASSES] = {
            "canonical", "structure", "engine", "where", "memory", "network", "slo"};
        const sp_rule_info *rule = sp_space_rule(space, i);
        if (rule->class == SP_RULE_ENGINE || !sp_listing_row(l)) continue;
        sp_listing_text(l, rule->name);
        sp_listing_text(l, classes[rule->class]);
        sp_listing_text(l, rule->meaning);
        sp_listing_row_end(l);
    }
    sp_space_free(space);
    sp_problem_free(problem);
    return status;
}

sp_status sp_list_rules(sp_listing *l, sp_error *err)
{
    static const char *const keys[] = {"name", "of", "meaning"};
    static const char *const headers[] = {"rule", "class or engine", "meaning"};
    sp_listing_begin(l, keys, headers, 3, 0);
    SP_TRY(list_space_rules(l, err));
    return each_engine(l, read_rules, err);
}
