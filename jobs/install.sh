#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs what packages.txt lists and this machine lacks: what the build needs, and with the word
# "test" what the tests need too. Does nothing, at once, when all is there.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
wanted=${1:-build}

say() { printf 'shardplan: %s\n' "$*" >&2; }

# Names of the packages for a purpose: the tests need what the build needs as well.
listed() {
    awk -v wanted="$wanted" '/^[^#]/ && ($2 == "build" || $2 == wanted) { print $1 }' \
        "$here/packages.txt"
}

missing() {
    for package in $(listed); do
        dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed ||
            printf '%s ' "$package"
    done
}

if ! command -v apt-get >/dev/null 2>&1; then
    say "no apt-get here; install what corresponds to: $(listed | tr '\n' ' ')"
    exit 0
fi

packages=$(missing)
[ -n "$packages" ] || exit 0
say "missing Debian packages: $packages"

# Root installs directly. Others need sudo, without a password or with somebody there to type it.
if [ "$(id -u)" -eq 0 ]; then
    as_root=''
elif command -v sudo >/dev/null 2>&1 && { sudo -n true 2>/dev/null || { [ -t 0 ] && sudo -v; }; }; then
    as_root='sudo'
else
    say "installing needs root; please run this and try again:"
    printf '  apt-get update && apt-get install --no-install-recommends %s\n' "$packages" >&2
    exit 1
fi

apt() {
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@"
}

# $packages is a list of words on purpose. The simulation tells whether the lists of packages are
# there; a failing download, whether they are too old.
install_packages() {
    # shellcheck disable=SC2086
    apt install -y --no-install-recommends $packages >"$log" 2>&1
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
say "installing them (a minute or two)"
# shellcheck disable=SC2086
if apt install -s --no-install-recommends $packages >/dev/null 2>&1 && install_packages; then
    exit 0
fi
if apt update >"$log" 2>&1 && install_packages; then
    exit 0
fi
cat "$log" >&2
say "apt-get could not install the packages; see above"
exit 1
