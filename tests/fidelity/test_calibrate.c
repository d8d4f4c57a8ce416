/* SPDX-License-Identifier: Apache-2.0 */
/* Tables that are made of a known surface give that surface back, the same bytes every time; rows
 * of old versions and kernels of one shape stay out. */
#include "base/base.h"
#include "fidelity/calibrate_priv.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

static sp_error err;
static char folder[] = "/tmp/shardplan-calibrate-XXXXXX";

static const char *path_of(const char *name, char path[128])
{
    (void)snprintf(path, 128, "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const sp_text *text)
{
    char path[128];
    assert_int_equal(sp_file_write(path_of(name, path), text->data, text->length, &err), SP_OK);
}

/* A part of 1e15 FLOP/s and 4e12 bytes/s. */
static sp_surface truth_of(sp_surface_op op)
{
    sp_surface s = {.op = op,
                    .variant = "",
                    .dtype = "bfloat16",
                    .kv_dtype = "",
                    .peak_flops_per_s = 1e15,
                    .memory_bytes_per_s = 4e12,
                    .link_bytes_per_s = 450e9,
                    .weight_bytes = 2.0,
                    .activation_bytes = 2.0,
                    .kv_bytes = 2.0};
    static const double gemm[] = {0.7, 0.85, 4e-6, 30.0, 40.0, 120.0, 2e-9, 8e6, 0.8};
    static const double collective[] = {6e-6, 8e-7, 0.75, 4e6, -0.1};
    const bool is_gemm = op == SP_SURFACE_GEMM;
    memcpy(s.param, is_gemm ? gemm : collective, is_gemm ? sizeof gemm : sizeof collective);
    return s;
}

/* 40 whole shapes with nine m each; `factor` on every time. */
static void add_gemm(sp_text *text, const char *version, double factor)
{
    const sp_surface truth = truth_of(SP_SURFACE_GEMM);
    for (int n = 256; n <= 32768; n *= 2) {
        for (int k = 512; k <= 8192; k *= 2) {
            for (int m = 1; m <= 65536; m *= 4) {
                const double dim[SP_SURFACE_MAX_DIMS] = {m, n, k};
                sp_text_printf(text, "made,%s,plain,bfloat16,%d,%d,%d,%.9g\n", version, m, n, k,
                               1e3 * factor * sp_surface_s(&truth, dim));
            }
        }
    }
}

static const char gemm_header[] = "framework,version,kernel_source,gemm_dtype,m,n,k,latency_ms\n";

static sp_calibrated *calibrate(const char *const *names, uint32_t n_names)
{
    char gpu[128], paths[4][128];
    const char *files[4];
    sp_calibrated *calibrated = NULL;
    for (uint32_t i = 0; i < n_names; i++) {
        files[i] = path_of(names[i], paths[i]);
    }
    const sp_calibrate_question q = {.gpu = path_of("part.json", gpu),
                                     .files = files,
                                     .n_files = n_names,
                                     .source = "made up",
                                     .date = "2026-01-31"};
    if (sp_calibrate_ops(getenv("SHARDPLAN_HOME"), &q, &calibrated, &err) != SP_OK) {
        fail_msg("%s:%d: %s (%s)", err.file, err.line, err.message, err.value);
    }
    return calibrated;
}

static void a_table_of_a_known_surface_gives_it_back(void **state)
{
    (void)state;
    sp_text text = {0};
    sp_text_add(&text, gemm_header);
    add_gemm(&text, "1.0", 1.0);
    write_file("gemm.csv", &text);
    sp_calibrated *c = calibrate((const char *[]){"gemm.csv"}, 1);
    const sp_surface truth = truth_of(SP_SURFACE_GEMM);
    assert_int_equal(sp_calibrated_count(c), 1);
    const sp_surface *s = &sp_calibrated_get(c, 0)->surface;
    assert_int_equal(s->shapes, 40);
    assert_int_equal(s->samples, 360);
    assert_true(s->median_ape_ratio < 0.005);
    for (int p = 0; p < 3; p++) { /* what the others hide behind is not as sharp */
        assert_true(fabs(s->param[p] / truth.param[p] - 1.0) < 0.03);
    }
    const double between[SP_SURFACE_MAX_DIMS] = {3000, 6000, 3000};
    assert_true(fabs(sp_surface_s(s, between) / sp_surface_s(&truth, between) - 1.0) < 0.01);
    sp_calibrated_free(c);
    sp_text_fini(&text);
}

static void beyond_the_table_a_shape_is_outside(void **state)
{
    (void)state;
    sp_calibrated *c = calibrate((const char *[]){"gemm.csv"}, 1);
    const sp_surface *s = &sp_calibrated_get(c, 0)->surface;
    const double corner[SP_SURFACE_MAX_DIMS] = {65536, 32768, 8192};
    const double deep[SP_SURFACE_MAX_DIMS] = {65536, 32768, 8193};
    assert_null(sp_surface_outside(s, corner));
    assert_string_equal(sp_surface_outside(s, deep), "k");
    sp_calibrated_free(c);
}

static void collectives_are_found_again_by_their_kind(void **state)
{
    (void)state;
    sp_text text = {0};
    sp_text_add(&text, "op_name,nccl_dtype,num_gpus,message_size,latency_ms\n");
    for (int kind = 0; kind < 2; kind++) {
        sp_surface truth = truth_of(SP_SURFACE_COLLECTIVE);
        truth.variant = kind == 0 ? "all_reduce" : "all_gather";
        for (int ranks = 2; ranks <= 8; ranks *= 2) {
            for (int size = 256; size <= 1 << 28; size *= 4) {
                const double dim[SP_SURFACE_MAX_DIMS] = {ranks, 2.0 * size};
                sp_text_printf(&text, "%s,half,%d,%d,%.9g\n", truth.variant, ranks, size,
                               1e3 * sp_surface_s(&truth, dim));
            }
        }
    }
    write_file("nccl.csv", &text);
    sp_calibrated *c = calibrate((const char *[]){"nccl.csv"}, 1);
    assert_int_equal(sp_calibrated_count(c), 2);
    for (uint32_t i = 0; i < 2; i++) {
        const sp_surface *s = &sp_calibrated_get(c, i)->surface;
        assert_string_equal(s->variant, i == 0 ? "all_gather" : "all_reduce");
        assert_true(s->median_ape_ratio < 0.005);
        assert_true(fabs(s->param[2] / 0.75 - 1.0) < 0.02);
    }
    sp_calibrated_free(c);
    sp_text_fini(&text);
}

static void a_newer_version_replaces_an_older_one(void **state)
{
    (void)state;
    sp_text text = {0};
    sp_text_add(&text, gemm_header);
    add_gemm(&text, "1.9", 2.0);
    add_gemm(&text, "1.10", 1.0);
    write_file("gemm.two.csv", &text);
    sp_calibrated *c = calibrate((const char *[]){"gemm.two.csv"}, 1);
    assert_int_equal(sp_calibrated_count(c), 1);
    assert_int_equal(c->n_superseded, 360);
    assert_string_equal(sp_calibrated_get(c, 0)->surface.framework, "made 1.10");
    assert_true(sp_calibrated_get(c, 0)->surface.median_ape_ratio < 0.005);
    sp_calibrated_free(c);
    sp_text_fini(&text);
}

/* What a newer version was not measured on the older one still says. */
static void a_version_with_a_few_shapes_replaces_none(void **state)
{
    (void)state;
    sp_text text = {0};
    sp_text_add(&text, gemm_header);
    add_gemm(&text, "1.9", 2.0);
    for (int m = 1; m <= 100; m++) {
        sp_text_printf(&text, "made,1.10,plain,bfloat16,%d,512,512,0.01\n", m);
    }
    write_file("gemm.few.csv", &text);
    sp_calibrated *c = calibrate((const char *[]){"gemm.few.csv"}, 1);
    assert_int_equal(c->n_superseded, 0);
    assert_int_equal(sp_calibrated_count(c), 1);
    assert_string_equal(sp_calibrated_get(c, 0)->surface.framework, "made 1.9");
    sp_calibrated_free(c);
    sp_text_fini(&text);
}

/* Of two models each is left out once; experts of which a rank has some are kernels of their own.
 */
static void two_models_with_experts_are_enough(void **state)
{
    (void)state;
    sp_text text = {0};
    sp_text_add(&text, "moe_dtype,num_tokens,hidden_size,inter_size,topk,num_experts,moe_tp_size,"
                       "moe_ep_size,distribution,latency_ms\n");
    for (int tokens = 1; tokens <= 4096; tokens *= 2) {
        for (int hidden = 1024; hidden <= 2048; hidden *= 2) {
            for (int ranks = 1; ranks <= 2; ranks++) {
                sp_text_printf(&text, "bfloat16,%d,%d,512,2,8,1,%d,balanced,%g\n", tokens, hidden,
                               ranks, 0.02 * ranks);
            }
        }
    }
    write_file("moe.pair.csv", &text);
    sp_calibrated *c = calibrate((const char *[]){"moe.pair.csv"}, 1);
    assert_int_equal(sp_calibrated_count(c), 2);
    for (uint32_t i = 0; i < 2; i++) {
        const sp_surface *s = &sp_calibrated_get(c, i)->surface;
        assert_int_equal(s->shapes, 2);
        assert_string_equal(s->variant, i == 0 ? "" : "spread");
        assert_true(s->hi[SP_DIM_EXPERTS] == (i == 0 ? 8.0 : 4.0));
    }
    sp_calibrated_free(c);
    sp_text_fini(&text);
}

static void one_whole_shape_cannot_be_left_out(void **state)
{
    (void)state;
    sp_text text = {0};
    sp_text_add(&text, "gemm_dtype,m,n,k,latency_ms\n");
    for (int m = 1; m <= 100; m++) {
        sp_text_printf(&text, "bfloat16,%d,512,512,0.01\n", m);
    }
    write_file("gemm.one.csv", &text);
    sp_calibrated *c = calibrate((const char *[]){"gemm.one.csv"}, 1);
    assert_int_equal(sp_calibrated_count(c), 0);
    assert_int_equal(c->n_few_shapes, 100);
    sp_calibrated_free(c);
    sp_text_fini(&text);
}

static void the_same_tables_give_the_same_bytes_in_any_order(void **state)
{
    (void)state;
    sp_text one = {0}, two = {0};
    sp_calibrated *a = calibrate((const char *[]){"gemm.csv", "nccl.csv"}, 2);
    sp_calibrated *b = calibrate((const char *[]){"nccl.csv", "gemm.csv"}, 2);
    assert_int_equal(sp_calibrated_file(a, &one, &err), SP_OK);
    assert_int_equal(sp_calibrated_file(b, &two, &err), SP_OK);
    assert_string_equal(one.data, two.data);
    sp_calibrated_free(a);
    sp_calibrated_free(b);
    sp_text_fini(&one);
    sp_text_fini(&two);
}

static void the_written_file_is_read_again_and_priced_alike(void **state)
{
    (void)state;
    char path[128];
    sp_arena arena = {0};
    sp_text text = {0};
    const sp_gpu *gpu = NULL;
    const sp_surfaces *surfaces = NULL;
    sp_calibrated *c = calibrate((const char *[]){"gemm.csv"}, 1);
    assert_int_equal(sp_calibrated_file(c, &text, &err), SP_OK);
    write_file("calibrated.json", &text);
    const char *home = getenv("SHARDPLAN_HOME");
    assert_int_equal(sp_gpu_find(&arena, home, path_of("calibrated.json", path), &gpu, &err),
                     SP_OK);
    assert_int_equal(sp_surfaces_load(&arena, home, gpu, &surfaces, &err), SP_OK);
    const sp_surface *s =
        sp_surface_find(surfaces, &(sp_surface_query){.op = SP_SURFACE_GEMM, .framework = "made"});
    assert_non_null(s);
    const double dim[SP_SURFACE_MAX_DIMS] = {100, 1000, 1000};
    assert_true(sp_surface_s(s, dim) == sp_surface_s(&sp_calibrated_get(c, 0)->surface, dim));
    assert_non_null(strstr(text.data, "\"surfaces\": {\n    \"source\": \"made up\""));
    assert_non_null(strstr(text.data, "\"domain\": [1, 65536, 256, 32768, 512, 8192]"));
    sp_calibrated_free(c);
    sp_text_fini(&text);
    sp_arena_fini(&arena);
}

static int make_folder(void **state)
{
    (void)state;
    sp_text part = {0};
    if (mkdtemp(folder) == NULL) return -1;
    sp_text_add(&part,
                "{\"schema\": \"shardplan/gpu/1\", \"name\": \"part\", \"links\": [\"nvlink4\"],\n"
                "\"memory\": {\"value\": 80, \"unit\": \"GiB\", \"source\": \"made up\", \"date\": "
                "\"2026-01-31\"},\n\"memory_bandwidth\": {\"value\": 4, \"unit\": \"TB/s\", "
                "\"source\": \"made up\", \"date\": \"2026-01-31\"},\n\"peak\": {\"bf16\": "
                "{\"value\": 1000, \"unit\": \"TFLOP/s\", \"source\": \"made up\", \"date\": "
                "\"2026-01-31\"}}}\n");
    write_file("part.json", &part);
    sp_text_fini(&part);
    return 0;
}

static int remove_folder(void **state)
{
    static const char *const names[] = {"part.json",    "gemm.csv", "gemm.two.csv",
                                        "gemm.one.csv", "nccl.csv", "calibrated.json"};
    char path[128];
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)unlink(path_of(names[i], path));
    }
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_of_a_known_surface_gives_it_back),
        cmocka_unit_test(beyond_the_table_a_shape_is_outside),
        cmocka_unit_test(collectives_are_found_again_by_their_kind),
        cmocka_unit_test(a_newer_version_replaces_an_older_one),
        cmocka_unit_test(a_version_with_a_few_shapes_replaces_none),
        cmocka_unit_test(two_models_with_experts_are_enough),
        cmocka_unit_test(one_whole_shape_cannot_be_left_out),
        cmocka_unit_test(the_same_tables_give_the_same_bytes_in_any_order),
        cmocka_unit_test(the_written_file_is_read_again_and_priced_alike),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
