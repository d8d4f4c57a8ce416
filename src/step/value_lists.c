/* SPDX-License-Identifier: Apache-2.0 */
/* GPU counts and value lists of axes, as users write them: "64", "8..64", "8,16,48". */
#include "step/step.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_GPUS   10000000u
#define MAX_VALUES 65536u

static sp_status refuse(sp_error *err, sp_status status, const char *flag, const char *text,
                        const char *message)
{
    sp_fail(err, status, "%s", message);
    sp_fail_value(err, "%s", text);
    return sp_fail_file(err, flag);
}

static sp_status read_count(const char *flag, const char *whole, const char **rest, uint32_t *value,
                            sp_error *err)
{
    char *end = NULL;
    errno = 0;
    const unsigned long long n = strtoull(*rest, &end, 10);
    if (end == *rest || **rest < '0' || **rest > '9' || errno != 0 || n < 1 || n > MAX_GPUS) {
        sp_fail(err, SP_E_RANGE, "a whole number was expected");
        sp_fail_value(err, "%s", whole);
        sp_fail_range(err, "1 .. %u", MAX_GPUS);
        return sp_fail_file(err, flag);
    }
    *rest = end;
    *value = (uint32_t)n;
    return SP_OK;
}

static int ascending(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static uint32_t sort_distinct(uint32_t *values, uint32_t n)
{
    qsort(values, n, sizeof *values, ascending);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (i == 0 || values[i] != values[kept - 1]) {
            values[kept++] = values[i];
        }
    }
    return kept;
}

/* Whole nodes between lo and hi; below one node the divisors of a node. */
static uint32_t fill_range(uint32_t lo, uint32_t hi, uint32_t node, uint32_t *values)
{
    uint32_t n = 0;
    for (uint32_t g = lo; g <= hi && g < node; g++) {
        if (node % g == 0) {
            values[n++] = g;
        }
    }
    for (uint64_t g = node; g <= hi && n < MAX_VALUES; g += node) {
        if (g >= lo) {
            values[n++] = (uint32_t)g;
        }
    }
    return n;
}

static sp_status parse_range(const char *text, const char *rest, uint32_t lo, uint32_t node,
                             uint32_t *values, uint32_t *n, sp_error *err)
{
    uint32_t hi = 0;
    SP_TRY(read_count("--gpus", text, &rest, &hi, err));
    if (*rest != '\0' || hi < lo) {
        return refuse(err, SP_E_RANGE, "--gpus", text,
                      "a range is written LOW..HIGH with LOW <= HIGH");
    }
    if ((hi - lo) / node >= MAX_VALUES) {
        return refuse(err, SP_E_RANGE, "--gpus", text, "the range holds too many GPU counts");
    }
    *n = fill_range(lo, hi, node, values);
    if (*n == 0) {
        return refuse(err, SP_E_RANGE, "--gpus", text, "the range holds no whole number of nodes");
    }
    return SP_OK;
}

static sp_status parse_gpus(const char *text, uint32_t node, uint32_t *values, uint32_t *n,
                            sp_error *err)
{
    const char *rest = text;
    *n = 0;
    for (;;) {
        uint32_t value = 0;
        SP_TRY(read_count("--gpus", text, &rest, &value, err));
        if (*n == 0 && strncmp(rest, "..", 2) == 0) {
            return parse_range(text, rest + 2, value, node, values, n, err);
        }
        if (*n == MAX_VALUES) {
            return refuse(err, SP_E_RANGE, "--gpus", text, "too many GPU counts");
        }
        values[(*n)++] = value;
        if (*rest == '\0') {
            return SP_OK;
        }
        if (*rest++ != ',') {
            return refuse(err, SP_E_SYNTAX, "--gpus", text,
                          "GPU counts are written N, A..B or N,M,..");
        }
    }
}

static sp_status keep(sp_arena *arena, uint32_t *scratch, uint32_t n, const uint32_t **values,
                      uint32_t *n_values, sp_error *err)
{
    *n_values = sort_distinct(scratch, n);
    uint32_t *kept = sp_arena_alloc(arena, sizeof(uint32_t) * *n_values);
    if (kept == NULL) {
        return sp_fail(err, SP_E_MEMORY, "no memory for a list of %u values", *n_values);
    }
    memcpy(kept, scratch, sizeof(uint32_t) * *n_values);
    *values = kept;
    return SP_OK;
}

