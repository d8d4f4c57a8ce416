/* SPDX-License-Identifier: Apache-2.0 */
/* The presets of GPU Memory Calculator against ours, dimension by dimension. What differs is on the
 * list below with what the published config.json or paper says (sources in configs/models). */
#include "analysis/seed.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct wrong {
    const char *preset, *key;
    double right;
} wrongs[] = {
  /* not wrong: Megatron-LM pads the table to a multiple of 128 tp, which is what ours holds */
    {"gpt3-175b",         "vocab_size",                      51200 },
 /* dense, and 13,696 wide */
    {"glm-4-9b",          "num_experts",                     0     },
    {"glm-4-9b",          "top_k",                           0     },
    {"glm-4-9b",          "expert_intermediate_size",        0     },
    {"glm-4-9b",          "shared_expert_intermediate_size", 0     },
 /* it has the shape of the 106B */
    {"glm-4.7-355b",      "num_layers",                      92    },
    {"glm-4.7-355b",      "hidden_size",                     5120  },
    {"glm-4.7-355b",      "max_seq_len",                     202752},
    {"glm-4.7-355b",      "num_experts",                     160   },
    {"glm-4.7-355b",      "expert_intermediate_size",        1536  },
    {"glm-4.7-355b",      "shared_expert_intermediate_size", 1536  },
 /* 10,944 is the width of the dense first layer */
    {"glm-4.5-air-106b",  "shared_expert_intermediate_size", 1408  },
    {"deepseek-moe-16b",  "shared_expert_intermediate_size", 2816  },
 /* Qwen1.5-MoE-A2.7B is made from Qwen-1.8B */
    {"qwen1.5-moe-a2.7b", "num_layers",                      24    },
    {"qwen1.5-moe-a2.7b", "hidden_size",                     2048  },
    {"qwen1.5-moe-a2.7b", "num_attention_heads",             16    },
    {"qwen1.5-moe-a2.7b", "max_seq_len",                     8192  },
    {"qwen1.5-moe-a2.7b", "num_experts",                     60    },
    {"qwen1.5-moe-a2.7b", "expert_intermediate_size",        1408  },
};

static const char *const ours[][2] = {
    {"llama2-7b",         "llama-2-7b"       },
    {"llama2-13b",        "llama-2-13b"      },
    {"llama2-70b",        "llama-2-70b"      },
    {"gpt3-175b",         "gpt3-175b"        },
    {"mixtral-8x7b",      "mixtral-8x7b"     },
    {"glm-4-9b",          "glm-4-9b"         },
    {"glm-4.7-355b",      "glm-4.7"          },
    {"glm-4.5-air-106b",  "glm-4.5-air"      },
    {"qwen1.5-moe-a2.7b", "qwen1.5-moe-a2.7b"},
    {"deepseek-moe-16b",  "deepseek-moe-16b" },
};

#define N_PRESETS (sizeof ours / sizeof ours[0])
#define N_WRONG   (sizeof wrongs / sizeof wrongs[0])

/* Of the last kind of layer: in models with experts the first ones may be dense. */
static double dimension(const sp_model *m, const char *key)
{
    const sp_layer_kind *kind = &m->kinds[m->n_kinds - 1];
    const struct {
        const char *key;
        double value;
    } all[] = {
        {"num_layers",                      m->n_layers          },
        {"hidden_size",                     m->hidden            },
        {"num_attention_heads",             kind->attention.heads},
        {"vocab_size",                      m->vocab             },
        {"max_seq_len",                     m->max_context       },
        {"num_experts",                     kind->ffn.n_experts  },
        {"top_k",                           kind->ffn.top_k      },
        {"expert_intermediate_size",        kind->ffn.expert_ffn },
        {"shared_expert_intermediate_size", kind->ffn.shared_ffn },
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (strcmp(all[i].key, key) == 0) return all[i].value;
    }
    return -1.0;
}

static const struct wrong *known_wrong(const char *preset, const char *key)
{
    for (size_t i = 0; i < N_WRONG; i++) {
        if (strcmp(wrongs[i].preset, preset) == 0 && strcmp(wrongs[i].key, key) == 0) {
            return &wrongs[i];
        }
    }
    return NULL;
}

/* "46.7B" is right to its own digits: within 3.3 % of the exact count for the names that round. */
static void compare(const char *preset, const sp_json *config, const sp_model *model,
                    uint32_t *n_equal, uint32_t *n_wrong)
{
    for (size_t i = 0; i < sp_json_size(config); i++) {
        const sp_json member = sp_json_member(config, i);
        const double own = dimension(model, member.key);
        if (own < 0.0 || !sp_json_is_number(&member)) continue;
        const double theirs = number_in(config, member.key);
        const struct wrong *known = known_wrong(preset, member.key);
        if ((theirs == own) != (known == NULL) || (known != NULL && known->right != own)) {
            fail_msg("%s, %s: theirs %g, ours %g", preset, member.key, theirs, own);
        }
        *(known == NULL ? n_equal : n_wrong) += 1;
    }
    const double exact = (double)sp_model_parameters(model).total;
    const double stated = number_of(config, "num_parameters");
    if (fabs(stated - exact) > 0.045 * exact) {
        fail_msg("%s: %g parameters, not %g", preset, stated, exact);
    }
    *n_equal += 1;
}

static void presets_equal_ours_but_for_a_list(void **state)
{
    sp_json_doc *doc = NULL;
    sp_error err = {0};
    uint32_t n_equal = 0, n_wrong = 0;
    char path[4096];
    (void)state;
    (void)snprintf(path, sizeof path, "%s/seed-gpumem/presets.json", getenv("SHARDPLAN_DATA"));
    assert_int_equal(sp_json_load_file(path, &doc, &err), SP_OK);
    const sp_json root = sp_json_root(doc);
    assert_int_equal(sp_json_size(&root), N_PRESETS);
    for (size_t i = 0; i < N_PRESETS; i++) {
        const sp_json preset = sp_json_get(&root, ours[i][0]);
        const sp_json config = sp_json_get(&preset, "config");
        const sp_json model_config = sp_json_get(&config, "model");
        const sp_model *model = NULL;
        sp_arena arena = {0};
        assert_int_equal(sp_model_find(&arena, getenv("SHARDPLAN_HOME"), ours[i][1], &model, &err),
                         SP_OK);
        compare(ours[i][0], &model_config, model, &n_equal, &n_wrong);
        sp_arena_fini(&arena);
    }
    sp_json_free(doc);
    print_message("presets: %u dimensions equal, %u wrong there\n", n_equal, n_wrong);
    assert_int_equal(n_wrong, N_WRONG);
}

/* GPT-3 on 1,024 GPUs with t p d = 128: our plan is what the GPUs leave, d = 8. */
static void gpus_that_a_plan_does_not_fill_are_data_parallel(void **state)
{
    sp_plan plan = sp_plan_default();
    (void)state;
    plan.gpus = 1024;
    plan.tp = 8;
    plan.pp = 16;
    sp_plan_derive(&plan, 1024);
    assert_int_equal(plan.dp, 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(presets_equal_ours_but_for_a_list),
        cmocka_unit_test(gpus_that_a_plan_does_not_fill_are_data_parallel),
    };
    return getenv("SHARDPLAN_DATA") != NULL ? cmocka_run_group_tests(tests, NULL, NULL) : 77;
}
