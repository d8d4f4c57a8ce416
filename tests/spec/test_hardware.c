/* SPDX-License-Identifier: Apache-2.0 */
/* Every file of hardware/: it loads, goes by each of its names, and its figures are those of a real
 * machine. Sources, dates and units are checked by the readers themselves. */
#include "hardware_fixture.h"

typedef void (*visit)(sp_arena *arena, const char *name);

static void for_each(const char *folder, visit each)
{
    sp_arena arena = {0};
    sp_error err = {0};
    const char *const *names = NULL;
    size_t n_names = 0;
    const char *dir = sp_arena_printf(&arena, "%s/hardware/%s", source_tree(), folder);
    assert_int_equal(sp_dir_names(&arena, dir, ".json", &names, &n_names, &err), SP_OK);
    assert_true(n_names > 0);
    for (size_t i = 0; i < n_names; i++) {
        each(&arena, names[i]);
    }
    sp_arena_fini(&arena);
}

static const sp_gpu *load_gpu(sp_arena *arena, const char *name)
{
    sp_error err = {0};
    const sp_gpu *gpu = NULL;
    if (sp_gpu_find(arena, source_tree(), name, &gpu, &err) != SP_OK) {
        fail_msg("%s: %s %s: %s", name, err.file, err.path, err.message);
    }
    return gpu;
}

static const sp_cluster *load_cluster(sp_arena *arena, const char *ref)
{
    sp_error err = {0};
    const sp_cluster *cluster = NULL;
    if (sp_cluster_find(arena, source_tree(), ref, &cluster, &err) != SP_OK) {
        fail_msg("%s: %s %s: %s", ref, err.file, err.path, err.message);
    }
    return cluster;
}

static bool within(double value, double lo, double hi)
{
    return value >= lo && value <= hi;
}

/* Of every part, from a phone to a server; rates of any number format. */
static void check_part(const sp_gpu *gpu)
{
    double peak = 0.0;
    for (int d = 0; d < SP_N_DTYPES; d++) {
        peak = gpu->peak_flops_per_s[d] > peak ? gpu->peak_flops_per_s[d] : peak;
    }
    assert_true(within(peak / gpu->memory_bytes_per_s, 0.5, 2000.0));
    assert_true(!gpu->tf32 ||
                within(gpu->vector_flops_per_s, 1e12, gpu->peak_flops_per_s[SP_FP32]));
    assert_true(within(gpu->memory_bytes_per_s, 1e10, 3e13));
    assert_true(gpu->process_m == 0.0 || within(gpu->process_m, 2.9e-9, 22.1e-9));
    assert_true(within(gpu->manufacturing_kg_co2e, 0.0, 200.0));
    if (gpu->compute_power_ratio > 0.0) {
        assert_true(within(gpu->compute_power_ratio, 0.2, 0.6));
        assert_true(within(peak / gpu->tdp_watts, 5e9, 1.5e13)); /* FLOP/J; 4 bits the most */
    }
}

static void check_gpu(sp_arena *arena, const char *name)
{
    const sp_gpu *gpu = load_gpu(arena, name);
    assert_string_equal(gpu->name, name);
    check_part(gpu);
    if (!sp_gpu_is_measured(gpu)) {
        assert_true(within(gpu->memory_bytes, 8e9, 5e12));
        return;
    }
    assert_true(within(gpu->memory_bytes, 8e9, 1e12));
    assert_true(within(gpu->memory_bytes_per_s, 2e11, 3e13));
    assert_true(within(gpu->context_bytes, 1e8, 0.05 * gpu->memory_bytes));
    assert_true(within(gpu->tdp_watts, 50.0, 3000.0));
    assert_true(within(gpu->usd_per_hour, 0.0, 50.0));
    assert_true(within(gpu->stream_ratio, 0.5, 1.0));
    assert_true(within(gpu->attention.efficiency_ratio, 0.2, 0.9));
    assert_true(within(gpu->attention.backward_flops_ratio, 0.8, 2.0));
    (void)load_gpu(arena, gpu->calibrated_from);
}

static void every_gpu_has_figures_of_a_real_part(void **state)
{
    (void)state;
    for_each("gpus", check_gpu);
}

/* A part without bf16 stands on its fp16 rate. Blocks of 32 scales run at the rate of fp8; 4-bit
 * rates are twice, on parts made for inference three times that. */
