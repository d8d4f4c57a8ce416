/* SPDX-License-Identifier: Apache-2.0 */
/* Clusters from saved output of nvidia-smi, lstopo and sinfo: what counts, what is left out, and
 * what is refused. Whole examples are machines of tests/machines. */
#include "hardware_fixture.h"
#include "shardplan/discover.h"
#include "spec/spec.h"

typedef struct desk {
    char dir[64];
    char sinfo[96], smi[96], hwloc[96];
    sp_arena arena;
    sp_error err;
} desk;

static int setup(void **state)
{
    desk *d = calloc(1, sizeof *d);
    assert_non_null(d);
    (void)snprintf(d->dir, sizeof d->dir, "/tmp/shardplan-test-XXXXXX");
    assert_non_null(mkdtemp(d->dir));
    (void)snprintf(d->sinfo, sizeof d->sinfo, "%s/sinfo.txt", d->dir);
    (void)snprintf(d->smi, sizeof d->smi, "%s/smi.txt", d->dir);
    (void)snprintf(d->hwloc, sizeof d->hwloc, "%s/lstopo.xml", d->dir);
    *state = d;
    return 0;
}

static int teardown(void **state)
{
    desk *d = *state;
    (void)unlink(d->sinfo);
    (void)unlink(d->smi);
    (void)unlink(d->hwloc);
    (void)rmdir(d->dir);
    sp_arena_fini(&d->arena);
    free(d);
    return 0;
}

static void put(const char *file, const char *text)
{
    FILE *out = fopen(file, "w");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
}

/* Writes the texts that are not NULL and reads them. */
static sp_status discover(desk *d, const char *sinfo, const char *smi, const char *base,
                          const sp_cluster **cluster)
{
    sp_discover_files files = {.cluster = base};
    if (sinfo != NULL) {
        put(d->sinfo, sinfo);
        files.sinfo = d->sinfo;
    }
    if (smi != NULL) {
        put(d->smi, smi);
        files.nvidia_smi = d->smi;
    }
    d->err = (sp_error){0};
    return sp_cluster_from_files(&d->arena, source_tree(), &files, cluster, &d->err);
}

static const sp_cluster *discovered(desk *d, const char *sinfo, const char *smi, const char *base)
{
    const sp_cluster *cluster = NULL;
    if (discover(d, sinfo, smi, base, &cluster) != SP_OK) {
        fail_msg("%s: %s %s", d->err.file, d->err.message, d->err.value);
    }
    return cluster;
}

#define PAIR                                                                                       \
    "\tGPU0\tGPU1\tNIC0\tCPU Affinity\tNUMA Affinity\n"                                            \
    "GPU0\t X \tNV18\tPIX\t0-7\t0\n"                                                               \
    "GPU1\tNV18\t X \tNODE\t0-7\t0\n"                                                              \
    "NIC0\tPIX\tNODE\t X \n"

/* ---- hosts ---- */

static size_t expand(desk *d, const char *text, const char *hosts[16])
{
    size_t n = 0;
    const sp_status status = sp_hosts_expand(&d->arena, text, hosts, 16, &n, &d->err);
    return status == SP_OK ? n : 0;
}

static void a_bracket_of_hosts_is_one_name_a_number(void **state)
{
    const char *hosts[16];
    assert_int_equal(expand(*state, "gpu[08-10,3],login", hosts), 5);
    assert_string_equal(hosts[0], "gpu08");
    assert_string_equal(hosts[2], "gpu10");
    assert_string_equal(hosts[3], "gpu3");
    assert_string_equal(hosts[4], "login");
    assert_int_equal(expand(*state, "r[1-2]n[1-3]x", hosts), 6);
    assert_string_equal(hosts[0], "r1n1x");
    assert_string_equal(hosts[5], "r2n3x");
}

static void a_malformed_list_of_hosts_is_refused(void **state)
{
    static const char *const lists[] = {"gpu[1-", "gpu[]",    "gpu[a-b]", "gpu[3-1]",
                                        "a,,b",   "gpu[1;2]", "gpu[1-]",  "gpu[1-99]"};
    const char *hosts[16];
    desk *d = *state;
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        assert_int_equal(expand(d, lists[i], hosts), 0);
        assert_true(d->err.status == SP_E_SYNTAX || d->err.status == SP_E_RANGE);
    }
}

