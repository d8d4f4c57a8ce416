#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Searches over the ranks of this machine, or of those in HOSTS, with THREADS threads each:
#
#     sh jobs/mpirun.sh RANKS JOB.json [FLAG..]
#     HOSTS=node1:4,node2:4 THREADS=8 sh jobs/mpirun.sh 8 jobs/llama-3.1-70b-64xh100.json --json -o result.json
#
# The answer is the same, to the last bit, as that of one process. mpirun binds a rank to one core unless
# told otherwise; PE=THREADS gives each rank the cores of its threads.
set -eu

ranks=$1
shift
root=$(cd "$(dirname "$0")/.." && pwd)
program=${SHARDPLAN:-$(command -v shardplan || echo "$root/build/release/shardplan")}
threads=${THREADS:-1}

exec mpirun -n "$ranks" ${HOSTS:+--host "$HOSTS"} --map-by "slot:PE=$threads" \
    "$program" run "$@" --threads "$threads"
