/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the files on serving memory share: a model cut for one GPU, as tables by kind of layer. */
#include "analysis/analysis_priv.h"
#include "base/base.h"
#include "shardplan/memory.h"

/* One layer of a kind, on one rank. */
typedef struct sp_kind_share {
    double mixing, ffn, experts;  /* bytes of its own weights                                 */
    double tied_mixing, tied_ffn; /* of weights that layers of its number hold together       */
    sp_cache cache;               /* elements                                                 */
    double scale_bits;            /* for each element of the cache                            */
    double operator_elements;     /* inputs and outputs of its largest operator, for a token  */
    double step_elements;         /* likewise while it decodes                                */
    double adapter_rows;          /* rows and columns of its products, summed                 */
} sp_kind_share;

typedef struct sp_share {
    const sp_footprint_question *question;
    sp_kind_share kind[SP_MODEL_MAX_KINDS];
    double embedding, head; /* bytes of weights */
} sp_share;

/* A setting of an engine by name. */
typedef struct sp_knob {
    const char *name;
    size_t offset; /* in sp_server */
    double least, most;
} sp_knob;

/* ---- memory_server.c ---- */
const sp_knob *sp_knob_find(const char *name); /* NULL: there is none */
void sp_knob_set(sp_server *server, const sp_knob *knob, double value);
/* Sets it for good: no default of some GPU takes its place. */
void sp_knob_give(sp_server *server, const sp_knob *knob, double value);
bool sp_knob_is_given(const sp_server *server, const sp_knob *knob);
/* {"value": ..., "source": ..., "date": ...} under the setting's name. */
sp_status sp_knob_read(const sp_json *settings, const sp_knob *knob, double *value, sp_error *err);
/* The engine's file; an unknown name is refused with the nearest. */
sp_status sp_server_open(struct sp_arena *arena, const char *home, const char *name,
                         sp_json_doc **doc, sp_error *err);

/* ---- memory_tiers.c ---- */
sp_status sp_server_read_tiers(struct sp_arena *arena, const sp_json *root, sp_server *server,
                               sp_error *err);
/* The question's engine with the defaults of its GPU and split. */
sp_server sp_server_on_gpu(const sp_footprint_question *question);

/* How many layers of each kind a stage has. */
typedef struct sp_held_layers {
    double n[SP_MODEL_MAX_KINDS];
    bool first, last;
} sp_held_layers;

/* ---- memory_share.c ---- */
void sp_share_build(const sp_footprint_question *question, sp_share *share);
/* Layers are dealt evenly, the first stages having one more where they do not divide. */
sp_held_layers sp_share_stage(const sp_footprint_question *question, uint32_t stage);

/* ---- memory.c ---- */
/* sp_footprint_evaluate where only requests, lengths and settings of the engine differ from the
 * question that the share was built of; the engine is that of sp_server_on_gpu already. */
void sp_footprint_evaluate_shared(const sp_footprint_question *question, const sp_share *share,
                                  sp_footprint *out);

/* ---- memory_cache.c: bytes of one request's cache on one rank ---- */
typedef struct sp_cached {
    double values, scales, states;
} sp_cached;
sp_cached sp_cached_at(const sp_share *share, const sp_held_layers *layers, double tokens);
/* While it is computed: what the engine counts a request of so many tokens at. */
sp_cached sp_cached_admitted(const sp_share *share, const sp_held_layers *layers, double tokens);
/* Of a request of the question at its longest, with all its beams. */
sp_cached sp_cached_request(const sp_share *share, const sp_held_layers *layers);
double sp_cached_sum(sp_cached cached);

/* One stage, and what all its phases are put together from. */
typedef struct sp_memory_stage {
    const sp_share *share;
    sp_held_layers layers;
    double fixed[SP_N_MEMORY_PARTS]; /* weights, buffers, context: there from the start */
    double weights, graphs, workspace, offloaded;
    double profile_tokens, chunk_tokens, running; /* running: requests of one dp group at once */
    double profile, chunk, step;                  /* activations                               */
    double profile_logits, prefill_logits, logits;
    sp_cached request;
    double base, inside, pool, needed;
} sp_memory_stage;

/* ---- memory_stage.c: all but base, inside, pool and needed ---- */
void sp_memory_stage_fill(sp_memory_stage *s);
/* Tokens of the longest sequence that the engine provides for. */
double sp_longest(const sp_footprint_question *question);
/* Of one dp group: requests, and those of them that run at once. */
double sp_requests(const sp_footprint_question *question);
double sp_running(const sp_footprint_question *question);

/* ---- memory_pool.c: the engine's cache on a filled stage ---- */
void sp_pool_size(sp_memory_stage *s);
double sp_pool_fraction(const sp_footprint_question *question);
/* Everything but the cache, while the largest pass runs. */
double sp_all_else(const sp_memory_stage *s);
/* Cache of one more token behind so many. */
double sp_token_bytes(const sp_memory_stage *s, double tokens);
