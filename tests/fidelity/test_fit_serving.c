/* SPDX-License-Identifier: Apache-2.0 */
/* Constants of serving engines: a group is predicted without its own measurements, rows that are
 * set aside teach nothing, and what ships is what the fit gives. */
#include "common/close.h"
#include "common/shipped.h"
#include "fidelity/deployed.h"
#include "fidelity/fit.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static sp_error err;

/* ---- tables ---- */

/* What the rows of a table differ in; the others are alike. */
typedef struct made_row {
    const char *model, *path, *system, *backend, *concurrency, *version;
    double ttft_ms, tpot_ms; /* 0 = not measured */
} made_row;

#define N_ROWS 7
static const made_row rows[N_ROWS] = {
    {"llama-3.1-8b",     "llama-3.1-8b",            "h100_sxm", "vllm",   "16", "",               60.0,  9.0 },
    {"llama-3.1-8b",     "llama-3.1-8b",            "h100_sxm", "vllm",   "64", "",               150.0, 13.0},
    {"qwen3-32b",        "qwen3-32b",               "h100_sxm", "vllm",   "16", "",               150.0, 22.0},
    {"qwen3-32b",        "qwen3-32b",               "h200_sxm", "vllm",   "64", "",               420.0, 34.0},
    {"qwen3-8b",         "qwen3-8b",                "h200_sxm", "vllm",   "8",  "",               70.0,  8.0 },
    {"deepseek-v3-arch", "deepseek-ai/DeepSeek-R1", "h200_sxm", "trtllm", "8",  "1.2.0rc6.post3",
     700.0,                                                                                              20.0},
    {"llama-3.1-70b",    "llama-3.1-70b",           "h200_sxm", "trtllm", "8",  "1.2.0rc6.post3", 200.0, 18.0},
};

static const char *cell_of(const made_row *row, const char *column, char text[32])
{
    const struct {
        const char *column, *cell;
    } cells[] = {
        {"model_arch",          row->model      },
        {"model_path",          row->path       },
        {"system",              row->system     },
        {"backend",             row->backend    },
        {"silicon_concurrency", row->concurrency},
        {"backend_version",     row->version    },
        {"mode",                "agg"           },
        {"isl",                 "1024"          },
        {"osl",                 "256"           },
        {"layout_tp",           "8"             },
        {"layout_moe_tp",       "8"             },
        {"num_gpus",            "8"             },
        {"layout_status",       "as_recorded"   },
        {"is_repeat",           "0"             },
        {"precision",           "fp8"           },
    };
    const bool ttft = strcmp(column, "silicon_ttft_ms") == 0;
    const double measured = ttft ? row->ttft_ms : row->tpot_ms;
    for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++) {
        if (strcmp(cells[i].column, column) == 0) return cells[i].cell;
    }
    if (measured <= 0.0 || (!ttft && strcmp(column, "silicon_tpot_ms") != 0)) return "";
    (void)snprintf(text, 32, "%.17g", measured);
    return text;
}

#define NAME(id, name, needed, measured) name,
static const char *const columns[] = {SP_DEPLOYED_COLUMN_LIST(NAME) "precision", "origin",
                                      "backend_version", "image_tag"};
#undef NAME

static void write_table(const char *path, const made_row *made)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (int row = -1; row < N_ROWS; row++) {
        for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
            char text[32];
            (void)fprintf(file, "%s%s", i > 0 ? "," : "",
                          row < 0 ? columns[i] : cell_of(&made[row], columns[i], text));
        }
        (void)fprintf(file, "\n");
    }
    assert_int_equal(fclose(file), 0);
}

static sp_status try_score(const made_row *made, const char *cross, const char *models,
                           sp_deployed_score **score)
{
    char path[] = "/tmp/shardplan-fit-serving-XXXXXX";
    const int file = mkstemp(path);
    assert_true(file >= 0);
    (void)close(file);
    write_table(path, made);
    const sp_deployed_request request = {
        .home = source_home(), .file = path, .cross = cross, .models = models};
    const sp_status status = sp_score_serving(&request, score, &err);
    (void)unlink(path);
    return status;
}

static sp_deployed_score *score_of(const made_row *made)
{
    sp_deployed_score *score = NULL;
    must(try_score(made, "model", NULL, &score), &err);
    return score;
}

