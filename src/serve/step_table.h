/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Steps of one worker, each priced once: what depends on the tokens of a step alone is kept at a
 * row of token counts and drawn out straight between them; what prompts add is kept as it is asked
 * for.
 *
 * A step of prompts beside answers is put together from steps that are one or the other: products
 * and collectives see all tokens at once, attention each kind for itself.
 *
 *     mixed = prompts alone + layers(all tokens) - layers(prompts' tokens)
 *             + (answers with head - answers without) + attention of the answers
 *
 * An entry is a pure function of worker and context, so tables filled in any order agree to the
 * bit. A table belongs to one thread. */
#include "serve/serve_priv.h"

/* Every count up to 64, then eight to an octave, up to 4 million tokens. */
#define SP_STEP_WHOLE   64
#define SP_STEP_OCTAVE  8
#define SP_STEP_NODES   (SP_STEP_WHOLE + 16 * SP_STEP_OCTAVE)
#define SP_STEP_MOST    (SP_STEP_WHOLE * 65536.0) /* tokens of the last node */
#define SP_STEP_PROMPTS 32 /* kinds of prompts kept; an entry is looked for in so many slots: */
#define SP_STEP_PROBES  8

typedef struct sp_step_node {
    double tokens;
    sp_serve_step_time bare,
        whole; /* without and with the head; stage_s without attention and host */
} sp_step_node;

typedef struct sp_step_prompts {
    double prompts, tokens, past;
    sp_serve_step_time time;
} sp_step_prompts;

typedef struct sp_step_table {
    const sp_worker *worker;
    double context;     /* of answers */
    double fresh, past; /* of prompts: their new tokens, those before them */
    uint64_t known[(SP_STEP_NODES + 63) / 64], known_pieces[(SP_STEP_NODES + 63) / 64];
    uint32_t known_prompts;
    sp_step_node node[SP_STEP_NODES];        /* not read before it is known, so never cleared */
    sp_serve_step_time piece[SP_STEP_NODES]; /* of one prompt in equal pieces, without head and
                                              * host; stage_s likewise without attention */
    sp_step_prompts prompts[SP_STEP_PROMPTS];
} sp_step_table;

/* Empty, for answers in a cache of `context` tokens and prompts of `fresh` tokens behind `past`.
 * The worker must stay where it is. */
void sp_step_table_begin(const sp_worker *worker, double context, double fresh, double past,
                         sp_step_table *table);
/* What sp_serve_step gives, within what lies between two counts of tokens. */
void sp_step_table_step(sp_step_table *table, const sp_serve_batch *batch, sp_serve_step_time *out);
