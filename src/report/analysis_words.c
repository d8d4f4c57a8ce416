/* SPDX-License-Identifier: Apache-2.0 */
/* Words that the forms of an analysis share: numbers with prefixes, phases, the question. */
#include "report/analysis_words.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

typedef struct prefix {
    double size;
    const char *letter;
} prefix;

static sp_word scaled(double x, const prefix *prefixes, size_t n, const char *unit)
{
    sp_word word;
    size_t i = 0;
    while (i + 1 < n && fabs(x) * (1.0 + 5e-5) < prefixes[i].size)
        i++;
    const double y = x / prefixes[i].size;
    const int magnitude = y > 0.0 ? (int)floor(log10(y * (1.0 + 5e-5))) : 0;
    const int decimals = magnitude >= 3 ? 0 : magnitude <= 0 ? 3 : 3 - magnitude;
    (void)snprintf(word.text, sizeof word.text, "%.*f %s%s", decimals, y, prefixes[i].letter, unit);
    return word;
}

sp_word sp_word_si(double x)
{
    static const prefix prefixes[] = {
        {1e18, "E"},
        {1e15, "P"},
        {1e12, "T"},
        {1e9,  "G"},
        {1e6,  "M"},
        {1e3,  "k"},
        {1.0,  "" }
    };
    if (x < 1e3) return sp_word_number(x);
    return scaled(x, prefixes, sizeof prefixes / sizeof prefixes[0], "");
}

static sp_word small(double x, const char *unit)
{
    static const prefix prefixes[] = {
        {1.0,  "" },
        {1e-3, "m"},
        {1e-6, "u"},
        {1e-9, "n"}
    };
    return scaled(x, prefixes, sizeof prefixes / sizeof prefixes[0], unit);
}

sp_word sp_word_short(double seconds)
{
    return small(seconds, "s");
}

sp_word sp_word_joules(double joules)
{
    return small(joules, "J");
}

sp_word sp_word_bits(double bits)
{
    sp_word word;
    (void)snprintf(word.text, sizeof word.text, "%.4g", bits);
    return word;
}

const char *sp_bound_word(sp_bound bound)
{
    static const char *const words[] = {[SP_BOUND_COMPUTE] = "compute",
                                        [SP_BOUND_MEMORY] = "memory",
                                        [SP_BOUND_NETWORK] = "network"};
    return words[bound];
}

void sp_phase_words(const sp_analysis_question *q, sp_phase phase, struct sp_text *out)
{
    const uint64_t behind = q->past_tokens + q->prompt_tokens;
    switch (phase) {
    case SP_PHASE_FORWARD:
        sp_text_printf(out, "Forward pass of %s tokens",
                       sp_word_count(q->batch * q->prompt_tokens).text);
        break;
    case SP_PHASE_BACKWARD:
        sp_text_add(out, "Backward pass");
        break;
    case SP_PHASE_PREFILL:
        sp_text_printf(out, "Prefill of %s tokens",
                       sp_word_count(q->batch * q->prompt_tokens).text);
        if (q->past_tokens > 0) {
            sp_text_printf(out, " behind %s", sp_word_count(q->past_tokens).text);
        }
        break;
    case SP_PHASE_DECODE:
        sp_text_printf(out, "First decode step behind %s tokens", sp_word_count(behind).text);
        break;
    case SP_PHASE_LAST_DECODE:
        sp_text_printf(out, "Last decode step behind %s tokens",
                       sp_word_count(behind + q->generated_tokens - 1).text);
        break;
    case SP_N_PHASES:
        break;
    }
}

/* 16 and 4.125: blocks of scales make fractions of bits. */
static void add_bits(struct sp_text *out, const char *what, double bits)
{
    sp_text_printf(out, ", %s %s", what, sp_word_bits(bits).text);
}

void sp_analysis_words(const sp_analysis_question *q, struct sp_text *out)
{
    sp_text_printf(out, "%s on %s: batch %s, prompt %s, %s generated", q->model->name, q->gpu->name,
                   sp_word_count(q->batch).text, sp_word_count(q->prompt_tokens).text,
                   sp_word_count(q->generated_tokens).text);
    if (q->tp * q->dp * q->ep > 1) {
        sp_text_printf(out, "; tp %u, dp %u, ep %u", (unsigned)q->tp, (unsigned)q->dp,
                       (unsigned)q->ep);
    }
    sp_text_printf(out, ". Bits: activations %s", sp_word_bits(q->bits.activation).text);
    add_bits(out, "attention weights", q->bits.attention_weight);
    add_bits(out, "feed-forward weights", q->bits.ffn_weight);
    if (q->bits_of_checkpoint) sp_text_add(out, " (both as the checkpoint has them)");
    add_bits(out, "cache", q->bits.kv_cache);
    add_bits(out, "norms", q->bits.norm);
    add_bits(out, "embedding and head", q->bits.embedding);
    add_bits(out, "rotary table", q->bits.rope);
    sp_text_printf(out, "; products in %s. %s\n", sp_gpu_product_name(q->gpu, q->compute),
                   q->flash ? "Fused attention." : "Scores of attention are written to memory.");
}
