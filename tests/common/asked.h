/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A question with its space, for the tests of the rooms above step/: what fails to build ends the
 * test with the error as a user would read it. */
#include "common/shipped.h"
#include "space/space.h"

typedef struct asked {
    sp_problem *problem;
    sp_space *space;
} asked;

asked build(const sp_question *question);
void drop(asked *a);
/* A plan with its derived values; gpus as asked unless the text says otherwise. */
sp_plan read_plan(const asked *a, const char *text);
