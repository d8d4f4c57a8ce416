/* SPDX-License-Identifier: Apache-2.0 */
/* Loads what a question names and works out everything that does not depend on a plan. */
#include "step/step.h"

#include <assert.h>
#include <math.h>
#include <string.h>

sp_question sp_question_default(void)
{
    return (sp_question){.engine = "any",
                         .space = "default",
                         .optimizer = "adamw",
                         .task = SP_TASK_PRETRAIN,
                         .straggler_ratio = 1.0,
                         .max_network_ratio = 1.0,
                         .headroom_ratio = 0.06};
}

double sp_problem_passes(const sp_problem *problem)
{
    return problem->has_adapters ? 2.0 : 3.0;
}

double sp_problem_step_error(const sp_problem *problem)
{
    const sp_engine_profile *f = problem->profile;
    const sp_gpu *gpu = problem->cluster->gpu;
    if (problem->question.site_error_ratio > 0.0) return problem->question.site_error_ratio;
    const double own = problem->has_experts ? f->expert_error_ratio : f->step_error_ratio;
    const bool borrows = strcmp(gpu->name, gpu->calibrated_from) != 0;
    const double borrowed = borrows ? f->borrowed_error_ratio : 0.0;
    return sqrt(own * own + borrowed * borrowed);
}

double sp_problem_attended(const sp_problem *problem)
{
    const sp_question *q = &problem->question;
    return (double)(q->doc_len > 0 ? q->doc_len : q->seq_len);
}

static bool trains_all(const sp_question *q)
{
    return q->task == SP_TASK_PRETRAIN || q->task == SP_TASK_SFT;
}

static sp_status copy_text(sp_problem *problem, const char **text, sp_error *err)
{
    if (*text == NULL) {
        return SP_OK;
    }
    *text = sp_arena_strdup(&problem->arena, *text);
    return *text != NULL ? SP_OK : sp_fail(err, SP_E_MEMORY, "no memory for the question");
}

static sp_status copy_question(sp_problem *problem, const sp_question *question, sp_error *err)
{
    sp_question *q = &problem->question;
    *q = *question;
    const char **texts[] = {&q->home,       &q->model,      &q->cluster,
                            &q->gpus,       &q->engine,     &q->space,
                            &q->optimizer,  &q->objectives, &q->from.nvidia_smi,
                            &q->from.hwloc, &q->from.sinfo};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        SP_TRY(copy_text(problem, texts[i], err));
    }
    for (uint32_t i = 0; i < q->n_sets; i++) {
        SP_TRY(copy_text(problem, &q->sets[i], err));
    }
    for (uint32_t i = 0; i < q->n_wheres; i++) {
        SP_TRY(copy_text(problem, &q->wheres[i], err));
    }
    return SP_OK;
}

static sp_status need(const char *text, const char *flag, const char *example, sp_error *err)
{
    if (text != NULL && text[0] != '\0') {
        return SP_OK;
    }
    return sp_fail(err, SP_E_USAGE, "%s is missing; for example %s %s", flag, flag, example);
}

static sp_status check_ratio(double value, const char *flag, double below, sp_error *err)
{
    if (value >= 0.0 && value <= below) {
        return SP_OK;
    }
    char text[32];
    sp_format_double(value, text);
    sp_fail(err, SP_E_RANGE, "the share is out of range");
    sp_fail_value(err, "%s", text);
    sp_fail_range(err, "0 .. %g", below);
    return sp_fail_file(err, flag);
}

static sp_status check_adapters(const sp_question *q, sp_error *err)
{
    if (!trains_all(q) && (q->lora_rank == 0 || q->lora_rank > 65536)) {
        sp_fail(err, SP_E_RANGE, "adapters have a rank");
        sp_fail_value(err, "%u", q->lora_rank);
        sp_fail_range(err, "1 .. 65536");
        return sp_fail_file(err, "--lora-rank");
    }
    return SP_OK;
}

static sp_status check_at_least_one(double ratio, const char *flag, const char *message,
                                    sp_error *err)
{
    if (ratio >= 1.0 && ratio <= 1000.0) {
        return SP_OK;
    }
    sp_fail(err, SP_E_RANGE, "%s", message);
    sp_fail_value(err, "%g", ratio);
    sp_fail_range(err, "1 .. 1000");
    return sp_fail_file(err, flag);
}

static sp_status check_uneven(const sp_question *q, sp_error *err)
{
    if (q->moe_imbalance_ratio != 0.0) {
        SP_TRY(check_at_least_one(q->moe_imbalance_ratio, "--moe-imbalance",
                                  "the busiest rank has at least the mean load", err));
    }
    return check_at_least_one(q->straggler_ratio, "--straggler",
                              "the slowest rank takes at least the usual time", err);
}

