/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters behind packed weights: a layer of 64 inputs and 32 outputs, 2,048 weights, as each
 * quantiser stores it. */
#include "spec/checkpoint_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

typedef struct stored {
    const char *name, *dtype;
    uint64_t rows, columns; /* columns 0: a vector; both 0: a scalar */
    unsigned bits;
} stored;

static void put_header(sp_text *header, const stored *tensors, size_t n, size_t *data_bytes)
{
    *data_bytes = 0;
    for (size_t i = 0; i < n; i++) {
        const stored *t = &tensors[i];
        const uint64_t elements = (t->rows > 0 ? t->rows : 1) * (t->columns > 0 ? t->columns : 1);
        const size_t end = *data_bytes + elements * t->bits / 8;
        sp_text_printf(header, "%s\"%s\": {\"dtype\": \"%s\", \"shape\": [", i > 0 ? ", " : "{",
                       t->name, t->dtype);
        if (t->rows > 0) sp_text_printf(header, "%d", (int)t->rows);
        if (t->columns > 0) sp_text_printf(header, ", %d", (int)t->columns);
        sp_text_printf(header, "], \"data_offsets\": [%zu, %zu]}", *data_bytes, end);
        *data_bytes = end;
    }
    sp_text_add(header, "}");
}

static void write_stored(void **state, const stored *tensors, size_t n, const uint64_t *last_data)
{
    sp_text header = {0}, file = {0};
    size_t data_bytes = 0;
    put_header(&header, tensors, n, &data_bytes);
    put_safetensors(&file, header.data, data_bytes);
    if (last_data) { /* two numbers of 64 bits in place of the last 16 zeros */
        file.length -= 16;
        put_u64(&file, last_data[0]);
        put_u64(&file, last_data[1]);
    }
    write_file(at(state, "m.safetensors"), &file);
    sp_text_fini(&header);
    sp_text_fini(&file);
}

/* The parameters, and that everything else is quantisation. */
static void check(void **state, const stored *tensors, size_t n, const uint64_t *last_data,
                  uint64_t parameters, bool packed)
{
    sp_arena arena = {0};
    write_stored(state, tensors, n, last_data);
    const sp_checkpoint *c = read_checkpoint(&arena, at(state, "m.safetensors"));
    uint64_t weights = 0, bytes = 0;
    for (size_t i = 0; i < c->n_listed; i++) {
        const sp_checkpoint_tensor *t = &c->tensors[i];
        bytes += t->bytes;
        if (t->role == SP_TENSOR_WEIGHT) {
            weights += t->elements;
            assert_int_equal(t->packed, packed);
            assert_false(t->unclear);
        }
    }
    assert_int_equal(c->parameters, parameters);
    assert_int_equal(c->elements, weights + c->quantisation_elements);
    assert_true(c->bits_per_parameter == 8.0 * (double)bytes / (double)parameters);
    sp_arena_fini(&arena);
}
#define CHECK(tensors, last, parameters, packed)                                                   \
    check(state, tensors, sizeof tensors / sizeof tensors[0], last, parameters, packed)

/* Rows are packed: 64 x 4 bits are 8 int32. Group size 16, so 4 groups. */
static void gptq_packs_rows(void **state)
{
    static const stored four[] = {
        {"l.qweight", "I32", 8,  32, 32},
        {"l.qzeros",  "I32", 4,  4,  32},
        {"l.scales",  "F16", 4,  32, 16},
        {"l.g_idx",   "I32", 64, 0,  32}
    };
    CHECK(four, NULL, 2048, true);
    /* 3 bits: 64 x 3 / 32 = 6 rows, 32 x 3 / 32 = 3 columns of zero points; no g_idx */
    static const stored three[] = {
        {"l.qweight", "I32", 6, 32, 32},
        {"l.qzeros",  "I32", 4, 3,  32},
        {"l.scales",  "F16", 4, 32, 16}
    };
    CHECK(three, NULL, 2048, true);
}

/* Columns are packed: 32 x 4 bits are 4 int32. */
static void awq_packs_columns(void **state)
{
    static const stored four[] = {
        {"l.qweight", "I32", 64, 4,  32},
        {"l.qzeros",  "I32", 4,  4,  32},
        {"l.scales",  "F16", 4,  32, 16}
    };
    CHECK(four, NULL, 2048, true);
}

/* The shape lies in the data: 61 inputs do not fill the last int32. */
static void compressed_tensors_state_their_shape(void **state)
{
    static const stored four[] = {
        {"l.weight_packed", "I32",  32, 8, 32},
        {"l.weight_scale",  "BF16", 32, 4, 16},
        {"l.weight_shape",  "I64",  2,  0, 64}
    };
    static const uint64_t shape[] = {32, 61};
    CHECK(four, shape, 32 * 61, true);
}

