/* SPDX-License-Identifier: Apache-2.0 */
/* Every file of configs/model_types: it is well formed, and the counts of configurations of its
 * type are those of the real client. tests/spec/model_type_counts.json holds what the client
 * counted, model_published_counts.json the same of models as they are published; both are made by
 * tests/spec/check_model_types.py. */
#include "model_fixture.h"

#include "spec/spec.h"

#include <sys/stat.h>

static const sp_json_doc *load_counts(const char *name, sp_json_doc **doc)
{
    sp_arena arena = {0};
    sp_error err = {0};
    const char *file = sp_arena_printf(&arena, "%s/tests/spec/%s", fixture_home(), name);
    assert_int_equal(sp_json_load_file(file, doc, &err), SP_OK);
    sp_arena_fini(&arena);
    return *doc;
}

static uint64_t u64_of(const sp_json *counts, const char *key)
{
    sp_error err = {0};
    uint64_t value = 0;
    assert_int_equal(sp_json_u64(counts, key, 0, UINT64_MAX, &value, &err), SP_OK);
    return value;
}

static void check_entry(const sp_json *entry)
{
    sp_arena arena = {0};
    sp_text text = {0};
    sp_error err = {0};
    const char *name = NULL;
    sp_json config, counts;
    assert_int_equal(sp_json_string(entry, "name", &name, &err), SP_OK);
    assert_int_equal(sp_json_object(entry, "config", &config, &err), SP_OK);
    assert_int_equal(sp_json_object(entry, "counts", &counts, &err), SP_OK);
    sp_json_dump(&config, &text);
    const sp_parameters p = sp_model_parameters(fixture_model(&arena, text.data));
    if (p.total != u64_of(&counts, "total") || p.embedding != u64_of(&counts, "embedding") ||
        p.active != u64_of(&counts, "active")) {
        fail_msg("%s: %llu parameters, of which %llu active", name, (unsigned long long)p.total,
                 (unsigned long long)p.active);
    }
    sp_text_fini(&text);
    sp_arena_fini(&arena);
}

static void check_counts(const char *name, size_t least)
{
    sp_error err = {0};
    sp_json_doc *doc = NULL;
    sp_json models;
    const sp_json root = sp_json_root(load_counts(name, &doc));
    assert_int_equal(sp_json_array(&root, "models", &models, &err), SP_OK);
    assert_true(sp_json_size(&models) >= least);
    for (size_t i = 0; i < sp_json_size(&models); i++) {
        const sp_json entry = sp_json_at(&models, i);
        check_entry(&entry);
    }
    sp_json_free(doc);
}

static void counts_are_those_that_the_client_made(void **state)
{
    (void)state;
    check_counts("model_type_counts.json", 300);
}

static void published_models_count_as_the_client_counts_them(void **state)
{
    (void)state;
    check_counts("model_published_counts.json", 130);
}

/* Some classes have defaults that no model can be made of; a type file must say so itself, with a
 * requirement. A mistake in the file would be told of that file. */
static void every_type_file_is_well_formed(void **state)
{
    (void)state;
    sp_arena arena = {0};
    sp_error err = {0};
    const char *const *names = NULL;
    size_t n_names = 0;
    size_t n_read = 0;
    assert_int_equal(sp_model_type_names(&arena, fixture_home(), &names, &n_names, &err), SP_OK);
    assert_true(n_names >= 22);
    for (size_t i = 0; i < n_names; i++) {
        const sp_model *model = NULL;
        const char *text = sp_arena_printf(&arena, "{\"model_type\": \"%s\"}", names[i]);
        const sp_status status = fixture_load_text(&arena, text, &model, &err);
        if (status != SP_OK && strstr(err.file, "model_types") != NULL) {
            fail_msg("%s: %s: %s", err.file, err.path, err.message);
        }
        n_read += status == SP_OK ? 1 : 0;
    }
    assert_true(10 * n_read >= 9 * n_names);
    sp_arena_fini(&arena);
}

/* ---- files of types that are not well formed ---- */

static void write_file(const char *file, const char *text)
{
    sp_error err = {0};
    assert_int_equal(sp_file_write(file, text, strlen(text), &err), SP_OK);
}

#define HEAD                                                                                       \
    "{\"schema\": \"shardplan/model-type/1\", \"model_type\": \"toy\", \"source\": \"none\", "     \
    "\"date\": \"2026-11-21\", \"defaults\": {\"width\": 64, \"depth\": 2}, "
