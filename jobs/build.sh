#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds one preset of CMakePresets.json into build/PRESET, silently unless something is wrong:
#
#     sh jobs/build.sh PRESET [-D...] [--target NAME]
#
# Options that begin with -D go to the configuration, all others to the build. An existing
# configuration is kept when no -D is given; ninja brings it up to date by itself.
set -eu

cd "$(dirname "$0")/.."
preset=$1
shift

# Takes the -D options out of the arguments; none of ours holds a space.
definitions=''
for argument in "$@"; do
    shift
    case $argument in
    -D*) definitions="$definitions $argument" ;;
    *) set -- "$@" "$argument" ;;
    esac
done

log=$(mktemp)
trap 'rm -f "$log"' EXIT

quietly() {
    "$@" >"$log" 2>&1 || {
        cat "$log" >&2
        printf 'shardplan: building the preset %s failed; see above\n' "$preset" >&2
        exit 1
    }
}

if [ ! -f "build/$preset/build.ninja" ]; then
    printf 'shardplan: building the preset %s (a minute or less)\n' "$preset" >&2
fi
if [ -n "$definitions" ] || [ ! -f "build/$preset/build.ninja" ]; then
    # shellcheck disable=SC2086 # a list of words on purpose
    quietly cmake --preset "$preset" $definitions
fi
quietly cmake --build "build/$preset" "$@"
