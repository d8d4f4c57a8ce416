/* SPDX-License-Identifier: Apache-2.0 */
/* Exact numbers and failures as JSON. */
#include "formula/formula_priv.h"

#include <stdio.h>
#include <string.h>

/* JSON readers keep whole numbers exactly below 2^53. */
static const sp_int128 EXACT = (sp_int128)1 << 53;

void sp_formula_write_number(sp_json_writer *w, const char *key, sp_rational number)
{
    char text[SP_RATIONAL_TEXT_BYTES];
    if (number.den == 1 && number.num > -EXACT && number.num < EXACT) {
        sp_jw_i64(w, key, (int64_t)number.num);
    } else if (number.den == 1) {
        sp_rational_format(number, text);
        sp_jw_string(w, key, text);
    } else {
        sp_jw_open_object_compact(w, key);
        sp_rational_format((sp_rational){number.num, 1}, text);
        sp_jw_string(w, "num", text);
        sp_rational_format((sp_rational){number.den, 1}, text);
        sp_jw_string(w, "den", text);
        sp_jw_close_object(w);
    }
}

void sp_formula_write_failure(sp_json_writer *w, const char *key, sp_formula_code code,
                              const sp_formula_failure *failure)
{
    const char *const keys[] = {"name", "detail", "file", "path"};
    const char *const texts[] = {failure->name, failure->detail, failure->file, failure->path};
    sp_jw_open_object_compact(w, key);
    sp_jw_string(w, "code", sp_formula_code_name(code));
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (texts[i][0] != '\0') sp_jw_string(w, keys[i], texts[i]);
    }
    sp_jw_close_object(w);
}
