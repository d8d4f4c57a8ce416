#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Checks what the compiler does not: includes point down the layers only, outside libraries are
# known to one file each, every source is licensed, no function is longer than 60 lines, and nothing
# is left for later.
#
#     sh tests/check_layers.sh [FOLDER]    FOLDER is a source tree; default: this one
set -eu

cd "${1:-$(dirname "$0")/..}"

# Existing ones of these files and folders.
existing() { ls -d "$@" 2>/dev/null || true; }

# shellcheck disable=SC2046
sources() { find $(existing "$@") -name '*.[ch]' -o -name '*.def' | sort; }

# Each room may include itself and the rooms before it in the list. A public header is of the lowest
# room that fills it.
check_includes() {
    sources src include | while read -r file; do
        awk -v file="$file" '
            function level(room,    n, rooms, i) {
                n = split("base formula spec graph cost step analysis serve space front search report fidelity cli", rooms, " ")
                for (i = 1; i <= n; i++) if (rooms[i] == room) return i
                return 0
            }
            function owner(header) {
                if (header == "status.h") return "base"
                if (header == "formula.h") return "formula"
                if (header ~ /^(model|cluster|surface|discover|plan|engine|optimizer|recipe|checkpoint)\.h$|^(axes|model_fields)\.def$/) return "spec"
                if (header ~ /^(analysis|sweep|memory)\.h$|^memory_(knobs|parts)\.def$/) return "analysis"
                if (header ~ /^(serve|serving|serving_rules)\.h$|^(serve_timing|serving_axes|serving_fields|serving_objectives)\.def$/) return "serve"
                if (header == "serving_space.h") return "space"
                if (header ~ /^(problem|estimate|timeline|traffic)\.h$/) return "step"
                if (header ~ /^(space|front|search|report|fidelity)\.h$/) return substr(header, 1, length(header) - 2)
                if (header == "inverse.h") return "search"
                if (header ~ /^(evidence|roofline|serving_report)\.h$/) return "report"
                if (header == "calibrate.h") return "fidelity"
                return "none"
            }
            BEGIN {
                n = split(file, part, "/")
                room = part[1] == "src" ? part[2] : owner(part[n])
                if (!level(room)) print file ": belongs to no room; see tests/check_layers.sh"
            }
            /^[ \t]*#[ \t]*include[ \t]*"/ {
                split($0, quoted, "\"")
                n = split(quoted[2], path, "/")
                at = file ":" NR ": "
                public = path[1] == "shardplan"
                target = public ? owner(path[n]) : path[1]
                if (n < 2 || !level(target)) print at quoted[2] " names no room"
                else if (room == "front" && !public && target != "base" && target != "front")
                    print at "front knows base and public headers, not " quoted[2]
                else if (level(target) > level(room) && !(room == "front" && public))
                    print at room " includes " quoted[2] " from above"
            }' "$file"
    done
}

# One file alone may include <HEADER>.
check_alone() {
    files=$(sources src include | xargs grep -lE "^[[:space:]]*#[[:space:]]*include[[:space:]]*<$1>" || true)
    [ "$(printf '%s\n' "$files" | grep -c .)" -le 1 ] ||
        printf '%s\n' "$files" | sed "s/\$/: more than one file includes $1/"
}

check_jansson() {
    sources src include tests benchmarks |
        xargs grep -lE '^[[:space:]]*#[[:space:]]*include[[:space:]]*<jansson' |
        grep -v '^src/base/json_' | sed 's/$/: jansson.h belongs in src\/base\/json_*.c/' || true
}

# In the first line, or after the #! of a script.
check_licence() {
    # shellcheck disable=SC2046
    find $(existing src include tests benchmarks jobs .ci CMakeLists.txt) -type f \
        \( -name '*.[ch]' -o -name '*.def' -o -name '*.sh' -o -name '*.supp' -o -name '*.awk' \
        -o -name run -o -name CMakeLists.txt \) | sort | while read -r file; do
        head -n 2 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' ||
            printf '%s: its first line must name the licence\n' "$file"
    done
}

# A function's braces stand in the first column; a shorter thing than a function may too.
check_length() {
    sources src tests benchmarks | while read -r file; do
        awk -v file="$file" '
            /^\{/ { start = NR }
            /^\}/ && start {
                if (NR - start > 61) print file ":" start ": a function of " NR - start - 1 " lines, of 60"
                start = 0
            }' "$file"
    done
}

check_finished() {
    left='TO''DO|FIX''ME'
    # shellcheck disable=SC2046
    grep -rnE "$left" $(existing src include tests benchmarks jobs .ci CMakeLists.txt) |
        sed 's/$/ (left for later)/' || true
}

complaints=$(
    check_includes
    check_alone 'mpi\.h'
    check_alone 'hwloc\.h'
    check_alone 'cairo\.h'
    check_alone 'omp\.h'
    check_alone 'zlib\.h'
    check_jansson
    check_licence
    check_length
    check_finished
)
[ -z "$complaints" ] && exit 0
printf '%s\n' "$complaints"
exit 1
