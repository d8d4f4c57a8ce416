/* SPDX-License-Identifier: Apache-2.0 */
/* Every class of the reference data, expanded: totals, errors and parameters exactly; and composite
 * kernels over published leaves. */
#include "seed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

typedef struct tally {
    const sp_formula_library *library;
    sp_json bindings, envs;
    size_t n_lines, n_values, n_wrong, n_errors;
} tally;

static void must(sp_status status, const sp_error *err)
{
    char text[SP_ERROR_TEXT_BYTES];
    if (status == SP_OK) return;
    sp_error_format(err, text, sizeof text);
    fail_msg("%s", text);
}

static const char *text_of(const sp_json *object, const char *key)
{
    const char *text = NULL;
    sp_error err = {0};
    must(sp_json_string(object, key, &text, &err), &err);
    return text;
}

static void check(tally *t, size_t idx, sp_formula_metric metric, sp_json *env,
                  const sp_json *expected)
{
    sp_value value = {.kind = SP_VALUE_NUMBER};
    sp_formula_failure failure;
    const sp_scope scope = {sp_scope_json, env};
    const sp_formula_code code =
        sp_formula_expand_class(t->library, idx, metric, &scope, &value.number, &failure);
    t->n_values++;
    t->n_errors += code != SP_FORMULA_OK;
    bool agrees =
        seed_agrees(expected, code, &value, &failure, sp_formula_class_name(t->library, idx));
    if (agrees && code != SP_FORMULA_OK) {
        agrees = strcmp(failure.detail, text_of(expected, "detail")) == 0 && failure.path[0] == '/';
        if (!agrees) print_error("%s\n", failure.detail);
    }
    t->n_wrong += !agrees;
}

static void check_parameters(const tally *t, size_t idx, const sp_json *expected)
{
    const char *const *parameters = NULL;
    sp_error err = {0};
    const size_t n = sp_formula_class_parameters(t->library, idx, &parameters);
    assert_int_equal(n, sp_json_size(expected));
    for (size_t i = 0; i < n; i++) {
        const char *name = NULL;
        const sp_json element = sp_json_at(expected, i);
        must(sp_json_as_string(&element, &name, &err), &err);
        assert_string_equal(parameters[i], name);
    }
}

static void check_expansion(void *user, const sp_json *line)
{
    tally *t = user;
    size_t idx = 0;
    const sp_json parameters = sp_json_get(line, "parameters_first_use_order");
    const sp_json results = sp_json_get(line, "results");
    assert_true(sp_formula_class_find(t->library, text_of(line, "class"), &idx));
    check_parameters(t, idx, &parameters);
    for (size_t i = 0; i < sp_json_size(&results); i++) {
        const sp_json result = sp_json_member(&results, i);
        sp_json env = sp_json_get(&t->bindings, result.key);
        for (sp_formula_metric m = 0; m < SP_N_FORMULA_METRICS; m++) {
            const sp_json expected = sp_json_get(&result, sp_formula_metric_name(m));
            check(t, idx, m, &env, &expected);
        }
    }
    t->n_lines++;
}

/* Adds every module of the Llama set. */
static void add_modules(sp_formula_library *library)
{
    sp_arena arena = {0};
    sp_error err = {0};
    char dir[512], path[1024];
    const char *const *names = NULL;
    size_t n = 0;
    snprintf(dir, sizeof dir, "%s/seed-lmpredictor/samples", getenv("SHARDPLAN_DATA"));
    must(sp_dir_names(&arena, dir, ".json", &names, &n, &err), &err);
    for (size_t i = 0; i < n; i++) {
        if (strncmp(names[i], "llama-", 6) != 0) continue;
        snprintf(path, sizeof path, "%s/%s.json", dir, names[i]);
        must(sp_formula_library_add_file(library, path, &err), &err);
    }
    sp_arena_fini(&arena);
}

static void every_class_of_the_llama_set_expands_as_the_reference(void **state)
{
    (void)state;
    if (!seed_path("expansions.jsonl")) skip();
    sp_arena arena = {0};
    sp_error err = {0};
    sp_formula_library *library = sp_formula_library_new(&arena);
    add_modules(library);
    must(sp_formula_library_link(library, &err), &err);
    sp_json_doc *bindings = seed_load("bindings.json");
    tally t = {.library = library, .bindings = sp_json_root(bindings)};
    seed_lines("expansions.jsonl", check_expansion, &t);
    print_message("classes: %zu, totals: %zu, of which errors: %zu, wrong: %zu\n", t.n_lines,
                  t.n_values, t.n_errors, t.n_wrong);
    assert_int_equal(t.n_lines, 11);
    assert_int_equal(t.n_values, 99);
    assert_int_equal(t.n_errors, 45);
    assert_int_equal(t.n_wrong, 0);
    const sp_formula_finding *findings = NULL;
    assert_true(sp_formula_library_findings(library, &findings) > 0);
    sp_json_free(bindings);
    sp_arena_fini(&arena);
}