static sp_status check_site(const sp_question *q, sp_error *err)
{
    const bool factor = q->site_factor == 0.0 || (q->site_factor >= 0.1 && q->site_factor <= 10.0);
    if (factor && q->site_error_ratio >= 0.0 && q->site_error_ratio < 1.0) return SP_OK;
    sp_fail(err, SP_E_RANGE, "steps of a site are some per cent longer or shorter");
    sp_fail_value(err, "%g:%g", q->site_factor, q->site_error_ratio);
    sp_fail_range(err, "a factor of 0.1 .. 10, an error below 1");
    return sp_fail_file(err, "--site-factor");
}

static sp_status check_question(const sp_question *q, sp_error *err)
{
    SP_TRY(need(q->model, "--model", "llama-3.1-70b", err));
    if (!sp_discover_any(&q->from)) {
        SP_TRY(need(q->cluster, "--cluster", "dgx-h100", err));
    }
    SP_TRY(need(q->gpus, "--gpus", "64", err));
    if (q->seq_len == 0) {
        return need(NULL, "--seq-len", "8k", err);
    }
    if (q->global_batch == 0) {
        return need(NULL, "--global-batch", "128", err);
    }
    if (q->seq_len > 1u << 30 || q->global_batch > 1u << 30) {
        sp_fail(err, SP_E_RANGE, "the sequence length or batch is out of range");
        sp_fail_range(err, "1 .. %u", 1u << 30);
        return sp_fail_file(err, q->seq_len > 1u << 30 ? "--seq-len" : "--global-batch");
    }
    if (q->doc_len > q->seq_len || (q->doc_len > 0 && q->seq_len % q->doc_len != 0)) {
        sp_fail(err, SP_E_RANGE, "documents fill a sequence evenly");
        sp_fail_value(err, "%llu", (unsigned long long)q->doc_len);
        sp_fail_range(err, "a divisor of %llu", (unsigned long long)q->seq_len);
        return sp_fail_file(err, "--doc-len");
    }
    SP_TRY(check_adapters(q, err));
    SP_TRY(check_uneven(q, err));
    SP_TRY(check_site(q, err));
    SP_TRY(check_ratio(q->max_network_ratio, "--max-network-ratio", 1.0, err));
    SP_TRY(check_ratio(q->headroom_ratio, "--headroom", 0.9, err));
    return SP_OK;
}

static sp_status check_positions(const sp_problem *problem, sp_error *err)
{
    const uint32_t positions = problem->model->positions;
    if (positions == 0 || problem->question.seq_len <= positions) {
        return SP_OK;
    }
    sp_fail(err, SP_E_RANGE, "the sequence is longer than the model's %u learned positions",
            positions);
    sp_fail_value(err, "%llu", (unsigned long long)problem->question.seq_len);
    sp_fail_range(err, "1 .. %u", positions);
    return sp_fail_file(err, "--seq-len");
}

static sp_status load_space_name(sp_problem *problem, sp_error *err)
{
    static const char *const names[] = {"default", "all"};
    const char *name = problem->question.space;
    problem->space_all = strcmp(name, "all") == 0;
    if (problem->space_all || strcmp(name, "default") == 0) {
        return SP_OK;
    }
    sp_fail(err, SP_E_UNKNOWN_NAME, "there is no such space");
    sp_fail_value(err, "%s", name);
    sp_fail_names(err, name, names, 2);
    return sp_fail_file(err, "--space");
}

static sp_status load_sets(sp_problem *problem, sp_error *err)
{
    for (uint32_t i = 0; i < problem->question.n_sets; i++) {
        sp_set *set = &problem->sets[problem->n_sets];
        SP_TRY(sp_set_parse(&problem->arena, problem->question.sets[i], set, err));
        for (uint32_t k = 0; k < problem->n_sets; k++) {
            if (problem->sets[k].axis == set->axis) {
                sp_fail(err, SP_E_INCONSISTENT, "an axis is set twice");
                sp_fail_value(err, "%s", problem->question.sets[i]);
                return sp_fail_file(err, "--set");
            }
        }
        problem->n_sets++;
    }
    return SP_OK;
}

static void list_where_names(const char *name, sp_error *err)
{
    const char *names[SP_N_PLAN_VARS + 128];
    size_t n = 0;
    for (uint32_t a = 0; a < SP_N_AXES; a++) {
        names[n++] = sp_axis_describe((sp_axis_id)a)->name;
    }
    names[n++] = "dp";
    names[n++] = "accumulation";
    for (uint32_t f = 0; f < sp_field_count() && n < sizeof names / sizeof names[0]; f++) {
        names[n++] = sp_field_describe(f)->where;
    }
    sp_fail_names(err, name, names, n);
}

