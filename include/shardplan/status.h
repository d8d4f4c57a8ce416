/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What went wrong, where, and what would have been right.
 *
 * Three kinds of "no" are kept apart (see ARCHITECTURE.md): a plan that does not fit is an ordinary
 * answer (sp_verdict in estimate.h); bad input or a failing system is an sp_status with its
 * sp_error; a bug of ours is an assert.
 *
 * An sp_error belongs to the caller, has a fixed size and never allocates, so it works when memory
 * is gone and in every thread. Functions that can fail take one as their last parameter (never
 * NULL) and fill it only when they return something other than SP_OK:
 *
 *     sp_error err = {0};
 *     if (sp_model_load(&arena, "config.json", &model, &err) != SP_OK) {
 *         char text[SP_ERROR_TEXT_BYTES];
 *         sp_error_format(&err, text, sizeof text);
 *         fprintf(stderr, "%s\n", text);
 *     }
 */
#include <stddef.h>

/* Every status with its words: SP_STATUS(name, what it means). */
#define SP_STATUS_LIST(SP_STATUS)                                                                  \
    SP_STATUS(SP_OK, "no error")                                                                   \
    SP_STATUS(SP_E_IO, "cannot read or write")                                                     \
    SP_STATUS(SP_E_MEMORY, "out of memory")                                                        \
    SP_STATUS(SP_E_SYNTAX, "not well formed")                                                      \
    SP_STATUS(SP_E_TYPE, "wrong type")                                                             \
    SP_STATUS(SP_E_RANGE, "out of range")                                                          \
    SP_STATUS(SP_E_MISSING_KEY, "missing key")                                                     \
    SP_STATUS(SP_E_UNKNOWN_KEY, "unknown key")                                                     \
    SP_STATUS(SP_E_UNKNOWN_NAME, "unknown name")                                                   \
    SP_STATUS(SP_E_INCONSISTENT, "values contradict each other")                                   \
    SP_STATUS(SP_E_OVERFLOW, "number too large")                                                   \
    SP_STATUS(SP_E_NOT_YET, "not yet supported")                                                   \
    SP_STATUS(SP_E_USAGE, "wrong usage")                                                           \
    SP_STATUS(SP_E_INFEASIBLE, "nothing feasible")                                                 \
    SP_STATUS(SP_E_INTERRUPTED, "interrupted")                                                     \
    SP_STATUS(SP_E_INTERNAL, "internal error")

typedef enum sp_status {
#define SP_STATUS(name, words) name,
    SP_STATUS_LIST(SP_STATUS)
#undef SP_STATUS
} sp_status;

#define SP_ERROR_TEXT_BYTES 1536

/* Fields that do not apply are empty strings or zero. */
typedef struct sp_error {
    sp_status status;
    int line;          /* 1-based line in file, 0 where there is none                       */
    char file[256];    /* the file as the user named it, or the flag, such as --set         */
    char path[192];    /* JSON pointer, such as /layers/0/heads                             */
    char message[320]; /* one sentence without the fields below                             */
    char value[96];    /* the offending value as it was written                             */
    char range[224];   /* what would have been allowed: "1 .. 128", "bf16, fp16, fp8"       */
    char nearest[64];  /* the nearest valid name                                            */
} sp_error;

/* The words of a status; never NULL. */
const char *sp_status_words(sp_status status);

/* Writes one line such as
 *     m.json:12: /num_layers: out of range: must be a whole number; got 0.5; allowed: 1 .. 10000
 * into text and returns the length written (without the final zero), cut off at capacity - 1. */
size_t sp_error_format(const sp_error *err, char *text, size_t capacity);

/* Passes a failure on to the caller. */
#define SP_TRY(call)                                                                               \
    do {                                                                                           \
        const sp_status sp_try_status_ = (call);                                                   \
        if (sp_try_status_ != SP_OK) {                                                             \
            return sp_try_status_;                                                                 \
        }                                                                                          \
    } while (0)
