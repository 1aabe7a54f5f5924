#!/bin/bash
# The collective calls of training, on several ranks as a job starts them: under mpiexec of Open MPI and of MPICH, which it takes
# from PyPI into .mpi (ignored), and with NCCL as far as that goes without a GPU: tests/ranks/stand_in.c is in its place.
# Each must give bit-equal sums in the order of the ranks, and end the whole job when one rank fails or is killed.
#
#   usage: tests/mpi.sh [openmpi|mpich|nccl|system]...      (all but system when none is named)
#   system takes the mpiexec of PATH and the library that the loader finds: a cluster's own.
#   RANKS=FILE is the test's program when it is built already; SELVEDGE=FILE the program, to train with it on two ranks.
set -euo pipefail
cd "$(dirname "$0")/.."

openmpi=5.0.11 mpich=5.0.2
here=$PWD/.mpi
passed=0 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ -z "${RANKS:-}" ]; then
    cargo build --release --locked --features mpi,nccl --example ranks
    RANKS=${CARGO_TARGET_DIR:-target}/release/examples/ranks
fi
RANKS=$(realpath "$RANKS")

result() { # NAME STATUS: counts it, and shows the output of what failed
    if [ "$2" -eq 0 ]; then
        passed=$((passed + 1)); echo "ok      $1"
    else
        failed=$((failed + 1)); echo "FAILED  $1"; sed 's/^/        /' "$work/out" | tail -30
    fi
}

install() { # PACKAGE VERSION: into a folder of its own, as both bring an mpiexec
    if [ ! -f "$here/$1/$2.ready" ]; then
        rm -rf "${here:?}/$1"
        python3 -m venv "$here/$1"
        "$here/$1/bin/pip" install --quiet --disable-pip-version-check "$1==$2"
        touch "$here/$1/$2.ready"
    fi
}

launch() { # N COMMAND...: as N ranks of the MPI under test
    local ranks=$1; shift
    timeout 180 "$mpiexec" ${crowd:-} -n "$ranks" "$@"
}

local_ranks() { # N COMMAND...: as N ranks on this host without a launcher; fails when one of them does
    local ranks=$1 rank status=0 pids=(); shift
    for ((rank = 0; rank < ranks; rank++)); do
        RANK=$rank WORLD_SIZE=$ranks LOCAL_RANK=$rank timeout 180 "$@" & pids+=($!)
    done
    for rank in "${pids[@]}"; do wait "$rank" || status=1; done
    return $status
}

checks() { # NAME STARTER KIND: what holds for every kind
    local name=$1 start=$2 kind=$3 ranks test
    for ranks in 1 2 4; do
        $start "$ranks" "$RANKS" "$kind" check >"$work/out" 2>&1 \
            && [ "$(grep -c 'as it must be' "$work/out")" -eq "$ranks" ] && s=0 || s=1
        result "$name: sums, counts, broadcast and vote over $ranks ranks" $s
    done
    $start 2 "$RANKS" "$kind" time 100 >"$work/out" 2>&1 && s=0 || s=1
    result "$name: $(grep 'sum of' "$work/out" || echo 'timing')" $s
    for test in 'fail:rank 1 has had enough' 'panic:rank 1 has had enough' 'lengths:another step' 'steps:another step'; do
        $start 2 "$RANKS" "$kind" "${test%%:*}" >"$work/out" 2>&1 && s=1 || s=0
        # MPICH's mpiexec sometimes kills its proxies before what the rank said has come through.
        [[ $name == MPICH* ]] || grep -q "${test#*:}" "$work/out" || s=1
        result "$name: ${test%%:*} of one rank ends the job, with its message" $s
    done
    killed "$name" "$start" "$kind"
}

killed() { # NAME STARTER KIND: rank 1 of 2 is killed in the middle
    local name=$1 start=$2 kind=$3 job victim other begun status=0 waited=0
    : >"$work/out"
    $start 2 "$RANKS" "$kind" loop >"$work/out" 2>&1 & job=$!
    while [ "$(grep -c 'is process' "$work/out")" -lt 2 ] && [ $waited -lt 300 ]; do sleep 0.1; waited=$((waited + 1)); done
    victim=$(sed -n 's/.*rank 1 is process //p' "$work/out") other=$(sed -n 's/.*rank 0 is process //p' "$work/out")
    sleep 0.5
    begun=$SECONDS
    kill -9 "$victim" || true
    wait $job || status=$?
    [ $status -ne 0 ] && [ $((SECONDS - begun)) -le 10 ] && [ -n "$other" ] && ! kill -0 "$other" 2>/dev/null && s=0 || s=1
    result "$name: kill -9 of one rank ends the job ($((SECONDS - begun)) s, status $status)" $s
}

# The largest relative difference of two files of weights: the length of a tensor's difference by the length of the tensor. A
# bias before a batch norm has no gradient but rounding: below a thousandth a number counts as a thousandth.
cat >"$work/differ.py" <<'P'
import array, json, math, struct, sys
def read(path):
    data = open(path, "rb").read()
    size, = struct.unpack("<Q", data[:8])
    for name, about in json.loads(data[8:8 + size]).items():
        if name != "__metadata__" and about["dtype"] == "F32":
            first, last = about["data_offsets"]
            yield name, array.array("f", data[8 + size + first:8 + size + last])
one, other = dict(read(sys.argv[1])), dict(read(sys.argv[2]))
assert one.keys() == other.keys()
length = lambda numbers: math.sqrt(math.fsum(number * number for number in numbers))
size = lambda numbers: max(length(numbers), 1e-3 * math.sqrt(len(numbers)))
worst = max(length([a - b for a, b in zip(one[name], other[name])]) / size(one[name]) for name in one)
print(f"largest relative difference {worst:.1e}")
sys.exit(worst > float(sys.argv[3]))
P

