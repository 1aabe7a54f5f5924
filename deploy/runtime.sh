#!/bin/sh
# Puts the pinned ONNX Runtime library into .runtime/ (or the folder given), with its licences. Does nothing when it is
# there. It comes out of the project's Python wheel, fetched by pip from whatever index pip is set up with; no Python
# package is installed. CUDA=1 takes the library for NVIDIA GPUs (needs the driver, CUDA 13 and cuDNN 9 at run time).
#
#   usage: [CUDA=1] deploy/runtime.sh [FOLDER]
set -eu

version=1.31.1
folder=${1:-$(cd "$(dirname "$0")/.." && pwd)/.runtime}
machine=$(uname -s)-$(uname -m)

# One wheel each, whatever Python is here: the library inside is the same for all of them.
case "$machine/${CUDA:-0}" in
Linux-x86_64/0)
    package=onnxruntime platform=manylinux_2_28_x86_64
    sum=1f3dea47f2f0e5117c2404cea7d21fd253ae7836a3bf167a501cdfbb2600d536 ;;
Linux-aarch64/0)
    package=onnxruntime platform=manylinux_2_28_aarch64
    sum=0b9a492176886992e0e875f06bc0367e333f5fff11711a2d642e18b02f3009cc ;;
Linux-x86_64/1)
    package=onnxruntime-gpu platform=manylinux_2_28_x86_64
    sum=05d548956197b9d01f59b625de740e0d6be3593f874e241a12dc0362650ecdf7 ;;
*)
    echo "runtime.sh: no ONNX Runtime is pinned for $machine with CUDA=${CUDA:-0} (Linux on x86_64 or aarch64; CUDA=1 on x86_64)." >&2
    echo "Install ONNX Runtime $version or later yourself, and name its library with ORT_DYLIB_PATH." >&2
    exit 2 ;;
esac
stamp="$package $version $sum"

# The GPU's library also runs on the processor, so a plain call leaves it alone.
present=$(cat "$folder/PINNED" 2>/dev/null || true)
if [ -f "$folder/libonnxruntime.so.$version" ]; then
    case "$present/${CUDA:-0}" in
    "$stamp"/*|"onnxruntime-gpu $version "*/0)
        echo "ONNX Runtime $version is in $folder" >&2
        exit 0 ;;
    esac
fi

python=$(command -v python3 || true)
if [ -z "$python" ] || ! "$python" -m pip --version >/dev/null 2>&1; then
    echo "runtime.sh: python3 with pip is needed to fetch ONNX Runtime; install both (Debian: apt-get install python3-pip)," >&2
    echo "or install ONNX Runtime $version yourself and name its library with ORT_DYLIB_PATH." >&2
    exit 2
fi

mkdir -p "$(dirname "$folder")"
new="$folder.new.$$"
trap 'rm -rf "$new"' EXIT
trap 'exit 143' TERM
trap 'exit 130' INT
mkdir "$new"

"$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
    --python-version 3.12 --implementation cp --abi cp312 --platform "$platform" \
    --dest "$new/wheel" "$package==$version"

"$python" - "$new" "$sum" "$version" <<'PYTHON'
import hashlib, pathlib, sys, zipfile

folder, wanted, version = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
[wheel] = (folder / "wheel").glob("*.whl")
found = hashlib.sha256(wheel.read_bytes()).hexdigest()
if found != wanted:
    sys.exit(f"runtime.sh: {wheel.name} has SHA-256 {found}, and {wanted} is pinned: not used. Check pip's index.")
take = {"LICENSE": "LICENSE", "ThirdPartyNotices.txt": "ThirdPartyNotices.txt", "Privacy.md": "Privacy.md"}
with zipfile.ZipFile(wheel) as archive:
    for entry in archive.infolist():
        name = entry.filename.removeprefix("onnxruntime/")
        if name.startswith("capi/lib") and ".so" in name:
            target = folder / pathlib.PurePosixPath(name).name
        elif name in take:
            target = folder / take[name]
        else:
            continue
        target.write_bytes(archive.read(entry))
if not (folder / f"libonnxruntime.so.{version}").is_file():
    sys.exit(f"runtime.sh: {wheel.name} holds no libonnxruntime.so.{version}")
wheel.unlink()
wheel.parent.rmdir()
PYTHON
echo "$stamp" >"$new/PINNED"

# Renamed in one step each: nobody ever sees half a library. One that is loaded stays valid, its file lives on unnamed.
old="$folder.old.$$"
if [ -e "$folder" ]; then mv "$folder" "$old"; fi
mv "$new" "$folder"
rm -rf "$old"
echo "ONNX Runtime $version ($package) is in $folder" >&2
