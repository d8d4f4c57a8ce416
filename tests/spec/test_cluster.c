/* SPDX-License-Identifier: Apache-2.0 */
/* Cluster files, and the machines of tests/machines: a folder each with a cluster.json, a
 * topology.txt or saved output, and the summary.txt that a person has checked. */
#include "hardware_fixture.h"
#include "shardplan/discover.h"

static sp_status find(tiny_home *home, const char *ref, const sp_cluster **cluster)
{
    return sp_cluster_find(&home->arena, home->dir, ref, cluster, &home->err);
}

static void a_cluster_is_a_node_and_the_levels_above_it(void **state)
{
    const sp_cluster *cluster = NULL;
    assert_int_equal(find(*state, "the-yard", &cluster), SP_OK);
    assert_string_equal(cluster->name, "yard");
    assert_string_equal(cluster->gpu->name, "tiny");
    assert_int_equal(cluster->node_gpus, 4);
    assert_int_equal(cluster->n_levels, 3);
    assert_int_equal(cluster->levels[0].n_gpus, 4);
    assert_int_equal(cluster->levels[1].n_gpus, 16);
    assert_int_equal(cluster->levels[2].n_gpus, UINT32_MAX);
    assert_int_equal(cluster->max_gpus, UINT32_MAX);
    assert_string_equal(cluster->levels[1].label, "row");
    assert_true(cluster->host_memory_bytes == 8589934592.0);
    assert_string_equal(cluster->source, "made up");
}

/* Two ports of 10 GB/s for four GPUs: 5 GB/s each, and half the message for half the rate. */
static void network_ports_are_shared_by_the_gpus_of_a_node(void **state)
{
    const sp_cluster *cluster = NULL;
    assert_int_equal(find(*state, "yard", &cluster), SP_OK);
    assert_true(cluster->levels[0].bytes_per_s == 40e9);
    assert_true(cluster->levels[1].bytes_per_s == 5e9);
    assert_true(cluster->levels[1].half_bytes == 2e6);
    assert_true(cluster->levels[1].oversubscription == 1.0);
    assert_true(cluster->levels[2].oversubscription == 2.0);
}

static void a_count_on_the_last_level_caps_the_cluster(void **state)
{
    tiny_home *home = *state;
    const sp_cluster *cluster = NULL;
    tiny_spoil(home, "clusters/yard", yard_cluster, "\"yard\", \"over",
               "\"yard\", \"gpus\": 64, \"over");
    assert_int_equal(find(home, "yard", &cluster), SP_OK);
    assert_int_equal(cluster->max_gpus, 64);
    assert_int_equal(cluster->levels[2].n_gpus, UINT32_MAX);
}

static void a_price_of_the_node_replaces_that_of_the_gpu(void **state)
{
    tiny_home *home = *state;
    const sp_cluster *cluster = NULL;
    tiny_spoil(home, "nodes/box", box_node, "\"gpus\": 4,\n",
               "\"gpus\": 4, \"price\": " FIGURE("0.5", "USD/hour") ",\n");
    assert_int_equal(find(home, "yard", &cluster), SP_OK);
    assert_true(cluster->gpu->usd_per_hour == 0.5);
}

static void a_file_may_hold_its_node_and_is_found_by_path(void **state)
{
    tiny_home *home = *state;
    const sp_cluster *cluster = NULL;
    char path[160];
    tiny_path(home, "clusters/yard", path);
    tiny_spoil(home, "clusters/yard", yard_cluster, "\"box\"", box_node);
    assert_int_equal(find(home, path, &cluster), SP_OK);
    assert_int_equal(cluster->node_gpus, 4);
    assert_int_equal(find(home, "/nowhere/yard.json", &cluster), SP_E_IO);
}

/* The rates of a host need not be known: a node that is silent has none of them. */
static void a_host_may_state_its_memory_rate_and_local_storage(void **state)
{
    tiny_home *home = *state;
    const sp_cluster *cluster = NULL;
    assert_int_equal(find(home, "yard", &cluster), SP_OK);
    assert_true(cluster->host_memory_bytes_per_s == 0.0);
    assert_true(cluster->nvme_bytes == 0.0 && cluster->nvme_bytes_per_s == 0.0);
    tiny_spoil(home, "nodes/box", box_node, "\"gpus\": 4,\n",
               "\"gpus\": 4, \"host_memory_bandwidth\": " FIGURE(
                   "300", "GB/s") ",\n"
                                  "\"nvme\": " FIGURE("15", "TB") ", \"nvme_bandwidth\": " FIGURE(
                                      "6", "GB/s") ",\n");
    assert_int_equal(find(home, "yard", &cluster), SP_OK);
    assert_true(cluster->host_memory_bytes_per_s == 300e9);
    assert_true(cluster->nvme_bytes == 15e12 && cluster->nvme_bytes_per_s == 6e9);
    assert_true(cluster->host_link_bytes_per_s == 5e9);
}

