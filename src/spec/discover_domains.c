/* SPDX-License-Identifier: Apache-2.0 */
/* Which GPUs of a node reach each other, as sets that grow by joining; and sentences about what was
 * read. */
#include "spec/spec.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

void sp_notes_add(sp_notes *notes, const char *format, ...)
{
    char line[320];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (notes->text != NULL) {
        notes->text = sp_arena_printf(notes->arena, "%s%s%s", notes->text,
                                      notes->text[0] != '\0' ? "; " : "", line);
    }
}

sp_domains sp_domains_of(uint32_t n)
{
    sp_domains domains = {.n = n};
    assert(n > 0 && n <= SP_DOMAIN_MAX);
    for (uint32_t i = 0; i < n; i++) {
        domains.root[i] = (uint16_t)i;
    }
    return domains;
}

/* Every member bears the lowest number of its domain. */
void sp_domains_join(sp_domains *domains, uint32_t a, uint32_t b)
{
    assert(a < domains->n && b < domains->n);
    const uint16_t from = domains->root[a] > domains->root[b] ? domains->root[a] : domains->root[b];
    const uint16_t to = domains->root[a] > domains->root[b] ? domains->root[b] : domains->root[a];
    for (uint32_t i = 0; i < domains->n; i++) {
        if (domains->root[i] == from) {
            domains->root[i] = to;
        }
    }
}

uint32_t sp_domains_common(const sp_domains *domains, const char *what, sp_notes *notes)
{
    uint32_t size[SP_DOMAIN_MAX] = {0};
    uint32_t smallest = UINT32_MAX;
    uint32_t largest = 0;
    uint64_t common = 0;
    for (uint32_t i = 0; i < domains->n; i++) {
        size[domains->root[i]]++;
    }
    for (uint32_t i = 0; i < domains->n; i++) {
        if (size[i] > 0) {
            common = sp_gcd_u64(common, size[i]);
            smallest = size[i] < smallest ? size[i] : smallest;
            largest = size[i] > largest ? size[i] : largest;
        }
    }
    if (smallest != largest && notes != NULL) {
        sp_notes_add(notes, "%s join %u to %u GPUs of a node; domains of %u count", what, smallest,
                     largest, (uint32_t)common);
    }
    return (uint32_t)common;
}
