/* SPDX-License-Identifier: Apache-2.0 */
/* Logs of training runs and of nccl-tests as tables. */
#include "fidelity/csv.h"
#include "fidelity/ops.h"
#include "shardplan/calibrate.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static sp_error err;

static const char *log_path(const char *name, char path[512])
{
    (void)snprintf(path, 512, "%s/tests/fidelity/logs/%s", getenv("SHARDPLAN_HOME"), name);
    return path;
}

static void check_cell(const sp_csv *csv, const char *column, const char *expected)
{
    const char *cell = sp_csv_cell(csv, 0, sp_csv_column(csv, column));
    if (strcmp(cell, expected) != 0) fail_msg("%s: %s", column, cell);
}

static sp_csv table_of(const char *format, const char *name, sp_text *text)
{
    char path[512];
    sp_csv csv;
    const char *files[] = {log_path(name, path)};
    if (sp_runs_of_logs(format, "H100", files, 1, text, &err) != SP_OK ||
        sp_csv_parse(text->data, text->length, "made.csv", &csv, &err) != SP_OK) {
        fail_msg("%s (%s)", err.message, err.value);
    }
    return csv;
}

/* Seven steps; without the first three the median of 12.00, 12.01, 11.99 and 12.02 is 12.005. The
 * memory is 66,560 MiB, the arguments say the rest. */
static void megatron_prints_steps_memory_and_arguments(void **state)
{
    (void)state;
    sp_text text = {0};
    sp_csv csv = table_of("megatron", "megatron.log", &text);
    const char *const cells[][2] = {
        {"step_s",       "12.005"},
        {"peak_mem_gib", "65"    },
        {"gpu",          "H100"  },
        {"gpus",         "64"    },
        {"hidden",       "8192"  },
        {"kv_heads",     "8"     },
        {"ffn_act",      "swiglu"},
        {"tp",           "8"     },
        {"pp",           "2"     },
        {"vpp",          ""      },
        {"sp",           "1"     },
        {"experts",      ""      },
        {"precision",    "bf16"  },
        {"attn",         "gqa"   },
        {"gbs",          "128"   },
        {"zero_stage",   "1"     }
    };
    for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++) {
        check_cell(&csv, cells[i][0], cells[i][1]);
    }
    sp_csv_fini(&csv);
    sp_text_fini(&text);
}

/* Heads of their own though num_query_groups says 1, which is its default; 8-bit products beside
 * "bf16 True"; seconds in the words of Megatron-DeepSpeed. */
static void arguments_mean_what_they_mean_together(void **state)
{
    (void)state;
    sp_text text = {0};
    sp_csv csv = table_of("megatron", "megatron-fp8.log", &text);
    const char *const cells[][2] = {
        {"step_s",    "6.4"  },
        {"precision", "mxfp8"},
        {"kv_heads",  "16"   },
        {"attn",      "mha"  },
        {"topk",      ""     }
    };
    for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++) {
        check_cell(&csv, cells[i][0], cells[i][1]);
    }
    sp_csv_fini(&csv);
    sp_text_fini(&text);
}

/* The words in which the table has DeepSeek-V3's attention. */
static void latent_attention_has_its_widths(void **state)
{
    (void)state;
    sp_text text = {0};
    sp_csv csv = table_of("megatron", "megatron-mla.log", &text);
    check_cell(&csv, "attn", "mla(q1536,kv512,nope128,rope64,v128)");
    check_cell(&csv, "topk", "8");
    sp_csv_fini(&csv);
    sp_text_fini(&text);
}

/* Nine steps in 20 s, ten in 20 s twice, over midnight: 2.22, 2 and 2 s, whose median is 2. */
static void torchtitan_stamps_its_lines(void **state)
{
    (void)state;
    sp_text text = {0};
    sp_csv csv = table_of("torchtitan", "torchtitan.log", &text);
    check_cell(&csv, "step_s", "2");
    check_cell(&csv, "tok_s_gpu", "7736");
    check_cell(&csv, "peak_mem_gib", "66.91");
    check_cell(&csv, "tp", "");
    sp_csv_fini(&csv);
    sp_text_fini(&text);
}

static void nccl_tests_name_their_test_and_list_their_ranks(void **state)
{
    (void)state;
    char path[512];
    sp_ops ops = {0};
    assert_int_equal(sp_ops_read_nccl_log(&ops, log_path("all_reduce.txt", path), &err), SP_OK);
    assert_int_equal(ops.n_rows, 21);
    assert_string_equal(ops.kernels[0].surface.variant, "all_reduce");
    assert_string_equal(ops.kernels[0].surface.framework, "nccl 2.28.7");
    assert_true(ops.rows[0].dim[SP_DIM_RANKS] == 4.0 && ops.rows[0].dim[SP_DIM_BYTES] == 1024.0);
    assert_true(fabs(ops.rows[20].measured_s - 5379.67e-6) < 1e-12);
    sp_ops_fini(&ops);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(megatron_prints_steps_memory_and_arguments),
        cmocka_unit_test(arguments_mean_what_they_mean_together),
        cmocka_unit_test(latent_attention_has_its_widths),
        cmocka_unit_test(torchtitan_stamps_its_lines),
        cmocka_unit_test(nccl_tests_name_their_test_and_list_their_ranks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
