/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The tools every other room stands on: memory, errors, numbers, names, JSON, hashes, files and
 * arithmetic expressions. Nothing here knows what a model or a GPU is. */
#include "shardplan/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- alloc.c: every allocation of the library goes through here ------------------------------ */
void *sp_alloc(size_t bytes); /* zeroed; NULL when memory is gone (or when the test hook says so) */
void *sp_realloc(void *old, size_t bytes);
void sp_free(void *memory);
/* Test hook: the n-th allocation from now (1 = the next) fails, once; 0 turns the hook off. Not for
 * threads. */
void sp_alloc_fail_at(uint64_t n);

/* ---- arena.c: memory of one loaded question, freed at once ----------------------------------- */
typedef struct sp_arena {
    struct sp_arena_chunk *head;
} sp_arena; /* {0} is an empty arena */
void *sp_arena_alloc(sp_arena *arena, size_t bytes); /* zeroed, 16-byte aligned; NULL: no memory */
char *sp_arena_strdup(sp_arena *arena, const char *text);
char *sp_arena_printf(sp_arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sp_arena_fini(sp_arena *arena); /* leaves an empty arena */

/* ---- clock.c --------------------------------------------------------------------------------- */
double sp_clock_s(void); /* monotonic */

/* ---- largest.c ------------------------------------------------------------------------------- */
typedef struct sp_largest_of {
    bool (*holds)(void *user, uint64_t value);
    /* Numbers of a piece lie next to each other, and inside it holds() never turns from false to
     * true. NULL: all are one piece. */
    uint64_t (*piece)(void *user, uint64_t value);
    void *user;
} sp_largest_of;
/* The largest number of 1 .. most that holds; 0 where none does. */
uint64_t sp_largest(const sp_largest_of *of, uint64_t most);

/* ---- error.c --------------------------------------------------------------------------------- */
/* Clears *err, sets status and message, returns status: return sp_fail(err, SP_E_IO, "..."); */
sp_status sp_fail(sp_error *err, sp_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* These add to an error already set and return its status. */
sp_status sp_fail_file(sp_error *err, const char *file);
sp_status sp_fail_value(sp_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
sp_status sp_fail_range(sp_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Lists names in err->range (cut with "..." where they do not fit) and the nearest to `given` in
 * err->nearest (left empty when none is near). */
sp_status sp_fail_names(sp_error *err, const char *given, const char *const *names, size_t n_names);

/* ---- name.c ---------------------------------------------------------------------------------- */
/* The name with the smallest edit distance to `given` (without case; transpositions count one), or
 * NULL if the best is further than max(2, a third of the length). Ties: first in the list. */
const char *sp_name_nearest(const char *given, const char *const *names, size_t n_names);
/* Whether one or two slips of the pen make the name out of the other. */
bool sp_name_is_slip(const char *given, const char *name);

/* ---- num.c ----------------------------------------------------------------------------------- */
bool sp_mul_u64(uint64_t a, uint64_t b, uint64_t *product); /* false on overflow */
bool sp_add_u64(uint64_t a, uint64_t b, uint64_t *sum);     /* false on overflow */
uint64_t sp_gcd_u64(uint64_t a, uint64_t b);
/* Rounds the IEEE mantissa of x to `bits` (1..52) significant bits, half away from zero: an integer
 * add and a mask, monotone in x, odd, exact for 0 and infinities. */
double sp_quantise(double x, unsigned bits);
/* "8192", "8k" = 8192, "1M" = 1048576 (powers of 1024: lengths and batches). */
sp_status sp_parse_length(const char *text, uint64_t *value, sp_error *err);
/* "300e9", "1T" = 10^12, "15B" = 15e9, "4M" = 4e6 (powers of 1000: token counts, money). */
sp_status sp_parse_amount(const char *text, double *value, sp_error *err);
/* "72GiB", "80GB", "512MiB", "1024" (bytes). Binary and decimal prefixes are told apart. */
sp_status sp_parse_bytes(const char *text, double *bytes, sp_error *err);
/* "6%", "0.06" -> 0.06 */
sp_status sp_parse_ratio(const char *text, double *ratio, sp_error *err);
/* "36h", "90min", "14d", "3600s", "3600" -> seconds */
sp_status sp_parse_duration(const char *text, double *seconds, sp_error *err);

/* ---- text.c: a growing byte buffer ----------------------------------------------------------- */
typedef struct sp_text {
    char *data; /* always zero-terminated once anything was added; NULL while empty */
    size_t length, capacity;
    bool failed; /* memory ran out; later additions are ignored */
} sp_text;       /* {0} is an empty text */
void sp_text_add(sp_text *text, const char *s);
void sp_text_add_n(sp_text *text, const char *s, size_t n);
void sp_text_printf(sp_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sp_text_fini(sp_text *text);
/* The shortest decimal that reads back as exactly x: "0.1", "1e+30", "12", "-0.5". */
void sp_format_double(double x, char out[32]);

/* ---- json_read.c: strict reading with positions (jansson underneath) -------------------------- */
typedef struct sp_json_doc sp_json_doc; /* owns the parsed tree and the text (for line numbers) */
/* A value and the way to it. `parent` cursors must outlive their children (keep both on the stack).
 * The JSON pointer and the line are worked out only when an error is reported. */
typedef struct sp_json {
    const sp_json_doc *doc;
    const void *node;              /* jansson's json_t; NULL = absent */
    const struct sp_json *parent;  /* NULL at the root */
    const char *key;               /* member name, when the parent is an object */
    size_t idx;                    /* element index, when the parent is an array */
} sp_json;
/* Reads at most 16 MiB; refuses duplicate keys, NaN, trailing text. *doc is freed by the caller. A
 * file that ends in .json5 may be JSON5. */
sp_status sp_json_load_file(const char *file, sp_json_doc **doc, sp_error *err);
/* name stands for the file in messages. */
sp_status sp_json_load_text(const char *text, size_t length, const char *name, sp_json_doc **doc,
                            sp_error *err);
void sp_json_free(sp_json_doc *doc);
sp_json sp_json_root(const sp_json_doc *doc);
const char *sp_json_file(const sp_json *value); /* name of the file, as given */
const char *sp_json_text(const sp_json_doc *doc, size_t *length);

bool sp_json_is_object(const sp_json *value);
bool sp_json_is_array(const sp_json *value);
bool sp_json_is_string(const sp_json *value);
bool sp_json_is_number(const sp_json *value); /* integer or real */
bool sp_json_is_bool(const sp_json *value);
bool sp_json_is_null(const sp_json *value);
/* A number as it is written, without limits or errors: true and *whole for an integer, else *real. */
bool sp_json_number(const sp_json *value, int64_t *whole, double *real);
size_t sp_json_size(const sp_json *value); /* members or elements; 0 for anything else */

/* Cursor to a member; absent (node NULL) when there is none. `key` must outlive the cursor. */
sp_json sp_json_get(const sp_json *object, const char *key);
sp_json sp_json_at(const sp_json *array, size_t idx);
bool sp_json_has(const sp_json *object, const char *key);
/* idx-th member in file order; its name in ->key. */
sp_json sp_json_member(const sp_json *object, size_t idx);

/* Required members. Ranges are inclusive; -0.0, subnormals and non-finite numbers are refused. */
sp_status sp_json_object(const sp_json *object, const char *key, sp_json *out, sp_error *err);
sp_status sp_json_array(const sp_json *object, const char *key, sp_json *out, sp_error *err);
sp_status sp_json_string(const sp_json *object, const char *key, const char **out, sp_error *err);
sp_status sp_json_u64(const sp_json *object, const char *key, uint64_t lo, uint64_t hi,
                      uint64_t *out, sp_error *err);
sp_status sp_json_u32(const sp_json *object, const char *key, uint32_t lo, uint32_t hi,
                      uint32_t *out, sp_error *err);
sp_status sp_json_double(const sp_json *object, const char *key, double lo, double hi, double *out,
                         sp_error *err);
sp_status sp_json_bool(const sp_json *object, const char *key, bool *out, sp_error *err);
/* One of `names`; *out is its index. */
sp_status sp_json_enum(const sp_json *object, const char *key, const char *const *names,
                       size_t n_names, uint32_t *out, sp_error *err);
/* Optional members: as above, or the fallback when the key is absent (null counts as absent). */
sp_status sp_json_string_or(const sp_json *object, const char *key, const char *fallback,
                            const char **out, sp_error *err);
sp_status sp_json_u64_or(const sp_json *object, const char *key, uint64_t lo, uint64_t hi,
                         uint64_t fallback, uint64_t *out, sp_error *err);
sp_status sp_json_u32_or(const sp_json *object, const char *key, uint32_t lo, uint32_t hi,
                         uint32_t fallback, uint32_t *out, sp_error *err);
sp_status sp_json_double_or(const sp_json *object, const char *key, double lo, double hi,
                            double fallback, double *out, sp_error *err);
sp_status sp_json_bool_or(const sp_json *object, const char *key, bool fallback, bool *out,
                          sp_error *err);
/* The value itself (array elements). */
sp_status sp_json_as_string(const sp_json *value, const char **out, sp_error *err);
sp_status sp_json_as_u64(const sp_json *value, uint64_t lo, uint64_t hi, uint64_t *out,
                         sp_error *err);
sp_status sp_json_as_bool(const sp_json *value, bool *out, sp_error *err);
sp_status sp_json_as_double(const sp_json *value, double lo, double hi, double *out, sp_error *err);
/* Refuses members that are not in `keys`, naming the nearest. */
sp_status sp_json_only(const sp_json *object, const char *const *keys, size_t n_keys,
                       sp_error *err);
/* Refuses a file whose "schema" is not exactly `schema`, such as "shardplan/gpu/1". */
sp_status sp_json_schema(const sp_json *root, const char *schema, sp_error *err);
/* Sets *err for this value with file, JSON pointer, line and the value as written; returns status. */
sp_status sp_json_fail(const sp_json *value, sp_error *err, sp_status status, const char *format,
                       ...) __attribute__((format(printf, 4, 5)));
/* Adds a value as compact JSON text (objects keep their order). */
void sp_json_dump(const sp_json *value, sp_text *out);

/* ---- json5.c ---------------------------------------------------------------------------------- */
/* Adds JSON5 as JSON with the same lines; name stands for the file in messages. */
sp_status sp_json5_to_json(const char *text, size_t length, const char *name, sp_text *json,
                           sp_error *err);

/* ---- json_pull.c: long JSON texts value by value, without a tree ------------------------------ */
/* For files of many megabytes of which a few members matter. The text is borrowed. The first thing
 * that is not well formed sets `complaint`; every later call returns false. */
typedef struct sp_json_pull {
    const char *text, *at, *end;
    const char *complaint; /* NULL while all is well */
    bool first;            /* nothing was read of the container just entered */
} sp_json_pull;
sp_json_pull sp_json_pull_begin(const char *text, size_t length);
/* Enters an object ('{') or an array ('['). */
bool sp_json_pull_enter(sp_json_pull *p, char bracket);
/* Is there another member or element? False at the closing bracket ('}' or ']'), which is passed. */
bool sp_json_pull_more(sp_json_pull *p, char bracket);
/* Name of a member, or a string value; *out is emptied first. */
bool sp_json_pull_key(sp_json_pull *p, sp_text *out);
bool sp_json_pull_string(sp_json_pull *p, sp_text *out);
bool sp_json_pull_u64(sp_json_pull *p, uint64_t *out);
/* First character of the next value, '\0' at the end of the text. */
char sp_json_pull_peek(sp_json_pull *p);
bool sp_json_pull_skip(sp_json_pull *p); /* one value with all that is in it */
bool sp_json_pull_end(sp_json_pull *p);  /* only white space is left */

/* ---- json_write.c: a streaming writer, two spaces of indent, keys in the order given ---------- */
typedef struct sp_json_writer {
    sp_text *out;
    unsigned depth;
    bool first, compact; /* compact: objects and arrays below this point stay on one line */
    unsigned compact_from;
} sp_json_writer;
void sp_jw_init(sp_json_writer *w, sp_text *out);
/* key is NULL inside arrays and at the root. compact writes the container on one line. */
void sp_jw_open_object(sp_json_writer *w, const char *key);
void sp_jw_open_object_compact(sp_json_writer *w, const char *key);
void sp_jw_close_object(sp_json_writer *w);
void sp_jw_open_array(sp_json_writer *w, const char *key);
void sp_jw_open_array_compact(sp_json_writer *w, const char *key);
void sp_jw_close_array(sp_json_writer *w);
void sp_jw_string(sp_json_writer *w, const char *key, const char *value); /* NULL writes null */
void sp_jw_u64(sp_json_writer *w, const char *key, uint64_t value);
void sp_jw_i64(sp_json_writer *w, const char *key, int64_t value);
void sp_jw_double(sp_json_writer *w, const char *key, double value); /* non-finite writes null */
void sp_jw_bool(sp_json_writer *w, const char *key, bool value);
void sp_jw_raw(sp_json_writer *w, const char *key, const char *json);

/* ---- yaml.c ------------------------------------------------------------------------------------ */
/* Adds JSON text as YAML that reads back as the same values. SP_E_NOT_YET in a build without
 * libyaml, SP_E_SYNTAX where the text is no JSON. */
sp_status sp_yaml_from_json(const char *json, size_t length, sp_text *out, sp_error *err);
bool sp_yaml_is_built(void);

/* ---- hash.c: fingerprints (XXH3, 128 bits) ----------------------------------------------------- */
typedef struct sp_hash128 {
    uint64_t high, low;
} sp_hash128;
sp_hash128 sp_hash_bytes(const void *data, size_t bytes);
void sp_hash_hex(sp_hash128 hash, char out[33]);

/* ---- file.c ------------------------------------------------------------------------------------ */
bool sp_file_exists(const char *path); /* a readable regular file */
bool sp_dir_exists(const char *path);
/* Reads a whole file of at most max_bytes into *out. */
sp_status sp_file_read(const char *path, size_t max_bytes, sp_text *out, sp_error *err);
/* Writes path atomically: temporary file in the same folder, fsync, rename, fsync of the folder. */
sp_status sp_file_write(const char *path, const char *data, size_t bytes, sp_error *err);
/* Sorted names of the entries of a folder that end in `suffix`, without it. */
sp_status sp_dir_names(sp_arena *arena, const char *dir, const char *suffix,
                       const char *const **names, size_t *n_names, sp_error *err);

/* ---- expr.c: the expressions of --where and of engine rules ------------------------------------ */
/* Grammar: or-expr of comparisons: a||b, a&&b, !a, == != < <= > >=, + - * / %, unary -, parentheses,
 * numbers with units (72GiB, 80GB, 5%, 3ms, 2s, 4h, 8k), names ([a-z][a-z0-9_.]*), and names of enumerators
 * (schedule==1f1b) which the resolver turns into numbers. Comparisons yield 0 or 1. Division by zero
 * yields infinity; % works on whole numbers. No allocation while evaluating. */
typedef struct sp_expr sp_expr;
/* Turns a name into a variable index (>= 0), or into a constant (return -1 and set *constant), or
 * refuses it (return -2 after filling *err). `context` is the name of the variable on the other side
 * of a comparison, so that `schedule==gpipe` can be resolved, or NULL. */
typedef int (*sp_expr_resolve)(void *user, const char *name, const char *context, double *constant,
                               sp_error *err);
sp_status sp_expr_parse(sp_arena *arena, const char *text, sp_expr_resolve resolve, void *user,
                        sp_expr **out, sp_error *err);
/* values[i] is the value of variable i. */
double sp_expr_eval(const sp_expr *expr, const double *values);
/* The distinct variables that the expression reads, ascending. */
size_t sp_expr_variables(const sp_expr *expr, const int **indices);
const char *sp_expr_text(const sp_expr *expr);
