/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a thread remembers of the pools that it has priced: each layout of a worker once (its steps,
 * its weights), each chunk_tokens and batch of it once (its memory), however many plans have them.
 * Nothing of it changes an answer; when there is no room for more it is all forgotten. */
#include "space/serving.h"

typedef struct sp_serving_memo sp_serving_memo;

sp_serving_memo *sp_serving_memo_begin(const sp_serving_space *space); /* NULL: no memory */
void sp_serving_memo_end(sp_serving_memo *memo);

/* One layout of a worker. */
typedef struct sp_serving_known sp_serving_known;

/* For the pools of one more plan; what was found before is no longer valid. */
void sp_serving_memo_make_room(sp_serving_memo *memo);

/* The pool of the plan for the role; NULL when memory is gone. */
sp_serving_known *sp_serving_memo_find(sp_serving_memo *memo, const sp_serving_plan *plan,
                                       sp_serving_role role);
/* With the plan's chunk_tokens and batch, whose places on their axes are given. */
const sp_serving_side *sp_serving_known_side(sp_serving_memo *memo, sp_serving_known *known,
                                             const sp_serving_plan *plan, sp_serving_role role,
                                             const uint32_t digit[SP_N_SERVING_AXES]);
