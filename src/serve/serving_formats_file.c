/* SPDX-License-Identifier: Apache-2.0 */
/* Reads configs/serving_formats.json. */
#include "serve/serving_formats.h"

#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static sp_status keep(sp_arena *arena, const char *text, const char **kept, sp_error *err)
{
    *kept = sp_arena_strdup(arena, text);
    return *kept != NULL ? SP_OK : sp_fail(err, SP_E_MEMORY, "no memory for number formats");
}

static sp_status check_origin(const sp_json *entry, sp_error *err)
{
    const char *text = NULL;
    SP_TRY(sp_json_string(entry, "source", &text, err));
    return sp_json_string(entry, "date", &text, err);
}

/* {"fp8": "fp8"}: a kernel's format and the one that the part must compute in. */
static sp_status read_kernel(sp_arena *arena, const sp_json *kernels, size_t idx,
                             sp_format_part *part, sp_error *err)
{
    const char *dtypes[SP_N_DTYPES];
    for (sp_dtype d = 0; d < SP_N_DTYPES; d++) {
        dtypes[d] = sp_dtype_name(d);
    }
    uint32_t needs = 0;
    const sp_json member = sp_json_member(kernels, idx);
    if (sp_surface_format_find(member.key) == NULL) {
        return sp_json_fail(&member, err, SP_E_UNKNOWN_NAME, "no measured table has this format");
    }
    SP_TRY(sp_json_enum(kernels, member.key, dtypes, SP_N_DTYPES, &needs, err));
    part->needs[idx] = (sp_dtype)needs;
    return keep(arena, member.key, &part->kernel[idx], err);
}

static sp_status read_part(sp_arena *arena, const sp_json *entry, const char *key,
                           sp_format_part *part, sp_error *err)
{
    static const char *const keys[] = {"bits", "kernels"};
    sp_json object, kernels;
    SP_TRY(sp_json_object(entry, key, &object, err));
    SP_TRY(sp_json_only(&object, keys, COUNT(keys), err));
    SP_TRY(sp_json_double(&object, "bits", 1.0, 64.0, &part->bits, err));
    SP_TRY(sp_json_object(&object, "kernels", &kernels, err));
    const size_t n = sp_json_size(&kernels);
    if (n == 0 || n > SP_MAX_FORMAT_KERNELS) {
        return sp_json_fail(&kernels, err, SP_E_RANGE, "1 to %d kernels", SP_MAX_FORMAT_KERNELS);
    }
    part->n_kernels = (uint32_t)n;
    for (size_t i = 0; i < n; i++) {
        SP_TRY(read_kernel(arena, &kernels, i, part, err));
    }
    return SP_OK;
}

static sp_status read_format(sp_arena *arena, const sp_json *entry, sp_format_entry *format,
                             sp_error *err)
{
    static const char *const keys[] = {"name", "attention", "ffn", "source", "date"};
    const char *name = NULL;
    SP_TRY(sp_json_only(entry, keys, COUNT(keys), err));
    SP_TRY(sp_json_string(entry, "name", &name, err));
    SP_TRY(keep(arena, name, &format->name, err));
    SP_TRY(read_part(arena, entry, "attention", &format->attention, err));
    SP_TRY(read_part(arena, entry, "ffn", &format->ffn, err));
    return check_origin(entry, err);
}

static sp_status read_formats(sp_arena *arena, const sp_json *root, sp_formats_file *file,
                              sp_error *err)
{
    sp_json list;
    SP_TRY(sp_json_array(root, "formats", &list, err));
    const size_t n = sp_json_size(&list);
    if (n == 0 || n > SP_MAX_WEIGHT_FORMATS) {
        return sp_json_fail(&list, err, SP_E_RANGE, "1 to %d formats", SP_MAX_WEIGHT_FORMATS);
    }
    for (size_t i = 0; i < n; i++) {
        const sp_json entry = sp_json_at(&list, i);
        SP_TRY(read_format(arena, &entry, &file->list[i], err));
    }
    file->n = (uint32_t)n;
    return SP_OK;
}

static sp_status read_pattern(sp_arena *arena, const sp_json *entry, sp_format_pattern *pattern,
                              sp_error *err)
{
    static const char *const keys[] = {"model", "format", "source", "date"};
    const char *model = NULL, *format = NULL;
    SP_TRY(sp_json_only(entry, keys, COUNT(keys), err));
    SP_TRY(sp_json_string(entry, "model", &model, err));
    SP_TRY(sp_json_string(entry, "format", &format, err));
    SP_TRY(keep(arena, model, &pattern->model, err));
    SP_TRY(keep(arena, format, &pattern->format, err));
    return check_origin(entry, err);
}

static sp_status read_patterns(sp_arena *arena, const sp_json *root, sp_formats_file *file,
                               sp_error *err)
{
    sp_json list;
    SP_TRY(sp_json_array(root, "checkpoints", &list, err));
    const size_t n = sp_json_size(&list);
    sp_format_pattern *patterns = sp_arena_alloc(arena, (n + 1) * sizeof *patterns);
    if (patterns == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for number formats");
    for (size_t i = 0; i < n; i++) {
        const sp_json entry = sp_json_at(&list, i);
        SP_TRY(read_pattern(arena, &entry, &patterns[i], err));
    }
    file->patterns = patterns;
    file->n_patterns = (uint32_t)n;
    return SP_OK;
}

static sp_status read_file(sp_arena *arena, const sp_json *root, sp_formats_file *file,
                           sp_error *err)
{
    static const char *const keys[] = {"schema", "about", "formats", "checkpoints"};
    SP_TRY(sp_json_schema(root, "shardplan/serving-formats/1", err));
    SP_TRY(sp_json_only(root, keys, COUNT(keys), err));
    SP_TRY(read_formats(arena, root, file, err));
    return read_patterns(arena, root, file, err);
}

sp_status sp_formats_file_load(sp_serving_problem *problem, sp_formats_file *file, sp_error *err)
{
    sp_arena *arena = &problem->arena;
    sp_json_doc *doc = NULL;
    const char *path =
        sp_arena_printf(arena, "%s/configs/serving_formats.json", problem->question.home);
    if (path == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for number formats");
    SP_TRY(sp_json_load_file(path, &doc, err));
    const sp_json root = sp_json_root(doc);
    const sp_status status = read_file(arena, &root, file, err);
    sp_json_free(doc);
    return status;
}
