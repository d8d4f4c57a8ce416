/* SPDX-License-Identifier: Apache-2.0 */
/* Classes laid flat: the quick doubles agree with the exact expansion of the same class, and what
 * cannot be proved beforehand is refused with a sentence. */
#include "common/draw.h"
#include "formula/flat.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct made {
    sp_arena arena;
    sp_formula_library *library;
    sp_json_doc *env;
    sp_formula_failure failure;
} made;

static const char sizes[] =
    "{\"batch_size\": 1, \"seq_len\": 1, \"cache_len\": 0, \"attended\": 1, \"w_bytes\": 1, "
    "\"a_bytes\": 1, \"kv_bytes\": 1, \"index_bytes\": 0, \"config\": {\"hidden_size\": 512, "
    "\"num_attention_heads\": 8, \"num_key_value_heads\": 2, \"head_dim\": 64, "
    "\"intermediate_size\": 1376, \"num_hidden_layers\": 5, \"vocab_size\": 1000, "
    "\"num_local_experts\": 16, \"num_experts_per_tok\": 3}}";

static sp_json_doc *parse(const char *text)
{
    sp_json_doc *doc = NULL;
    sp_error err = {0};
    if (sp_json_load_text(text, strlen(text), "test.json", &doc, &err) != SP_OK) {
        fail_msg("%s: %s", err.message, text);
    }
    return doc;
}

static void make(made *m)
{
    *m = (made){.env = parse(sizes)};
    m->library = sp_formula_library_new(&m->arena);
}

static void drop(made *m)
{
    sp_json_free(m->env);
    sp_arena_fini(&m->arena);
}

/* A class of one kernel, with further keys of it. */
static void add(made *m, const char *name, const char *flops, const char *read, const char *write,
                const char *more)
{
    char text[2048];
    snprintf(text, sizeof text,
             "{\"class_name\": \"%s\", \"kernels\": [{\"kernel_type\": \"basic\", \"operation\": "
             "\"o\", \"analysis\": \"\", \"flops\": \"%s\", \"memory_access\": {\"read\": \"%s\", "
             "\"write\": \"%s\"}%s}]}",
             name, flops, read, write, more);
    sp_json_doc *doc = parse(text);
    sp_error err = {0};
    const sp_json root = sp_json_root(doc);
    if (sp_formula_library_add(m->library, &root, &err) != SP_OK) fail_msg("%s", err.message);
    sp_json_free(doc);
}

static sp_formula_code lay_flat(made *m, const char *name, const sp_flat **flat)
{
    size_t idx = 0;
    sp_json root = sp_json_root(m->env);
    const sp_scope scope = {sp_scope_json, &root};
    assert_true(sp_formula_class_find(m->library, name, &idx));
    const sp_flat_request request = {.library = m->library, .class_idx = idx, .scope = &scope};
    return sp_flat_build(&m->arena, &request, flat, &m->failure);
}

/* The one kernel of the one class that was added. */
static sp_flat_counts count(made *m, const double runtime[SP_N_RUNTIME])
{
    sp_error err = {0};
    const sp_flat *flat = NULL;
    sp_flat_counts counts[SP_FLAT_KERNELS];
    assert_int_equal(sp_formula_library_link(m->library, &err), SP_OK);
    if (lay_flat(m, "C", &flat) != SP_FORMULA_OK) fail_msg("%s", m->failure.detail);
    sp_flat_eval(flat, runtime, counts);
    drop(m);
    return counts[0];
}

static sp_flat_counts count_one(const char *flops, const char *read, const char *more,
                                const double runtime[SP_N_RUNTIME])
{
    made m;
    make(&m);
    add(&m, "C", flops, read, "{seq_len} * {a_bytes}", more);
    return count(&m, runtime);
}

static const double at_7[SP_N_RUNTIME] = {2.0, 7.0, 5.0, 9.0};

