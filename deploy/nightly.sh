#!/bin/sh
# Starts selvedge for those who know only zero and not zero: cron and Kubernetes. systemd needs none of this.
# Must not decide anything about a run; what its exit codes mean stands in the project's README.
#
#   usage: nightly.sh COMMAND [WORD…]       such as: nightly.sh run /etc/selvedge/catalog-nightly.toml
#
# Exit 3 (done, bad photos in quarantine within the limit) becomes 0, every other code stays. 75 (a store that fails for
# now) is tried again. Settings come from the environment:
#   SELVEDGE_ENV    a file of NAME=value lines to be read first, e.g. /etc/selvedge/environment
#   SELVEDGE_LOG    a file for the JSON log and the results; then something is printed, and so mailed by cron, only on trouble
#   SELVEDGE_TRIES  how often 75 is tried in all, 3 unless given; 1 where the engine tries again by itself
#   SELVEDGE_PAUSE  seconds between tries, 600 unless given
set -u

if [ -n "${SELVEDGE_ENV:-}" ]; then
    set -a
    # shellcheck disable=SC1090  # the file is the host's
    . "$SELVEDGE_ENV"
    set +a
fi
tries=${SELVEDGE_TRIES:-3}
pause=${SELVEDGE_PAUSE:-600}
child=
stopping=

# As the first process of a container, or below cron, a shell passes no signal on by itself, and the program is to end cleanly.
# shellcheck disable=SC2329  # called by the trap
pass_on() {
    stopping=1
    interrupted=1
    if [ -n "$child" ]; then kill -TERM "$child" 2>/dev/null; fi
}
trap pass_on TERM INT

# A signal ends `wait` early, so it is asked again; 127 means that the child had been waited for already.
await() {
    status=127
    while :; do
        interrupted=
        wait "$child"
        now=$?
        if [ "$now" -ne 127 ]; then status=$now; fi
        if [ -z "$interrupted" ]; then break; fi
    done
    child=
}

once() {
    if [ -n "${SELVEDGE_LOG:-}" ]; then
        selvedge "$@" --log json >>"$SELVEDGE_LOG" 2>&1 &
    else
        selvedge "$@" --log json &
    fi
    child=$!
    # Told to stop between the two lines above.
    if [ -n "$stopping" ]; then kill -TERM "$child" 2>/dev/null; fi
    await
}

if [ -n "${SELVEDGE_LOG:-}" ] && ! : >>"$SELVEDGE_LOG"; then
    echo "nightly.sh: $SELVEDGE_LOG cannot be written; give its folder to $(id -un), or set SELVEDGE_LOG to another file" >&2
    exit 2
fi

try=1
while :; do
    once "$@"
    if [ "$status" -ne 75 ] || [ "$try" -ge "$tries" ] || [ -n "$stopping" ]; then break; fi
    try=$((try + 1))
    sleep "$pause" &
    child=$!
    await
    # Told to stop while it waited: the next night goes on from here.
    if [ -n "$stopping" ]; then
        status=143
        break
    fi
done

case $status in
0 | 3) exit 0 ;;
esac
echo "selvedge $1 ended with exit $status on $(hostname)." >&2
if [ -n "${SELVEDGE_LOG:-}" ]; then
    echo "The last lines of $SELVEDGE_LOG:" >&2
    tail -n 20 "$SELVEDGE_LOG" >&2
fi
exit "$status"
