/* SPDX-License-Identifier: Apache-2.0 */
/* A clock that only moves forward, for durations. */
#include "base/base.h"

#include <time.h>

double sp_clock_s(void)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}
