/* SPDX-License-Identifier: Apache-2.0 */
/* Which keys a query meets under a causal mask: all before it, those of a window, of its block, of
 * compressed groups, or chosen ones. Closed forms over all new tokens of a sequence, which find
 * `past` tokens before them. shape->context says how a token counts itself: wholly in serving, by
 * half under the convention of training (context = length / 2). */
#include "graph/graph.h"

#include <math.h>

/* How much of itself a token meets. */
static double itself(const sp_shape *s)
{
    return s->context - s->past - s->length / 2.0;
}

/* Mean of the smaller of w and the tokens before one: the first w - past new tokens see less. */
static double nearest(double w, const sp_shape *s)
{
    if (w <= 0.0 || w >= s->past + s->length) return s->context;
    const double few = fmax(0.0, w - s->past);
    return w - few * (few - 2.0 * itself(s)) / (2.0 * s->length);
}

/* Keys that the first n tokens of a sequence meet together in blocks of c tokens. */
static double met_in_blocks(double c, double n, double own)
{
    const double full = floor(n / c), rest = n - full * c;
    return (full * c * c + rest * rest) / 2.0 + own * n;
}

static double in_blocks(double c, const sp_shape *s)
{
    const double own = itself(s), all = s->past + s->length;
    if (c >= all) return s->context;
    return (met_in_blocks(c, all, own) - met_in_blocks(c, s->past, own)) / s->length;
}

/* Keys that an indexer chooses for a query, that of this layer or of an earlier one; 0 = all are
 * met. */
static double chosen(const sp_attention *a)
{
    return a->index_top_k;
}

/* The smaller of two limits, of which 0 is none. */
static double tighter(double a, double b)
{
    return a > 0.0 && (b <= 0.0 || a < b) ? a : b;
}

static bool meets_all(const sp_attention *a)
{
    return (a->window | a->chunk | a->compress | a->index_top_k) == 0;
}

double sp_visible_keys(const sp_attention *a, const sp_shape *s)
{
    if (meets_all(a)) return s->context;
    if (a->compress > 0) {
        const double near = a->window > 0 ? nearest(a->window, s) : 0.0;
        return near + nearest(chosen(a) * a->compress, s) / a->compress;
    }
    return a->chunk > 0 ? in_blocks(a->chunk, s) : nearest(tighter(a->window, chosen(a)), s);
}

double sp_weighed_keys(const sp_attention *a, const sp_shape *s)
{
    const uint32_t together = a->compress > 0 ? a->compress : a->index_block;
    return together > 0 ? s->context / together : s->context;
}

/* Of the tokens of a window of w behind each new token. */
static double reached(double w, const sp_shape *s)
{
    const double all = s->past + s->length, near = s->length + w - 1.0;
    return w > 0.0 && near < all ? near : all;
}

double sp_touched_keys(const sp_attention *a, const sp_shape *s)
{
    const double all = s->past + s->length, best = chosen(a) * s->length;
    if (meets_all(a)) return all;
    if (a->compress > 0) {
        const double near = a->window > 0 ? reached(a->window, s) : 0.0, far = all / a->compress;
        return near + (best > 0.0 ? fmin(far, best) : far);
    }
    if (a->chunk > 0) return s->length + fmod(s->past, a->chunk);
    const double near = reached(a->window, s);
    return best > 0.0 ? fmin(near, best) : near;
}