static void bytes_become_elements_of_each_width(void **state)
{
    (void)state;
    const sp_flat_counts c =
        count_one("10 * {seq_len}",
                  "({seq_len} * {a_bytes} + 3 * ({w_bytes} - {a_bytes} / 4)) * 4 + "
                  "{cache_len} * {kv_bytes}",
                  "", at_7);
    assert_true(c.flops == 70.0);
    assert_true(c.read[SP_WIDTH_ACTIVATION] == 25.0);
    assert_true(c.read[SP_WIDTH_WEIGHT] == 12.0);
    assert_true(c.read[SP_WIDTH_CACHE] == 5.0);
    assert_true(c.written[SP_WIDTH_ACTIVATION] == 7.0);
    assert_true(c.parameters == 12.0);
}

static void conditions_on_running_numbers_are_taken_when_they_run(void **state)
{
    (void)state;
    static const char rule[] = "100 if {seq_len} > 6 else (10 if {cache_len} == 5 else 1)";
    static const double short_one[SP_N_RUNTIME] = {2.0, 6.0, 5.0, 9.0};
    static const double other[SP_N_RUNTIME] = {2.0, 6.0, 4.0, 9.0};
    assert_true(count_one(rule, "{a_bytes}", "", at_7).flops == 100.0);
    assert_true(count_one(rule, "{a_bytes}", "", short_one).flops == 10.0);
    assert_true(count_one(rule, "{a_bytes}", "", other).flops == 1.0);
    assert_true(count_one("1 if {config.head_dim} > 3 else {nowhere}", "0", "", at_7).flops == 1.0);
}

static void every_operation_works_on_running_numbers(void **state)
{
    (void)state;
    assert_true(count_one("{seq_len} // 2 + {seq_len} % 4", "0", "", at_7).flops == 6.0);
    assert_true(count_one("ceil({seq_len} / 2) + floor({seq_len} / 2)", "0", "", at_7).flops == 7);
    assert_true(count_one("int({cache_len} - 7.5) + 9", "0", "", at_7).flops == 7.0);
    assert_true(count_one("abs({cache_len} - {seq_len})", "0", "", at_7).flops == 2.0);
    assert_true(count_one("{seq_len} ** 2 + {seq_len} ** -1 * 7", "0", "", at_7).flops == 50.0);
    assert_true(
        count_one("min({seq_len}, 6, {cache_len}) * max(2, {seq_len})", "0", "", at_7).flops ==
        35.0);
    assert_true(count_one("({seq_len} != 7) + ({seq_len} >= 7) * 2", "0", "", at_7).flops == 2.0);
    assert_true(count_one("+{seq_len} - -{seq_len}", "0", "", at_7).flops == 14.0);
}

static void shapes_and_repeats_are_counted(void **state)
{
    (void)state;
    const sp_flat_counts c =
        count_one("2 * {seq_len} * 3 * 5 + 4", "{seq_len} * 5 * {a_bytes} + 15 * {w_bytes}",
                  ", \"m\": \"{seq_len}\", \"n\": 3, \"k\": 5, \"repeat\": \"{batch_size}\", "
                  "\"vector_flops\": 4, \"parameters\": \"16 + 1\"",
                  at_7);
    assert_true(c.m == 7.0 && c.n == 3.0 && c.k == 5.0 && c.v == 0.0);
    assert_true(c.count == 2.0);
    assert_true(c.flops == 2.0 * 214.0 && c.vector_flops == 8.0);
    assert_true(c.read[SP_WIDTH_WEIGHT] == 30.0);
}

static void refuse(const char *flops, const char *read, const char *more, const char *words)
{
    made m;
    sp_error err = {0};
    const sp_flat *flat = NULL;
    make(&m);
    add(&m, "C", flops, read, "{a_bytes}", more);
    assert_int_equal(sp_formula_library_link(m.library, &err), SP_OK);
    assert_int_not_equal(lay_flat(&m, "C", &flat), SP_FORMULA_OK);
    if (strstr(m.failure.detail, words) == NULL) {
        fail_msg("\"%s\" lacks \"%s\"", m.failure.detail, words);
    }
    assert_true(m.failure.file[0] != '\0' && m.failure.path[0] != '\0');
    drop(&m);
}

