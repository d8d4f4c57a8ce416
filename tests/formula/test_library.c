/* SPDX-License-Identifier: Apache-2.0 */
/* Libraries of classes without any data: how arguments bind, what is inherited, what fails and
 * where it says so, and our own modules against operations counted by hand. */
#include "formula/formula.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

typedef struct made {
    sp_arena arena;
    sp_formula_library *library;
    sp_json_doc *env;
    sp_formula_failure failure;
} made;

static sp_json_doc *parse(const char *text)
{
    sp_json_doc *doc = NULL;
    sp_error err = {0};
    const sp_status status = sp_json_load_text(text, strlen(text), "test.json", &doc, &err);
    if (status != SP_OK) fail_msg("%s: %s", err.message, text);
    return doc;
}

static void add(made *m, const char *text)
{
    sp_json_doc *doc = parse(text);
    sp_error err = {0};
    const sp_json root = sp_json_root(doc);
    if (sp_formula_library_add(m->library, &root, &err) != SP_OK) fail_msg("%s", err.message);
    sp_json_free(doc);
}

/* A class with one kernel; reads and writes nothing. */
static void add_class(made *m, const char *name, const char *flops)
{
    char text[1024];
    snprintf(
        text, sizeof text,
        "{\"class_name\": \"%s\", \"kernels\": [{\"kernel_type\": \"basic\", \"operation\": \"o\", "
        "\"analysis\": \"\", \"flops\": \"%s\", \"memory_access\": {\"read\": \"0\", \"write\": "
        "\"0\"}}]}",
        name, flops);
    add(m, text);
}

/* The library points into `made`, which must stay where it is. */
static void make(made *m, const char *env)
{
    *m = (made){.env = parse(env)};
    m->library = sp_formula_library_new(&m->arena);
}

static void link_all(made *m)
{
    sp_error err = {0};
    assert_int_equal(sp_formula_library_link(m->library, &err), SP_OK);
}

static void drop(made *m)
{
    sp_json_free(m->env);
    sp_arena_fini(&m->arena);
}

/* The FLOPs of a class as text, or the name of the error. */
static const char *flops(made *m, const char *name)
{
    static char text[SP_RATIONAL_TEXT_BYTES];
    size_t idx = 0;
    sp_json root = sp_json_root(m->env);
    sp_rational value;
    const sp_scope scope = {sp_scope_json, &root};
    assert_true(sp_formula_class_find(m->library, name, &idx));
    const sp_formula_code code =
        sp_formula_expand_class(m->library, idx, SP_FORMULA_FLOPS, &scope, &value, &m->failure);
    if (code != SP_FORMULA_OK) return sp_formula_code_name(code);
    sp_rational_format(value, text);
    return text;
}

static void arguments_are_values_and_not_texts(void **state)
{
    (void)state;
    made m;
    make(&m, "{\"x\": 5}");
    add_class(&m, "Square", "2 * {nf} ** 2");
    add_class(&m, "Root", "${Square}(nf = {x} + 1) + ${Square}({x} + 1)");
    link_all(&m);
    assert_string_equal(flops(&m, "Root"), "144");
    drop(&m);
}

static void positions_follow_the_order_of_first_use(void **state)
{
    (void)state;
    made m;
    make(&m, "{\"a_bytes\": 2}");
    add(&m,
        "{\"class_name\": \"C\", \"kernels\": [{\"kernel_type\": \"basic\", \"flops\": \"{b} - "
        "{a}\","
        " \"memory_access\": {\"read\": \"{c} * {a_bytes}\", \"write\": \"{b} * {config.h}\"}}]}");
    add_class(&m, "Root", "${C}(10, 3, 99)");
    add_class(&m, "Short", "${C}(10, 3)");
    link_all(&m);
    const char *const *parameters = NULL;
    assert_int_equal(sp_formula_class_parameters(m.library, 0, &parameters), 3);
    assert_string_equal(parameters[0], "b");
    assert_string_equal(parameters[1], "a");
    assert_string_equal(parameters[2], "c");
    assert_string_equal(flops(&m, "Root"), "7");
    assert_string_equal(flops(&m, "Short"), "arity");
    assert_string_equal(m.failure.detail, "C: 2 given, 3 parameters ['b', 'a', 'c']");
    assert_string_equal(m.failure.file, "test.json");
    assert_string_equal(m.failure.path, "/kernels/0/flops");
    drop(&m);
}

