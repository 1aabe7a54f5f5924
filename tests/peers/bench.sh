#!/usr/bin/env bash
# Selvedge beside its peers and the floor: each figure with the bound that was set for it, slow or not.
#   bash tests/peers/bench.sh [masks|stats|cutout|plan|list|train|loader|curves|help|guard|all]...
# Everything lies in .bench, kept between calls. SELVEDGE names the program; U2NETP a model of that name (without it there
# is no cutout section); BENCH_LONG=1 adds the run of 2,400 photos. Compare CPU seconds and ratios within one call: wall
# seconds depend on what else the machine does.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
peers=$root/tests/peers
bench=$root/.bench
selvedge=${SELVEDGE:-${CARGO_TARGET_DIR:-target}/release/selvedge}
[ -x "$selvedge" ] || { echo "bench.sh: no program at $selvedge; run \`make build\`, or name one with SELVEDGE" >&2; exit 2; }
selvedge=$(readlink -f "$selvedge")
model=${U2NETP:+$(readlink -f "$U2NETP")}
PYTHON=$bench/venv/bin/python
export PYTHON NUMBA_CACHE_DIR=$bench/numba
# Ours and the peers' ONNX Runtime are of one version, so that only what is around it differs.
packages=(polars pandas numba pyarrow numpy pillow scikit-learn blake3 opencv-python-headless onnx "rembg[cpu,cli]" onnxruntime==1.31.1)

prepare() {
    mkdir -p "$bench/logs"
    [ "$(cat "$bench/venv/ready" 2>/dev/null)" = "${packages[*]}" ] && return
    echo "bench.sh: setting up $bench/venv" >&2
    python3 -m venv "$bench/venv"
    "$PYTHON" -m pip install --quiet --disable-pip-version-check "${packages[@]}"
    echo "${packages[*]}" >"$bench/venv/ready"
}

# The steps and the curves have an environment of their own.
TORCH=$bench/torch/bin/python
torch_packages=(torch numpy onnx safetensors pyarrow)
prepare_torch() {
    mkdir -p "$bench/logs"
    [ "$(cat "$bench/torch/ready" 2>/dev/null)" = "${torch_packages[*]}" ] && return
    echo "bench.sh: setting up $bench/torch" >&2
    python3 -m venv "$bench/torch"
    "$TORCH" -m pip install --quiet --disable-pip-version-check "${torch_packages[@]}"
    echo "${torch_packages[*]}" >"$bench/torch/ready"
}

# measure NAME COMMAND... → "wall cpu megabytes"; what the command says goes to the log of that name.
measure() {
    local log=$bench/logs/$1.log
    shift
    "$PYTHON" "$peers/measure.py" "$log" "$@"
}