static void check_peaks(sp_arena *arena, const char *name)
{
    const sp_gpu *gpu = load_gpu(arena, name);
    const double *peak = gpu->peak_flops_per_s;
    assert_true(peak[SP_INT4] == 0.0 || peak[SP_INT4] >= peak[SP_INT8]);
    if (!sp_gpu_is_measured(gpu)) {
        assert_true(peak[SP_FP32] <= peak[SP_FP16] || peak[SP_FP16] == 0.0);
        return;
    }
    assert_true(within(peak[SP_FP16], 1e13, 1e16));
    assert_true(peak[SP_INT8] == 0.0 || within(peak[SP_INT8] / peak[SP_FP16], 1.9, 4.1));
    assert_true(peak[SP_BF16] == 0.0 || peak[SP_BF16] == peak[SP_FP16]);
    assert_true(peak[SP_FP32] < peak[SP_FP16]);
    assert_true(peak[SP_FP8] == 0.0 || within(peak[SP_FP8] / peak[SP_FP16], 1.9, 2.1));
    assert_true(peak[SP_MXFP8] == 0.0 || peak[SP_MXFP8] == peak[SP_FP8]);
    assert_true(peak[SP_NVFP4] == 0.0 || within(peak[SP_NVFP4] / peak[SP_FP16], 3.9, 6.1));
}

static void narrower_numbers_never_have_the_lower_peak(void **state)
{
    (void)state;
    for_each("gpus", check_peaks);
}

/* A large product reaches between a quarter and all of the peak of its dtype, launch included. */
static void check_surfaces(sp_arena *arena, const char *name)
{
    const sp_gpu *gpu = load_gpu(arena, name);
    for (int d = 0; d < SP_FP32; d++) {
        const sp_gemm_surface *s = &gpu->gemm[d];
        if (!(gpu->peak_flops_per_s[d] > 0.0) || !sp_gpu_is_measured(gpu)) {
            continue;
        }
        const double m = 8192.0;
        const double work = 2.0 * (m + s->m_half) * (m + s->n_half) * (m + s->k_half);
        const double t = s->launch_s + work / (gpu->peak_flops_per_s[d] * s->efficiency_ratio);
        assert_true(within(2.0 * m * m * m / t / gpu->peak_flops_per_s[d], 0.25, 1.0));
        assert_true(within(gpu->grouped[d].efficiency_ratio, 0.25, 1.0));
    }
}

static void every_dtype_with_a_peak_has_surfaces_below_it(void **state)
{
    (void)state;
    for_each("gpus", check_surfaces);
}

/* The presets of LLMSim and LLM-para by the names that they have there, with their 16-bit peaks in
 * TFLOP/s by public data sheets, which those tools do not always give. */
static void presets_of_other_tools_are_known(void **state)
{
    static const struct {
        const char *name;
        double peak;
    } presets[] = {
        {"h20",                               148.0 },
        {"h800",                              989.4 },
        {"gb200",                             2500.0},
        {"klx_p800",                          250.0 },
        {"LLMSim default",                    250.0 },
        {"NVIDIA H100 SXM",                   989.4 },
        {"NVIDIA H100 PCIe",                  756.0 },
        {"NVIDIA A100 SXM (80GB)",            312.0 },
        {"NVIDIA A100 SXM (40GB)",            312.0 },
        {"NVIDIA A10",                        125.0 },
        {"NVIDIA RTX 4090",                   165.2 },
        {"NVIDIA RTX 4080",                   97.5  },
        {"AMD MI300X",                        1307.4},
        {"AMD MI250X",                        383.0 },
        {"Apple M3 Ultra",                    28.3  },
        {"Apple M2 Ultra",                    27.2  },
        {"Apple M2 Max",                      13.6  },
        {"Intel Gaudi 3",                     1835.0},
        {"Intel Xeon Platinum 8480+",         229.4 },
        {"Snapdragon 8 Gen 3 NPU",            10.0  },
        {"Snapdragon 8 Gen 2 NPU",            4.35  },
        {"MediaTek Dimensity 9300 NPU",       8.0   },
        {"DRAM-PIM (HBM-PIM)",                1.6   },
        {"NAND-PIM (HILOS)",                  0.4   },
        {"SRAM-PIM (MRAM)",                   4.0   },
        {"Cambricon-LLM (Chiplet)",           20.0  },
        {"Flash-LLM (NAND Storage)",          10.0  },
        {"NAND-PIM (Near-Storage)",           1.6   },
        {"Custom Hardware",                   20.0  },
        {"Custom Heterogeneous",              20.0  },
        {"Apple M1 Pro (RooflineBench)",      4.61  },
        {"RTX 3070Ti Laptop (RooflineBench)", 31.76 },
        {"Jetson Orin Nano (RooflineBench)",  9.56  }
    };
    static const char *const clusters[] = {"dgx-h100", "hgx-a100-4", "mi300x-2-pcie"};
    sp_arena arena = {0};
    (void)state;
    for (size_t i = 0; i < sizeof presets / sizeof presets[0]; i++) {
        const double *peaks = load_gpu(&arena, presets[i].name)->peak_flops_per_s;
        const double peak = peaks[SP_BF16] > 0.0 ? peaks[SP_BF16] : peaks[SP_FP16];
        if (!within(peak / 1e12, presets[i].peak - 1e-9, presets[i].peak + 1e-9)) {
            fail_msg("%s: %g", presets[i].name, peak);
        }
    }
    for (size_t i = 0; i < sizeof clusters / sizeof clusters[0]; i++) {
        (void)load_cluster(&arena, clusters[i]);
    }
    sp_arena_fini(&arena);
}

