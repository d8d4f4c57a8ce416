#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The search against brute force on many random spaces, which the normal suite tries on 200.
#
#     sh tests/long.sh [COUNT] [SEED]    default: 2000 spaces (or SHARDPLAN_LONG), a seed of today
#
# The seed is printed, and SHARDPLAN_TEST_SEED repeats a run.
set -eu

cd "$(dirname "$0")/.."
SHARDPLAN_HOME=$(pwd)
SHARDPLAN_LONG=${1:-${SHARDPLAN_LONG:-2000}}
SHARDPLAN_TEST_SEED=${2:-${SHARDPLAN_TEST_SEED:-$(date +%Y%m%d)}}
export SHARDPLAN_HOME SHARDPLAN_LONG SHARDPLAN_TEST_SEED

sh jobs/build.sh release
exec build/release/tests/test_laws_brute_force
