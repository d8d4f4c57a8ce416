/* SPDX-License-Identifier: Apache-2.0 */
/* Every formula of the reference data under every binding, and the cases at the edges of the
 * grammar: values, variables, references and errors, exactly. */
#include "seed.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

typedef struct tally {
    sp_json bindings;
    size_t n_formulas, n_values, n_wrong;
} tally;

static const char *formula_of(const sp_json *object)
{
    const char *text = NULL;
    sp_error err = {0};
    assert_int_equal(sp_json_string(object, "formula", &text, &err), SP_OK);
    return text;
}

static sp_formula_code evaluate(const char *text, sp_json *env, sp_value *value,
                                sp_formula_failure *failure)
{
    sp_arena arena = {0};
    sp_error err = {0};
    const sp_formula *f = NULL;
    sp_formula_code code =
        sp_formula_code_of(sp_formula_parse(&arena, SP_FORMULA_MODULE, text, &f, &err));
    const sp_scope scope = {sp_scope_json, env};
    if (code == SP_FORMULA_OK) code = sp_formula_eval(f, &scope, value, failure);
    sp_arena_fini(&arena);
    return code;
}

static void check_edge_case(void *user, const sp_json *line)
{
    tally *t = user;
    sp_json env = sp_json_get(line, "env");
    const sp_json expect = sp_json_get(line, "expect");
    sp_value value;
    sp_formula_failure failure = {0};
    const sp_formula_code code = evaluate(formula_of(line), &env, &value, &failure);
    t->n_values++;
    t->n_wrong += !seed_agrees(&expect, code, &value, &failure, formula_of(line));
}

static void cases_at_the_edges_of_the_grammar_agree(void **state)
{
    (void)state;
    tally t = {0};
    if (!seed_path("edge_cases.jsonl")) skip();
    seed_lines("edge_cases.jsonl", check_edge_case, &t);
    print_message("edge cases: %zu, of which wrong: %zu\n", t.n_values, t.n_wrong);
    assert_int_equal(t.n_values, 45);
    assert_int_equal(t.n_wrong, 0);
}

static void check_names(const sp_formula *f, const sp_json *variables)
{
    const char *const *names = NULL;
    sp_error err = {0};
    const size_t n = sp_formula_names(f, &names);
    assert_int_equal(n, sp_json_size(variables));
    for (size_t i = 0; i < n; i++) {
        const char *name = NULL;
        const sp_json element = sp_json_at(variables, i);
        assert_int_equal(sp_json_as_string(&element, &name, &err), SP_OK);
        assert_string_equal(names[i], name);
    }
}

static void check_refs(const sp_formula *f, const sp_json *expected)
{
    const sp_formula_ref *refs = NULL;
    const size_t n = sp_formula_refs(f, &refs);
    assert_int_equal(n, sp_json_size(expected));
    for (size_t i = 0; i < n; i++) {
        const char *name = NULL;
        uint32_t n_args = 0, n_named = 0;
        sp_error err = {0};
        const sp_json ref = sp_json_at(expected, i);
        assert_int_equal(sp_json_string(&ref, "class", &name, &err), SP_OK);
        assert_int_equal(sp_json_u32(&ref, "n_args", 0, 99, &n_args, &err), SP_OK);
        assert_int_equal(sp_json_u32(&ref, "n_named", 0, 99, &n_named, &err), SP_OK);
        assert_string_equal(refs[i].class_name, name);
        /* The data count positional and named arguments apart. */
        assert_int_equal(refs[i].n_args, n_args + n_named);
        assert_int_equal(refs[i].n_named, n_named);
    }
}

static void check_formula(tally *t, const sp_json *evaluation)
{
    sp_arena arena = {0};
    sp_error err = {0};
    const sp_formula *f = NULL;
    const char *text = formula_of(evaluation);
    assert_int_equal(sp_formula_parse(&arena, SP_FORMULA_MODULE, text, &f, &err), SP_OK);
    const sp_json variables = sp_json_get(evaluation, "variables");
    const sp_json refs = sp_json_get(evaluation, "refs");
    const sp_json values = sp_json_get(evaluation, "values");
    check_names(f, &variables);
    check_refs(f, &refs);
    for (size_t i = 0; i < sp_json_size(&values); i++) {
        const sp_json expected = sp_json_member(&values, i);
        sp_json env = sp_json_get(&t->bindings, expected.key);
        sp_value value;
        sp_formula_failure failure = {0};
        const sp_formula_code code =
            sp_formula_eval(f, &(sp_scope){sp_scope_json, &env}, &value, &failure);
        t->n_values++;
        t->n_wrong += !seed_agrees(&expected, code, &value, &failure, text);
    }
    t->n_formulas++;
    sp_arena_fini(&arena);
}

static void check_file(void *user, const sp_json *line)
{
    const sp_json evaluations = sp_json_get(line, "evaluations");
    for (size_t i = 0; i < sp_json_size(&evaluations); i++) {
        const sp_json evaluation = sp_json_at(&evaluations, i);
        check_formula(user, &evaluation);
    }
}

static void every_published_formula_has_its_reference_value(void **state)
{
    (void)state;
    if (!seed_path("evaluations.jsonl")) skip();
    sp_json_doc *bindings = seed_load("bindings.json");
    tally t = {.bindings = sp_json_root(bindings)};
    seed_lines("evaluations.jsonl", check_file, &t);
    print_message("formulas: %zu, values: %zu, of which wrong: %zu\n", t.n_formulas, t.n_values,
                  t.n_wrong);
    assert_int_equal(t.n_formulas, 421);
    assert_int_equal(t.n_values, 3 * 421);
    assert_int_equal(t.n_wrong, 0);
    sp_json_free(bindings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cases_at_the_edges_of_the_grammar_agree),
        cmocka_unit_test(every_published_formula_has_its_reference_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