/* A part without tables of its own says whose it uses, and that part measured them itself. */
static void check_donor(sp_arena *arena, const char *name)
{
    const sp_gpu *gpu = load_gpu(arena, name);
    const sp_gpu *donor = load_gpu(arena, gpu->calibrated_from);
    assert_string_equal(donor->name, gpu->calibrated_from);
    assert_string_equal(donor->calibrated_from, donor->name);
}

static void surfaces_are_lent_by_parts_that_were_measured(void **state)
{
    (void)state;
    for_each("gpus", check_donor);
}

/* Blackwell: each narrower number is faster in a large product, launches and padding included. */
static void narrower_numbers_are_faster_in_large_products(void **state)
{
    static const char *const parts[] = {"b200-sxm", "b300-sxm", "gb200", "gb300"};
    static const sp_dtype dtypes[] = {SP_BF16, SP_FP8, SP_NVFP4};
    sp_arena arena = {0};
    (void)state;
    for (size_t p = 0; p < sizeof parts / sizeof parts[0]; p++) {
        const sp_gpu *gpu = load_gpu(&arena, parts[p]);
        double last_s = 1e300;
        for (size_t d = 0; d < sizeof dtypes / sizeof dtypes[0]; d++) {
            const sp_gemm_surface *s = &gpu->gemm[dtypes[d]];
            const double m = 16384.0;
            const double work = 2.0 * (m + s->m_half) * (m + s->n_half) * (m + s->k_half);
            const double t =
                s->launch_s + work / (gpu->peak_flops_per_s[dtypes[d]] * s->efficiency_ratio);
            assert_true(t < last_s);
            last_s = t;
        }
        assert_true(gpu->gemm[SP_MXFP8].efficiency_ratio == gpu->gemm[SP_FP8].efficiency_ratio);
    }
    sp_arena_fini(&arena);
}

static void newer_generations_are_faster(void **state)
{
    static const char *const generations[] = {"A100", "H100", "B200", "GB200"};
    sp_arena arena = {0};
    (void)state;
    for (size_t i = 1; i < sizeof generations / sizeof generations[0]; i++) {
        const sp_gpu *older = load_gpu(&arena, generations[i - 1]);
        const sp_gpu *newer = load_gpu(&arena, generations[i]);
        assert_true(newer->peak_flops_per_s[SP_BF16] > older->peak_flops_per_s[SP_BF16]);
        assert_true(newer->memory_bytes_per_s > older->memory_bytes_per_s);
        assert_true(newer->tdp_watts > older->tdp_watts);
    }
    sp_arena_fini(&arena);
}

static void check_gpu_links(sp_arena *arena, const char *name)
{
    const sp_gpu *gpu = load_gpu(arena, name);
    double last_bytes_per_s = 1e300;
    for (uint32_t i = 0; i < gpu->n_links; i++) {
        const char *ref = sp_arena_printf(arena, "2x%s/%s", name, gpu->links[i]);
        const sp_level *level = &load_cluster(arena, ref)->levels[0];
        const double bytes_per_s = level->bytes_per_s * level->efficiency_ratio;
        assert_string_equal(level->link, gpu->links[i]);
        assert_true(bytes_per_s < last_bytes_per_s);
        last_bytes_per_s = bytes_per_s;
    }
}

static void the_links_of_a_gpu_exist_and_the_fastest_is_first(void **state)
{
    (void)state;
    for_each("gpus", check_gpu_links);
}