static void add_all(sp_formula_library *library, const sp_json *members)
{
    sp_error err = {0};
    for (size_t i = 0; i < sp_json_size(members); i++) {
        const sp_json member = sp_json_member(members, i);
        must(sp_formula_library_add(library, &member, &err), &err);
    }
}

/* The first line holds the kernels, the others the totals. */
static void check_composite(void *user, const sp_json *line)
{
    static const char *const keys[] = {"flops", "memory_read", "memory_write"};
    tally *t = user;
    size_t idx = 0;
    uint64_t env_idx = 0;
    sp_error err = {0};
    if (t->n_lines++ == 0) return;
    must(sp_json_u64(line, "env", 0, 99, &env_idx, &err), &err);
    sp_json env = sp_json_at(&t->envs, env_idx);
    assert_true(sp_formula_class_find(t->library, text_of(line, "root"), &idx));
    for (sp_formula_metric m = 0; m < SP_N_FORMULA_METRICS; m++) {
        const sp_json expected = sp_json_get(line, keys[m]);
        check(t, idx, m, &env, &expected);
    }
}

static void composites_over_published_leaves_sum_as_the_reference(void **state)
{
    (void)state;
    sp_text text = {0};
    sp_error err = {0};
    sp_arena arena = {0};
    sp_json_doc *doc = NULL;
    if (!seed_path("composites.jsonl")) skip();
    must(sp_file_read(seed_path("composites.jsonl"), 1U << 20, &text, &err), &err);
    must(sp_json_load_text(text.data, strcspn(text.data, "\n"), "composites", &doc, &err), &err);
    const sp_json root = sp_json_root(doc), composites = sp_json_get(&root, "composites");
    const sp_json leaves = sp_json_get(&root, "leaf_kernels"), map = sp_json_get(&root, "name_map");
    sp_formula_library *library = sp_formula_library_new(&arena);
    add_all(library, &composites);
    add_all(library, &leaves);
    must(sp_formula_library_add_map(library, &map, &err), &err);
    must(sp_formula_library_link(library, &err), &err);
    tally t = {.library = library, .envs = sp_json_get(&root, "envs")};
    seed_lines("composites.jsonl", check_composite, &t);
    print_message("composites: %zu, totals: %zu, of which wrong: %zu\n", t.n_lines - 1, t.n_values,
                  t.n_wrong);
    assert_int_equal(t.n_values, 18);
    assert_int_equal(t.n_wrong, 0);
    sp_json_free(doc);
    sp_text_fini(&text);
    sp_arena_fini(&arena);
}

/* Counts what formulas_in visits against the paths of the reference. */
typedef struct paths {
    sp_json evaluations;
    size_t n;
} paths;

static void check_path(void *user, const char *path, const char *text)
{
    paths *p = user;
    const sp_json expected = sp_json_at(&p->evaluations, p->n++);
    assert_string_equal(path, text_of(&expected, "path"));
    assert_string_equal(text, text_of(&expected, "formula"));
}

static void check_file(void *user, const sp_json *line)
{
    size_t *n_formulas = user;
    sp_error err = {0};
    paths p = {.evaluations = sp_json_get(line, "evaluations")};
    sp_json_doc *doc = seed_load(text_of(line, "file"));
    const sp_json root = sp_json_root(doc);
    must(sp_formulas_in(&root, check_path, &p, &err), &err);
    assert_int_equal(p.n, sp_json_size(&p.evaluations));
    *n_formulas += p.n;
    sp_json_free(doc);
}

static void every_formula_of_every_file_is_found_where_it_stands(void **state)
{
    (void)state;
    size_t n_formulas = 0;
    if (!seed_path("evaluations.jsonl")) skip();
    seed_lines("evaluations.jsonl", check_file, &n_formulas);
    print_message("formulas found in files: %zu\n", n_formulas);
    assert_int_equal(n_formulas, 421);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_class_of_the_llama_set_expands_as_the_reference),
        cmocka_unit_test(composites_over_published_leaves_sum_as_the_reference),
        cmocka_unit_test(every_formula_of_every_file_is_found_where_it_stands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
