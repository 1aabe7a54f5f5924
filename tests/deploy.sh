#!/bin/bash
# Checks what lies in deploy/ without a network and without starting any of it. A tool that is not here is named as "not done",
# never passed over in silence; what pip brings (tests/requirements.txt) must be here.
#   make check-deploy
set -euo pipefail
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
not_done=0

said() { printf '  %-10s %s\n' "$1" "$2"; }
skip() { said "not done" "$1"; not_done=$((not_done + 1)); }
have() { command -v "$1" >/dev/null; }
# Runs quietly; shows all that was said when it fails.
must() {
    local what=$1
    shift
    if ! "$@" >"$scratch/said" 2>&1; then
        said FAILED "$what"
        cat "$scratch/said"
        exit 1
    fi
    said ok "$what"
}

must "scripts: shellcheck" shellcheck deploy/*.sh deploy/slurm/array.sbatch tests/deploy.sh
must "images: hadolint" hadolint deploy/Dockerfile deploy/Dockerfile.cuda
for file in deploy/kubernetes/*.yaml; do
    must "$file: strict schema" kubernetes-validate --strict "$file"
done
must "rights, manifests, images, schedules: what the tools above do not see" python tests/deploy.py
while read -r line; do skip "${line#not done: }"; done < <(grep '^not done: ' "$scratch/said" || true)

# The unit's program is not installed here, so a copy names one that is.
sed -E 's|^(ExecStart[A-Za-z]*=-?)[^ ]*|\1/bin/true|' deploy/selvedge.service >"$scratch/selvedge.service"
cp deploy/selvedge.timer "$scratch/"
if have systemd-analyze; then
    # Unknown keys are only warnings to it, and are errors here.
    verify() {
        systemd-analyze verify "$scratch/selvedge.service" "$scratch/selvedge.timer" 2>&1 | tee "$scratch/warned" &&
            ! grep -q selvedge "$scratch/warned"
    }
    must "units: systemd-analyze verify" verify
    must "units: exposure below 2.5 of 10" systemd-analyze security --offline=yes --threshold=25 --no-pager "$scratch/selvedge.service"
else
    skip "units: systemd-analyze is not here"
fi

promtool=${PROMTOOL:-promtool}
if have "$promtool"; then
    must "alerts: promtool check rules" "$promtool" check rules deploy/prometheus-rules.yml
    must "alerts: promtool test rules" "$promtool" test rules deploy/prometheus-tests.yml
else
    skip "alerts: promtool is not here (Debian: apt-get install prometheus; or PROMTOOL=path)"
fi

if have logrotate; then
    # Users of this machine in place of selvedge, whom it does not know.
    sed "s/selvedge selvedge/$(id -un) $(id -gn)/" deploy/logrotate >"$scratch/logrotate"
    chmod 644 "$scratch/logrotate"
    must "logrotate --debug" logrotate --debug --state "$scratch/state" "$scratch/logrotate"
else
    skip "logrotate is not here"
fi

# Scripts, with programs of the same names that answer as told.
mkdir "$scratch/bin"
cat >"$scratch/bin/selvedge" <<'STUB'
#!/bin/sh
echo "called $*" >>"$CALLS"
first=$(head -n 1 "$ANSWERS")
sed -i 1d "$ANSWERS"
echo "this is the log" >&2
if [ "$first" = wait ]; then
    trap 'echo stopped >>"$CALLS"; exit 143' TERM
    echo ready >"$READY"
    for _ in $(seq 100); do sleep 1 & wait $!; done
    exit 9
fi
exit "$first"
STUB
cat >"$scratch/bin/scontrol" <<'STUB'
#!/bin/sh
echo "scontrol $*" >>"$CALLS"
STUB
chmod +x "$scratch/bin/selvedge" "$scratch/bin/scontrol"
export CALLS=$scratch/calls ANSWERS=$scratch/answers READY=$scratch/ready
PATH=$scratch/bin:$PATH

# The answers that the stub gives, one a call; then what came of it.
begin() { : >"$CALLS"; printf '%s\n' "$@" >"$ANSWERS"; rm -f "$READY"; }
ends() {
    local wanted=$1 status=0
    shift
    "$@" >"$scratch/printed" 2>&1 || status=$?
    if [ "$status" -ne "$wanted" ]; then echo "ended with $status, not $wanted: $*"; cat "$scratch/printed" "$CALLS"; return 1; fi
}
calls() {
    local number
    number=$(grep -c "$1" "$CALLS" || true)
    if [ "$number" -ne "$2" ]; then echo "$number calls of $1, not $2:"; cat "$CALLS"; return 1; fi
}
# Starts, sends SIGTERM once the program is at work, and gives the exit code. A script that does not pass the signal on ends when
# the program gives up by itself, with another code.
stopped() {
    mkfifo "$READY"
    "$@" >"$scratch/printed" 2>&1 &
    local script=$! status=0
    read -r _ <"$READY"
    kill -TERM "$script"
    wait "$script" || status=$?
    rm -f "$READY"
    return "$status"
}
export SELVEDGE_PAUSE=0
nightly=(sh deploy/nightly.sh run file.toml)

codes() {
    for pair in "0 0" "1 1" "2 2" "3 0" "4 4" "5 5"; do
        begin "${pair% *}"
        ends "${pair#* }" "${nightly[@]}" && calls "run file.toml --log json" 1 || return 1
    done
}
must "nightly.sh: 3 becomes 0, others stay and are not tried again" codes
again() { begin 75 75 0 && ends 0 "${nightly[@]}" && calls called 3 && begin 75 75 75 75 && ends 75 "${nightly[@]}" && calls called 3; }
must "nightly.sh: 75 is tried three times" again
engine() { begin 75 0 && SELVEDGE_TRIES=1 ends 75 "${nightly[@]}" && calls called 1; }
must "nightly.sh: once where the engine tries again" engine
quiet() {
    begin 3 && SELVEDGE_LOG=$scratch/log ends 0 "${nightly[@]}" && [ ! -s "$scratch/printed" ] &&
        begin 1 && SELVEDGE_LOG=$scratch/log ends 1 "${nightly[@]}" && grep -q "this is the log" "$scratch/printed"
}
must "nightly.sh: with a log it prints only on trouble" quiet
settings() {
    echo 'SELVEDGE_LOG=/nonexistent/log' >"$scratch/environment"
    begin 0 && SELVEDGE_ENV=$scratch/environment ends 2 "${nightly[@]}" && calls called 0
}
must "nightly.sh: the file of settings is read, a log that cannot be written is said" settings
told() { begin wait && { stopped "${nightly[@]}" || [ $? -eq 143 ]; } && calls stopped 1 && calls called 1; }
must "nightly.sh: SIGTERM reaches the program, whose end is awaited" told
export SELVEDGE_PAUSE=600

export RUN=s3://my-shop/selvedge/runs/one SLURM_ARRAY_JOB_ID=7 SLURM_ARRAY_TASK_ID=3
slurm=(bash deploy/slurm/array.sbatch)
given_back() {
    begin 75 && ends 0 "${slurm[@]}" && calls "scontrol requeue 7_3" 1 &&
        begin 75 && SLURM_RESTART_COUNT=3 ends 75 "${slurm[@]}" && calls scontrol 0 &&
        begin 1 && ends 1 "${slurm[@]}" && calls scontrol 0 && calls "work --run $RUN" 1
}
must "array.sbatch: 75 is given back to Slurm three times, 1 never" given_back
timed_out() { begin wait && stopped "${slurm[@]}" && calls stopped 1 && calls "scontrol requeue 7_3" 1; }
must "array.sbatch: SIGTERM reaches the program, and the task is given back" timed_out

if [ "$not_done" -gt 0 ]; then echo "deploy/: good, but $not_done not done"; else echo "deploy/: good"; fi
