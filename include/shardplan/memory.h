/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What one GPU holds while an engine serves a model, byte by byte and phase by phase, and the
 * questions that turn it round: the largest batch, context or model, the fewest GPUs.
 *
 * An engine is a file, configs/engines/serving/NAME.json ("shardplan/server/1"): its settings, each
 * with a source; the number formats of its cache; its own options and what they change, or why they
 * change nothing. Engines differ in what their memory fraction is a fraction of:
 *
 *     cache = pool_ratio (fraction x base - what counts against it)
 *
 * where base is the GPU's total memory (vLLM, TGI, DashInfer), what is free before the weights are
 * loaded (SGLang), or what is free after everything else (TensorRT-LLM); an engine without a pool
 * grows into what is left. Evaluation allocates nothing.
 *
 *     sp_footprint_question q = {.model = model, .gpu = gpu, .server = *server};
 *     sp_footprint_defaults(&q);
 *     sp_footprint out;
 *     SP_TRY(sp_footprint_check(&q, err));
 *     sp_footprint_evaluate(&q, &out);
 */
#include "shardplan/analysis.h"

typedef enum sp_memory_part {
#define SP_MEMORY_PART(name, meaning) SP_PART_OF_##name,
#include "shardplan/memory_parts.def"
#undef SP_MEMORY_PART
    SP_N_MEMORY_PARTS
} sp_memory_part;
const char *sp_memory_part_name(sp_memory_part part);    /* "kv_cache" */
const char *sp_memory_part_meaning(sp_memory_part part); /* for people */

typedef enum sp_serving_phase {
    SP_MEMORY_LOAD, /* weights are there, nothing has run                                       */
    SP_MEMORY_PROFILE, /* the largest pass, before the cache is laid out; engines without a pool
                        * have none */
    SP_MEMORY_PREFILL, /* the largest chunk of prompts */
    SP_MEMORY_DECODE,
    SP_N_SERVING_PHASES
} sp_serving_phase;
const char *sp_serving_phase_name(sp_serving_phase phase); /* "load", "profile", ... */

typedef enum sp_pool_base {
    SP_POOL_TOTAL,
    SP_POOL_START,
    SP_POOL_FREE,
    SP_POOL_GROWING
} sp_pool_base;
const char *sp_pool_base_name(sp_pool_base base); /* "total", "start", "free", "growing" */

/* A number format of the cache: bits of an element, and of what goes with each vector of a head (or
 * with each `group` of elements where that is not 0). */
typedef struct sp_kv_format {
    const char *name; /* none, fp8, int8, int4 */
    const char *flag; /* what the engine calls it */
    double bits, scale_bits, group;
} sp_kv_format;

#define SP_MAX_KV_FORMATS 8

typedef struct sp_server {
    const char *name, *about, *version;
    const char *fraction_flag; /* "--gpu-memory-utilization"; NULL where there is none */
    const char *running_flag;  /* "--max-num-seqs"; NULL likewise                             */
    const char *cache_unit;    /* "blocks", "pages", "spans"                           */
    sp_pool_base base;
#define SP_KNOB(name, least, most) double name;
#include "shardplan/memory_knobs.def"
#undef SP_KNOB
    uint32_t n_kv_formats;
    sp_kv_format kv_formats[SP_MAX_KV_FORMATS];
    uint32_t kv;         /* of these, the one in use                                   */
    const char *weights; /* preset of number formats that an option asked for, or NULL */
    const struct sp_server_tier *tiers; /* other defaults on some GPUs and splits      */
    uint32_t n_tiers;
    uint64_t given; /* settings that an option has set: a bit for each                 */
} sp_server;

typedef struct sp_footprint_question {
    const sp_model *model;
    const sp_gpu *gpu;
    sp_server server;
    uint32_t tp, pp, dp, ep; /* dp: attention's data-parallel groups; ep over the tp x dp ranks */
    uint32_t nodes;          /* that the tp x pp x dp GPUs are spread over, evenly               */
    uint64_t batch;          /* requests at once, over all dp                                   */
    uint64_t isl, osl;
    sp_widths bits;        /* kv_cache is that of the server's format instead. Between products
                            * activations are as wide as norms, whatever the products take */
    double headroom_ratio; /* of usable memory left free                                      */
    double reserve_bytes;  /* others use                                                      */
} sp_footprint_question;

typedef enum sp_footprint_verdict {
    SP_FOOTPRINT_FITS,
    SP_FOOTPRINT_TIGHT,  /* less than the headroom is left, or P(out of memory) > 10 %           */
    SP_FOOTPRINT_QUEUES, /* one request fits, not all of the batch at once                       */
    SP_FOOTPRINT_OOM
} sp_footprint_verdict;
const char *sp_footprint_verdict_name(sp_footprint_verdict verdict); /* "fits", "tight", ... */

