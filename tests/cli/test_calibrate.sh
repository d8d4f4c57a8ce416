#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# `shardplan calibrate` and `shardplan validate ops`: on a small table everywhere, and on the
# measured ones where SHARDPLAN_DATA names them.
set -eu
. "$(dirname "$0")/lib.sh"

# A made-up part of 1 PFLOP/s and 4 TB/s: two microseconds and half of the peak, whole shapes of n, k.
mkdir -p "$work/made-part"
awk 'BEGIN {
    print "framework,version,kernel_source,gemm_dtype,m,n,k,latency_ms"
    for (n = 512; n <= 8192; n *= 2) for (k = 512; k <= 8192; k *= 2) for (m = 1; m <= 16384; m *= 4) {
        flops = 2 * m * n * k / 0.5e15; bytes = 2 * (m * n + n * k + m * k) / 3.2e12
        printf "made,1,plain,bfloat16,%d,%d,%d,%.9g\n", m, n, k, 1e3 * (2e-6 + (flops > bytes ? flops : bytes))
    }
}' >"$work/made-part/gemm.csv"
cp hardware/gpus/h100-sxm.json "$work/part.json"

expect_code 0 calibrate ops "$work/made-part/gemm.csv" --gpu h100-sxm
says out "gemm                 bfloat16"
expect_code 0 calibrate ops "$work/made-part/gemm.csv" --gpu h100-sxm --json
says out '"schema": "shardplan/calibration-score/1"'

# The file follows its schema, is the same a second time, and stays as it is but for the surfaces.
expect_code 0 calibrate ops "$work/made-part/gemm.csv" --gpu "$work/part.json" -o "$work/one.json" \
    --source "made up" --date 2026-01-31
expect_code 0 calibrate ops "$work/made-part/gemm.csv" --gpu "$work/part.json" --in-place \
    --source "made up" --date 2026-01-31
same "$work/one.json" "$work/part.json" "written anew and in place"
follows gpu.json "$work/one.json"
follows calibration.json configs/calibration.json
# shellcheck disable=SC2046
follows gpu.json $(ls hardware/gpus/*.json)
sed '/"surfaces"/,$d' "$work/one.json" >"$work/head.one"
sed '/"surfaces"/,$d' hardware/gpus/h100-sxm.json >"$work/head.two"
same "$work/head.one" "$work/head.two" "everything else in the file"

# What was fitted prices its own table.
expect_code 0 validate ops "$work/made-part/gemm.csv" --gpu "$work/part.json" --json --points
says out '"kind": "ops"'
says out '"coverage_ratio": 1'
says out 'gemm.csv:2"'
expect_code 2 validate ops "$work/made-part/gemm.csv"
says err "--gpu"

# A part without measurements borrows and says so.
expect_code 0 validate ops "$work/made-part/gemm.csv" --gpu v100-sxm2-32g
says out "v100-sxm2-32g was not measured: surfaces of a100-sxm-80g"

# Where nothing was measured an analysis says so.
expect_code 0 analyze llama-3.1-8b --hardware h100-sxm
says out "rows lie beyond the products that were measured on h100-sxm"

# Surfaces of one part stay under 64 KiB.
for file in hardware/gpus/*.json; do
    n_expected=$((n_expected + 1))
    bytes=$(sed -n '/"surfaces": {/,$p' "$file" | wc -c)
    [ "$bytes" -le 65536 ] || fail "$file: $bytes bytes of surfaces"
done

# Logs become surfaces, and rows that can be estimated.
expect_code 0 calibrate ops --log nccl-tests tests/fidelity/logs/all_reduce.txt --gpu h100-sxm
says out "nccl 2.28.7, nccl-tests"
expect_code 0 calibrate steps --log megatron tests/fidelity/logs/megatron.log --gpu H100 -o "$work/runs.csv"
# A log does not say how many GPUs NVLink joins.
awk -F, -v OFS=, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "nvlink_domain") c = i } NR > 1 { $c = 8 } 1' \
    "$work/runs.csv" >"$work/filled.csv"
expect_code 0 validate training "$work/filled.csv"
says out "1 of 1 expressed and estimated"

# Measured tables: what ships is what the command makes of them, within 5 % for most products.
tables=${SHARDPLAN_DATA:-/nonexistent}/silicon-ops/h100_sxm
if [ -d "$tables" ]; then
    expect_code 0 validate ops "$tables/nccl.csv" "$tables/mla_generation.csv.gz" --json
    says out '"h100-sxm/collective/half"'
    says out '"coverage_ratio": 1'
fi
finish
