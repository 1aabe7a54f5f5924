#!/usr/bin/env python3
"""Six statistics of a CSV of run-length masks as notebooks compute them: the class balance, masks and classes an image, image
sizes, mask areas by class, and which classes occur together.

    stats_pandas.py train.csv        (pandas, numpy)

The file is read in chunks, as whole it takes several times its size in memory. Prints a checksum of each, so that nothing is
left out by being lazy. Must not know how else this could be done.
"""
import sys

import numpy as np
import pandas as pd

chunks = []
for chunk in pd.read_csv(sys.argv[1], chunksize=20_000, dtype={"ImageId": str, "EncodedPixels": str, "AttributesIds": str}):
    chunk["area"] = [int(np.fromstring(runs, dtype=np.int64, sep=" ")[1::2].sum()) for runs in chunk["EncodedPixels"]]
    chunks.append(chunk.drop(columns=["EncodedPixels", "AttributesIds"]))
rows = pd.concat(chunks)

balance = rows.groupby("ClassId").agg(masks=("area", "size"), images=("ImageId", "nunique"), pixels=("area", "sum"))
masks = rows.groupby("ImageId").size().value_counts()
classes = rows.groupby("ImageId")["ClassId"].nunique().value_counts()
images = rows.drop_duplicates("ImageId")
sizes = pd.cut(images["Height"] * images["Width"] / 1e6, [0, 0.25, 1, 4, 16, np.inf]).value_counts()
areas = (rows["area"] / (rows["Height"] * rows["Width"])).groupby(rows["ClassId"]).median()
shown = pd.crosstab(rows["ImageId"], rows["ClassId"]).clip(upper=1)
together = shown.T @ shown

print(len(rows), balance["pixels"].sum(), masks.sum(), classes.sum(), sizes.sum(), round(areas.sum(), 6), together.to_numpy().sum())
