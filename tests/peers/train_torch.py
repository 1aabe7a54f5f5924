#!/usr/bin/env python3
"""The peer of the training step: PyTorch, eager or compiled, on the CPU or a GPU, one process, random images and labels.

    train_torch.py --arch segmenter_mask --vit T --size 512x512 --batch 1 --threads 1 --steps 5 --classes 28 [--json]
    train_torch.py --block pup --threads 1 --steps 10 [--no-optimizer] [--export FILE.onnx]

A step is: forward in training mode, cross-entropy, backward, SGD with momentum and weight decay (foreach). Prints median and
least wall and CPU milliseconds of a step, and by how many MB the peak memory of the steps passes what is held before the
first of them: weights, momenta and the batch. With --json the figures are one line of JSON. --export writes the forward
graph, in training mode and without folding, instead of running steps (needs onnx). On a GPU (--device cuda) the memory is
that of the device, and TF32 is off unless --tf32 is given.
"""
import argparse
import json
import os
import platform
import statistics
import time

import torch
import torch.nn.functional as F
from torch import nn

from networks_torch import IGNORED, SIZES, Network, loss_of

ARCHES = ["segmenter_mask", "segmenter_linear", "setr_naive", "setr_pup", "setr_mla"]


class PupBlock(nn.Module):
    """One stage of SETR-PUP: 3×3 convolution 256 → 256, batch norm, ReLU, bilinear ×2; on a map of 64×64.

    Its channels are taken for classes. A trained offset of the map makes the gradient go through to where the map came from.
    """

    def __init__(self):
        super().__init__()
        self.offset = nn.Parameter(torch.zeros(1, 256, 64, 64))
        self.conv = nn.Conv2d(256, 256, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(256)

    def forward(self, x):
        return F.interpolate(F.relu(self.bn(self.conv(x + self.offset))), scale_factor=2.0, mode="bilinear")


def memory(field):
    """VmRSS or VmHWM of this process, in MB."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(f"{field}:")) / 1024


def forget_peak():
    """Lets the peak begin anew. Where the system does not allow it, importing PyTorch counts too."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pass


def peak(device):
    """The most that was held since the last forgetting, in MB: of this process, or on the GPU."""
    return memory("VmHWM") if device == "cpu" else torch.cuda.max_memory_allocated() / 2**20


def prepare(options):
    """A function that does one step and returns the loss."""
    torch.manual_seed(1)
    if options.block:
        model, image = PupBlock(), torch.randn(options.batch, 256, 64, 64)
        label = torch.randint(0, 256, (options.batch, 128, 128))
    else:
        height, across = map(int, options.size.split("x"))
        width, layers, heads = SIZES[options.vit]
        model = Network(options.arch, options.classes, (height, across), width, layers, heads, options.patch)
        image = torch.randn(options.batch, 3, height, across)
        label = torch.randint(0, options.classes, (options.batch, height, across))
        label[:, :: 7, :: 3] = IGNORED
    model, image, label = model.to(options.device), image.to(options.device), label.to(options.device)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = options.tf32
    model.train()
    if options.export:
        torch.onnx.export(model, (image,), options.export, dynamo=False, opset_version=17, do_constant_folding=False,
                          training=torch.onnx.TrainingMode.TRAINING, input_names=["image"], output_names=["logits"])
        raise SystemExit
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-4, foreach=True)
    for parameter in model.parameters():
        # Held from the start, so that they do not count as memory of the first step.
        optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)

    run = torch.compile(model) if options.compile else model

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(options.device, torch.bfloat16, enabled=options.bf16):
            output = run(image)
            loss = F.cross_entropy(output, label) if options.block else loss_of(output, label)
        loss.backward()
        if not options.no_optimizer:
            optimizer.step()
        return loss.item()
    return step, sum(parameter.numel() for parameter in model.parameters())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arch", choices=ARCHES, default="segmenter_mask")
    parser.add_argument("--vit", choices=list(SIZES), default="T", help="size of the encoder")
    parser.add_argument("--block", choices=["pup"], help="a block instead of a network")
    parser.add_argument("--export", metavar="FILE.onnx", help="write the forward graph and stop")
    parser.add_argument("--size", default="512x512", help="HEIGHTxWIDTH in pixels, divisible by the patch")
    parser.add_argument("--patch", type=int, default=16)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--classes", type=int, default=28)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=5, help="measured steps")
    parser.add_argument("--warmup", type=int, default=2, help="steps before them; their memory counts, their time does not")
    parser.add_argument("--no-optimizer", action="store_true", help="gradients only")
    parser.add_argument("--bf16", action="store_true", help="under autocast with bfloat16")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--compile", action="store_true", help="through torch.compile")
    parser.add_argument("--tf32", action="store_true", help="let a GPU shorten 32-bit products")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.set_num_interop_threads(1)
    step, parameters = prepare(options)
    before = memory("VmRSS") if options.device == "cpu" else torch.cuda.memory_allocated() / 2**20
    forget_peak()
    losses, walls, cpus = [], [], []
    for at in range(options.warmup + options.steps):
        wall, cpu = time.perf_counter(), time.process_time()
        losses.append(step())
        if at >= options.warmup:
            walls.append((time.perf_counter() - wall) * 1000)
            cpus.append((time.process_time() - cpu) * 1000)
    found = {
        "what": f"block {options.block}" if options.block else f"{options.arch} ViT-{options.vit}/{options.patch}",
        "size": "64x64" if options.block else options.size, "batch": options.batch, "classes": options.classes,
        "threads": options.threads, "steps": options.steps, "bf16": options.bf16, "optimizer": not options.no_optimizer,
        "parameters": parameters, "wall_ms": round(statistics.median(walls), 1), "wall_ms_min": round(min(walls), 1),
        "cpu_ms": round(statistics.median(cpus), 1), "cpu_ms_min": round(min(cpus), 1),
        "held_mb": round(before, 1), "step_mb": round(peak(options.device) - before, 1), "losses": [round(loss, 5) for loss in losses],
        "torch": torch.__version__, "machine": platform.machine(), "load": round(os.getloadavg()[0], 1),
    }
    if options.json:
        print(json.dumps(found))
        return
    print(f"{found['what']}, {found['size']}, batch {found['batch']}, {found['threads']} threads, torch {found['torch']}, load {found['load']}")
    print(f"  wall ms of a step: {found['wall_ms']} (least {found['wall_ms_min']}); CPU ms: {found['cpu_ms']} (least {found['cpu_ms_min']})")
    print(f"  memory of the steps beyond the {found['held_mb']} MB held before: {found['step_mb']} MB; losses {found['losses'][0]} … {found['losses'][-1]}")


if __name__ == "__main__":
    main()
