/* SPDX-License-Identifier: Apache-2.0 */
/* Unpacks a gzip file into a text. The only file that knows zlib; built without it, such files are
 * refused. */
#include "fidelity/gzip.h"

#include <string.h>

#if SHARDPLAN_ZLIB
#include <zlib.h>
#endif

bool sp_gzip_is(const char *file)
{
    const size_t length = strlen(file);
    return length > 3 && strcmp(file + length - 3, ".gz") == 0;
}

#if SHARDPLAN_ZLIB
static sp_status read_blocks(gzFile in, size_t max_bytes, sp_text *out, sp_error *err)
{
    char block[16384];
    int n = 0;
    while ((n = gzread(in, block, sizeof block)) > 0) {
        sp_text_add_n(out, block, (size_t)n);
        if (out->failed) return sp_fail(err, SP_E_MEMORY, "no memory for the file");
        if (out->length > max_bytes) {
            sp_fail(err, SP_E_OVERFLOW, "the file is too long once it is unpacked");
            return sp_fail_range(err, "at most %zu bytes", max_bytes);
        }
    }
    if (n == 0 && gzeof(in) != 0) return SP_OK;
    return sp_fail(err, SP_E_SYNTAX, "this is no complete gzip file");
}

sp_status sp_gzip_read(const char *file, size_t max_bytes, sp_text *out, sp_error *err)
{
    if (!sp_file_exists(file)) return sp_file_read(file, max_bytes, out, err);
    gzFile in = gzopen(file, "rb");
    if (in == NULL) {
        (void)sp_fail(err, SP_E_IO, "cannot open the file");
        return sp_fail_file(err, file);
    }
    const sp_status status = read_blocks(in, max_bytes, out, err);
    (void)gzclose_r(in);
    return status == SP_OK ? SP_OK : sp_fail_file(err, file);
}
#else
sp_status sp_gzip_read(const char *file, size_t max_bytes, sp_text *out, sp_error *err)
{
    (void)max_bytes;
    (void)out;
    (void)sp_fail(err, SP_E_NOT_YET, "this build has no zlib: unpack the file first");
    return sp_fail_file(err, file);
}
#endif
