#!/usr/bin/env python3
"""Two trainings on the same batches: Selvedge's, and PyTorch's beside it. How far do their losses part?

    curves.py --selvedge PROGRAM --data STORE --photos FOLDER --arch setr-xs-mla/8 --out FOLDER [--rate 0.01] [--steps 200]

Exports the network without drop-path, trains it with `train --keep-batches`, and trains the reference network from the same
weights on the batches that were kept, by torch.optim.SGD with momentum 0.9, in 32 and in 64 bits. The learning rates that
Selvedge used are held against the formula of the schedule. Prints, for each pair of the three, the largest relative
difference of the loss and where it is, and how far the weights lie apart at the end. FOLDER takes curves.csv and curves.svg.
Training in 64 bits is what rounding is measured by. PyTorch in 32 bits is repeated from weights that are nudged in their last
bit: as far as those runs part from 64 bits, the difference is rounding that the training itself makes larger. Beyond the
bound, and beyond three times the furthest of them, it is a defect. Needs torch, numpy, safetensors and pyarrow.
"""
import argparse
import csv
import json
import math
import os
import struct
import subprocess
import sys
import tomllib

import torch
from pyarrow import parquet
from safetensors import safe_open
from safetensors.torch import load_file

from networks_torch import SIZES, Network, loss_of

COLOURS = ["#1f5f8b", "#c0392b", "#888888"]


def call(options, *command):
    done = subprocess.run([options.selvedge, "--log", "quiet", "--threads", "1", *command], stdout=subprocess.DEVNULL)
    # Photos that stay out are no matter here.
    if done.returncode not in (0, 3):
        sys.exit(f"curves.py: {' '.join(command[:2])} answered {done.returncode}")


def train(options):
    """Trains with Selvedge. Gives the folders of the weights to begin with and of the batches, and the losses."""
    begin, store = f"{options.out}/begin", f"{options.out}/store"
    name = "curves"
    call(options, "model", "export", "--arch", options.arch, "--size", "x".join(map(str, options.size)), "--batch", str(options.batch),
         "--classes", str(options.classes), "--drop-path", "0", "--seed", str(options.seed), "--out", begin, "--force")
    if os.path.exists(store):
        sys.exit(f"curves.py: {store} is there; a training that has ended is not done again: remove {options.out}")
    call(options, "train", "--data", options.data, "--photos", options.photos, "--out", store, "--name", name, "--model", begin,
         "--steps", str(options.steps), "--keep-batches", str(options.steps), "--validate-every", "0", "--rate", str(options.rate),
         "--floor", str(options.floor), "--scale", f"{4 * options.size[0]}x{options.size[1]}", "--seed", str(options.seed),
         "--device", "cpu")
    versions = f"{store}/history/{name}/_versions"
    with open(f"{versions}/{max(os.listdir(versions))}") as file:
        parts = [part["file"] for part in json.load(file)["parts"]]
    rows = [row for part in parts for row in parquet.read_table(f"{store}/history/{name}/{part}").to_pylist()]
    losses = [row["loss"] for row in sorted(rows, key=lambda row: row["step"]) if row["part"] == "train"]
    if len(losses) != options.steps:
        sys.exit(f"curves.py: {len(losses)} losses of {options.steps} steps")
    return f"{begin}/weights.safetensors", f"{store}/models/{name}", losses


def network_of(options, tensors):
    """The reference network of the name that Selvedge was given, with as many blocks as the weights have."""
    name, _, patch = options.arch.partition("/")
    words = name.split("-")
    kind = f"segmenter_{words[-1]}" if words[0] == "segmenter" else f"setr_{words[-1]}"
    small = "xs" in words
    vit = "XS" if small else "L" if words[0] == "setr" else words[2].upper()
    width, _, heads = SIZES[vit]
    layers = 1 + max(int(name.split(".")[2]) for name in tensors if name.startswith("backbone.layers."))
    sizes = {"channels": 32, "branch": 16, "taps": [0, 1, 2, 3]} if small else {}
    return Network(kind, options.classes, options.size, width, layers, heads, int(patch or 16), **sizes)