/* Beside such an axis a name is meant as one of its values. */
static bool has_named_values(const char *axis)
{
    const sp_axis_id id = axis != NULL ? sp_axis_find(axis) : SP_N_AXES;
    return id != SP_N_AXES && sp_axis_describe(id)->n_names > 0;
}

/* Names of --where: plan variables first, then figures of the estimate. */
static int resolve_where(void *user, const char *name, const char *context, double *constant,
                         sp_error *err)
{
    (void)user;
    const int plan = sp_plan_resolve(name, context, constant, err);
    if (plan != -2) {
        return plan;
    }
    const uint32_t field = sp_field_find(name);
    if (field != UINT32_MAX) {
        return (int)(SP_VAR_FIELDS + field);
    }
    if (!has_named_values(context)) {
        list_where_names(name, err);
    }
    return -2;
}

static sp_status load_wheres(sp_problem *problem, sp_error *err)
{
    for (uint32_t i = 0; i < problem->question.n_wheres; i++) {
        sp_where *where = &problem->wheres[i];
        sp_expr *expr = NULL;
        const sp_status status = sp_expr_parse(&problem->arena, problem->question.wheres[i],
                                               resolve_where, NULL, &expr, err);
        if (status != SP_OK) {
            return sp_fail_file(err, "--where");
        }
        const int *variables = NULL;
        const size_t n = sp_expr_variables(expr, &variables);
        where->expr = expr;
        where->reads_results = n > 0 && variables[n - 1] >= (int)SP_VAR_FIELDS;
        where->deepest = where->reads_results ? SP_AXIS_gpus : sp_plan_expr_depth(expr);
        problem->n_wheres++;
    }
    return SP_OK;
}

/* Objectives in money need a price, and those of a whole run its tokens. */
static sp_status check_objectives(sp_problem *problem, sp_error *err)
{
    for (uint32_t i = 0; i < problem->n_objectives; i++) {
        const char *name = sp_objective_describe(problem->objectives[i])->name;
        if (strcmp(name, "usd_run") != 0) {
            continue;
        }
        problem->ranks_by_money = true;
        if (problem->usd_per_gpu_hour <= 0.0) {
            return sp_fail(err, SP_E_USAGE,
                           "--objectives %s needs a price, and %s has none; say "
                           "--usd-per-gpu-hour",
                           name, problem->cluster->gpu->name);
        }
        if (problem->question.tokens <= 0.0) {
            return sp_fail(err, SP_E_USAGE,
                           "--objectives %s needs the length of the run; say "
                           "--tokens, for example --tokens 1T",
                           name);
        }
    }
    return SP_OK;
}

static sp_status load_cluster(sp_problem *problem, sp_error *err)
{
    sp_question *q = &problem->question;
    if (q->loaded_cluster != NULL) {
        problem->cluster = q->loaded_cluster;
        return SP_OK;
    }
    if (!sp_discover_any(&q->from)) {
        return sp_cluster_find(&problem->arena, q->home, q->cluster, &problem->cluster, err);
    }
    q->from.cluster = q->cluster;
    return sp_cluster_from_files(&problem->arena, q->home, &q->from, &problem->cluster, err);
}

static sp_status load(sp_problem *problem, sp_error *err)
{
    sp_question *q = &problem->question;
    sp_arena *arena = &problem->arena;
    SP_TRY(check_question(q, err));
    problem->model = q->loaded_model;
    if (problem->model == NULL) {
        SP_TRY(sp_model_find(arena, q->home, q->model, &problem->model, err));
    }
    SP_TRY(load_cluster(problem, err));
    SP_TRY(check_positions(problem, err));
    SP_TRY(sp_gpus_parse(arena, q->gpus, problem->cluster->node_gpus, &problem->gpus_values,
                         &problem->n_gpus_values, err));
    SP_TRY(sp_optimizer_find(arena, q->home, q->optimizer, &problem->optimizer, err));
    const sp_engine_facts facts = {.model = problem->model,
                                   .seq_len = q->seq_len,
                                   .global_batch = q->global_batch,
                                   .trains_all = trains_all(q),
                                   .dispatch = q->dispatch,
                                   .zeropp = q->zeropp,
                                   .optimizer = q->optimizer,
                                   .gradients = q->gradients};
    SP_TRY(sp_engines_load(arena, q->home, q->engine, &facts, &problem->engines,
                           &problem->n_engines, &problem->profile, err));
    SP_TRY(sp_objectives_parse(q->objectives, problem->n_gpus_values > 1 || q->use_upto,
                               problem->objectives, &problem->n_objectives, err));
    SP_TRY(load_space_name(problem, err));
    SP_TRY(load_sets(problem, err));
    return load_wheres(problem, err);
}

