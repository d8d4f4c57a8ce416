#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# `shardplan analyze` as people and programs read it: table, JSON by its schema, CSV, workbook.
. "$(dirname "$0")/lib.sh"

llama='llama-3.1-8b --hardware h100-sxm'

# ---- the page ----
expect_code 0 analyze $llama --isl 4096 --osl 100
is_empty err
says out 'Prefill of 4,096 tokens: '
says out 'First decode step behind 4,096 tokens: '
says out 'Last decode step behind 4,195 tokens: '
says out 'qkv_projection'
says out 'measured'
says out 'needed in all'
says out ': fits'
says out '131 kB of cache a token, 4 query heads share keys and values'
lacks out 'all_reduce'
n_expected=$((n_expected + 1))
awk 'length > 100 { exit 1 }' "$work/out" || fail 'the page is wider than 100 columns'

expect_code 0 analyze llama-3.1-70b --hardware h100-sxm --phase prefill
says out ': does not fit'
lacks out 'decode'
expect_code 0 analyze deepseek-v3 --cluster dgx-h100 --tp 8 --dp 2 --ep 16 --batch 32 --dispatch --mtp --phase decode
says out 'dispatch'
says out 'mtp_projection'
n_expected=$((n_expected + 1))
awk 'length > 100 { exit 1 }' "$work/out" || fail 'the page of a deployment is wider than 100 columns'
expect_code 0 analyze gpt2 --hardware h100-sxm
says out 'note: 2560 tokens of context are more than the 1024'

expect_code 0 analyze $llama --tp 2 --phase decode
says out 'note: without a cluster nothing is known of the network'
says out 'measured is what such kernels'
expect_code 0 analyze llama-3.1-8b --hardware rtx4090 --phase decode
says out 'of l40s. Columns that'

# ---- JSON: valid, and the sums are those of the rows ----
for question in "$llama --phase all" 'gpt2 --hardware h100-sxm --unfused' \
    'deepseek-v3 --cluster dgx-h100 --tp 8 --bits fp8-block --mtp --dense-dp' \
    'gpt-oss-20b --hardware mi300x --bits mxfp4' 'qwen3-30b-a3b --hardware h20-sxm --bits w=4.125,kv=8'; do
    expect_code 0 analyze $question --json
    cp "$work/out" "$work/analysis.json"
    follows analysis.json "$work/analysis.json"
    n_expected=$((n_expected + 1))
    python3 - "$work/analysis.json" <<'PY' || fail "sums of $question"
import json
import math
import sys

answer = json.load(open(sys.argv[1], encoding="utf-8"))
for phase, total in answer["totals"].items():
    if not isinstance(total, dict):
        continue
    rows = [row for row in answer["operators"] if row["phase"] == phase]
    for figure in ("flops", "weight_bytes", "read_bytes", "write_bytes", "network_bytes", "time_s", "expected_s"):
        assert math.isclose(total[figure], sum(row[figure + "_all"] for row in rows), rel_tol=1e-12), (phase, figure)
        for row in rows:
            assert math.isclose(row[figure + "_all"], row["layers"] * row[figure], rel_tol=1e-12)
    assert math.isclose(answer["totals"]["parameters"], sum(row["parameters_all"] for row in rows), rel_tol=1e-12)
    longest = max(rows, key=lambda row: row["time_s_all"])
    assert total["bottleneck"] == longest["operator"]
PY
done

# ---- CSV: the same figures ----
expect_code 0 analyze $llama --json
cp "$work/out" "$work/analysis.json"
expect_code 0 analyze $llama --format csv
cp "$work/out" "$work/analysis.csv"
n_expected=$((n_expected + 1))
python3 - "$work/analysis.json" "$work/analysis.csv" <<'PY' || fail 'CSV and JSON differ'
import csv
import json
import sys

rows = json.load(open(sys.argv[1], encoding="utf-8"))["operators"]
lines = list(csv.DictReader(open(sys.argv[2], encoding="utf-8")))
assert len(rows) == len(lines) > 30
for row, line in zip(rows, lines):
    assert set(row) == set(line), set(row) ^ set(line)
    for name, value in row.items():
        assert line[name] == value if isinstance(value, str) else float(line[name]) == value, name
PY

# ---- the workbook ----
book=$work/analysis.xlsx
code=0
"$SHARDPLAN_BIN" analyze $llama --phase all -o "$book" >"$work/out" 2>"$work/err" || code=$?
if [ "$code" -ne 0 ] && grep -q libxlsxwriter "$work/err"; then
    echo 'skipped: this build writes no workbooks'
else
    n_expected=$((n_expected + 1))
    [ "$code" -eq 0 ] || fail "exit code $code for a workbook: $(cat "$work/err")"
    is_empty out
    n_expected=$((n_expected + 1))
    python3 - "$work/analysis.json" "$book" <<'PY' || fail 'the workbook'
import re
import sys
import zipfile

book = zipfile.ZipFile(sys.argv[2])
assert book.testzip() is None
sheets = re.findall(r'<sheet name="([^"]+)"', book.read("xl/workbook.xml").decode())
assert sheets == ["summary", "forward", "backward", "prefill", "decode", "last_decode"], sheets
strings = book.read("xl/sharedStrings.xml").decode()
for word in ("qkv_projection", "attention_core", "Measured (ms)", "Bottleneck", "Longest rotary wavelength"):
    assert word in strings, word
prefill = book.read("xl/worksheets/sheet4.xml").decode()
assert '<pane xSplit="1" ySplit="3"' in prefill, "the header is not frozen"
assert "<autoFilter " in prefill
assert prefill.count("<row ") == 1 + 1 + 15 + 1, prefill.count("<row ")
assert "SUMPRODUCT(" in prefill
PY
fi
# Graphviz takes the graphs, where it is installed.
if command -v dot >/dev/null; then
    for model in llama-3.1-8b deepseek-v3 gpt2 mixtral-8x7b gpt-oss-20b; do
        expect_code 0 analyze "$model" --hardware h100-sxm --graph dot
        n_expected=$((n_expected + 1))
        dot -Tsvg "$work/out" >"$work/graph.svg" 2>"$work/graph.err" && [ ! -s "$work/graph.err" ] &&
            grep -q '</svg>' "$work/graph.svg" || fail "dot refuses the graph of $model: $(cat "$work/graph.err")"
    done
fi

finish
