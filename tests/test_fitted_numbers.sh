#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# No number that was fitted stands in C: those of the surfaces, links and engines are data. Numbers of
# three digits and more are looked for as they are written, those of one or two are anybody's.
set -eu

cd "${SHARDPLAN_HOME:?names the source tree}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Digits that matter: no exponent, point, or zeros at the ends.
significant() {
    awk '{ digits = $1; sub(/e.*/, "", digits); gsub(/[.]/, "", digits); sub(/^0+/, "", digits)
           sub(/0+$/, "", digits); if (length(digits) >= 3) print $1 }' | sort -u
}

# name_of_a_number: value, with the units that fitted numbers have.
cat hardware/gpus/*.json hardware/links/*.json |
    grep -oE '"[a-z0-9_]+_(ratio|half|s|bytes|exponent)": [0-9.]+(e[-+]?[0-9]+)?' |
    sed 's/.*: //' | significant >"$work/fitted"
# Whole numbers below a thousand are counts and sizes of other things too.
grep -vE '^[0-9]{1,4}$' "$work/fitted" >"$work/wanted"

# Rooms that price; those that draw and talk have numbers of their own. Comments and texts may quote.
rooms='src/spec src/graph src/cost src/step src/analysis src/fidelity include'
# shellcheck disable=SC2086
find $rooms -name '*.[ch]' -o -name '*.def' | xargs cat | sed 's/"[^"]*"//g; s,/[*].*,,; /^ [*]/d' |
    grep -oE '(^|[^A-Za-z0-9_.])[0-9]+\.?[0-9]*(e[-+]?[0-9]+)?' | sed 's/^[^0-9]//' |
    significant >"$work/written"

[ "$(wc -l <"$work/wanted")" -gt 500 ] || { echo "no fitted numbers were found"; exit 1; }
comm -12 "$work/wanted" "$work/written" >"$work/both"
[ ! -s "$work/both" ] && exit 0
echo "fitted numbers that stand in C:"
while read -r number; do grep -rnF -- "$number" $rooms | head -3; done <"$work/both"
exit 1
