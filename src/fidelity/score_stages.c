/* SPDX-License-Identifier: Apache-2.0 */
/* The score of a file of load stages, one JSON object a line: what ran, and what its users saw. */
#include "fidelity/stages.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define MAX_FILE_BYTES (64u << 20)

#define NAME(id, name) name,
const char *sp_stage_figure_name(sp_stage_figure figure)
{
    static const char *const names[SP_N_STAGE_FIGURES] = {SP_STAGE_FIGURE_LIST(NAME)};
    assert(figure < SP_N_STAGE_FIGURES);
    return names[figure];
}
#undef NAME

/* ---- a line ---- */

typedef struct reader {
    sp_arena *arena;
    sp_error *err;
} reader;

static sp_status keep(const reader *r, const char *text, const char **kept)
{
    *kept = sp_arena_strdup(r->arena, text);
    return *kept != NULL ? SP_OK : sp_fail(r->err, SP_E_MEMORY, "the score needs more");
}

static sp_status read_number(const reader *r, const sp_json *object, const char *key, double *value)
{
    return sp_json_double(object, key, 0.0, 1e12, value, r->err);
}

/* "vLLM (V1)" is vllm. */
static sp_status read_engine(const reader *r, const sp_json *root, sp_stage_setup *s)
{
    const char *text = NULL;
    char name[32] = {0};
    SP_TRY(sp_json_string(root, "engine", &text, r->err));
    for (size_t i = 0; i + 1 < sizeof name && text[i] != '\0' && text[i] != ' '; i++) {
        name[i] = (char)tolower((unsigned char)text[i]);
    }
    return keep(r, name, &s->engine);
}

static sp_status read_workload(const reader *r, const sp_json *root, sp_stage_setup *s)
{
    sp_json workload, shared;
    double question = 0.0, seconds = 0.0, systems = 0.0, users = 0.0;
    SP_TRY(sp_json_object(root, "workload", &workload, r->err));
    SP_TRY(sp_json_object(&workload, "shared_prefix", &shared, r->err));
    SP_TRY(read_number(r, &shared, "question_len", &question));
    SP_TRY(read_number(r, &shared, "system_prompt_len", &s->shared));
    SP_TRY(read_number(r, &shared, "num_unique_system_prompts", &systems));
    SP_TRY(read_number(r, &shared, "num_users_per_system_prompt", &users));
    SP_TRY(read_number(r, &shared, "output_len", &s->osl));
    SP_TRY(read_number(r, &workload, "requested_rate_rps", &s->rate));
    SP_TRY(read_number(r, &workload, "duration_s", &seconds));
    s->isl = question + s->shared;
    s->prompts = systems * users;
    s->requests = s->rate * seconds;
    if (s->isl >= 1.0 && s->osl > 1.0 && s->requests >= 1.0) return SP_OK;
    return sp_json_fail(&workload, r->err, SP_E_RANGE, "a workload of at least one request");
}

static sp_status read_setup(const reader *r, const sp_json *root, sp_stage_setup *s)
{
    const char *text = NULL;
    uint64_t tp = 1;
    SP_TRY(sp_json_string(root, "gpu", &text, r->err));
    SP_TRY(keep(r, text, &s->gpu));
    SP_TRY(sp_json_string(root, "model", &text, r->err));
    SP_TRY(keep(r, text, &s->model));
    SP_TRY(read_engine(r, root, s));
    SP_TRY(sp_json_u64(root, "tensor_parallel", 1, 65536, &tp, r->err));
    s->tp = (uint32_t)tp;
    SP_TRY(read_number(r, root, "max_num_batched_tokens", &s->step_tokens));
    SP_TRY(read_number(r, root, "max_num_seqs", &s->batch));
    return read_workload(r, root, s);
}

static sp_status read_tail(const reader *r, const sp_json *root, const char *key,
                           sp_stage_figure mean, sp_stage_figure first, double *figures)
{
    static const char *const names[] = {"median", "p90", "p95", "p99"};
    sp_json tail;
    SP_TRY(sp_json_object(root, key, &tail, r->err));
    SP_TRY(read_number(r, &tail, "mean", &figures[mean]));
    for (int i = 0; i < 4; i++) {
        SP_TRY(read_number(r, &tail, names[i], &figures[(int)first + i]));
    }
    return SP_OK;
}

/* Clients that get several tokens at once count gaps of nothing: what lies between first and last
 * token over the tokens that were asked for, each request getting all of them, is the gap. */
static sp_status read_measured(const reader *r, const sp_json *root, sp_stage *stage)
{
    double failures = 0.0, *m = stage->measured;
    SP_TRY(read_number(r, root, "failures", &failures));
    stage->failed = failures > 0.0;
    SP_TRY(read_tail(r, root, "ttft_ms", SP_STAGE_TTFT, SP_STAGE_TTFT_P50, m));
    SP_TRY(read_tail(r, root, "e2e_ms", SP_STAGE_E2E, SP_STAGE_E2E_P50, m));
    for (int f = 0; f < SP_N_STAGE_FIGURES; f++) {
        m[f] *= 1e-3;
    }
    m[SP_STAGE_ITL] = (m[SP_STAGE_E2E] - m[SP_STAGE_TTFT]) / (stage->setup.osl - 1.0);
    return SP_OK;
}

