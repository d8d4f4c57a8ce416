/* SPDX-License-Identifier: Apache-2.0 */
/* Module files at random and without memory: they may be refused, but break nothing. */
#include "formula/formula.h"

#include "common/draw.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* One of each published form. */
static const char *const seeds[] = {
    "{\"class_name\": \"A\", \"kernels\": [{\"kernel_type\": \"basic\", \"operation\": \"x\", "
    "\"flops\": "
    "\"2 * {n} + ${B}(n={n}, m=2)\", \"memory_access\": {\"read\": \"{n} * {a_bytes}\", \"write\": "
    "\"${B}(1)\"}, "
    "\"repeat\": \"{config.n}\"}, {\"kernel_type\": \"composite\", \"sub_kernels\": [{\"flops\": "
    "\"1\"}]}]}",
    "{\"kernel_name\": \"B\", \"init_params\": [\"n\"], \"forward_params\": [\"m\"], \"flops\": "
    "\"n ** 2 // m\", "
    "\"memory_read\": \"n if m else 1\", \"memory_write\": \"0\"}",
    "{\"kernel_name\": \"C\", \"init_params\": [], \"forward_params\": [\"m\"], \"children\": "
    "{\"a\": "
    "{\"kernel\": \"B\", \"bindings\": {\"n\": \"m + 1\", \"m\": \"2\"}, \"count\": \"m\"}}}",
    "{\"modules\": {\"D\": {\"full_class_name\": \"D\", \"flop_analysis\": {\"parameters\": "
    "[{\"name\": \"q\"}], "
    "\"calculation_formula\": \"{A.B}(${q})\"}, \"memory_analysis\": {\"reads_template\": \"1\", "
    "\"writes_template\": \"${q}\", \"intermediates_template\": \"2\"}}}}",
    "{\"model_id\": \"M\", \"layers\": [{\"name\": \"x\", \"class\": \"y\", \"repeat\": 3, "
    "\"sub_layers\": "
    "[{\"name\": \"z\", \"class\": \"B\", \"parameters\": {\"n\": 4, \"m\": \"{k}\"}}]}]}",
    "{\"group\": {\"E\": {\"parameters\": [\"x\"], \"flops\": \"x\", \"memory_read\": \"x\", "
    "\"memory_write\": \"x\"}}}",
    "{\"nn.B\": \"B\", \"nn.A\": \"A\"}",
};
enum { N_SEEDS = sizeof seeds / sizeof seeds[0] };

static void ignore(void *user, const char *path, const char *text)
{
    size_t *n = user;
    *n += strlen(path) + strlen(text);
}

static void ignore_kernel(void *user, const sp_formula_kernel *kernel)
{
    size_t *n = user;
    *n += kernel->depth;
}

static sp_formula_code lookup(void *user, const char *name, sp_value *out)
{
    (void)user;
    *out = sp_value_of_int((int64_t)strlen(name));
    return SP_FORMULA_OK;
}

static void use(const sp_formula_library *library)
{
    const sp_scope scope = {.lookup = lookup};
    size_t n = 0;
    for (size_t i = 0; i < sp_formula_library_size(library); i++) {
        sp_rational cost;
        sp_formula_failure failure;
        (void)sp_formula_expand_class(library, i, SP_FORMULA_FLOPS, &scope, &cost, &failure);
        (void)sp_formula_expand_class(library, i, SP_FORMULA_READ, NULL, &cost, &failure);
        (void)sp_formula_walk(library, i, &scope, ignore_kernel, &n, &failure);
    }
}

static sp_status add_text(sp_formula_library *library, const char *text, sp_error *err)
{
    sp_json_doc *doc = NULL;
    size_t n = 0;
    SP_TRY(sp_json_load_text(text, strlen(text), "random", &doc, err));
    const sp_json root = sp_json_root(doc);
    sp_status status = sp_formula_library_add(library, &root, err);
    if (status == SP_OK) status = sp_formulas_in(&root, ignore, &n, err);
    sp_json_free(doc);
    return status;
}

/* Characters replaced, removed and doubled, pieces of other seeds put in between. */
static void mutate(draw *d, char *text, size_t capacity)
{
    static const char letters[] = "{}[]\":,$(){}=*/+-019abn \\";
    for (uint32_t k = draw_between(d, 0, 3); k > 0; k--) {
        const size_t length = strlen(text);
        if (length < 2 || length + 80 > capacity) return;
        const size_t at = draw_between(d, 0, (uint32_t)length - 1);
        if (draw_coin(d)) {
            text[at] = letters[draw_between(d, 0, sizeof letters - 2)];
        } else if (draw_coin(d)) {
            memmove(text + at, text + at + 1, length - at);
        } else {
            const char *other = seeds[draw_between(d, 0, N_SEEDS - 1)];
            const size_t n = draw_between(d, 1, 20); /* every seed is longer */
            memmove(text + at + n, text + at, length - at + 1);
            memcpy(text + at, other, n);
        }
    }
}

static void files_at_random_break_nothing(void **state)
{
    (void)state;
    draw d = draw_begin("module files at random break nothing");
    size_t n_read = 0;
    for (int i = 0; i < 3000; i++) {
        sp_arena arena = {0};
        sp_formula_library *library = sp_formula_library_new(&arena);
        sp_error err = {0};
        for (int k = 0; k < N_SEEDS; k++) {
            char text[2048];
            snprintf(text, sizeof text, "%s", seeds[k]);
            mutate(&d, text, sizeof text);
            n_read += add_text(library, text, &err) == SP_OK;
        }
        assert_int_equal(sp_formula_library_link(library, &err), SP_OK);
        assert_int_equal(sp_formula_library_lint(library, &err), SP_OK);
        use(library);
        sp_arena_fini(&arena);
    }
    print_message("%zu of %d files could be read\n", n_read, 3000 * N_SEEDS);
    assert_true(n_read > 3000 && n_read < 3000 * N_SEEDS);
}

static sp_status read_all(sp_formula_library *library, sp_error *err)
{
    if (!library) return SP_E_MEMORY;
    for (int k = 0; k < N_SEEDS; k++)
        SP_TRY(add_text(library, seeds[k], err));
    SP_TRY(sp_formula_library_link(library, err));
    return sp_formula_library_lint(library, err);
}

static void without_memory_nothing_is_half_read(void **state)
{
    (void)state;
    sp_status status = SP_E_MEMORY;
    uint64_t n = 0;
    for (n = 1; status != SP_OK; n++) {
        sp_arena arena = {0};
        sp_error err = {0};
        sp_alloc_fail_at(n);
        status = read_all(sp_formula_library_new(&arena), &err);
        sp_alloc_fail_at(0);
        assert_true(status == SP_OK || status == SP_E_MEMORY);
        assert_true(n < 2000);
        sp_arena_fini(&arena);
    }
    assert_true(n > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_at_random_break_nothing),
        cmocka_unit_test(without_memory_nothing_is_half_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
