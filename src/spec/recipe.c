/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the published runs of configs/recipes: strictly, so that a slip in a transcription is named
 * where it stands. Whether a plan lies in the space of its question is for the rooms above. */
#include "shardplan/recipe.h"

#include "spec/spec.h"

#include <string.h>

#define COUNT(array)  (sizeof(array) / sizeof((array)[0]))
#define MAX_GPUS      (1u << 24)
#define MAX_LENGTH    (UINT64_C(1) << 30)
#define MAX_LORA_RANK 65536u
#define MAX_IMBALANCE 1000.0

#define NAME(id, name) name,
static const char *const tasks[] = {SP_ENUM_TASK(NAME)};
#undef NAME

static sp_status keep_string(sp_arena *arena, const sp_json *object, const char *key,
                             const char **out, sp_error *err)
{
    const char *text = NULL;
    SP_TRY(sp_json_string(object, key, &text, err));
    if (text[0] == '\0') {
        const sp_json value = sp_json_get(object, key);
        return sp_json_fail(&value, err, SP_E_RANGE, "must not be empty");
    }
    return sp_text_keep(arena, text, out, err);
}

/* ---- where it comes from ---- */

static sp_status read_source(sp_arena *arena, const sp_json *root, sp_training_recipe *out,
                             sp_error *err)
{
    static const char *const keys[] = {"citation", "url", "date"};
    sp_json source;
    SP_TRY(sp_json_object(root, "source", &source, err));
    SP_TRY(sp_json_only(&source, keys, COUNT(keys), err));
    SP_TRY(keep_string(arena, &source, "citation", &out->citation, err));
    SP_TRY(keep_string(arena, &source, "url", &out->url, err));
    SP_TRY(keep_string(arena, &source, "date", &out->date, err));
    if (sp_is_date(out->date)) return SP_OK;
    const sp_json written = sp_json_get(&source, "date");
    return sp_json_fail(&written, err, SP_E_RANGE, "must be a date such as 2026-01-31");
}

static sp_status read_notes(sp_arena *arena, const sp_json *root, sp_training_recipe *out,
                            sp_error *err)
{
    sp_json notes;
    SP_TRY(sp_json_array(root, "notes", &notes, err));
    const size_t n = sp_json_size(&notes);
    const char **list = sp_arena_alloc(arena, (n + 1) * sizeof *list);
    if (list == NULL) return sp_fail(err, SP_E_MEMORY, "out of memory");
    for (size_t i = 0; i < n; i++) {
        const sp_json note = sp_json_at(&notes, i);
        const char *text = NULL;
        SP_TRY(sp_json_as_string(&note, &text, err));
        SP_TRY(sp_text_keep(arena, text, &list[i], err));
    }
    out->notes = list;
    out->n_notes = (uint32_t)n;
    return SP_OK;
}

static sp_status read_refused(sp_arena *arena, const sp_json *root, sp_training_recipe *out,
                              sp_error *err)
{
    static const char *const keys[] = {"by", "why"};
    sp_json refused;
    if (!sp_json_has(root, "refused")) return SP_OK;
    SP_TRY(sp_json_object(root, "refused", &refused, err));
    SP_TRY(sp_json_only(&refused, keys, COUNT(keys), err));
    SP_TRY(keep_string(arena, &refused, "by", &out->refused_by, err));
    return keep_string(arena, &refused, "why", &out->refused_why, err);
}

/* ---- the question and its plan ---- */

/* The message of the plan's reader, at the place where the plan stands. */
static sp_status fail_plan(const sp_json *root, sp_error *err)
{
    const sp_error cause = *err;
    const sp_json written = sp_json_get(root, "plan");
    sp_json_fail(&written, err, cause.status, "%s", cause.message);
    memcpy(err->value, cause.value, sizeof err->value);
    memcpy(err->range, cause.range, sizeof err->range);
    memcpy(err->nearest, cause.nearest, sizeof err->nearest);
    return cause.status;
}

static sp_status write_flags(sp_arena *arena, sp_training_recipe *out, sp_error *err)
{
    char precision[24];
    sp_axis_format_value(SP_AXIS_precision, out->plan.precision, precision);
    out->gpus_text = sp_arena_printf(arena, "%u", out->gpus);
    out->precision_set = sp_arena_printf(arena, "precision=%s", precision);
    const bool written = out->gpus_text != NULL && out->precision_set != NULL;
    return written ? SP_OK : sp_fail(err, SP_E_MEMORY, "out of memory");
}

