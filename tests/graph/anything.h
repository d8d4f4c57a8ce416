/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Models drawn from everything that a model can state: no one builds them, all laws hold for them.
 */
#include "common/draw.h"
#include "common/models.h"

/* Every width that tp cuts is a multiple of 8, key and value heads too. */
void make_anything(made_model *made, draw *d);