sp_status sp_gpus_parse(sp_arena *arena, const char *text, uint32_t node_gpus,
                        const uint32_t **values, uint32_t *n_values, sp_error *err)
{
    uint32_t *scratch = sp_alloc(sizeof(uint32_t) * (MAX_VALUES + 1));
    if (scratch == NULL) {
        return sp_fail(err, SP_E_MEMORY, "no memory for GPU counts");
    }
    uint32_t n = 0;
    sp_status status = parse_gpus(text, node_gpus, scratch, &n, err);
    if (status == SP_OK) {
        status = keep(arena, scratch, n, values, n_values, err);
    }
    sp_free(scratch);
    return status;
}

static sp_status parse_one(sp_axis_id axis, const char *text, const char *item, uint32_t *values,
                           uint32_t *n, sp_error *err)
{
    char low[64];
    const char *dots = strstr(item, "..");
    const size_t length = dots != NULL ? (size_t)(dots - item) : strlen(item);
    uint32_t lo = 0, hi = 0;
    memcpy(low, item, length);
    low[length] = '\0';
    SP_TRY(sp_axis_parse_value(axis, low, &lo, err));
    hi = lo;
    if (dots != NULL) {
        SP_TRY(sp_axis_parse_value(axis, dots + 2, &hi, err));
    }
    if (hi < lo) {
        return refuse(err, SP_E_RANGE, "--set", text,
                      "a range is written LOW..HIGH with LOW <= HIGH");
    }
    if ((uint64_t)*n + hi - lo + 1 > MAX_VALUES) {
        return refuse(err, SP_E_RANGE, "--set", text, "too many values");
    }
    for (uint32_t v = lo; v <= hi; v++) {
        values[(*n)++] = v;
    }
    return SP_OK;
}

static sp_status parse_values(sp_axis_id axis, const char *text, const char *rest, uint32_t *values,
                              uint32_t *n, sp_error *err)
{
    for (;;) {
        char item[64];
        const size_t length = strcspn(rest, ",");
        if (length == 0 || length >= sizeof item) {
            return refuse(err, SP_E_SYNTAX, "--set", text,
                          "values are written AXIS=VALUE[,VALUE..]");
        }
        memcpy(item, rest, length);
        item[length] = '\0';
        SP_TRY(parse_one(axis, text, item, values, n, err));
        if (rest[length] == '\0') {
            return SP_OK;
        }
        rest += length + 1;
    }
}

static sp_status read_axis(const char *text, sp_axis_id *axis, const char **values, sp_error *err)
{
    char name[64];
    const char *equals = strchr(text, '=');
    if (equals == NULL || equals == text || (size_t)(equals - text) >= sizeof name) {
        return refuse(err, SP_E_SYNTAX, "--set", text, "values are written AXIS=VALUE[,VALUE..]");
    }
    memcpy(name, text, (size_t)(equals - text));
    name[equals - text] = '\0';
    const sp_status status = sp_axis_find_or_fail(name, axis, err);
    if (status != SP_OK) {
        return sp_fail_file(err, "--set");
    }
    if (*axis == SP_AXIS_gpus) {
        return refuse(err, SP_E_USAGE, "--set", text, "GPU counts are given with --gpus");
    }
    *values = equals + 1;
    return SP_OK;
}

sp_status sp_set_parse(sp_arena *arena, const char *text, sp_set *set, sp_error *err)
{
    const char *rest = NULL;
    SP_TRY(read_axis(text, &set->axis, &rest, err));
    uint32_t *scratch = sp_alloc(sizeof(uint32_t) * (MAX_VALUES + 1));
    if (scratch == NULL) {
        return sp_fail(err, SP_E_MEMORY, "no memory for the values of --set");
    }
    uint32_t n = 0;
    sp_status status = parse_values(set->axis, text, rest, scratch, &n, err);
    if (status == SP_OK) {
        status = keep(arena, scratch, n, &set->values, &set->n_values, err);
    } else if (err->file[0] == '\0') {
        sp_fail_file(err, "--set");
    }
    sp_free(scratch);
    return status;
}