/* ---- sinfo ---- */

static void nodes_that_no_job_can_use_do_not_count(void **state)
{
    const sp_cluster *c = discovered(*state,
                                     "NODELIST GRES STATE\n"
                                     "n[1-4] gpu:h100:8(S:0-1) idle\n"
                                     "n5 gpu:h100:8 drained\n"
                                     "n6 gpu:h100:8 down*\n"
                                     "n7 gpu:h100:8 allocated*\n"
                                     "n8 gpu:h100:8 mixed$\n"
                                     "n9 gpu:h100:8 maint\n"
                                     "n10 gpu:h100:8 draining\n"
                                     "n11 gpu:h100:8 mixed+drain\n"
                                     "n12 gpu:h100:8 idle~\n"
                                     "login (null) idle\n",
                                     NULL, NULL);
    assert_int_equal(c->max_gpus, 5 * 8);
    assert_int_equal(c->node_gpus, 8);
    assert_string_equal(c->gpu->name, "h100-sxm");
    assert_non_null(strstr(c->source, "7 nodes left out"));
}

static void a_node_of_two_partitions_counts_once(void **state)
{
    const sp_cluster *c = discovered(*state,
                                     "PARTITION AVAIL TIMELIMIT NODES STATE GRES NODELIST\n"
                                     "gpu* up infinite 3 idle gpu:a100:4 n[1-3]\n"
                                     "long up infinite 2 idle gpu:a100:4 n[2-3]\n"
                                     "old up infinite 1 drain gpu:a100:4 n1\n",
                                     NULL, NULL);
    assert_int_equal(c->max_gpus, 2 * 4);
}

/* Three nodes of eight and one that lost a GPU: the odd one cannot stand in a regular layout. */
static void a_node_with_fewer_gpus_than_most_is_left_out(void **state)
{
    const sp_cluster *c = discovered(*state,
                                     "NODELIST STATE GRES\n"
                                     "n[1-3] idle gpu:a100:8\n"
                                     "n4 idle gpu:a100:7\n",
                                     NULL, NULL);
    assert_int_equal(c->node_gpus, 8);
    assert_int_equal(c->max_gpus, 24);
    assert_non_null(strstr(c->source, "1 node left out: fewer than 8 GPUs"));
}

static void nodes_of_an_odd_number_of_gpus_make_a_cluster(void **state)
{
    const sp_cluster *c = discovered(*state,
                                     "NODELIST STATE GRES\n"
                                     "n[1-5] idle gpu:h100:7\n",
                                     NULL, NULL);
    assert_int_equal(c->node_gpus, 7);
    assert_int_equal(c->max_gpus, 35);
    assert_int_equal(c->levels[0].n_gpus, 7);
}

static void several_kinds_of_gpu_need_a_cluster_that_says_which(void **state)
{
    static const char table[] = "NODELIST STATE GRES\n"
                                "a[1-3] idle gpu:a100:8\n"
                                "h[1-2] idle gpu:h100:8,nvme:1\n";
    const sp_cluster *c = NULL;
    desk *d = *state;
    assert_int_equal(discover(d, table, NULL, NULL, &c), SP_E_USAGE);
    assert_string_equal(d->err.file, d->sinfo);
    assert_int_equal(discovered(d, table, NULL, "dgx-h100")->max_gpus, 16);
    assert_int_equal(discovered(d, table, NULL, "dgx-a100")->max_gpus, 24);
    assert_int_equal(discover(d, table, NULL, "dgx-b200", &c), SP_E_USAGE);
}

/* A site's own word for its GPU: the cluster says what it is. */
static void a_kind_with_a_local_name_is_that_of_the_cluster(void **state)
{
    static const char table[] = "NODELIST STATE GRES\nn[1-3] idle gpu:bigones:4\n";
    const sp_cluster *c = NULL;
    desk *d = *state;
    assert_int_equal(discover(d, table, NULL, NULL, &c), SP_E_UNKNOWN_NAME);
    assert_string_equal(d->err.file, d->sinfo);
    c = discovered(d, table, NULL, "dgx-a100-40g");
    assert_string_equal(c->gpu->name, "a100-sxm-40g");
    assert_int_equal(c->max_gpus, 12);
    assert_int_equal(c->node_gpus, 4);
}

