"""How far single pixels get on a drawn data set: a random forest of colour and place alone.

Trains on the pixels of 70 % of the photos (red, green, blue, x and y as shares of the photo) and prints the mIoU over
28 classes (background and the 27 main ones) on the other 30 %. Exits 1 when it is 0.20 or more: then colour or place
gives classes away and a network would not need to see shapes.

    python tests/peers/pixel_guard.py DIR [--limit 0.20]        (numpy, pillow, scikit-learn)
"""

import argparse
import csv
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.ensemble import RandomForestClassifier

CLASSES = 28


def class_maps(folder):
    """(photo name, height x width class map); of overlapping masks the smaller one lies on top."""
    csv.field_size_limit(1 << 30)
    rows = {}
    with open(folder / "train.csv", newline="") as file:
        for row in csv.DictReader(file):
            if int(row["ClassId"]) < CLASSES - 1:
                rows.setdefault(row["ImageId"], []).append(row)
    for name, own in sorted(rows.items()):
        height, width = int(own[0]["Height"]), int(own[0]["Width"])
        masks = []
        for row in own:
            runs = np.array(row["EncodedPixels"].split(), dtype=np.int64).reshape(-1, 2)
            masks.append((runs[:, 1].sum(), runs, int(row["ClassId"]) + 1))
        flat = np.zeros(height * width, dtype=np.uint8)
        for _, runs, label in sorted(masks, key=lambda mask: -mask[0]):
            for start, length in runs:
                flat[start - 1 : start - 1 + length] = label
        yield name, flat.reshape(width, height).T


def pixels(folder, name, labels, random, count):
    photo = np.asarray(Image.open(folder / "train" / f"{name}.jpg").convert("RGB"))
    height, width = labels.shape
    y, x = random.integers(0, height, count), random.integers(0, width, count)
    place = np.stack([x / width * 255, y / height * 255], axis=1)
    return np.concatenate([photo[y, x], place], axis=1).astype(np.float32), labels[y, x]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--limit", type=float, default=0.20)
    options = parser.parse_args()
    random = np.random.default_rng(0)
    parts = [pixels(options.folder, name, labels, random, 1500) for name, labels in class_maps(options.folder)]
    cut = len(parts) * 7 // 10
    features, labels = (np.concatenate(column) for column in zip(*parts[:cut]))
    forest = RandomForestClassifier(60, min_samples_leaf=5, n_jobs=-1, random_state=0).fit(features, labels)
    features, truth = (np.concatenate(column) for column in zip(*parts[cut:]))
    confusion = np.zeros((CLASSES, CLASSES), dtype=np.int64)
    np.add.at(confusion, (truth, forest.predict(features)), 1)
    hit = np.diag(confusion)
    union = confusion.sum(0) + confusion.sum(1) - hit
    iou = hit[union > 0] / union[union > 0]
    print(f"photos {len(parts)}, background share {np.mean(truth == 0):.3f}, background IoU {hit[0] / union[0]:.3f}")
    print(f"pixel mIoU over {len(iou)} classes: {iou.mean():.4f} (limit {options.limit})")
    sys.exit(int(iou.mean() >= options.limit))


main()
