/* SPDX-License-Identifier: Apache-2.0 */
/* Names out of a JSON object. */
#include "formula/formula_priv.h"

#include <string.h>

/* The member whose name is the text up to the dot; absent where that is no object. */
static sp_json enter_member(const sp_json *object, const char *name, const char *dot)
{
    char head[128];
    const size_t length = (size_t)(dot - name);
    if (length >= sizeof head) return (sp_json){0};
    memcpy(head, name, length);
    head[length] = '\0';
    sp_json member = sp_json_get(object, head);
    member.parent = NULL;
    member.key = NULL;
    return sp_json_is_object(&member) ? member : (sp_json){0};
}

sp_formula_code sp_scope_json(void *user, const char *name, sp_value *out)
{
    const sp_json *root = user;
    sp_json object = *root;
    for (;;) {
        const sp_json member = sp_json_get(&object, name);
        if (member.node) return sp_value_of_json(&member, out);
        const char *dot = strchr(name, '.');
        if (!dot) return SP_FORMULA_UNBOUND;
        object = enter_member(&object, name, dot);
        if (!object.node) return SP_FORMULA_UNBOUND;
        name = dot + 1;
    }
}
