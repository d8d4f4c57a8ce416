/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Reference outputs of Calculon (calculon-ai/calculon, caa4b11) in $SHARDPLAN_DATA/calculon-golden:
 * its cases one by one, and the layer that each describes as ours. */
#include "base/base.h"
#include "step/step.h"

/* One accepted training case of the file. */
typedef struct calculon_case {
    sp_json execution, stats, model, system;
    uint32_t tp, pp, dp, vpp, batches;
    double micro_batch, seq;
} calculon_case;

double calculon_number(const sp_json *object, const char *key);
const char *calculon_word(const sp_json *object, const char *key);
bool calculon_flag(const sp_json *object, const char *key);
bool calculon_in_16_bits(const calculon_case *g);
/* A block of a GPT without biases, on one rank. */
void calculon_expand(const calculon_case *g, bool sequence_parallel, sp_layer_work *work);
/* Calls check with each case; at least `least` of them must be comparable (check returns true).
 * Skips the test where the data is not there. */
void calculon_each(uint32_t least, bool (*check)(const calculon_case *g));