/* Typed as a level of any GPU, unless it is a port of other GPUs. */
static void check_link(sp_arena *arena, const char *name)
{
    sp_error err = {0};
    const sp_cluster *cluster = NULL;
    const char *ref = sp_arena_printf(arena, "8xH100,4x%s", name);
    const sp_status status = sp_cluster_find(arena, source_tree(), ref, &cluster, &err);
    if (status == SP_E_INCONSISTENT) {
        assert_non_null(strstr(err.message, "has no such link"));
        return;
    }
    assert_int_equal(status, SP_OK);
    const sp_level *level = &cluster->levels[1];
    assert_string_equal(level->link, name);
    assert_true(within(level->bytes_per_s, 1e9, 2e12));
    assert_true(within(level->efficiency_ratio, 0.1, 1.0));
    assert_true(within(level->latency_s, 5e-7, 5e-5));
    assert_true(within(level->half_bytes, 1e3, 1e8));
}

static void every_link_has_figures_of_a_real_network(void **state)
{
    (void)state;
    for_each("links", check_link);
}

static void check_cluster(sp_arena *arena, const char *name)
{
    const sp_cluster *cluster = load_cluster(arena, name);
    assert_string_equal(cluster->name, name);
    assert_true(within(cluster->host_memory_bytes / cluster->node_gpus, 4.8e10, 2e12));
    assert_true(within(cluster->host_link_bytes_per_s, 5e9, 5e11));
    assert_true(within(cluster->host_memory_bytes_per_s, 1e11, 2e12));
    assert_true(cluster->nvme_bytes == 0.0 || within(cluster->nvme_bytes, 1e12, 1e14));
    assert_true(cluster->nvme_bytes == 0.0 || within(cluster->nvme_bytes_per_s, 1e9, 1e11));
    assert_true(cluster->levels[0].n_gpus >= 2);
    for (uint32_t i = 1; i < cluster->n_levels; i++) {
        const sp_level *inner = &cluster->levels[i - 1];
        const sp_level *outer = &cluster->levels[i];
        assert_true(outer->n_gpus > inner->n_gpus);
        assert_true(outer->n_gpus == UINT32_MAX || outer->n_gpus % inner->n_gpus == 0);
        assert_true(outer->oversubscription >= inner->oversubscription);
    }
    assert_int_equal(cluster->levels[cluster->n_levels - 1].n_gpus, UINT32_MAX);
}

static void every_cluster_nests_and_has_a_host(void **state)
{
    (void)state;
    for_each("clusters", check_cluster);
}

/* Every alias of every file finds that file, so no two files share one. */
static void check_aliases(sp_arena *arena, const char *folder, const char *name)
{
    sp_error err = {0};
    sp_json_doc *doc = NULL;
    const char *file =
        sp_arena_printf(arena, "%s/hardware/%s/%s.json", source_tree(), folder, name);
    assert_int_equal(sp_json_load_file(file, &doc, &err), SP_OK);
    const sp_json root = sp_json_root(doc);
    const sp_json aliases = sp_json_get(&root, "aliases");
    for (size_t i = 0; i < sp_json_size(&aliases); i++) {
        const sp_json alias = sp_json_at(&aliases, i);
        const char *text = NULL;
        assert_int_equal(sp_json_as_string(&alias, &text, &err), SP_OK);
        if (strcmp(folder, "gpus") == 0) {
            assert_string_equal(load_gpu(arena, text)->name, name);
        } else {
            assert_string_equal(load_cluster(arena, text)->name, name);
        }
    }
    sp_json_free(doc);
}

static void check_gpu_aliases(sp_arena *arena, const char *name)
{
    check_aliases(arena, "gpus", name);
}

static void check_cluster_aliases(sp_arena *arena, const char *name)
{
    check_aliases(arena, "clusters", name);
}

static void no_alias_stands_twice(void **state)
{
    (void)state;
    for_each("gpus", check_gpu_aliases);
    for_each("clusters", check_cluster_aliases);
}