calc() { awk "BEGIN { printf \"%.${2:-2}f\", ($1) }"; }
# line WHAT VALUE [BOUND HOLDS]: one figure, and whether its bound holds (an awk condition).
line() {
    local verdict=""
    [ $# -lt 4 ] || verdict=$(awk "BEGIN { print ($4) ? \"  (bound $3: holds)\" : \"  (bound $3: MISSED)\" }")
    printf '  %-56s %s%s\n' "$1" "$2" "$verdict"
}
heading() { printf '\n%s\n' "$1"; }

masks() {
    local data=$bench/masks wall cpu peak out
    mkdir -p "$data"
    [ -s "$data/train.csv" ] || { "$PYTHON" "$peers/gen_train_csv.py" --out "$data/train.new" && mv "$data/train.new" "$data/train.csv"; }
    # The same rows in another order, so that no image's rows are adjacent; and the first 5,000 images, for the peer.
    [ -s "$data/permuted.csv" ] || "$PYTHON" - "$data" <<'P'
import os, random, sys
folder = sys.argv[1]
with open(f"{folder}/train.csv", "rb") as file:
    header, *rows = file.readlines()
random.Random(1).shuffle(rows)
with open(f"{folder}/new", "wb") as file:
    file.write(header)
    file.writelines(rows)
os.replace(f"{folder}/new", f"{folder}/permuted.csv")
P
    [ -s "$data/first.csv" ] || awk -F, 'NR > 1 && $1 != last { last = $1; images++ } images > 5000 { exit } { print }' \
        "$data/train.csv" >"$data/first.csv"
    heading "masks: $(($(wc -l <"$data/train.csv") - 1)) rows, $(($(stat -Lc %s "$data/train.csv") / 1000000)) MB"
    cat "$data"/*.csv >/dev/null
    read -r wall cpu peak < <(measure floor wc -l "$data/train.csv")
    line "floor: counting the lines of the file, CPU s" "$cpu"
    local ours="" floor=$cpu name ingest_cpu ingest_peak rows images
    for name in train permuted first; do
        out=$data/$name.store
        rm -rf "$out"
        read -r wall ingest_cpu ingest_peak < <(measure "ingest-$name" "$selvedge" ingest --csv "$data/$name.csv" --out "$out" --json --log quiet)
        read -r wall cpu peak < <(measure "merge-$name" "$selvedge" merge --annotations "$out" --out "$out" --classes all --policy annotation-order --json --log quiet)
        images=$("$PYTHON" -c 'import json, pathlib, sys; print(json.loads(max(pathlib.Path(sys.argv[1]).glob("masks/_versions/*.json")).read_text())["rows"])' "$out")
        local both most
        both=$(calc "$ingest_cpu + $cpu")
        most=$(calc "$ingest_peak > $peak ? $ingest_peak : $peak" 0)
        if [ "$name" = first ]; then
            ours=$(calc "$images / $both" 0)
            line "first 5,000 images: ingest + merge, CPU s" "$ingest_cpu + $cpu = $both, $ours images per CPU s"
            continue
        fi
        line "$name: ingest + merge, CPU s" "$ingest_cpu + $cpu = $both" "10 CPU s" "$both <= 10"
        line "$name: times the floor" "$(calc "$both / $floor" 1)"
        line "$name: images per CPU s" "$(calc "$images / $both" 0) ($images images)"
        line "$name: peak memory, ingest / merge, MB" "$ingest_peak / $peak" "300 MB" "$most <= 300"
    done
    local peer_images peer_cpu peer_rate peer_peak
    read -r peer_images peer_cpu peer_rate peer_peak < <("$PYTHON" "$peers/bench_masks.py" numba "$data/first.csv" 5000 "$data/peer.parquet")
    line "peer (polars + numba), first $peer_images images" "$peer_cpu CPU s, $peer_rate images per CPU s, $peer_peak MB"
    line "images per CPU s, ours to the peer's" "$(calc "$ours / $peer_rate")x" "5x" "$ours / $peer_rate >= 5"
    "$PYTHON" - "$data" <<'P'
import glob, json, sys
import polars as pl
folder = sys.argv[1]
manifest = json.load(open(max(glob.glob(f"{folder}/first.store/masks/_versions/*.json"))))
parts = [f"{folder}/first.store/masks/{part['file']}" for part in manifest["parts"]]
columns = ["image_id", "height", "width", "lengths", "classes"]
read = lambda files: pl.read_parquet(files, columns=columns).select(
    "image_id", "height", "width", pl.col("lengths").cast(pl.List(pl.Int64)), pl.col("classes").cast(pl.List(pl.Int64))
).sort("image_id")
ours, peer = read(parts), read([f"{folder}/peer.parquet"])
same = ours.height == peer.height and all((ours[name] == peer[name]).all() for name in columns)
print(f"  the same masks as the peer's: {'yes' if same else 'NO'}")
P
}

# All questions that need no photo, on the tables of the whole CSV: with the figures of masks that SQL cannot compute made
# first, and again with these remembered. The peer answers a few of them from the CSV, as notebooks do.
stats() {
    local data=$bench/masks out=$bench/stats/store wall cpu peak first peer parts
    mkdir -p "$data" "$bench/stats"
    [ -s "$data/train.csv" ] || { "$PYTHON" "$peers/gen_train_csv.py" --out "$data/train.new" && mv "$data/train.new" "$data/train.csv"; }
    rm -rf "$out"
    measure stats-ingest "$selvedge" ingest --csv "$data/train.csv" --out "$out" --log quiet >/dev/null
    measure stats-merge "$selvedge" merge --annotations "$out" --out "$out" --classes all --log quiet >/dev/null
    measure stats-split "$selvedge" split --data "$out" --log quiet >/dev/null
    parts=("$out"/annotations/*.parquet "$out"/masks/*.parquet "$out"/splits/*.parquet)
    heading "stats: $(($(wc -l <"$data/train.csv") - 1)) rows, $(ls sql/*.sql sql/checks/*.sql | wc -l) questions and checks"
    read -r wall cpu peak < <(measure stats-floor cat "${parts[@]}")
    line "floor: reading the tables' files once, CPU s" "$cpu"
    read -r wall first peak < <(measure stats-first "$selvedge" stats --data "$out" --sql sql --log quiet)
    line "first report, CPU s" "$first ($wall s)" "15 CPU s" "$first <= 15"
    line "first report, peak memory, MB" "$peak" "1024 MB" "$peak <= 1024"
    read -r wall cpu peak < <(measure stats-again "$selvedge" stats --data "$out" --sql sql --log quiet)
    line "next report, figures of masks remembered, CPU s" "$cpu ($wall s)"
    read -r wall peer peak < <(measure stats-peer "$PYTHON" "$peers/stats_pandas.py" "$data/train.csv")
    line "peer (pandas), 6 of the questions from the CSV, CPU s" "$peer, $peak MB"
    line "CPU s, ours for all to the peer's for 6" "$(calc "$first / $peer")x"
}

# photos COUNT: a folder of so many photos of 3 megapixels; the first 24 are pictures, the others links to them.
photos() {
    local folder=$bench/cutout/photos-$1
    if [ ! -d "$folder" ]; then
        rm -rf "$folder.new" "$bench/cutout/drawn"
        mkdir -p "$folder.new"
        if [ "$1" = 24 ]; then
            "$selvedge" sample-data --images 1 --catalog 24 --seed 1 --out "$bench/cutout/drawn" --log quiet >/dev/null
            "$PYTHON" - "$bench/cutout/drawn/catalog" "$folder.new" <<'P'
import pathlib, sys
from PIL import Image
source, out = map(pathlib.Path, sys.argv[1:])
for path in sorted(source.glob("*.jpg")):
    photo = Image.open(path).convert("RGB").resize((1500, 2000), Image.Resampling.BICUBIC)
    photo.save(out / path.name, quality=90)
P
        else
            local from=("$(photos 24)"/*.jpg) at
            for ((at = 0; at < $1; at++)); do
                ln "${from[at % ${#from[@]}]}" "$folder.new/$(printf 'photo-%05d.jpg' "$at")"
            done
        fi
        mv "$folder.new" "$folder"
    fi
    echo "$folder"
}

cutouts() { # cutouts COUNT [MORE WORDS...] → "wall cpu megabytes"
    local count=$1 out=$bench/cutout/ours
    shift
    rm -rf "$out"
    measure "cutout-$count" "$selvedge" cutout "$(photos "$count")/" --model "$model" --out "$out" --review sheet=0 --json --log quiet "$@"
}

cutout() {
    heading "cutout: photos of 1500 x 2000 pixels, $(nproc) cores"
    if [ -z "$model" ]; then
        echo "  left out: give U2NETP=path/of/u2netp.onnx"
        return
    fi
    [ -z "$(find "$root/.runtime" -name 'libonnxruntime.so*' 2>/dev/null)" ] && bash deploy/runtime.sh
    mkdir -p "$bench/cutout"
    photos 1 >/dev/null
    photos 24 >/dev/null
    local turn wall cpu peak made walls="" cpus="" peer_walls="" peer_cpus="" peer=$bench/cutout/peer
    for turn in 1 2; do
        read -r wall cpu peak < <(cutouts 24)
        walls+="$wall " cpus+="$cpu "
        line "selvedge, turn $turn: wall s, CPU s, peak MB" "$wall, $cpu, $peak"
        read -r wall cpu peak made < <(bash "$peers/bench_rembg.sh" "$model" "$(photos 24)" "$peer" "$bench/logs/rembg-$turn.log")
        peer_walls+="$wall " peer_cpus+="$cpu "
        line "rembg, turn $turn: wall s, CPU s, peak MB, cutouts" "$wall, $cpu, $peak, $made"
    done
    mean() { awk '{ for (i = 1; i <= NF; i++) sum += $i; print sum / NF }' <<<"$1"; }
    walls=$(mean "$walls") cpus=$(mean "$cpus") peer_walls=$(mean "$peer_walls") peer_cpus=$(mean "$peer_cpus")
    line "rembg's wall to selvedge's" "$(calc "$peer_walls / $walls")x"
    line "rembg's CPU to selvedge's" "$(calc "$peer_cpus / $cpus")x"
    # One photo costs the start of the program; what 23 more cost is the work.
    local one_wall one_cpu peer_one_wall peer_one_cpu
    read -r one_wall one_cpu peak < <(cutouts 1)
    read -r peer_one_wall peer_one_cpu peak made < <(bash "$peers/bench_rembg.sh" "$model" "$(photos 1)" "$peer" "$bench/logs/rembg-one.log")
    line "one photo: selvedge / rembg, wall s" "$one_wall / $peer_one_wall"
    line "without the first photo and the start: wall, CPU" "$(calc "($peer_walls - $peer_one_wall) / ($walls - $one_wall)")x, $(calc "($peer_cpus - $peer_one_cpu) / ($cpus - $one_cpu)")x"
    local floor_wall floor_cpu
    read -r floor_wall floor_cpu < <("$PYTHON" "$peers/session_floor.py" "$model" 24)
    line "floor: 24 runs of the network alone, wall s, CPU s" "$floor_wall, $floor_cpu"
    line "share of CPU time inside the network's runs" "$(calc "100 * $floor_cpu / $cpus" 0) %"
    line "share of wall time that the floor takes" "$(calc "100 * $floor_wall / $walls" 0) %"
    local edges form bound share
    while read -r edges form bound; do
        read -r wall cpu peak < <(cutouts 24 --edges "$edges" --output "form=$form")
        share=$(calc "100 * $floor_cpu / $cpu" 0)
        line "edges $edges, $form: CPU s, share inside the network" "$cpu, $share %" "$bound %" "$share >= $bound"
    done <<<"none png 80
none jpeg 75
default png 62"
    read -r wall cpu peak made < <(bash "$peers/bench_rembg.sh" "$model" "$(photos 24)" "$peer" "$bench/logs/rembg-dc.log" -dc)
    line "rembg -dc: wall s, CPU s, peak MB, cutouts" "$wall, $cpu, $peak, $made"
    line "its CPU to selvedge's, edges and colours on both sides" "$(calc "$cpu / $cpus")x" "3x" "$cpu / $cpus >= 3"
    cutouts 24 >/dev/null
    "$PYTHON" - "$bench/cutout/ours/.selvedge/attempts" <<'P'
import glob, sys
import polars as pl
steps = ["fetch", "decode", "predict", "encode", "put"]
sums = pl.read_parquet(glob.glob(f"{sys.argv[1]}/*.parquet")).select(pl.col(f"{step}_ms").sum() / 1000 for step in steps).row(0)
print("  the program's own clock, s over 24 photos:", ", ".join(f"{step} {total:.2f}" for step, total in zip(steps, sums)))
P
    local count base=""
    for count in 24 240 $([ "${BENCH_LONG:-0}" = 1 ] && echo 2400); do
        photos "$count" >/dev/null
        read -r wall cpu peak < <(cutouts "$count")
        base=${base:-$peak}
        line "$count photos: peak MB (to that of 24)" "$peak ($(calc "$peak / $base")x), CPU s a photo $(calc "$cpu / $count" 3)"
    done
    rm -rf "$bench/cutout/ours" "$peer"
}

plan() {
    local data=$bench/plan wall cpu peak seeded
    mkdir -p "$data/seed"
    heading "plan: a million photos after 365 nights"
    # One real run of one good and one bad photo: its fingerprint and the form of its tables are those of this program.
    rm -rf "$data/seed" "$data/out"
    "$selvedge" sample-data --images 1 --catalog 1 --out "$data/seed/drawn" --log quiet >/dev/null
    mkdir "$data/seed/photos"
    cp "$data"/seed/drawn/catalog/*.jpg "$data/seed/photos/"
    : >"$data/seed/photos/zero.jpg"
    pipeline() {
        printf 'name = "million"\nstore = "%s"\n\n[[stage]]\nkind = "cutout"\ninput = "%s/"\nout = "%s"\nmodel = "threshold"\n' \
            "$1" "$2" "$data/out"
    }
    pipeline "$data/seed/store" "$data/seed/photos" >"$data/seed.toml"
    measure plan-seed "$selvedge" run "$data/seed.toml" --log quiet >/dev/null
    pipeline "$data/store" "$data/photos" >"$data/million.toml"
    seeded=$(cd "$data/seed/store/ledger/million/cutout/fingerprints" && ls)\ $(sha256sum "$peers/make_ledger.py")
    if [ "$(cat "$data/ready" 2>/dev/null)" != "$seeded" ]; then
        rm -f "$data/ready"
        "$PYTHON" "$peers/make_ledger.py" "$data/seed/store" "$data/photos" "$data/store" | sed 's/^/  /'
        echo "$seeded" >"$data/ready"
    fi
    read -r wall cpu peak < <(measure floor-list find "$data/photos" -type f -printf '%s %T@ %i\n')
    line "floor: find with size, time and inode, wall s, CPU s" "$wall, $cpu"
    local floor=$cpu
    read -r wall cpu peak < <(measure plan "$selvedge" plan "$data/million.toml" --json --log quiet)
    line "plan, wall s" "$wall" "60 s" "$wall <= 60"
    line "plan, CPU s (times the floor)" "$cpu ($(calc "$cpu / $floor" 1)x)"
    line "plan, peak MB" "$peak" "500 MB" "$peak <= 500"
    "$PYTHON" - "$bench/logs/plan.log" <<'P'
import json, sys
stage = json.loads(open(sys.argv[1]).read().splitlines()[-1])["stages"][0]
found = (stage["decisions"], stage["cached"], stage["gone"])
right = found == ({"new": 1000, "source changed": 1000}, 998_000, 1000)
print(f"  it says: {stage['summary']}{'' if right else '   NOT 1000 new, 1000 source changed, 998000 cached, 1000 gone; remove .bench/plan if it was moved'}")
P
}

list() {
    local data=$bench/list wall cpu peak port server
    rm -rf "$data" && mkdir -p "$data"
    heading "list: a million keys of a bucket, in pages of 1,000"
    coproc server { exec "$PYTHON" "$peers/million_keys.py" 1000000; }
    read -r port <&"${server[0]}"
    printf 'name = "keys"\nstore = "%s"\n\n[storage]\nendpoint = "http://127.0.0.1:%s"\nallow_http = true\n\n[[stage]]\nkind = "cutout"\ninput = "s3://million/photos/"\nout = "%s"\nmodel = "threshold"\n' \
        "$data/store" "$port" "$data/out" >"$data/keys.toml"
    read -r wall cpu peak < <(AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any measure list "$selvedge" plan "$data/keys.toml" --json --log quiet)
    eval "exec ${server[1]}>&-"
    wait
    line "plan of a bucket, wall s" "$wall" "60 s" "$wall <= 60"
    line "plan of a bucket, CPU s" "$cpu"
    line "plan of a bucket, peak MB" "$peak" "500 MB" "$peak <= 500"
    "$PYTHON" - "$bench/logs/list.log" <<'P'
import json, sys
stage = json.loads(open(sys.argv[1]).read().splitlines()[-1])["stages"][0]
print(f"  it says: {stage['summary']}{'' if stage['decisions'] == {'new': 1_000_000} else '   NOT 1000000 new'}")
P
}

help() {
    heading "help: selvedge --help"
    local median
    median=$("$PYTHON" - "$selvedge" <<'P'
import statistics, subprocess, sys, time
walls = []
for _ in range(20):
    begin = time.perf_counter()
    subprocess.run([sys.argv[1], "--help"], stdout=subprocess.DEVNULL, check=True)
    walls.append((time.perf_counter() - begin) * 1000)
print(f"{statistics.median(walls):.1f}")
P
    )
    line "wall, median of 20, ms" "$median" "50 ms" "$median < 50"
}

guard() {
    heading "guard: what single pixels give away in the drawn data"
    rm -rf "$bench/guard"
    "$selvedge" sample-data --images 200 --catalog 1 --seed 1 --out "$bench/guard" --log quiet >/dev/null
    "$PYTHON" "$peers/pixel_guard.py" "$bench/guard" | sed 's/^/  /' || echo "  MISSED: the pictures are too easy"
}

# step_ratio WHAT BOUND FOLDER PEER-ARGUMENTS...: a step of the model in FOLDER beside PyTorch's, run in turn, one thread.
step_ratio() {
    local what=$1 bound=$2 folder=$3 round
    shift 3
    : >"$bench/logs/ours.jsonl"
    : >"$bench/logs/theirs.jsonl"
    for round in 1 2 3; do
        "$selvedge" --threads 1 --json --log quiet model bench "$folder" --steps 4 >>"$bench/logs/ours.jsonl"
        OMP_WAIT_POLICY=PASSIVE "$TORCH" "$peers/train_torch.py" --threads 1 --steps 4 --json "$@" >>"$bench/logs/theirs.jsonl"
    done
    "$TORCH" - "$bench/logs" "$what" "$bound" <<'P'
import json, statistics, sys
folder, what, bound = sys.argv[1], sys.argv[2], float(sys.argv[3])
ours = [json.loads(line) for line in open(f"{folder}/ours.jsonl")]
theirs = [json.loads(line) for line in open(f"{folder}/theirs.jsonl")]
cpu = [statistics.median(run["cpu_ms"] for run in runs) for runs in (ours, theirs)]
wall = [statistics.median(run["wall_ms"] for run in runs) for runs in (ours, theirs)]
memory = [max(run["timing"]["step_mib"] for run in ours), max(run["step_mb"] for run in theirs)]
verdict = "holds" if cpu[0] <= bound * cpu[1] else "MISSED"
print(f"  {what:<40} CPU {cpu[0]:6.0f} ms against {cpu[1]:6.0f} = {cpu[0] / cpu[1]:.2f}  (bound {bound}: {verdict})  "
      f"wall {wall[0] / wall[1]:.2f}  memory {memory[0]:.0f} MiB against {memory[1]:.0f}")
P
}

# exported NAME ARGUMENTS... → the folder of a model, made once a call of this script.
exported() {
    local folder=$bench/models/$1
    shift
    "$selvedge" --log quiet model export --out "$folder" --force --drop-path 0 --weight-decay 1e-4 "$@" >/dev/null
    echo "$folder"
}

train() {
    heading "train: a step beside PyTorch eager, one thread, medians of three runs of each in turn"
    prepare_torch
    mkdir -p "$bench/models"
    local folder spec size batch
    for spec in "512x512 1" "512x512 2" "256x256 4"; do
        read -r size batch <<<"$spec"
        folder=$(exported "vit-t-$size-$batch" --arch segmenter-vit-t-mask --size "$size" --batch "$batch")
        step_ratio "Segmenter ViT-T, $size, batch $batch" 0.85 "$folder" \
            --arch segmenter_mask --vit T --size "$size" --batch "$batch"
    done
    "$TORCH" "$peers/train_torch.py" --block pup --export "$bench/models/pup.onnx" >"$bench/logs/export.log" 2>&1
    "$selvedge" --log quiet model differentiate "$bench/models/pup.onnx" --weight-decay 1e-4 --out "$bench/models/pup" --force >/dev/null
    step_ratio "a stage of SETR-PUP, 256 channels, 64x64" 1.05 "$bench/models/pup" --block pup
}

# loaded NAME STEPS ARGUMENTS... → CPU seconds of so many steps of two samples, with a network that costs next to nothing.
loaded() {
    local name=$1 steps=$2 wall cpu peak
    shift 2
    rm -rf "$bench/loader/out"
    read -r wall cpu peak < <(measure "loader-$name" "$selvedge" --threads 1 --log quiet train --data "$bench/loader/store" \
        --photos "$bench/loader/photos" --out "$bench/loader/out" --model "$bench/loader/pixels" --steps "$steps" \
        --validate-every 0 --workers 1 --device cpu "$@")
    echo "$cpu"
}

loader() {
    local data=$bench/loader round few many sample cached step peers_say
    heading "loader: training samples of 512x512 from photos of 6 megapixels, one thread, medians of three runs in turn"
    if [ "$(cat "$data/ready" 2>/dev/null)" != "$(sha256sum "$peers/loader_pil.py")" ]; then
        rm -rf "$data"
        "$PYTHON" "$peers/loader_pil.py" draw "$data" 12
        "$PYTHON" "$peers/loader_pil.py" network "$data/pixels.onnx"
        "$selvedge" --log quiet ingest --csv "$data/train.csv" --out "$data/store" >/dev/null
        "$selvedge" --log quiet merge --annotations "$data/store" --out "$data/store" >/dev/null
        "$selvedge" --log quiet split --data "$data/store" --photos "$data/photos" >/dev/null 2>&1
        sha256sum "$peers/loader_pil.py" >"$data/ready"
    fi
    rm -rf "$data/cache"
    "$selvedge" --log quiet model differentiate "$data/pixels.onnx" --out "$data/pixels" --force >/dev/null
    sed -i '/^parameters/a normalisation = [[123.675, 116.28, 103.53], [58.395, 57.12, 57.375]]' "$data/pixels/artifact.toml"
    # Photos are decoded once before the first step ever, and shrunk ones are made: before anything is measured.
    loaded first 20 --cache "$data/cache" >/dev/null
    : >"$bench/logs/loader.txt"
    for round in 1 2 3; do
        few=$(loaded few 8)
        many=$(loaded many 48)
        sample=$(calc "1000 * ($many - $few) / 80" 3)
        few=$(loaded few 8 --cache "$data/cache")
        many=$(loaded many 88 --cache "$data/cache")
        cached=$(calc "1000 * ($many - $few) / 160" 3)
        # A step of the network alone, of two samples.
        step=$("$selvedge" --threads 1 --json --log quiet model bench "$data/pixels" --steps 20 |
            "$PYTHON" -c 'import json, sys; print(json.load(sys.stdin)["cpu_ms"] / 2)')
        peers_say=$("$PYTHON" "$peers/loader_pil.py" measure "$data" 40)
        echo "$(calc "$sample - $step" 3) $(calc "$cached - $step" 3) $step $peers_say" >>"$bench/logs/loader.txt"
    done
    "$PYTHON" - "$bench/logs/loader.txt" <<'P'
import json, statistics, sys
rows = [line.split(" ", 3) for line in open(sys.argv[1])]
ours, cached, step = (statistics.median(float(row[at]) for row in rows) for at in range(3))
said = [json.loads(row[3]) for row in rows]
pillow, opencv, floor_pillow, floor = (statistics.median(row[name] for row in said)
                                       for name in ("pillow", "opencv", "pillow_decode", "opencv_decode"))
def line(what, ms, more=""):
    print(f"  {what:<48} {ms:5.1f} ms CPU, {1000 / ms:5.1f} a second and core{more}")
line("a sample", ours, f" ({pillow / ours:.1f}x Pillow, {opencv / ours:.1f}x OpenCV; {ours / floor:.2f} of the floor)")
line("a sample of a later epoch, with --cache", cached, f" ({pillow / cached:.1f}x Pillow, {opencv / cached:.1f}x OpenCV)")
line("Pillow, as torchvision", pillow)
line("OpenCV, as mmsegmentation", opencv)
line("floor: decoding alone, OpenCV", floor)
line("decoding alone, Pillow", floor_pillow)
print(f"  (the network's {step:.1f} ms a sample are taken off)")
P
}

curves() {
    heading "curves: losses beside PyTorch's over 200 steps on the same batches"
    prepare_torch
    local data=$bench/curves arch rate
    if [ ! -f "$data/ready" ]; then
        rm -rf "$data"
        "$selvedge" --log quiet sample-data --images 40 --catalog 1 --seed 4 --out "$data/drawn" >/dev/null
        "$selvedge" --log quiet ingest --csv "$data/drawn/train.csv" --out "$data/store" >/dev/null
        "$selvedge" --log quiet merge --annotations "$data/store" --out "$data/store" >/dev/null
        "$selvedge" --log quiet split --data "$data/store" --photos "$data/drawn/train" >/dev/null 2>&1
        touch "$data/ready"
    fi
    for arch in segmenter-vit-xs-mask/8 setr-xs-mla/8; do
        for rate in 0.01 0.001; do
            rm -rf "$data/out"
            "$TORCH" "$peers/curves.py" --selvedge "$selvedge" --data "$data/store" --photos "$data/drawn/train" \
                --arch "$arch" --rate "$rate" --nudged 2 --out "$data/out" | sed 's/^/  /' || true
            cp "$data/out/curves.svg" "$data/${arch%%/*}-$rate.svg"
        done
    done
}

sections=("$@")
[ ${#sections[@]} -gt 0 ] || sections=(all)
[ "${sections[*]}" != all ] || sections=(help guard masks stats plan list cutout train loader curves)
for section in "${sections[@]}"; do
    case $section in
    masks | stats | cutout | plan | list | train | loader | curves | help | guard) ;;
    *) echo "bench.sh: $section is no section: masks, stats, cutout, plan, list, train, loader, curves, help, guard, all" >&2; exit 2 ;;
    esac
done
for section in "${sections[@]}"; do
    case $section in
    train | curves) ;;
    *) prepare; break ;;
    esac
done
echo "$("$selvedge" --version), $(nproc) cores, load $(cut -d' ' -f1 /proc/loadavg)"
for section in "${sections[@]}"; do
    "$section"
done
