/* SPDX-License-Identifier: Apache-2.0 */
/* Where configs/ and hardware/ are: SHARDPLAN_HOME, else share/shardplan beside the installed
 * program, else the source tree that the program was built in. */
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_BYTES 4096

static bool is_home(const char *path)
{
    char configs[PATH_BYTES];
    const int length = snprintf(configs, sizeof configs, "%s/configs/models", path);
    return length > 0 && (size_t)length < sizeof configs && sp_dir_exists(configs);
}

/* Takes the last part off a path; false at the root. */
static bool go_up(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash == NULL || slash == path) return false;
    *slash = '\0';
    return true;
}

static bool find_from_program(char *path)
{
    const ssize_t length = readlink("/proc/self/exe", path, PATH_BYTES - 1);
    if (length <= 0) return false;
    path[length] = '\0';
    while (go_up(path)) {
        char share[PATH_BYTES + 32];
        (void)snprintf(share, sizeof share, "%s/share/shardplan", path);
        if (is_home(share) && strlen(share) < PATH_BYTES) {
            memcpy(path, share, strlen(share) + 1);
            return true;
        }
        if (is_home(path)) return true;
    }
    return false;
}

sp_status sp_home_find(sp_arena *arena, const char **home, sp_error *err)
{
    char path[PATH_BYTES];
    const char *stated = getenv("SHARDPLAN_HOME");
    if (stated != NULL && stated[0] != '\0') {
        *home = stated;
        if (is_home(stated)) return SP_OK;
        sp_fail(err, SP_E_INCONSISTENT, "this folder has no configs/models");
        sp_fail_value(err, "%s", stated);
        return sp_fail_file(err, "SHARDPLAN_HOME");
    }
    if (!find_from_program(path)) {
        return sp_fail(err, SP_E_INTERNAL,
                       "the folder with configs/ and hardware/ was not found; set "
                       "SHARDPLAN_HOME to it");
    }
    *home = sp_arena_strdup(arena, path);
    return *home != NULL ? SP_OK : sp_fail(err, SP_E_MEMORY, "no memory for a path");
}
