/* SPDX-License-Identifier: Apache-2.0 */
/* Communication beside computation. Written so that computation plus exposed time never falls when
 * either grows, which bounds rely on. Leaves out: slower kernels while both share the memory. */
#include "cost/cost.h"

double sp_overlap_exposed_s(double compute_s, double ratio, double comm_s)
{
    const double left_s = comm_s - ratio * compute_s;
    return left_s > 0.0 ? left_s : 0.0;
}