static void what_may_fail_later_is_refused(void **state)
{
    (void)state;
    refuse("1 / {cache_len}", "0", "", "may be zero");
    refuse("1 / ({seq_len} - 3)", "0", "", "may be zero");
    refuse("2 ** {seq_len}", "0", "", "constant whole number");
    refuse("{seq_len} ** 40", "0", "", "too large");
    refuse("{seq_len} - {cache_len}", "0", "", "below zero");
    refuse("{nowhere} * 2", "0", "", "nowhere has no value");
}

static void bytes_that_are_not_linear_are_refused(void **state)
{
    (void)state;
    refuse("0", "{a_bytes} * {w_bytes}", "", "linear");
    refuse("0", "max({a_bytes}, {w_bytes})", "", "linear");
    refuse("0", "4 if {a_bytes} > 1 else 2", "", "linear");
    refuse("0", "{seq_len} / {a_bytes}", "", "linear");
    refuse("0", "{seq_len} * {a_bytes} + 4", "", "without a width");
    refuse("{a_bytes}", "0", "", "do not depend on the widths");
    refuse("0", "0", ", \"m\": 1", "m, n and k");
    refuse("0", "0", ", \"unit\": \"matrix\"", "has FLOPs");
}

/* ---- against the exact expansion ---- */

static void add_files(made *m)
{
    static const char *const names[] = {"attention", "layers", "llama",
                                        "mlp",       "models", "operators"};
    sp_error err = {0};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char file[512];
        snprintf(file, sizeof file, "%s/configs/modules/%s.json", getenv("SHARDPLAN_HOME"),
                 names[i]);
        if (sp_formula_library_add_file(m->library, file, &err) != SP_OK) {
            fail_msg("%s", err.message);
        }
    }
    if (sp_formula_library_link(m->library, &err) != SP_OK) fail_msg("%s", err.message);
}

typedef struct drawn {
    const sp_json *root;
    double runtime[SP_N_RUNTIME];
} drawn;

static sp_formula_code look_up(void *user, const char *name, sp_value *out)
{
    const drawn *d = user;
    for (int i = 0; i < SP_N_RUNTIME; i++) {
        if (strcmp(name, sp_runtime_names[i]) != 0) continue;
        *out = sp_value_of_int((int64_t)d->runtime[i]);
        return SP_FORMULA_OK;
    }
    sp_json root = *d->root;
    return sp_scope_json(&root, name, out);
}

static double exactly(made *m, const char *name, sp_formula_metric metric, drawn *d)
{
    size_t idx = 0;
    sp_rational value;
    const sp_scope scope = {look_up, d};
    assert_true(sp_formula_class_find(m->library, name, &idx));
    if (sp_formula_expand_class(m->library, idx, metric, &scope, &value, &m->failure) !=
        SP_FORMULA_OK) {
        fail_msg("%s", m->failure.detail);
    }
    return sp_rational_to_double(value);
}

static void near(double a, double b)
{
    if (fabs(a - b) > 1e-12 * fabs(b)) fail_msg("%.17g instead of %.17g", a, b);
}

static void compare(made *m, const sp_flat *flat, const char *name, drawn *d)
{
    const sp_flat_kernel *kernels = NULL;
    sp_flat_counts counts[SP_FLAT_KERNELS];
    double flops = 0.0, read = 0.0, written = 0.0;
    sp_flat_eval(flat, d->runtime, counts);
    for (size_t i = 0; i < sp_flat_kernels(flat, &kernels); i++) {
        flops += counts[i].flops;
        for (int w = 0; w < SP_N_WIDTHS; w++) {
            read += counts[i].read[w];
            written += counts[i].written[w];
        }
    }
    near(flops, exactly(m, name, SP_FORMULA_FLOPS, d));
    near(read, exactly(m, name, SP_FORMULA_READ, d));
    near(written, exactly(m, name, SP_FORMULA_WRITE, d));
}