static void only_common_variables_are_inherited(void **state)
{
    (void)state;
    made m;
    make(&m, "{\"batch_size\": 2, \"seq_len\": 3, \"own\": 7, \"n\": 5, \"config\": {\"h\": 4}}");
    add_class(&m, "Leaf", "{n} * {batch_size} * {seq_len} * config.h");
    add_class(&m, "Through", "${Leaf}(n={k})");
    add_class(&m, "Root", "${Through}(k=1)");
    add_class(&m, "Changed", "${Through}(k=1, seq_len=100)");
    add_class(&m, "Needs", "{own}");
    add_class(&m, "Lost", "${Needs}(other=1)");
    link_all(&m);
    assert_string_equal(flops(&m, "Root"), "24");
    assert_string_equal(flops(&m, "Changed"), "800");
    assert_string_equal(flops(&m, "Needs"), "7");
    assert_string_equal(flops(&m, "Lost"), "unbound");
    assert_string_equal(m.failure.name, "own");
    const sp_formula_finding *findings = NULL;
    assert_int_equal(sp_formula_library_findings(m.library, &findings), 1);
    assert_string_equal(findings[0].text, "Needs has no parameter \"other\"");
    drop(&m);
}

static void circles_and_deep_chains_are_refused(void **state)
{
    (void)state;
    made m;
    make(&m, "{\"x\": 1}");
    char name[16], text[64];
    add_class(&m, "A", "${B}(x={x})");
    add_class(&m, "B", "1 + ${C}(x={x})");
    add_class(&m, "C", "2 * ${A}(x={x})");
    for (int i = 0; i <= 80; i++) {
        snprintf(name, sizeof name, "L%d", i);
        snprintf(text, sizeof text, i == 0 ? "{x}" : "${L%d}(x={x})", i - 1);
        add_class(&m, name, text);
    }
    link_all(&m);
    assert_string_equal(flops(&m, "A"), "cycle");
    assert_string_equal(m.failure.detail, "A -> B -> C -> A");
    assert_string_equal(flops(&m, "L63"), "1");
    assert_string_equal(flops(&m, "L64"), "depth");
    drop(&m);
}

/* 40 levels of two equal calls each are 2^40 calls, and different variables must not be confused.
 */
static void equal_calls_are_worked_out_once(void **state)
{
    (void)state;
    made m;
    make(&m, "{\"x\": 1}");
    char name[16], text[128];
    for (int i = 0; i <= 40; i++) {
        snprintf(name, sizeof name, "L%d", i);
        snprintf(text, sizeof text, i == 0 ? "{x}" : "${L%d}(x={x}) + ${L%d}(x={x})", i - 1, i - 1);
        add_class(&m, name, text);
    }
    add_class(&m, "Two", "${L0}(x=2) * 10 + ${L0}(x=3)");
    link_all(&m);
    assert_string_equal(flops(&m, "L40"), "1099511627776");
    assert_string_equal(flops(&m, "Two"), "23");
    drop(&m);
}

static void unknown_classes_fail_where_they_are_used(void **state)
{
    (void)state;
    made m;
    make(&m, "{}");
    add_class(&m, "Root", "1 if 1 else ${Nowhere}(1)");
    add_class(&m, "Used", "${Nowhere}(1 / 0)");
    add_class(&m, "Broken", "3 +");
    add_class(&m, "User", "${Broken}(n=1)");
    link_all(&m);
    assert_string_equal(flops(&m, "Root"), "1");
    assert_string_equal(flops(&m, "Used"), "unknown_ref");
    assert_string_equal(m.failure.name, "Nowhere");
    assert_string_equal(flops(&m, "User"), "syntax");
    assert_string_equal(m.failure.detail, "the formula ends where a value is expected");
    drop(&m);
}

