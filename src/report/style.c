/* SPDX-License-Identifier: Apache-2.0 */
/* Tones of text on a terminal, and lines that break between words. */
#include "report/report_priv.h"

#include <assert.h>
#include <string.h>

static const char *start_of(sp_tone tone)
{
    switch (tone) {
    case SP_TONE_PLAIN:
        return "";
    case SP_TONE_STRONG:
        return "\033[1m";
    case SP_TONE_FAINT:
        return "\033[2m";
    case SP_TONE_GOOD:
        return "\033[32m";
    case SP_TONE_BAD:
        return "\033[31m";
    case SP_TONE_OTHER:
        return "\033[36m";
    }
    assert(!"a tone");
    return "";
}

void sp_tone_add(struct sp_text *out, bool color, sp_tone tone, const char *text)
{
    const bool painted = color && tone != SP_TONE_PLAIN;
    if (painted) sp_text_add(out, start_of(tone));
    sp_text_add(out, text);
    if (painted) sp_text_add(out, "\033[0m");
}

void sp_text_wrap(struct sp_text *out, const char *words, uint32_t width, uint32_t indent)
{
    size_t column = 0;
    while (*words != '\0') {
        const size_t length = strcspn(words, " \n");
        if (column > 0 && column + 1 + length > width) {
            sp_text_printf(out, "\n%*s", (int)indent, "");
            column = indent;
        } else if (column > 0) {
            sp_text_add(out, " ");
            column++;
        }
        sp_text_add_n(out, words, length);
        column += length;
        words += length + (words[length] != '\0');
    }
    sp_text_add(out, "\n");
}
