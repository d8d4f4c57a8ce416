/* SPDX-License-Identifier: Apache-2.0 */
/* Reading published runs: what a file says arrives, and every slip is refused where it stands. */
#include "base/base.h"
#include "shardplan/recipe.h"

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

static const char whole[] =
    "{\n"
    "  \"schema\": \"shardplan/recipe/1\",\n"
    "  \"name\": \"run\",\n"
    "  \"about\": \"A run\",\n"
    "  \"model\": \"gpt2\",\n"
    "  \"cluster\": \"l40s-8\",\n"
    "  \"gpus\": 8,\n"
    "  \"seq_len\": 1024,\n"
    "  \"global_batch\": 32,\n"
    "  \"engine\": \"megatron@0.12\",\n"
    "  \"plan\": \"tp=2,pp=2,micro_batch=4\",\n"
    "  \"measured\": {\"tokens_per_s_per_gpu\": 1000.5},\n"
    "  \"source\": {\"citation\": \"made up\", \"url\": \"https://a\", \"date\": \"2026-01-31\"},\n"
    "  \"notes\": [\"First.\", \"Second.\"]\n"
    "}\n";

typedef struct fixture {
    char home[64];
    sp_arena arena;
    sp_error err;
    const sp_recipes *recipes;
} fixture;

static void make_folder(const char *home, const char *folder)
{
    char path[160];
    (void)snprintf(path, sizeof path, "%s/%s", home, folder);
    assert_int_equal(mkdir(path, 0700), 0);
}

static int set_up(void **state)
{
    static fixture f;
    f = (fixture){.home = "/tmp/recipe-XXXXXX"};
    if (mkdtemp(f.home) == NULL) return -1;
    make_folder(f.home, "configs");
    make_folder(f.home, "configs/recipes");
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    char path[160];
    (void)snprintf(path, sizeof path, "%s/configs/recipes/run.json", f->home);
    (void)remove(path);
    *strrchr(path, '/') = '\0';
    (void)rmdir(path);
    *strrchr(path, '/') = '\0';
    (void)rmdir(path);
    (void)rmdir(f->home);
    sp_arena_fini(&f->arena);
    return 0;
}

/* Loads the file with `old` replaced by `new`. */
static sp_status load_with(fixture *f, const char *old, const char *new)
{
    char path[160];
    sp_text text = {0};
    const char *at = strstr(whole, old);
    assert_non_null(at);
    sp_text_add_n(&text, whole, (size_t)(at - whole));
    sp_text_add(&text, new);
    sp_text_add(&text, at + strlen(old));
    (void)snprintf(path, sizeof path, "%s/configs/recipes/run.json", f->home);
    sp_error err = {0};
    assert_int_equal(sp_file_write(path, text.data, text.length, &err), SP_OK);
    sp_text_fini(&text);
    return sp_recipes_load(&f->arena, f->home, &f->recipes, &f->err);
}

static void what_a_file_says_arrives(void **state)
{
    fixture *f = *state;
    assert_int_equal(load_with(f, "A run", "A run"), SP_OK);
    assert_int_equal(f->recipes->n, 1);
    const sp_training_recipe *run = &f->recipes->list[0];
    assert_string_equal(run->name, "run");
    assert_string_equal(run->engine, "megatron@0.12");
    assert_int_equal(run->task, SP_TASK_PRETRAIN);
    assert_string_equal(run->gpus_text, "8");
    assert_string_equal(run->precision_set, "precision=bf16");
    assert_int_equal(run->plan.gpus, 8);
    assert_int_equal(run->plan.dp, 2);           /* 8 / (2 2) */
    assert_int_equal(run->plan.accumulation, 4); /* 32 / (2 4) */
    assert_int_equal(run->measured.measure, SP_MEASURE_TOKENS);
    assert_true(run->measured.value == 1000.5);
    assert_int_equal(run->n_notes, 2);
    assert_string_equal(run->notes[1], "Second.");
    assert_null(run->refused_by);
}

static void a_home_without_recipes_has_none(void **state)
{
    fixture *f = *state;
    assert_int_equal(sp_recipes_load(&f->arena, "/nowhere", &f->recipes, &f->err), SP_OK);
    assert_int_equal(f->recipes->n, 0);
}

static void rates_need_a_flop_convention_and_hours_their_tokens(void **state)
{
    fixture *f = *state;
    static const char *const tokens = "\"tokens_per_s_per_gpu\": 1000.5";
    assert_int_equal(load_with(f, tokens, "\"mfu\": 0.4, \"flops\": \"6nd\""), SP_OK);
    assert_int_equal(f->recipes->list[0].measured.flops, SP_FLOPS_6ND);
    assert_int_equal(load_with(f, tokens, "\"gpu_hours\": 180000, \"tokens\": 1e12"), SP_OK);
    assert_true(f->recipes->list[0].measured.tokens == 1e12);
    assert_int_equal(load_with(f, tokens, "\"mfu\": 0.4"), SP_E_MISSING_KEY);
    assert_int_equal(load_with(f, tokens, "\"gpu_hours\": 1"), SP_E_MISSING_KEY);
}

/* One slip, and where it is told. */
typedef struct slip {
    const char *old, *new;
    sp_status status;
    const char *path;
} slip;

static const slip slips[] = {
    {"recipe/1",    "recipe/2",                    SP_E_UNKNOWN_NAME, "/schema"                       },
    {"\"run\"",     "\"walk\"",                    SP_E_INCONSISTENT, "/name"                         },
    {"A run",       "",                            SP_E_RANGE,        "/about"                        },
    {"\"gpus\": 8", "\"gpus\": 0",                 SP_E_RANGE,        "/gpus"                         },
    {"tp=2,pp",     "tp=2,qq",                     SP_E_UNKNOWN_NAME, "/plan"                         },
    {"tp=2",        "gpus=16,tp=2",                SP_E_INCONSISTENT, "/plan"                         },
    {"1000.5",      "-1",                          SP_E_RANGE,        "/measured/tokens_per_s_per_gpu"},
    {"1000.5",      "1, \"step_s\": 2",            SP_E_INCONSISTENT, "/measured"                     },
    {"1000.5",      "1, \"flops\": \"6nd\"",       SP_E_INCONSISTENT, "/measured/flops"               },
    {"2026-01-31",  "January",                     SP_E_RANGE,        "/source/date"                  },
    {"\"notes\"",   "\"note\"",                    SP_E_UNKNOWN_KEY,  "/note"                         },
    {"\"Second.\"", "2",                           SP_E_TYPE,         "/notes/1"                      },
    {"\"engine\"",  "\"task\": \"x\", \"engine\"", SP_E_UNKNOWN_NAME, "/task"                         },
};

static void every_slip_is_told_where_it_stands(void **state)
{
    fixture *f = *state;
    for (size_t i = 0; i < sizeof slips / sizeof slips[0]; i++) {
        const sp_status status = load_with(f, slips[i].old, slips[i].new);
        if (status == SP_OK) fail_msg("%s is taken", slips[i].new);
        assert_int_equal(status, slips[i].status);
        assert_string_equal(f->err.path, slips[i].path);
        assert_true(f->err.line > 0);
        assert_non_null(strstr(f->err.file, "run.json"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_a_file_says_arrives, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_home_without_recipes_has_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rates_need_a_flop_convention_and_hours_their_tokens, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(every_slip_is_told_where_it_stands, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
