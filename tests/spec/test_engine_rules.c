/* SPDX-License-Identifier: Apache-2.0 */
/* Engine files made up on the spot: what a wrong one is told, and where. */
#include "base/base.h"
#include "shardplan/engine.h"
#include "shardplan/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct tree {
    char home[64], configs[96], engines[128], any[160], own[160];
} tree;

static const char *source_home(void)
{
    const char *path = getenv("SHARDPLAN_HOME");
    if (path == NULL) fail_msg("%s", "SHARDPLAN_HOME names the source tree");
    return path;
}

/* A data folder with the any.json that ships and room for own.json. */
static int plant(void **state)
{
    static tree made;
    char shipped[512];
    sp_error err = {0};
    sp_text text = {0};
    snprintf(made.home, sizeof made.home, "/tmp/shardplan-engine-XXXXXX");
    if (mkdtemp(made.home) == NULL) return -1;
    snprintf(made.configs, sizeof made.configs, "%s/configs", made.home);
    snprintf(made.engines, sizeof made.engines, "%s/engines", made.configs);
    snprintf(made.any, sizeof made.any, "%s/any.json", made.engines);
    snprintf(made.own, sizeof made.own, "%s/own.json", made.engines);
    snprintf(shipped, sizeof shipped, "%s/configs/engines/any.json", source_home());
    if (mkdir(made.configs, 0700) != 0 || mkdir(made.engines, 0700) != 0) return -1;
    sp_status status = sp_file_read(shipped, 1 << 20, &text, &err);
    if (status == SP_OK) status = sp_file_write(made.any, text.data, text.length, &err);
    sp_text_fini(&text);
    *state = &made;
    return status == SP_OK ? 0 : -1;
}

static int uproot(void **state)
{
    const tree *made = *state;
    unlink(made->any);
    unlink(made->own);
    return rmdir(made->engines) + rmdir(made->configs) + rmdir(made->home);
}

static sp_status load_text(const tree *made, const char *text, sp_arena *arena,
                           const sp_engine **engine, sp_error *err)
{
    static const sp_model model = {
        .n_layers = 4, .n_kinds = 1, .kinds = {{.attention = {.heads = 8, .kv_heads = 8}}}};
    const sp_engine_facts facts = {
        .model = &model, .seq_len = 2048, .global_batch = 64, .optimizer = "adamw"};
    const sp_engine_profile *profile = NULL;
    uint32_t n_engines = 0;
    SP_TRY(sp_file_write(made->own, text, strlen(text), err));
    return sp_engines_load(arena, made->home, "own", &facts, engine, &n_engines, &profile, err);
}

/* A file with these profiles and rules. */
static sp_status load_parts(const tree *made, const char *profiles, const char *rules,
                            sp_arena *arena, const sp_engine **engine, sp_error *err)
{
    char text[1024];
    snprintf(text, sizeof text,
             "{\"schema\": \"shardplan/engine/1\", \"name\": \"own\", \"about\": \"made up\",\n"
             "\"version\": \"2.1\",\n\"profiles\": [%s],\n\"rules\": [%s]}\n",
             profiles, rules);
    return load_text(made, text, arena, engine, err);
}

static sp_error refuse(const tree *made, const char *profiles, const char *rules, sp_status status)
{
    sp_arena arena = {0};
    sp_error err = {0};
    const sp_engine *engine = NULL;
    assert_int_equal(load_parts(made, profiles, rules, &arena, &engine, &err), status);
    assert_string_equal(err.file, made->own);
    assert_true(err.line > 0);
    sp_arena_fini(&arena);
    return err;
}

static const char ALL[] = "{\"versions\": \"*\"}";

static void a_rule_of_other_versions_is_left_out(void **state)
{
    sp_arena arena = {0};
    sp_error err = {0};
    const sp_engine *engine = NULL;
    const char *rules = "{\"id\": \"a\", \"require\": \"tp==1\", \"source\": \"s\"},"
                        "{\"id\": \"b\", \"require\": \"tp==1\", \"source\": \"s\", "
                        "\"versions\": \"<2\"},"
                        "{\"id\": \"c\", \"when\": \"heads==8\", \"require\": \"tp==1\", "
                        "\"source\": \"s\", \"versions\": \">=2,<3\"}";
    assert_int_equal(load_parts(*state, ALL, rules, &arena, &engine, &err), SP_OK);
    assert_int_equal(engine->n_rules, 2);
    assert_string_equal(engine->rules[0].id, "a");
    assert_null(engine->rules[0].when);
    assert_string_equal(engine->rules[1].id, "c");
    assert_string_equal(engine->rules[1].when_text, "heads==8");
    sp_arena_fini(&arena);
}

static void the_first_profile_of_the_version_holds(void **state)
{
    sp_arena arena = {0};
    sp_error err = {0};
    const sp_engine *engine = NULL;
    const char *profiles =
        "{\"versions\": \"<2\", \"step_s\": {\"value\": 1, \"unit\": \"s\", \"source\": \"s\", "
        "\"date\": \"2026-01-31\"}},"
        "{\"versions\": \">=2\", \"step_s\": {\"value\": 2, \"unit\": \"ms\", \"source\": \"s\", "
        "\"date\": \"2026-01-31\"}},"
        "{\"versions\": \"*\"}";
    assert_int_equal(load_parts(*state, profiles, "", &arena, &engine, &err), SP_OK);
    assert_string_equal(engine->versions, ">=2");
    assert_true(engine->profile.step_s == 2e-3);
    sp_arena_fini(&arena);
}