data() { # made-up photos and their tables, once
    [ -d "$work/store" ] && return
    (cd "$work" && "$SELVEDGE" sample-data --images 12 --catalog 1 --seed 3 --out photos \
        && "$SELVEDGE" ingest --csv photos/train.csv --out store && "$SELVEDGE" merge --annotations store --out store \
        && "$SELVEDGE" split --data store) >"$work/out" 2>&1
}

train() { # NAME ARCH MORE...
    local name=$1 arch=$2; shift 2
    "$SELVEDGE" train --data "$work/store" --photos "$work/photos/train" --arch "$arch" --size 64x64 --scale 256x64 --batch 4 \
        --epochs 3 --rate 0.003 --validate-every 0 --look whole --device cpu --threads 1 --checkpoint-steps 1 --name "$name" "$@"
}
export -f train
export work

training() { # NAME: two ranks of half the batch are one of the whole; a rank that is killed ends the job, which then goes on
    local name=$1 arch key job
    data || { result "$name: data to train on" 1; return; }
    for arch in segmenter-vit-xs-mask/8 setr-xs-mla/8; do
        key=${arch%/*}
        [ -d "$work/store/models/one-$key" ] || train "one-$key" "$arch" >"$work/out" 2>&1 || true
        rm -rf "$work/store/models/two-$key" "$work/store/train/two-$key"
        launch 2 bash -c "train two-$key $arch --ranks mpi" >"$work/out" 2>&1 \
            && python3 "$work/differ.py" "$work/store/models/"{one,two}"-$key/weights.safetensors" 2e-4 >"$work/said" && s=0 || s=1
        result "$name: $arch on 2 ranks is $arch on one, $(cat "$work/said" 2>/dev/null)" $s
    done
    rm -rf "$work/store/models/hit" "$work/store/train/hit"
    launch 2 bash -c "train hit segmenter-vit-xs-mask/8 --ranks mpi" >"$work/out" 2>&1 & job=$!
    # Once there is a checkpoint, one of the ranks is killed.
    while kill -0 $job 2>/dev/null && ! compgen -G "$work/store/train/hit/*/*.json" >/dev/null; do sleep 0.1; done
    pkill -9 -n -f -- '--name hit' || true
    wait $job && s=1 || s=0
    result "$name: a training whose rank is killed ends" $s
    launch 2 bash -c "train hit segmenter-vit-xs-mask/8 --ranks mpi" >"$work/out" 2>&1 \
        && cmp "$work/store/models/"{two-segmenter-vit-xs-mask,hit}"/weights.safetensors" && s=0 || s=1
    result "$name: started again, it ends with the same weights bit for bit" $s
}

mpi() { # NAME MPIEXEC LIBRARY
    local mpiexec=$2 crowd=
    export SELVEDGE_MPI=$3
    if "$mpiexec" --version 2>&1 | grep -qiE 'open ?mpi|open-mpi|prrte'; then
        crowd=--oversubscribe
        # Containers and CI run as root.
        [ "$(id -u)" -ne 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    fi
    checks "$1" launch mpi
    [ -z "${SELVEDGE:-}" ] || training "$1"
    unset SELVEDGE_MPI
}

for kind in "${@:-all}"; do
    if [ "$kind" = openmpi ] || [ "$kind" = all ]; then
        install openmpi $openmpi
        mpi "Open MPI $openmpi" "$here/openmpi/bin/mpiexec" "$here/openmpi/lib/libmpi.so.40"
    fi
    if [ "$kind" = mpich ] || [ "$kind" = all ]; then
        install mpich $mpich
        mpi "MPICH $mpich" "$here/mpich/bin/mpiexec" "$here/mpich/lib/libmpi.so.12"
        mpi "MPICH $mpich by the interface of MPI 5" "$here/mpich/bin/mpiexec" "$here/mpich/lib/libmpi_abi.so.1"
    fi
    if [ "$kind" = openmpi ] || [ "$kind" = mpich ] || [ "$kind" = all ]; then
        for other in openmpi/lib/libmpi.so.40:mpich mpich/lib/libmpi.so.12:openmpi; do
            [ -f "$here/${other%:*}" ] && [ -x "$here/${other#*:}/bin/mpiexec" ] || continue
            SELVEDGE_MPI=$here/${other%:*} timeout 60 "$here/${other#*:}/bin/mpiexec" -n 2 "$RANKS" mpi check \
                >"$work/out" 2>&1 && s=1 || s=0
            result "another MPI's launcher (${other#*:} for ${other%%/*}) is refused" $s
        done
    fi
    if [ "$kind" = system ]; then
        mpi "MPI of this system" "$(command -v mpiexec)" ""
    fi
    if [ "$kind" = nccl ] || [ "$kind" = all ]; then
        "${CC:-cc}" -O2 -Wall -Wextra -Werror -shared -fPIC -o "$work/libnccl.so.2" tests/ranks/stand_in.c
        ln -sf libnccl.so.2 "$work/libcudart.so.13"
        export TMPDIR=$work MASTER_ADDR=127.0.0.1 SELVEDGE_NCCL=$work LD_LIBRARY_PATH=$work${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
        MASTER_PORT=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
        export MASTER_PORT
        checks 'NCCL (stand-in)' local_ranks nccl
        STAND_IN_DIES=1 local_ranks 3 "$RANKS" nccl loop >"$work/out" 2>&1 && s=1 || s=0
        [ "$(grep -c 'is gone' "$work/out")" -eq 2 ] || s=1
        result 'NCCL (stand-in): a rank that is killed while the others wait for their GPUs is noticed' $s
        unset SELVEDGE_NCCL MASTER_ADDR MASTER_PORT
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
