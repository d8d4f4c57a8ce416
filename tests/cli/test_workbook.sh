#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The workbook of an analysis in LibreOffice, which opens it and works out its formulas anew. Skipped
# where there is no LibreOffice, or no library to write workbooks with.
command -v soffice >/dev/null 2>&1 || exit 77
. "$(dirname "$0")/lib.sh"

llama='llama-3.1-8b --hardware h100-sxm'
code=0
"$SHARDPLAN_BIN" analyze $llama -o "$work/analysis.xlsx" 2>"$work/err" || code=$?
if [ "$code" -ne 0 ] && grep -q libxlsxwriter "$work/err"; then exit 77; fi
expect_code 0 analyze $llama -o "$work/analysis.xlsx"
expect_code 0 analyze $llama --json
cp "$work/out" "$work/analysis.json"

# Every sheet as CSV, numbers as they are shown.
n_expected=$((n_expected + 1))
HOME=$work timeout 120 soffice --headless \
    --convert-to 'csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false,false,false,-1' \
    --outdir "$work/sheets" "$work/analysis.xlsx" >"$work/soffice" 2>&1 || fail "LibreOffice: $(cat "$work/soffice")"

n_expected=$((n_expected + 1))
python3 - "$work/analysis.json" "$work/sheets" <<'PY' || fail 'LibreOffice works out other figures'
import csv
import json
import math
import sys

totals = json.load(open(sys.argv[1], encoding="utf-8"))["totals"]
for phase in ("prefill", "decode", "last_decode"):
    lines = list(csv.reader(open(f"{sys.argv[2]}/analysis-{phase}.csv", encoding="utf-8")))
    header, last = lines[2], [line for line in lines if line and line[0] == "All layers"][0]

    def figure(name):
        return float(last[header.index(name)].replace(",", ""))

    assert math.isclose(figure("FLOPs"), totals[phase]["flops"], rel_tol=1e-9)
    assert abs(figure("All layers (ms)") - totals[phase]["time_s"] * 1e3) < 1e-3
    assert abs(figure("Measured (ms)") - totals[phase]["expected_s"] * 1e3) < 1e-3
PY
finish