/* All widths are 1, so that bytes are elements. */
static void doubles_agree_with_the_exact_expansion(void **state)
{
    (void)state;
    static const char *const names[] = {"LlamaEmbedding", "LlamaLayer", "LlamaHead"};
    made m;
    make(&m);
    add_files(&m);
    draw d = draw_begin("flat against exact");
    const sp_json root = sp_json_root(m.env);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const sp_flat *flat = NULL;
        if (lay_flat(&m, names[i], &flat) != SP_FORMULA_OK) fail_msg("%s", m.failure.detail);
        for (int n = 0; n < 200; n++) {
            drawn at = {.root = &root};
            for (int r = 0; r < SP_N_RUNTIME; r++)
                at.runtime[r] = 1.0 + (double)(draw_u64(&d) % 5000);
            compare(&m, flat, names[i], &at);
        }
    }
    drop(&m);
}

/* 32 experts of which tokens choose: the number that is met is the smaller of two. */
static void experts_are_laid_flat(void **state)
{
    (void)state;
    made m;
    make(&m);
    add_files(&m);
    const sp_flat *flat = NULL;
    const sp_flat_kernel *kernels = NULL;
    if (lay_flat(&m, "ExpertDecoderLayer", &flat) != SP_FORMULA_OK)
        fail_msg("%s", m.failure.detail);
    const size_t n = sp_flat_kernels(flat, &kernels);
    double parameters = 0.0;
    for (size_t i = 0; i < n; i++) {
        assert_string_not_equal(kernels[i].name, "cache");
        parameters += kernels[i].parameters;
    }
    /* 2 norms, queries and output, keys and values, router, 16 experts of three matrices */
    near(parameters, 2 * 512 + 2 * 512 * 512 + 2 * 512 * 128 + 512 * 16 + 16.0 * 3 * 512 * 1376);
    drop(&m);
}

static void equal_kernels_are_counted_once_where_there_are_many(void **state)
{
    (void)state;
    made m;
    char text[16384] = "{\"class_name\": \"C\", \"kernels\": [";
    make(&m);
    for (int i = 0; i < 60; i++) {
        snprintf(text + strlen(text), sizeof text - strlen(text),
                 "%s{\"kernel_type\": \"basic\", \"operation\": \"o%d\", \"analysis\": \"\", "
                 "\"flops\": \"%d\", \"memory_access\": {\"read\": \"0\", \"write\": \"0\"}}",
                 i > 0 ? ", " : "", i % 20, i % 20);
    }
    strcat(text, "]}");
    sp_json_doc *doc = parse(text);
    sp_error err = {0};
    const sp_json root = sp_json_root(doc);
    const sp_flat *flat = NULL;
    const sp_flat_kernel *kernels = NULL;
    sp_flat_counts counts[SP_FLAT_KERNELS];
    assert_int_equal(sp_formula_library_add(m.library, &root, &err), SP_OK);
    assert_int_equal(sp_formula_library_link(m.library, &err), SP_OK);
    assert_int_equal(lay_flat(&m, "C", &flat), SP_FORMULA_OK);
    assert_int_equal(sp_flat_kernels(flat, &kernels), 20);
    sp_flat_eval(flat, at_7, counts);
    assert_true(counts[19].flops == 57.0);
    sp_json_free(doc);
    drop(&m);
}

static void laying_flat_survives_every_lack_of_memory(void **state)
{
    (void)state;
    made m;
    make(&m);
    add_files(&m);
    const sp_flat *flat = NULL;
    for (uint64_t nth = 1; flat == NULL; nth++) {
        assert_true(nth < 100);
        sp_alloc_fail_at(nth);
        assert_int_equal(lay_flat(&m, "LlamaLayer", &flat), SP_FORMULA_OK);
        sp_alloc_fail_at(0);
    }
    drop(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_become_elements_of_each_width),
        cmocka_unit_test(conditions_on_running_numbers_are_taken_when_they_run),
        cmocka_unit_test(every_operation_works_on_running_numbers),
        cmocka_unit_test(shapes_and_repeats_are_counted),
        cmocka_unit_test(what_may_fail_later_is_refused),
        cmocka_unit_test(bytes_that_are_not_linear_are_refused),
        cmocka_unit_test(doubles_agree_with_the_exact_expansion),
        cmocka_unit_test(experts_are_laid_flat),
        cmocka_unit_test(equal_kernels_are_counted_once_where_there_are_many),
        cmocka_unit_test(laying_flat_survives_every_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
