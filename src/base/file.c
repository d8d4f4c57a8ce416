/* SPDX-License-Identifier: Apache-2.0 */
/* Files whole at a time: read into a text, or written so that a reader (or a crash) sees either the
 * old file or the new one, never half of it. */
#define _POSIX_C_SOURCE 200809L
#include "base/base.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool sp_file_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode) && access(path, R_OK) == 0;
}

bool sp_dir_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static sp_status fail_io(sp_error *err, const char *path, const char *action, int cause)
{
    char words[128] = "";
    if (strerror_r(cause, words, sizeof words) != 0) {
        snprintf(words, sizeof words, "error %d", cause);
    }
    sp_fail(err, SP_E_IO, "cannot %s: %s", action, words);
    return sp_fail_file(err, path);
}

static sp_status fail_memory(sp_error *err, const char *path)
{
    sp_fail(err, SP_E_MEMORY, "no memory for the file");
    return sp_fail_file(err, path);
}

/* Reads to the end of the file or to one byte more than allowed. */
static sp_status read_all(int fd, const char *path, size_t max_bytes, sp_text *out, sp_error *err)
{
    char block[4096];
    const size_t length_before = out->length;
    sp_text_add(out, "");
    for (;;) {
        const ssize_t n = read(fd, block, sizeof block);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_io(err, path, "read the file", errno);
        if (n > 0) sp_text_add_n(out, block, (size_t)n);
        if (out->failed) return fail_memory(err, path);
        if (n == 0) return SP_OK;
        if (out->length - length_before > max_bytes) {
            sp_fail(err, SP_E_OVERFLOW, "the file is too long");
            sp_fail_range(err, "at most %zu bytes", max_bytes);
            return sp_fail_file(err, path);
        }
    }
}

sp_status sp_file_read(const char *path, size_t max_bytes, sp_text *out, sp_error *err)
{
    assert(path && out);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return fail_io(err, path, "open the file", errno);
    const sp_status status = read_all(fd, path, max_bytes, out, err);
    close(fd);
    return status;
}

static bool write_all(int fd, const char *data, size_t bytes)
{
    while (bytes > 0) {
        const ssize_t n = write(fd, data, bytes);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return false;
        data += n;
        bytes -= (size_t)n;
    }
    return true;
}

/* Writes, brings to the disk if asked, and closes in any case; false leaves the cause in errno. */
static bool write_and_close(int fd, const char *data, size_t bytes, bool sync)
{
    const bool written = write_all(fd, data, bytes) && (!sync || fsync(fd) == 0);
    const int cause = errno;
    const bool closed = close(fd) == 0;
    if (!written) errno = cause;
    return written && closed;
}

/* A new file beside path, with the permissions that the user's umask gives; its name goes to
 * `name`, which has room for path and 32 more. */
static int create_beside(const char *path, char *name, size_t capacity)
{
    for (int attempt = 0; attempt < 100; attempt++) {
        snprintf(name, capacity, "%s.%ld.%d.tmp", path, (long)getpid(), attempt);
        const int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST) return fd;
    }
    return -1;
}

/* After this the new name survives a power cut. A folder that cannot be synced is no reason to
 * refuse: the file itself is complete. */
static void sync_folder_of(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash) slash[slash == path ? 1 : 0] = '\0';
    const int fd = open(slash ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    fsync(fd);
    close(fd);
}

static sp_status write_beside(const char *path, char *name, size_t capacity, const char *data,
                              size_t bytes, sp_error *err)
{
    const int fd = create_beside(path, name, capacity);
    if (fd < 0) return fail_io(err, path, "create a file in its folder", errno);
    if (!write_and_close(fd, data, bytes, true) || rename(name, path) != 0) {
        const int cause = errno;
        unlink(name);
        return fail_io(err, path, "write the file", cause);
    }
    sync_folder_of(name);
    return SP_OK;
}

/* Devices and pipes (/dev/null, /dev/stdout) are written to, not replaced. */
static sp_status write_through(const char *path, const char *data, size_t bytes, sp_error *err)
{
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return fail_io(err, path, "open the file", errno);
    if (!write_and_close(fd, data, bytes, false)) return fail_io(err, path, "write", errno);
    return SP_OK;
}

sp_status sp_file_write(const char *path, const char *data, size_t bytes, sp_error *err)
{
    assert(path && (data || bytes == 0));
    struct stat info;
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode)) {
        return write_through(path, data, bytes, err);
    }
    const size_t capacity = strlen(path) + 32;
    char *name = sp_alloc(capacity);
    if (!name) return fail_memory(err, path);
    const sp_status status = write_beside(path, name, capacity, data, bytes, err);
    sp_free(name);
    return status;
}

/* Adds the matching names, each with its final zero; returns how many. */
static size_t collect_names(DIR *folder, const char *suffix, sp_text *names)
{
    const size_t n_suffix = strlen(suffix);
    size_t n = 0;
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        const char *name = entry->d_name;
        const size_t length = strlen(name);
        if (name[0] == '.' || length <= n_suffix) continue;
        if (strcmp(name + length - n_suffix, suffix) != 0) continue;
        sp_text_add_n(names, name, length - n_suffix);
        sp_text_add_n(names, "", 1);
        n++;
    }
    return n;
}

static int compare_names(const void *a, const void *b)
{
    const char *const *left = a, *const *right = b;
    return strcmp(*left, *right);
}

sp_status sp_dir_names(sp_arena *arena, const char *dir, const char *suffix,
                       const char *const **names, size_t *n_names, sp_error *err)
{
    DIR *folder = opendir(dir);
    if (!folder) return fail_io(err, dir, "open the folder", errno);
    sp_text found = {0};
    const size_t n = collect_names(folder, suffix, &found);
    closedir(folder);
    const char **list = sp_arena_alloc(arena, (n + 1) * sizeof *list);
    char *copy = sp_arena_alloc(arena, found.length + 1);
    const bool complete = list && copy && !found.failed;
    if (complete && n > 0) memcpy(copy, found.data, found.length);
    sp_text_fini(&found);
    if (!complete) return fail_memory(err, dir);
    for (size_t i = 0; i < n; i++) {
        list[i] = copy;
        copy += strlen(copy) + 1;
    }
    qsort(list, n, sizeof *list, compare_names);
    *names = list;
    *n_names = n;
    return SP_OK;
}
