/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A tiny hardware folder with round numbers: one GPU, two links, one node, one cluster. Tests spoil
 * one text of it at a time. */
#include "base/base.h"
#include "shardplan/cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>

#define FROM                "\"source\": \"made up\", \"date\": \"2026-01-31\"}"
#define FIGURE(value, unit) "{\"value\": " value ", \"unit\": \"" unit "\", " FROM

static const char tiny_gpu[] =
    "{\n"
    "  \"schema\": \"shardplan/gpu/1\", \"name\": \"tiny\", \"aliases\": [\"Tiny 1GB\"],\n"
    "  \"links\": [\"wire2\"], \"typical_node\": \"box\",\n"
    "  \"memory\": " FIGURE(
        "2",
        "GiB") ",\n"
               "  \"memory_bandwidth\": " FIGURE(
                   "100",
                   "GB/s") ",\n"
                           "  \"context\": " FIGURE(
                               "16",
                               "MiB") ",\n"
                                      "  \"power\": " FIGURE(
                                          "50",
                                          "W") ",\n"
                                               "  \"price\": " FIGURE(
                                                   "0.25",
                                                   "USD/hour") ",\n"
                                                               "  \"peak\": {\"bf16\": " FIGURE(
                                                                   "1.5",
                                                                   "TFLOP/s") "},\n"
                                                                              "  \"stream\": "
                                                                              "{\"value\": "
                                                                              "{\"memory_ratio\": "
                                                                              "0.5, \"launch_s\": "
                                                                              "1e-6}, " FROM ",\n"
                                                                              "  \"gemm\": "
                                                                              "{\"bf16\": "
                                                                              "{\"value\": "
                                                                              "{\"efficiency_"
                                                                              "ratio\": 0.75, "
                                                                              "\"memory_ratio\": "
                                                                              "0.5,\n"
                                                                              "    \"launch_s\": "
                                                                              "2e-6, \"m_half\": "
                                                                              "1, \"n_half\": 2, "
                                                                              "\"k_half\": "
                                                                              "3}, " FROM "},\n"
                                                                              "  \"grouped\": {},\n"
                                                                              "  \"attention\": "
                                                                              "{\"value\": "
                                                                              "{\"efficiency_"
                                                                              "ratio\": 0.5, "
                                                                              "\"sequence_half\": "
                                                                              "100,\n"
                                                                              "    "
                                                                              "\"head_dim_64_"
                                                                              "ratio\": 0.75, "
                                                                              "\"backward_flops_"
                                                                              "ratio\": 1.25, "
                                                                              "\"launch_s\": "
                                                                              "4e-6}, " FROM "\n"
                                                                              "}\n";

#define LINK(name, family, port, rate)                                                             \
    "{\"schema\": \"shardplan/link/1\", \"name\": \"" name "\", \"family\": \"" family "\",\n"     \
    " \"label\": \"" family "s\", \"port\": \"" port "\", \"bandwidth\": " FIGURE(                 \
        rate, "GB/s") ",\n"                                                                        \
                      " \"efficiency\": " FIGURE("0.5", "ratio") ", \"latency\": " FIGURE(         \
                          "2", "us") ",\n"                                                         \
                                     " \"half_message\": " FIGURE("4", "MB") ", \"base\": " FIGURE("5", "us") "}\n"

static const char wire1_link[] = LINK("wire1", "wire", "gpu", "20");
static const char wire2_link[] = LINK("wire2", "wire", "gpu", "40");
static const char cable_link[] = LINK("cable", "cable", "node", "10");

static const char box_node[] =
    "{\"schema\": \"shardplan/node/1\", \"name\": \"box\", \"gpu\": \"tiny\", \"gpus\": 4,\n"
    " \"levels\": [{\"label\": \"board\", \"link\": \"wire2\", \"gpus\": 4}],\n"
    " \"network\": {\"link\": \"cable\", \"ports\": 2},\n"
    " \"host_memory\": " FIGURE("8", "GiB") ", \"host_link\": " FIGURE("5", "GB/s") "}\n";