static void a_class_is_described_once(void **state)
{
    (void)state;
    made m;
    make(&m, "{}");
    sp_error err = {0};
    add_class(&m, "A", "1");
    sp_json_doc *doc = parse("{\"class_name\": \"A\", \"kernels\": []}");
    const sp_json root = sp_json_root(doc);
    assert_int_equal(sp_formula_library_add(m.library, &root, &err), SP_E_INCONSISTENT);
    assert_string_equal(err.message, "\"A\" is described in test.json too");
    sp_json_free(doc);
    drop(&m);
}

static void other_names_and_signatures_repair_calls(void **state)
{
    (void)state;
    made m;
    make(&m, "{}");
    sp_error err = {0};
    add_class(&m, "nn.Linear", "2 * {tokens} * {fan_in} * {fan_out}");
    add_class(&m, "Plain", "${Linear}(2, 3, 5)");
    add_class(&m, "Swapped", "${nn.Linear}(5, 3)");
    add_class(&m, "Heads", "${nn.Linear}(2, 3, 5, 7)");
    sp_json_doc *map = parse("{\"Linear\": \"nn.Linear\"}");
    sp_json_doc *signatures = parse("{\"nn.Linear\": [{\"parameters\": [\"fan_out\", \"fan_in\"], "
                                    "\"where\": {\"tokens\": \"1\"}},"
                                    " {\"parameters\": [\"tokens\", \"fan_in\", \"h\", \"d\"], "
                                    "\"where\": {\"fan_out\": \"h * d\"}}]}");
    const sp_json map_root = sp_json_root(map), signature_root = sp_json_root(signatures);
    assert_int_equal(sp_formula_library_add_map(m.library, &map_root, &err), SP_OK);
    assert_int_equal(sp_formula_library_add_signatures(m.library, &signature_root, &err), SP_OK);
    sp_json_free(map);
    sp_json_free(signatures);
    link_all(&m);
    assert_string_equal(flops(&m, "Plain"), "60");
    assert_string_equal(flops(&m, "Swapped"), "30");
    assert_string_equal(flops(&m, "Heads"), "420");
    drop(&m);
}

static void kernels_with_children_bind_exactly_their_parameters(void **state)
{
    (void)state;
    static const char *const composite =
        "{\"kernel_name\": \"%s\", \"init_params\": [], \"forward_params\": [\"m\"], \"children\": "
        "{\"a\": {\"kernel\": \"mul\", \"bindings\": {%s}, \"count\": \"m - 1\"}}}";
    char text[512];
    made m;
    make(&m, "{\"m\": 4, \"bytes\": 2}");
    add(&m, "{\"kernel_name\": \"mul\", \"init_params\": [\"k\"], \"forward_params\": [\"n\"], "
            "\"flops\": "
            "\"n * k * bytes\", \"memory_read\": \"0\", \"memory_write\": \"0\"}");
    snprintf(text, sizeof text, composite, "Good", "\"n\": \"m\", \"k\": \"5\"");
    add(&m, text);
    snprintf(text, sizeof text, composite, "Less", "\"n\": \"m\"");
    add(&m, text);
    snprintf(text, sizeof text, composite, "More", "\"n\": \"m\", \"k\": \"1\", \"z\": \"1\"");
    add(&m, text);
    link_all(&m);
    assert_string_equal(flops(&m, "Good"), "120");
    assert_string_equal(flops(&m, "Less"), "unbound_param");
    assert_string_equal(m.failure.name, "k");
    assert_string_equal(flops(&m, "More"), "unknown_param");
    assert_string_equal(m.failure.name, "z");
    drop(&m);
}