/* Two of four GPUs: half of the memory, of its rate and of the drives; the link is each GPU's own.
 */
static void a_typed_node_has_its_share_of_the_usual_host(void **state)
{
    tiny_home *home = *state;
    const sp_cluster *cluster = NULL;
    tiny_spoil(home, "nodes/box", box_node, "\"gpus\": 4,\n",
               "\"gpus\": 4, \"host_memory_bandwidth\": " FIGURE(
                   "300", "GB/s") ",\n"
                                  "\"nvme\": " FIGURE("15", "TB") ", \"nvme_bandwidth\": " FIGURE(
                                      "6", "GB/s") ",\n");
    assert_int_equal(find(home, "2xtiny", &cluster), SP_OK);
    assert_true(cluster->host_memory_bytes == 4294967296.0);
    assert_true(cluster->host_memory_bytes_per_s == 150e9);
    assert_true(cluster->nvme_bytes == 7.5e12 && cluster->nvme_bytes_per_s == 3e9);
    assert_true(cluster->host_link_bytes_per_s == 5e9);
}

static void an_unknown_cluster_is_told_the_nearest(void **state)
{
    tiny_home *home = *state;
    const sp_cluster *cluster = NULL;
    assert_int_equal(find(home, "yrad", &cluster), SP_E_UNKNOWN_NAME);
    assert_string_equal(home->err.nearest, "yard");
}

typedef struct bad_file {
    const char *old, *new;
    sp_status status;
    const char *path;
} bad_file;

static const bad_file bad_clusters[] = {
    {"\"gpus\": 16",                       "\"gpus\": 4",                             SP_E_INCONSISTENT, "/levels/0"                       },
    {"\"gpus\": 16",                       "\"gpus\": 18",                            SP_E_INCONSISTENT, "/levels/0"                       },
    {"\"gpus\": 16",                       "\"gpus\": 0",                             SP_E_RANGE,        "/levels/0/gpus"                  },
    {", \"gpus\": 16",                     "",                                        SP_E_INCONSISTENT, "/levels/1"                       },
    {"\"value\": 2",                       "\"value\": 0.5",                          SP_E_RANGE,        "/levels/1/oversubscription/value"},
    {"\"label\": \"row\", ",               "",                                        SP_E_MISSING_KEY,  "/levels/0"                       },
    {"\"label\": \"row\"",                 "\"label\": \"row\", \"link\": \"wire1\"", SP_E_INCONSISTENT, ""                                },
    {"\"label\": \"row\"",                 "\"label\": \"row\", \"link\": \"cabel\"", SP_E_UNKNOWN_NAME, ""                                },
    {"\"node\": \"box\"",                  "\"node\": \"bxo\"",                       SP_E_UNKNOWN_NAME, ""                                },
    {"\"node\": \"box\"",                  "\"node\": 4",                             SP_E_TYPE,         "/node"                           },
    {"\"node\": \"box\",",                 "",                                        SP_E_MISSING_KEY,  ""                                },
    {"{\"label\": \"row\", \"gpus\": 16}", "16",                                      SP_E_TYPE,         "/levels/0"                       },
    {"{\"label\": \"row\", \"gpus\": 16}", "{}, {}, {}",                              SP_E_RANGE,        "/levels"                         },
    {",\n \"source\": \"made up\"}",       "}",                                       SP_E_MISSING_KEY,  ""                                },
    {"\"levels\"",                         "\"level\"",                               SP_E_UNKNOWN_KEY,  "/level"                          },
    {"cluster/1",                          "node/1",                                  SP_E_UNKNOWN_NAME, "/schema"                         },
};

static void a_bad_cluster_is_refused_with_the_place(void **state)
{
    tiny_home *home = *state;
    for (size_t i = 0; i < sizeof bad_clusters / sizeof bad_clusters[0]; i++) {
        const bad_file *bad = &bad_clusters[i];
        const sp_cluster *cluster = NULL;
        tiny_spoil(home, "clusters/yard", yard_cluster, bad->old, bad->new);
        const sp_status status = find(home, "yard", &cluster);
        if (status != bad->status || strcmp(home->err.path, bad->path) != 0) {
            fail_msg("%s: %d %s: %s", bad->new, (int)status, home->err.path, home->err.message);
        }
        assert_non_null(strstr(home->err.file, "clusters/yard.json"));
    }
}

