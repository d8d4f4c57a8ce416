#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Where answers go and what they may depend on: not on the locale, and never lost silently.
. "$(dirname "$0")/lib.sh"

# Figures of a search's own run differ from run to run.
settled() {
    sed -E '/^Searched/,/^To see/d' "$1"
}

expect_code 0 train $small
cp "$work/out" "$work/plain"
for locale in C C.UTF-8 de_DE.UTF-8 tr_TR.UTF-8; do
    n_expected=$((n_expected + 1))
    LC_ALL=$locale "$SHARDPLAN_BIN" train $small >"$work/out" 2>/dev/null || fail "fails with LC_ALL=$locale"
    settled "$work/out" >"$work/a"
    settled "$work/plain" >"$work/b"
    same "$work/a" "$work/b" "LC_ALL=$locale"
done

# Lines of the table stay within 100 columns, those of the plain page too.
n_expected=$((n_expected + 1))
awk 'length > 100 { exit 1 }' "$work/plain" || fail 'the table is wider than 100 columns'

expect_code 0 estimate tp=2,pp=2,sp=on $small --tokens 1T
n_expected=$((n_expected + 1))
awk 'length > 100 { exit 1 }' "$work/out" || fail 'the page of a plan is wider than 100 columns'

expect_code 0 params gpt2 --json
cp "$work/out" "$work/params"
expect_code 0 params gpt2 --json -o "$work/file.json"
is_empty out
same "$work/params" "$work/file.json" 'standard output and -o'
expect_code 1 params gpt2 -o "$work/no/such/folder.json"
says err 'folder.json'

n_expected=$((n_expected + 2))
code=0
"$SHARDPLAN_BIN" params gpt2 >&- 2>"$work/err" || code=$?
[ "$code" -eq 1 ] || fail "closed standard output: exit code $code"
says err 'standard output'
if [ -e /dev/full ]; then
    code=0
    "$SHARDPLAN_BIN" params gpt2 >/dev/full 2>"$work/err" || code=$?
    [ "$code" -eq 1 ] || fail "full standard output: exit code $code"
fi

# Colours only where they are asked for: this is no terminal.
escape=$(printf '\033')
n_expected=$((n_expected + 2))
! grep -q "$escape" "$work/plain" || fail 'colours in a file'
expect_code 0 train $small --color always
grep -q "$escape" "$work/out" || fail 'no colours with --color always'
NO_COLOR=1 expect_code 0 train $small
n_expected=$((n_expected + 1))
! grep -q "$escape" "$work/out" || fail 'colours with NO_COLOR'

for format in csv md json; do
    expect_code 0 train $small --format $format
    n_expected=$((n_expected + 1))
    [ -s "$work/out" ] || fail "--format $format is empty"
done
expect_code 0 train $small --distinct none --top 3 --format csv
n_expected=$((n_expected + 1))
[ "$(awk -F, '$2 == 1' "$work/out" | wc -l)" -eq 3 ] || fail '--top 3 does not keep three plans'
for list in models hardware engines rules axes objectives recipes; do
    expect_code 0 list $list
    expect_code 0 list $list --json
    says out '"schema": "shardplan/list/1"'
done
finish
