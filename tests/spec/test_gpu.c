/* SPDX-License-Identifier: Apache-2.0 */
/* Accelerator files: figures in base units, names and aliases, and what is refused. */
#include "hardware_fixture.h"

static sp_status find(tiny_home *home, const char *name, const sp_gpu **gpu)
{
    return sp_gpu_find(&home->arena, home->dir, name, gpu, &home->err);
}

static void figures_are_read_in_base_units(void **state)
{
    const sp_gpu *gpu = NULL;
    assert_int_equal(find(*state, "tiny", &gpu), SP_OK);
    assert_string_equal(gpu->name, "tiny");
    assert_string_equal(gpu->calibrated_from, "tiny");
    assert_true(gpu->memory_bytes == 2147483648.0);
    assert_true(gpu->memory_bytes_per_s == 1e11);
    assert_true(gpu->context_bytes == 16777216.0);
    assert_true(gpu->peak_flops_per_s[SP_BF16] == 1.5e12);
    assert_true(gpu->peak_flops_per_s[SP_FP8] == 0.0);
    assert_true(gpu->tdp_watts == 50.0);
    assert_true(gpu->usd_per_hour == 0.25);
    assert_string_equal(gpu->price_source, "made up");
    assert_string_equal(gpu->price_date, "2026-01-31");
}

static void fitted_constants_are_read_by_name(void **state)
{
    const sp_gpu *gpu = NULL;
    assert_int_equal(find(*state, "tiny", &gpu), SP_OK);
    const sp_gemm_surface *gemm = &gpu->gemm[SP_BF16];
    assert_true(gemm->efficiency_ratio == 0.75 && gemm->memory_ratio == 0.5);
    assert_true(gemm->launch_s == 2e-6 && gemm->m_half == 1.0);
    assert_true(gemm->n_half == 2.0 && gemm->k_half == 3.0);
    assert_true(gpu->gemm[SP_FP16].efficiency_ratio == 0.0);
    assert_true(gpu->grouped[SP_BF16].efficiency_ratio == 0.0);
    assert_true(gpu->attention.sequence_half == 100.0);
    assert_true(gpu->attention.backward_flops_ratio == 1.25);
    assert_true(gpu->stream_ratio == 0.5 && gpu->stream_launch_s == 1e-6);
}

/* A data sheet is enough for analysis, and not for plans. */
static const char sheet[] =
    "{\"schema\": \"shardplan/gpu/1\", \"name\": \"other\", \"kind\": \"npu\",\n"
    " \"memory\": " FIGURE("4", "GB") ", \"memory_bandwidth\": " FIGURE(
        "50",
        "GB/s") ",\n"
                " \"power\": " FIGURE("8", "W") ", \"peak\": {\"int8\": " FIGURE(
                    "20",
                    "TFLOP/s") "},\n"
                               " \"purchase\": " FIGURE("150", "USD") ", \"process\": " FIGURE(
                                   "4",
                                   "nm") ",\n"
                                         " \"manufacturing\": " FIGURE(
                                             "12",
                                             "kgCO2e") ",\n"
                                                       " \"compute_power_ratio\": " FIGURE(
                                                           "0.4",
                                                           "ratio") ",\n"
                                                                    " \"memory_tiers\": [\n"
                                                                    "  {\"name\": \"SRAM\", "
                                                                    "\"figures\": {\"value\": "
                                                                    "{\"bandwidth_bytes_per_s\": "
                                                                    "2e12,\n"
                                                                    "   \"capacity_bytes\": 1e8, "
                                                                    "\"energy_j_per_byte\": 1e-12, "
                                                                    "\"latency_s\": 1e-9}, " FROM
                                                                    "},\n"
                                                                    "  {\"name\": \"DRAM\", "
                                                                    "\"figures\": {\"value\": "
                                                                    "{\"bandwidth_bytes_per_s\": "
                                                                    "5e10,\n"
                                                                    "   \"capacity_bytes\": 4e9, "
                                                                    "\"energy_j_per_byte\": 4e-12, "
                                                                    "\"latency_s\": 1e-7}, " FROM
                                                                    "}]}\n";

static sp_status find_with_peak(tiny_home *home, const char *peak, const sp_gpu **gpu)
{
    char text[1024];
    snprintf(text, sizeof text,
             "{\"schema\": \"shardplan/gpu/1\", \"name\": \"other\", \"memory\": " FIGURE(
                 "4", "GB") ", \"memory_bandwidth\": " FIGURE("50", "GB/s") ", \"peak\": {%s}}",
             peak);
    tiny_put(home, "gpus/other", text);
    return find(home, "other", gpu);
}

