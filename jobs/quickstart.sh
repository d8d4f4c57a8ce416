#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# From a fresh checkout on a bare Debian 12 to a first answer: installs what is missing, builds, and
# asks how to train a 70B model on 64 H100s. Run again, it takes as long as the search.
#
#     sh jobs/quickstart.sh [further options of "shardplan run"]
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"

sh jobs/install.sh build
sh jobs/build.sh release --target shardplan
exec build/release/shardplan run jobs/llama-3.1-70b-64xh100.json "$@"
