/* SPDX-License-Identifier: Apache-2.0 */
/* Rank 0: deals units of blocks to the other ranks, works on some itself, and joins what comes
 * back. Its first thread serves messages between two blocks, so nobody waits long and no core is
 * spent on waiting. Each unit's counts are accepted once, from the rank that it was dealt to. */
#include "search/search_priv.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define PROGRESS_S 0.2

/* A rank as the coordinator sees it. */
typedef struct peer {
    bool stopped, has_unit;
    uint64_t first, end; /* its unit */
} peer;

typedef struct coordinator {
    const sp_run *run;
    sp_team team;
    sp_tally *answer;
    peer *peers;
    uint32_t ranks;
    uint32_t n_open;  /* ranks that were not told to stop    */
    uint64_t next;    /* first block that was dealt to nobody */
    uint64_t settled; /* blocks of finished units            */
    uint64_t settled_by_others;
    double busy_s;    /* of all ranks in finished units      */
    double service_s; /* spent on messages                   */
    uint64_t n_served;
    double progress_s; /* when progress was last told         */
    bool stopping;
    sp_error failure;
} coordinator;

static void stop_all(coordinator *c, const sp_error *why)
{
    c->stopping = true;
    if (c->failure.status == SP_OK) c->failure = *why;
}

/* ---- dealing ---- */

/* Takes the next unit; it is empty when there is nothing left to deal. */
static void take_unit(coordinator *c, uint64_t *first, uint64_t *end)
{
    const uint64_t left = c->stopping ? 0 : c->run->n_blocks - c->next;
    const sp_pace pace = {.block_s = c->settled > 0 ? c->busy_s / (double)c->settled : 0.0,
                          .service_s = c->n_served > 0 ? c->service_s / (double)c->n_served : 0.0,
                          .ranks = c->ranks,
                          .threads = c->team.n_threads};
    *first = c->next;
    *end = left > 0 ? c->next + sp_pace_unit(&pace, left) : c->next;
    c->next = *end;
}

static void settle(coordinator *c, uint64_t first, uint64_t reached, uint64_t end, double seconds)
{
    c->settled += reached - first;
    c->busy_s += seconds;
    c->stopping |= reached < end;
}

static void reply(coordinator *c, uint32_t rank, const sp_error *refused)
{
    peer *p = &c->peers[rank];
    sp_message message = {.kind = SP_MESSAGE_STOP};
    sp_error err = {0};
    if (refused != NULL) {
        message.err = *refused;
    } else {
        take_unit(c, &p->first, &p->end);
        p->has_unit = p->first < p->end;
    }
    if (p->has_unit) {
        message.kind = SP_MESSAGE_UNIT;
        message.first = p->first;
        message.end = p->end;
    } else {
        p->stopped = true;
        c->n_open--;
    }
    if (sp_ranks_send(rank, &message, sizeof message, &err) != SP_OK) stop_all(c, &err);
}

/* ---- messages of the other ranks ---- */

static void warn_binding(coordinator *c, uint32_t rank, uint32_t threads, uint32_t cores)
{
    char *warning = c->run->result->warning;
    if (threads <= cores || warning[0] != '\0') return;
    (void)snprintf(warning, sizeof c->run->result->warning,
                   "rank %u runs %u threads on %u core%s: give it more with --bind-to none or "
                   "--map-by slot:PE=%u of mpirun, or ask for fewer --threads",
                   rank, threads, cores, cores == 1 ? "" : "s", threads);
}

static void serve_hello(coordinator *c, uint32_t rank, const sp_message *hello)
{
    const char *own = c->run->of->fingerprint;
    if (memcmp(own, hello->fingerprint, sizeof hello->fingerprint) != 0) {
        sp_error err = {0};
        sp_fail(&err, SP_E_INCONSISTENT,
                "rank %u on %s asks another question than rank 0: its files, flags or machine "
                "arithmetic differ",
                rank, hello->host);
        sp_fail_value(&err, "fingerprint %.32s", hello->fingerprint);
        sp_fail_range(&err, "%s", own);
        stop_all(c, &err);
        reply(c, rank, &err);
        return;
    }
    warn_binding(c, rank, hello->threads, hello->cores);
    reply(c, rank, NULL);
}

static void serve_found(coordinator *c, uint32_t rank, const sp_message *found, const char *rest,
                        size_t bytes)
{
    peer *p = &c->peers[rank];
    const bool own_unit = p->has_unit && found->first == p->first && found->end == p->end &&
                          found->reached >= p->first && found->reached <= p->end;
    if (!own_unit || !sp_message_unpack(rest, bytes, c->answer)) {
        sp_error err = {0};
        sp_fail(&err, SP_E_INTERNAL, "rank %u answers what it was not asked", rank);
        stop_all(c, &err);
    } else {
        settle(c, p->first, found->reached, p->end, found->seconds);
        c->settled_by_others += found->reached - p->first;
    }
    p->has_unit = false;
    reply(c, rank, NULL);
}

