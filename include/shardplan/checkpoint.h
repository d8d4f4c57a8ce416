/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the files of a trained model say about themselves: every tensor with its type, shape and
 * bytes, without reading a weight.
 *
 * Two formats are read: safetensors (one file, an index with its shards, or a folder) and GGUF (one
 * file, or all parts of a split one). Only headers are read, so half a terabyte costs milliseconds;
 * each is checked as its own library checks it: sizes against shapes and types, no overlaps or
 * holes, the end of the data against the size of the file, the index against its shards.
 *
 * Elements are numbers as they are stored; parameters are numbers as the model means them. The two
 * differ where weights are packed (eight 4-bit weights in one int32), and where tensors are no
 * weights: scales, zero points and group indices of a quantisation, and buffers such as rotary
 * frequencies. What names and types mean is in src/spec/packing.def.
 *
 * A checkpoint lives in the caller's arena and is const ever after.
 *
 *     const sp_checkpoint *c = NULL;
 *     SP_TRY(sp_checkpoint_read(&arena, "Llama-3.1-8B", &c, err));
 *     printf("%" PRIu64 " parameters in %.2f bits\n", c->parameters, c->bits_per_parameter);
 */
#include "shardplan/model.h"
#include "shardplan/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sp_arena;

typedef enum sp_checkpoint_format {
    SP_CHECKPOINT_SAFETENSORS,
    SP_CHECKPOINT_GGUF
} sp_checkpoint_format;

typedef enum sp_tensor_role {
    SP_TENSOR_WEIGHT,
    SP_TENSOR_QUANTISATION, /* scales, zero points, group indices: they belong to packed weights  */
    SP_TENSOR_BUFFER        /* not learned by gradients: masks, frequencies, routing corrections  */
} sp_tensor_role;

typedef struct sp_checkpoint_tensor {
    const char *name;
    const char *dtype; /* as the format calls it: "BF16", "Q4_K"                                  */
    uint32_t role;     /* sp_tensor_role                                                          */
    uint32_t file_idx;
    uint32_t n_dims;
    const uint64_t *shape; /* as the format orders it: slowest first in safetensors, last in GGUF */
    uint64_t elements;
    uint64_t parameters; /* more than elements where they are packed; 0 of what is no weight      */
    uint64_t bytes;
    bool packed;  /* several weights in one element                                               */
    bool unclear; /* a whole-number type that no rule of packing explains                         */
} sp_checkpoint_tensor;

/* Sums over the tensors of one type. */
typedef struct sp_checkpoint_dtype {
    const char *name;
    uint64_t n_tensors, elements, parameters, bytes;
} sp_checkpoint_dtype;

typedef struct sp_checkpoint {
    const char *path; /* as given                                                                 */
    uint32_t format;  /* sp_checkpoint_format                                                     */
    uint32_t n_files; /* that hold tensors, those that are missing included                       */
    uint32_t n_missing; /* shards of an index that are not beside it. With any of them, `bytes` is
                         * what the index states, n_tensors counts its names, and all else is of the
                         * shards that are there                                                  */
    uint64_t n_tensors;
    uint64_t elements;
    uint64_t parameters; /* 0 where shards are missing: their shapes are not known                */
    uint64_t quantisation_elements, buffer_elements;
    uint64_t bytes; /* of the data of all tensors                                            */
    uint64_t buffer_bytes;
    double bits_per_parameter; /* of weights and their quantisation; 0 where not known            */
    uint32_t n_dtypes;
    const sp_checkpoint_dtype *dtypes; /* the one with most bytes first                           */
    size_t n_listed;                   /* tensors whose header was read                           */
    const sp_checkpoint_tensor *tensors; /* sorted by name                                        */
    uint32_t n_notes;
    const char *const *notes; /* sentences for people                                             */
} sp_checkpoint;

/* Does the path look like a checkpoint: a name that ends like one, or a folder that holds one? */
bool sp_checkpoint_is(const char *path);

/* A name that ends in .gguf, or a folder with such a file. */
bool sp_checkpoint_is_gguf(const char *path);

/* path: FILE.safetensors, an INDEX.json, FILE.gguf (any part of a split one), or a folder with one
 * of them. Errors: SP_E_IO, SP_E_SYNTAX (not what the format says), SP_E_INCONSISTENT (sizes that
 * contradict each other), SP_E_UNKNOWN_NAME (a type), SP_E_OVERFLOW, SP_E_NOT_YET; with the file
 * and, in the path of the error, the tensor. */
sp_status sp_checkpoint_read(struct sp_arena *arena, const char *path, const sp_checkpoint **out,
                             sp_error *err);

/* The config.json that the keys of a GGUF file amount to, through HOME/configs/gguf. The text lives
 * in the arena. An architecture without a file there is refused with the nearest known one. */
sp_status sp_checkpoint_gguf_config(struct sp_arena *arena, const char *home, const char *path,
                                    const char **config, sp_error *err);

/* Where the parameters of a checkpoint differ from those of a model. */
typedef struct sp_checkpoint_match {
    uint64_t model;      /* sp_parameters.total                                                   */
    uint64_t checkpoint; /* sp_checkpoint.parameters                                              */
    uint64_t prediction; /* of the checkpoint: layers behind the model's last one, and "mtp" ones,
                          * with their copies of embedding and head                               */
    uint64_t tied_head;  /* of the checkpoint: a head that the model shares with its embedding    */
    bool more;           /* what is left when these are taken out: the checkpoint has             */
    uint64_t unexplained; /* so many parameters more than the model, or fewer                     */
} sp_checkpoint_match;

/* The parameters of the checkpoint must be known (no shard missing). */
sp_checkpoint_match sp_checkpoint_compare(const sp_checkpoint *checkpoint, const sp_model *model);
