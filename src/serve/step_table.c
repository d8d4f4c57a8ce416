/* SPDX-License-Identifier: Apache-2.0 */
/* Steps of one worker, each priced once. */
#include "serve/step_table.h"

#include <assert.h>
#include <math.h>
#include <string.h>

void sp_step_table_begin(const sp_worker *worker, double context, double fresh, double past,
                         sp_step_table *table)
{
    table->worker = worker;
    table->context = context;
    table->fresh = fresh;
    table->past = past;
    table->known_prompts = 0;
    memset(table->known, 0, sizeof table->known);
    memset(table->known_pieces, 0, sizeof table->known_pieces);
}

/* ---- sums of steps ---- */

static double gpu_s(const sp_serve_step_time *t)
{
    return t->projection_s + t->attention_s + t->experts_s + t->element_s + t->collective_s;
}

static void add(sp_serve_step_time *sum, const sp_serve_step_time *t, double times)
{
    sum->stage_s += times * t->stage_s;
    sum->projection_s += times * t->projection_s;
    sum->experts_s += times * t->experts_s;
    sum->element_s += times * t->element_s;
    sum->collective_s += times * t->collective_s;
}

/* Takes out of stage_s what is added again when the parts are put together. */
static void strip(const sp_worker *worker, sp_serve_step_time *t)
{
    t->stage_s -= t->host_s + t->attention_s / worker->layout.pp;
}

static void finish(const sp_worker *worker, const sp_serve_batch *batch, sp_serve_step_time *t)
{
    const double busy_s = gpu_s(t);
    t->host_s = sp_serve_host_s(worker, batch, busy_s);
    t->step_s = busy_s + t->host_s;
    t->stage_s += t->host_s + t->attention_s / worker->layout.pp;
}

/* ---- answers by tokens ---- */

/* Powers of the eighth root of 2. */
static const double eighths[SP_STEP_OCTAVE] = {1.0,
                                               1.0905077326652577,
                                               1.189207115002721,
                                               1.2968395546510096,
                                               1.4142135623730951,
                                               1.5422108254079407,
                                               1.681792830507429,
                                               1.8340080864093424};

static double tokens_at(uint32_t idx)
{
    if (idx < SP_STEP_WHOLE) return idx + 1.0;
    const uint32_t above = idx + 1 - SP_STEP_WHOLE;
    return ldexp(SP_STEP_WHOLE * eighths[above % SP_STEP_OCTAVE], (int)(above / SP_STEP_OCTAVE));
}

/* The last node at or below; tokens are 1 or more. */
static uint32_t node_below(double tokens)
{
    int exponent = 0;
    uint32_t part = 0;
    if (tokens < SP_STEP_WHOLE) return (uint32_t)tokens - 1;
    const double rest = 2.0 * frexp(tokens / SP_STEP_WHOLE, &exponent);
    while (part + 1 < SP_STEP_OCTAVE && eighths[part + 1] <= rest) {
        part++;
    }
    return SP_STEP_WHOLE - 1 + (uint32_t)(exponent - 1) * SP_STEP_OCTAVE + part;
}

static const sp_step_node *node_of(sp_step_table *table, uint32_t idx)
{
    sp_step_node *node = &table->node[idx];
    if ((table->known[idx / 64] >> idx % 64 & 1) != 0) return node;
    node->tokens = tokens_at(idx);
    sp_serve_batch batch = {.decodes = node->tokens, .context = table->context};
    sp_serve_step(table->worker, &batch, &node->bare);
    batch.emitted = node->tokens;
    sp_serve_step(table->worker, &batch, &node->whole);
    strip(table->worker, &node->bare);
    strip(table->worker, &node->whole);
    table->known[idx / 64] |= UINT64_C(1) << idx % 64;
    return node;
}

/* Between two nodes, and how far from the first. */
typedef struct place {
    const sp_step_node *from, *to;
    double share;
} place;

static place find(sp_step_table *table, double tokens)
{
    const uint32_t idx = node_below(fmax(1.0, tokens));
    place p = {.from = node_of(table, idx)};
    p.to = p.from;
    if (tokens <= p.from->tokens) return p;
    p.to = node_of(table, idx + 1);
    p.share = (tokens - p.from->tokens) / (p.to->tokens - p.from->tokens);
    return p;
}

/* Fewer than one token take their share of one. */
static void add_bare(sp_step_table *table, double tokens, double times, sp_serve_step_time *sum)
{
    const place p = find(table, tokens);
    add(sum, &p.from->bare, times * (1.0 - p.share));
    if (p.share > 0.0) add(sum, &p.to->bare, times * p.share);
}

static void add_head(const place *p, sp_serve_step_time *sum)
{
    add(sum, &p->from->whole, 1.0 - p->share);
    add(sum, &p->from->bare, p->share - 1.0);
    if (p->share <= 0.0) return;
    add(sum, &p->to->whole, p->share);
    add(sum, &p->to->bare, -p->share);
}

static double attention_at(const place *p)
{
    return (1.0 - p->share) * p->from->whole.attention_s + p->share * p->to->whole.attention_s;
}

/* ---- prompts ---- */

static bool is_same(const sp_step_prompts *a, const sp_step_prompts *b)
{
    return a->prompts == b->prompts && a->tokens == b->tokens && a->past == b->past;
}

static uint32_t slot_of(const sp_step_prompts *p)
{
    uint64_t bits[2];
    memcpy(bits, p, sizeof bits);
    const uint64_t mixed =
        (bits[0] ^ bits[1] * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xff51afd7ed558ccd);
    return (uint32_t)(mixed >> 40) % SP_STEP_PROMPTS;
}

