/* SPDX-License-Identifier: Apache-2.0 */
/* No rule of an engine is dead: for each there is a plan in rules.json that it alone refuses. */
#include "engines/question.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static const char *text_of(const sp_json *object, const char *key)
{
    sp_error err = {0};
    const char *text = NULL;
    must(sp_json_string(object, key, &text, &err), &err);
    return text;
}

/* Rules of the one engine asked for that the plan breaks; *last is one of them. */
static uint32_t broken_rules(const asked *a, const sp_plan *plan, const char **last)
{
    const sp_engine *engine = &a->problem->engines[0];
    double values[SP_N_PLAN_VARS];
    uint32_t n = 0;
    sp_plan_values(plan, values);
    for (uint32_t i = 0; i < engine->n_rules; i++) {
        const sp_engine_rule *rule = &engine->rules[i];
        if (rule->when != NULL && sp_expr_eval(rule->when, values) == 0.0) continue;
        if (sp_expr_eval(rule->require, values) != 0.0) continue;
        *last = rule->id;
        n++;
    }
    return n;
}

/* Beside the engine nothing speaks against the plan. */
static void check_means_something(const asked *any, const char *text)
{
    const sp_plan plan = read_plan(any, text);
    const sp_rule_info *rule = refusal(any, &plan);
    if (rule != NULL && rule->class != SP_RULE_ENGINE) {
        fail_msg("%s is refused by %s as well", text, rule->name);
    }
}

static void check_case(const sp_json *question, const asked *any, const sp_json *value)
{
    const char *id = text_of(value, "rule"), *text = text_of(value, "plan"), *last = "none";
    asked a = ask(question, text_of(value, "engine"));
    const sp_plan plan = read_plan(&a, text);
    const uint32_t n = broken_rules(&a, &plan, &last);
    if (n != 1 || strcmp(last, id) != 0) {
        fail_msg("%s breaks %u rules, %s among them, not %s alone", text, (unsigned)n, last, id);
    }
    assert_non_null(refusal(&a, &plan));
    assert_string_equal(refusal(&a, &plan)->name, id);
    check_means_something(any, text);
    drop(&a);
}

/* The cases of one question; how many there are. */
static size_t check_question(const sp_json *root, const char *name, const sp_json *question)
{
    sp_error err = {0};
    sp_json cases;
    size_t n = 0;
    asked any = ask(question, "any");
    must(sp_json_array(root, "cases", &cases, &err), &err);
    for (size_t i = 0; i < sp_json_size(&cases); i++) {
        const sp_json value = sp_json_at(&cases, i);
        if (strcmp(text_of(&value, "question"), name) != 0) continue;
        check_case(question, &any, &value);
        n++;
    }
    drop(&any);
    return n;
}

static void each_rule_refuses_a_plan_that_no_other_does(void **state)
{
    (void)state;
    sp_error err = {0};
    sp_json questions, cases;
    size_t n = 0;
    sp_json_doc *doc = load("rules.json");
    const sp_json root = sp_json_root(doc);
    must(sp_json_array(&root, "questions", &questions, &err), &err);
    must(sp_json_array(&root, "cases", &cases, &err), &err);
    for (size_t i = 0; i < sp_json_size(&questions); i++) {
        const sp_json question = sp_json_at(&questions, i);
        n += check_question(&root, text_of(&question, "name"), &question);
    }
    assert_int_equal(n, sp_json_size(&cases));
    sp_json_free(doc);
}

static bool has_case(const sp_json *cases, const char *id)
{
    for (size_t i = 0; i < sp_json_size(cases); i++) {
        const sp_json value = sp_json_at(cases, i);
        if (strcmp(text_of(&value, "rule"), id) == 0) return true;
    }
    return false;
}

static void check_engine(const sp_json *cases, const char *name)
{
    char path[128];
    sp_error err = {0};
    sp_json rules;
    snprintf(path, sizeof path, "../../configs/engines/%s.json", name);
    sp_json_doc *doc = load(path);
    const sp_json root = sp_json_root(doc);
    must(sp_json_array(&root, "rules", &rules, &err), &err);
    for (size_t i = 0; i < sp_json_size(&rules); i++) {
        const sp_json rule = sp_json_at(&rules, i);
        const char *id = text_of(&rule, "id");
        if (!has_case(cases, id)) fail_msg("rules.json has no plan for %s", id);
    }
    sp_json_free(doc);
}

static void each_rule_has_a_plan(void **state)
{
    (void)state;
    static const char *const engines[] = {
        "ddp", "deepspeed", "fsdp", "megatron", "megatron-deepspeed", "megatron-lm", "torchtitan"};
    sp_error err = {0};
    sp_json cases;
    sp_json_doc *doc = load("rules.json");
    const sp_json root = sp_json_root(doc);
    must(sp_json_array(&root, "cases", &cases, &err), &err);
    for (size_t i = 0; i < sizeof engines / sizeof engines[0]; i++) {
        check_engine(&cases, engines[i]);
    }
    sp_json_free(doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_rule_refuses_a_plan_that_no_other_does),
        cmocka_unit_test(each_rule_has_a_plan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
