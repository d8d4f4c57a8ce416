/* SPDX-License-Identifier: Apache-2.0 */
/* The model of a deployment by the name that it was served under: in a folder of Hugging Face
 * configurations, then on our shelf. */
#include "fidelity/deployed.h"

#include <stdio.h>
#include <string.h>

/* "org--NAME_config", as some tools name their copies, is about NAME. */
static const char *stem_of(sp_arena *arena, const char *file)
{
    static const char ending[] = "_config";
    const char *name = file;
    for (const char *at = strstr(file, "--"); at != NULL; at = strstr(at + 2, "--")) {
        name = at + 2;
    }
    char *stem = sp_arena_strdup(arena, name);
    if (stem == NULL) return NULL;
    const size_t length = strlen(stem), cut = sizeof ending - 1;
    if (length > cut && strcmp(stem + length - cut, ending) == 0) stem[length - cut] = '\0';
    return stem;
}

/* The entries of the folder with that ending; *file stays NULL where none has the name. */
static sp_status find_entry(sp_arena *arena, const char *folder, const char *ending,
                            const char *name, const char **file, sp_error *err)
{
    const char *const *names = NULL;
    size_t n = 0;
    SP_TRY(sp_dir_names(arena, folder, ending, &names, &n, err));
    for (size_t i = 0; i < n; i++) {
        const char *stem = stem_of(arena, names[i]);
        if (stem == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for the names of models");
        if (!sp_model_same_name(stem, name)) continue;
        const char *inside = ending[0] == '\0' ? "/config.json" : ending;
        *file = sp_arena_printf(arena, "%s/%s%s", folder, names[i], inside);
        if (*file == NULL) return sp_fail(err, SP_E_MEMORY, "no memory for the names of models");
        if (sp_file_exists(*file)) return SP_OK;
        *file = NULL;
    }
    return SP_OK;
}

sp_status sp_deployed_model_find(sp_arena *arena, const char *home, const char *folder,
                                 const char *name, const sp_model **model, sp_error *err)
{
    const char *file = NULL;
    if (folder != NULL) SP_TRY(find_entry(arena, folder, ".json", name, &file, err));
    if (folder != NULL && file == NULL) SP_TRY(find_entry(arena, folder, "", name, &file, err));
    if (file != NULL) return sp_model_load(arena, home, file, model, err);
    const sp_status status = sp_model_find(arena, home, name, model, err);
    if (status != SP_E_UNKNOWN_NAME) return status;
    (void)sp_fail(err, status, "no model goes by this name; --models DIR can hold its config.json");
    return sp_fail_value(err, "%s", name);
}