/* The slot that has it, else one that is free, else the first: whoever asks last has that. */
static uint32_t find_slot(const sp_step_table *table, const sp_step_prompts *asked, bool *known)
{
    const uint32_t first = slot_of(asked);
    *known = false;
    for (uint32_t i = 0; i < SP_STEP_PROBES; i++) {
        const uint32_t slot = (first + i) % SP_STEP_PROMPTS;
        if ((table->known_prompts >> slot & 1) == 0) return slot;
        *known = is_same(&table->prompts[slot], asked);
        if (*known) return slot;
    }
    return first;
}

static void price_prompts(const sp_step_table *table, const sp_step_prompts *asked,
                          sp_serve_step_time *out)
{
    const sp_serve_batch alone = {
        .prompts = asked->prompts, .prompt_tokens = asked->tokens, .prompt_past = asked->past};
    sp_serve_step(table->worker, &alone, out);
    strip(table->worker, out);
}

/* Of whole prompts, as many as are asked for. */
static const sp_serve_step_time *prompts_of(sp_step_table *table, const sp_serve_batch *batch)
{
    const sp_step_prompts asked = {
        .prompts = batch->prompts, .tokens = batch->prompt_tokens, .past = batch->prompt_past};
    bool known = false;
    const uint32_t slot = find_slot(table, &asked, &known);
    sp_step_prompts *kept = &table->prompts[slot];
    if (known) return &kept->time;
    *kept = asked;
    price_prompts(table, &asked, &kept->time);
    table->known_prompts |= UINT32_C(1) << slot;
    return &kept->time;
}

/* Of equal pieces the mean one has half of the other tokens before it. */
static double past_of(const sp_step_table *table, double tokens)
{
    return table->past + (table->fresh - tokens) / 2.0;
}

static bool is_piece(const sp_step_table *table, const sp_serve_batch *batch)
{
    const double off = batch->prompt_past - past_of(table, batch->prompt_tokens);
    return batch->prompts == 1.0 && batch->prompt_tokens >= 1.0 &&
           batch->prompt_tokens < table->fresh && fabs(off) <= 1e-9 * table->fresh;
}

static const sp_serve_step_time *piece_of(sp_step_table *table, uint32_t idx)
{
    sp_serve_step_time *piece = &table->piece[idx];
    if ((table->known_pieces[idx / 64] >> idx % 64 & 1) != 0) return piece;
    const double tokens = fmin(tokens_at(idx), table->fresh);
    const sp_step_prompts one = {.prompts = 1.0, .tokens = tokens, .past = past_of(table, tokens)};
    price_prompts(table, &one, piece);
    table->known_pieces[idx / 64] |= UINT64_C(1) << idx % 64;
    return piece;
}

static void add_piece(sp_step_table *table, double tokens, sp_serve_step_time *sum)
{
    const uint32_t idx = node_below(tokens);
    const double from = tokens_at(idx), to = fmin(tokens_at(idx + 1), table->fresh);
    const double share = tokens > from ? (tokens - from) / (to - from) : 0.0;
    const sp_serve_step_time *a = piece_of(table, idx);
    add(sum, a, 1.0 - share);
    sum->attention_s += (1.0 - share) * a->attention_s;
    if (share <= 0.0) return;
    const sp_serve_step_time *b = piece_of(table, idx + 1);
    add(sum, b, share);
    sum->attention_s += share * b->attention_s;
}

static void add_prompts(sp_step_table *table, const sp_serve_batch *batch, sp_serve_step_time *sum)
{
    if (is_piece(table, batch)) {
        add_piece(table, batch->prompt_tokens, sum);
        return;
    }
    const sp_serve_step_time *whole = prompts_of(table, batch);
    add(sum, whole, 1.0);
    sum->attention_s += whole->attention_s;
}

/* ---- steps ---- */

static bool is_covered(const sp_step_table *table, const sp_serve_batch *batch)
{
    const double tokens = batch->prompts * batch->prompt_tokens + batch->decodes;
    if (tokens >= SP_STEP_MOST) return false;
    if (batch->decodes <= 0.0) return batch->emitted > 0.0;
    return batch->context == table->context && batch->emitted >= batch->decodes;
}

/* The head runs over rows of answers, else over those of prompts that end. */
static void add_answers(sp_step_table *table, const sp_serve_batch *batch, double tokens,
                        sp_serve_step_time *sum)
{
    const bool any = batch->decodes > 0.0;
    const place rows = find(table, any ? batch->decodes : batch->emitted);
    add_head(&rows, sum);
    if (!any) return;
    sum->attention_s += attention_at(&rows);
    add_bare(table, tokens + batch->decodes, 1.0, sum);
    if (tokens > 0.0) add_bare(table, tokens, -1.0, sum);
}

void sp_step_table_step(sp_step_table *table, const sp_serve_batch *batch, sp_serve_step_time *out)
{
    static_assert(SP_STEP_PROMPTS <= 32, "a bit for each");
    sp_serve_step_time sum = {0};
    const double tokens = batch->prompts * batch->prompt_tokens;
    if (!is_covered(table, batch)) {
        sp_serve_step(table->worker, batch, out);
        return;
    }
    add_answers(table, batch, tokens, &sum);
    if (tokens > 0.0) add_prompts(table, batch, &sum);
    finish(table->worker, batch, &sum);
    *out = sum;
}
