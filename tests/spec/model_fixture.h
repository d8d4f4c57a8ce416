/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the tests of models share: the source tree, a config.json made up on the spot, and whether
 * two models are the same. */
#include "base/base.h"
#include "shardplan/model.h"
#include "spec/model_fields.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Dimensions that every rotary model states, as keys of its config.json. */
#define FIXTURE_SIZES                                                                              \
    "\"vocab_size\": 100, \"hidden_size\": 64, \"intermediate_size\": 96, "                        \
    "\"num_hidden_layers\": 4, \"num_attention_heads\": 8"

/* The source tree; a test without it cannot pass. */
static inline const char *fixture_home(void)
{
    const char *home = getenv("SHARDPLAN_HOME");
    if (home == NULL) fail_msg("%s", "SHARDPLAN_HOME names the source tree");
    return home;
}

/* Loads a model from this text, by way of a file of its own that is gone afterwards. */
static inline sp_status fixture_load_text(sp_arena *arena, const char *text, const sp_model **model,
                                          sp_error *err)
{
    char file[] = "/tmp/shardplan-model-XXXXXX";
    const int descriptor = mkstemp(file);
    assert_true(descriptor >= 0);
    const size_t length = strlen(text);
    assert_int_equal(write(descriptor, text, length), length);
    close(descriptor);
    const sp_status status = sp_model_load(arena, fixture_home(), file, model, err);
    unlink(file);
    return status;
}

/* The model of this text; a text that is refused fails the test. */
static inline const sp_model *fixture_model(sp_arena *arena, const char *text)
{
    sp_error err = {0};
    const sp_model *model = NULL;
    char line[SP_ERROR_TEXT_BYTES];
    if (fixture_load_text(arena, text, &model, &err) != SP_OK) {
        sp_error_format(&err, line, sizeof line);
        fail_msg("%s", line);
    }
    return model;
}

/* Some assumption of the model says these words. */
static inline bool fixture_assumes(const sp_model *model, const char *words)
{
    for (uint32_t i = 0; i < model->n_assumptions; i++) {
        if (strstr(model->assumptions[i], words) != NULL) return true;
    }
    return false;
}

static inline bool same_outside(const sp_model *a, const sp_model *b)
{
    return a->hidden == b->hidden && a->vocab == b->vocab && a->positions == b->positions &&
           a->tied_embeddings == b->tied_embeddings && a->norm_vectors == b->norm_vectors &&
           a->dropout == b->dropout && a->mtp_layers == b->mtp_layers && a->n_layers == b->n_layers;
}

/* Same shapes in every respect but names, sources and assumptions. */
static inline bool fixture_same_shapes(const sp_model *a, const sp_model *b)
{
    if (!same_outside(a, b)) return false;
    for (uint32_t i = 0; i < a->n_layers; i++) {
        const sp_layer_kind *left = sp_model_layer(a, i);
        const sp_layer_kind *right = sp_model_layer(b, i);
        if (!sp_layer_kind_equal(left, right)) return false;
    }
    return true;
}
