/* SPDX-License-Identifier: Apache-2.0 */
/* Typed clusters: what they mean, and that every error names its column. The tiny GPU has wire2
 * (40 GB/s) and a usual node "box" of 4 GPUs with 8 GiB; the cable carries 10 GB/s. */
#include "hardware_fixture.h"

static sp_status find(tiny_home *home, const char *text, const sp_cluster **cluster)
{
    return sp_cluster_find(&home->arena, home->dir, text, cluster, &home->err);
}

static const sp_cluster *build(void **state, const char *text)
{
    tiny_home *home = *state;
    const sp_cluster *cluster = NULL;
    if (find(home, text, &cluster) != SP_OK) {
        fail_msg("%s: %s", text, home->err.message);
    }
    return cluster;
}

static void one_node_stands_on_the_fastest_link_of_its_gpu(void **state)
{
    const sp_cluster *cluster = build(state, "8xTiny");
    assert_string_equal(cluster->name, "8xTiny");
    assert_string_equal(cluster->gpu->name, "tiny");
    assert_int_equal(cluster->node_gpus, 8);
    assert_int_equal(cluster->n_levels, 1);
    assert_int_equal(cluster->max_gpus, 8);
    assert_int_equal(cluster->levels[0].n_gpus, UINT32_MAX);
    assert_string_equal(cluster->levels[0].link, "wire2");
    assert_string_equal(cluster->levels[0].label, "wires");
    assert_true(cluster->levels[0].bytes_per_s == 40e9);
    assert_true(cluster->levels[0].oversubscription == 1.0);
}

static void counts_multiply_and_the_last_level_holds_every_gpu(void **state)
{
    const sp_cluster *cluster = build(state, "4xtiny/wire2,8xcable,2xcable");
    assert_int_equal(cluster->n_levels, 3);
    assert_int_equal(cluster->levels[0].n_gpus, 4);
    assert_int_equal(cluster->levels[1].n_gpus, 32);
    assert_int_equal(cluster->levels[2].n_gpus, UINT32_MAX);
    assert_int_equal(cluster->max_gpus, 64);
    assert_true(cluster->levels[1].bytes_per_s == 10e9);
    assert_true(cluster->levels[1].efficiency_ratio == 0.5);
    assert_true(cluster->levels[1].latency_s == 2e-6);
    assert_true(cluster->levels[1].half_bytes == 4e6);
}

static void a_family_name_means_the_generation_that_the_gpu_has(void **state)
{
    assert_string_equal(build(state, "4xtiny/wire")->levels[0].link, "wire2");
}

static void a_rate_is_per_gpu_in_bits_or_bytes(void **state)
{
    assert_true(build(state, "4xtiny/wire:80Gb")->levels[0].bytes_per_s == 10e9);
    assert_true(build(state, "4xtiny/wire:80GB")->levels[0].bytes_per_s == 80e9);
    assert_true(build(state, "4xtiny/wire:80GB/s")->levels[0].bytes_per_s == 80e9);
    assert_true(build(state, "4xtiny:1.6Tb")->levels[0].bytes_per_s == 200e9);
    assert_true(build(state, "4xtiny,2xcable:0.5TB")->levels[1].bytes_per_s == 500e9);
    assert_true(build(state, "4xtiny,2xcable:100MB@3")->levels[1].bytes_per_s == 100e6);
}

static void oversubscription_follows_an_at_sign(void **state)
{
    const sp_cluster *cluster = build(state, "4xtiny/wire2,8xcable@1.5,2xcable:100Gb@4");
    assert_true(cluster->levels[0].oversubscription == 1.0);
    assert_true(cluster->levels[1].oversubscription == 1.5);
    assert_true(cluster->levels[2].oversubscription == 4.0);
    assert_true(cluster->levels[2].bytes_per_s == 12.5e9);
}

static void host_figures_are_those_of_the_usual_node_in_proportion(void **state)
{
    const sp_cluster *cluster = build(state, "2xtiny/wire2,8xcable");
    assert_true(cluster->host_memory_bytes == 4294967296.0);
    assert_true(cluster->host_link_bytes_per_s == 5e9);
    assert_non_null(strstr(cluster->source, "box"));
}

static void without_a_usual_node_host_figures_are_not_known(void **state)
{
    tiny_spoil(*state, "gpus/tiny", tiny_gpu, ", \"typical_node\": \"box\"", "");
    const sp_cluster *cluster = build(state, "2xtiny");
    assert_true(cluster->host_memory_bytes == 0.0 && cluster->host_link_bytes_per_s == 0.0);
}

typedef struct bad_text {
    const char *text;
    sp_status status;
    int column;
    const char *value, *nearest, *range;
} bad_text;

