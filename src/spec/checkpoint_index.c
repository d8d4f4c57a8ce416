/* SPDX-License-Identifier: Apache-2.0 */
/* The index of a checkpoint in shards: which file holds which tensor, and the bytes of all. Shards
 * that lie beside it are read and held against it; without them, only names and bytes are known.
 * Source: save_torch_state_dict of huggingface_hub ("weight_map", "metadata"."total_size"). */
#include "spec/checkpoint_priv.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MAX_INDEX_BYTES (256u << 20)

typedef struct map_entry {
    const char *name;
    uint32_t file_idx;
} map_entry;

typedef struct index_reader {
    sp_checkpoint_build *build;
    const char *path;
    sp_json_pull pull;
    sp_text key, value;
    map_entry *map;
    size_t n, capacity;
    size_t n_files, file_capacity;
    bool *missing; /* of each file */
    bool has_map, has_bytes;
    uint64_t bytes;
} index_reader;

static sp_status fail_memory(const index_reader *r)
{
    return sp_fail(r->build->err, SP_E_MEMORY, "the checkpoint needs more");
}

static sp_status pull_status(const index_reader *r)
{
    if (r->key.failed || r->value.failed) return fail_memory(r);
    if (!r->pull.complaint) return SP_OK;
    sp_fail(r->build->err, SP_E_SYNTAX, "%s", r->pull.complaint);
    r->build->err->line = 1;
    for (const char *c = r->pull.text; c < r->pull.at; c++)
        r->build->err->line += *c == '\n';
    return sp_fail_file(r->build->err, r->path);
}

static sp_status fail_entry(const index_reader *r, const char *name, sp_status status,
                            const char *message)
{
    sp_fail(r->build->err, status, "%s", message);
    sp_checkpoint_tell_tensor(name, r->build->err);
    return sp_fail_file(r->build->err, r->path);
}