static const bad_file bad_nodes[] = {
    {"\"gpus\": 4}",                                         "\"gpus\": 0}",                                                    SP_E_RANGE,           "/levels/0/gpus"                                                                             },
    {                                                                                                                                                        ", \"gpus\": 4}",                                                   "}",                                                  SP_E_MISSING_KEY,          "/levels/0"                                                                                             },
    {                                                                                               "{\"label\": \"board\", \"link\": \"wire2\", \"gpus\": 4}",                                            "",                                                                                                    SP_E_RANGE,                     "/levels"                                                                       },
    {                                                                                                            "\"link\": \"wire2\", ",                                           "",                                                                                                            SP_E_MISSING_KEY,                                                                                                                   "/levels/0"                          },
    {                                          "\"ports\": 2",                                                      "\"ports\": 0",                                                                                                     SP_E_RANGE,                                                                  "/network/ports"                                                                          },
    {                                                                                                                                                      "\"gpu\": \"tiny\"",                                    "\"gpu\": \"tinny\"",                                                                    SP_E_UNKNOWN_NAME, ""},
    {                                                                                                                 "\"unit\": \"GiB\"",                 "\"unit\": \"W\"",                                                                       SP_E_UNKNOWN_NAME,                                                                           "/host_memory/unit"                                       },
    { "\"gpus\": 4,\n", "\"gpus\": 4, \"nvme\": " FIGURE("15", "TB") ",\n",                                                                                                                               SP_E_MISSING_KEY,                                                                                                                                                                                               ""},
    {                                                                                                                                                                              "\"gpus\": 4,\n",                                                       "\"gpus\": 4, \"host_memory_bandwidth\": " FIGURE("1",                                                                                             "TB") ",\n",
     SP_E_UNKNOWN_NAME,                                                                                                                                                                         "/host_memory_bandwidth/unit"},
};

static void a_bad_node_is_refused_with_the_place(void **state)
{
    tiny_home *home = *state;
    for (size_t i = 0; i < sizeof bad_nodes / sizeof bad_nodes[0]; i++) {
        const bad_file *bad = &bad_nodes[i];
        const sp_cluster *cluster = NULL;
        tiny_spoil(home, "nodes/box", box_node, bad->old, bad->new);
        const sp_status status = find(home, "yard", &cluster);
        if (status != bad->status || strcmp(home->err.path, bad->path) != 0) {
            fail_msg("%s: %d %s: %s", bad->new, (int)status, home->err.path, home->err.message);
        }
        assert_non_null(strstr(home->err.file, "nodes/box.json"));
    }
}

static void summarise_level(const sp_level *level, sp_text *out)
{
    sp_text_printf(out, "%s, %s: ", level->label, level->link);
    if (level->n_gpus == UINT32_MAX) {
        sp_text_add(out, "all GPUs");
    } else {
        sp_text_printf(out, "%u GPUs", level->n_gpus);
    }
    sp_text_printf(out, ", %g GB/s a GPU x %g", level->bytes_per_s / 1e9, level->efficiency_ratio);
    if (level->oversubscription > 1.0) {
        sp_text_printf(out, " / %g", level->oversubscription);
    }
    sp_text_printf(out, ", %g us + %g us a step, half at %g MB\n", level->base_s * 1e6,
                   level->latency_s * 1e6, level->half_bytes / 1e6);
}

static void summarise(const sp_cluster *cluster, sp_text *out)
{
    sp_text_printf(out, "%s: %u %s a node", cluster->name, cluster->node_gpus, cluster->gpu->name);
    if (cluster->max_gpus == UINT32_MAX) {
        sp_text_add(out, ", any number of GPUs\n");
    } else {
        sp_text_printf(out, ", at most %u GPUs\n", cluster->max_gpus);
    }
    for (uint32_t i = 0; i < cluster->n_levels; i++) {
        summarise_level(&cluster->levels[i], out);
    }
    sp_text_printf(out, "host: %g GiB a node at %g GB/s, %g GB/s a GPU\n",
                   cluster->host_memory_bytes / 1073741824.0,
                   cluster->host_memory_bytes_per_s / 1e9, cluster->host_link_bytes_per_s / 1e9);
    sp_text_printf(out, "local storage: %g TB a node at %g GB/s\n", cluster->nvme_bytes / 1e12,
                   cluster->nvme_bytes_per_s / 1e9);
    sp_text_printf(out, "source: %s\n", cluster->source);
}

