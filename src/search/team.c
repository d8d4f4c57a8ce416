/* SPDX-License-Identifier: Apache-2.0 */
/* The threads of one rank: each takes the next block from a shared counter and keeps a tally of
 * its own, so they share nothing else. Stopping is asked about between blocks. */
#include "search/search_priv.h"

#include <assert.h>

#define MAX_THREADS 4096u

static uint32_t wanted_threads(const sp_search_options *options)
{
    const uint32_t n = options->threads != 0 ? options->threads : sp_threads_available();
    return n < MAX_THREADS ? n : MAX_THREADS;
}

static sp_status add_thread(sp_team *team, sp_error *err)
{
    const uint32_t thread = team->n_threads;
    SP_TRY(sp_tally_init(&team->tallies[thread], team->of, team->options->top_k, err));
    team->n_threads++;
    if (team->of->memo_begin == NULL) return SP_OK;
    team->memos[thread] = team->of->memo_begin(team->of->space);
    return team->memos[thread] != NULL ? SP_OK
                                       : sp_fail(err, SP_E_MEMORY, "no memory for the threads");
}

sp_status sp_team_init(sp_team *team, const sp_searchable *of, const sp_search_options *options,
                       const uint64_t *blocks, sp_error *err)
{
    *team = (sp_team){.of = of, .options = options, .blocks = blocks, .start_s = sp_clock_s()};
    team->deadline_s = options->timeout_s > 0.0 ? team->start_s + options->timeout_s : 0.0;
    const uint32_t n_threads = wanted_threads(options);
    team->tallies = sp_alloc(n_threads * sizeof *team->tallies);
    team->memos = sp_alloc(n_threads * sizeof *team->memos);
    sp_status status = SP_OK;
    if (team->tallies == NULL || team->memos == NULL) {
        status = sp_fail(err, SP_E_MEMORY, "no memory for the threads");
    }
    while (status == SP_OK && team->n_threads < n_threads) {
        status = add_thread(team, err);
    }
    if (status != SP_OK) sp_team_fini(team);
    return status;
}

void sp_team_fini(sp_team *team)
{
    for (uint32_t i = 0; i < team->n_threads; i++) {
        sp_tally_fini(&team->tallies[i]);
        if (team->memos[i] != NULL) team->of->memo_end(team->memos[i]);
    }
    sp_free(team->tallies);
    sp_free(team->memos);
    team->tallies = NULL;
    team->memos = NULL;
    team->n_threads = 0;
}

static bool must_stop(sp_team *team)
{
    if (atomic_load_explicit(&team->stop, memory_order_relaxed)) return true;
    const volatile sig_atomic_t *cancel = team->options->cancel;
    const bool late = team->deadline_s > 0.0 && sp_clock_s() >= team->deadline_s;
    if (!late && (cancel == NULL || *cancel == 0)) return false;
    atomic_store(&team->stop, true);
    return true;
}

static void search_block(sp_team *team, uint32_t thread, uint64_t block)
{
    sp_tally *tally = &team->tallies[thread];
    const uint64_t admitted = tally->counts.admitted, evaluated = tally->counts.evaluated;
    team->of->search(team->of->space, team->blocks[block], team->options->no_bounds,
                     team->memos[thread], tally);
    atomic_fetch_add_explicit(&team->settled, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&team->admitted, tally->counts.admitted - admitted,
                              memory_order_relaxed);
    atomic_fetch_add_explicit(&team->evaluated, tally->counts.evaluated - evaluated,
                              memory_order_relaxed);
}

static void work(void *user, uint32_t thread)
{
    sp_team *team = user;
    assert(thread < team->n_threads);
    while (!must_stop(team)) {
        const uint64_t block = atomic_fetch_add_explicit(&team->next, 1, memory_order_relaxed);
        if (block >= team->end) return;
        search_block(team, thread, block);
        if (thread == 0 && team->between != NULL) team->between(team->user);
    }
}

uint64_t sp_team_run(sp_team *team, uint64_t first, uint64_t end)
{
    atomic_store(&team->next, first);
    team->end = end;
    const uint32_t ran = sp_threads_run(team->n_threads, work, team);
    if (ran > team->n_ran) team->n_ran = ran;
    /* Every block that was taken was searched to its end. */
    const uint64_t reached = atomic_load(&team->next);
    return reached < end ? reached : end;
}

void sp_team_collect(sp_team *team, sp_tally *tally)
{
    for (uint32_t i = 0; i < team->n_threads; i++) {
        sp_tally_join(tally, &team->tallies[i]);
        sp_tally_clear(&team->tallies[i]);
    }
}
