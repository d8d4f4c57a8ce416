/* SPDX-License-Identifier: Apache-2.0 */
/* Writes a program while its text is being parsed, counts the stack that it needs, and copies it to
 * its final place. */
#include "formula/formula_priv.h"

#include <assert.h>
#include <string.h>

void sp_emit_init(sp_emitter *e, sp_arena *scratch, sp_arena *arena, size_t capacity)
{
    *e = (sp_emitter){.capacity = capacity, .arena = arena};
    e->code = sp_arena_alloc(scratch, capacity * sizeof *e->code);
    e->numbers = sp_arena_alloc(scratch, capacity * sizeof *e->numbers);
    e->texts = sp_arena_alloc(scratch, capacity * sizeof *e->texts);
    e->names = sp_arena_alloc(scratch, capacity * sizeof *e->names);
    e->refs = sp_arena_alloc(scratch, capacity * sizeof *e->refs);
    e->failed = !e->code || !e->numbers || !e->texts || !e->names || !e->refs;
}

/* How many values more (or fewer) lie on the stack after the operation, on the way that does not
 * jump. */
static int growth(const sp_emitter *e, sp_op op, size_t n, size_t arg)
{
    if (op <= SP_OP_NAME) return 1;
    if (op == SP_OP_CALL || op == SP_OP_FAIL) return 1 - (int)n;
    if (op == SP_OP_CALL_REF) return 1 - (int)e->refs[arg].n_args;
    if (op == SP_OP_UNLESS || op == SP_OP_AND || op == SP_OP_OR) return -1;
    return op >= SP_OP_ADD ? -1 : 0;
}

void sp_emit(sp_emitter *e, sp_op op, size_t n, size_t arg)
{
    if (e->failed) return;
    assert(e->n_code < e->capacity && n <= UINT16_MAX && arg <= UINT32_MAX);
    const int change = growth(e, op, n, arg);
    assert(change >= 0 || e->depth >= (size_t)-change);
    e->code[e->n_code++] = (sp_instr){(uint16_t)op, (uint16_t)n, (uint32_t)arg};
    e->depth = e->depth + (size_t)change;
    if (e->depth > e->stack) e->stack = e->depth;
}

void sp_emit_number(sp_emitter *e, sp_rational number)
{
    if (e->failed) return;
    e->numbers[e->n_numbers] = number;
    sp_emit(e, SP_OP_NUMBER, 0, e->n_numbers++);
}

static const char *copy(sp_emitter *e, const char *text, size_t length)
{
    char *own = sp_arena_alloc(e->arena, length + 1);
    if (own) memcpy(own, text, length);
    e->failed = e->failed || !own;
    return own;
}

static size_t add_text(sp_emitter *e, const char *text, size_t length)
{
    e->texts[e->n_texts] = copy(e, text, length);
    return e->n_texts++;
}

void sp_emit_text(sp_emitter *e, const char *text, size_t length)
{
    if (!e->failed) sp_emit(e, SP_OP_TEXT, 0, add_text(e, text, length));
}

void sp_emit_fail(sp_emitter *e, const char *function, size_t length, size_t n_args)
{
    if (!e->failed) sp_emit(e, SP_OP_FAIL, n_args, add_text(e, function, length));
}

void sp_emit_name(sp_emitter *e, const char *name, size_t length)
{
    if (e->failed) return;
    size_t i = 0;
    while (i < e->n_names &&
           !(strncmp(e->names[i], name, length) == 0 && e->names[i][length] == '\0'))
        i++;
    if (i == e->n_names) {
        e->names[i] = copy(e, name, length);
        if (e->failed) return;
        e->n_names++;
    }
    sp_emit(e, SP_OP_NAME, 0, i);
}

size_t sp_emit_ref(sp_emitter *e, const char *class_name, size_t length, size_t column)
{
    if (e->failed) return 0;
    const size_t ref = e->n_refs++;
    e->refs[ref] = (sp_formula_ref){.class_name = copy(e, class_name, length), .column = column};
    sp_emit(e, SP_OP_REF, 0, ref);
    return ref;
}

size_t sp_emit_jump(sp_emitter *e, sp_op op)
{
    sp_emit(e, op, 0, 0);
    return e->n_code - 1;
}

void sp_emit_land(sp_emitter *e, size_t jump)
{
    if (!e->failed) e->code[jump].arg = (uint32_t)(e->n_code - jump - 1);
}

static void reverse(sp_instr *code, size_t n)
{
    for (size_t i = 0; i < n / 2; i++) {
        const sp_instr moved = code[i];
        code[i] = code[n - 1 - i];
        code[n - 1 - i] = moved;
    }
}

void sp_emit_swap(sp_emitter *e, size_t first, size_t second)
{
    if (e->failed) return;
    assert(first <= second && second <= e->n_code);
    reverse(e->code + first, second - first);
    reverse(e->code + second, e->n_code - second);
    reverse(e->code + first, e->n_code - first);
}

/* Numbers the names anew in the order in which the finished program meets them: a condition stands
 * before its alternatives. */
static void order_names(sp_emitter *e)
{
    size_t n = 0;
    for (size_t i = 0; i < e->n_code; i++) {
        if (e->code[i].op != SP_OP_NAME || e->code[i].arg < n) continue;
        const uint32_t old = e->code[i].arg;
        const char *name = e->names[old];
        e->names[old] = e->names[n];
        e->names[n] = name;
        for (size_t k = i; k < e->n_code; k++) {
            sp_instr *other = &e->code[k];
            if (other->op != SP_OP_NAME) continue;
            other->arg = other->arg == old ? (uint32_t)n : other->arg == n ? old : other->arg;
        }
        n++;
    }
    assert(n == e->n_names);
}

static void *keep(sp_arena *arena, const void *from, size_t n, size_t bytes, bool *failed)
{
    void *to = sp_arena_alloc(arena, n * bytes + 1);
    *failed = *failed || !to;
    if (to && n > 0) memcpy(to, from, n * bytes);
    return to;
}

const sp_formula *sp_emit_finish(sp_emitter *e, const char *text)
{
    bool failed = e->failed;
    sp_formula *f = sp_arena_alloc(e->arena, sizeof *f);
    if (failed || !f) return NULL;
    order_names(e);
    assert(e->depth == 1 && e->stack >= 1);
    *f = (sp_formula){
        .text = sp_arena_strdup(e->arena, text),
        .code = keep(e->arena, e->code, e->n_code, sizeof *e->code, &failed),
        .numbers = keep(e->arena, e->numbers, e->n_numbers, sizeof *e->numbers, &failed),
        .texts = keep(e->arena, e->texts, e->n_texts, sizeof *e->texts, &failed),
        .names = keep(e->arena, e->names, e->n_names, sizeof *e->names, &failed),
        .refs = keep(e->arena, e->refs, e->n_refs, sizeof *e->refs, &failed),
        .n_code = e->n_code,
        .n_numbers = e->n_numbers,
        .n_texts = e->n_texts,
        .n_names = e->n_names,
        .n_refs = e->n_refs,
        .stack = e->stack,
    };
    return failed || !f->text ? NULL : f;
}
