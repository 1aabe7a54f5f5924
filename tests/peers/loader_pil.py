#!/usr/bin/env python3
"""The peers of the sampler: training samples by Pillow, and by OpenCV as mmsegmentation loads them, on photos of 6 megapixels.

    loader_pil.py draw FOLDER [PHOTOS]     photos, class maps as PNG, and the same masks as rows of a CSV
    loader_pil.py network FILE.onnx        a network that costs next to nothing: a convolution of single pixels
    loader_pil.py measure FOLDER SAMPLES   CPU milliseconds a sample, one thread: a line of JSON

A sample: the JPEG and the class map are decoded whole, resized by a ratio of 0.5 to 2 of the box 2048 × 512, cropped to
512 × 512 (anew, ten times at most, while one class fills 75 % of the crop), mirrored or not, normalised, padded, and laid out
as planes.
Decoding alone is the floor. The shapes are all of one class, so that the network needs two only.
"""
import json
import os
import sys
import time

import numpy as np
from PIL import Image

HEIGHT, WIDTH, CROP, BOX, SHARE = 3000, 2000, 512, (2048, 512), 0.75
MEAN = np.array([123.675, 116.28, 103.53], np.float32)
DEVIATION = np.array([58.395, 57.12, 57.375], np.float32)


def draw(folder, photos):
    """Smooth colours with the noise of a camera, and under them blobs for masks."""
    from PIL import ImageDraw, ImageFilter
    random = np.random.default_rng(3)
    for name in ("photos", "maps"):
        os.makedirs(f"{folder}/{name}", exist_ok=True)
    with open(f"{folder}/train.csv", "w") as table:
        table.write("ImageId,EncodedPixels,Height,Width,ClassId,AttributesIds\n")
        for photo in range(photos):
            name = f"{photo:032x}"
            coarse = Image.fromarray(random.integers(0, 256, (HEIGHT // 40, WIDTH // 40, 3), np.uint8))
            smooth = np.asarray(coarse.resize((WIDTH, HEIGHT), Image.BICUBIC), np.float32)
            noisy = np.clip(smooth + random.normal(0, 5, (HEIGHT, WIDTH, 1)), 0, 255).astype(np.uint8)
            picture = Image.fromarray(noisy).filter(ImageFilter.GaussianBlur(0.8))
            picture.save(f"{folder}/photos/{name}.jpg", quality=90)
            map_ = Image.new("L", (WIDTH, HEIGHT))
            angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
            for _ in range(5):
                x, y = random.uniform(0.3, 0.7) * WIDTH, random.uniform(0.2, 0.8) * HEIGHT
                radius = random.uniform(0.1, 0.2) * WIDTH * (1 + 0.25 * np.sin(3 * angle + random.uniform(0, 6)))
                points = zip(x + radius * np.cos(angle), y + 1.6 * radius * np.sin(angle))
                ImageDraw.Draw(map_).polygon([(float(one), float(other)) for one, other in points], fill=1)
            map_.save(f"{folder}/maps/{name}.png")
            # Runs of the mask, down the columns, pixels counted from 1.
            edges = np.flatnonzero(np.diff(np.pad(np.asarray(map_).ravel(order="F"), 1)))
            runs = " ".join(f"{begin + 1} {end - begin}" for begin, end in edges.reshape(-1, 2))
            table.write(f"{name},{runs},{HEIGHT},{WIDTH},0,\n")


def network(path):
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    shape = [2, 3, CROP, CROP]
    weights = [numpy_helper.from_array(np.full((2, 3, 1, 1), 0.01, np.float32), "weight"),
               numpy_helper.from_array(np.zeros(2, np.float32), "bias")]
    conv = helper.make_node("Conv", ["image", "weight", "bias"], ["logits"], name="conv", kernel_shape=[1, 1])
    graph = helper.make_graph([conv], "pixels", [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
                              [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [2, 2, CROP, CROP])], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def size_of(height, width, ratio):
    long, short = int(BOX[0] * ratio), int(BOX[1] * ratio)
    factor = min(long / max(height, width), short / min(height, width))
    return int(width * factor + 0.5), int(height * factor + 0.5)


def window(label, random):
    """A crop that is not filled by one class, or the last one tried."""
    height, width = label.shape
    for attempt in range(11):
        top, left = random.integers(0, max(height - CROP, 0) + 1), random.integers(0, max(width - CROP, 0) + 1)
        crop = np.s_[top:top + CROP, left:left + CROP]
        counts = np.bincount(label[crop].ravel(), minlength=256)[:255]
        if np.count_nonzero(counts) > 1 and counts.max() / counts.sum() < SHARE:
            break
    return crop


def finish(image, label, random):
    crop = window(label, random)
    image, label = image[crop], label[crop]
    if random.random() < 0.5:
        image, label = image[:, ::-1], label[:, ::-1]
    height, width = label.shape
    planes = np.zeros((3, CROP, CROP), np.float32)
    planes[:, :height, :width] = ((image.astype(np.float32) - MEAN) / DEVIATION).transpose(2, 0, 1)
    classes = np.full((CROP, CROP), 255, np.uint8)
    classes[:height, :width] = label
    return planes, classes


def by_pillow(folder, name, random):
    image = Image.open(f"{folder}/photos/{name}.jpg").convert("RGB")
    label = Image.open(f"{folder}/maps/{name}.png")
    size = size_of(image.height, image.width, random.uniform(0.5, 2))
    return finish(np.asarray(image.resize(size, Image.BILINEAR)), np.asarray(label.resize(size, Image.NEAREST)), random)


def by_opencv(folder, name, random):
    import cv2
    image = cv2.cvtColor(cv2.imread(f"{folder}/photos/{name}.jpg"), cv2.COLOR_BGR2RGB)
    label = cv2.imread(f"{folder}/maps/{name}.png", cv2.IMREAD_UNCHANGED)
    size = size_of(*label.shape, random.uniform(0.5, 2))
    image, label = cv2.resize(image, size), cv2.resize(label, size, interpolation=cv2.INTER_NEAREST)
    return finish(image, label, random)


def pillow_decodes(folder, name, _):
    Image.open(f"{folder}/photos/{name}.jpg").convert("RGB").load()


def opencv_decodes(folder, name, _):
    import cv2
    cv2.imread(f"{folder}/photos/{name}.jpg")


def measure(folder, samples):
    names = sorted(file.removesuffix(".jpg") for file in os.listdir(f"{folder}/photos"))
    ways = {"pillow": by_pillow, "opencv": by_opencv, "pillow_decode": pillow_decodes, "opencv_decode": opencv_decodes}
    try:
        import cv2
        cv2.setNumThreads(1)
    except ImportError:
        ways = {name: way for name, way in ways.items() if "opencv" not in name}
    random = np.random.default_rng(1)
    spent = {name: [] for name in ways}
    for way in ways.values():
        way(folder, names[0], random)
    # In turn, so that what else the machine does meets all of them.
    for at in range(samples):
        for name, way in ways.items():
            begin = time.process_time()
            way(folder, names[at % len(names)], random)
            spent[name].append((time.process_time() - begin) * 1000)
    print(json.dumps({name: round(float(np.mean(each)), 1) for name, each in spent.items()}))


if __name__ == "__main__":
    what, where, *count = sys.argv[1:]
    if what == "draw":
        draw(where, int(count[0]) if count else 12)
    elif what == "network":
        network(where)
    else:
        measure(where, int(count[0]))