static const char yard_cluster[] =
    "{\"schema\": \"shardplan/cluster/1\", \"name\": \"yard\", \"aliases\": [\"The Yard\"],\n"
    " \"node\": \"box\",\n"
    " \"levels\": [{\"label\": \"row\", \"gpus\": 16},\n"
    "  {\"label\": \"yard\", \"oversubscription\": " FIGURE("2",
                                                            "ratio") "}],\n"
                                                                     " \"source\": \"made up\"}\n";

typedef struct tiny_home {
    char dir[64];
    sp_arena arena;
    sp_error err;
} tiny_home;

static const char *const tiny_dirs[] = {
    "", "/hardware", "/hardware/gpus", "/hardware/links", "/hardware/nodes", "/hardware/clusters"};
static const struct {
    const char *path, *text;
} tiny_files[] = {
    {"gpus/tiny",     tiny_gpu    },
    {"links/wire1",   wire1_link  },
    {"links/wire2",   wire2_link  },
    {"links/cable",   cable_link  },
    {"nodes/box",     box_node    },
    {"clusters/yard", yard_cluster},
};

static inline void tiny_path(const tiny_home *home, const char *path, char out[160])
{
    (void)snprintf(out, 160, "%s/hardware/%s.json", home->dir, path);
}

/* Writes HOME/hardware/PATH.json. */
static inline void tiny_put(const tiny_home *home, const char *path, const char *text)
{
    char file[160];
    tiny_path(home, path, file);
    FILE *out = fopen(file, "w");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
}

/* Writes the text with its first `old` replaced, which must be there. */
static inline void tiny_spoil(const tiny_home *home, const char *path, const char *text,
                              const char *old, const char *new)
{
    const char *at = strstr(text, old);
    assert_non_null(at);
    sp_text spoilt = {0};
    sp_text_add_n(&spoilt, text, (size_t)(at - text));
    sp_text_add(&spoilt, new);
    sp_text_add(&spoilt, at + strlen(old));
    tiny_put(home, path, spoilt.data);
    sp_text_fini(&spoilt);
}

static inline int tiny_setup(void **state)
{
    tiny_home *home = calloc(1, sizeof *home);
    assert_non_null(home);
    (void)snprintf(home->dir, sizeof home->dir, "/tmp/shardplan-test-XXXXXX");
    assert_non_null(mkdtemp(home->dir));
    for (size_t i = 1; i < sizeof tiny_dirs / sizeof tiny_dirs[0]; i++) {
        char dir[160];
        (void)snprintf(dir, sizeof dir, "%s%s", home->dir, tiny_dirs[i]);
        assert_int_equal(mkdir(dir, 0700), 0);
    }
    for (size_t i = 0; i < sizeof tiny_files / sizeof tiny_files[0]; i++) {
        tiny_put(home, tiny_files[i].path, tiny_files[i].text);
    }
    *state = home;
    return 0;
}

/* Removes what tiny_setup made, and the file "gpus/other" that some tests add. */
static inline int tiny_teardown(void **state)
{
    tiny_home *home = *state;
    char path[160];
    tiny_path(home, "gpus/other", path);
    (void)unlink(path);
    for (size_t i = 0; i < sizeof tiny_files / sizeof tiny_files[0]; i++) {
        tiny_path(home, tiny_files[i].path, path);
        (void)unlink(path);
    }
    for (size_t i = sizeof tiny_dirs / sizeof tiny_dirs[0]; i-- > 0;) {
        (void)snprintf(path, sizeof path, "%s%s", home->dir, tiny_dirs[i]);
        (void)rmdir(path);
    }
    sp_arena_fini(&home->arena);
    free(home);
    return 0;
}

/* The checkout. */
static inline const char *source_tree(void)
{
    const char *home = getenv("SHARDPLAN_HOME");
    assert_non_null(home);
    return home;
}
