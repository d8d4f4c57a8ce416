/* SPDX-License-Identifier: Apache-2.0 */
/* Models against counts made by transformers and against configurations of their vendors, which lie
 * outside the source tree: skipped where SHARDPLAN_DATA does not name the folder. */
#include "model_fixture.h"

static bool has_reader(const char *model_type)
{
    sp_arena arena = {0};
    const char *file =
        sp_arena_printf(&arena, "%s/configs/model_types/%s.json", fixture_home(), model_type);
    const bool known = sp_file_exists(file);
    sp_arena_fini(&arena);
    return known;
}

/* Is it of a type that we read? Some of the others hold Infinity, which is not JSON; the callers
 * know how many there must be. */
static bool is_of_known_type(const char *file)
{
    sp_error err = {0};
    sp_json_doc *doc = NULL;
    const char *type = NULL;
    if (sp_json_load_file(file, &doc, &err) != SP_OK) return false;
    const sp_json root = sp_json_root(doc);
    assert_int_equal(sp_json_string_or(&root, "model_type", "", &type, &err), SP_OK);
    const bool known = has_reader(type);
    sp_json_free(doc);
    return known;
}

static const char *data_dir(void)
{
    const char *data = getenv("SHARDPLAN_DATA");
    if (data == NULL) skip();
    return data;
}

static uint64_t expected_u64(const sp_json *entry, const char *key)
{
    sp_error err = {0};
    uint64_t value = 0;
    assert_int_equal(sp_json_u64(entry, key, 0, UINT64_MAX, &value, &err), SP_OK);
    return value;
}

static void check_counts(const sp_model *model, const sp_json *expected)
{
    const sp_parameters p = sp_model_parameters(model);
    assert_int_equal(p.total, expected_u64(expected, "total"));
    assert_int_equal(p.embedding, expected_u64(expected, "embedding"));
    assert_int_equal(p.head, expected_u64(expected, "lm_head"));
    assert_int_equal(p.non_embedding, expected_u64(expected, "non_embedding"));
    assert_int_equal(p.active, expected_u64(expected, "active"));
}

/* Checks each configuration of a known type in the folder; returns how many there was something to
 * check for. */
static size_t for_each_config(const char *dir,
                              bool (*check)(const char *name, const sp_model *model,
                                            const sp_json *expected),
                              const sp_json *expected)
{
    sp_arena arena = {0};
    sp_error err = {0};
    const char *const *names = NULL;
    size_t n_names = 0;
    size_t n_checked = 0;
    assert_int_equal(sp_dir_names(&arena, dir, ".json", &names, &n_names, &err), SP_OK);
    for (size_t i = 0; i < n_names; i++) {
        const sp_model *model = NULL;
        const char *file = sp_arena_printf(&arena, "%s/%s.json", dir, names[i]);
        if (!is_of_known_type(file)) continue;
        assert_int_equal(sp_model_load(&arena, fixture_home(), file, &model, &err), SP_OK);
        n_checked += check(names[i], model, expected) ? 1 : 0;
    }
    sp_arena_fini(&arena);
    return n_checked;
}

static bool check_against_transformers(const char *name, const sp_model *model,
                                       const sp_json *expected)
{
    const sp_json entry = sp_json_get(expected, name);
    assert_true(sp_json_is_object(&entry));
    check_counts(model, &entry);
    return true;
}

static void counts_equal_those_of_transformers(void **state)
{
    (void)state;
    sp_arena arena = {0};
    sp_error err = {0};
    sp_json_doc *doc = NULL;
    sp_json models;
    const char *dir = sp_arena_printf(&arena, "%s/param-counts/dev", data_dir());
    const char *file = sp_arena_printf(&arena, "%s/expected.json", dir);
    assert_int_equal(sp_json_load_file(file, &doc, &err), SP_OK);
    const sp_json root = sp_json_root(doc);
    assert_int_equal(sp_json_object(&root, "models", &models, &err), SP_OK);
    const char *configs = sp_arena_printf(&arena, "%s/configs", dir);
    assert_true(for_each_config(configs, check_against_transformers, &models) >= 20);
    sp_json_free(doc);
    sp_arena_fini(&arena);
}

/* Our own file of the same name, if there is one, has the same shapes and so the same counts. */
static bool check_against_own(const char *name, const sp_model *model, const sp_json *expected)
{
    (void)expected;
    sp_arena arena = {0};
    sp_error err = {0};
    const sp_model *own = NULL;
    const sp_status status = sp_model_find(&arena, fixture_home(), name, &own, &err);
    if (status == SP_OK) {
        assert_true(fixture_same_shapes(own, model));
        assert_int_equal(sp_model_parameters(own).total, sp_model_parameters(model).total);
    } else {
        assert_int_equal(status, SP_E_UNKNOWN_NAME);
    }
    sp_arena_fini(&arena);
    return status == SP_OK;
}

static void our_files_equal_the_configurations_of_the_same_name(void **state)
{
    (void)state;
    sp_arena arena = {0};
    const char *dir = sp_arena_printf(&arena, "%s/param-counts/dev/configs", data_dir());
    assert_true(for_each_config(dir, check_against_own, NULL) >= 19);
    sp_arena_fini(&arena);
}

static bool check_loads(const char *name, const sp_model *model, const sp_json *expected)
{
    (void)expected;
    assert_string_equal(model->name, name);
    assert_true(sp_model_parameters(model).total > 1000000000);
    return true;
}

static void vendor_configurations_load(void **state)
{
    (void)state;
    sp_arena arena = {0};
    const char *dir = sp_arena_printf(&arena, "%s/hf-configs", data_dir());
    assert_true(for_each_config(dir, check_loads, NULL) >= 15);
    sp_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_equal_those_of_transformers),
        cmocka_unit_test(our_files_equal_the_configurations_of_the_same_name),
        cmocka_unit_test(vendor_configurations_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
