#!/usr/bin/env bash
# Everything that only a GPU can show of a training step, in one call: numbers against the golden files, nodes a provider,
# milliseconds against PyTorch.
#   SELVEDGE=path/to/selvedge bash tests/peers/gpu.sh [FOLDER]
# PYTHON (python3 unless set) holds torch; without it the peer is left out. ORT_DYLIB_PATH names the runtime that is built for
# CUDA. FOLDER takes the models (10 GB at most at a time); a line of JSON a figure goes to FOLDER/figures.jsonl.
set -uo pipefail
cd "$(dirname "$0")/../.."
selvedge=${SELVEDGE:-${CARGO_TARGET_DIR:-target}/release/selvedge}
python=${PYTHON:-python3}
folder=${1:-.bench/gpu}
mkdir -p "$folder"
: >"$folder/figures.jsonl"
say() { printf '%s\n' "$*"; }

say "numbers, computed on the GPU without TF32"
for file in tests/fixtures/golden/*.safetensors; do
    say "  $(basename "$file"): $("$selvedge" --log quiet model check-golden "$file" --device cuda:0 | tail -1)"
done
for graph in tests/fixtures/graph/exported/*_{legacy17,legacy20,dynamo18,dynamo21,dynamo23}.onnx; do
    [ -f "$graph" ] || continue
    name=$(basename "$graph" .onnx)
    say "  $name: $("$selvedge" --log quiet model check-exported "$graph" "${graph%/*}/${name%_*}.safetensors" --device cuda:0 | tail -1)"
done

# figure NAME COMMAND...: the medians that a command prints as JSON.
figure() {
    local name=$1 line
    shift
    if line=$("$@" 2>"$folder/last.log" | tail -1) && [ -n "$line" ]; then
        printf '{"name": "%s", "figures": %s}\n' "$name" "$line" >>"$folder/figures.jsonl"
        "$python" - "$name" "$line" <<'P'
import json, sys
found = json.loads(sys.argv[2])
timing = found.get("timing", {})
extra = f"  nodes {timing['nodes']}" if timing.get("nodes") else ""
print(f"  {sys.argv[1]:<44} {found['wall_ms']:8.1f} ms{extra}")
P
    else
        say "  $name: failed: $(tail -1 "$folder/last.log")"
    fi
}

for spec in "segmenter-vit-t-mask segmenter_mask T 8" "segmenter-vit-b-mask segmenter_mask B 4" \
    "setr-mla setr_mla L 2" "setr-pup setr_pup L 2" "setr-naive setr_naive L 2"; do
    read -r arch peer vit batch <<<"$spec"
    say "$arch, 512x512, batch $batch"
    for precision in fp32 bf16; do
        rm -rf "$folder/model"
        "$selvedge" --log quiet model export --arch "$arch" --batch "$batch" --precision "$precision" --drop-path 0 \
            --weight-decay 1e-4 --out "$folder/model" >/dev/null || continue
        figure "$precision" "$selvedge" --json --log quiet model bench "$folder/model" --device cuda:0 --steps 10 --nodes
        [ "$precision" = bf16 ] || figure "$precision, TF32" "$selvedge" --json --log quiet model bench "$folder/model" --device cuda:0 --steps 10 --tf32
        figure "$precision, CUDA graph" "$selvedge" --json --log quiet model bench "$folder/model" --device cuda:0 --steps 10 --cuda-graph
    done
    "$python" -c 'import torch' 2>/dev/null || continue
    for way in "" "--tf32" "--bf16" "--compile --tf32" "--compile --bf16"; do
        # shellcheck disable=SC2086
        figure "PyTorch ${way:-fp32}" "$python" tests/peers/train_torch.py --arch "$peer" --vit "$vit" --batch "$batch" --device cuda --steps 10 $way --json
    done
done