static void nvfp4_and_mxfp4_put_two_in_a_byte(void **state)
{
    static const stored packed[] = {
        {"l.weight_packed",       "U8",      32, 32, 8 },
        {"l.weight_scale",        "F8_E4M3", 32, 4,  8 },
        {"l.weight_global_scale", "F32",     1,  0,  32}
    };
    CHECK(packed, NULL, 2048, true);
    static const stored model_opt[] = {
        {"l.weight",         "U8",      32, 32, 8 },
        {"l.weight_scale",   "F8_E4M3", 32, 4,  8 },
        {"l.weight_scale_2", "F32",     0,  0,  32},
        {"l.input_scale",    "F32",     0,  0,  32}
    };
    CHECK(model_opt, NULL, 2048, true);
    static const stored blocks[] = {
        {"l.gate_up_proj_blocks", "U8", 64, 16, 8},
        {"l.gate_up_proj_scales", "U8", 64, 0,  8}
    };
    CHECK(blocks, NULL, 2048, true);
}

static void bitsandbytes_puts_two_in_a_byte(void **state)
{
    static const stored nf4[] = {
        {"l.weight",                               "U8",  1024, 1, 8 },
        {"l.weight.absmax",                        "U8",  32,   0, 8 },
        {"l.weight.nested_absmax",                 "F32", 1,    0, 32},
        {"l.weight.quant_map",                     "F32", 16,   0, 32},
        {"l.weight.nested_quant_map",              "F32", 256,  0, 32},
        {"l.weight.quant_state.bitsandbytes__nf4", "U8",  80,   0, 8 }
    };
    CHECK(nf4, NULL, 2048, true);
}

static void one_scale_for_bytes_means_four_in_each(void **state)
{
    static const stored ternary[] = {
        {"l.weight",       "U8",   8, 64, 8 },
        {"l.weight_scale", "BF16", 1, 0,  16}
    };
    CHECK(ternary, NULL, 2048, true);
}

static void eight_bits_are_not_packed(void **state)
{
    static const stored fp8[] = {
        {"l.weight",           "F8_E4M3", 32, 64, 8 },
        {"l.weight_scale_inv", "F32",     1,  1,  32}
    };
    CHECK(fp8, NULL, 2048, false);
    static const stored int8[] = {
        {"l.weight",        "I8",  32, 64, 8 },
        {"l.SCB",           "F32", 32, 0,  32},
        {"l.weight_format", "U8",  0,  0,  8 }
    };
    CHECK(int8, NULL, 2048, false);
    static const stored w8a8[] = {
        {"l.weight",       "I8",   32, 64, 8 },
        {"l.weight_scale", "BF16", 32, 1,  16}
    };
    CHECK(w8a8, NULL, 2048, false);
}

static void a_scale_of_wide_weights_is_a_weight(void **state)
{
    static const stored wide[] = {
        {"l.weight", "BF16", 32, 64, 16},
        {"l.scale",  "BF16", 32, 0,  16}
    };
    CHECK(wide, NULL, 2048 + 32, false);
}

static void whole_numbers_that_nothing_explains_are_said(void **state)
{
    sp_arena arena = {0};
    static const stored odd[] = {
        {"l.codes", "I16", 8, 8, 16}
    };
    write_stored(state, odd, 1, NULL);
    const sp_checkpoint *c = read_checkpoint(&arena, at(state, "m.safetensors"));
    assert_int_equal(c->parameters, 64);
    assert_true(c->tensors[0].unclear);
    assert_true(has_note(c, "how their weights are packed is not known"));
    sp_arena_fini(&arena);
}

static void buffers_are_no_parameters(void **state)
{
    sp_arena arena = {0};
    static const stored with[] = {
        {"h.0.attn.masked_bias",             "F32", 0, 0, 32},
        {"h.0.rotary.inv_freq",              "F32", 4, 0, 32},
        {"h.0.gate.e_score_correction_bias", "F32", 8, 0, 32},
        {"h.0.attn.bias",                    "F32", 6, 0, 32}
    };
    write_stored(state, with, 4, NULL);
    const sp_checkpoint *c = read_checkpoint(&arena, at(state, "m.safetensors"));
    assert_int_equal(c->buffer_elements, 1 + 4 + 8);
    assert_int_equal(c->buffer_bytes, 52);
    assert_int_equal(c->parameters, 6); /* a bias, not a mask of 1 x 1 x n x n */
    assert_true(c->bits_per_parameter == 32);
    write_safetensors(at(state, "m.safetensors"),
                      "{\"h.0.attn.bias\": {\"dtype\": \"F32\", \"shape\": [1, 1, 2, 2], "
                      "\"data_offsets\": [0, 16]}}",
                      16);
    assert_int_equal(read_checkpoint(&arena, at(state, "m.safetensors"))->parameters, 0);
    sp_arena_fini(&arena);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_begin, folder_end)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(gptq_packs_rows),
        IN_FOLDER(awq_packs_columns),
        IN_FOLDER(compressed_tensors_state_their_shape),
        IN_FOLDER(nvfp4_and_mxfp4_put_two_in_a_byte),
        IN_FOLDER(bitsandbytes_puts_two_in_a_byte),
        IN_FOLDER(one_scale_for_bytes_means_four_in_each),
        IN_FOLDER(eight_bits_are_not_packed),
        IN_FOLDER(a_scale_of_wide_weights_is_a_weight),
        IN_FOLDER(whole_numbers_that_nothing_explains_are_said),
        IN_FOLDER(buffers_are_no_parameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
