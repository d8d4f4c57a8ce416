/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A class laid flat: its sizes bound, its calls entered, its kernels listed, and each of their
 * figures a short program of doubles over the few numbers that only a running model knows. What can
 * go wrong is found while it is laid flat, so that evaluating it neither allocates nor fails, and
 * takes about a microsecond: plans are priced by it.
 *
 * Bytes are linear in the widths of an element (w_bytes of weights, a_bytes of activations,
 * kv_bytes of what lies in a cache), so that each kernel has numbers of elements instead of bytes.
 *
 * Divisors are proved to differ from zero, and values to stay finite, over the whole range of the
 * running numbers by interval arithmetic. Leaves out: divisors that only a condition keeps from
 * zero, and exponents that are no constant whole numbers; both are refused.
 */
#include "formula/formula.h"

struct sp_text;

/* What only a running model knows, by its name in formulas. */
typedef enum sp_runtime {
    SP_RUNTIME_BATCH, /* batch_size: sequences, up to 10^9; a fraction of one in packed documents */
    SP_RUNTIME_LENGTH, /* seq_len: new tokens of each, 1 to 10^9 */
    SP_RUNTIME_CACHE, /* cache_len: tokens of each before them, 0 to 10^9                         */
    SP_RUNTIME_ATTENDED, /* attended: keys that a new token meets under a causal mask, mean */
    SP_N_RUNTIME
} sp_runtime;
extern const char *const sp_runtime_names[SP_N_RUNTIME];

typedef enum sp_width {
    SP_WIDTH_WEIGHT,     /* w_bytes */
    SP_WIDTH_ACTIVATION, /* a_bytes */
    SP_WIDTH_CACHE,      /* kv_bytes */
    SP_N_WIDTHS
} sp_width;
extern const char *const sp_width_names[SP_N_WIDTHS];

/* Whose kernel it is: the words of the key "part". */
#define SP_FLAT_PART_LIST(SP_FLAT_PART)                                                            \
    SP_FLAT_PART(KERNEL, "kernel") /* none is stated */                                            \
    SP_FLAT_PART(ATTENTION, "attention")                                                           \
    SP_FLAT_PART(RECURRENT, "recurrent")                                                           \
    SP_FLAT_PART(FFN, "ffn")                                                                       \
    SP_FLAT_PART(ROUTER, "router")                                                                 \
    SP_FLAT_PART(EXPERTS, "experts")                                                               \
    SP_FLAT_PART(NORM, "norm")                                                                     \
    SP_FLAT_PART(ROTARY, "rotary")                                                                 \
    SP_FLAT_PART(RESIDUAL, "residual")                                                             \
    SP_FLAT_PART(EMBEDDING, "embedding")                                                           \
    SP_FLAT_PART(HEAD, "head")                                                                     \
    SP_FLAT_PART(CACHE, "cache") /* writes it, which follows from how much a token leaves there:   \
                                  * not among the kernels of a class laid flat */

typedef enum sp_flat_part {
#define SP_FLAT_PART(name, word) SP_FLAT_##name,
    SP_FLAT_PART_LIST(SP_FLAT_PART)
#undef SP_FLAT_PART
        SP_N_FLAT_PARTS
} sp_flat_part;

enum {
    SP_FLAT_KERNELS = 48, /* most of one class, equal ones counted once where there are more */
    SP_FLAT_NODES = 480   /* most values that evaluating needs at once */
};

/* One kernel under given running numbers, all its repetitions together. */
typedef struct sp_flat_counts {
    double flops;
    double vector_flops; /* of these, what no matrix unit does                             */
    double read[SP_N_WIDTHS], written[SP_N_WIDTHS]; /* elements of each width              */
    double parameters;
    double m, n, k, v; /* of a product or core, as in sp_op; 0 where none is stated        */
    double count;      /* products of that shape                                           */
} sp_flat_counts;

typedef struct sp_flat_kernel {
    const char *name;
    bool matrix; /* work of matrix units */
    sp_flat_part part;
    double parameters; /* learned numbers: as stated, or the weights that many tokens read: all of
                        * the experts, of which a few tokens meet a part */
} sp_flat_kernel;

typedef struct sp_flat sp_flat;

/* What a name is worth: constants are numbers of the scope; what only a running model knows is
 * resolved before the scope is asked. */
typedef struct sp_flat_binding {
    const char *name;
    const sp_formula *formula; /* over the names of the scope and the running numbers */
} sp_flat_binding;

typedef struct sp_flat_request {
    const sp_formula_library *library;
    size_t class_idx;
    const sp_scope *scope;
    const sp_flat_binding *bindings; /* of variables of the class */
    size_t n_bindings;
} sp_flat_request;

/* Lays a class flat into the arena; the library may go afterwards. SP_FORMULA_OK with *out NULL: no
 * memory. */
sp_formula_code sp_flat_build(sp_arena *arena, const sp_flat_request *request, const sp_flat **out,
                              sp_formula_failure *failure);
size_t sp_flat_kernels(const sp_flat *flat, const sp_flat_kernel **kernels);
/* Fills one entry for each kernel. */
void sp_flat_eval(const sp_flat *flat, const double runtime[SP_N_RUNTIME], sp_flat_counts *counts);
/* Adds everything that the counts depend on: equal texts count alike. */
void sp_flat_write_numbers(const sp_flat *flat, struct sp_text *out);
