/* SPDX-License-Identifier: Apache-2.0 */
/* One line on the terminal while a search runs, and the signals that stop it early. The flag that a
 * signal sets is the one mutable global of the program: a handler has no other way to speak. */
#include "cli/cli.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static volatile sig_atomic_t interrupted;

/* The second signal ends the program as if we had never asked. */
static void on_signal(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

void sp_catch_signals(void)
{
    interrupted = 0;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

bool sp_was_interrupted(void)
{
    return interrupted != 0;
}

/* Time left if the rest goes as fast as what is done; empty while that is not known. */
static void format_left(const sp_progress *p, char *text, size_t capacity)
{
    text[0] = '\0';
    if (p->done == 0 || p->done >= p->total) return;
    const double left_s = p->seconds * (double)(p->total - p->done) / (double)p->done;
    if (left_s < 60.0) {
        (void)snprintf(text, capacity, ", %.0f s left", left_s);
    } else {
        (void)snprintf(text, capacity, ", %.0f min left", left_s / 60.0);
    }
}

static void draw(void *user, const sp_progress *p)
{
    sp_progress_line *line = user;
    char left[40];
    if (!line->on) return;
    format_left(p, left, sizeof left);
    const double share = p->total > 0 ? 100.0 * (double)p->done / (double)p->total : 0.0;
    (void)fprintf(stderr,
                  "\r\033[Ksearching: %.0f %%, %" PRIu64 " plans priced, %.3g million plans/s%s",
                  share, p->evaluated, p->plans_per_s / 1e6, left);
    (void)fflush(stderr);
    line->drawn = true;
}

void sp_progress_start(sp_search_options *options, sp_progress_line *line, bool on)
{
    *line = (sp_progress_line){.on = on && isatty(STDERR_FILENO) == 1};
    options->cancel = &interrupted;
    options->progress = draw;
    options->user = line;
}

void sp_progress_end(sp_progress_line *line)
{
    if (line->drawn) (void)fprintf(stderr, "\r\033[K");
    line->drawn = false;
}