#define MODEL                                                                                      \
    "\"model\": {\"hidden\": \"width\", \"layers\": \"depth\", \"vocab\": 100, "                   \
    "\"tied_embeddings\": true}, "

/* Loads the config where its type "toy" is read by this text; the parameters are 0 on failure. */
static sp_status load_and_count(const char *type_text, const char *config, uint64_t *total,
                                sp_error *err)
{
    char home[] = "/tmp/shardplan-types-XXXXXX";
    sp_arena arena = {0};
    const sp_model *model = NULL;
    assert_non_null(mkdtemp(home));
    const char *folder = sp_arena_printf(&arena, "%s/configs", home);
    const char *types = sp_arena_printf(&arena, "%s/model_types", folder);
    const char *type = sp_arena_printf(&arena, "%s/toy.json", types);
    const char *common = sp_arena_printf(&arena, "%s/_common.json", types);
    const char *file = sp_arena_printf(&arena, "%s/config.json", home);
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(mkdir(types, 0700), 0);
    write_file(type, type_text);
    write_file(file, config);
    write_file(common,
               "{\"schema\": \"shardplan/model-types-common/1\", \"source\": \"none\", "
               "\"date\": \"2026-11-21\", \"inert\": [], \"shape_keys\": [], \"refused\": [], "
               "\"remarks\": {}}");
    const sp_status status = sp_model_load(&arena, home, file, &model, err);
    *total = status == SP_OK ? sp_model_parameters(model).total : 0;
    unlink(type);
    unlink(common);
    unlink(file);
    rmdir(types);
    rmdir(folder);
    rmdir(home);
    sp_arena_fini(&arena);
    return status;
}

static sp_status load_toy(const char *type_text, const char *config, sp_error *err)
{
    uint64_t total = 0;
    return load_and_count(type_text, config, &total, err);
}

static uint64_t count_toy(const char *type_text, const char *config, sp_error *err)
{
    uint64_t total = 0;
    if (load_and_count(type_text, config, &total, err) != SP_OK) fail_msg("%s", err->message);
    return total;
}

#define TOY "{\"model_type\": \"toy\"}"

static void a_type_of_nothing_but_a_feed_forward_is_read(void **state)
{
    (void)state;
    sp_error err = {0};
    assert_int_equal(
        load_toy(HEAD MODEL "\"kinds\": [{\"ffn\": {\"ffn\": \"4 * width\"}}]}", TOY, &err), SP_OK);
}

static void check_refused(const char *type_text, sp_status status, const char *path,
                          const char *message)
{
    sp_error err = {0};
    assert_int_equal(load_toy(type_text, TOY, &err), status);
    assert_non_null(strstr(err.file, "/toy.json"));
    assert_string_equal(err.path, path);
    if (strstr(err.message, message) == NULL) fail_msg("%s", err.message);
}

static void mistakes_in_a_type_file_are_told_with_their_place(void **state)
{
    (void)state;
    check_refused(HEAD MODEL "\"kinds\": [{\"ffn\": {\"fnn\": 4}}]}", SP_E_UNKNOWN_KEY,
                  "/kinds/0/ffn/fnn", "not a key");
    check_refused(HEAD MODEL "\"kinds\": [{\"ffn\": {\"ffn\": \"4 * widht\"}}]}", SP_E_UNKNOWN_NAME,
                  "/kinds/0/ffn/ffn", "\"widht\" is neither");
    check_refused(HEAD MODEL "\"kinds\": [{\"ffn\": {\"ffn\": \"4 *\"}}]}", SP_E_SYNTAX,
                  "/kinds/0/ffn/ffn", "ends where a value is expected");
    check_refused(HEAD MODEL "\"kinds\": [{\"ffn\": {\"ffn\": null}}]}", SP_E_TYPE,
                  "/kinds/0/ffn/ffn", "must be a number");
    check_refused(HEAD "\"model\": {\"hidden\": 1}, \"kinds\": []}", SP_E_MISSING_KEY, "/model",
                  "\"vocab\" is required");
    check_refused(HEAD MODEL "\"kinds\": [{\"when\": \"i > 5\"}]}", SP_E_NOT_YET, "",
                  "no kind of layer is known for layer 0");
    check_refused(HEAD MODEL "\"kinds\": [{\"ffn\": {\"ffn\": -1}}]}", SP_E_RANGE,
                  "/kinds/0/ffn/ffn", "would be -1");
}