static sp_status read_line(const reader *r, const sp_json *root, sp_stage *stage)
{
    const char *name = NULL;
    uint64_t number = 0;
    SP_TRY(sp_json_string(root, "experiment", &name, r->err));
    SP_TRY(sp_json_u64_or(root, "stage", 0, UINT32_MAX, 0, &number, r->err));
    stage->id = sp_arena_printf(r->arena, "%s/%llu", name, (unsigned long long)number);
    if (stage->id == NULL) return sp_fail(r->err, SP_E_MEMORY, "the score needs more");
    SP_TRY(read_setup(r, root, &stage->setup));
    return read_measured(r, root, stage);
}

/* ---- the file ---- */

static uint32_t count_lines(const char *text)
{
    uint32_t n = 1;
    for (const char *p = text; (p = strchr(p, '\n')) != NULL; p++) {
        n++;
    }
    return n;
}

static sp_status read_rows(sp_stages_score *score, const char *text, sp_error *err)
{
    const reader r = {&score->arena, err};
    score->rows = sp_arena_alloc(&score->arena, count_lines(text) * sizeof *score->rows);
    if (score->rows == NULL) return sp_fail(err, SP_E_MEMORY, "the score needs more");
    uint32_t line = 0;
    for (const char *p = text, *end; *p != '\0'; p = *end == '\n' ? end + 1 : end) {
        char name[512];
        sp_json_doc *doc = NULL;
        end = strchr(p, '\n') != NULL ? strchr(p, '\n') : p + strlen(p);
        line++;
        if (strspn(p, " \t\r") >= (size_t)(end - p)) continue;
        (void)snprintf(name, sizeof name, "%s line %u", score->file, line);
        SP_TRY(sp_json_load_text(p, (size_t)(end - p), name, &doc, err));
        const sp_json root = sp_json_root(doc);
        const sp_status status = read_line(&r, &root, &score->rows[score->n_rows++]);
        sp_json_free(doc);
        if (status != SP_OK) return status;
    }
    return SP_OK;
}

/* ---- the score ---- */

static sp_metric metric_of(const sp_stages_score *score, bool closed, int figure, sp_pair *pairs,
                           bool *failed)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < score->n_rows; i++) {
        const sp_stage *row = &score->rows[i];
        const double value = closed ? row->closed[figure] : row->run[figure];
        if (row->complaint != NULL || row->failed || row->measured[figure] <= 0.0) continue;
        pairs[n++] = (sp_pair){value, value, value, row->measured[figure]};
    }
    return sp_metric_of(pairs, n, failed);
}

static sp_status score_rows(sp_stages_score *score, sp_error *err)
{
    bool failed = false;
    sp_pair *pairs = sp_alloc((score->n_rows + 1) * sizeof *pairs);
    if (pairs == NULL) return sp_fail(err, SP_E_MEMORY, "the score needs more");
    for (uint32_t i = 0; i < score->n_rows; i++) {
        const sp_stage *row = &score->rows[i];
        const bool too_much = row->setup.rate >= row->most_rate;
        if (row->complaint != NULL) continue;
        score->n_predicted++;
        score->n_failed += row->failed;
        score->n_failed_seen += row->failed && too_much;
        score->n_false_alarms += !row->failed && too_much;
    }
    for (int f = 0; f < SP_N_STAGE_FIGURES; f++) {
        score->run[f] = metric_of(score, false, f, pairs, &failed);
        score->closed[f] = metric_of(score, true, f, pairs, &failed);
    }
    sp_free(pairs);
    return failed ? sp_fail(err, SP_E_MEMORY, "the score needs more") : SP_OK;
}

static sp_status score_file(sp_stages_score *score, const char *home, const char *file,
                            sp_error *err)
{
    sp_text text = {0};
    score->file = sp_arena_strdup(&score->arena, file);
    if (score->file == NULL) return sp_fail(err, SP_E_MEMORY, "the score needs more");
    sp_status status = sp_file_read(file, MAX_FILE_BYTES, &text, err);
    if (status == SP_OK) status = read_rows(score, text.data != NULL ? text.data : "", err);
    sp_text_fini(&text);
    if (status == SP_OK && score->n_rows == 0) {
        status = sp_fail(err, SP_E_RANGE, "no stage stands in it: one JSON object a line");
        sp_fail_file(err, file);
    }
    for (uint32_t i = 0; i < score->n_rows && status == SP_OK; i++) {
        status = sp_stage_predict(&score->arena, home, &score->rows[i], err);
    }
    return status == SP_OK ? score_rows(score, err) : status;
}

sp_status sp_score_stages(const char *home, const char *file, sp_stages_score **score,
                          sp_error *err)
{
    *score = sp_alloc(sizeof **score);
    if (*score == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for the score");
    const sp_status status = score_file(*score, home, file, err);
    if (status == SP_OK) return SP_OK;
    sp_stages_score_free(*score);
    *score = NULL;
    return status;
}

void sp_stages_score_free(sp_stages_score *score)
{
    if (score == NULL) return;
    sp_arena_fini(&score->arena);
    sp_free(score);
}
