#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check_layers.sh finds each thing it looks for in a tree made for it, and nothing in a clean one.
set -eu

check=$(cd "$(dirname "$0")" && pwd)/check_layers.sh
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
licence='/* SPDX-License-Identifier: Apache-2.0 */'

# clean: a tree in which there is nothing to complain of
clean() {
    rm -rf "${tree:?}"/*
    mkdir -p "$tree/src/base" "$tree/src/spec" "$tree/src/front" "$tree/include/shardplan"
    printf '%s\n' "$licence" >"$tree/include/shardplan/estimate.h"
    printf '%s\n#include "base/base.h"\n#include <mpi.h>\n' "$licence" >"$tree/src/spec/a.c"
    printf '%s\n#include "shardplan/estimate.h"\n' "$licence" >"$tree/src/front/b.c"
}

# complains WORDS: the tree is refused, with these words
complains() {
    if output=$(sh "$check" "$tree"); then
        echo "not found: $1"
        exit 1
    fi
    case $output in
    *"$1"*) ;;
    *) echo "expected: $1; got: $output"; exit 1 ;;
    esac
}

clean
sh "$check" "$tree"

printf '%s\n#include "spec/spec.h"\n' "$licence" >"$tree/src/base/c.c"
complains 'src/base/c.c:2: base includes spec/spec.h from above'

clean
printf '%s\n#include "shardplan/search.h"\n' "$licence" >"$tree/include/shardplan/plan.h"
complains 'spec includes shardplan/search.h from above'

clean
printf '%s\n#include "spec/spec.h"\n' "$licence" >"$tree/src/front/c.c"
complains 'front knows base and public headers'

clean
printf '%s\n# include <mpi.h>\n' "$licence" >"$tree/src/front/c.c"
complains 'more than one file includes mpi'

clean
printf '%s\n#include <jansson.h>\n' "$licence" >"$tree/src/base/c.c"
complains 'jansson.h belongs in'

clean
echo 'int a;' >"$tree/src/base/c.c"
complains 'src/base/c.c: its first line must name the licence'

clean
{ echo "$licence"; echo 'int f(void)'; echo '{'; seq -f 'x%g;' 60; echo '}'; } >"$tree/src/base/c.c"
sh "$check" "$tree"
{ echo "$licence"; echo 'int f(void)'; echo '{'; seq -f 'x%g;' 61; echo '}'; } >"$tree/src/base/c.c"
complains 'src/base/c.c:3: a function of 61 lines'

clean
printf '%s\n/* TO''DO */\n' "$licence" >"$tree/src/base/c.c"
complains 'left for later'
