/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The three questions of `shardplan formula`; each fills the answer. */
#include "cli/cli.h"
#include "formula/formula.h"

/* The values of variables: a JSON object, FILE or FILE#MEMBER. */
typedef struct sp_bindings {
    sp_json_doc *doc;
    sp_json object;
} sp_bindings;
sp_status sp_bindings_load(const char *where, sp_bindings *bindings, sp_error *err);

/* All files, names and signatures that the words and flags name, linked. */
sp_status sp_formula_files_load(const sp_context *context, sp_arena *arena,
                                sp_formula_library **library, sp_error *err);

sp_status sp_formula_verb_eval(const sp_context *context, sp_text *out, sp_error *err);
sp_status sp_formula_verb_expand(const sp_context *context, sp_text *out, sp_error *err);
/* *found is true if something in the files cannot be used. */
sp_status sp_formula_verb_lint(const sp_context *context, sp_text *out, bool *broken,
                               sp_error *err);
