/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Small checkpoints written byte by byte into a folder of the test's own. */
#include "base/base.h"
#include "shardplan/checkpoint.h"

/* cmocka's setup and teardown: *state is a new folder with a '/' at its end. */
int folder_begin(void **state);
int folder_end(void **state);

/* FOLDER/name, in one of a few turning buffers. */
const char *at(void *const *state, const char *name);
void write_file(const char *path, const sp_text *bytes);
void write_words(const char *path, const char *words);

void put_u32(sp_text *out, uint32_t x); /* little-endian */
void put_u64(sp_text *out, uint64_t x);
void put_name(sp_text *out, const char *name); /* as GGUF has strings */
/* Length, header and so many zero bytes. */
void put_safetensors(sp_text *out, const char *header, size_t data_bytes);
void write_safetensors(const char *path, const char *header, size_t data_bytes);

/* The head of a GGUF file. */
void put_gguf(sp_text *out, uint32_t version, uint64_t n_tensors, uint64_t n_keys);
void put_key_u32(sp_text *out, const char *key, uint32_t value);
void put_key_string(sp_text *out, const char *key, const char *value);
void put_tensor(sp_text *out, const char *name, uint32_t n_dims, const uint64_t *shape,
                uint32_t type, uint64_t offset);
/* Zeros to the next multiple of 32, and so many more. */
void put_data(sp_text *out, size_t data_bytes);

/* Ends the test with the error unless the checkpoint can be read. */
const sp_checkpoint *read_checkpoint(sp_arena *arena, const char *path);
/* Ends the test unless it is refused so, with these words in the line that people read. */
void refuse_checkpoint(const char *path, sp_status status, const char *words);
/* Reads it with each allocation lost in turn: a lack of memory is said, whichever it is. */
void lose_each_allocation(const char *path);
bool has_note(const sp_checkpoint *c, const char *words);
