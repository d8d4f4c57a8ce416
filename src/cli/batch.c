/* SPDX-License-Identifier: Apache-2.0 */
/* The global batch as people give it: "1536" or "4Mtok", and "1000:5%" for one that may move. */
#include "cli/cli.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const char FLAG[] = "--global-batch";

static sp_status refuse(sp_status status, const char *text, const char *why, sp_error *err)
{
    sp_fail(err, status, "%s", why);
    sp_fail_value(err, "%s", text);
    return sp_fail_file(err, FLAG);
}

/* Tokens become sequences, rounded to the nearest where the batch may move. */
static sp_status from_tokens(const char *text, uint64_t tokens, uint64_t seq_len, bool may_move,
                             uint64_t *sequences, sp_error *err)
{
    if (seq_len == 0)
        return refuse(SP_E_INCONSISTENT, text, "a batch in tokens needs --seq-len", err);
    if (tokens % seq_len != 0 && !may_move) {
        return refuse(SP_E_INCONSISTENT, text,
                      "these tokens are no whole number of sequences; :5% lets the batch move",
                      err);
    }
    *sequences = (tokens + seq_len / 2) / seq_len;
    return SP_OK;
}

static sp_status parse_count(const char *text, char *count, uint64_t seq_len, sp_batch *batch,
                             sp_error *err)
{
    const size_t length = strlen(count);
    const bool is_tokens = length > 3 && strcmp(count + length - 3, "tok") == 0;
    uint64_t value = 0;
    if (is_tokens) count[length - 3] = '\0';
    if (sp_parse_length(count, &value, err) != SP_OK) {
        sp_fail_value(err, "%s", text);
        return sp_fail_file(err, FLAG);
    }
    batch->sequences = value;
    if (is_tokens) {
        SP_TRY(from_tokens(text, value, seq_len, batch->tolerance_ratio > 0.0, &batch->sequences,
                           err));
    }
    return batch->sequences > 0 ? SP_OK
                                : refuse(SP_E_RANGE, text, "a step has at least one sequence", err);
}

sp_status sp_batch_parse(const char *text, uint64_t seq_len, sp_batch *batch, sp_error *err)
{
    char count[64];
    const size_t length = strcspn(text, ":");
    *batch = (sp_batch){0};
    if (length >= sizeof count) return refuse(SP_E_SYNTAX, text, "no batch is that long", err);
    memcpy(count, text, length);
    count[length] = '\0';
    if (text[length] == ':' &&
        sp_parse_ratio(text + length + 1, &batch->tolerance_ratio, err) != SP_OK) {
        sp_fail_value(err, "%s", text);
        return sp_fail_file(err, FLAG);
    }
    return parse_count(text, count, seq_len, batch, err);
}

/* The multiple of `divisor` nearest to n, the larger of two. */
static uint64_t nearest_multiple(uint64_t n, uint64_t divisor)
{
    const uint64_t below = n / divisor * divisor;
    return below > 0 && n - below < below + divisor - n ? below : below + divisor;
}

uint64_t sp_batch_nearest(const sp_batch *batch, uint32_t gpus)
{
    assert(batch->sequences > 0 && gpus > 0);
    const double most = batch->tolerance_ratio * (double)batch->sequences;
    for (uint32_t divisor = gpus; divisor > 1; divisor--) {
        if (gpus % divisor != 0) continue;
        const uint64_t n = nearest_multiple(batch->sequences, divisor);
        if (fabs((double)n - (double)batch->sequences) <= most) return n;
    }
    return batch->sequences;
}
