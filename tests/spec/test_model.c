/* SPDX-License-Identifier: Apache-2.0 */
/* The shipped models and the names they go by. */
#include "model_fixture.h"

static const sp_model *find(sp_arena *arena, const char *ref)
{
    sp_error err = {0};
    const sp_model *model = NULL;
    char text[SP_ERROR_TEXT_BYTES];
    if (sp_model_find(arena, fixture_home(), ref, &model, &err) != SP_OK) {
        sp_error_format(&err, text, sizeof text);
        fail_msg("%s: %s", ref, text);
    }
    return model;
}

/* Made by transformers 5 from configurations with these dimensions, or worked out apart from this
 * program by the closed forms of their families, for the GPTs V h + P h + L (12 h^2 + 13 h) + 2 h.
 */
static const struct known_model {
    const char *name;
    uint64_t total, active;
} known[] = {
    {"llama-2-7b",        6738415616,    6738415616   },
    {"llama-2-13b",       13015864320,   13015864320  },
    {"llama-2-70b",       68976648192,   68976648192  },
    {"llama-3.1-8b",      8030261248,    8030261248   },
    {"llama-3.1-70b",     70553706496,   70553706496  },
    {"llama-3.1-405b",    405853388800,  405853388800 },
    {"llama-3.2-1b",      1235814400,    1235814400   },
    {"llama-3.2-3b",      3212749824,    3212749824   },
    {"mistral-7b-v0.1",   7241732096,    7241732096   },
    {"mixtral-8x7b",      46702792704,   12879925248  },
    {"mixtral-8x22b",     140620634112,  39152031744  },
    {"qwen2.5-0.5b",      494032768,     494032768    },
    {"qwen2.5-7b",        7615616512,    7615616512   },
    {"qwen2.5-32b",       32763876352,   32763876352  },
    {"qwen2.5-72b",       72706203648,   72706203648  },
    {"qwen3-0.6b",        596049920,     596049920    },
    {"qwen3-8b",          8190735360,    8190735360   },
    {"qwen3-32b",         32762123264,   32762123264  },
    {"qwen3-30b-a3b",     30532122624,   3353032704   },
    {"qwen3-235b-a22b",   235093634560,  22190763520  },
    {"gpt2",              124439808,     124439808    },
    {"gpt2-xl",           1557611200,    1557611200   },
    {"gpt3-175b",         174615846912,  174615846912 },
    {"megatron-22b",      22074273792,   22074273792  },
    {"megatron-530b",     529600819200,  529600819200 },
    {"megatron-1t",       1008038758400, 1008038758400},
    {"deepseek-v2-lite",  15706484224,   2661150208   },
    {"deepseek-v3",       671026404352,  37552282624  },
    {"kimi-k2",           1026408209408, 32861477888  },
    {"glm-4.5-air",       106852245504,  13424123904  },
    {"gpt-oss-120b",      116829156672,  5711982912   },
    {"gpt-neox-20b",      20554567680,   20554567680  },
    {"phi-3-mini-4k",     3821079552,    3821079552   },
    {"deepseek-v2",       235741434880,  21375800320  },
    {"moonlight-16b-a3b", 15960108544,   2914774528   },
    {"gpt-oss-20b",       20914757184,   4187440704   },
    {"glm-4.5",           352797814784,  33632251904  },
    {"qwen2-57b-a14b",    57408658944,   14249270784  },
    {"nemotron-3-8b",     8540135424,    8540135424   },
    {"nemotron-4-15b",    15628775424,   15628775424  },
    {"nemotron-4-340b",   341029195776,  341029195776 },
    {"mpt-7b",            6649286656,    6649286656   },
    {"mpt-30b",           29957200896,   29957200896  },
    {"opt-175b",          174604468224,  174604468224 },
    {"tinyllama-1.1b",    1100048384,    1100048384   },
    {"gpt3-126m",         125950464,     125950464    },
    {"gpt3-5b",           5051228160,    5051228160   },
    {"gpt3-20b",          20262014976,   20262014976  },
    {"mpt-1b",            1315950592,    1315950592   },
    {"mpt-70b",           64862437376,   64862437376  },
    {"glm-4-9b",          9399951360,    9399951360   },
    {"glm-4.7",           352797814784,  33632251904  },
    {"qwen1.5-moe-a2.7b", 14315784192,   2689173504   },
    {"deepseek-moe-16b",  16375728128,   2828650496   },
};

