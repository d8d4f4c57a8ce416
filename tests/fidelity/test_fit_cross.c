/* SPDX-License-Identifier: Apache-2.0 */
/* Scores across groups: a group is predicted without its own measurements, and what ships is what
 * the fit gives. */
#include "common/close.h"
#include "fidelity/fit.h"
#include "shardplan/model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static sp_error err;

static const char *home(void)
{
    const char *folder = getenv("SHARDPLAN_HOME");
    return folder != NULL ? folder : ".";
}

static sp_score *score_file(const char *file, const char *cross)
{
    sp_score *score = NULL;
    if (sp_score_training(home(), file, cross, &score, &err) != SP_OK) {
        fail_msg("%s:%d: %s %s", err.file, err.line, err.message, err.value);
    }
    return score;
}

static void runs_file(char path[4096])
{
    (void)snprintf(path, 4096, "%s/tests/fidelity/runs.csv", home());
}

/* Writes the table with other steps for the rows of a source: `text`, or the step `factor` times as
 * long. */
static void change_steps(const char *from, const char *to, const char *source, const char *text,
                         double factor)
{
    sp_csv csv;
    assert_int_equal(sp_csv_load(from, &csv, &err), SP_OK);
    const uint32_t step = sp_csv_column(&csv, "step_s"), of = sp_csv_column(&csv, "source");
    FILE *out = fopen(to, "w");
    assert_non_null(out);
    for (uint32_t c = 0; c < csv.n_columns; c++) {
        (void)fprintf(out, "%s%s", c > 0 ? "," : "", csv.cells[c]);
    }
    for (uint32_t r = 0; r < csv.n_rows; r++) {
        const bool changed = source == NULL || strcmp(sp_csv_cell(&csv, r, of), source) == 0;
        for (uint32_t c = 0; c < csv.n_columns; c++) {
            const char *cell = sp_csv_cell(&csv, r, c);
            (void)fprintf(out, "%s", c > 0 ? "," : "\n");
            if (strcmp(csv.cells[c], "notes") == 0) continue; /* quoted, and of no matter here */
            if (c != step || !changed || cell[0] == '\0') {
                (void)fprintf(out, "%s", cell);
            } else if (text != NULL) {
                (void)fprintf(out, "%s", text);
            } else {
                (void)fprintf(out, "%.17g", factor * strtod(cell, NULL));
            }
        }
    }
    assert_int_equal(fclose(out), 0);
    sp_csv_fini(&csv);
}

static sp_score *score_changed(const char *source, const char *text, double factor)
{
    char path[4096], other[] = "/tmp/shardplan-cross-XXXXXX";
    const int file = mkstemp(other);
    assert_true(file >= 0);
    (void)close(file);
    runs_file(path);
    change_steps(path, other, source, text, factor);
    sp_score *score = score_file(other, "source");
    (void)unlink(other);
    return score;
}

static void a_group_is_predicted_without_its_own_measurements(void **state)
{
    (void)state;
    char path[4096];
    runs_file(path);
    sp_score *told = score_file(path, "source");
    sp_score *other = score_changed("made-a", NULL, 1.7);
    bool others_moved = false;
    for (uint32_t i = 0; i < told->n_rows; i++) {
        const sp_prediction *p = &told->rows[i].predicted, *q = &other->rows[i].predicted;
        const bool same = p->step_s == q->step_s && p->step_low_s == q->step_low_s;
        if (strcmp(told->rows[i].source, "made-a") == 0) assert_true(same);
        others_moved |= !same;
    }
    assert_true(others_moved); /* the other groups do see those rows */
    sp_score_free(told);
    sp_score_free(other);
}

/* Nothing to fit on: the centres of the priors, and no interval to be had. */
static void a_table_without_measurements_is_predicted_by_what_was_believed(void **state)
{
    (void)state;
    sp_score *score = score_changed(NULL, "", 1.0);
    const sp_fit_list *list = &score->cross->list;
    assert_true(list->n_terms > 0);
    for (uint32_t t = 0; t < list->n_terms; t++) {
        if (list->terms[t].metric != SP_METRIC_STEP) continue;
        assert_close(log(score->cross->figures[t].median), list->terms[t].prior.centre, 1e-9);
    }
    assert_int_equal(score->overall[SP_METRIC_STEP].n, 0);
    assert_true(score->eligible.n_predicted > 0);
    sp_score_free(score);
}

static void rows_are_dealt_by_what_their_cells_match(void **state)
{
    (void)state;
    static const char text[] = "gpu\nH100-80GB\nA100\nH200\nTPU\n";
    const char *hopper[] = {"H100*", "H200*"}, *ampere[] = {"A100*"};
    sp_fit_group groups[] = {
        {"Hopper", 2, hopper},
        {"Ampere", 1, ampere}
    };
    const sp_fit_grouping grouping = {"gpu", 0, 2, groups};
    sp_arena arena = {0};
    sp_csv csv = {0};
    sp_fit_folds folds;
    assert_int_equal(sp_csv_parse(text, strlen(text), "gpus.csv", &csv, &err), SP_OK);
    assert_int_equal(sp_fit_deal(&arena, &grouping, &csv, &folds, &err), SP_OK);
    assert_int_equal(folds.n, 3);
    assert_string_equal(folds.names[folds.of_row[0]], "Hopper");
    assert_string_equal(folds.names[folds.of_row[1]], "Ampere");
    assert_string_equal(folds.names[folds.of_row[2]], "Hopper");
    assert_string_equal(folds.names[folds.of_row[3]], "other");
    sp_csv_fini(&csv);
    sp_arena_fini(&arena);
}

