/* SPDX-License-Identifier: Apache-2.0 */
/* What the frameworks themselves said about random plans (verdicts/, recorded by check_clients.py)
 * is what our rules say. */
#include "engines/question.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

typedef struct recorded {
    uint64_t question;
    const char *plan, *rule, *client;
} recorded;

static recorded read_row(const sp_json *row)
{
    recorded r = {0};
    sp_error err = {0};
    must(sp_json_u64(row, "question", 0, 1000, &r.question, &err), &err);
    must(sp_json_string(row, "plan", &r.plan, &err), &err);
    must(sp_json_string(row, "rule", &r.rule, &err), &err);
    must(sp_json_string(row, "client", &r.client, &err), &err);
    return r;
}

/* Frameworks check no memory before they run. */
static const sp_rule_info *rule_against(const asked *a, const recorded *r)
{
    const sp_plan plan = read_plan(a, r->plan);
    const sp_rule_info *rule = refusal(a, &plan);
    return rule != NULL && rule->class == SP_RULE_MEMORY ? NULL : rule;
}

static void check_row(const asked *a, const recorded *r)
{
    const sp_rule_info *rule = rule_against(a, r);
    const bool refuses = strcmp(r->client, "refuses") == 0;
    if (rule == NULL) {
        if (refuses) fail_msg("the framework refuses %s, no rule does", r->plan);
        return;
    }
    if (!refuses) fail_msg("the framework %s %s, %s", r->client, r->plan, rule->name);
    assert_string_equal(rule->name, r->rule);
}

/* The rows of one question; how many there are. */
static size_t check_question(const sp_json *root, size_t idx, const char *engine)
{
    sp_error err = {0};
    sp_json questions, plans;
    size_t n = 0;
    must(sp_json_array(root, "questions", &questions, &err), &err);
    must(sp_json_array(root, "plans", &plans, &err), &err);
    const sp_json question = sp_json_at(&questions, idx);
    asked a = ask(&question, engine);
    for (size_t i = 0; i < sp_json_size(&plans); i++) {
        const sp_json row = sp_json_at(&plans, i);
        const recorded r = read_row(&row);
        if (r.question != idx) continue;
        check_row(&a, &r);
        n++;
    }
    drop(&a);
    return n;
}

static void check_file(const char *name)
{
    sp_error err = {0};
    sp_json questions;
    const char *engine = NULL;
    size_t n = 0;
    sp_json_doc *doc = load(name);
    const sp_json root = sp_json_root(doc);
    must(sp_json_string(&root, "engine", &engine, &err), &err);
    must(sp_json_array(&root, "questions", &questions, &err), &err);
    for (size_t i = 0; i < sp_json_size(&questions); i++) {
        n += check_question(&root, i, engine);
    }
    sp_json_free(doc);
    assert_int_equal(n, 200);
}

static void our_rules_say_what_megatron_says(void **state)
{
    (void)state;
    check_file("verdicts/megatron.json");
}

static void our_rules_say_what_deepspeed_says(void **state)
{
    (void)state;
    check_file("verdicts/deepspeed.json");
}

static void our_rules_say_what_deepspeed_says_under_megatron(void **state)
{
    (void)state;
    check_file("verdicts/megatron-deepspeed.json");
}

static void our_rules_say_what_accelerate_says_of_fsdp(void **state)
{
    (void)state;
    check_file("verdicts/fsdp.json");
}

static void our_rules_say_what_torchtitan_says(void **state)
{
    (void)state;
    check_file("verdicts/torchtitan.json");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_rules_say_what_megatron_says),
        cmocka_unit_test(our_rules_say_what_deepspeed_says),
        cmocka_unit_test(our_rules_say_what_deepspeed_says_under_megatron),
        cmocka_unit_test(our_rules_say_what_accelerate_says_of_fsdp),
        cmocka_unit_test(our_rules_say_what_torchtitan_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