static void shipped_models_have_the_known_numbers_of_parameters(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        sp_arena arena = {0};
        const sp_model *model = find(&arena, known[i].name);
        const sp_parameters p = sp_model_parameters(model);
        assert_string_equal(model->name, known[i].name);
        assert_int_equal(p.total, known[i].total);
        assert_int_equal(p.active, known[i].active);
        sp_arena_fini(&arena);
    }
}

static void check_aliases(const char *name, const char *file)
{
    sp_error err = {0};
    sp_json_doc *doc = NULL;
    assert_int_equal(sp_json_load_file(file, &doc, &err), SP_OK);
    const sp_json root = sp_json_root(doc);
    const sp_json aliases = sp_json_get(&root, "aliases");
    for (size_t i = 0; i < sp_json_size(&aliases); i++) {
        sp_arena arena = {0};
        const sp_json entry = sp_json_at(&aliases, i);
        const char *alias = NULL;
        assert_int_equal(sp_json_as_string(&entry, &alias, &err), SP_OK);
        assert_string_equal(find(&arena, alias)->name, name);
        sp_arena_fini(&arena);
    }
    sp_json_free(doc);
}

static void every_alias_finds_the_file_it_stands_in(void **state)
{
    (void)state;
    sp_arena arena = {0};
    sp_error err = {0};
    const char *const *names = NULL;
    size_t n_names = 0;
    const char *dir = sp_arena_printf(&arena, "%s/configs/models", fixture_home());
    assert_int_equal(sp_dir_names(&arena, dir, ".json", &names, &n_names, &err), SP_OK);
    assert_true(n_names >= 49);
    for (size_t i = 0; i < n_names; i++) {
        assert_string_equal(find(&arena, names[i])->name, names[i]);
        check_aliases(names[i], sp_arena_printf(&arena, "%s/%s.json", dir, names[i]));
    }
    sp_arena_fini(&arena);
}

static void names_are_found_however_they_are_spelled(void **state)
{
    (void)state;
    static const char *const spellings[] = {
        "llama-3.1-70b",
        "LLAMA_3.1_70B",
        "llama3-70b",
        "meta-llama/Llama-3.1-70B",
        "Meta-Llama-3-70B",
        "meta-llama/Llama-3.3-70B-Instruct",
        "Llama-3.1-70B-Instruct",
    };
    for (size_t i = 0; i < sizeof spellings / sizeof spellings[0]; i++) {
        sp_arena arena = {0};
        assert_string_equal(find(&arena, spellings[i])->name, "llama-3.1-70b");
        sp_arena_fini(&arena);
    }
}

static void an_unknown_name_is_refused_with_the_nearest(void **state)
{
    (void)state;
    sp_arena arena = {0};
    sp_error err = {0};
    const sp_model *model = NULL;
    const sp_status status = sp_model_find(&arena, fixture_home(), "mixtral-8x12b", &model, &err);
    assert_int_equal(status, SP_E_UNKNOWN_NAME);
    assert_string_equal(err.value, "mixtral-8x12b");
    assert_string_equal(err.nearest, "mixtral-8x22b");
    assert_non_null(strstr(err.range, "deepseek-v3"));
    sp_arena_fini(&arena);
}

static void a_size_alone_is_refused_with_the_models_of_that_size(void **state)
{
    (void)state;
    sp_arena arena = {0};
    sp_error err = {0};
    const sp_model *model = NULL;
    assert_int_equal(sp_model_find(&arena, fixture_home(), "7B", &model, &err), SP_E_NOT_YET);
    assert_string_equal(err.value, "7B");
    assert_string_equal(err.range, "llama-2-7b, mpt-7b, qwen2.5-7b");
    assert_int_equal(sp_model_find(&arena, fixture_home(), "9.5b", &model, &err), SP_E_NOT_YET);
    assert_non_null(strstr(err.range, "deepseek-v2, deepseek-v2-lite"));
    sp_arena_fini(&arena);
}

