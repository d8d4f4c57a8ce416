/* SPDX-License-Identifier: Apache-2.0 */
/* Finding a hardware file by any name people use for the thing: its own or an alias, whatever the
 * case, dashes and spaces. Every file of the folder is looked at, so that a name two files claim is
 * refused rather than won by the first, and a wrong name can be told its nearest. */
#include "spec/spec.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

typedef struct lookup {
    sp_arena scratch;
    const sp_catalogue *catalogue;
    const char *dir, *ref;
    const char *const *stems; /* names of the files, without .json            */
    const char **nearest;     /* per file, its name or alias nearest to ref   */
    size_t n_stems, found_idx;
    bool want_nearest;
    sp_json_doc *found;
} lookup;

static char next_letter(const char **text)
{
    while (**text == '-' || **text == '_' || **text == ' ') {
        (*text)++;
    }
    const char letter = **text;
    *text += letter != '\0';
    return (char)tolower((unsigned char)letter);
}

bool sp_same_name(const char *a, const char *b)
{
    char letter_a = '\0';
    do {
        letter_a = next_letter(&a);
        if (letter_a != next_letter(&b)) {
            return false;
        }
    } while (letter_a != '\0');
    return true;
}

/* Lists the name and the aliases of a file, checking them. */
static sp_status read_names(lookup *look, size_t idx, const sp_json *root, const char ***names,
                            size_t *n_names, sp_error *err)
{
    sp_json aliases = sp_json_get(root, "aliases");
    SP_TRY(sp_json_schema(root, look->catalogue->schema, err));
    if (sp_json_has(root, "aliases")) {
        SP_TRY(sp_json_array(root, "aliases", &aliases, err));
    }
    const size_t n = 1 + sp_json_size(&aliases);
    const char **list = sp_arena_alloc(&look->scratch, n * sizeof *list);
    if (list == NULL) {
        return sp_fail(err, SP_E_MEMORY, "out of memory");
    }
    SP_TRY(sp_json_string(root, "name", &list[0], err));
    if (strcmp(list[0], look->stems[idx]) != 0) {
        const sp_json name = sp_json_get(root, "name");
        return sp_json_fail(&name, err, SP_E_INCONSISTENT, "must be the name of the file, %s",
                            look->stems[idx]);
    }
    for (size_t i = 1; i < n; i++) {
        const sp_json alias = sp_json_at(&aliases, i - 1);
        SP_TRY(sp_json_as_string(&alias, &list[i], err));
    }
    *names = list;
    *n_names = n;
    return SP_OK;
}

static bool goes_by(const char *const *names, size_t n_names, const char *ref)
{
    for (size_t i = 0; i < n_names; i++) {
        if (sp_same_name(names[i], ref)) {
            return true;
        }
    }
    return false;
}

/* Takes the document when it is the one looked for. */
static sp_status judge(lookup *look, size_t idx, sp_json_doc **doc, sp_error *err)
{
    const sp_json root = sp_json_root(*doc);
    const char **names = NULL;
    size_t n_names = 0;
    SP_TRY(read_names(look, idx, &root, &names, &n_names, err));
    if (!goes_by(names, n_names, look->ref)) {
        if (!look->want_nearest) return SP_OK;
        const char *near = sp_name_nearest(look->ref, names, n_names);
        look->nearest[idx] = near == NULL ? "" : sp_arena_strdup(&look->scratch, near);
        return look->nearest[idx] != NULL ? SP_OK : sp_fail(err, SP_E_MEMORY, "out of memory");
    }
    if (look->found != NULL) {
        (void)sp_fail(err, SP_E_INCONSISTENT, "two %s files go by this name: %s and %s",
                      look->catalogue->noun, look->stems[look->found_idx], look->stems[idx]);
        return sp_fail_value(err, "%s", look->ref);
    }
    look->nearest[idx] = "";
    look->found = *doc;
    look->found_idx = idx;
    *doc = NULL;
    return SP_OK;
}

static sp_status look_at(lookup *look, size_t idx, sp_error *err)
{
    const char *file = sp_arena_printf(&look->scratch, "%s/%s.json", look->dir, look->stems[idx]);
    if (file == NULL) {
        return sp_fail(err, SP_E_MEMORY, "out of memory");
    }
    sp_json_doc *doc = NULL;
    SP_TRY(sp_json_load_file(file, &doc, err));
    const sp_status status = judge(look, idx, &doc, err);
    sp_json_free(doc);
    return status;
}

static sp_status list_files(lookup *look, const char *home, sp_error *err)
{
    look->dir = sp_arena_printf(&look->scratch, "%s/hardware/%s", home, look->catalogue->folder);
    if (look->dir == NULL) {
        return sp_fail(err, SP_E_MEMORY, "out of memory");
    }
    SP_TRY(sp_dir_names(&look->scratch, look->dir, ".json", &look->stems, &look->n_stems, err));
    look->nearest = sp_arena_alloc(&look->scratch, (look->n_stems + 1) * sizeof *look->nearest);
    return look->nearest != NULL ? SP_OK : sp_fail(err, SP_E_MEMORY, "out of memory");
}

static sp_status refuse(const lookup *look, sp_error *err)
{
    (void)sp_fail(err, SP_E_UNKNOWN_NAME, "no %s goes by this name", look->catalogue->noun);
    (void)sp_fail_value(err, "%s", look->ref);
    (void)sp_fail_names(err, look->ref, look->stems, look->n_stems);
    const char *near = sp_name_nearest(look->ref, look->nearest, look->n_stems);
    (void)snprintf(err->nearest, sizeof err->nearest, "%s", near != NULL ? near : "");
    return err->status;
}

static sp_status look_at_all(lookup *look, sp_error *err)
{
    for (size_t i = 0; i < look->n_stems; i++) {
        SP_TRY(look_at(look, i, err));
    }
    return SP_OK;
}

/* The file of that very name, else whichever goes by it; what comes near is worked out only for the
 * refusal. */
static sp_status find(lookup *look, const char *home, sp_error *err)
{
    SP_TRY(list_files(look, home, err));
    for (size_t i = 0; i < look->n_stems; i++) {
        if (strcmp(look->stems[i], look->ref) == 0) return look_at(look, i, err);
    }
    SP_TRY(look_at_all(look, err));
    if (look->found != NULL) return SP_OK;
    look->want_nearest = true;
    SP_TRY(look_at_all(look, err));
    return refuse(look, err);
}

bool sp_names_file(const char *ref)
{
    static const char *const endings[] = {".json", ".json5"};
    const size_t length = strlen(ref);
    for (size_t i = 0; i < 2; i++) {
        const size_t n = strlen(endings[i]);
        if (length > n && strcmp(ref + length - n, endings[i]) == 0) {
            return true;
        }
    }
    return false;
}

sp_status sp_catalogue_load(const char *home, const sp_catalogue *catalogue, const char *ref,
                            sp_json_doc **doc, sp_error *err)
{
    assert(home != NULL && ref != NULL);
    lookup look = {.catalogue = catalogue, .ref = ref};
    const sp_status status = find(&look, home, err);
    *doc = look.found;
    if (status != SP_OK) {
        sp_json_free(look.found);
        *doc = NULL;
    }
    sp_arena_fini(&look.scratch);
    return status;
}
