/* SPDX-License-Identifier: Apache-2.0 */
/* Fingerprints: XXH3 with 128 bits. They find changes, they do not defend against forgery. */
#include "base/base.h"

#include <inttypes.h>
#include <stdio.h>
#include <xxhash.h>

sp_hash128 sp_hash_bytes(const void *data, size_t bytes)
{
    const XXH128_hash_t hash = XXH3_128bits(data, bytes);
    return (sp_hash128){.high = hash.high64, .low = hash.low64};
}

void sp_hash_hex(sp_hash128 hash, char out[33])
{
    snprintf(out, 33, "%016" PRIx64 "%016" PRIx64, hash.high, hash.low);
}