static void a_file_that_is_not_there_is_an_io_error(void **state)
{
    (void)state;
    sp_arena arena = {0};
    sp_error err = {0};
    const sp_model *model = NULL;
    const sp_status status =
        sp_model_find(&arena, fixture_home(), "nowhere/llama.json", &model, &err);
    assert_int_equal(status, SP_E_IO);
    assert_string_equal(err.file, "nowhere/llama.json");
    sp_arena_fini(&arena);
}

static void a_folder_stands_for_the_config_in_it_and_gives_its_name(void **state)
{
    (void)state;
    char dir[] = "/tmp/shardplan-folder-XXXXXX";
    char folder[64];
    char file[96];
    assert_non_null(mkdtemp(dir));
    snprintf(folder, sizeof folder, "%s/", dir);
    snprintf(file, sizeof file, "%s/config.json", dir);
    static const char text[] = "{\"model_type\": \"gpt2\", \"vocab_size\": 10, \"n_embd\": 8, "
                               "\"n_layer\": 1, \"n_head\": 2}";
    sp_arena arena = {0};
    sp_error err = {0};
    assert_int_equal(sp_file_write(file, text, strlen(text), &err), SP_OK);
    assert_string_equal(find(&arena, dir)->name, strrchr(dir, '/') + 1);
    assert_string_equal(find(&arena, folder)->name, strrchr(dir, '/') + 1);
    assert_string_equal(find(&arena, file)->name, strrchr(dir, '/') + 1);
    unlink(file);
    rmdir(dir);
    sp_arena_fini(&arena);
}

/* Allocation k fails, for k = 1, 2, ... until loading needs fewer than k. */
static void memory_that_runs_out_anywhere_is_reported(void **state)
{
    (void)state;
    const char *const refs[] = {"llama-3.1-8b", "meta-llama/Llama-3.3-70B-Instruct", "qwen3-0.7b"};
    for (size_t r = 0; r < sizeof refs / sizeof refs[0]; r++) {
        sp_status status = SP_E_MEMORY;
        for (uint64_t k = 1; status == SP_E_MEMORY; k++) {
            sp_arena arena = {0};
            sp_error err = {0};
            const sp_model *model = NULL;
            sp_alloc_fail_at(k);
            status = sp_model_find(&arena, fixture_home(), refs[r], &model, &err);
            sp_alloc_fail_at(0);
            assert_int_equal(status, err.status);
            assert_true(k < 100000);
            sp_arena_fini(&arena);
        }
        assert_int_equal(status, r < 2 ? SP_OK : SP_E_UNKNOWN_NAME);
    }
}

static void layers_are_found_in_their_runs(void **state)
{
    (void)state;
    static const sp_layer_run runs[] = {
        {.kind = 1, .count = 2},
        {.kind = 0, .count = 1},
        {.kind = 1, .count = 1}
    };
    const sp_model model = {.n_layers = 4, .n_kinds = 2, .n_runs = 3, .runs = runs};
    assert_ptr_equal(sp_model_layer(&model, 0), &model.kinds[1]);
    assert_ptr_equal(sp_model_layer(&model, 1), &model.kinds[1]);
    assert_ptr_equal(sp_model_layer(&model, 2), &model.kinds[0]);
    assert_ptr_equal(sp_model_layer(&model, 3), &model.kinds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shipped_models_have_the_known_numbers_of_parameters),
        cmocka_unit_test(every_alias_finds_the_file_it_stands_in),
        cmocka_unit_test(names_are_found_however_they_are_spelled),
        cmocka_unit_test(an_unknown_name_is_refused_with_the_nearest),
        cmocka_unit_test(a_size_alone_is_refused_with_the_models_of_that_size),
        cmocka_unit_test(a_file_that_is_not_there_is_an_io_error),
        cmocka_unit_test(a_folder_stands_for_the_config_in_it_and_gives_its_name),
        cmocka_unit_test(memory_that_runs_out_anywhere_is_reported),
        cmocka_unit_test(layers_are_found_in_their_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