static void lets_that_need_each_other_are_refused(void **state)
{
    (void)state;
    check_refused(HEAD "\"let\": {\"a\": \"b + 1\", \"b\": \"a - 1\"}, " MODEL
                       "\"kinds\": [{\"ffn\": {\"ffn\": \"a\"}}]}",
                  SP_E_INCONSISTENT, "/kinds/0/ffn/ffn", "refers to itself");
}

static void a_value_out_of_its_limits_is_told_of_the_key_it_came_from(void **state)
{
    (void)state;
    sp_error err = {0};
    const char *type = HEAD MODEL "\"kinds\": [{\"ffn\": {\"ffn\": \"depth * width\"}}]}";
    assert_int_equal(load_toy(type, "{\"model_type\": \"toy\",\n \"width\": 900000}", &err), SP_OK);
    assert_int_equal(load_toy(type, "{\"model_type\": \"toy\",\n \"depth\": 20000}", &err),
                     SP_E_RANGE);
    assert_string_equal(err.path, "/depth");
    assert_int_equal(err.line, 2);
    assert_string_equal(err.value, "20000");
    assert_string_equal(err.range, "1 .. 16384");
    assert_int_equal(
        load_toy(type, "{\"model_type\": \"toy\",\n \"width\": 1000000, \"depth\": 17}", &err),
        SP_E_RANGE);
    assert_string_equal(err.path, "/depth");
    assert_non_null(strstr(err.message, "would be 17000000"));
}

/* ---- keys of single layers, objects that are not stated, keys beside a wrapper's ---- */

#define OVERRIDDEN                                                                                 \
    "{\"schema\": \"shardplan/model-type/1\", \"model_type\": \"toy\", \"source\": \"none\", "     \
    "\"date\": \"2026-11-21\", \"defaults\": {\"width\": 64, \"depth\": 2, \"inner\": 8, "         \
    "\"per_layer_config\": null}, " MODEL "\"kinds\": [{\"ffn\": {\"ffn\": \"inner\"}}]}"

/* Table 100 x 64 and final norm 64: 6464. A layer: a norm of 64 and two matrices 64 x inner: 1088
 * where inner is 8, 1600 where it is 12. */
static void a_key_holds_in_the_layer_that_states_it(void **state)
{
    (void)state;
    sp_error err = {0};
    assert_int_equal(count_toy(OVERRIDDEN, TOY, &err), 6464 + 2 * 1088);
    assert_int_equal(count_toy(OVERRIDDEN,
                               "{\"model_type\": \"toy\", \"per_layer_config\": {\"01\": "
                               "{\"inner\": 12, \"skip\": []}}}",
                               &err),
                     6464 + 1088 + 1600);
}

static void check_override_refused(const char *overrides, sp_status status, const char *path)
{
    sp_arena arena = {0};
    sp_error err = {0};
    const char *config =
        sp_arena_printf(&arena, "{\"model_type\": \"toy\", \"per_layer_config\": %s}", overrides);
    assert_int_equal(load_toy(OVERRIDDEN, config, &err), status);
    assert_string_equal(err.path, path);
    sp_arena_fini(&arena);
}

static void keys_of_a_layer_are_checked_like_others(void **state)
{
    (void)state;
    check_override_refused("{\"2\": {\"inner\": 12}}", SP_E_RANGE, "/per_layer_config/2");
    check_override_refused("{\"one\": {}}", SP_E_UNKNOWN_KEY, "/per_layer_config/one");
    check_override_refused("{\"1\": 12}", SP_E_TYPE, "/per_layer_config/1");
    check_override_refused("{\"1\": {\"inner\": \"wide\"}}", SP_E_TYPE,
                           "/per_layer_config/1/inner");
    check_override_refused("{\"1\": {\"skip\": [\"ffn\"]}}", SP_E_NOT_YET,
                           "/per_layer_config/1/skip");
    check_override_refused("{\"1\": {\"inner\": 70000000}}", SP_E_RANGE,
                           "/per_layer_config/1/inner");
}

