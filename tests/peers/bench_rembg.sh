#!/usr/bin/env bash
# The peer of the cutout stage: rembg's own folder command with a local ONNX model.
#   PYTHON=venv/bin/python bench_rembg.sh MODEL.onnx PHOTOS OUT LOG [more flags of `rembg p`]
# Prints wall seconds, CPU seconds, peak MB and cutouts made. OUT is emptied first.
# A model called *isnet* is run as dis_custom (1024 × 1024), any other as u2net_custom (320 × 320).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
model=$(readlink -f "$1") photos=$2 out=$3 log=$4
shift 4
case $(basename "$model") in
*isnet*) session=dis_custom ;;
*) session=u2net_custom ;;
esac
rm -rf "$out"
mkdir -p "$out"
# What it keeps stays beside the environment, not in the user's home; it takes models from that folder only.
home=$(cd "$(dirname "$PYTHON")/.." && pwd)/rembg
mkdir -p "$home"
cp "$model" "$home/model.onnx"
export U2NET_HOME=$home REMBG_HOME=$home NUMBA_CACHE_DIR=$home/numba
figures=$("$PYTHON" "$here/measure.py" "$log" "$(dirname "$PYTHON")/rembg" p -m "$session" \
    -x "{\"model_path\": \"$home/model.onnx\"}" "$@" "$photos" "$out")
echo "$figures $(find "$out" -type f | wc -l)"
