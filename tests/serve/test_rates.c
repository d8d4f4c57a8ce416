/* SPDX-License-Identifier: Apache-2.0 */
/* Which measured kernels a worker is priced by. */
#include "serve/serve_priv.h"

#include "base/base.h"
#include "common/close.h"
#include "common/shipped.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct priced {
    sp_arena arena;
    sp_server_timing timing;
    const sp_worker *worker;
} priced;

static const sp_serve_rates *price(priced *p, const char *model, const char *cluster,
                                   const char *engine, const char *ffn, sp_worker_layout layout)
{
    sp_error err = {0};
    *p = (priced){0};
    sp_worker_setup setup = {
        .timing = &p->timing,
        .layout = layout,
        .formats = {.attention = "bfloat16", .ffn = ffn, .kv_bits = 16.0}
    };
    must(sp_model_find(&p->arena, source_home(), model, &setup.model, &err), &err);
    must(sp_cluster_find(&p->arena, source_home(), cluster, &setup.cluster, &err), &err);
    must(sp_server_timing_load(&p->arena, source_home(), engine, &p->timing, &err), &err);
    must(sp_surfaces_load(&p->arena, source_home(), setup.cluster->gpu, &setup.surfaces, &err),
         &err);
    must(sp_worker_build(&p->arena, &setup, &p->worker, &err), &err);
    return &p->worker->rates;
}

static void fini(priced *p)
{
    sp_arena_fini(&p->arena);
}

static const sp_worker_layout alone = {1, 1, 1, 1, 1}, cut = {8, 1, 8, 1, 1},
                              spread = {8, 1, 1, 8, 1};

/* Every other layer of gpt-oss has a window of 128 tokens; 64 query heads share 8 key heads. */
static void layers_with_a_window_have_kernels_of_their_own(void **state)
{
    (void)state;
    priced p;
    const sp_serve_rates *r = price(&p, "gpt-oss-120b", "dgx-h200", "vllm", "w4a16_mxfp4", alone);
    const sp_model *model = p.worker->model;
    assert_int_equal(model->n_kinds, 2);
    for (uint32_t k = 0; k < 2; k++) {
        const bool window = model->kinds[k].attention.window > 0;
        assert_true(r->generation[k].n > 0);
        assert_string_equal(r->generation[k].of[0]->variant, window ? "window" : "gqa");
        assert_string_equal(r->context[k].of[0]->variant, window ? "window" : "");
    }
    fini(&p);
}

/* 8 key heads on 8 ranks leave 4 query heads for each; 32 key heads, one each. */
static void a_key_head_for_each_query_head_is_another_kernel(void **state)
{
    (void)state;
    priced p;
    const sp_serve_rates *r = price(&p, "llama-2-7b", "dgx-h100", "vllm", "bfloat16", alone);
    assert_string_equal(r->generation[0].of[0]->variant, "mha");
    fini(&p);
    r = price(&p, "llama-3.1-8b", "dgx-h100", "vllm", "bfloat16", cut);
    assert_string_equal(r->generation[0].of[0]->variant, "gqa");
    fini(&p);
}

/* Two models were measured in this format: enough to price a third in it. */
static void experts_in_mxfp4_are_priced_as_such(void **state)
{
    (void)state;
    static const char *const clusters[] = {"dgx-h100", "dgx-h200", "dgx-b200", "gb200-nvl72"};
    for (size_t i = 0; i < sizeof clusters / sizeof clusters[0]; i++) {
        priced p;
        const sp_serve_rates *r =
            price(&p, "gpt-oss-120b", clusters[i], "vllm", "w4a16_mxfp4", alone);
        assert_true(r->experts.n > 0);
        assert_string_equal(r->experts.of[0]->dtype, "w4a16_mxfp4");
        fini(&p);
    }
}

static void experts_of_which_a_rank_has_some_have_kernels_of_their_own(void **state)
{
    (void)state;
    for (int all = 0; all < 2; all++) {
        priced p;
        const sp_serve_rates *r =
            price(&p, "deepseek-v3", "dgx-b200", "trtllm", "nvfp4", all != 0 ? cut : spread);
        assert_true(r->experts.n > 1);
        for (uint32_t i = 0; i < r->experts.n; i++) {
            assert_string_equal(r->experts.of[i]->variant, all != 0 ? "" : SP_SURFACE_SPREAD);
            assert_true(r->experts.of[i]->lo[SP_DIM_MATRICES] == 3.0); /* with a gate */
        }
        fini(&p);
    }
}

/* FlashInfer brings kernels of TensorRT-LLM to vLLM, where they were measured. */
static void a_kernel_belongs_to_the_framework_that_it_is_named_after(void **state)
{
    (void)state;
    priced p;
    bool found = false;
    const sp_serve_rates *r = price(&p, "deepseek-v3", "dgx-b200", "trtllm", "fp8_block", cut);
    for (uint32_t i = 0; i < r->experts.n; i++) {
        found = found || strstr(r->experts.of[i]->kernel, "flashinfer_trtllm") != NULL;
        assert_null(strstr(r->experts.of[i]->kernel, "triton"));
    }
    assert_true(found);
    fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_with_a_window_have_kernels_of_their_own),
        cmocka_unit_test(a_key_head_for_each_query_head_is_another_kernel),
        cmocka_unit_test(experts_in_mxfp4_are_priced_as_such),
        cmocka_unit_test(experts_of_which_a_rank_has_some_have_kernels_of_their_own),
        cmocka_unit_test(a_kernel_belongs_to_the_framework_that_it_is_named_after),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