static void repeats_and_parts_multiply_and_add(void **state)
{
    (void)state;
    made m;
    make(&m, "{\"config\": {\"n\": 6}, \"x\": 10}");
    add(&m, "{\"class_name\": \"C\", \"kernels\": ["
            "{\"kernel_type\": \"basic\", \"flops\": \"{x}\", \"repeat\": 3},"
            "{\"kernel_type\": \"basic\", \"flops\": \"{x} + 1\", \"repeat\": \"{config.n} // 2\"},"
            "{\"kernel_type\": \"composite\", \"repeat\": 2, \"sub_kernels\": ["
            "{\"kernel_type\": \"basic\", \"flops\": \"100\"}, {\"kernel_type\": \"basic\", "
            "\"flops\": 0.5}]}]}");
    add(&m, "{\"model_id\": \"M\", \"layers\": [{\"name\": \"l\", \"class\": \"outer\", "
            "\"repeat\": 2, \"sub_layers\":"
            " [{\"name\": \"c\", \"class\": \"C\", \"repeat\": 2, \"parameters\": {\"x\": \"1 + "
            "1\"}}]}]}");
    link_all(&m);
    assert_string_equal(flops(&m, "C"), "264"); /* 30 + 33 + 201 */
    assert_string_equal(flops(&m, "M"), "864"); /* 4 (6 + 9 + 201) */
    drop(&m);
}

static void lint_says(const char *flops_text, const char *read, const char *write, const char *name,
                      const char *operation, const char *expected)
{
    char text[1024];
    made m;
    make(&m, "{}");
    sp_error err = {0};
    const sp_formula_finding *findings = NULL;
    snprintf(text, sizeof text,
             "{\"class_name\": \"%s\", \"kernels\": [{\"kernel_type\": \"basic\", \"operation\": "
             "\"%s\", "
             "\"flops\": \"%s\", \"memory_access\": {\"read\": \"%s\", \"write\": \"%s\"}}]}",
             name, operation, flops_text, read, write);
    add(&m, text);
    link_all(&m);
    assert_int_equal(sp_formula_library_lint(m.library, &err), SP_OK);
    const size_t n = sp_formula_library_findings(m.library, &findings);
    assert_int_equal(n, expected ? 1 : 0);
    if (expected) assert_string_equal(findings[0].text, expected);
    drop(&m);
}

static void odd_ways_of_counting_are_found(void **state)
{
    (void)state;
    lint_says("2 * {n}", "{n} * {a_bytes}", "{n} * {a_bytes}", "C", "product", NULL);
    lint_says("2 * {n}", "{n} * 4", "{n} * {a_bytes}", "C", "product",
              "bytes are counted by a number and not by a width");
    lint_says("{n} * {cache_len}", "0", "0", "C", "scores",
              "costs nothing where cache_len is 0: the number of keys is cache_len + seq_len");
    lint_says("{n} * ({cache_len} + {seq_len})", "0", "0", "C", "scores", NULL);
    lint_says("0", "{n} * {a_bytes}", "({n} + {cache_len}) * {a_bytes}", "C", "update",
              "the whole cache is written, where only new tokens are");
    lint_says("0", "{n} * {a_bytes}", "{n} * {a_bytes}", "C", "Split of heads",
              "a view is counted as a copy");
    lint_says("2 * {in_features} * {n} + {n}", "0", "0", "x.Linear", "product",
              "a bias is always counted");
    lint_says("2 * {in_features} * {n} + ({n} if {has_bias} else 0)", "0", "0", "x.Linear",
              "product", NULL);
    lint_says("{n}", "0", "{n} * {a_bytes} + 2 * {b} * {a_bytes}", "LayerNorm", "norm",
              "LayerNorm writes more than its output: statistics or temporaries are counted that a "
              "fused kernel keeps");
}

/* ---- our own modules ---- */

static void add_own(made *m)
{
    static const char *const files[] = {"layers", "attention", "mlp", "models"};
    const char *home = getenv("SHARDPLAN_HOME");
    assert_non_null(home);
    for (size_t i = 0; i < 4; i++) {
        char path[1024];
        sp_error err = {0};
        snprintf(path, sizeof path, "%s/configs/modules/%s.json", home, files[i]);
        const sp_status status = sp_formula_library_add_file(m->library, path, &err);
        if (status != SP_OK) fail_msg("%s: %s", path, err.message);
    }
    link_all(m);
}

