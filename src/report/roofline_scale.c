/* SPDX-License-Identifier: Apache-2.0 */
/* Linear and logarithmic scales, and the round numbers that stand beside them. */
#include "report/roofline_page.h"

#include <assert.h>
#include <math.h>

double sp_scale_px(const sp_scale *scale, double value)
{
    const double along = scale->log ? log(value / scale->lo) / log(scale->hi / scale->lo)
                                    : (value - scale->lo) / (scale->hi - scale->lo);
    return scale->from + along * (scale->to - scale->from);
}

double sp_scale_round_up(double value)
{
    static const double steps[] = {1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0};
    assert(value > 0.0);
    const double power = pow(10.0, floor(log10(value)));
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        if (steps[i] * power >= value * (1.0 - 1e-9)) {
            return steps[i] * power;
        }
    }
    return 10.0 * power;
}

static size_t add(sp_tick ticks[SP_SCALE_MAX_TICKS], size_t n, double value, bool labelled)
{
    if (n < SP_SCALE_MAX_TICKS) {
        ticks[n++] = (sp_tick){value, labelled};
    }
    return n;
}

/* Every power of ten, or every second, third ... where there are many; 2 and 5 too where few. */
static size_t log_ticks(const sp_scale *scale, unsigned wanted, sp_tick ticks[SP_SCALE_MAX_TICKS])
{
    const int first = (int)floor(log10(scale->lo)), last = (int)ceil(log10(scale->hi));
    const double decades = log10(scale->hi / scale->lo);
    const int stride = (int)ceil(decades / wanted);
    size_t n = 0;
    for (int e = first; e <= last; e++) {
        for (int digit = 1; digit < 10; digit++) {
            const double value = digit * pow(10.0, e);
            if (value < scale->lo * (1.0 - 1e-9) || value > scale->hi * (1.0 + 1e-9)) {
                continue;
            }
            const bool whole = digit == 1 && ((e % stride) + stride) % stride == 0;
            const bool half = decades < 2.5 && (digit == 2 || digit == 5);
            if (digit == 1 || decades < 7.0) {
                n = add(ticks, n, value, whole || half);
            }
        }
    }
    return n;
}

static size_t linear_ticks(const sp_scale *scale, unsigned wanted,
                           sp_tick ticks[SP_SCALE_MAX_TICKS])
{
    const double raw = (scale->hi - scale->lo) / wanted;
    const double power = pow(10.0, floor(log10(raw)));
    const double step = raw <= power         ? power
                        : raw <= 2.0 * power ? 2.0 * power
                        : raw <= 5.0 * power ? 5.0 * power
                                             : 10.0 * power;
    size_t n = 0;
    const double first = ceil(scale->lo / step - 1e-9), last = floor(scale->hi / step + 1e-9);
    for (double i = first; i <= last; i += 1.0) {
        n = add(ticks, n, i == 0.0 ? 0.0 : i * step, true);
    }
    return n;
}

size_t sp_scale_ticks(const sp_scale *scale, unsigned wanted, sp_tick ticks[SP_SCALE_MAX_TICKS])
{
    assert(wanted > 0 && scale->hi > scale->lo);
    return scale->log ? log_ticks(scale, wanted, ticks) : linear_ticks(scale, wanted, ticks);
}
