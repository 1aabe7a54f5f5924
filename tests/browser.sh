#!/usr/bin/env bash
# Opens a report page in headless Chromium: light, dark, on a phone and on paper. Asserts what `tests/browser.py` says at its top.
#
#   usage: tests/browser.sh FILE.html [--charts N] [--shots FOLDER]
#
# Takes Debian's chromium-headless-shell from apt where there is no Chromium, which needs root; it fails, and does not pass over,
# where it cannot be had. CHROMIUM names another program of that kind, PYTHON another Python (3.9 or newer, nothing installed).
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
package=chromium-headless-shell

give_up() { echo "tests/browser.sh: $1" >&2; exit 1; }
found() {
    local program
    for program in ${CHROMIUM:+"$CHROMIUM"} chromium-headless-shell chromium chromium-browser google-chrome; do
        if command -v "$program"; then return; fi
    done
    return 1
}

if ! program="$(found)"; then
    command -v apt-get >/dev/null || give_up "needs Chromium: install it, or name it with CHROMIUM=PROGRAM"
    [ "$(id -u)" = 0 ] || give_up "$package is missing; run it as root, or install it: apt-get install $package"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq || give_up "apt-get update failed, and $package is missing"
    apt-get install -qq -y --no-install-recommends "$package" >/dev/null || give_up "$package cannot be installed"
    program="$(found)" || give_up "$package is installed and there is no program of that name"
fi
exec "${PYTHON:-python3}" "$here/browser.py" "$program" "$@"
