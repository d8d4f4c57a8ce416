/* SPDX-License-Identifier: Apache-2.0 */
/* Pools that a thread has priced, in a hash table by what tells them apart. */
#include "search/serving_memo.h"

#include <assert.h>
#include <string.h>

/* Layouts that are remembered at once: tens of megabytes at most. */
#define MOST_KNOWN 512u
#define N_SLOTS    (2 * MOST_KNOWN)

/* The axes that a pool depends on, and where it stands. */
enum { N_PARTS = SP_SERVING_AXIS_spec - SP_SERVING_AXIS_engine + 1 + 5 + 1 };
typedef struct key {
    uint32_t part[N_PARTS];
} key;

struct sp_serving_known {
    key key;
    sp_serving_base base;
    sp_serving_side *sides; /* [chunk_tokens][batch]; base NULL: not priced yet */
};

struct sp_serving_memo {
    const sp_serving_space *space;
    uint32_t n_sides, n_known;
    sp_serving_known *slots[N_SLOTS];
};

sp_serving_memo *sp_serving_memo_begin(const sp_serving_space *space)
{
    sp_serving_memo *memo = sp_alloc(sizeof *memo);
    if (memo == NULL) return NULL;
    memo->space = space;
    memo->n_sides = space->axes[SP_SERVING_AXIS_chunk_tokens].n_values *
                    space->axes[SP_SERVING_AXIS_batch].n_values;
    return memo;
}

static void forget(sp_serving_memo *memo)
{
    for (uint32_t i = 0; i < N_SLOTS; i++) {
        if (memo->slots[i] == NULL) continue;
        sp_free(memo->slots[i]->sides);
        sp_free(memo->slots[i]);
        memo->slots[i] = NULL;
    }
    memo->n_known = 0;
}

void sp_serving_memo_end(sp_serving_memo *memo)
{
    forget(memo);
    sp_free(memo);
}

void sp_serving_memo_make_room(sp_serving_memo *memo)
{
    if (memo->n_known + SP_N_ROLES > MOST_KNOWN) forget(memo);
}

/* ---- layouts ---- */

static key key_of(const sp_serving_plan *plan, sp_serving_role role)
{
    key k;
    uint32_t n = 0;
    const bool prefill =
        role == SP_ROLE_PREFILL && plan->value[SP_SERVING_AXIS_mode] == SP_SERVING_DISAGG;
    for (uint32_t axis = SP_SERVING_AXIS_engine; axis <= SP_SERVING_AXIS_spec; axis++) {
        k.part[n++] = plan->value[axis];
    }
    const uint32_t *layout =
        &plan->value[prefill ? SP_SERVING_AXIS_prefill_tp : SP_SERVING_AXIS_tp];
    for (uint32_t i = 0; i < 5; i++) {
        k.part[n++] = layout[i];
    }
    k.part[n++] = plan->value[SP_SERVING_AXIS_cp_prefill] * 2 + prefill;
    assert(n == N_PARTS);
    return k;
}

static uint32_t slot_of(const key *k)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (uint32_t i = 0; i < N_PARTS; i++) {
        hash = (hash ^ k->part[i]) * UINT64_C(0x100000001b3);
    }
    return (uint32_t)(hash >> 32) % N_SLOTS;
}

/* A new layout in an empty slot. */
static sp_serving_known *learn(sp_serving_memo *memo, const key *k, uint32_t slot,
                               const sp_serving_plan *plan, sp_serving_role role)
{
    sp_serving_known *known = sp_alloc(sizeof *known);
    sp_serving_side *sides = sp_alloc(memo->n_sides * sizeof *sides);
    if (known == NULL || sides == NULL) {
        sp_free(known);
        sp_free(sides);
        return NULL;
    }
    known->key = *k;
    known->sides = sides;
    sp_serving_base_of(memo->space->problem, plan, role, &known->base);
    memo->slots[slot] = known;
    memo->n_known++;
    return known;
}

sp_serving_known *sp_serving_memo_find(sp_serving_memo *memo, const sp_serving_plan *plan,
                                       sp_serving_role role)
{
    const key k = key_of(plan, role);
    assert(memo->n_known < MOST_KNOWN);
    for (uint32_t slot = slot_of(&k);; slot = (slot + 1) % N_SLOTS) {
        sp_serving_known *known = memo->slots[slot];
        if (known == NULL) return learn(memo, &k, slot, plan, role);
        if (memcmp(&known->key, &k, sizeof k) == 0) return known;
    }
}

/* ---- pools ---- */

const sp_serving_side *sp_serving_known_side(sp_serving_memo *memo, sp_serving_known *known,
                                             const sp_serving_plan *plan, sp_serving_role role,
                                             const uint32_t digit[SP_N_SERVING_AXES])
{
    const uint32_t n_batches = memo->space->axes[SP_SERVING_AXIS_batch].n_values;
    sp_serving_side *side = &known->sides[digit[SP_SERVING_AXIS_chunk_tokens] * n_batches +
                                          digit[SP_SERVING_AXIS_batch]];
    if (side->base == NULL) {
        sp_serving_side_of(memo->space->problem, plan, role, &known->base, side);
    }
    return side;
}