typedef struct sp_footprint {
    double bytes[SP_N_SERVING_PHASES][SP_N_MEMORY_PARTS]; /* of the fullest stage's GPU */
    double total[SP_N_SERVING_PHASES];
    sp_serving_phase peak_phase;
    uint32_t stage;         /* 0 = first                                           */
    double peak, low, high; /* bytes; low and high hold 80 %                       */
    double usable;          /* of the GPU, others' share taken off                 */
    double p_oom;
    double weights;                     /* bytes of one GPU                                    */
    double pool;                        /* the engine's cache in bytes, tightest stage         */
    double request;                     /* cache of one request at its longest                 */
    double needed;                      /* of all requests of one dp group                     */
    double token;                       /* cache of one more token, at the question's length   */
    double blocks, tokens, concurrency; /* in the engine's terms; concurrency at the length of
                                         * the question, of one dp group                       */
    double fraction;                    /* in force                                            */
    double fraction_needed;             /* that holds the batch; 0 = no such flag, > 1 = none  */
    double host;
    sp_footprint_verdict verdict;
} sp_footprint;

typedef enum sp_footprint_find {
    SP_FIND_NOTHING,
    SP_FIND_MAX_BATCH,
    SP_FIND_MAX_CONTEXT,
    SP_FIND_MAX_MODEL,
    SP_FIND_MIN_GPUS
} sp_footprint_find;

/* ---- engines ---- */
/* HOME/configs/engines/serving/NAME.json. */
sp_status sp_server_load(struct sp_arena *arena, const char *home, const char *name,
                         sp_server *server, sp_error *err);
/* "gpu_memory_utilization=0.95": one of the engine's options, with '-' or '_'. An option without
 * effect on memory is refused with the reason that the file states. */
sp_status sp_server_set(struct sp_arena *arena, const char *home, const char *option,
                        sp_server *server, sp_error *err);
/* The cache's format by our name or the engine's own. */
sp_status sp_server_set_kv(const char *format, sp_server *server, sp_error *err);

/* ---- evaluation ---- */
/* 16 bits, one GPU, one request of 2,048 and 512 tokens, 6 % headroom; model, gpu and server stay.
 */
void sp_footprint_defaults(sp_footprint_question *question);
/* SP_E_INCONSISTENT where tp, pp, dp, ep or nodes do not divide what they cut, or the engine
 * cannot: replicate heads, deal layers to stages, put a copy of the model on several nodes. Where
 * it can, a GPU holds as much as within one node, and more buffers of its communicators. */
sp_status sp_footprint_check(const sp_footprint_question *question, sp_error *err);
/* The question must have passed sp_footprint_check. Monotone: more requests or tokens never need
 * less. */
void sp_footprint_evaluate(const sp_footprint_question *question, sp_footprint *out);
/* The batch is served at once: fits or tight. */
bool sp_footprint_serves(const sp_footprint *footprint);

/* Changes the question into the largest (or with the fewest GPUs) that is served, by exact
 * evaluations; false where there is none. MAX_CONTEXT grows the prompt. MAX_MODEL replaces the
 * model by a guessed one (sp_model_guess). MIN_GPUS raises tp up to `domain` GPUs, then pp. */
sp_status sp_footprint_search(struct sp_arena *arena, const char *home, sp_footprint_find find,
                              uint32_t domain, sp_footprint_question *question, bool *found,
                              sp_error *err);

/* ---- models by size ---- */
/* "7B", "7b", "7000M", "7e9": parameters. */
sp_status sp_size_parse(const char *text, double *parameters, sp_error *err);
/* The accelerator of a question that names none, of HOME/configs/shapes.json. */
sp_status sp_quick_hardware(struct sp_arena *arena, const char *home, const char **name,
                            sp_error *err);
/* A dense model of about so many parameters, with the proportions of the families in
 * HOME/configs/shapes.json; its assumptions say so. */
sp_status sp_model_guess(struct sp_arena *arena, const char *home, double parameters,
                         const sp_model **model, sp_error *err);
/* The shapes of HOME/configs/shapes.json, for many guesses. A model takes the nearest one, with as
 * many layers as give the parameters: within a shape a larger model never has fewer of them. */
typedef struct sp_shapes sp_shapes;
sp_status sp_shapes_load(struct sp_arena *arena, const char *home, const sp_shapes **shapes,
                         sp_error *err);
uint32_t sp_shapes_nearest(const sp_shapes *shapes, double parameters);
uint32_t sp_shapes_layers(const sp_shapes *shapes, double parameters);
sp_status sp_shapes_guess(struct sp_arena *arena, const sp_shapes *shapes, double parameters,
                          const sp_model **model, sp_error *err);
