/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Reference evaluations of published module analyses, read from the shared data. They may not be
 * copied into the project, so tests that need them are skipped where the data are not. */
#include "formula/formula.h"

/* Path of a file of the reference data; NULL: there are none here. */
const char *seed_path(const char *file);
sp_json_doc *seed_load(const char *file);
/* Every line of a .jsonl file is a document of its own. */
typedef void (*seed_visit)(void *user, const sp_json *line);
void seed_lines(const char *file, seed_visit visit, void *user);
/* True if the value or the error code is what the JSON says: an integer, {"int"}, {"num", "den"} or
 * {"error", "name"}; prints both otherwise. */
bool seed_agrees(const sp_json *expected, sp_formula_code code, const sp_value *value,
                 const sp_formula_failure *failure, const char *what);
