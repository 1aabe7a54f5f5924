#!/usr/bin/env bash
# Nights of a shop on a real S3 server (Ceph's radosgw, from Debian's packages) behind a proxy that plays its faults.
#
#   usage: make test-s3, or SELVEDGE=PROGRAM PYTHON=PROGRAM tests/s3.sh [WORD]...    (only scenarios whose names hold all words)
#
# Takes the packages from apt where they are missing, which needs root; it fails, and does not pass over, where they cannot be had.
set -euo pipefail
cd "$(dirname "$0")/.."
packages=(radosgw ceph-mon ceph-osd ceph-common)

missing() { for package in "${packages[@]}"; do dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -qx 'install ok installed' || echo "$package"; done; }
give_up() { echo "tests/s3.sh: $1" >&2; exit 1; }

if [ -n "$(missing)" ]; then
    command -v apt-get >/dev/null || give_up "needs a Debian system with ${packages[*]}: there is no apt-get here"
    [ "$(id -u)" = 0 ] || give_up "$(missing | tr '\n' ' ')missing; run it as root, or install them: apt-get install ${packages[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq || give_up "apt-get update failed, and $(missing | tr '\n' ' ')missing"
    # shellcheck disable=SC2046  # One word a package.
    apt-get install -qq -y --no-install-recommends $(missing) >/dev/null || give_up "$(missing | tr '\n' ' ')cannot be installed"
fi
exec "${PYTHON:-python3}" tests/s3/scenarios.py "${SELVEDGE:-${CARGO_TARGET_DIR:-target}/release/selvedge}" "$@"