/* The path of a file of the machine, or NULL if it has none such. */
static const char *machine_file(sp_arena *arena, const char *dir, const char *name)
{
    const char *file = sp_arena_printf(arena, "%s/%s", dir, name);
    return sp_file_exists(file) ? file : NULL;
}

/* The line in topology.txt; NULL if there is none. */
static const char *machine_line(sp_arena *arena, const char *dir)
{
    sp_error err = {0};
    sp_text text = {0};
    const char *file = machine_file(arena, dir, "topology.txt");
    if (file == NULL) {
        return NULL;
    }
    assert_int_equal(sp_file_read(file, 1024, &text, &err), SP_OK);
    const char *ref = sp_arena_printf(arena, "%.*s", (int)strcspn(text.data, "\n"), text.data);
    sp_text_fini(&text);
    return ref;
}

/* A folder of tests/machines holds a cluster file, a line that names or describes a cluster, or
 * what the tools of a cluster printed; then the line stands for --cluster. */
static const sp_cluster *load_machine(sp_arena *arena, const char *dir)
{
    sp_error err = {0};
    const sp_cluster *cluster = NULL;
    const char *file = machine_file(arena, dir, "cluster.json");
    const sp_discover_files files = {.nvidia_smi = machine_file(arena, dir, "nvidia-smi.txt"),
                                     .hwloc = machine_file(arena, dir, "lstopo.xml"),
                                     .sinfo = machine_file(arena, dir, "sinfo.txt"),
                                     .cluster = machine_line(arena, dir)};
    const sp_status status =
        sp_discover_any(&files)
            ? sp_cluster_from_files(arena, source_tree(), &files, &cluster, &err)
            : sp_cluster_find(arena, source_tree(), file != NULL ? file : files.cluster, &cluster,
                              &err);
    if (status != SP_OK) {
        fail_msg("%s: %s %s", dir, err.file, err.message);
    }
    return cluster;
}

static void check_machine(const char *name)
{
    sp_arena arena = {0};
    sp_error err = {0};
    sp_text summary = {0};
    sp_text expected = {0};
    const char *dir = sp_arena_printf(&arena, "%s/tests/machines/%s", source_tree(), name);
    if (!SHARDPLAN_HWLOC && machine_file(&arena, dir, "lstopo.xml") != NULL) {
        sp_arena_fini(&arena);
        return;
    }
    summarise(load_machine(&arena, dir), &summary);
    assert_int_equal(
        sp_file_read(sp_arena_printf(&arena, "%s/summary.txt", dir), 65536, &expected, &err),
        SP_OK);
    assert_string_equal(summary.data, expected.data);
    sp_text_fini(&summary);
    sp_text_fini(&expected);
    sp_arena_fini(&arena);
}

static void every_machine_reads_as_its_summary(void **state)
{
    sp_arena arena = {0};
    sp_error err = {0};
    const char *const *machines = NULL;
    size_t n_machines = 0;
    const char *dir = sp_arena_printf(&arena, "%s/tests/machines", source_tree());
    (void)state;
    assert_int_equal(sp_dir_names(&arena, dir, "", &machines, &n_machines, &err), SP_OK);
    size_t n_checked = 0;
    for (size_t i = 0; i < n_machines; i++) {
        if (sp_file_exists(sp_arena_printf(&arena, "%s/%s/summary.txt", dir, machines[i]))) {
            check_machine(machines[i]);
            n_checked++;
        }
    }
    assert_true(n_checked >= 13);
    sp_arena_fini(&arena);
}

#define WITH_HOME(test) cmocka_unit_test_setup_teardown(test, tiny_setup, tiny_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_HOME(a_cluster_is_a_node_and_the_levels_above_it),
        WITH_HOME(network_ports_are_shared_by_the_gpus_of_a_node),
        WITH_HOME(a_count_on_the_last_level_caps_the_cluster),
        WITH_HOME(a_price_of_the_node_replaces_that_of_the_gpu),
        WITH_HOME(a_file_may_hold_its_node_and_is_found_by_path),
        WITH_HOME(a_host_may_state_its_memory_rate_and_local_storage),
        WITH_HOME(a_typed_node_has_its_share_of_the_usual_host),
        WITH_HOME(an_unknown_cluster_is_told_the_nearest),
        WITH_HOME(a_bad_cluster_is_refused_with_the_place),
        WITH_HOME(a_bad_node_is_refused_with_the_place),
        cmocka_unit_test(every_machine_reads_as_its_summary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