static void an_unknown_grouping_is_refused_with_those_that_there_are(void **state)
{
    (void)state;
    char path[4096];
    sp_score *score = NULL;
    runs_file(path);
    assert_int_equal(sp_score_training(home(), path, "sauce", &score, &err), SP_E_UNKNOWN_NAME);
    assert_null(score);
    assert_string_equal(err.nearest, "source");
}

/* Every allocation of the first hundreds, then ever fewer of them. */
static void memory_may_run_out_anywhere(void **state)
{
    (void)state;
    char path[4096];
    runs_file(path);
    uint32_t n_failed = 0;
    for (uint64_t n = 1; n < 1u << 20; n += 1 + n / 64) {
        sp_score *score = NULL;
        sp_alloc_fail_at(n);
        const sp_status status = sp_score_training(home(), path, "source", &score, &err);
        sp_alloc_fail_at(0);
        if (status == SP_OK) {
            sp_score_free(score);
            break;
        }
        assert_int_equal(status, SP_E_MEMORY);
        assert_null(score);
        n_failed++;
    }
    assert_true(n_failed > 100);
}

/* ---- what ships ---- */

/* Its texts stay in the arena. */
static void load_profile(const char *engine, sp_arena *arena, sp_engine_profile *out)
{
    uint32_t n = 0;
    const sp_model *model = NULL;
    const sp_engine *engines = NULL;
    const sp_engine_profile *profile = NULL;
    assert_int_equal(sp_model_find(arena, home(), "llama-3.1-8b", &model, &err), SP_OK);
    const sp_engine_facts facts = {.model = model,
                                   .seq_len = 8192,
                                   .global_batch = 64,
                                   .trains_all = true,
                                   .optimizer = "adamw"};
    assert_int_equal(sp_engines_load(arena, home(), engine, &facts, &engines, &n, &profile, &err),
                     SP_OK);
    *out = *profile;
}

static void check_shipped(const char *const *engines, uint32_t n_engines, uint32_t constant,
                          const sp_fit_figure *figure, uint32_t *n_checked)
{
    static const char *const names[] = {"any", "megatron-lm",  "fsdp",     "fsdp@2.1",  "deepspeed",
                                        "ddp", "megatron@0.8", "megatron", "torchtitan"};
    sp_arena arena = {0};
    for (size_t e = 0; e < sizeof names / sizeof names[0]; e++) {
        sp_engine_profile profile;
        char name[32];
        (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(names[e], "@"), names[e]);
        load_profile(names[e], &arena, &profile);
        if (!sp_fit_decides(engines, n_engines, constant, name, &profile)) continue;
        *n_checked += 1;
        const double value = sp_engine_constant_get(&profile, constant);
        if (value == sp_fit_round(figure->median)) continue;
        fail_msg("%s, %s: ships %.6g, the fit gives %.6g", names[e],
                 sp_engine_constant_describe(constant).name, value, figure->median);
    }
    sp_arena_fini(&arena);
}

static void the_constants_that_ship_are_those_of_the_fit(void **state)
{
    (void)state;
    char path[4096];
    uint32_t n_checked = 0;
    const char *data = getenv("SHARDPLAN_DATA");
    if (data == NULL) skip();
    (void)snprintf(path, sizeof path, "%s/training-points/dev.csv", data);
    sp_score *score = score_file(path, "source");
    const sp_fit_list *list = &score->cross->list;
    for (uint32_t t = 0; t < list->n_terms; t++) {
        const sp_fit_term *term = &list->terms[t];
        for (uint32_t c = 0; c < term->n_constants; c++) {
            check_shipped(term->engines, term->n_engines, term->constants[c],
                          &score->cross->figures[t], &n_checked);
        }
    }
    for (uint32_t i = 0; i < list->n_intervals; i++) {
        const sp_fit_interval *interval = &list->intervals[i];
        check_shipped(interval->engines, interval->n_engines, interval->constant,
                      &score->cross->figures[list->n_terms + i], &n_checked);
    }
    assert_true(n_checked >= list->n_terms + list->n_intervals);
    assert_close(list->site.site_ratio, sp_fit_round(score->cross->spread.site_ratio), 1e-12);
    assert_close(list->site.run_ratio, sp_fit_round(score->cross->spread.run_ratio), 1e-12);
    sp_score_free(score);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_group_is_predicted_without_its_own_measurements),
        cmocka_unit_test(a_table_without_measurements_is_predicted_by_what_was_believed),
        cmocka_unit_test(rows_are_dealt_by_what_their_cells_match),
        cmocka_unit_test(an_unknown_grouping_is_refused_with_those_that_there_are),
        cmocka_unit_test(memory_may_run_out_anywhere),
        cmocka_unit_test(the_constants_that_ship_are_those_of_the_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
