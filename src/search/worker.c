/* SPDX-License-Identifier: Apache-2.0 */
/* Ranks other than 0: ask for a unit, search it with all threads, send what was found, and again,
 * until there is nothing left. */
#include "search/search_priv.h"

#include <assert.h>
#include <string.h>

/* The next message of the coordinator. */
static sp_status wait_for(sp_message *message, sp_error *err)
{
    uint32_t from = 0;
    size_t bytes = 0;
    while (!sp_ranks_probe(&from, &bytes)) {
        sp_ranks_nap();
    }
    if (from != 0 || bytes != sizeof *message) {
        return sp_fail(err, SP_E_INTERNAL, "a message between ranks is damaged");
    }
    return sp_ranks_receive(0, message, sizeof *message, err);
}

static sp_status say_hello(const sp_run *run, const sp_team *team, sp_error *err)
{
    sp_message hello = {
        .kind = SP_MESSAGE_HELLO, .threads = team->n_threads, .cores = sp_threads_cores()};
    memcpy(hello.fingerprint, run->of->fingerprint, sizeof hello.fingerprint);
    sp_ranks_host(hello.host, sizeof hello.host);
    return sp_ranks_send(0, &hello, sizeof hello, err);
}

/* A rank as it works: what it found in this unit, and in all of them. */
typedef struct worker {
    sp_team team;
    sp_tally unit, known;
} worker;

static sp_status send_found(worker *w, const sp_message *head, sp_error *err)
{
    sp_text text = {0};
    sp_text_add_n(&text, (const char *)head, sizeof *head);
    sp_message_pack(&w->unit, &w->known, &text);
    const sp_status status = text.failed ? sp_fail(err, SP_E_MEMORY, "no memory for a message")
                                         : sp_ranks_send(0, text.data, text.length, err);
    sp_text_fini(&text);
    return status;
}

static sp_status search_unit(worker *w, const sp_message *unit, sp_error *err)
{
    sp_message found = {.kind = SP_MESSAGE_FOUND, .first = unit->first, .end = unit->end};
    const double start_s = sp_clock_s();
    found.reached = sp_team_run(&w->team, unit->first, unit->end);
    sp_team_collect(&w->team, &w->unit);
    found.seconds = sp_clock_s() - start_s;
    SP_TRY(send_found(w, &found, err));
    sp_tally_join(&w->known, &w->unit);
    sp_tally_clear(&w->unit);
    return SP_OK;
}

static sp_status work_on(const sp_run *run, worker *w, sp_error *err)
{
    SP_TRY(say_hello(run, &w->team, err));
    for (;;) {
        sp_message message = {.kind = SP_MESSAGE_STOP};
        SP_TRY(wait_for(&message, err));
        if (message.kind == SP_MESSAGE_STOP) {
            if (message.err.status != SP_OK) *err = message.err;
            return message.err.status;
        }
        SP_TRY(search_unit(w, &message, err));
    }
}

void sp_work_fail(const sp_error *err)
{
    const sp_message failed = {.kind = SP_MESSAGE_FAILED, .err = *err};
    sp_error ignored = {0};
    (void)sp_ranks_send(0, &failed, sizeof failed, &ignored);
}

static sp_status init(worker *w, const sp_run *run, sp_error *err)
{
    const uint32_t top_k = run->options->top_k;
    SP_TRY(sp_team_init(&w->team, run->of, run->options, run->blocks, err));
    SP_TRY(sp_tally_init(&w->unit, run->of, top_k, err));
    return sp_tally_init(&w->known, run->of, top_k, err);
}

sp_status sp_work(const sp_run *run, sp_error *err)
{
    worker w = {0};
    sp_status status = init(&w, run, err);
    if (status != SP_OK) {
        sp_work_fail(err);
    } else {
        status = work_on(run, &w, err);
    }
    sp_team_fini(&w.team);
    sp_tally_fini(&w.unit);
    sp_tally_fini(&w.known);
    return status;
}