/* A rack of 18 trays is one NVLink domain; no file of a node can show it, the cluster does. */
static void domains_above_a_node_are_those_of_the_cluster(void **state)
{
    const sp_cluster *c =
        discovered(*state, "NODELIST STATE GRES\nt[01-36] idle gpu:gb200:4\n", NULL, "gb200-nvl72");
    assert_int_equal(c->max_gpus, 144);
    assert_int_equal(c->n_levels, 3);
    assert_int_equal(c->levels[0].n_gpus, 4);
    assert_int_equal(c->levels[1].n_gpus, 72);
    assert_true(c->levels[1].bytes_per_s == 900e9);
}

/* ---- nvidia-smi ---- */

static void a_matrix_gives_domains_and_ports(void **state)
{
    const sp_cluster *c =
        discovered(*state, "NODELIST STATE GRES\nn[1-3] idle gpu:h100:2\n", PAIR, NULL);
    assert_int_equal(c->levels[0].n_gpus, 2);
    assert_string_equal(c->levels[0].link, "nvlink4");
    assert_true(c->levels[1].bytes_per_s == 25e9); /* one port of 400 Gb/s for two GPUs */
    assert_int_equal(c->max_gpus, 6);
}

static void gpus_without_nvlink_meet_on_pcie(void **state)
{
    const sp_cluster *c = discovered(*state, NULL,
                                     "\tGPU0\tGPU1\tGPU2\tGPU3\tCPU Affinity\n"
                                     "GPU0\t X \tPIX\tSYS\tSYS\t0\n"
                                     "GPU1\tPIX\t X \tSYS\tSYS\t0\n"
                                     "GPU2\tSYS\tSYS\t X \tPXB\t1\n"
                                     "GPU3\tSYS\tSYS\tPXB\t X \t1\n",
                                     "l40s-8");
    assert_string_equal(c->levels[0].link, "pcie4");
    assert_int_equal(c->levels[0].n_gpus, 2);
    assert_string_equal(c->levels[1].link, "pcie4-host");
    assert_int_equal(c->levels[1].n_gpus, 4);
    assert_int_equal(c->n_levels, 3);
    assert_int_equal(c->max_gpus, UINT32_MAX);
}

/* Four and two GPUs: domains of two are in both. */
static void uneven_domains_count_by_their_common_size(void **state)
{
    const sp_cluster *c = discovered(*state, NULL,
                                     "\tGPU0\tGPU1\tGPU2\tGPU3\tGPU4\tGPU5\tCPU Affinity\n"
                                     "GPU0\t X \tNV4\tNV4\tNV4\tSYS\tSYS\t0\n"
                                     "GPU1\tNV4\t X \tNV4\tNV4\tSYS\tSYS\t0\n"
                                     "GPU2\tNV4\tNV4\t X \tNV4\tSYS\tSYS\t0\n"
                                     "GPU3\tNV4\tNV4\tNV4\t X \tSYS\tSYS\t0\n"
                                     "GPU4\tSYS\tSYS\tSYS\tSYS\t X \tNV4\t0\n"
                                     "GPU5\tSYS\tSYS\tSYS\tSYS\tNV4\t X \t0\n",
                                     "8xA100,4xib-hdr");
    assert_int_equal(c->levels[0].n_gpus, 2);
    assert_int_equal(c->levels[1].n_gpus, 6);
    assert_string_equal(c->levels[1].link, "pcie4");
    assert_non_null(strstr(c->source, "join 2 to 4 GPUs of a node; domains of 2 count"));
}

/* ---- what is refused ---- */

typedef struct bad_files {
    const char *sinfo, *smi;
    sp_status status;
    int line;
    const char *says;
} bad_files;

