/* SPDX-License-Identifier: Apache-2.0 */
/* Communication beside computation. Written so that computation plus exposed time never falls when
 * either grows, which bounds rely on. Leaves out: slower kernels while both share the memory. */
#include "cost/cost.h"

#include <math.h>

double sp_overlap_exposed_s(double compute_s, double ratio, double comm_s)
{
    return fmax(0.0, comm_s - ratio * compute_s);
}