/* What one GPU has of its node: memory, storage and the processors' time. */
static void derive_host(sp_problem *problem)
{
    const sp_cluster *c = problem->cluster;
    const double gpus = c->node_gpus;
    const double update = c->host_memory_bytes_per_s * problem->profile->host_update_ratio;
    problem->host = (sp_host){
        .memory_bytes = c->host_memory_bytes / gpus,
        .nvme_bytes = c->nvme_bytes / gpus,
        .link_s_per_byte = c->host_link_bytes_per_s > 0.0 ? 1.0 / c->host_link_bytes_per_s : 0.0,
        .update_s_per_byte = update > 0.0 ? gpus / update : 0.0,
        .nvme_s_per_byte = c->nvme_bytes_per_s > 0.0 ? gpus / c->nvme_bytes_per_s : 0.0,
    };
}

/* All that the constants of the software decide. */
static void derive_from_profile(sp_problem *problem)
{
    sp_rates_build(problem->cluster->gpu, problem->profile, &problem->rates);
    sp_recipes_derive(problem);
    derive_host(problem);
}

void sp_problem_with_profile(const sp_problem *base, const sp_engine_profile *profile,
                             sp_problem *out)
{
    *out = *base;
    out->profile = profile;
    derive_from_profile(out);
}

void sp_problem_read_model(sp_problem *problem)
{
    const sp_question *q = &problem->question;
    problem->parameters = sp_model_parameters(problem->model);
    problem->has_experts = problem->has_tied_layers = problem->has_latent_attention = false;
    for (uint32_t k = 0; k < problem->model->n_kinds; k++) {
        problem->has_experts |= problem->model->kinds[k].ffn.n_experts > 0;
        problem->has_tied_layers |= problem->model->kinds[k].tied > 0;
        problem->has_latent_attention |= problem->model->kinds[k].attention.kv_lora > 0;
    }
    problem->forward_flops = sp_graph_forward_flops(problem->model, sp_problem_attended(problem),
                                                    (double)q->seq_len * (double)q->global_batch);
}

static sp_status derive(sp_problem *problem, sp_error *err)
{
    const sp_question *q = &problem->question;
    const sp_gpu *gpu = problem->cluster->gpu;
    if (sp_gpu_peak_flops_per_s(gpu) <= 0.0) {
        return sp_fail(err, SP_E_INCONSISTENT,
                       "%s computes neither in bf16 nor in fp16: its file states no peak for them",
                       gpu->name);
    }
    sp_problem_read_model(problem);
    problem->has_adapters = !trains_all(q);
    derive_from_profile(problem);
    sp_fabric_build(problem->cluster, &problem->fabric);
    problem->usd_per_gpu_hour = q->usd_per_gpu_hour > 0.0 ? q->usd_per_gpu_hour : gpu->usd_per_hour;
    problem->allowed_bytes = gpu->memory_bytes * (1.0 - q->headroom_ratio);
    SP_TRY(check_objectives(problem, err));
    SP_TRY(sp_splits_build(problem, err));
    return sp_problem_fingerprint_build(problem, err);
}

sp_status sp_problem_build(const sp_question *question, sp_problem **problem, sp_error *err)
{
    *problem = NULL;
    sp_problem *p = sp_alloc(sizeof *p);
    if (p == NULL) {
        return sp_fail(err, SP_E_MEMORY, "no memory for the question");
    }
    sp_status status = copy_question(p, question, err);
    if (status == SP_OK) {
        status = load(p, err);
    }
    if (status == SP_OK) {
        status = derive(p, err);
    }
    if (status != SP_OK) {
        sp_problem_free(p);
        return status;
    }
    *problem = p;
    return SP_OK;
}

void sp_problem_free(sp_problem *problem)
{
    if (problem != NULL) {
        sp_arena_fini(&problem->arena);
        sp_free(problem);
    }
}

const sp_model *sp_problem_model(const sp_problem *problem)
{
    return problem->model;
}

const sp_cluster *sp_problem_cluster(const sp_problem *problem)
{
    return problem->cluster;
}

const char *sp_problem_fingerprint(const sp_problem *problem)
{
    return problem->fingerprint;
}

uint32_t sp_problem_n_objectives(const sp_problem *problem)
{
    return problem->n_objectives;
}

const sp_objective *sp_problem_objective(const sp_problem *problem, uint32_t idx)
{
    assert(idx < problem->n_objectives);
    return sp_objective_describe(problem->objectives[idx]);
}
