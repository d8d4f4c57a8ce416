/* SPDX-License-Identifier: Apache-2.0 */
/* Formulas a second on one core: compiled once and evaluated under many bindings, compiled anew
 * each time, and a whole model expanded. Medians of five repetitions.
 *
 *     SHARDPLAN_HOME=. build/release/bench_formula */
#include "must.h"

#include "formula/formula.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_REPEATS = 5, N_BINDINGS = 200000, N_EXPANSIONS = 2000 };

static const char formula[] = "2 * {tokens} * {in_features} * {out_features} + "
                              "({tokens} * {out_features} if {has_bias} else 0)";
static const char bindings[] =
    "{\"batch_size\": 4, \"seq_len\": 8192, \"cache_len\": 0, \"a_bytes\": 2, \"w_bytes\": 2, "
    "\"index_bytes\": 8, \"config\": {\"hidden_size\": 8192, \"num_attention_heads\": 64, "
    "\"num_key_value_heads\": 8, \"head_dim\": 128, \"intermediate_size\": 28672, "
    "\"num_hidden_layers\": 80, \"vocab_size\": 128256}}";

static int compare(const void *a, const void *b)
{
    const double *left = a, *right = b;
    return (*left > *right) - (*left < *right);
}

static double median(double seconds[N_REPEATS])
{
    qsort(seconds, N_REPEATS, sizeof *seconds, compare);
    return seconds[N_REPEATS / 2];
}

/* Adds up in 64 bits, so that nothing can be left out. */
static uint64_t checksum;

static void compiled_once(void)
{
    sp_arena arena = {0};
    sp_error err = {0};
    const sp_formula *f = NULL;
    must(sp_formula_parse(&arena, SP_FORMULA_MODULE, formula, &f, &err), &err);
    /* has_bias, the condition, stands where it is first used. */
    sp_value values[4] = {sp_value_of_int(1), sp_value_of_int(4096), sp_value_of_int(14336),
                          sp_value_of_int(1)};
    for (int64_t i = 0; i < N_BINDINGS; i++) {
        sp_value out;
        values[0] = sp_value_of_int(i);
        if (sp_formula_eval_values(f, values, &out, NULL) == SP_FORMULA_OK) {
            checksum += (uint64_t)out.number.num;
        }
    }
    sp_arena_fini(&arena);
}

static void compiled_each_time(void)
{
    for (int64_t i = 0; i < N_BINDINGS / 10; i++) {
        sp_arena arena = {0};
        sp_error err = {0};
        const sp_formula *f = NULL;
        must(sp_formula_parse(&arena, SP_FORMULA_MODULE, formula, &f, &err), &err);
        checksum += sp_formula_text(f)[0] == '2';
        sp_arena_fini(&arena);
    }
}

static void load(sp_formula_library *library)
{
    static const char *const files[] = {"layers", "attention", "mlp", "models"};
    const char *home = getenv("SHARDPLAN_HOME");
    sp_error err = {0};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/configs/modules/%s.json", home ? home : ".", files[i]);
        must(sp_formula_library_add_file(library, path, &err), &err);
    }
    must(sp_formula_library_link(library, &err), &err);
}

static void expand_models(void)
{
    sp_arena arena = {0};
    sp_error err = {0};
    sp_json_doc *doc = NULL;
    size_t idx = 0;
    sp_formula_library *library = sp_formula_library_new(&arena);
    load(library);
    must(sp_json_load_text(bindings, strlen(bindings), "bindings", &doc, &err), &err);
    sp_json root = sp_json_root(doc);
    const sp_scope scope = {sp_scope_json, &root};
    if (!sp_formula_class_find(library, "CausalLM", &idx)) exit(EXIT_FAILURE);
    for (int i = 0; i < N_EXPANSIONS; i++) {
        sp_rational flops;
        sp_formula_failure failure;
        if (sp_formula_expand_class(library, idx, SP_FORMULA_FLOPS, &scope, &flops, &failure) !=
            SP_FORMULA_OK) {
            exit(EXIT_FAILURE);
        }
        checksum += (uint64_t)flops.num;
    }
    sp_json_free(doc);
    sp_arena_fini(&arena);
}

static void measure(const char *what, void (*work)(void), double n)
{
    double seconds[N_REPEATS];
    for (int i = 0; i < N_REPEATS; i++) {
        const double begin_s = sp_clock_s();
        work();
        seconds[i] = sp_clock_s() - begin_s;
    }
    const double each_s = median(seconds) / n;
    printf("%-24s %12.0f a second, %8.2f us each\n", what, 1 / each_s, each_s * 1e6);
}

int main(void)
{
    measure("compiled once", compiled_once, N_BINDINGS);
    measure("compiled each time", compiled_each_time, N_BINDINGS / 10.0);
    measure("whole models expanded", expand_models, N_EXPANSIONS);
    printf("checksum %llx\n", (unsigned long long)checksum);
    return 0;
}