/* A file beside the index, by the name that stands in it. */
static const char *beside(const index_reader *r, const char *name)
{
    const char *slash = strrchr(r->path, '/');
    const int folder = slash ? (int)(slash + 1 - r->path) : 0;
    return sp_arena_printf(r->build->arena, "%.*s%s", folder, r->path, name);
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static sp_status add_file(index_reader *r, const char *name)
{
    if (r->n_files == SP_CHECKPOINT_MAX_FILES) {
        sp_fail(r->build->err, SP_E_OVERFLOW, "the index names too many files");
        sp_fail_range(r->build->err, "at most %u", SP_CHECKPOINT_MAX_FILES);
        return sp_fail_file(r->build->err, r->path);
    }
    if (r->n_files == r->file_capacity) {
        const size_t capacity = r->file_capacity > 0 ? 2 * r->file_capacity : 64;
        const char **files = sp_arena_alloc(r->build->arena, capacity * sizeof *files);
        if (!files) return fail_memory(r);
        if (r->n_files > 0) memcpy(files, r->build->files, r->n_files * sizeof *files);
        r->build->files = files;
        r->file_capacity = capacity;
    }
    const char *file = beside(r, name);
    if (!file) return fail_memory(r);
    r->build->files[r->n_files++] = file;
    return SP_OK;
}

/* Names come in runs of one file, so the last one is looked at first. */
static sp_status find_file(index_reader *r, const char *name, uint32_t *file_idx)
{
    for (size_t i = r->n_files; i-- > 0;) {
        *file_idx = (uint32_t)i;
        if (strcmp(last_part(r->build->files[i]), name) == 0) return SP_OK;
    }
    *file_idx = (uint32_t)r->n_files;
    return add_file(r, name);
}

static sp_status add_entry(index_reader *r)
{
    if (r->n == SP_CHECKPOINT_MAX_TENSORS) {
        sp_fail(r->build->err, SP_E_OVERFLOW, "the index names more tensors than any we read");
        sp_fail_range(r->build->err, "at most %u", SP_CHECKPOINT_MAX_TENSORS);
        return sp_fail_file(r->build->err, r->path);
    }
    if (r->n == r->capacity) {
        const size_t capacity = r->capacity > 0 ? 2 * r->capacity : 256;
        map_entry *map = sp_realloc(r->map, capacity * sizeof *map);
        if (!map) return fail_memory(r);
        r->map = map;
        r->capacity = capacity;
    }
    const char *name = r->value.data;
    if (name[0] == '\0' || strchr(name, '/') || strcmp(name, "..") == 0) {
        fail_entry(r, r->key.data, SP_E_RANGE, "a shard must be a file beside the index");
        return sp_fail_value(r->build->err, "%s", name);
    }
    map_entry *entry = &r->map[r->n];
    SP_TRY(find_file(r, name, &entry->file_idx));
    entry->name = sp_arena_strdup(r->build->arena, r->key.data);
    if (!entry->name) return fail_memory(r);
    r->n++;
    return SP_OK;
}

static sp_status read_map(index_reader *r)
{
    r->has_map = true;
    sp_json_pull_enter(&r->pull, '{');
    while (sp_json_pull_more(&r->pull, '}') && sp_json_pull_key(&r->pull, &r->key) &&
           sp_json_pull_string(&r->pull, &r->value)) {
        if (r->key.failed || r->value.failed) break;
        SP_TRY(add_entry(r));
    }
    return pull_status(r);
}

/* Some writers state the bytes as a decimal; such a figure is passed over. */
static bool read_bytes(index_reader *r)
{
    const sp_json_pull before = r->pull;
    r->has_bytes = sp_json_pull_u64(&r->pull, &r->bytes);
    if (r->has_bytes) return true;
    r->pull = before;
    return sp_json_pull_skip(&r->pull);
}

static sp_status read_metadata(index_reader *r)
{
    sp_json_pull_enter(&r->pull, '{');
    while (sp_json_pull_more(&r->pull, '}') && sp_json_pull_key(&r->pull, &r->key)) {
        if (r->key.failed) break;
        const bool is_bytes = strcmp(r->key.data, "total_size") == 0;
        if (!(is_bytes ? read_bytes(r) : sp_json_pull_skip(&r->pull))) break;
    }
    return pull_status(r);
}

static sp_status read_members(index_reader *r)
{
    sp_json_pull_enter(&r->pull, '{');
    while (sp_json_pull_more(&r->pull, '}') && sp_json_pull_key(&r->pull, &r->key)) {
        if (r->key.failed) break;
        if (strcmp(r->key.data, "weight_map") == 0 && !r->has_map) {
            SP_TRY(read_map(r));
        } else if (strcmp(r->key.data, "metadata") == 0) {
            SP_TRY(read_metadata(r));
        } else if (!sp_json_pull_skip(&r->pull)) {
            break;
        }
    }
    sp_json_pull_end(&r->pull);
    SP_TRY(pull_status(r));
    if (r->has_map && r->n > 0) return SP_OK;
    sp_fail(r->build->err, SP_E_MISSING_KEY,
            "\"weight_map\" must say which file holds which tensor");
    return sp_fail_file(r->build->err, r->path);
}

static int compare(const void *a, const void *b)
{
    const map_entry *left = a, *right = b;
    return strcmp(left->name, right->name);
}

static sp_status sort_map(index_reader *r)
{
    qsort(r->map, r->n, sizeof *r->map, compare);
    for (size_t i = 1; i < r->n; i++) {
        if (strcmp(r->map[i - 1].name, r->map[i].name) == 0) {
            return fail_entry(r, r->map[i].name, SP_E_INCONSISTENT,
                              "the tensor stands twice in the index");
        }
    }
    return SP_OK;
}

static sp_status read_shards(index_reader *r)
{
    sp_checkpoint_build *b = r->build;
    r->missing = sp_arena_alloc(b->arena, r->n_files * sizeof *r->missing);
    if (!r->missing) return fail_memory(r);
    b->c.n_files = (uint32_t)r->n_files;
    for (uint32_t i = 0; i < b->c.n_files; i++) {
        r->missing[i] = !sp_file_exists(b->files[i]);
        if (r->missing[i]) {
            b->c.n_missing++;
        } else {
            SP_TRY(sp_safetensors_read(b, i));
        }
    }
    return SP_OK;
}

/* Each name of the index stands in its shard, where that is there. */
static sp_status check_map(index_reader *r)
{
    sp_checkpoint_build *b = r->build;
    uint64_t n_found = 0;
    for (size_t i = 0; i < r->n; i++) {
        const map_entry *entry = &r->map[i];
        if (r->missing[entry->file_idx]) continue;
        const sp_stored_tensor *found = sp_build_find(b, entry->name);
        if (!found || found->t.file_idx != entry->file_idx) {
            fail_entry(r, entry->name, SP_E_INCONSISTENT,
                       "the tensor is not in the shard that the index names");
            return sp_fail_value(b->err, "%s", last_part(b->files[entry->file_idx]));
        }
        n_found++;
    }
    if (n_found < b->n) {
        sp_build_note(b, "%" PRIu64 " tensors of the shards are not in the index", b->n - n_found);
    }
    return SP_OK;
}

static sp_status check_bytes(index_reader *r)
{
    sp_checkpoint_build *b = r->build;
    if (b->c.n_missing > 0) {
        if (!r->has_bytes) {
            sp_fail(
                b->err, SP_E_MISSING_KEY,
                "%u of %u shards are not beside the index, and \"metadata\" states no total_size",
                b->c.n_missing, b->c.n_files);
            return sp_fail_file(b->err, r->path);
        }
        b->c.bytes = r->bytes;
        b->c.n_tensors = r->n;
        sp_build_note(b,
                      "%u of %u shards are not beside the index: bytes are its total_size, and "
                      "parameters are not known",
                      b->c.n_missing, b->c.n_files);
        return SP_OK;
    }
    uint64_t sum = 0; /* fits: it is bounded by the sizes of the files */
    for (size_t i = 0; i < b->n; i++)
        sum += b->tensors[i].t.bytes;
    if (r->has_bytes && r->bytes != sum) {
        sp_build_note(
            b, "the index states a total_size of %" PRIu64 " bytes, its shards hold %" PRIu64,
            r->bytes, sum);
    }
    return SP_OK;
}

static sp_status read_index(index_reader *r, const sp_text *text)
{
    r->pull = sp_json_pull_begin(text->data, text->length);
    SP_TRY(read_members(r));
    SP_TRY(sort_map(r));
    SP_TRY(read_shards(r));
    SP_TRY(sp_build_sort(r->build));
    SP_TRY(check_map(r));
    return check_bytes(r);
}

sp_status sp_index_read(sp_checkpoint_build *b, const char *path)
{
    index_reader r = {.build = b, .path = path};
    sp_text text = {0};
    sp_status status = sp_file_read(path, MAX_INDEX_BYTES, &text, b->err);
    if (status == SP_OK) status = read_index(&r, &text);
    sp_text_fini(&text);
    sp_text_fini(&r.key);
    sp_text_fini(&r.value);
    sp_free(r.map);
    return status;
}
