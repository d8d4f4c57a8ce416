/* SPDX-License-Identifier: Apache-2.0 */
/* A file read forward, field by field, through one small buffer. Every read is checked against the
 * size of the file and the limit of its header first, so that no stated length is believed. */
#define _POSIX_C_SOURCE   200809L
#define _FILE_OFFSET_BITS 64
#include "spec/checkpoint_priv.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUFFER_BYTES = 1 << 16 };

static sp_status fail_io(const sp_bytes *b, const char *action, int cause)
{
    char words[128] = "";
    if (strerror_r(cause, words, sizeof words) != 0) words[0] = '\0';
    sp_fail(b->err, SP_E_IO, "cannot %s: %s", action, words);
    return sp_fail_file(b->err, b->file);
}

static sp_status open_file(sp_bytes *b)
{
    b->descriptor = open(b->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (b->descriptor < 0) return fail_io(b, "open the file", errno);
    struct stat info;
    if (fstat(b->descriptor, &info) != 0) return fail_io(b, "look at the file", errno);
    if (!S_ISREG(info.st_mode)) {
        sp_fail(b->err, SP_E_IO, "a checkpoint must be a regular file");
        return sp_fail_file(b->err, b->file);
    }
    b->size = (uint64_t)info.st_size;
    b->bound = b->size;
    return SP_OK;
}

sp_status sp_bytes_open(sp_bytes *b, const char *file, sp_error *err)
{
    *b = (sp_bytes){.file = file, .descriptor = -1, .err = err};
    sp_status status = open_file(b);
    if (status == SP_OK && (b->buffer = sp_alloc(BUFFER_BYTES)) == NULL) {
        sp_fail(err, SP_E_MEMORY, "no memory for the file");
        status = sp_fail_file(err, file);
    }
    if (status != SP_OK) sp_bytes_close(b);
    return status;
}

void sp_bytes_close(sp_bytes *b)
{
    if (b->descriptor >= 0) close(b->descriptor);
    sp_free(b->buffer);
    b->descriptor = -1;
    b->buffer = NULL;
}

/* Are there n more bytes? */
static sp_status check_left(const sp_bytes *b, uint64_t n, const char *what)
{
    if (n <= b->bound - b->at) return SP_OK;
    if (b->bound < b->size) {
        sp_fail(b->err, SP_E_OVERFLOW, "the header is longer than any we read, at %s", what);
        sp_fail_range(b->err, "at most %" PRIu64 " bytes", b->bound);
    } else {
        sp_fail(b->err, SP_E_SYNTAX, "the file ends too early for %s", what);
        sp_fail_value(b->err, "%" PRIu64 " bytes at byte %" PRIu64, n, b->at);
        sp_fail_range(b->err, "the file has %" PRIu64 " bytes", b->size);
    }
    return sp_fail_file(b->err, b->file);
}

static sp_status read_at(const sp_bytes *b, uint64_t offset, void *out, size_t n)
{
    unsigned char *to = out;
    while (n > 0) {
        const ssize_t got = pread(b->descriptor, to, n, (off_t)offset);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail_io(b, "read the file", errno);
        if (got == 0) {
            sp_fail(b->err, SP_E_IO, "the file became shorter while it was read");
            return sp_fail_file(b->err, b->file);
        }
        to += got;
        offset += (uint64_t)got;
        n -= (size_t)got;
    }
    return SP_OK;
}

/* Makes the buffer hold the next bytes. */
static sp_status refill(sp_bytes *b)
{
    const uint64_t left = b->bound - b->at;
    const size_t n = left < BUFFER_BYTES ? (size_t)left : BUFFER_BYTES;
    SP_TRY(read_at(b, b->at, b->buffer, n));
    b->used = 0;
    b->filled = n;
    return SP_OK;
}

sp_status sp_bytes_read(sp_bytes *b, void *out, size_t n, const char *what)
{
    SP_TRY(check_left(b, n, what));
    unsigned char *to = out;
    while (n > 0) {
        if (b->used == b->filled) SP_TRY(refill(b));
        const size_t here = b->filled - b->used, taken = n < here ? n : here;
        memcpy(to, b->buffer + b->used, taken);
        b->used += taken;
        b->at += taken;
        to += taken;
        n -= taken;
    }
    return SP_OK;
}

sp_status sp_bytes_skip(sp_bytes *b, uint64_t n, const char *what)
{
    SP_TRY(check_left(b, n, what));
    const size_t here = b->filled - b->used;
    b->used = n < here ? b->used + (size_t)n : b->filled;
    b->at += n;
    return SP_OK;
}

uint64_t sp_little_endian(const unsigned char *bytes, size_t n)
{
    uint64_t value = 0;
    for (size_t i = n; i-- > 0;)
        value = value << 8 | bytes[i];
    return value;
}

sp_status sp_bytes_uint(sp_bytes *b, size_t n, uint64_t *out, const char *what)
{
    unsigned char bytes[8];
    assert(n <= sizeof bytes);
    SP_TRY(sp_bytes_read(b, bytes, n, what));
    *out = sp_little_endian(bytes, n);
    return SP_OK;
}

sp_status sp_bytes_peek(const sp_bytes *b, uint64_t offset, void *out, size_t n, const char *what)
{
    const sp_bytes there = {
        .file = b->file, .size = b->size, .bound = b->size, .at = offset, .err = b->err};
    assert(offset <= b->size);
    SP_TRY(check_left(&there, n, what));
    return read_at(b, offset, out, n);
}