static const bad_text bad_texts[] = {
    {"0xtiny", SP_E_RANGE, 1, "0", "", "1 .. 1024"},
    {"1025xtiny", SP_E_RANGE, 1, "1025", "", "1 .. 1024"},
    {"99999999999999999999xtiny", SP_E_RANGE, 1, "99999999999999999999", "", "1 .. 1024"},
    {"8x", SP_E_SYNTAX, 3, "", "", ""},
    {"8xtinny/wire2", SP_E_UNKNOWN_NAME, 3, "tinny", "tiny", "tiny"},
    {"8xtiny/", SP_E_SYNTAX, 8, "", "", ""},
    {"8xtiny/wyre2", SP_E_UNKNOWN_NAME, 8, "wyre2", "wire2", "cable"},
    {"8xtiny/wire1", SP_E_INCONSISTENT, 8, "wire1", "wire2", "wire2"},
    {"8xtiny/wire2,", SP_E_SYNTAX, 14, "", "", ""},
    {"8xtiny/wire2,cable", SP_E_SYNTAX, 14, "cable", "", ""},
    {"8xtiny/wire2,64cable", SP_E_SYNTAX, 14, "64cable", "", ""},
    {"8xtiny/wire2,0xcable", SP_E_RANGE, 14, "0", "", "1 .. 2097152"},
    {"8xtiny/wire2,2097153xcable", SP_E_RANGE, 14, "2097153", "", "1 .. 2097152"},
    {"8xtiny/wire2,64xcabel", SP_E_UNKNOWN_NAME, 17, "cabel", "cable", "cable"},
    {"8xtiny/wire2,64xcable:", SP_E_SYNTAX, 23, "", "", "400Gb"},
    {"8xtiny/wire2,64xcable:400", SP_E_SYNTAX, 23, "400", "", "400Gb"},
    {"8xtiny/wire2,64xcable:400gb", SP_E_SYNTAX, 23, "400gb", "", "400Gb"},
    {"8xtiny/wire2,64xcable:4.0.0Gb", SP_E_SYNTAX, 23, "4.0.0Gb", "", "400Gb"},
    {"8xtiny/wire2,64xcable:0Gb", SP_E_RANGE, 23, "0Gb", "", "10MB .. 100TB"},
    {"8xtiny/wire2,64xcable:101TB", SP_E_RANGE, 23, "101TB", "", "10MB .. 100TB"},
    {"8xtiny/wire2,64xcable@", SP_E_RANGE, 23, "", "", "1 .. 64"},
    {"8xtiny/wire2,64xcable@0.5", SP_E_RANGE, 23, "0.5", "", "1 .. 64"},
    {"8xtiny/wire2,64xcable@2:1", SP_E_RANGE, 23, "2:1", "", "1 .. 64"},
    {"8xtiny/wire2/wire2", SP_E_SYNTAX, 13, "/wire2", "", ""},
    {"1xtiny,2xcable,2xcable,2xcable,2xcable", SP_E_RANGE, 32, "2xcable", "", "1 .. 4"},
};

static void every_error_names_its_column_and_what_would_be_right(void **state)
{
    tiny_home *home = *state;
    for (size_t i = 0; i < sizeof bad_texts / sizeof bad_texts[0]; i++) {
        const bad_text *bad = &bad_texts[i];
        const sp_cluster *cluster = NULL;
        char column[32];
        (void)snprintf(column, sizeof column, "column %d of", bad->column);
        const sp_status status = find(home, bad->text, &cluster);
        if (status != bad->status || strstr(home->err.message, column) == NULL ||
            strcmp(home->err.value, bad->value) != 0 ||
            strcmp(home->err.nearest, bad->nearest) != 0 ||
            strstr(home->err.range, bad->range) == NULL) {
            fail_msg("%s: %d %s; value '%s', nearest '%s', range '%s'", bad->text, (int)status,
                     home->err.message, home->err.value, home->err.nearest, home->err.range);
        }
    }
}

static void a_pool_list_is_not_yet_supported(void **state)
{
    tiny_home *home = *state;
    const sp_cluster *cluster = NULL;
    assert_int_equal(find(home, "tiny:30x8,big:12x8", &cluster), SP_E_NOT_YET);
}

/* Shortened and spoilt forms of a good text must be read or refused, never crash. */
static void any_text_is_read_or_refused(void **state)
{
    static const char good[] = "8xtiny/wire2:80GB@2,64xcable:1.6Tb@4";
    static const char letters[] = "0x/:@,. b\xff";
    tiny_home *home = *state;
    for (size_t i = 2; i < sizeof good; i++) {
        for (size_t c = 0; c < sizeof letters; c++) {
            const sp_cluster *cluster = NULL;
            char text[sizeof good];
            memcpy(text, good, sizeof good);
            text[i] = letters[c];
            text[sizeof good - 1] = '\0';
            const sp_status status = find(home, text, &cluster);
            assert_true(status == SP_OK ? cluster->max_gpus >= 1 : home->err.message[0] != '\0');
            sp_arena_fini(&home->arena);
        }
    }
}

#define WITH_HOME(test) cmocka_unit_test_setup_teardown(test, tiny_setup, tiny_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_HOME(one_node_stands_on_the_fastest_link_of_its_gpu),
        WITH_HOME(counts_multiply_and_the_last_level_holds_every_gpu),
        WITH_HOME(a_family_name_means_the_generation_that_the_gpu_has),
        WITH_HOME(a_rate_is_per_gpu_in_bits_or_bytes),
        WITH_HOME(oversubscription_follows_an_at_sign),
        WITH_HOME(host_figures_are_those_of_the_usual_node_in_proportion),
        WITH_HOME(without_a_usual_node_host_figures_are_not_known),
        WITH_HOME(every_error_names_its_column_and_what_would_be_right),
        WITH_HOME(a_pool_list_is_not_yet_supported),
        WITH_HOME(any_text_is_read_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
