/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The published runs as shipped, loaded once for a test program: *state is the sp_evidence_base. */
#include "report/evidence.h"

int load_evidence(void **state);
int free_evidence(void **state);
