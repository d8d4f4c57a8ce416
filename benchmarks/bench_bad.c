/* SPDX-License-Identifier: Apache-2.0 */
/* What a mistake costs: every folder of tests/bad, and inputs too large to keep there (16 MB of
 * JSON, 100,000 brackets, 100,000 keys), each in a process of its own, by processor time and
 * resident memory. A mistake is told within 100 ms and 64 MiB: memory is held as a limit, time is
 * printed, since a loaded machine may stretch it.
 *
 *     SHARDPLAN_BIN=build/release/shardplan SHARDPLAN_HOME=. build/release/bench_bad
 */
#define _DEFAULT_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define MEMORY_LIMIT_MIB 64.0
#define TIME_LIMIT_MS    100.0
#define MAX_CASES        1024
#define SHOWN            5

typedef struct cost {
    char name[128];
    double ms, mib;
} cost;

/* Runs a command of the shell, its output thrown away. */
static cost run(const char *name, const char *command)
{
    cost c = {.ms = -1.0};
    (void)snprintf(c.name, sizeof c.name, "%s", name);
    const pid_t child = fork();
    if (child == 0) {
        const int nothing = open("/dev/null", O_RDWR);
        (void)dup2(nothing, STDIN_FILENO);
        (void)dup2(nothing, STDOUT_FILENO);
        (void)dup2(nothing, STDERR_FILENO);
        (void)execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    int status = 0;
    struct rusage used;
    if (child < 0 || wait4(child, &status, 0, &used) != child) return c;
    const double s = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec);
    const double us = (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
    c.ms = 1e3 * s + us / 1e3;
    c.mib = (double)used.ru_maxrss / 1024.0;
    if (!WIFEXITED(status) || WEXITSTATUS(status) == 0 || WEXITSTATUS(status) >= 126) {
        fprintf(stderr, "%s is not refused (status %d)\n", name, status);
        exit(EXIT_FAILURE);
    }
    return c;
}

static void read_line(const char *path, char *line, size_t capacity)
{
    FILE *file = fopen(path, "r");
    line[0] = '\0';
    if (file != NULL) {
        if (fgets(line, (int)capacity, file) == NULL) line[0] = '\0';
        (void)fclose(file);
    }
    line[strcspn(line, "\n")] = '\0';
}

static size_t run_folders(cost *costs)
{
    size_t n = 0;
    DIR *folder = opendir("tests/bad");
    for (const struct dirent *e; folder != NULL && (e = readdir(folder)) != NULL;) {
        char path[512], args[2048], command[3072];
        if (e->d_name[0] == '.' || n == MAX_CASES) continue;
        (void)snprintf(path, sizeof path, "tests/bad/%s/args.txt", e->d_name);
        read_line(path, args, sizeof args);
        (void)snprintf(command, sizeof command, "exec \"$SHARDPLAN_BIN\" %s", args);
        costs[n++] = run(e->d_name, command);
    }
    if (folder != NULL) (void)closedir(folder);
    return n;
}

/* A file that repeats a text until it has so many bytes. */
static void write_repeated(const char *path, const char *head, const char *text, size_t bytes)
{
    FILE *file = fopen(path, "w");
    if (file == NULL) exit(EXIT_FAILURE);
    (void)fputs(head, file);
    for (size_t written = 0; written < bytes; written += strlen(text)) {
        (void)fputs(text, file);
    }
    (void)fclose(file);
}

static size_t run_large(cost *costs)
{
    static const struct {
        const char *name, *head, *text;
        size_t bytes;
    } files[] = {
        {"16 MB of numbers",     "{\"schema\": \"shardplan/job/1\", \"gpus\": [", "1234567,", 16000000},
        {"16 MB of one string",  "{\"schema\": \"",                               "abcdefgh", 16000000},
        {"100,000 brackets",     "",                                              "[",        100000  },
        {"100,000 objects deep", "",                                              "{\"a\":",  500000  },
        {"100,000 equal keys",   "{\"x\": 1",                                     ",\"x\":1", 600000  },
    };
    char path[] = "/tmp/shardplan-bad-XXXXXX";
    const int fd = mkstemp(path);
    if (fd < 0) exit(EXIT_FAILURE);
    (void)close(fd);
    const size_t n = sizeof files / sizeof files[0];
    for (size_t i = 0; i < n; i++) {
        char command[256];
        write_repeated(path, files[i].head, files[i].text, files[i].bytes);
        (void)snprintf(command, sizeof command, "exec \"$SHARDPLAN_BIN\" run %s", path);
        costs[i] = run(files[i].name, command);
    }
    (void)unlink(path);
    return n;
}

static int slowest_first(const void *a, const void *b)
{
    const cost *x = a, *y = b;
    return (x->ms < y->ms) - (x->ms > y->ms);
}

static int largest_first(const void *a, const void *b)
{
    const cost *x = a, *y = b;
    return (x->mib < y->mib) - (x->mib > y->mib);
}

int main(void)
{
    static cost costs[MAX_CASES + 16];
    const char *home = getenv("SHARDPLAN_HOME");
    if (getenv("SHARDPLAN_BIN") == NULL || (home != NULL && chdir(home) != 0)) {
        fprintf(stderr, "SHARDPLAN_BIN names the program, SHARDPLAN_HOME the source tree\n");
        return EXIT_FAILURE;
    }
    size_t n = run_folders(costs);
    n += run_large(costs + n);
    size_t n_slow = 0;
    qsort(costs, n, sizeof costs[0], slowest_first);
    printf("%zu mistakes; the slowest, in ms of processor time (aim: %.0f)\n", n, TIME_LIMIT_MS);
    for (size_t i = 0; i < n; i++) {
        n_slow += costs[i].ms > TIME_LIMIT_MS;
        if (i < SHOWN) printf("  %7.1f  %s\n", costs[i].ms, costs[i].name);
    }
    qsort(costs, n, sizeof costs[0], largest_first);
    printf("the largest, in MiB resident (limit: %.0f)\n", MEMORY_LIMIT_MIB);
    for (size_t i = 0; i < SHOWN && i < n; i++) {
        printf("  %7.1f  %s\n", costs[i].mib, costs[i].name);
    }
    printf("%zu beyond %.0f ms; %s\n", n_slow, TIME_LIMIT_MS,
           costs[0].mib <= MEMORY_LIMIT_MIB ? "all within the memory" : "TOO MUCH MEMORY");
    return n > 100 && costs[0].mib <= MEMORY_LIMIT_MIB ? EXIT_SUCCESS : EXIT_FAILURE;
}
