/* SPDX-License-Identifier: Apache-2.0 */
#include "front/points.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

void shuffle_points(draw *d, uint32_t n, sp_point *points)
{
    for (uint32_t i = n; i > 1; i--) {
        const uint32_t other = draw_between(d, 0, i - 1);
        const sp_point swapped = points[i - 1];
        points[i - 1] = points[other];
        points[other] = swapped;
    }
}

void draw_points(draw *d, uint32_t n_keys, uint32_t levels, uint32_t n, sp_point *points)
{
    for (uint32_t i = 0; i < n; i++) {
        points[i] = (sp_point){.id = 3u * i + 1};
        for (uint32_t k = 0; k < n_keys; k++) {
            points[i].key[k] = (double)draw_between(d, 0, levels - 1) - levels / 2.0;
        }
    }
    shuffle_points(d, n, points);
}

void assert_points(const sp_point *a, uint32_t n_a, const sp_point *b, uint32_t n_b)
{
    assert_int_equal(n_a, n_b);
    for (uint32_t i = 0; i < n_a; i++) {
        assert_int_equal(a[i].id, b[i].id);
        assert_memory_equal(a[i].key, b[i].key, sizeof a[i].key);
    }
}
