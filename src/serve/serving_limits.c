/* SPDX-License-Identifier: Apache-2.0 */
/* Limits of latency as users write them: "ttft:p95<=800ms,itl:p99<=60ms,e2e:mean<=20s". */
#include "serve/serving_priv.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const char *const latency_names[SP_N_LATENCIES] = {"ttft", "tpot", "itl", "e2e"};
static const char *const percentile_names[SP_N_PERCENTILES] = {"mean", "p50", "p90", "p95", "p99"};

const char *sp_latency_name(sp_latency latency)
{
    assert(latency < SP_N_LATENCIES);
    return latency_names[latency];
}

const char *sp_percentile_name(sp_percentile percentile)
{
    assert(percentile < SP_N_PERCENTILES);
    return percentile_names[percentile];
}

static sp_status fail_form(const char *item, size_t length, sp_error *err)
{
    sp_fail(err, SP_E_SYNTAX,
            "a limit is written LATENCY:PERCENTILE<=TIME, for example ttft:p95<=800ms");
    sp_fail_value(err, "%.*s", (int)length, item);
    return sp_fail_file(err, "--slo");
}

/* Index of the word among names. */
static sp_status find_word(const char *word, const char *const *names, uint32_t n_names,
                           const char *message, uint32_t *found, sp_error *err)
{
    for (*found = 0; *found < n_names; (*found)++) {
        if (strcmp(word, names[*found]) == 0) return SP_OK;
    }
    sp_fail(err, SP_E_UNKNOWN_NAME, "%s", message);
    sp_fail_value(err, "%s", word);
    sp_fail_names(err, word, names, n_names);
    return sp_fail_file(err, "--slo");
}

static sp_status read_time(const char *text, double *seconds, sp_error *err)
{
    static const struct {
        const char *name;
        double s;
    } units[] = {
        {"us", 1e-6},
        {"ms", 1e-3},
        {"s",  1.0 }
    };
    char *end = NULL;
    const double number = strtod(text, &end);
    for (size_t i = 0; i < sizeof units / sizeof units[0] && end != text; i++) {
        if (strcmp(end, units[i].name) != 0) continue;
        *seconds = number * units[i].s;
        if (*seconds > 0.0 && *seconds <= 1e6) return SP_OK;
    }
    sp_fail(err, SP_E_RANGE, "a limit is a time above 0 with its unit: us, ms or s");
    sp_fail_value(err, "%s", text);
    return sp_fail_file(err, "--slo");
}

/* Cuts the word that ends before `mark`; false where there is none. */
static bool cut_word(const char **rest, const char *mark, char *word, size_t capacity)
{
    const char *end = strstr(*rest, mark);
    if (end == NULL || end == *rest || (size_t)(end - *rest) >= capacity) return false;
    memcpy(word, *rest, (size_t)(end - *rest));
    word[end - *rest] = '\0';
    *rest = end + strlen(mark);
    return true;
}

static sp_status read_limit(const char *item, size_t length, sp_limit *limit, sp_error *err)
{
    char text[64], word[64];
    const char *rest = text;
    uint32_t latency = 0, percentile = 0;
    if (length == 0 || length >= sizeof text) return fail_form(item, length, err);
    memcpy(text, item, length);
    text[length] = '\0';
    if (!cut_word(&rest, ":", word, sizeof word)) return fail_form(item, length, err);
    SP_TRY(
        find_word(word, latency_names, SP_N_LATENCIES, "there is no such latency", &latency, err));
    if (!cut_word(&rest, "<=", word, sizeof word)) return fail_form(item, length, err);
    SP_TRY(find_word(word, percentile_names, SP_N_PERCENTILES, "there is no such percentile",
                     &percentile, err));
    limit->latency = (sp_latency)latency;
    limit->percentile = (sp_percentile)percentile;
    return read_time(rest, &limit->most_s, err);
}

static sp_status check_twice(const sp_limit *limits, uint32_t n, sp_error *err)
{
    for (uint32_t i = 0; i < n; i++) {
        if (limits[i].latency != limits[n].latency || limits[i].percentile != limits[n].percentile)
            continue;
        sp_fail(err, SP_E_INCONSISTENT, "a latency is limited twice");
        sp_fail_value(err, "%s:%s", sp_latency_name(limits[n].latency),
                      sp_percentile_name(limits[n].percentile));
        return sp_fail_file(err, "--slo");
    }
    return SP_OK;
}

sp_status sp_limits_parse(const char *text, sp_limit *limits, uint32_t *n, sp_error *err)
{
    *n = 0;
    if (text == NULL || text[0] == '\0') return SP_OK;
    for (;;) {
        const size_t length = strcspn(text, ",");
        if (*n == SP_MAX_LIMITS) {
            sp_fail(err, SP_E_RANGE, "too many limits");
            sp_fail_range(err, "1 .. %d", SP_MAX_LIMITS);
            return sp_fail_file(err, "--slo");
        }
        SP_TRY(read_limit(text, length, &limits[*n], err));
        SP_TRY(check_twice(limits, *n, err));
        (*n)++;
        if (text[length] == '\0') return SP_OK;
        text += length + 1;
    }
}

uint32_t sp_limits_broken(const sp_serving_problem *problem, const sp_serving_estimate *e)
{
    for (uint32_t i = 0; i < problem->n_limits; i++) {
        const sp_limit *limit = &problem->limits[i];
        if (!(e->latency_s[limit->latency][limit->percentile] <= limit->most_s)) return i;
    }
    return UINT32_MAX;
}