static void tf32_is_for_products_alone(void **state)
{
    tiny_home *home = *state;
    const sp_gpu *gpu = NULL;
    assert_int_equal(
        find_with_peak(
            home, "\"tf32\": " FIGURE("40", "TFLOP/s") ", \"fp32_vector\": " FIGURE("5", "TFLOP/s"),
            &gpu),
        SP_OK);
    assert_true(gpu->peak_flops_per_s[SP_FP32] == 4e13 && gpu->tf32);
    assert_true(sp_gpu_vector_flops_per_s(gpu) == 5e12);
    assert_string_equal(sp_gpu_product_name(gpu, SP_FP32), "tf32");
    assert_int_equal(find_with_peak(home, "\"fp32\": " FIGURE("7", "TFLOP/s"), &gpu), SP_OK);
    assert_true(sp_gpu_vector_flops_per_s(gpu) == 7e12);
    assert_string_equal(sp_gpu_product_name(gpu, SP_FP32), "fp32");
}

static void two_rates_of_32_bit_products_are_refused(void **state)
{
    tiny_home *home = *state;
    const sp_gpu *gpu = NULL;
    assert_int_equal(
        find_with_peak(
            home, "\"tf32\": " FIGURE("40", "TFLOP/s") ", \"fp32\": " FIGURE("5", "TFLOP/s"), &gpu),
        SP_E_INCONSISTENT);
    assert_string_equal(home->err.path, "/peak/fp32");
}

static void a_data_sheet_alone_is_read_for_analysis(void **state)
{
    tiny_home *home = *state;
    const sp_gpu *gpu = NULL;
    tiny_put(home, "gpus/other", sheet);
    assert_int_equal(find(home, "other", &gpu), SP_OK);
    assert_int_equal(gpu->kind, SP_DEVICE_NPU);
    assert_false(sp_gpu_is_measured(gpu));
    assert_true(gpu->peak_flops_per_s[SP_INT8] == 2e13 && gpu->tdp_watts == 8.0);
    assert_true(gpu->usd == 150.0 && gpu->manufacturing_kg_co2e == 12.0);
    assert_true(gpu->process_m == 4.0 * 1e-9 && gpu->compute_power_ratio == 0.4);
    assert_int_equal(gpu->n_tiers, 2);
    assert_string_equal(gpu->tiers[1].name, "DRAM");
    assert_true(gpu->tiers[1].bytes_per_s == 5e10 && gpu->tiers[1].joules_per_byte == 4e-12);
    assert_int_equal(gpu->n_links, 0);
}

static void a_data_sheet_alone_is_refused_for_plans(void **state)
{
    tiny_home *home = *state;
    const sp_gpu *gpu = NULL;
    const sp_cluster *cluster = NULL;
    tiny_put(home, "gpus/other", sheet);
    assert_int_equal(sp_gpu_find_measured(&home->arena, home->dir, "other", &gpu, &home->err),
                     SP_E_NOT_YET);
    assert_int_equal(sp_cluster_find(&home->arena, home->dir, "4xother", &cluster, &home->err),
                     SP_E_NOT_YET);
    assert_non_null(strstr(home->err.message, "can be analysed"));
}

static void a_file_of_ones_own_may_be_json5(void **state)
{
    tiny_home *home = *state;
    const sp_gpu *gpu = NULL;
    char path[512];
    static const char own[] =
        "// my board\n{schema: 'shardplan/gpu/1', name: 'mine',\n"
        " memory: {value: 16, unit: 'GiB', source: 'me', date: '2026-01-31',},\n"
        " memory_bandwidth: {value: 60, unit: 'GB/s', source: 'me', date: '2026-01-31'},\n"
        " peak: {fp16: {value: .5, unit: 'TFLOP/s', source: 'me', date: '2026-01-31'}},\n"
        " colour: 'green', /* unknown */\n}\n";
    snprintf(path, sizeof path, "%s/own.json5", home->dir);
    assert_int_equal(sp_file_write(path, own, strlen(own), &home->err), SP_OK);
    assert_int_equal(find(home, path, &gpu), SP_E_UNKNOWN_KEY);
    assert_string_equal(home->err.path, "/colour");
    assert_int_equal(home->err.line, 6);
    const char *const end = strstr(own, " colour");
    assert_int_equal(sp_file_write(path, own, (size_t)(end - own), &home->err), SP_OK);
    assert_int_equal(find(home, path, &gpu), SP_E_SYNTAX); /* its last brace is gone */
    char whole[sizeof own + 2];
    snprintf(whole, sizeof whole, "%.*s}", (int)(end - own), own);
    assert_int_equal(sp_file_write(path, whole, strlen(whole), &home->err), SP_OK);
    assert_int_equal(find(home, path, &gpu), SP_OK);
    assert_true(gpu->peak_flops_per_s[SP_FP16] == 5e11 && gpu->tdp_watts == 0.0);
    unlink(path);
}

