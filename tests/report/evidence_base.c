/* SPDX-License-Identifier: Apache-2.0 */
#include "report/evidence_base.h"

#include "common/asked.h"

int load_evidence(void **state)
{
    sp_error err = {0};
    sp_evidence_base *base = NULL;
    must(sp_evidence_base_load(source_home(), &base, &err), &err);
    *state = base;
    return 0;
}

int free_evidence(void **state)
{
    sp_evidence_base_free(*state);
    return 0;
}
