/* SPDX-License-Identifier: Apache-2.0 */
/* Threads. The only file that knows OpenMP; without it everything runs on the calling thread. */
#include "search/search_priv.h"

#if SHARDPLAN_OPENMP
#include <omp.h>

uint32_t sp_threads_available(void)
{
    return (uint32_t)omp_get_max_threads();
}

uint32_t sp_threads_cores(void)
{
    return (uint32_t)omp_get_num_procs();
}

uint32_t sp_threads_run(uint32_t n, void (*work)(void *user, uint32_t thread), void *user)
{
    uint32_t ran = 1;
#pragma omp parallel num_threads((int)n)
    {
#pragma omp master
        ran = (uint32_t)omp_get_num_threads();
        work(user, (uint32_t)omp_get_thread_num());
    }
    return ran;
}

#else

uint32_t sp_threads_available(void)
{
    return 1;
}

uint32_t sp_threads_cores(void)
{
    return 1;
}

uint32_t sp_threads_run(uint32_t n, void (*work)(void *user, uint32_t thread), void *user)
{
    (void)n;
    work(user, 0);
    return 1;
}
#endif
