/* SPDX-License-Identifier: Apache-2.0 */
/* Ranks. The only file that knows MPI; without it, or without a launcher, this is rank 0 of 1. MPI
 * is started only where a launcher says so in the environment. Point-to-point messages only:
 * nothing here waits for a rank that is gone. */
#include "search/search_priv.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void sp_ranks_nap(void)
{
    const struct timespec nap = {.tv_nsec = 200000};
    (void)nanosleep(&nap, NULL);
}

#if SHARDPLAN_MPI
#include <mpi.h>

enum { TAG = 1 };

/* Open MPI, MPICH and Intel MPI, PMIx; Slurm sets SLURM_PROCID in batch scripts as well, which are
 * no steps of srun. */
static bool launched(void)
{
    const bool step = getenv("SLURM_PROCID") != NULL && getenv("SLURM_STEP_ID") != NULL &&
                      getenv("SLURM_STEP_NUM_TASKS") != NULL;
    return getenv("OMPI_COMM_WORLD_SIZE") != NULL || getenv("PMI_SIZE") != NULL ||
           getenv("PMIX_RANK") != NULL || step;
}

static bool running(void)
{
    int started = 0, ended = 0;
    MPI_Initialized(&started);
    MPI_Finalized(&ended);
    return started != 0 && ended == 0;
}

static sp_status check(int code, const char *what, sp_error *err)
{
    if (code == MPI_SUCCESS) return SP_OK;
    char text[MPI_MAX_ERROR_STRING] = "";
    int length = 0;
    MPI_Error_string(code, text, &length);
    return sp_fail(err, SP_E_IO, "MPI cannot %s: %s", what, text);
}

sp_status sp_ranks_init(int *argc, char ***argv, sp_error *err)
{
    if (!launched() || running()) return SP_OK;
    int provided = MPI_THREAD_SINGLE;
    SP_TRY(check(MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &provided), "start", err));
    SP_TRY(check(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "report errors", err));
    if (provided >= MPI_THREAD_FUNNELED) return SP_OK;
    return sp_fail(err, SP_E_IO, "this MPI cannot run beside threads (MPI_THREAD_FUNNELED)");
}

void sp_ranks_fini(void)
{
    if (running()) MPI_Finalize();
}

uint32_t sp_ranks_rank(void)
{
    int rank = 0;
    if (running()) MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    return (uint32_t)rank;
}

uint32_t sp_ranks_size(void)
{
    int size = 1;
    if (running()) MPI_Comm_size(MPI_COMM_WORLD, &size);
    return (uint32_t)size;
}

bool sp_ranks_probe(uint32_t *from, size_t *bytes)
{
    int flag = 0, count = 0;
    MPI_Status status;
    if (MPI_Iprobe(MPI_ANY_SOURCE, TAG, MPI_COMM_WORLD, &flag, &status) != MPI_SUCCESS)
        return false;
    if (flag == 0) return false;
    MPI_Get_count(&status, MPI_BYTE, &count);
    *from = (uint32_t)status.MPI_SOURCE;
    *bytes = (size_t)count;
    return true;
}

sp_status sp_ranks_receive(uint32_t from, void *data, size_t bytes, sp_error *err)
{
    assert(bytes <= INT_MAX);
    const int code =
        MPI_Recv(data, (int)bytes, MPI_BYTE, (int)from, TAG, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    return check(code, "receive", err);
}

sp_status sp_ranks_send(uint32_t to, const void *data, size_t bytes, sp_error *err)
{
    if (bytes > INT_MAX) return sp_fail(err, SP_E_OVERFLOW, "a message between ranks is too long");
    return check(MPI_Send(data, (int)bytes, MPI_BYTE, (int)to, TAG, MPI_COMM_WORLD), "send", err);
}

void sp_ranks_host(char *host, size_t capacity)
{
    char name[MPI_MAX_PROCESSOR_NAME] = "";
    int length = 0;
    MPI_Get_processor_name(name, &length);
    name[sizeof name - 1] = '\0';
    const size_t n = strlen(name) < capacity - 1 ? strlen(name) : capacity - 1;
    memcpy(host, name, n);
    host[n] = '\0';
}

#else

sp_status sp_ranks_init(int *argc, char ***argv, sp_error *err)
{
    (void)argc;
    (void)argv;
    (void)err;
    return SP_OK;
}

void sp_ranks_fini(void) {}

uint32_t sp_ranks_rank(void)
{
    return 0;
}

uint32_t sp_ranks_size(void)
{
    return 1;
}

bool sp_ranks_probe(uint32_t *from, size_t *bytes)
{
    (void)from;
    (void)bytes;
    return false;
}

/* A single rank is sent nothing and sends nothing. */
sp_status sp_ranks_receive(uint32_t from, void *data, size_t bytes, sp_error *err)
{
    (void)from;
    (void)data;
    (void)bytes;
    return sp_fail(err, SP_E_INTERNAL, "built without MPI");
}

sp_status sp_ranks_send(uint32_t to, const void *data, size_t bytes, sp_error *err)
{
    (void)to;
    (void)data;
    (void)bytes;
    return sp_fail(err, SP_E_INTERNAL, "built without MPI");
}

void sp_ranks_host(char *host, size_t capacity)
{
    assert(capacity > 0);
    (void)capacity;
    host[0] = '\0';
}
#endif