static void serve_message(coordinator *c, uint32_t rank, const char *data, size_t bytes)
{
    sp_message head;
    assert(bytes >= sizeof head && !c->peers[rank].stopped);
    memcpy(&head, data, sizeof head);
    switch ((sp_message_kind)head.kind) {
    case SP_MESSAGE_HELLO:
        serve_hello(c, rank, &head);
        return;
    case SP_MESSAGE_FOUND:
        serve_found(c, rank, &head, data + sizeof head, bytes - sizeof head);
        return;
    case SP_MESSAGE_FAILED:
        stop_all(c, &head.err);
        c->peers[rank].stopped = true;
        c->n_open--;
        return;
    case SP_MESSAGE_UNIT:
    case SP_MESSAGE_STOP:
        break;
    }
    assert(!"a message to the coordinator");
}

/* A message that there is no room for is taken off the queue all the same, cut short. */
static void drop_message(coordinator *c, uint32_t rank)
{
    sp_message head;
    sp_error err = {0}, ignored = {0};
    (void)sp_ranks_receive(rank, &head, sizeof head, &ignored);
    sp_fail(&err, SP_E_MEMORY, "no memory for a message of rank %u", rank);
    stop_all(c, &err);
    reply(c, rank, NULL);
}

static void receive(coordinator *c, uint32_t rank, size_t bytes)
{
    sp_error err = {0};
    char *data = sp_alloc(bytes);
    if (data == NULL) {
        drop_message(c, rank);
        return;
    }
    if (sp_ranks_receive(rank, data, bytes, &err) == SP_OK) {
        serve_message(c, rank, data, bytes);
    } else {
        stop_all(c, &err);
        c->peers[rank].stopped = true;
        c->n_open--;
    }
    sp_free(data);
}

static void serve_all(coordinator *c)
{
    uint32_t rank = 0;
    size_t bytes = 0;
    while (c->n_open > 0 && sp_ranks_probe(&rank, &bytes)) {
        const double start_s = sp_clock_s();
        receive(c, rank, bytes);
        c->service_s += sp_clock_s() - start_s;
        c->n_served++;
    }
}

/* ---- progress ---- */

static uint32_t front_points(const coordinator *c)
{
    const uint32_t own = c->team.tallies[0].front.n_points, others = c->answer->front.n_points;
    return own > others ? own : others;
}

static void tell_progress(coordinator *c)
{
    const sp_search_options *options = c->run->options;
    const double now_s = sp_clock_s(), seconds = now_s - c->team.start_s;
    if (options->progress == NULL || now_s - c->progress_s < PROGRESS_S) return;
    c->progress_s = now_s;
    const uint64_t admitted = c->answer->counts.admitted + atomic_load(&c->team.admitted);
    const sp_progress progress = {.done = c->settled_by_others + atomic_load(&c->team.settled),
                                  .total = c->run->n_blocks,
                                  .evaluated =
                                      c->answer->counts.evaluated + atomic_load(&c->team.evaluated),
                                  .seconds = seconds,
                                  .plans_per_s = (double)admitted / seconds,
                                  .front_points = front_points(c)};
    options->progress(options->user, &progress);
}

static void between_blocks(void *user)
{
    coordinator *c = user;
    serve_all(c);
    tell_progress(c);
}

/* ---- the whole ---- */

static void work_too(coordinator *c)
{
    for (;;) {
        uint64_t first = 0, end = 0;
        take_unit(c, &first, &end);
        if (first == end) return;
        const double start_s = sp_clock_s();
        const uint64_t reached = sp_team_run(&c->team, first, end);
        settle(c, first, reached, end, sp_clock_s() - start_s);
        serve_all(c);
    }
}

static void wait_for_others(coordinator *c)
{
    while (c->n_open > 0) {
        between_blocks(c);
        if (c->n_open > 0) sp_ranks_nap();
    }
}

sp_status sp_coordinate(const sp_run *run, sp_tally *answer, uint64_t *settled, sp_error *err)
{
    const uint32_t ranks = run->options->alone ? 1 : sp_ranks_size();
    coordinator c = {.run = run, .answer = answer, .ranks = ranks, .n_open = ranks - 1};
    SP_TRY(sp_team_init(&c.team, run->of, run->options, run->blocks, err));
    c.team.between = between_blocks;
    c.team.user = &c;
    c.peers = sp_alloc(ranks * sizeof *c.peers);
    if (c.peers == NULL) {
        sp_team_fini(&c.team);
        return sp_fail(err, SP_E_MEMORY, "no memory for %u ranks", ranks);
    }
    if (ranks > 1) warn_binding(&c, 0, c.team.n_threads, sp_threads_cores());
    work_too(&c);
    wait_for_others(&c);
    sp_team_collect(&c.team, answer);
    run->result->threads = c.team.n_ran > 0 ? c.team.n_ran : c.team.n_threads;
    run->result->ranks = ranks;
    *settled = c.settled;
    if (c.failure.status == SP_OK && answer->failed) {
        sp_fail(&c.failure, SP_E_MEMORY, "no memory for the front");
    }
    if (c.failure.status != SP_OK) *err = c.failure;
    sp_team_fini(&c.team);
    sp_free(c.peers);
    return c.failure.status;
}
