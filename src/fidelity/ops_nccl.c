/* SPDX-License-Identifier: Apache-2.0 */
/* What a program of nccl-tests prints, as rows of collectives: which test and how many ranks from
 * its comments, size and out-of-place time from its table. Source: NVIDIA/nccl-tests, src/common.cu
 * and src/util.cu, versions 2.0 to 2.20. */
#include "fidelity/ops_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LOG_BYTES ((size_t)64 << 20)
#define MAX_WORDS     24u

typedef struct log_reader {
    const char *file;
    sp_ops *ops;
    int line;
    const char *variant;      /* NULL until the log names it */
    uint32_t ranks, time_idx; /* time_idx 0: no header was seen */
    char version[16];         /* of the library */
    uint32_t n_rows;
    sp_error *err;
} log_reader;

/* The tests that surfaces describe, by the names of their programs. */
static const struct {
    const char *program, *variant;
} programs[] = {
    {"all_reduce",     "all_reduce"    },
    {"all_gather",     "all_gather"    },
    {"reduce_scatter", "reduce_scatter"},
    {"alltoall",       "alltoall"      }
};
enum { N_PROGRAMS = sizeof programs / sizeof programs[0] };

static const char *variant_in(const char *text)
{
    for (size_t i = 0; i < N_PROGRAMS; i++) {
        if (strstr(text, programs[i].program) != NULL) return programs[i].variant;
    }
    return NULL;
}

static sp_status fail(const log_reader *r, sp_status status, const char *message, const char *value)
{
    (void)sp_fail(r->err, status, "%s", message);
    (void)sp_fail_value(r->err, "%s", value);
    r->err->line = r->line;
    return sp_fail_file(r->err, r->file);
}

static uint32_t split(char *line, char *words[MAX_WORDS])
{
    uint32_t n = 0;
    char *rest = NULL;
    for (char *w = strtok_r(line, " \t\r", &rest); w != NULL && n < MAX_WORDS;
         w = strtok_r(NULL, " \t\r", &rest)) {
        words[n++] = w;
    }
    return n;
}

/* 22807 is 2.28.7. */
static void read_version(log_reader *r, const char *line)
{
    static const char key[] = "nccl-library=";
    const char *at = strstr(line, key);
    if (at == NULL) return;
    const unsigned long code = strtoul(at + sizeof key - 1, NULL, 10);
    (void)snprintf(r->version, sizeof r->version, "%lu.%lu.%lu", code / 10000 % 100,
                   code / 100 % 100, code % 100);
}

/* "#       size  count  type  redop  root  time ..": the first word is the mark. */
static void read_header(log_reader *r, char *line)
{
    char *words[MAX_WORDS];
    const uint32_t n = split(line, words);
    for (uint32_t i = 1; i < n; i++) {
        if (strcmp(words[i], "time") != 0) continue;
        r->time_idx = i - 1;
        return;
    }
}

static sp_status read_comment(log_reader *r, char *line)
{
    static const char starting[] = "Collective test starting:";
    const char *test = strstr(line, starting);
    read_version(r, line);
    if (test != NULL) {
        r->variant = variant_in(test);
        if (r->variant == NULL) {
            return fail(r, SP_E_UNKNOWN_NAME, "no surface describes this test",
                        test + sizeof starting);
        }
    }
    if (strstr(line, "Using devices") != NULL) r->ranks = 0;
    r->ranks += strstr(line, "Rank") != NULL && strstr(line, "device") != NULL;
    if (strstr(line, "size") != NULL && strstr(line, "time") != NULL) read_header(r, line);
    return SP_OK;
}

static sp_status check_ready(const log_reader *r)
{
    if (r->variant == NULL) {
        return fail(r, SP_E_MISSING_KEY,
                    "neither the log nor its name says which test ran, such as all_reduce_perf",
                    "");
    }
    if (r->ranks < 2) {
        return fail(r, SP_E_MISSING_KEY, "the log does not list two ranks or more", "");
    }
    if (r->time_idx > 0) return SP_OK;
    return fail(r, SP_E_MISSING_KEY, "no header stands above the table", "");
}

static sp_status read_result(log_reader *r, char *line)
{
    char *words[MAX_WORDS];
    const uint32_t n = split(line, words);
    SP_TRY(check_ready(r));
    if (n <= r->time_idx) return fail(r, SP_E_SYNTAX, "the row ends before its time", words[0]);
    char *end_size = NULL, *end_time = NULL;
    const double bytes = strtod(words[0], &end_size);
    const double time_us = strtod(words[r->time_idx], &end_time);
    if (*end_size != '\0' || *end_time != '\0') {
        return fail(r, SP_E_TYPE, "size and time must be numbers", words[r->time_idx]);
    }
    if (sp_surface_format_find(words[2]) == NULL) {
        size_t n_names = 0;
        const char *const *names = sp_surface_format_names(&n_names);
        (void)fail(r, SP_E_UNKNOWN_NAME, "not a type that surfaces know", words[2]);
        return sp_fail_names(r->err, words[2], names, n_names);
    }
    if (!(bytes > 0.0) || !(time_us > 0.0)) return SP_OK; /* too small for so many ranks */
    const sp_ops_kernel kernel = {
        .surface = {.op = SP_SURFACE_COLLECTIVE,
                    .variant = r->variant,
                    .kernel = "nccl-tests",
                    .dtype = words[2],
                    .kv_dtype = ""},
        .name = "nccl",
        .version = r->version
    };
    sp_ops_row row = {
        .dim = {[SP_DIM_RANKS] = r->ranks, [SP_DIM_BYTES] = bytes},
        .measured_s = 1e-6 * time_us,
        .line = r->line
    };
    row.shape = sp_hash_bytes(row.dim, 2 * sizeof row.dim[0]).low;
    r->n_rows++;
    return sp_ops_add(r->ops, &kernel, &row, r->err);
}

static sp_status read_lines(log_reader *r, char *text)
{
    char *rest = NULL;
    for (char *line = text; line != NULL; line = rest) {
        rest = strchr(line, '\n');
        if (rest != NULL) *rest++ = '\0';
        r->line++;
        const char *first = line + strspn(line, " \t");
        const bool digit = strchr("0123456789", *first) != NULL && *first != '\0';
        if (*first == '#') SP_TRY(read_comment(r, line));
        if (digit) SP_TRY(read_result(r, line));
    }
    if (r->n_rows > 0) return SP_OK;
    r->line = 0;
    return fail(r, SP_E_SYNTAX, "no result of nccl-tests stands in the file", "");
}

sp_status sp_ops_read_nccl_log(sp_ops *ops, const char *file, sp_error *err)
{
    sp_text text = {0};
    log_reader r = {.file = file, .ops = ops, .variant = variant_in(file), .err = err};
    sp_status status = sp_file_read(file, MAX_LOG_BYTES, &text, err);
    if (status == SP_OK) status = read_lines(&r, text.data);
    sp_text_fini(&text);
    return status;
}