/* ---- groups left out ---- */

static bool same(const sp_deployed_row *a, const sp_deployed_row *b)
{
    const sp_deployed_prediction *p = &a->predicted, *q = &b->predicted;
    return memcmp(p->value, q->value, sizeof p->value) == 0 &&
           memcmp(p->spread_ratio, q->spread_ratio, sizeof p->spread_ratio) == 0;
}

static void a_model_is_predicted_without_its_own_measurements(void **state)
{
    (void)state;
    made_row changed[N_ROWS];
    bool others_moved = false;
    memcpy(changed, rows, sizeof changed);
    for (int i = 0; i < 2; i++) {
        changed[i].ttft_ms *= 1.7;
        changed[i].tpot_ms *= 1.7;
    }
    sp_deployed_score *told = score_of(rows), *other = score_of(changed);
    for (uint32_t i = 0; i < N_ROWS; i++) {
        if (!told->rows[i].predicted.made) fail_msg("%s", told->rows[i].predicted.reason.text);
        if (i < 2) assert_true(same(&told->rows[i], &other->rows[i]));
        others_moved |= !same(&told->rows[i], &other->rows[i]);
    }
    assert_true(others_moved); /* the other models do see those rows */
    sp_deployed_score_free(told);
    sp_deployed_score_free(other);
}

static void a_row_that_is_set_aside_teaches_nothing(void **state)
{
    (void)state;
    made_row changed[N_ROWS];
    memcpy(changed, rows, sizeof changed);
    changed[5].ttft_ms *= 3.0; /* of 1.2.0rc6.post3 */
    changed[5].tpot_ms *= 3.0;
    sp_deployed_score *told = score_of(rows), *other = score_of(changed);
    for (uint32_t i = 0; i < N_ROWS; i++) {
        assert_true(same(&told->rows[i], &other->rows[i]));
    }
    assert_int_equal(told->by_mode[SP_DEPLOYED_AGG][SP_DEPLOYED_METRIC_TPOT].n, N_ROWS);
    sp_deployed_score_free(told);
    sp_deployed_score_free(other);
}

static void a_table_without_measurements_is_predicted_by_what_was_believed(void **state)
{
    (void)state;
    made_row blank[N_ROWS];
    memcpy(blank, rows, sizeof blank);
    for (int i = 0; i < N_ROWS; i++) {
        blank[i].ttft_ms = blank[i].tpot_ms = 0.0;
    }
    sp_deployed_score *score = score_of(blank);
    const sp_fit_list *list = &score->cross->list;
    assert_true(list->n_terms > 0 && list->n_intervals > 0);
    for (uint32_t t = 0; t < list->n_terms; t++) {
        assert_close(log(score->cross->figures[t].median), list->terms[t].prior.centre, 1e-9);
    }
    assert_int_equal(score->overall[SP_DEPLOYED_METRIC_TPOT].n, 0);
    assert_int_equal(score->eligible.n_predicted, N_ROWS);
    sp_deployed_score_free(score);
}

static void an_unknown_grouping_is_refused_with_those_that_there_are(void **state)
{
    (void)state;
    sp_deployed_score *score = NULL;
    assert_int_equal(try_score(rows, "modle", NULL, &score), SP_E_UNKNOWN_NAME);
    assert_null(score);
    assert_string_equal(err.nearest, "model");
}

/* ---- a folder of models ---- */

static void write_config(const char *folder, const char *name)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs("{\"model_type\": \"llama\", \"hidden_size\": 4096, \"num_hidden_layers\": 4, "
                "\"num_attention_heads\": 32, \"num_key_value_heads\": 8, "
                "\"intermediate_size\": 14336, \"vocab_size\": 32000, "
                "\"max_position_embeddings\": 8192, \"tie_word_embeddings\": false}\n",
                file);
    assert_int_equal(fclose(file), 0);
}

