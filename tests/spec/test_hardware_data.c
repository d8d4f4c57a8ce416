/* SPDX-License-Identifier: Apache-2.0 */
/* Every spelling of a GPU or a system in the tables of measurements finds its file. The tables lie
 * outside the source tree: skipped where SHARDPLAN_DATA does not name the folder. */
#include "hardware_fixture.h"

#define TABLE_MAX_BYTES (16u << 20)
#define MAX_SPELLINGS   64

typedef struct spellings {
    const char *of[MAX_SPELLINGS];
    size_t n;
} spellings;

/* Takes one field of a row of CSV, quoted or plain, into `field`; returns where the next begins, or
 * NULL at the end of the row. */
static const char *read_field(const char *at, char field[128])
{
    size_t n = 0;
    bool quoted = false;
    while (*at != '\0' && (quoted || (*at != ',' && *at != '\n' && *at != '\r'))) {
        if (*at == '"') {
            quoted = !quoted;
        } else if (n < 127) {
            field[n++] = *at;
        }
        at++;
    }
    field[n] = '\0';
    return *at == ',' ? at + 1 : NULL;
}

/* Behind the end of the row at `at`, where line ends in quotes do not count. */
static const char *next_row(const char *at)
{
    bool quoted = false;
    while (*at != '\0' && (quoted || *at != '\n')) {
        quoted ^= *at == '"';
        at++;
    }
    return *at == '\n' ? at + 1 : at;
}

static size_t find_column(const char *header, const char *name)
{
    size_t idx = 0;
    for (const char *at = header; at != NULL; idx++) {
        char field[128];
        at = read_field(at, field);
        if (strcmp(field, name) == 0) {
            return idx;
        }
    }
    fail_msg("there is no column %s", name);
    return 0;
}

static void collect(spellings *all, sp_arena *arena, const char *spelling)
{
    for (size_t i = 0; i < all->n; i++) {
        if (strcmp(all->of[i], spelling) == 0) {
            return;
        }
    }
    assert_true(all->n < MAX_SPELLINGS);
    all->of[all->n++] = sp_arena_strdup(arena, spelling);
}

/* The distinct values of a column over all rows. */
static spellings read_column(sp_arena *arena, const char *table, const char *column)
{
    sp_error err = {0};
    sp_text text = {0};
    spellings all = {{0}, 0};
    const char *file = sp_arena_printf(arena, "%s/%s", getenv("SHARDPLAN_DATA"), table);
    if (sp_file_read(file, TABLE_MAX_BYTES, &text, &err) != SP_OK) {
        fail_msg("%s: %s", file, err.message);
    }
    const size_t idx = find_column(text.data, column);
    for (const char *row = next_row(text.data); *row != '\0'; row = next_row(row)) {
        char field[128] = "";
        const char *at = row;
        for (size_t i = 0; i <= idx && at != NULL; i++) {
            at = read_field(at, field);
        }
        collect(&all, arena, field);
    }
    sp_text_fini(&text);
    return all;
}

static void check_column(const char *table, const char *column, size_t at_least)
{
    sp_arena arena = {0};
    if (getenv("SHARDPLAN_DATA") == NULL) {
        skip();
    }
    const spellings all = read_column(&arena, table, column);
    assert_true(all.n >= at_least);
    for (size_t i = 0; i < all.n; i++) {
        sp_error err = {0};
        const sp_gpu *gpu = NULL;
        if (sp_gpu_find(&arena, source_tree(), all.of[i], &gpu, &err) != SP_OK) {
            fail_msg("%s: %s: %s (nearest: %s)", table, all.of[i], err.message, err.nearest);
        }
    }
    sp_arena_fini(&arena);
}

static void gpus_of_training_runs_are_known(void **state)
{
    (void)state;
    check_column("training-points/dev.csv", "gpu", 10);
}

static void systems_of_serving_runs_are_known(void **state)
{
    (void)state;
    check_column("serving-points/dev.csv", "system", 5);
}

static void systems_of_kernel_tables_are_known(void **state)
{
    (void)state;
    check_column("silicon-ops/inventory.csv", "system", 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gpus_of_training_runs_are_known),
        cmocka_unit_test(systems_of_serving_runs_are_known),
        cmocka_unit_test(systems_of_kernel_tables_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
