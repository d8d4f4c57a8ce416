/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of ZeRO++ as people write them: "qwz,hpz", "all", "none". */
#include "base/base.h"
#include "shardplan/plan.h"

#include <assert.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const names[] = {"qwz", "hpz", "qgz"};

static uint32_t find(const char *name, size_t length)
{
    for (size_t i = 0; i < COUNT(names); i++) {
        if (strlen(names[i]) == length && memcmp(names[i], name, length) == 0) return 1u << i;
    }
    return 0;
}

static sp_status refuse(const char *text, sp_error *err)
{
    static const char *const known[] = {"qwz", "hpz", "qgz", "all", "none"};
    sp_fail(err, SP_E_UNKNOWN_NAME, "ZeRO++ has no such part");
    sp_fail_value(err, "%s", text);
    return sp_fail_names(err, text, known, COUNT(known));
}

sp_status sp_zeropp_parse(const char *text, uint32_t *parts, sp_error *err)
{
    assert(text != NULL);
    *parts = strcmp(text, "all") == 0 ? SP_ZEROPP_ALL : 0;
    if (*parts != 0 || strcmp(text, "none") == 0) return SP_OK;
    for (const char *at = text;; at++) {
        const size_t length = strcspn(at, ",");
        const uint32_t part = find(at, length);
        if (part == 0) return refuse(text, err);
        *parts |= part;
        at += length;
        if (*at == '\0') return SP_OK;
    }
}

void sp_zeropp_format(uint32_t parts, char text[SP_ZEROPP_TEXT_BYTES])
{
    assert(parts <= SP_ZEROPP_ALL);
    text[0] = '\0';
    for (size_t i = 0; i < COUNT(names); i++) {
        if ((parts >> i & 1u) == 0) continue;
        if (text[0] != '\0') strcat(text, ",");
        strcat(text, names[i]);
    }
    if (parts == 0) strcpy(text, "none");
}