/* t = 3 tokens after 2: 12 causal pairs a head. A layer has 576 weights in matrices (2 x 3 x 576),
 * rotates 36 elements (3 each), scores 24 pairs (4 x 4 + 5 each), norms twice 24 elements (4 each),
 * adds twice 24 and gates 48 (5 each): 4548 operations. Two of them, the last norm (96) and the
 * head (2 x 3 x 8 x 32). With experts the layer has 192 weights outside them, a router of 32
 * weights with 5 operations a score, 6 copies of a token through 384 weights and 5 x 16 gates, and
 * a weighted sum of 48 elements: 7440. */
static void our_modules_count_what_a_hand_counts(void **state)
{
    (void)state;
    made m;
    make(&m,
         "{\"batch_size\": 1, \"seq_len\": 3, \"cache_len\": 2, \"config\": {\"hidden_size\": 8,"
         " \"num_attention_heads\": 2, \"num_key_value_heads\": 1, \"head_dim\": 4,"
         " \"intermediate_size\": 16, \"num_hidden_layers\": 2, \"vocab_size\": 32,"
         " \"num_local_experts\": 4, \"num_experts_per_tok\": 2}}");
    add_own(&m);
    assert_string_equal(flops(&m, "DecoderLayer"), "4548");
    assert_string_equal(flops(&m, "CausalLM"), "10728");
    assert_string_equal(flops(&m, "ExpertDecoderLayer"), "7440");
    assert_string_equal(flops(&m, "ExpertCausalLM"), "16512");
    drop(&m);
}

static void check_weights_read(const char *env, const char *class_name, int64_t expected)
{
    made m;
    make(&m, env);
    size_t idx = 0;
    sp_rational read;
    add_own(&m);
    sp_json root = sp_json_root(m.env);
    const sp_scope scope = {sp_scope_json, &root};
    assert_true(sp_formula_class_find(m.library, class_name, &idx));
    assert_int_equal(sp_formula_expand_class(m.library, idx, SP_FORMULA_READ, &scope, &read, NULL),
                     SP_FORMULA_OK);
    assert_true(read.den == 1 && read.num == expected);
    drop(&m);
}

/* With activations of no width, what is read are the weights: all parameters but the embedding, of
 * which a row a token. Published: 8,030,261,248 (Llama-3.1-8B), 46,702,792,704 (Mixtral-8x7B). */
static void the_weights_read_are_the_published_parameters(void **state)
{
    (void)state;
    check_weights_read(
        "{\"batch_size\": 1, \"seq_len\": 1, \"cache_len\": 0, \"a_bytes\": 0, \"w_bytes\": 1,"
        " \"index_bytes\": 0, \"config\": {\"hidden_size\": 4096, \"num_attention_heads\": 32,"
        " \"num_key_value_heads\": 8, \"head_dim\": 128, \"intermediate_size\": 14336,"
        " \"num_hidden_layers\": 32, \"vocab_size\": 128256}}",
        "CausalLM", INT64_C(8030261248) - INT64_C(128256) * 4096 + 4096);
    check_weights_read(
        "{\"batch_size\": 1, \"seq_len\": 4, \"cache_len\": 0, \"a_bytes\": 0, \"w_bytes\": 1,"
        " \"index_bytes\": 0, \"config\": {\"hidden_size\": 4096, \"num_attention_heads\": 32,"
        " \"num_key_value_heads\": 8, \"head_dim\": 128, \"intermediate_size\": 14336,"
        " \"num_hidden_layers\": 32, \"vocab_size\": 32000, \"num_local_experts\": 8,"
        " \"num_experts_per_tok\": 2}}",
        "ExpertCausalLM", INT64_C(46702792704) - INT64_C(32000) * 4096 + 4 * 4096);
}

typedef struct listing {
    size_t n;
    unsigned deepest;
    sp_int128 total[SP_N_FORMULA_METRICS];
    const char *first, *last;
} listing;