#define TOWERED                                                                                    \
    "{\"schema\": \"shardplan/model-type/1\", \"model_type\": \"toy\", \"source\": \"none\", "     \
    "\"date\": \"2026-11-21\", \"defaults\": {\"eye\": {\"rows\": 2, \"columns\": 3}}, "           \
    "\"absent\": {\"eye\": {\"rows\": 5}}, \"model\": {\"hidden\": 64, \"layers\": 1, "            \
    "\"vocab\": 100, \"tied_embeddings\": true, \"tower_params\": \"eye.rows * eye.columns\"}, "   \
    "\"kinds\": [{\"ffn\": {\"ffn\": 8}}]}"

/* 6464 and one layer, and the tower: 5 x 3 where nothing is said of it, 2 x 4 where a part is. */
static void an_object_that_is_not_stated_has_defaults_of_its_own(void **state)
{
    (void)state;
    sp_error err = {0};
    assert_int_equal(count_toy(TOWERED, TOY, &err), 6464 + 1088 + 15);
    assert_int_equal(
        count_toy(TOWERED, "{\"model_type\": \"toy\", \"eye\": {\"columns\": 4}}", &err),
        6464 + 1088 + 8);
}

#define REMARKING                                                                                  \
    HEAD "\"require\": [{\"that\": \"depth == 2\", \"key\": \"depth\", \"say\": \"is odd\", "      \
         "\"remark\": true}], " MODEL "\"kinds\": [{\"ffn\": {\"ffn\": 8}}]}"

static void a_remark_is_no_reason_to_refuse(void **state)
{
    (void)state;
    sp_error err = {0};
    assert_int_equal(load_toy(REMARKING, "{\"model_type\": \"toy\", \"depth\": 3}", &err), SP_OK);
}

/* A member that is new in model_fields.def is new in both schemas. */
static void the_schemas_know_every_member(void **state)
{
    (void)state;
    static const char *const schemas[] = {"model", "model-type"};
    for (size_t s = 0; s < 2; s++) {
        sp_arena arena = {0};
        sp_error err = {0};
        sp_text text = {0};
        const char *file =
            sp_arena_printf(&arena, "%s/configs/schema/%s.json", fixture_home(), schemas[s]);
        assert_int_equal(sp_file_read(file, 1 << 20, &text, &err), SP_OK);
        for (int group = 0; group < SP_N_FIELD_GROUPS; group++) {
            const sp_model_field *fields = NULL;
            const size_t n_fields = sp_model_fields((sp_field_group)group, &fields);
            for (size_t i = 0; i < n_fields; i++) {
                const char *key = sp_arena_printf(&arena, "\"%s\": {", fields[i].name);
                if (strstr(text.data, key) == NULL) fail_msg("%s: %s", file, fields[i].name);
            }
        }
        sp_text_fini(&text);
        sp_arena_fini(&arena);
    }
}

/* Reads the config with each allocation failing in turn; the message may be cut, never the model.
 */
static void a_lack_of_memory_is_told(void **state)
{
    (void)state;
    const char *text = "{\"model_type\": \"qwen2_vl\", \"quantization_config\": {\"bits\": 4}}";
    sp_status status = SP_E_MEMORY;
    uint64_t nth = 1;
    for (; status != SP_OK; nth++) {
        sp_arena arena = {0};
        sp_error err = {0};
        const sp_model *model = NULL;
        assert_true(nth < 10000);
        sp_alloc_fail_at(nth);
        status = fixture_load_text(&arena, text, &model, &err);
        sp_alloc_fail_at(0);
        assert_true(status == SP_OK || status == SP_E_MEMORY);
        if (status == SP_OK) assert_int_equal(model->n_assumptions, 2);
        sp_arena_fini(&arena);
    }
    assert_true(nth > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_are_those_that_the_client_made),
        cmocka_unit_test(published_models_count_as_the_client_counts_them),
        cmocka_unit_test(every_type_file_is_well_formed),
        cmocka_unit_test(a_type_of_nothing_but_a_feed_forward_is_read),
        cmocka_unit_test(mistakes_in_a_type_file_are_told_with_their_place),
        cmocka_unit_test(lets_that_need_each_other_are_refused),
        cmocka_unit_test(a_value_out_of_its_limits_is_told_of_the_key_it_came_from),
        cmocka_unit_test(a_key_holds_in_the_layer_that_states_it),
        cmocka_unit_test(keys_of_a_layer_are_checked_like_others),
        cmocka_unit_test(an_object_that_is_not_stated_has_defaults_of_its_own),
        cmocka_unit_test(a_remark_is_no_reason_to_refuse),
        cmocka_unit_test(the_schemas_know_every_member),
        cmocka_unit_test(a_lack_of_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
