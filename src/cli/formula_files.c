/* SPDX-License-Identifier: Apache-2.0 */
/* What `shardplan formula` reads: values of variables, module files, names and signatures. */
#include "cli/formula.h"

#include <string.h>

/* The part of the file behind '#', if a file of the whole name is not there. */
static sp_status find_member(const char *where, const char **file, const char **member,
                             sp_arena *arena, sp_error *err)
{
    const char *mark = strrchr(where, '#');
    *file = where;
    *member = NULL;
    if (!mark || sp_file_exists(where)) return SP_OK;
    *file = sp_arena_printf(arena, "%.*s", (int)(mark - where), where);
    *member = mark + 1;
    return *file ? SP_OK : sp_fail(err, SP_E_MEMORY, "no memory for the bindings");
}

static sp_status load_object(const char *file, const char *member, sp_bindings *bindings,
                             sp_error *err)
{
    SP_TRY(sp_json_load_file(file, &bindings->doc, err));
    const sp_json root = sp_json_root(bindings->doc);
    bindings->object = member ? sp_json_get(&root, member) : root;
    if (member && !bindings->object.node) {
        return sp_json_fail(&root, err, SP_E_MISSING_KEY, "there is no member \"%s\"", member);
    }
    if (!sp_json_is_object(&bindings->object)) {
        return sp_json_fail(&root, err, SP_E_TYPE,
                            "must be an object with a value for each variable");
    }
    bindings->object.parent = NULL;
    bindings->object.key = NULL;
    return SP_OK;
}

sp_status sp_bindings_load(const char *where, sp_bindings *bindings, sp_error *err)
{
    sp_arena arena = {0};
    const char *file = NULL, *member = NULL;
    *bindings = (sp_bindings){0};
    if (!where) return SP_OK;
    sp_status status = find_member(where, &file, &member, &arena, err);
    if (status == SP_OK) status = load_object(file, member, bindings, err);
    sp_arena_fini(&arena);
    return status;
}

typedef sp_status (*adder)(sp_formula_library *library, const sp_json *object, sp_error *err);

static sp_status add_with(sp_formula_library *library, const char *file, adder add, sp_error *err)
{
    sp_json_doc *doc = NULL;
    if (!file) return SP_OK;
    SP_TRY(sp_json_load_file(file, &doc, err));
    const sp_json root = sp_json_root(doc);
    const sp_status status = sp_json_is_object(&root)
                                 ? add(library, &root, err)
                                 : sp_json_fail(&root, err, SP_E_TYPE, "must be an object");
    sp_json_free(doc);
    return status;
}

sp_status sp_formula_files_load(const sp_context *context, sp_arena *arena,
                                sp_formula_library **library, sp_error *err)
{
    const sp_settings *settings = context->settings;
    *library = sp_formula_library_new(arena);
    if (!*library) return sp_fail(err, SP_E_MEMORY, "no memory for formulas");
    for (int i = 1; i < settings->n_words; i++)
        SP_TRY(sp_formula_library_add_file(*library, settings->words[i], err));
    SP_TRY(add_with(*library, sp_settings_text(settings, SP_FLAG_map), sp_formula_library_add_map,
                    err));
    SP_TRY(add_with(*library, sp_settings_text(settings, SP_FLAG_signatures),
                    sp_formula_library_add_signatures, err));
    return sp_formula_library_link(*library, err);
}