static void a_gpu_without_a_price_costs_nothing_and_says_so(void **state)
{
    tiny_home *home = *state;
    const sp_gpu *gpu = NULL;
    tiny_spoil(home, "gpus/tiny", tiny_gpu, "  \"price\": " FIGURE("0.25", "USD/hour") ",\n", "");
    assert_int_equal(find(home, "tiny", &gpu), SP_OK);
    assert_true(gpu->usd_per_hour == 0.0);
    assert_string_equal(gpu->price_source, "");
    assert_string_equal(gpu->price_date, "");
}

static void case_dashes_and_spaces_of_a_name_do_not_matter(void **state)
{
    static const char *const names[] = {"tiny",     "TINY",     "t-i_n y",
                                        "Tiny 1GB", "tiny-1gb", "TINY1gb"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const sp_gpu *gpu = NULL;
        assert_int_equal(find(*state, names[i], &gpu), SP_OK);
        assert_string_equal(gpu->name, "tiny");
    }
}

static void an_unknown_name_is_told_the_nearest_name_or_alias(void **state)
{
    tiny_home *home = *state;
    const sp_gpu *gpu = NULL;
    assert_int_equal(find(home, "tinny", &gpu), SP_E_UNKNOWN_NAME);
    assert_string_equal(home->err.nearest, "tiny");
    assert_string_equal(home->err.value, "tinny");
    assert_int_equal(find(home, "Tiny 2GB", &gpu), SP_E_UNKNOWN_NAME);
    assert_string_equal(home->err.nearest, "Tiny 1GB");
    assert_int_equal(find(home, "completely-different", &gpu), SP_E_UNKNOWN_NAME);
    assert_string_equal(home->err.nearest, "");
    assert_non_null(strstr(home->err.range, "tiny"));
}

static void a_name_that_two_files_claim_is_refused(void **state)
{
    tiny_home *home = *state;
    const sp_gpu *gpu = NULL;
    tiny_spoil(home, "gpus/other", tiny_gpu, "\"name\": \"tiny\"", "\"name\": \"other\"");
    assert_int_equal(find(home, "tiny-1gb", &gpu), SP_E_INCONSISTENT);
    assert_non_null(strstr(home->err.message, "other and tiny"));
    assert_int_equal(find(home, "other", &gpu), SP_OK);
}

typedef struct bad_file {
    const char *old, *new;
    sp_status status;
    const char *path;
} bad_file;

static const bad_file bad_files[] = {
    {"\"unit\": \"GiB\"",       "\"unit\": \"Gib\"",  SP_E_UNKNOWN_NAME,               "/memory/unit"                                         },
    {"\"unit\": \"GiB\"",       "\"unit\": \"GB/s\"", SP_E_UNKNOWN_NAME,               "/memory/unit"                                         },
    {"\"unit\": \"GiB\", ",     "",                   SP_E_MISSING_KEY,                "/memory"                                              },
    {"\"value\": 2,",           "\"value\": 0,",      SP_E_RANGE,                      "/memory/value"                                        },
    {"\"value\": 2,",           "\"value\": \"2\",",  SP_E_TYPE,                       "/memory/value"                                        },
    {"\"memory\": " FIGURE("2", "GiB"),               "\"memory\": 2e9",               SP_E_TYPE,                                               "/memory"},
    {"\"made up\"",                         "\"\"",                                 SP_E_RANGE,                                  "/memory/source"                                              },
    {"\"2026-01-31\"",                         "\"2026-13-31\"",                              SP_E_RANGE,                     "/memory/date"},
    {"\"2026-01-31\"",                         "\"31 Jan 2026\"",                              SP_E_RANGE,                    "/memory/date"                                             },
    {"\"made up\",",                         "\"made up\", \"p90_ape_ratio\": 0.1,",                                SP_E_MISSING_KEY, "/memory"},
    {"\"made up\",",                         "\"made up\", \"sample\": 3,",                                SP_E_UNKNOWN_KEY,          "/memory/sample"                                                      },
    {"\"power\"",                         "\"watts\"",                                   SP_E_UNKNOWN_KEY,                               "/watts"},
    {"\"name\": \"tiny\"",                         "\"name\": \"Tiny\"",                          SP_E_INCONSISTENT,             "/name"                                            },
    {"gpu/1",                         "gpu/2",                                       SP_E_UNKNOWN_NAME,                                       "/schema"},
    {"\"k_half\": 3",                         "\"k_half\": -3",                               SP_E_RANGE,                      "/gemm/bf16/value/k_half"                                          },
    {", \"k_half\": 3",                         "",                             SP_E_MISSING_KEY,                                  "/gemm/bf16/value"  },
    {"\"gemm\": {\"bf16\"",                         "\"gemm\": {\"fp8\"",                         SP_E_INCONSISTENT,            "/gemm/fp8"                       },
    {"\"gemm\": {\"bf16\"",                         "\"gemm\": {\"fp4\"",                         SP_E_UNKNOWN_KEY,            "/gemm/fp4"   },
    {"\"power\": " FIGURE("50",                         "W") ",\n",                     "",                  SP_E_MISSING_KEY,                                                ""},
    {"\"links\"",                       "\"kind\": \"toaster\", \"links\"",                                           SP_E_UNKNOWN_NAME,                                                                "/kind"               },
    {"\"links\"",                  "\"memory_tiers\": [], \"links\"",                                      SP_E_RANGE,"/memory_tiers"},
    {"\"links\"",          "\"process\": " FIGURE("4",                              "um") ", \"links\"",                                                        SP_E_UNKNOWN_NAME,
     "/process/unit"},
    {"\"links\"",        "\"compute_power_ratio\": " FIGURE("1.5",                                 "ratio") ", \"links\"",                                                                SP_E_RANGE,
     "/compute_power_ratio/value"},
    {"[\"wire2\"]",   "[]",SP_E_RANGE,                                                     "/links"                                                                                                           },
};

