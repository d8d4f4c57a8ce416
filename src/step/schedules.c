/* SPDX-License-Identifier: Apache-2.0 */
/* The list of pipeline schedules. */
#include "step/step.h"

#include <assert.h>

#define SP_SCHEDULE(name) extern const sp_schedule_kind sp_schedule_##name;
#include "step/schedules.def"
#undef SP_SCHEDULE

static const sp_schedule_kind *const schedules[] = {
#define SP_SCHEDULE(name) &sp_schedule_##name,
#include "step/schedules.def"
#undef SP_SCHEDULE
};

static_assert(sizeof schedules / sizeof schedules[0] == SP_N_SCHEDULES, "one line each");

const sp_schedule_kind *sp_schedule_describe(sp_schedule schedule)
{
    assert(schedule < SP_N_SCHEDULES);
    return schedules[schedule];
}
