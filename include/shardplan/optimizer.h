/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Optimizers as data: what they hold for each parameter and what an update takes.
 *
 * configs/optimizers.json ("shardplan/optimizers/1") has one entry for each name of --optimizer.
 * The copy of the weights that an optimizer updates is not its own but the engine's
 * (sp_engine_profile.master_bytes): the same AdamW updates fp32 shards here and 16 bits that bf16
 * lacks there. Figures are bytes for each parameter unless they say otherwise, 0 where a file is
 * silent.
 *
 *     const sp_optimizer *o = NULL;
 *     SP_TRY(sp_optimizer_find(arena, home, "adafactor", &o, err));
 */
#include "shardplan/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sp_arena;

typedef struct sp_optimizer {
    const char *name;
    double matrix_bytes;        /* state of matrices in layers                                    */
    double embedding_bytes;     /* of the tables before the layers                                */
    double head_bytes;          /* of the head, and the norm before it                            */
    double vector_bytes;        /* of norms, biases and the like                                  */
    double row_bytes;           /* for each row of a matrix, and                                  */
    double column_bytes;        /* for each column, which shards by rows hold all                 */
    double small_elements;      /* tensors of fewer elements have                                 */
    double small_bytes;         /* so much state                                                  */
    double pass_bytes;          /* memory traffic of an update beyond gradient, weights and state */
    double largest_bytes;       /* live during the update, per element of the largest tensor      */
    double newton_schulz_steps; /* iterations over every whole matrix of a layer                  */
    bool narrow_state;          /* the engine's copy of the weights is the one beside narrow state */
    bool engine_temporaries;    /* the engine's own update runs: sp_engine_profile.update_bytes   */
} sp_optimizer;

/* Bytes of state for a parameter are alike wherever it stands. */
bool sp_optimizer_is_uniform(const sp_optimizer *optimizer);

/* Names of HOME/configs/optimizers.json, in its order. */
sp_status sp_optimizer_names(struct sp_arena *arena, const char *home, const char *const **names,
                             size_t *n_names, sp_error *err);
/* The optimizer of that name in HOME/configs/optimizers.json. An unknown name is refused with the
 * nearest one. */
sp_status sp_optimizer_find(struct sp_arena *arena, const char *home, const char *name,
                            const sp_optimizer **optimizer, sp_error *err);
