/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Random points with many ties, and whole sets compared bit for bit. */
#include "common/draw.h"
#include "shardplan/front.h"

/* n points with distinct ids in random order; each key is one of `levels` values. */
void draw_points(draw *d, uint32_t n_keys, uint32_t levels, uint32_t n, sp_point *points);
void shuffle_points(draw *d, uint32_t n, sp_point *points);
void assert_points(const sp_point *a, uint32_t n_a, const sp_point *b, uint32_t n_b);
