/* SPDX-License-Identifier: Apache-2.0 */
/* The graph of a model as JSON: every operator is there, reads earlier ones only, and what it
 * writes is read by another one. */
#include "base/base.h"
#include "shardplan/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static const char *home(void)
{
    const char *at = getenv("SHARDPLAN_HOME");
    if (at == NULL) fail_msg("%s", "SHARDPLAN_HOME names the source tree");
    return at;
}

static sp_analysis_question ask(sp_arena *arena, const char *model)
{
    sp_analysis_question question = {0};
    sp_error err = {0};
    assert_int_equal(sp_model_find(arena, home(), model, &question.model, &err), SP_OK);
    assert_int_equal(sp_gpu_find(arena, home(), "h100-sxm", &question.gpu, &err), SP_OK);
    sp_analysis_defaults(&question);
    return question;
}

static bool has_string(const sp_json *list, const char *text)
{
    sp_error err = {0};
    for (size_t i = 0; i < sp_json_size(list); i++) {
        const sp_json entry = sp_json_at(list, i);
        const char *value = NULL;
        if (sp_json_as_string(&entry, &value, &err) == SP_OK && strcmp(value, text) == 0)
            return true;
    }
    return false;
}

/* Marks what an operator reads; all of it stands before it. */
static void mark_inputs(const sp_json *inputs, size_t op, bool *read)
{
    sp_error err = {0};
    assert_true(sp_json_size(inputs) >= 1);
    for (size_t i = 0; i < sp_json_size(inputs); i++) {
        const sp_json entry = sp_json_at(inputs, i);
        uint64_t idx = 0;
        if (sp_json_is_string(&entry)) continue;
        assert_true(op > 0);
        assert_int_equal(sp_json_as_u64(&entry, 0, op - 1, &idx, &err), SP_OK);
        read[idx] = true;
    }
}

/* Vectors belong to no operator in particular, so nothing reads them. */
static void check_part(const sp_json *part)
{
    bool read[128] = {false};
    const sp_json list = sp_json_get(part, "operators");
    const size_t n = sp_json_size(&list);
    sp_error err = {0};
    assert_in_range(n, 1, 128);
    for (size_t i = 0; i < n; i++) {
        const sp_json op = sp_json_at(&list, i);
        const sp_json inputs = sp_json_get(&op, "inputs");
        mark_inputs(&inputs, i, read);
    }
    for (size_t i = 0; i + 1 < n; i++) {
        const sp_json op = sp_json_at(&list, i);
        const char *name = NULL;
        assert_int_equal(sp_json_string(&op, "operator", &name, &err), SP_OK);
        if (!read[i] && strcmp(name, "vectors") != 0) fail_msg("nothing reads %s", name);
    }
}

static void check_model(const char *name)
{
    sp_arena arena = {0};
    sp_text text = {0};
    sp_json_doc *doc = NULL;
    sp_error err = {0};
    const sp_analysis_question question = ask(&arena, name);
    sp_report_graph_json(&question, &text);
    assert_int_equal(sp_json_load_text(text.data, text.length, "graph.json", &doc, &err), SP_OK);
    const sp_json root = sp_json_root(doc);
    const sp_json parts = sp_json_get(&root, "parts");
    assert_int_equal(sp_json_size(&parts), question.model->n_kinds + 2);
    for (size_t i = 0; i < sp_json_size(&parts); i++) {
        const sp_json part = sp_json_at(&parts, i);
        check_part(&part);
    }
    sp_json_free(doc);
    sp_text_fini(&text);
    sp_arena_fini(&arena);
}

static void every_output_is_read(void **state)
{
    (void)state;
    static const char *const models[] = {"llama-3.1-8b", "gpt3-175b",    "mixtral-8x7b",
                                         "deepseek-v3",  "gpt-oss-120b", "qwen3-235b-a22b"};
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        check_model(models[i]);
    }
}

/* Source: Vaswani et al. 2017, figure 1: a residual adds the input of its block. */
static void a_residual_adds_the_input_of_its_block(void **state)
{
    (void)state;
    sp_arena arena = {0};
    sp_text text = {0};
    sp_json_doc *doc = NULL;
    sp_error err = {0};
    const sp_analysis_question question = ask(&arena, "llama-3.1-8b");
    sp_report_graph_json(&question, &text);
    assert_int_equal(sp_json_load_text(text.data, text.length, "graph.json", &doc, &err), SP_OK);
    const sp_json root = sp_json_root(doc);
    const sp_json parts = sp_json_get(&root, "parts");
    const sp_json layer = sp_json_at(&parts, 1);
    const sp_json list = sp_json_get(&layer, "operators");
    size_t seen = 0;
    for (size_t i = 0; i < sp_json_size(&list); i++) {
        const sp_json op = sp_json_at(&list, i);
        const sp_json inputs = sp_json_get(&op, "inputs");
        const char *name = NULL;
        assert_int_equal(sp_json_string(&op, "operator", &name, &err), SP_OK);
        if (strcmp(name, "attention_residual") == 0) {
            assert_true(has_string(&inputs, "input"));
            seen++;
        } else if (strcmp(name, "ffn_residual") == 0) {
            assert_int_equal(sp_json_size(&inputs), 2);
            assert_false(has_string(&inputs, "input"));
            seen++;
        }
    }
    assert_int_equal(seen, 2);
    sp_json_free(doc);
    sp_text_fini(&text);
    sp_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_output_is_read),
        cmocka_unit_test(a_residual_adds_the_input_of_its_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