static void an_expression_is_blamed_where_it_stands(void **state)
{
    sp_error err =
        refuse(*state, ALL, "{\"id\": \"a\", \"require\": \"tpp==1\", \"source\": \"s\"}",
               SP_E_UNKNOWN_NAME);
    assert_string_equal(err.path, "/rules/0/require");
    assert_string_equal(err.nearest, "tp");
    assert_int_equal(err.line, 4);
    err = refuse(*state, ALL,
                 "{\"id\": \"a\", \"when\": \"tp==\", \"require\": \"tp==1\", \"source\": \"s\"}",
                 SP_E_SYNTAX);
    assert_string_equal(err.path, "/rules/0/when");
}

static void a_rule_has_an_id_of_its_own_and_a_source(void **state)
{
    static const char one[] = "{\"id\": \"a\", \"require\": \"tp==1\", \"source\": \"s\"}";
    char two[256];
    snprintf(two, sizeof two, "%s,\n%s", one, one);
    assert_string_equal(refuse(*state, ALL, two, SP_E_INCONSISTENT).path, "/rules/1/id");
    refuse(*state, ALL, "{\"id\": \"a\", \"require\": \"tp==1\"}", SP_E_MISSING_KEY);
    refuse(*state, ALL, "{\"id\": \"\", \"require\": \"tp==1\", \"source\": \"s\"}", SP_E_RANGE);
    refuse(*state, ALL, "{\"id\": \"a\", \"source\": \"s\"}", SP_E_MISSING_KEY);
}

static void a_misspelt_key_is_told_the_nearest(void **state)
{
    const char *rule = "{\"id\": \"a\", \"requires\": \"tp==1\", \"source\": \"s\"}";
    assert_string_equal(refuse(*state, ALL, rule, SP_E_UNKNOWN_KEY).nearest, "require");
    const char *profile = "{\"versions\": \"*\", \"steps_s\": 1}";
    assert_string_equal(refuse(*state, profile, "", SP_E_UNKNOWN_KEY).nearest, "step_s");
}

static void a_malformed_selector_is_refused_wherever_it_stands(void **state)
{
    const char *rule = "{\"id\": \"a\", \"require\": \"tp==1\", \"source\": \"s\", "
                       "\"versions\": \"2.x\"}";
    assert_string_equal(refuse(*state, ALL, rule, SP_E_SYNTAX).path, "/rules/0/versions");
    const char *profiles = "{\"versions\": \"*\"}, {\"versions\": \"\"}";
    assert_string_equal(refuse(*state, profiles, "", SP_E_SYNTAX).path, "/profiles/1/versions");
}

static void a_constant_needs_a_unit_a_source_and_a_date(void **state)
{
    refuse(*state, "{\"versions\": \"*\", \"step_s\": 1}", "", SP_E_TYPE);
    refuse(*state,
           "{\"versions\": \"*\", \"step_s\": {\"value\": 1, \"source\": \"s\", "
           "\"date\": \"2026-01-31\"}}",
           "", SP_E_MISSING_KEY);
    refuse(*state, "{\"versions\": \"*\", \"flash_attention\": {\"value\": true}}", "",
           SP_E_MISSING_KEY);
    refuse(*state,
           "{\"versions\": \"*\", \"step_s\": {\"value\": 1, \"unit\": \"GB\", \"source\": \"s\", "
           "\"date\": \"2026-01-31\"}}",
           "", SP_E_UNKNOWN_NAME);
}

static void a_file_must_be_what_its_name_says(void **state)
{
    sp_arena arena = {0};
    sp_error err = {0};
    const sp_engine *engine = NULL;
    const char *other = "{\"schema\": \"shardplan/engine/1\", \"name\": \"other\", "
                        "\"about\": \"a\", \"version\": \"1\", \"profiles\": [], \"rules\": []}";
    assert_int_equal(load_text(*state, other, &arena, &engine, &err), SP_E_INCONSISTENT);
    const char *gpu = "{\"schema\": \"shardplan/gpu/1\"}";
    assert_int_equal(load_text(*state, gpu, &arena, &engine, &err), SP_E_UNKNOWN_NAME);
    sp_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rule_of_other_versions_is_left_out),
        cmocka_unit_test(the_first_profile_of_the_version_holds),
        cmocka_unit_test(an_expression_is_blamed_where_it_stands),
        cmocka_unit_test(a_rule_has_an_id_of_its_own_and_a_source),
        cmocka_unit_test(a_misspelt_key_is_told_the_nearest),
        cmocka_unit_test(a_malformed_selector_is_refused_wherever_it_stands),
        cmocka_unit_test(a_constant_needs_a_unit_a_source_and_a_date),
        cmocka_unit_test(a_file_must_be_what_its_name_says),
    };
    return cmocka_run_group_tests(tests, plant, uproot);
}