/* Found by the last part of its path, without case, -Instruct and the format of weights. */
static void a_model_that_is_found_nowhere_else_is_found_in_the_folder(void **state)
{
    (void)state;
    char folder[] = "/tmp/shardplan-models-XXXXXX", path[256];
    made_row made[N_ROWS];
    sp_deployed_score *without = NULL, *with = NULL;
    memcpy(made, rows, sizeof made);
    made[0].model = "own";
    made[0].path = "somebody/Own-Model-Instruct-FP8";
    assert_non_null(mkdtemp(folder));
    write_config(folder, "else--own-model_config.json");
    must(try_score(made, NULL, NULL, &without), &err);
    must(try_score(made, NULL, folder, &with), &err);
    assert_false(without->rows[0].predicted.made);
    assert_non_null(strstr(without->rows[0].predicted.reason.text, "--models"));
    assert_non_null(strstr(without->rows[0].predicted.reason.text, "Own-Model"));
    assert_true(with->rows[0].predicted.made);
    assert_true(same(&with->rows[1], &without->rows[1]));
    sp_deployed_score_free(without);
    sp_deployed_score_free(with);
    (void)snprintf(path, sizeof path, "%s/else--own-model_config.json", folder);
    (void)unlink(path);
    (void)rmdir(folder);
}

static void an_unknown_system_is_skipped_with_the_nearest_that_there_is(void **state)
{
    (void)state;
    made_row made[N_ROWS];
    sp_deployed_score *score = NULL;
    memcpy(made, rows, sizeof made);
    made[0].system = "gb300-nvl73";
    must(try_score(made, NULL, NULL, &score), &err);
    assert_false(score->rows[0].predicted.made);
    assert_string_equal(score->rows[0].predicted.reason.text,
                        "no cluster goes by this name, the nearest is gb300-nvl72: gb300-nvl73");
    sp_deployed_score_free(score);
}

/* ---- what ships ---- */

/* As the fit gives it, to 3 %: fits move that little with anything in a step. */
static void check_shipped(uint32_t constant, const char *const *engines, uint32_t n_engines,
                          const sp_fit_figure *figure)
{
    for (uint32_t e = 0; e < n_engines; e++) {
        sp_arena arena = {0};
        sp_server_timing timing;
        must(sp_server_timing_load(&arena, source_home(), engines[e], &timing, &err), &err);
        const double value = sp_timing_get(&timing, constant);
        if (fabs(log(value / figure->median)) > 0.03) {
            fail_msg("%s, %s: ships %.6g, the fit gives %.6g", engines[e], sp_timing_name(constant),
                     value, figure->median);
        }
        sp_arena_fini(&arena);
    }
}

static void the_constants_that_ship_are_those_of_the_fit(void **state)
{
    (void)state;
    char path[4096];
    sp_deployed_score *score = NULL;
    const char *data = getenv("SHARDPLAN_DATA");
    if (data == NULL) skip();
    (void)snprintf(path, sizeof path, "%s/serving-points/dev.csv", data);
    const sp_deployed_request request = {.home = source_home(), .file = path, .cross = "model"};
    must(sp_score_serving(&request, &score, &err), &err);
    const sp_fit_list *list = &score->cross->list;
    for (uint32_t t = 0; t < list->n_terms; t++) {
        const sp_fit_term *term = &list->terms[t];
        const double median = log(score->cross->figures[t].median);
        assert_true(median > term->prior.lo + 1e-6 && median < term->prior.hi - 1e-6);
        check_shipped(term->constants[0], term->engines, term->n_engines,
                      &score->cross->figures[t]);
    }
    for (uint32_t i = 0; i < list->n_intervals; i++) {
        const sp_fit_interval *interval = &list->intervals[i];
        check_shipped(interval->constant, interval->engines, interval->n_engines,
                      &score->cross->figures[list->n_terms + i]);
    }
    sp_deployed_score_free(score);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_is_predicted_without_its_own_measurements),
        cmocka_unit_test(a_row_that_is_set_aside_teaches_nothing),
        cmocka_unit_test(a_table_without_measurements_is_predicted_by_what_was_believed),
        cmocka_unit_test(an_unknown_grouping_is_refused_with_those_that_there_are),
        cmocka_unit_test(a_model_that_is_found_nowhere_else_is_found_in_the_folder),
        cmocka_unit_test(an_unknown_system_is_skipped_with_the_nearest_that_there_is),
        cmocka_unit_test(the_constants_that_ship_are_those_of_the_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