static const bad_files bad[] = {
    {"",                                              NULL,                                             SP_E_INCONSISTENT, 0, "no node with a GPU"          },
    {"NODELIST STATE\n",                              NULL,                                             SP_E_INCONSISTENT, 0, "no node with a GPU"          },
    {"NODELIST STATE GRES\nn1 idle (null)\n",         NULL,                                             SP_E_INCONSISTENT, 0, "no node with a GPU"          },
    {"n1 idle gpu:h100:8\n",                          NULL,                                             SP_E_SYNTAX,       1, "head the columns"            },
    {"NODELIST GRES\nn1 gpu:h100:8\n",                NULL,                                             SP_E_SYNTAX,       1, "head the columns"            },
    {"NODELIST STATE GRES\nn1 idle\n",                NULL,                                             SP_E_SYNTAX,       2, "not as many words"           },
    {"NODELIST STATE GRES\nn1 sleepy gpu:h100:8\n",   NULL,                                             SP_E_UNKNOWN_NAME, 2, "begins so"                   },
    {"NODELIST STATE GRES\nn1 idle gpu:h100:\n",      NULL,                                             SP_E_SYNTAX,       2, "gpu:KIND:COUNT"              },
    {"NODELIST STATE GRES\nn1 idle gpu:h100:8x\n",    NULL,                                             SP_E_SYNTAX,       2, "gpu:KIND:COUNT"              },
    {"NODELIST STATE GRES\nn1 idle gpu:h100:0\n",     NULL,                                             SP_E_RANGE,        2, "out of range"                },
    {"NODELIST STATE GRES\nn1 idle gpu:h100:99999\n", NULL,                                             SP_E_RANGE,        2, "out of range"                },
    {"NODELIST STATE GRES\n\nn[1 idle gpu:h100:8\n",  NULL,                                             SP_E_SYNTAX,       3, "not closed"                  },
    {"NODELIST STATE GRES\nn1 down gpu:h100:8\n",     NULL,                                             SP_E_INCONSISTENT, 0, "no node is usable"           },
    {"NODELIST STATE GRES\nn1 idle gpu:h100:8\n",     PAIR,                                             SP_E_INCONSISTENT, 0, "2 GPUs a node"               },
    {"NODELIST STATE GRES\nn1 idle gpu:8\n",          NULL,                                             SP_E_USAGE,        0, "do not say which GPU"        },
    {NULL,                                            "",                                               SP_E_SYNTAX,       0, "not the output of nvidia-smi"},
    {NULL,                                            "nvidia-smi: command not found\n",                SP_E_SYNTAX,       0, "not the output"              },
    {NULL,                                            "\tGPU0\tGPU1\nGPU0\t X \tNV4\n",                 SP_E_SYNTAX,       0, "1 rows of GPUs, 2 columns"   },
    {NULL,                                            "\tGPU0\tGPU1\nGPU0\t X \n",                      SP_E_SYNTAX,       2, "shorter than the header"     },
    {NULL,                                            "\tGPU0\tGPU1\nGPU0\t X \tNEAR\n",                SP_E_UNKNOWN_NAME, 2, "called so"                   },
    {NULL,                                            "\tGPU0\tGPU1\nGPU0\tNV4\t X \n",                 SP_E_UNKNOWN_NAME, 2, "called so"                   },
    {NULL,                                            "\tGPU0\tGPU1\nGPU1\t X \tNV4\n",                 SP_E_SYNTAX,       2, "not those of the header"     },
    {NULL,                                            "\tGPU0\tNIC0\tGPU1\n",                           SP_E_SYNTAX,       1, "before the network ports"    },
    {NULL,                                            "\tGPU0\tGPU1\nGPU0\t X \tNV4\nGPU1\tSYS\t X \n", SP_E_INCONSISTENT, 0, "otherwise"                   },
    {NULL,                                            PAIR,                                             SP_E_USAGE,        0, "do not say which GPU"        },
};

static void bad_files_are_refused_with_the_place(void **state)
{
    desk *d = *state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const sp_cluster *cluster = NULL;
        const sp_status status = discover(d, bad[i].sinfo, bad[i].smi, NULL, &cluster);
        if (status != bad[i].status || strstr(d->err.message, bad[i].says) == NULL ||
            d->err.line != bad[i].line) {
            fail_msg("case %zu: %d line %d: %s", i, (int)status, d->err.line, d->err.message);
        }
    }
}

static void a_part_without_the_link_that_the_matrix_shows_is_refused(void **state)
{
    const sp_cluster *c = NULL;
    desk *d = *state;
    assert_int_equal(discover(d, NULL, PAIR, "2xL40S,2xroce-200", &c), SP_E_INCONSISTENT);
    assert_string_equal(d->err.file, d->smi);
    assert_non_null(strstr(d->err.value, "nvlink"));
}

