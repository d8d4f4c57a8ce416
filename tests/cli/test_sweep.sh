#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What `analyze` answers from the operators of a model: sweeps, tiers, chips, drafts.
. "$(dirname "$0")/lib.sh"

on='gpt2 --hardware h100-sxm'

follows sweep.json configs/sweeps/*.json
follows tiers.json hardware/tiers/*.json
follows economics.json configs/economics.json
follows grids.json configs/grids.json
follows silicon.json configs/silicon.json

expect_code 0 analyze $on --sweep quick-scan --max-points 100
says out '100 of 243 chips'
says out 'Speed against carbon'
n_expected=$((n_expected + 1))
awk 'length > 100 { exit 1 }' "$work/out" || fail 'a sweep is wider than 100 columns'
expect_code 0 analyze $on --sweep quick-scan --format csv
n_expected=$((n_expected + 1))
[ "$(wc -l <"$work/out")" -eq 244 ] || fail 'not a line for each of 243 chips'
expect_code 0 analyze $on --sweep quick-scan --json
cp "$work/out" "$work/sweep.json"
follows sweep-result.json "$work/sweep.json"

# A cleaner grid changes carbon and nothing else.
expect_code 0 analyze $on --sweep quick-scan --economics grid=France --json
n_expected=$((n_expected + 2))
grep -v 'g_per' "$work/sweep.json" | grep -v carbon | grep -v overall >"$work/a"
grep -v 'g_per' "$work/out" | grep -v carbon | grep -v overall >"$work/b"
same "$work/a" "$work/b" 'grid=France changes more than carbon'
! cmp -s "$work/out" "$work/sweep.json" || fail 'grid=France changes nothing'

expect_code 0 analyze $on --sweep any-chip --evolve 20 --json
cp "$work/out" "$work/evolved.json"
follows evolved.json "$work/evolved.json"
expect_code 0 analyze $on --sweep any-chip --evolve 20 --json
same "$work/out" "$work/evolved.json" 'two searches from one seed'
expect_code 0 analyze $on --sweep any-chip --evolve 20
says out 'silicon allows'

expect_code 0 analyze $on --sensitivity bandwidth --chip-price 30000
says out 'gpt2 on h100-sxm: batch 1'
says out 'x 0.25'
expect_code 0 analyze llama-3.1-70b --hardware h100-sxm --sensitivity capacity --chip-price 30000
says out '84.94 G *'
lacks out '169.9 G *'
expect_code 0 analyze gpt2 --hardware custom-hardware --sensitivity price
says out '2,000'
expect_code 4 analyze llama-3.1-8b --hardware h100-sxm --sweep edge-mobile
says out 'No chip of the sweep holds the model: it needs '
lacks out 'Best chips'
expect_code 0 analyze $on --sensitivity tdp --chip-price 30000 --json
cp "$work/out" "$work/sensitivity.json"
follows sweep-result.json "$work/sensitivity.json"

expect_code 0 analyze $on --tiers cambricon-llm
says out 'kv_cache'
expect_code 0 analyze $on --tiers cambricon-llm --json
cp "$work/out" "$work/tiers.json"
follows tiers-result.json "$work/tiers.json"
expect_code 0 analyze llama-3.1-405b --hardware h100-sxm --tiers nand-pim
says out 'Does not fit'
expect_code 0 analyze llama-3.1-405b --hardware h100-sxm --tiers nand-pim --json
cp "$work/out" "$work/tiers.json"
follows tiers-result.json "$work/tiers.json"

expect_code 0 analyze gpt2 --cluster l40s-8 --chips 4 --batch 8
says out 'tp1 pp1 dp1'
expect_code 0 analyze gpt2 --cluster l40s-8 --chips 4 --batch 8 --json
cp "$work/out" "$work/chips.json"
follows chips.json "$work/chips.json"

expect_code 0 analyze gpt2-xl --hardware h100-sxm --draft gpt2
says out 'Drafted by gpt2'
expect_code 0 analyze gpt2-xl --hardware h100-sxm --draft gpt2 --json
cp "$work/out" "$work/speculation.json"
follows speculation.json "$work/speculation.json"

finish