static void a_bad_file_is_refused_with_the_place(void **state)
{
    tiny_home *home = *state;
    for (size_t i = 0; i < sizeof bad_files / sizeof bad_files[0]; i++) {
        const bad_file *bad = &bad_files[i];
        const sp_gpu *gpu = NULL;
        tiny_spoil(home, "gpus/tiny", tiny_gpu, bad->old, bad->new);
        const sp_status status = find(home, "tiny", &gpu);
        if (status != bad->status || strcmp(home->err.path, bad->path) != 0) {
            fail_msg("%s: %d %s: %s", bad->new, (int)status, home->err.path, home->err.message);
        }
        assert_non_null(strstr(home->err.file, "gpus/tiny.json"));
    }
}

static void a_missing_hardware_folder_is_an_io_failure(void **state)
{
    tiny_home *home = *state;
    const sp_gpu *gpu = NULL;
    assert_int_equal(sp_gpu_find(&home->arena, "/nowhere", "tiny", &gpu, &home->err), SP_E_IO);
}

static void every_failed_allocation_is_reported(void **state)
{
    tiny_home *home = *state;
    const sp_gpu *gpu = NULL;
    sp_status status = SP_E_MEMORY;
    uint64_t n = 0;
    while (status != SP_OK) {
        sp_arena_fini(&home->arena);
        sp_alloc_fail_at(++n);
        status = find(home, "tiny", &gpu);
        sp_alloc_fail_at(0);
        assert_true(status == SP_OK || status == SP_E_MEMORY);
    }
    assert_true(n > 3);
}

static void dtypes_have_names_and_sizes(void **state)
{
    (void)state;
    assert_string_equal(sp_dtype_name(SP_BF16), "bf16");
    assert_string_equal(sp_dtype_name(SP_FP8), "fp8");
    assert_true(sp_dtype_bytes(SP_FP16) == 2.0 && sp_dtype_bytes(SP_FP8) == 1.0);
    assert_true(sp_dtype_bytes(SP_FP32) == 4.0);
    /* 32 numbers and a scale of one byte in 33 bytes; 16 of half a byte and a scale in 9. */
    assert_string_equal(sp_dtype_name(SP_MXFP8), "mxfp8");
    assert_string_equal(sp_dtype_name(SP_NVFP4), "nvfp4");
    assert_true(sp_dtype_bytes(SP_MXFP8) * 32.0 == 33.0 && sp_dtype_bytes(SP_NVFP4) * 16.0 == 9.0);
}

#define WITH_HOME(test) cmocka_unit_test_setup_teardown(test, tiny_setup, tiny_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_HOME(figures_are_read_in_base_units),
        WITH_HOME(fitted_constants_are_read_by_name),
        WITH_HOME(tf32_is_for_products_alone),
        WITH_HOME(two_rates_of_32_bit_products_are_refused),
        WITH_HOME(a_data_sheet_alone_is_read_for_analysis),
        WITH_HOME(a_data_sheet_alone_is_refused_for_plans),
        WITH_HOME(a_file_of_ones_own_may_be_json5),
        WITH_HOME(a_gpu_without_a_price_costs_nothing_and_says_so),
        WITH_HOME(case_dashes_and_spaces_of_a_name_do_not_matter),
        WITH_HOME(an_unknown_name_is_told_the_nearest_name_or_alias),
        WITH_HOME(a_name_that_two_files_claim_is_refused),
        WITH_HOME(a_bad_file_is_refused_with_the_place),
        WITH_HOME(a_missing_hardware_folder_is_an_io_failure),
        WITH_HOME(every_failed_allocation_is_reported),
        cmocka_unit_test(dtypes_have_names_and_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
