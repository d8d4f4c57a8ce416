/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of the pages that price one plan: headings, and terms with bars that show where the time
 * and the bytes go. */
#include "report/report_priv.h"

#include <string.h>

#define BAR_CHARS 10u

static void add_bar(struct sp_text *out, double ratio)
{
    char bar[BAR_CHARS + 1];
    const double length = ratio * BAR_CHARS + 0.5;
    const size_t n = length < 0.0 ? 0 : length > BAR_CHARS ? BAR_CHARS : (size_t)length;
    memset(bar, '#', n);
    bar[n] = '\0';
    sp_text_printf(out, "  %-*s", (int)BAR_CHARS, bar);
}

void sp_page_put_term(struct sp_text *out, const char *name, const char *amount, double ratio,
                      const char *meaning)
{
    const int over = (int)strlen(name) - 14; /* a long name takes the room before its amount */
    sp_text_printf(out, "  %-14s %*s  %5.1f %%", name, over > 0 ? 10 - over : 10, amount,
                   100.0 * ratio);
    add_bar(out, ratio);
    sp_text_printf(out, "  %s\n", meaning);
}

void sp_page_put_heading(struct sp_text *out, const sp_report_options *o, const char *heading)
{
    sp_text_add(out, "\n");
    sp_tone_add(out, o->color, SP_TONE_STRONG, heading);
    sp_text_add(out, "\n");
}
