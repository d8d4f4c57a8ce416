/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of tables of experts: what the timed rank served follows from how tokens were routed. */
#include "fidelity/ops_priv.h"

#include <stdlib.h>
#include <string.h>

static sp_status read_alpha(const sp_ops_reader *r, uint32_t row, double *alpha)
{
    static const char law[] = "power_law_";
    const char *text = sp_ops_word(r, row, 8);
    char *end = NULL;
    *alpha = 0.0;
    if (strcmp(text, "balanced") == 0 || strcmp(text, "uniform") == 0) return SP_OK;
    if (strncmp(text, law, sizeof law - 1) == 0) {
        *alpha = strtod(text + sizeof law - 1, &end);
        if (*end == '\0' && *alpha > 0.0 && *alpha <= 8.0) return SP_OK;
    }
    (void)sp_csv_fail(&r->csv, row, r->column[8], r->err, SP_E_UNKNOWN_NAME,
                      "not a distribution of tokens over experts");
    return sp_fail_range(r->err, "balanced, power_law_ALPHA with ALPHA up to 8");
}

#define MEMO_SLOTS 65536u

typedef struct sp_load_memo {
    bool used[MEMO_SLOTS];
    sp_routing routing[MEMO_SLOTS];
    sp_load load[MEMO_SLOTS];
} sp_load_memo;

struct sp_load_memo *sp_load_memo_make(void)
{
    sp_load_memo *memo = sp_alloc(sizeof *memo);
    if (memo != NULL) memset(memo->used, 0, sizeof memo->used);
    return memo;
}

static bool same_routing(const sp_routing *a, const sp_routing *b)
{
    return a->tokens == b->tokens && a->topk == b->topk && a->experts == b->experts &&
           a->ranks == b->ranks && a->alpha == b->alpha;
}

static sp_load load_of(const sp_ops_reader *r, const sp_routing *routing)
{
    const double numbers[] = {routing->tokens, routing->topk, routing->experts, routing->ranks,
                              routing->alpha};
    const uint32_t slot = (uint32_t)(sp_hash_bytes(numbers, sizeof numbers).low % MEMO_SLOTS);
    sp_load_memo *memo = r->memo;
    if (!memo->used[slot] || !same_routing(&memo->routing[slot], routing)) {
        memo->used[slot] = true;
        memo->routing[slot] = *routing;
        memo->load[slot] = sp_routing_load(routing);
    }
    return memo->load[slot];
}

static sp_status read_routing(sp_ops_reader *r, uint32_t row, sp_routing *out)
{
    sp_error *const err = r->err;
    const sp_csv *csv = &r->csv;
    SP_TRY(sp_csv_u32(csv, row, r->column[1], 1, 1u << 24, 0, &out->tokens, err));
    SP_TRY(sp_csv_u32(csv, row, r->column[4], 1, 1024, 0, &out->topk, err));
    SP_TRY(sp_csv_u32(csv, row, r->column[5], 1, 4096, 0, &out->experts, err));
    SP_TRY(sp_csv_u32(csv, row, r->column[7], 1, 4096, 0, &out->ranks, err));
    if (out->experts == 0 || out->experts % (out->ranks > 0 ? out->ranks : 1) != 0 ||
        out->topk > out->experts || out->tokens == 0 || out->topk == 0 || out->ranks == 0) {
        return sp_csv_fail(
            csv, row, r->column[5], err, SP_E_INCONSISTENT,
            "tokens, topk, num_experts and moe_ep_size must be there; the ranks must "
            "divide the experts, and a token choose no more than there are");
    }
    return read_alpha(r, row, &out->alpha);
}

/* An expert without a gate has two matrices; the kernel's name says so. */
static bool is_gated(const char *kernel)
{
    return strstr(kernel, "nongated") == NULL;
}

sp_status sp_ops_read_moe(sp_ops_reader *r, uint32_t row, sp_ops_row *out, sp_ops_kernel *kernel)
{
    sp_routing routing = {0};
    double width = 0.0, pieces = 1.0;
    kernel->surface.dtype = sp_ops_word(r, row, 0);
    SP_TRY(read_routing(r, row, &routing));
    kernel->surface.variant = routing.ranks > 1 ? SP_SURFACE_SPREAD : "";
    SP_TRY(sp_ops_count(r, row, 2, 1.0, &out->dim[SP_DIM_HIDDEN]));
    SP_TRY(sp_ops_count(r, row, 3, 1.0, &width));
    SP_TRY(sp_ops_count(r, row, 6, 1.0, &pieces));
    const sp_load load = load_of(r, &routing);
    out->dim[SP_DIM_TOKENS] = routing.tokens;
    out->dim[SP_DIM_WIDTH] = width / pieces;
    out->dim[SP_DIM_TOPK] = routing.topk;
    out->dim[SP_DIM_CHOICES] = load.choices;
    out->dim[SP_DIM_ACTIVE] = load.active;
    out->dim[SP_DIM_MATRICES] = is_gated(kernel->surface.kernel) ? 3.0 : 2.0;
    out->dim[SP_DIM_EXPERTS] = (double)routing.experts / routing.ranks;
    /* The whole shape is the model's, whatever share of it was timed. */
    const double whole[] = {out->dim[SP_DIM_HIDDEN], width, routing.experts};
    out->shape = sp_hash_bytes(whole, sizeof whole).low;
    return SP_OK;
}