static sp_status read_plan(sp_arena *arena, const sp_json *root, sp_training_recipe *out,
                           sp_error *err)
{
    const char *text = NULL;
    SP_TRY(sp_json_string(root, "plan", &text, err));
    out->plan = sp_plan_default();
    out->plan.gpus = out->gpus;
    if (sp_plan_parse(text, &out->plan, err) != SP_OK) return fail_plan(root, err);
    if (out->plan.gpus == out->gpus) {
        sp_plan_derive(&out->plan, out->global_batch);
        return write_flags(arena, out, err);
    }
    const sp_json written = sp_json_get(root, "plan");
    return sp_json_fail(&written, err, SP_E_INCONSISTENT, "gpus is %u beside the plan", out->gpus);
}

static sp_status read_question(sp_arena *arena, const sp_json *root, sp_training_recipe *out,
                               sp_error *err)
{
    uint32_t task = 0;
    SP_TRY(keep_string(arena, root, "model", &out->model, err));
    SP_TRY(keep_string(arena, root, "cluster", &out->cluster, err));
    SP_TRY(keep_string(arena, root, "engine", &out->engine, err));
    SP_TRY(sp_json_u32(root, "gpus", 1, MAX_GPUS, &out->gpus, err));
    SP_TRY(sp_json_u64(root, "seq_len", 1, MAX_LENGTH, &out->seq_len, err));
    SP_TRY(sp_json_u64(root, "global_batch", 1, MAX_LENGTH, &out->global_batch, err));
    SP_TRY(sp_json_u32_or(root, "lora_rank", 1, MAX_LORA_RANK, 0, &out->lora_rank, err));
    SP_TRY(sp_json_double_or(root, "moe_imbalance", 1.0, MAX_IMBALANCE, 0.0,
                             &out->moe_imbalance_ratio, err));
    if (sp_json_has(root, "task"))
        SP_TRY(sp_json_enum(root, "task", tasks, COUNT(tasks), &task, err));
    out->task = (sp_task)task;
    return read_plan(arena, root, out, err);
}

/* ---- files ---- */

static sp_status check_name(const sp_json *root, const char *stem, sp_error *err)
{
    const char *name = NULL;
    SP_TRY(sp_json_string(root, "name", &name, err));
    if (strcmp(name, stem) == 0) return SP_OK;
    const sp_json written = sp_json_get(root, "name");
    return sp_json_fail(&written, err, SP_E_INCONSISTENT, "must be the name of the file, %s", stem);
}

static sp_status read_recipe(sp_arena *arena, const sp_json *root, const char *stem,
                             sp_training_recipe *out, sp_error *err)
{
    static const char *const keys[] = {
        "schema",   "name",         "about", "model",     "cluster",      "gpus",
        "seq_len",  "global_batch", "task",  "lora_rank", "engine",       "plan",
        "measured", "source",       "notes", "refused",   "moe_imbalance"};
    SP_TRY(sp_json_schema(root, "shardplan/recipe/1", err));
    SP_TRY(sp_json_only(root, keys, COUNT(keys), err));
    SP_TRY(check_name(root, stem, err));
    SP_TRY(keep_string(arena, root, "name", &out->name, err));
    SP_TRY(keep_string(arena, root, "about", &out->about, err));
    SP_TRY(read_question(arena, root, out, err));
    SP_TRY(sp_recipe_measured_read(root, &out->measured, err));
    SP_TRY(read_source(arena, root, out, err));
    SP_TRY(read_notes(arena, root, out, err));
    return read_refused(arena, root, out, err);
}

static sp_status load_file(sp_arena *arena, const char *dir, const char *stem,
                           sp_training_recipe *out, sp_error *err)
{
    const char *file = sp_arena_printf(arena, "%s/%s.json", dir, stem);
    if (file == NULL) return sp_fail(err, SP_E_MEMORY, "out of memory");
    sp_json_doc *doc = NULL;
    SP_TRY(sp_json_load_file(file, &doc, err));
    const sp_json root = sp_json_root(doc);
    const sp_status status = read_recipe(arena, &root, stem, out, err);
    sp_json_free(doc);
    return status;
}

sp_status sp_recipes_load(struct sp_arena *arena, const char *home, const sp_recipes **recipes,
                          sp_error *err)
{
    const char *const *stems = NULL;
    size_t n = 0;
    const char *dir = sp_arena_printf(arena, "%s/configs/recipes", home);
    if (dir == NULL) return sp_fail(err, SP_E_MEMORY, "out of memory");
    if (sp_dir_exists(dir)) SP_TRY(sp_dir_names(arena, dir, ".json", &stems, &n, err));
    sp_recipes *set = sp_arena_alloc(arena, sizeof *set);
    sp_training_recipe *list = sp_arena_alloc(arena, (n + 1) * sizeof *list);
    if (set == NULL || list == NULL) return sp_fail(err, SP_E_MEMORY, "out of memory");
    for (size_t i = 0; i < n; i++) {
        SP_TRY(load_file(arena, dir, stems[i], &list[i], err));
    }
    *set = (sp_recipes){.n = (uint32_t)n, .list = list};
    *recipes = set;
    return SP_OK;
}