static void add_kernel(void *user, const sp_formula_kernel *kernel)
{
    listing *l = user;
    if (l->n++ == 0) l->first = kernel->operation;
    l->last = kernel->operation;
    if (kernel->depth > l->deepest) l->deepest = kernel->depth;
    for (int m = 0; m < SP_N_FORMULA_METRICS; m++) {
        assert_true(kernel->times.den == 1);
        /* Fractions of tokens reach an expert, so that only the sum over its copies is whole. */
        const sp_int128 product = kernel->times.num * kernel->cost[m].num;
        assert_true(product % kernel->cost[m].den == 0);
        l->total[m] += product / kernel->cost[m].den;
    }
}

/* Embedding, final norm and head; in a layer two norms and two sums; in attention queries, keys
 * with values, rotation, cache, core and output; router, choice and weighted sum; and in an expert
 * gate with up, activation and down. */
static void the_kernels_of_a_model_add_up_to_it(void **state)
{
    (void)state;
    made m;
    make(&m, "{\"batch_size\": 3, \"seq_len\": 7, \"cache_len\": 2, \"a_bytes\": 2, \"w_bytes\": 1,"
             " \"index_bytes\": 8, \"config\": {\"hidden_size\": 8, \"num_attention_heads\": 2,"
             " \"num_key_value_heads\": 1, \"head_dim\": 4, \"intermediate_size\": 16,"
             " \"num_hidden_layers\": 5, \"vocab_size\": 32, \"num_local_experts\": 64,"
             " \"num_experts_per_tok\": 2}}");
    size_t idx = 0;
    listing l = {0};
    add_own(&m);
    sp_json root = sp_json_root(m.env);
    const sp_scope scope = {sp_scope_json, &root};
    assert_true(sp_formula_class_find(m.library, "ExpertCausalLM", &idx));
    assert_int_equal(sp_formula_walk(m.library, idx, &scope, add_kernel, &l, NULL), SP_FORMULA_OK);
    for (sp_formula_metric metric = 0; metric < SP_N_FORMULA_METRICS; metric++) {
        sp_rational total;
        assert_int_equal(sp_formula_expand_class(m.library, idx, metric, &scope, &total, NULL),
                         SP_FORMULA_OK);
        assert_true(total.den == 1 && total.num == l.total[metric]);
    }
    assert_int_equal(l.n, 3 + 4 + 6 + 3 + 3);
    assert_string_equal(l.first, "table look-up");
    assert_string_equal(l.last, "matrix product");
    assert_int_equal(l.deepest, 5);
    drop(&m);
}

static void our_modules_pass_our_own_lint(void **state)
{
    (void)state;
    made m;
    make(&m, "{}");
    sp_error err = {0};
    const sp_formula_finding *findings = NULL;
    add_own(&m);
    assert_int_equal(sp_formula_library_lint(m.library, &err), SP_OK);
    assert_int_equal(sp_formula_library_findings(m.library, &findings), 0);
    drop(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arguments_are_values_and_not_texts),
        cmocka_unit_test(positions_follow_the_order_of_first_use),
        cmocka_unit_test(only_common_variables_are_inherited),
        cmocka_unit_test(circles_and_deep_chains_are_refused),
        cmocka_unit_test(equal_calls_are_worked_out_once),
        cmocka_unit_test(unknown_classes_fail_where_they_are_used),
        cmocka_unit_test(a_class_is_described_once),
        cmocka_unit_test(other_names_and_signatures_repair_calls),
        cmocka_unit_test(kernels_with_children_bind_exactly_their_parameters),
        cmocka_unit_test(repeats_and_parts_multiply_and_add),
        cmocka_unit_test(odd_ways_of_counting_are_found),
        cmocka_unit_test(our_modules_count_what_a_hand_counts),
        cmocka_unit_test(the_weights_read_are_the_published_parameters),
        cmocka_unit_test(the_kernels_of_a_model_add_up_to_it),
        cmocka_unit_test(our_modules_pass_our_own_lint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