static void the_spellings_of_published_tables_are_known(void **state)
{
    static const char *const spellings[][2] = {
        {"A100",                  "a100-sxm-80g" },
        {"A100-80GB",             "a100-sxm-80g" },
        {"A100-40GB",             "a100-sxm-40g" },
        {"H100-80GB",             "h100-sxm"     },
        {"h100_sxm",              "h100-sxm"     },
        {"H200-141GB",            "h200-sxm"     },
        {"B200-180GB",            "b200-sxm"     },
        {"b200_sxm",              "b200-sxm"     },
        {"L40S",                  "l40s"         },
        {"a100_sxm",              "a100-sxm-80g" },
        {"NVIDIA H100 80GB HBM3", "h100-sxm"     },
        {"NVIDIA A100-SXM4-80GB", "a100-sxm-80g" },
        {"GB200-186GB",           "gb200"        },
        {"GB300-288GB",           "gb300"        },
        {"V100-32GB",             "v100-sxm2-32g"},
        {"V100-16GB",             "v100-sxm2-16g"},
        {"MI300X-192GB",          "mi300x"       },
        {"MI325X-256GB",          "mi325x"       },
        {"H100-96GB-HBM2e-500W",  "h100-96g-sxm" },
        {"H100-SXM-80GB",         "h100-sxm"     },
        {"a100-80gb",             "a100-sxm-80g" },
        {"h100-80gb",             "h100-sxm"     },
        {"h100-80gb-pcap",        "h100-sxm-350w"},
        {"RTXPRO6000",            "rtx-pro-6000" },
        {"gb300",                 "gb300"        },
        {"RTX4090",               "rtx4090"      },
    };
    sp_arena arena = {0};
    (void)state;
    for (size_t i = 0; i < sizeof spellings / sizeof spellings[0]; i++) {
        assert_string_equal(load_gpu(&arena, spellings[i][0])->name, spellings[i][1]);
    }
    sp_arena_fini(&arena);
}

/* DeepSeek-V3's H800: the chip of an H100 with 400 GB/s of NVLink, both ways together, and eight
 * 400 Gb/s ports a node. */
static void an_h800_differs_from_an_h100_by_its_links(void **state)
{
    sp_arena arena = {0};
    (void)state;
    const sp_cluster *h800 = load_cluster(&arena, "hgx-h800");
    const sp_cluster *h100 = load_cluster(&arena, "dgx-h100");
    assert_true(h800->gpu->peak_flops_per_s[SP_BF16] == h100->gpu->peak_flops_per_s[SP_BF16]);
    assert_true(h800->levels[0].bytes_per_s == 200e9);
    assert_true(h800->levels[1].bytes_per_s == 50e9);
    assert_int_equal(h800->levels[0].n_gpus, 8);
    sp_arena_fini(&arena);
}

/* 18 trays of four GPUs in one NVLink domain; 400 or 800 Gb/s a GPU out of it. */
static void an_nvl72_rack_is_one_nvlink_domain(void **state)
{
    static const char *const racks[] = {"gb200-nvl72", "gb300-nvl72"};
    static const double network_bytes_per_s[] = {50e9, 100e9};
    sp_arena arena = {0};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const sp_cluster *rack = load_cluster(&arena, racks[i]);
        assert_int_equal(rack->node_gpus, 4);
        assert_int_equal(rack->levels[1].n_gpus, 72);
        assert_true(rack->levels[0].bytes_per_s == 900e9 && rack->levels[1].bytes_per_s == 900e9);
        assert_true(rack->levels[2].bytes_per_s == network_bytes_per_s[i]);
        assert_true(rack->host_link_bytes_per_s > 3.0 * 52e9);
    }
    sp_arena_fini(&arena);
}

static void every_cluster_of_the_interface_is_there(void **state)
{
    static const char *const names[] = {"dgx-a100-80g", "dgx-h100", "dgx-h200",    "hgx-h800",
                                        "hgx-h20",      "dgx-b200", "gb200-nvl72", "mi300x-8",
                                        "l40s-8",       "v100-dgx"};
    sp_arena arena = {0};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_string_equal(load_cluster(&arena, names[i])->name, names[i]);
    }
    sp_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_gpu_has_figures_of_a_real_part),
        cmocka_unit_test(presets_of_other_tools_are_known),
        cmocka_unit_test(narrower_numbers_never_have_the_lower_peak),
        cmocka_unit_test(every_dtype_with_a_peak_has_surfaces_below_it),
        cmocka_unit_test(surfaces_are_lent_by_parts_that_were_measured),
        cmocka_unit_test(narrower_numbers_are_faster_in_large_products),
        cmocka_unit_test(newer_generations_are_faster),
        cmocka_unit_test(the_links_of_a_gpu_exist_and_the_fastest_is_first),
        cmocka_unit_test(every_link_has_figures_of_a_real_network),
        cmocka_unit_test(every_cluster_nests_and_has_a_host),
        cmocka_unit_test(an_h800_differs_from_an_h100_by_its_links),
        cmocka_unit_test(an_nvl72_rack_is_one_nvlink_domain),
        cmocka_unit_test(every_cluster_of_the_interface_is_there),
        cmocka_unit_test(no_alias_stands_twice),
        cmocka_unit_test(the_spellings_of_published_tables_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
