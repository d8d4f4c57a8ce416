/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A cluster from what its own tools say, saved to files and read anywhere:
 *
 *     nvidia-smi topo -m                     which GPUs NVLink joins, the network ports beside them
 *     lstopo --of xml                        GPUs, ports and host memory of a node
 *     sinfo -N -o "%N %G %T"                 which nodes there are, with how many GPUs, and in use
 *
 * nvidia-smi and lstopo speak of one node, taken to be like all others. sinfo may also print its
 * default columns; nodes that are down, drained or do not answer are left out, and so are nodes
 * with fewer GPUs than most have.
 *
 * None of them knows the rate of a link, so the part and the network are those of `cluster`, or of
 * the usual node of the GPU that sinfo or lstopo names. NVLink domains may be uneven; the largest
 * size into which all of them can be cut counts. No file sees a domain larger than a node, such as
 * the 72 GPUs of an NVL72 rack: name such a cluster.
 *
 *     sp_discover_files files = {.sinfo = "sinfo.txt", .nvidia_smi = "topo.txt"};
 *     if (sp_cluster_from_files(&arena, home, &files, &cluster, &err) == SP_OK)
 *         puts(cluster->source);             what was read and what was assumed, in sentences
 *
 * The answer's max_gpus is the number of usable GPUs; without sinfo that of `cluster`, or any. */
#include "shardplan/cluster.h"

/* Paths; NULL = not given. */
typedef struct sp_discover_files {
    const char *nvidia_smi;
    const char *hwloc;
    const char *sinfo;
    const char *cluster; /* as of sp_cluster_find: supplies what the files leave open              */
} sp_discover_files;

/* Is there a file among them? */
bool sp_discover_any(const sp_discover_files *files);

/* Files that contradict each other are refused; *cluster lives in the arena. */
sp_status sp_cluster_from_files(struct sp_arena *arena, const char *home,
                                const sp_discover_files *files, const sp_cluster **cluster,
                                sp_error *err);
