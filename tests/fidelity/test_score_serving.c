/* SPDX-License-Identifier: Apache-2.0 */
/* The score of deployments: no prediction looks at what was measured, and of a table of measured
 * ones ($SHARDPLAN_DATA/serving-points) nearly all rows are answered. */
#include "common/shipped.h"
#include "fidelity/deployed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Cells of two rows, aggregated and apart, by column; others are blank. */
typedef struct named_cells {
    const char *column, *together, *apart;
} named_cells;

static const named_cells cells[] = {
    {"id",                  "a",           "d"          },
    {"model_arch",          "qwen3-32b",   "deepseek-v3"},
    {"system",              "h100_sxm",    "h200_sxm"   },
    {"backend",             "vllm",        "sglang"     },
    {"mode",                "agg",         "disagg"     },
    {"precision",           "",            "fp8"        },
    {"isl",                 "1024",        "1024"       },
    {"osl",                 "512",         "512"        },
    {"silicon_concurrency", "32",          "128"        },
    {"layout_tp",           "4",           ""           },
    {"layout_dp",           "1",           ""           },
    {"layout_status",       "as_recorded", ""           },
    {"prefill_num_workers", "",            "1"          },
    {"prefill_tp_size",     "",            "8"          },
    {"prefill_moe_ep_size", "",            "8"          },
    {"decode_num_workers",  "",            "1"          },
    {"decode_tp_size",      "",            "8"          },
    {"decode_moe_ep_size",  "",            "8"          },
    {"is_repeat",           "0",           "0"          },
    {"num_gpus",            "4",           "16"         },
    {"silicon_ttft_ms",     "100",         "400"        },
    {"silicon_tpot_ms",     "20",          "25"         },
};

static const char *cell_of(const char *column, int row, bool measured)
{
    if (!measured && strncmp(column, "silicon_t", 9) == 0) return "";
    for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++) {
        if (strcmp(cells[i].column, column) == 0)
            return row == 0 ? cells[i].together : cells[i].apart;
    }
    return "";
}

#define NAME(id, name, needed, measured) name,
static const char *const columns[] = {SP_DEPLOYED_COLUMN_LIST(NAME) "precision", "origin",
                                      "backend_version"};
#undef NAME

static void write_table(const char *path, bool measured)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (int row = -1; row < 2; row++) {
        for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
            (void)fprintf(file, "%s%s", i > 0 ? "," : "",
                          row < 0 ? columns[i] : cell_of(columns[i], row, measured));
        }
        (void)fprintf(file, "\n");
    }
    assert_int_equal(fclose(file), 0);
}

static sp_deployed_score *score_of(const char *path)
{
    sp_error err = {0};
    sp_deployed_score *score = NULL;
    const sp_deployed_request request = {.home = source_home(), .file = path};
    must(sp_score_serving(&request, &score, &err), &err);
    return score;
}

static void no_prediction_looks_at_a_measurement(void **state)
{
    (void)state;
    char path[] = "/tmp/shardplan-deployed-XXXXXX";
    const int file = mkstemp(path);
    assert_true(file >= 0);
    (void)close(file);
    write_table(path, true);
    sp_deployed_score *with = score_of(path);
    write_table(path, false);
    sp_deployed_score *without = score_of(path);
    assert_int_equal(with->n_rows, 2);
    for (uint32_t i = 0; i < 2; i++) {
        const sp_deployed_prediction *a = &with->rows[i].predicted;
        const sp_deployed_prediction *b = &without->rows[i].predicted;
        if (!a->made) fail_msg("%s", a->reason.text);
        assert_true(b->made && memcmp(a->value, b->value, sizeof a->value) == 0);
        assert_true(a->value[0] > 0.0 && a->value[1] > 0.0 && a->fits);
    }
    assert_int_equal(with->by_mode[SP_DEPLOYED_AGG][SP_DEPLOYED_METRIC_TPOT].n, 1);
    assert_int_equal(without->by_mode[SP_DEPLOYED_AGG][SP_DEPLOYED_METRIC_TPOT].n, 0);
    sp_deployed_score_free(with);
    sp_deployed_score_free(without);
    (void)unlink(path);
}

static void measured_deployments_are_answered(void **state)
{
    (void)state;
    char path[4096];
    const char *data = getenv("SHARDPLAN_DATA");
    if (data == NULL) skip();
    (void)snprintf(path, sizeof path, "%s/serving-points/dev.csv", data);
    sp_deployed_score *score = score_of(path);
    assert_true(score->eligible.n_predicted >= 0.99 * score->eligible.n_rows);
    assert_true(score->n_refused_memory <= 0.01 * score->eligible.n_predicted);
    assert_true(score->by_mode[SP_DEPLOYED_AGG][SP_DEPLOYED_METRIC_TPOT].median_ape < 0.25);
    assert_true(score->picks.best_picked_ratio > 0.85);
    sp_deployed_score_free(score);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_prediction_looks_at_a_measurement),
        cmocka_unit_test(measured_deployments_are_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