def load(network, tensors):
    """Weights by mmsegmentation's names. Everything must be there, but for the counters of batch norms."""
    found = network.load_state_dict(tensors, strict=False)
    missing = [name for name in found.missing_keys if not name.endswith("num_batches_tracked")]
    if missing or found.unexpected_keys:
        sys.exit(f"curves.py: the weights lack {missing} and have {found.unexpected_keys} beyond")


def rate_of(options, step):
    return (options.rate - options.floor) * (1 - step / options.steps) ** 0.9 + options.floor


def nudge(network, seed):
    """Moves every weight to one of its two neighbours in 32 bits, or leaves it."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            towards = torch.randint(-1, 2, parameter.shape, generator=generator).float()
            parameter.copy_(torch.where(towards == 0, parameter, torch.nextafter(parameter, towards * torch.inf)))


def repeat(options, weights, batches, dtype, nudged=0):
    """The same training in PyTorch: the losses, and the network at the end."""
    tensors = load_file(weights)
    network = network_of(options, tensors)
    load(network, tensors)
    if nudged:
        nudge(network, nudged)
    network = network.to(dtype).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=options.rate, momentum=0.9)
    losses = []
    for step in range(options.steps):
        with safe_open(f"{batches}/{step:010}.safetensors", "pt") as file:
            rate = float(file.metadata()["learning_rate"])
            image, label = file.get_tensor("image"), file.get_tensor("label")
        # The graph takes 32 bits, and the last bit of a power may differ between libraries.
        wanted = struct.unpack("f", struct.pack("f", rate_of(options, step)))[0]
        assert abs(rate - wanted) <= 2e-7 * wanted, f"step {step}: rate {rate}, and by the formula {wanted}"
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(network(image.to(dtype)), label.long())
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, network


def apart(ones, others):
    """The largest relative difference and the step (from 1) where it is, and the largest one of the first 20 steps."""
    differences = [abs(one - other) / abs(other) for one, other in zip(ones, others)]
    worst = max(range(len(differences)), key=differences.__getitem__)
    return differences[worst], worst + 1, max(differences[:20])


def distance(ones, others):
    """Of two sets of weights: the norm of the difference by the norm of the second, over all that is trained."""
    names = [name for name, _ in others.named_parameters()]
    state = others.state_dict()
    difference = sum(float((ones[name].double() - state[name].double()).square().sum()) for name in names)
    return math.sqrt(difference / sum(float(state[name].double().square().sum()) for name in names))


def draw(path, curves, title):
    """The curves as SVG: losses above on one scale, relative differences to the last curve below by powers of ten."""
    steps = len(curves[0][1])
    across = lambda step: 60 + 720 * step / max(steps - 1, 1)  # noqa: E731
    highest = max(max(losses) for _, losses in curves)
    above = lambda loss: 20 + 260 * (1 - loss / highest)  # noqa: E731
    below = lambda share: 340 + 160 * min(max(-math.log10(max(share, 1e-9)), 0), 9) / 9  # noqa: E731
    lines = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 800 530" font-family="sans-serif" font-size="12">',
             '<rect width="800" height="530" fill="white"/>', f'<text x="60" y="14">{title}</text>']
    for power in range(0, 10, 3):
        y = below(10.0**-power)
        lines.append(f'<path d="M60 {y:.1f}H780" stroke="#dddddd"/><text x="8" y="{y + 4:.1f}">1e-{power}</text>')
    for share in (0, 0.5, 1):
        y = above(highest * share)
        lines.append(f'<path d="M60 {y:.1f}H780" stroke="#dddddd"/><text x="8" y="{y + 4:.1f}">{highest * share:.2f}</text>')
    reference = curves[-1][1]
    for at, ((name, losses), colour) in enumerate(zip(curves, COLOURS)):
        path_of = lambda points: " ".join(f"{x:.1f},{y:.1f}" for x, y in points)  # noqa: E731
        points = path_of((across(step), above(loss)) for step, loss in enumerate(losses))
        lines.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{3 - at}"/>')
        lines.append(f'<text x="{560}" y="{34 + 16 * at}" fill="{colour}">{name}</text>')
        if losses is not reference:
            shares = (abs(loss - other) / abs(other) for loss, other in zip(losses, reference))
            points = path_of((across(step), below(share)) for step, share in enumerate(shares))
            lines.append(f'<polyline points="{points}" fill="none" stroke="{colour}"/>')
    lines.append(f'<text x="60" y="325">relative difference to {curves[-1][0]}; {steps} steps</text></svg>')
    with open(path, "w") as file:
        file.write("\n".join(lines))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--selvedge", required=True, metavar="PROGRAM")
    parser.add_argument("--data", required=True, metavar="STORE")
    parser.add_argument("--photos", required=True, metavar="FOLDER")
    parser.add_argument("--arch", default="segmenter-vit-xs-mask/8")
    parser.add_argument("--out", required=True, metavar="FOLDER")
    parser.add_argument("--size", default="64x64", help="HEIGHTxWIDTH")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--classes", type=int, default=28)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--rate", type=float, default=0.01)
    parser.add_argument("--floor", type=float, default=1e-4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--nudged", type=int, default=4, metavar="N", help="trainings from weights nudged in their last bit")
    parser.add_argument("--bound", type=float, default=1e-3, help="of the largest relative difference to 64 bits; exit 1 when missed")
    options = parser.parse_args()
    options.size = tuple(map(int, options.size.split("x")))
    torch.set_num_threads(1)
    os.makedirs(options.out, exist_ok=True)
    weights, model, ours = train(options)
    single, small = repeat(options, weights, f"{model}/batches", torch.float32)
    double, exact = repeat(options, weights, f"{model}/batches", torch.float64)
    trained = load_file(f"{model}/weights.safetensors")
    print(f"{options.arch}, {options.steps} steps of {options.batch} at rate {options.rate}: loss {ours[0]:.4f} to {ours[-1]:.4f}")
    pairs = [("Selvedge against PyTorch in 32 bits", ours, single, distance(trained, small)),
             ("Selvedge against PyTorch in 64 bits", ours, double, distance(trained, exact)),
             ("PyTorch in 32 bits against 64 bits", single, double, distance(small.state_dict(), exact))]
    for what, ones, others, weights_apart in pairs:
        worst, step, early = apart(ones, others)
        print(f"  {what}: loss {worst:.1e} at step {step} ({early:.1e} in the first 20), weights at the end {weights_apart:.1e}")
    moved = [apart(repeat(options, weights, f"{model}/batches", torch.float32, seed)[0], double)[0]
             for seed in range(1, options.nudged + 1)]
    if moved:
        print(f"  PyTorch in 32 bits, weights nudged, against 64 bits: loss {', '.join(f'{share:.1e}' for share in sorted(moved))}")
    with open(f"{options.out}/curves.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["step", "selvedge", "pytorch_32", "pytorch_64"])
        table.writerows([step + 1, *losses] for step, losses in enumerate(zip(ours, single, double)))
    curves = [("Selvedge", ours), ("PyTorch, 32 bits", single), ("PyTorch, 64 bits", double)]
    draw(f"{options.out}/curves.svg", curves, f"{options.arch} at rate {options.rate}: loss")
    rounding = 3 * max([apart(single, double)[0], *moved])
    worst = apart(ours, double)[0]
    held = worst <= max(options.bound, rounding)
    print(f"  bound {options.bound}, or {rounding:.1e} by rounding alone: {'holds' if held else 'MISSED'}")
    sys.exit(not held)


if __name__ == "__main__":
    main()
