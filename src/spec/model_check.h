/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Limits of a layer's members that follow from its other members. */
#include "spec/model_fields.h"

/* The member that does not fit the others, and what it may be. */
typedef struct sp_model_fault {
    const sp_model_field *field;
    sp_status status; /* SP_E_RANGE: outside lo .. hi; SP_E_INCONSISTENT: as the message says     */
    uint64_t lo, hi;
    char message[160];
} sp_model_fault;

/* False and *fault where a member does not fit. */
bool sp_layer_kind_check(const sp_layer_kind *kind, sp_model_fault *fault);
/* Makes members 0 that have no say: those of a block that is not there, of experts where there are
 * none, of a limit on groups that limits nothing. */
void sp_layer_kind_tidy(sp_layer_kind *kind);
