/* SPDX-License-Identifier: Apache-2.0 */
/* Which tensors are weights, and how many parameters are in each. Widths of packed weights follow
 * from shapes: that of the packed matrix against those of its scales, zero points or group indices,
 * so that no configuration is needed. packing.def says which names belong together. */
#include "spec/checkpoint_priv.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

typedef struct companion {
    const char *ending, *other;
} companion;

static const companion companions[] = {
#define SP_COMPANION(ending, other) {ending, other},
#define SP_BUFFER(ending)
#include "spec/packing.def"
#undef SP_COMPANION
#undef SP_BUFFER
};
static const char *const buffers[] = {
#define SP_COMPANION(ending, other)
#define SP_BUFFER(ending) ending,
#include "spec/packing.def"
#undef SP_COMPANION
#undef SP_BUFFER
};

/* The tensors and the name that is put together at the moment. */
typedef struct packing {
    sp_checkpoint_build *build;
    sp_text name;
} packing;

/* Length of the name without the ending; 0 where it has another. */
static size_t stem(const char *name, const char *ending)
{
    const size_t length = strlen(name), n = strlen(ending);
    return length > n && memcmp(name + length - n, ending, n) == 0 ? length - n : 0;
}

/* The tensor whose name is the first `length` characters and `ending`; NULL = there is none. */
static const sp_stored_tensor *find(packing *p, const char *name, size_t length, const char *ending)
{
    p->name.length = 0;
    sp_text_add_n(&p->name, name, length);
    sp_text_add(&p->name, ending);
    return p->name.failed ? NULL : sp_build_find(p->build, p->name.data);
}

static bool is_narrow(const sp_stored_tensor *tensor)
{
    return tensor->type->whole || tensor->type->bytes <= tensor->type->elements;
}

static bool is_quantisation(packing *p, const sp_stored_tensor *tensor)
{
    for (size_t i = 0; i < sizeof companions / sizeof companions[0]; i++) {
        const companion *c = &companions[i];
        const size_t length = stem(tensor->t.name, c->ending);
        if (length == 0) continue;
        if (strcmp(c->other, "*") == 0) return true;
        const sp_stored_tensor *other = find(p, tensor->t.name, length, c->other);
        if (other && is_narrow(other)) return true;
    }
    return false;
}

static uint64_t last(const sp_stored_tensor *tensor)
{
    return tensor->t.n_dims > 0 ? tensor->t.shape[tensor->t.n_dims - 1] : 0;
}

/* A causal mask that old writers kept beside the biases: 1 x 1 x n x n. */
static bool is_mask(const sp_checkpoint_tensor *t)
{
    return t->n_dims == 4 && t->shape[0] == 1 && t->shape[1] == 1 && t->shape[2] == t->shape[3] &&
           stem(t->name, ".bias") > 0;
}

static bool is_buffer(const sp_checkpoint_tensor *t)
{
    for (size_t i = 0; i < sizeof buffers / sizeof buffers[0]; i++) {
        if (stem(t->name, buffers[i]) > 0 || strcmp(t->name, buffers[i]) == 0) return true;
    }
    return is_mask(t);
}

/* elements x values / words, where that is whole and fits; else 0. */
static uint64_t scaled(uint64_t elements, uint64_t values, uint64_t words)
{
    uint64_t product = 0;
    if (words == 0 || !sp_mul_u64(elements, values, &product)) return 0;
    return product % words == 0 ? product / words : 0;
}

/* qweight, 32 / bits weights an element. AWQ packs columns, so that it has fewer of them than the
 * scales; GPTQ packs rows, whose number is that of group indices, or zero points tell the bits. */
static uint64_t integer_matrix(packing *p, const sp_stored_tensor *tensor, size_t length)
{
    const char *name = tensor->t.name;
    const sp_stored_tensor *scales = find(p, name, length, ".scales");
    if (tensor->t.n_dims != 2 || !scales) return 0;
    const uint64_t columns = last(tensor), outputs = last(scales);
    if (columns != outputs) return scaled(tensor->t.elements, outputs, columns);
    const sp_stored_tensor *rows = find(p, name, length, ".g_idx");
    if (rows) return scaled(rows->t.elements, outputs, 1);
    const sp_stored_tensor *zeros = find(p, name, length, ".qzeros");
    return zeros ? scaled(tensor->t.elements, outputs, last(zeros)) : 0;
}

/* A matrix of bytes with scales: two weights a byte where that gives each scale a block of 16 or 32
 * weights (NVFP4, MXFP4), four of -1, 0 and 1 where one scale serves all. */
static uint64_t byte_matrix(packing *p, const sp_stored_tensor *tensor, size_t length)
{
    static const char *const endings[] = {".weight_scale", ".scale"};
    const char *name = tensor->t.name;
    if (find(p, name, length, ".weight.absmax")) return scaled(tensor->t.elements, 2, 1);
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        const sp_stored_tensor *scales = find(p, name, length, endings[i]);
        if (!scales) continue;
        const uint64_t block = scaled(last(tensor), 2, last(scales));
        if (block == 16 || block == 32) return scaled(tensor->t.elements, 2, 1);
        const bool ternary = scales->t.elements == 1 && strcmp(tensor->type->name, "U8") == 0;
        if (ternary) return scaled(tensor->t.elements, 4, 1);
    }
    return 0;
}

/* Parameters of a weight that is packed; 0 where it is not, or not in a way that is known. */
static uint64_t unpacked(packing *p, const sp_stored_tensor *tensor)
{
    if (!tensor->type->whole) return 0;
    const char *name = tensor->t.name;
    const bool bytes = tensor->type->bytes == 1;
    size_t length = stem(name, ".qweight");
    if (length > 0) return integer_matrix(p, tensor, length);
    length = stem(name, ".weight_packed");
    if (length > 0) {
        const sp_stored_tensor *shape = find(p, name, length, ".weight_shape");
        return shape ? shape->unpacked : bytes ? scaled(tensor->t.elements, 2, 1) : 0;
    }
    length = stem(name, "_blocks");
    if (length > 0 && bytes && find(p, name, length, "_scales"))
        return scaled(tensor->t.elements, 2, 1);
    length = stem(name, ".weight");
    return length > 0 && bytes ? byte_matrix(p, tensor, length) : 0;
}

/* Integers with a scale for each are no packing, but a weight in 8 bits. */
static bool is_plain_int8(packing *p, const sp_stored_tensor *tensor)
{
    const size_t length = stem(tensor->t.name, ".weight");
    return length > 0 && strcmp(tensor->type->name, "I8") == 0 &&
           (find(p, tensor->t.name, length, ".SCB") ||
            find(p, tensor->t.name, length, ".weight_scale"));
}

static void understand(packing *p, sp_stored_tensor *tensor)
{
    sp_checkpoint_tensor *t = &tensor->t;
    if (is_buffer(t) || is_quantisation(p, tensor)) {
        t->role = is_buffer(t) ? SP_TENSOR_BUFFER : SP_TENSOR_QUANTISATION;
        return;
    }
    const uint64_t parameters = unpacked(p, tensor);
    t->packed = parameters > 0;
    t->parameters = t->packed ? parameters : t->elements;
    t->unclear = tensor->type->whole && !t->packed && !is_plain_int8(p, tensor);
}

sp_status sp_packing_apply(sp_checkpoint_build *b)
{
    packing p = {.build = b};
    for (size_t i = 0; i < b->n; i++)
        understand(&p, &b->tensors[i]);
    const bool failed = p.name.failed;
    sp_text_fini(&p.name);
    return failed ? sp_fail(b->err, SP_E_MEMORY, "the checkpoint needs more") : SP_OK;
}
