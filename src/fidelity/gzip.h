/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Files as gzip packs them (RFC 1952). */
#include "base/base.h"

/* Does the name say so? "gemm.csv.gz" */
bool sp_gzip_is(const char *file);
/* Reads the file unpacked, at most max_bytes. */
sp_status sp_gzip_read(const char *file, size_t max_bytes, sp_text *out, sp_error *err);
