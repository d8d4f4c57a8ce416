/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What benchmarks share: an error ends the program with its words. */
#include "shardplan/status.h"

#include <stdio.h>
#include <stdlib.h>

static inline void must(sp_status status, const sp_error *err)
{
    char text[SP_ERROR_TEXT_BYTES];
    if (status == SP_OK) return;
    sp_error_format(err, text, sizeof text);
    fprintf(stderr, "%s\n", text);
    exit(EXIT_FAILURE);
}