static void missing_files_are_io_failures(void **state)
{
    const sp_discover_files files[] = {{.sinfo = "/nowhere/sinfo"}, {.nvidia_smi = "/nowhere/smi"}};
    desk *d = *state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        const sp_cluster *c = NULL;
        assert_int_equal(sp_cluster_from_files(&d->arena, source_tree(), &files[i], &c, &d->err),
                         SP_E_IO);
    }
}

static void a_file_that_is_no_xml_of_lstopo_is_refused(void **state)
{
    desk *d = *state;
    const sp_discover_files files = {.hwloc = d->hwloc};
    const sp_cluster *c = NULL;
    put(d->hwloc, "Machine (512GB total)\n");
    const sp_status status = sp_cluster_from_files(&d->arena, source_tree(), &files, &c, &d->err);
    assert_int_equal(status, SHARDPLAN_HWLOC ? SP_E_SYNTAX : SP_E_NOT_YET);
    assert_string_equal(d->err.file, d->hwloc);
}

/* The node of tests/machines/lstopo-a100 has four A100, 512 GiB and two ports. */
static void lstopo_gives_gpus_ports_and_memory(void **state)
{
    desk *d = *state;
    const sp_cluster *c = NULL;
    sp_discover_files files = {
        .hwloc =
            sp_arena_printf(&d->arena, "%s/tests/machines/lstopo-a100/lstopo.xml", source_tree())};
    if (!SHARDPLAN_HWLOC) {
        skip();
    }
    assert_int_equal(sp_cluster_from_files(&d->arena, source_tree(), &files, &c, &d->err), SP_OK);
    assert_string_equal(c->gpu->name, "a100-sxm-40g");
    assert_int_equal(c->node_gpus, 4);
    assert_true(c->host_memory_bytes == 512.0 * 1073741824.0);
    assert_true(c->levels[1].bytes_per_s == 12.5e9); /* two ports of 200 Gb/s for four GPUs */
    files.cluster = "dgx-h100";
    assert_int_equal(sp_cluster_from_files(&d->arena, source_tree(), &files, &c, &d->err),
                     SP_E_INCONSISTENT);
    assert_non_null(strstr(d->err.message, "a100-sxm-40g where --cluster has h100-sxm"));
}

static void every_failed_allocation_is_reported(void **state)
{
    desk *d = *state;
    const sp_cluster *c = NULL;
    sp_status status = SP_E_MEMORY;
    for (uint64_t n = 1; status != SP_OK; n++) {
        sp_arena_fini(&d->arena);
        sp_alloc_fail_at(n);
        status = discover(d, "NODELIST STATE GRES\nn[1-3] idle gpu:h100:2\n", PAIR, NULL, &c);
        sp_alloc_fail_at(0);
        assert_true(status == SP_OK || status == SP_E_MEMORY);
    }
}

#define WITH_DESK(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DESK(a_bracket_of_hosts_is_one_name_a_number),
        WITH_DESK(a_malformed_list_of_hosts_is_refused),
        WITH_DESK(nodes_that_no_job_can_use_do_not_count),
        WITH_DESK(a_node_of_two_partitions_counts_once),
        WITH_DESK(a_node_with_fewer_gpus_than_most_is_left_out),
        WITH_DESK(nodes_of_an_odd_number_of_gpus_make_a_cluster),
        WITH_DESK(several_kinds_of_gpu_need_a_cluster_that_says_which),
        WITH_DESK(a_kind_with_a_local_name_is_that_of_the_cluster),
        WITH_DESK(domains_above_a_node_are_those_of_the_cluster),
        WITH_DESK(a_matrix_gives_domains_and_ports),
        WITH_DESK(gpus_without_nvlink_meet_on_pcie),
        WITH_DESK(uneven_domains_count_by_their_common_size),
        WITH_DESK(bad_files_are_refused_with_the_place),
        WITH_DESK(a_part_without_the_link_that_the_matrix_shows_is_refused),
        WITH_DESK(missing_files_are_io_failures),
        WITH_DESK(a_file_that_is_no_xml_of_lstopo_is_refused),
        WITH_DESK(lstopo_gives_gpus_ports_and_memory),
        WITH_DESK(every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
