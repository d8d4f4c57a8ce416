/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Questions about serving memory by name: a model, a part and an engine of the shipped files. */
#include "base/base.h"
#include "shardplan/memory.h"

typedef struct served {
    sp_arena arena;
    sp_footprint_question question;
    sp_footprint out;
} served;

/* The defaults of the command; fails the test with the error's words. */
void serve(served *s, const char *model, const char *gpu, const char *engine);
/* As serve, of a model at hand. */
void serve_model(served *s, const sp_model *model, const char *gpu, const char *engine);
void serve_option(served *s, const char *option);
/* Checks and evaluates; it may be called again after a change. */
const sp_footprint *serve_ask(served *s);
void serve_fini(served *s);
