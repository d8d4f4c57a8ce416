/* SPDX-License-Identifier: Apache-2.0 */
/* Draws sample roofline pictures into a folder, to be looked at, and says how long each took:
 *     bench_roofline FOLDER */
#include "shardplan/roofline.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const classes[] = {
    "QKV projection", "RoPE",     "attention", "output projection",
    "FFN in",         "FFN down", "router",    "norm"};

/* Intensities of a dense layer of 8B parameters: prompt of 4,096 tokens, then one token. */
static const struct {
    const char *label;
    uint32_t class_idx;
    double prefill, decode, last;
} operators[] = {
    {"q_proj",     0, 1365.0, 0.9995, 0.9995},
    {"k_proj",     0, 683.0,  0.999,  0.999 },
    {"v_proj",     0, 683.0,  0.999,  0.999 },
    {"rope q",     1, 0.75,   0.75,   0.75  },
    {"rope k",     1, 0.75,   0.75,   0.75  },
    {"q k^T",      2, 103.0,  3.96,   3.98  },
    {"attn v",     2, 99.0,   3.9,    3.93  },
    {"o_proj",     3, 1365.0, 0.9995, 0.9995},
    {"gate_proj",  4, 1719.0, 0.9996, 0.9996},
    {"up_proj",    4, 1719.0, 0.9996, 0.9996},
    {"down_proj",  5, 1719.0, 0.9996, 0.9996},
    {"input norm", 7, 1.0,    1.0,    1.0   },
};

#define N_OPERATORS COUNT(operators)

static const sp_roofline_limit h100_ceilings[] = {
    {"bf16", 989.4e12 },
    {"fp8",  1978.9e12},
    {"fp32", 66.9e12  }
};
static const sp_roofline_limit h100_memory[] = {
    {"HBM3", 3.35e12}
};
static const sp_roofline_limit a100_ceilings[] = {
    {"bf16", 312e12 },
    {"fp32", 19.5e12}
};
static const sp_roofline_limit a100_memory[] = {
    {"HBM2e", 2.039e12}
};
static const sp_roofline_limit mi300_ceilings[] = {
    {"bf16", 1307.4e12},
    {"fp8",  2614.9e12}
};
static const sp_roofline_limit mi300_memory[] = {
    {"HBM3", 5.3e12}
};
static const sp_roofline_limit apple_ceilings[] = {
    {"fp16", 27.2e12}
};
static const sp_roofline_limit apple_memory[] = {
    {"LPDDR5", 800e9}
};
static const sp_roofline_limit phone_ceilings[] = {
    {"int8", 45e12}
};
static const sp_roofline_limit phone_memory[] = {
    {"SRAM",    2e12 },
    {"LPDDR5X", 77e9 },
    {"UFS 4.0", 4.2e9}
};
static const sp_roofline_limit pim_ceilings[] = {
    {"fp16", 1.2e12}
};
static const sp_roofline_limit pim_memory[] = {
    {"in-bank", 4.92e12}
};

static const sp_roofline_hardware machines[] = {
    {"H100 SXM",   h100_ceilings,  3, h100_memory,  1, 700.0, 0.55},
    {"A100 80 GB", a100_ceilings,  2, a100_memory,  1, 400.0, 0.5 },
    {"MI300X",     mi300_ceilings, 2, mi300_memory, 1, 750.0, 0.5 },
    {"M2 Ultra",   apple_ceilings, 1, apple_memory, 1, 60.0,  0.35},
    {"Phone NPU",  phone_ceilings, 1, phone_memory, 3, 8.0,   0.4 },
    {"HBM-PIM",    pim_ceilings,   1, pim_memory,   1, 30.0,  0.3 },
};

static uint32_t fill(sp_roofline_point *points, uint32_t n_hardware)
{
    uint32_t n = 0;
    for (uint32_t h = 0; h < n_hardware; h++) {
        for (size_t i = 0; i < N_OPERATORS; i++) {
            const double intensities[] = {operators[i].prefill, operators[i].decode,
                                          operators[i].last};
            for (uint32_t p = 0; p < 3; p++) {
                points[n++] = (sp_roofline_point){.label = operators[i].label,
                                                  .phase = (sp_phase)(SP_PHASE_PREFILL + p),
                                                  .class_idx = operators[i].class_idx,
                                                  .hardware_idx = h,
                                                  .flops_per_byte = intensities[p]};
            }
        }
    }
    return n;
}

static int draw(const char *folder, const char *name, uint32_t n_hardware, sp_roofline_view view)
{
    sp_roofline_point points[COUNT(machines) * N_OPERATORS * 3];
    const sp_roofline roofline = {"Roofline of Llama-3.1-8B",
                                  "batch 1, prompt of 4096 tokens, 512 generated, 16-bit",
                                  classes,
                                  COUNT(classes),
                                  machines,
                                  n_hardware,
                                  points,
                                  fill(points, n_hardware)};
    static const char *const endings[] = {"svg", "png"};
    for (int e = 0; e < 2; e++) {
        char path[512];
        sp_error err = {0};
        const clock_t start = clock();
        snprintf(path, sizeof path, "%s/%s-%s.%s", folder, name, sp_roofline_view_name(view),
                 endings[e]);
        if (sp_roofline_write(&roofline, view, path, &err) != SP_OK) {
            fprintf(stderr, "%s: %s\n", path, err.message);
            return 1;
        }
        printf("%-40s %6.1f ms\n", path, 1e3 * (double)(clock() - start) / CLOCKS_PER_SEC);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: bench_roofline FOLDER\n");
        return 2;
    }
    int failed = 0;
    for (int view = 0; view < SP_ROOFLINE_N_VIEWS; view++) {
        failed += draw(argv[1], "one", 1, (sp_roofline_view)view);
        failed += draw(argv[1], "three", 3, (sp_roofline_view)view);
        failed += draw(argv[1], "six", 6, (sp_roofline_view)view);
    }
    return failed > 0;
}
