#!/usr/bin/env python3
"""A pipeline that has run for a year: a million photos in nested folders, the ledger of them, and 365 runs of history.

    make_ledger.py SEED PHOTOS STORE

SEED is the store of one real run of the same pipeline over one good and one bad photo. Its parts give the columns and
footers, its ledger the fingerprint and its objects their form, so that nothing here repeats the program's schemas: a column
that this file cannot fill is an error. PHOTOS is filled with sparse files of real sizes (only listings look at them).
Of 1,001,000 names, 1,000 have a file and no row (new), 1,000 a row and no file (gone), 1,000 a row of an older version
(changed); the other 998,000 are as the ledger has them.
"""
import datetime
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from blake3 import blake3

NAMES, PERIOD = 1_001_000, 1_001
NEW, GONE, CHANGED = 500, 250, 750  # places in each period of 1,001 names
NIGHTS, PART_ROWS = 365, 65_536
PIPELINE, STAGE = "million", "cutout"
FIRST_NIGHT = datetime.datetime(2025, 11, 23, 2, 15)


def key_of(number):
    return f"{number // 10_000:03d}/{number // 100 % 100:02d}/{number:07d}.jpg"


def run_of(night):
    start = FIRST_NIGHT + datetime.timedelta(days=night)
    return f"{start:%Y%m%dT%H%M%S}.000Z-{night:08x}"


def photos(root):
    """Makes the files that are not there yet; gives (key, etag, size) of every row of the ledger, in key order."""
    for number in range(NAMES):
        key, place = key_of(number), number % PERIOD
        size = 40_000 + number * 7919 % 400_000
        path = f"{root}/{key}"
        if place == GONE:
            yield key, f"{0x18A0000000000000 + number:x}-{size:x}-{number:x}", size
            continue
        if number % 100 == 0 or not os.path.isdir(os.path.dirname(path)):
            os.makedirs(os.path.dirname(path), exist_ok=True)
        file = os.open(path, os.O_CREAT | os.O_WRONLY, 0o644)
        found = os.fstat(file)
        if found.st_size != size:
            os.ftruncate(file, size)
            found = os.fstat(file)
        os.close(file)
        if place != NEW:
            # As the program names a version of a local file: modified (ns), bytes, inode.
            modified = found.st_mtime_ns - (1_000_000_000 if place == CHANGED else 0)
            yield key, f"{modified:x}-{size:x}-{found.st_ino:x}", size


def columns(rows, night, fingerprint, random):
    """Every column that the ledger, the attempts and the quarantine have, by name."""
    keys, etags, sizes = (list(column) for column in zip(*rows))
    count = len(rows)
    nights = [(at if night is None else night) % NIGHTS for at in range(count)]
    bad = [at % 200 == 7 for at in range(count)]
    outcomes = ["quarantined" if wrong else "ok" for wrong in bad]
    share = lambda: random.random(count, dtype=np.float32)
    return {
        "key": keys,
        "item": keys,
        "where": keys,
        "stage": [STAGE] * count,
        "etag": etags,
        "size": sizes,
        "fingerprint": [fingerprint] * count,
        "outcome": outcomes,
        "reason": ["truncated" if wrong else None for wrong in bad],
        "detail": ["the file ends before its picture does" if wrong else "" for wrong in bad],
        "outputs": [[] if wrong else [f"{key}.png"] for key, wrong in zip(keys, bad)],
        "output_bytes": [0 if wrong else size * 5 for size, wrong in zip(sizes, bad)],
        "output_digest": ["" if wrong else blake3(key.encode()).hexdigest() for key, wrong in zip(keys, bad)],
        "format": ["jpeg"] * count,
        "width": [1500] * count,
        "height": [2000] * count,
        "notes": [[] for _ in range(count)],
        "coverage": share(),
        "soft_share": share(),
        "border_contact": share(),
        "confidence": share(),
        "components": [None if wrong else 1 for wrong in bad],
        "holes": [None if wrong else 0 for wrong in bad],
        "sharpness": share(),
        "doubt": share(),
        "violations": [[] for _ in range(count)],
        "run": [run_of(night) for night in nights],
        "shard": [at // 64 for at in range(count)],
        "host": ["worker-1"] * count,
        "attempt": [f"{night:016x}" for night in nights],
        "first_seen": [FIRST_NIGHT.replace(tzinfo=datetime.timezone.utc)] * count,
        **{f"{step}_ms": share() * 100 for step in ("fetch", "decode", "predict", "encode", "put")},
    }


class Table:
    """One table: its form taken from the seed, its parts and manifests written as the program writes them."""

    def __init__(self, seed, store, folder):
        self.seed, self.folder, self.parts = seed / folder, store / folder, []
        manifest = max((self.seed / "_versions").glob("*.json"))
        self.manifest = json.loads(manifest.read_text())
        part = pq.ParquetFile(self.seed / self.manifest["parts"][0]["file"])
        self.schema = part.schema_arrow.with_metadata({"selvedge.schema": self.manifest["schema"]})
        (self.folder / "_versions").mkdir(parents=True)

    def put(self, values, **more):
        missing = [name for name in self.schema.names if name not in values]
        if missing:
            sys.exit(f"make_ledger.py: {self.manifest['schema']} has columns that are not known here: {missing}")
        arrays = [pa.array(values[field.name], field.type) for field in self.schema]
        table = pa.Table.from_arrays(arrays, schema=self.schema)
        file = f"part-{len(self.parts) % 100_000:05d}-{len(self.parts):016x}.parquet"
        pq.write_table(
            table,
            self.folder / file,
            row_group_size=max(table.num_rows, 1),
            compression="zstd",
            compression_level=1,
            data_page_version="2.0",
            use_compliant_nested_type=False,
        )
        data = (self.folder / file).read_bytes()
        digest = blake3(data).hexdigest()
        self.parts.append({"file": file, "size": len(data), "blake3": digest, "rows": table.num_rows, **more})

    def publish(self, night, parts):
        version = night + 1
        manifest = self.manifest | {
            "version": version,
            "parts": parts,
            "rows": sum(part["rows"] for part in parts),
            "run": run_of(night),
            "owner": f"{night:016x}",
            "epoch": version,
        }
        (self.folder / "_versions" / f"{version:010d}.json").write_text(json.dumps(manifest, indent=2))


def history(seed, store):
    """One folder of `runs/` a night: what was started and how it ended."""
    record, end = (json.loads(next(seed.glob(f"runs/*/{name}.json")).read_text()) for name in ("run", "outcome"))
    for night in range(NIGHTS):
        run, start = run_of(night), FIRST_NIGHT + datetime.timedelta(days=night)
        folder = store / "runs" / run
        folder.mkdir(parents=True)
        started = record | {"run": run, "epoch": night + 1, "started": f"{start.isoformat()}Z"}
        ended = end | {"owner": f"{night:016x}", "ended": f"{(start + datetime.timedelta(hours=1)).isoformat()}Z"}
        (folder / "run.json").write_text(json.dumps(started, indent=2))
        (folder / "outcome.json").write_text(json.dumps(ended, indent=2))


def main():
    seed, root, store = map(Path, sys.argv[1:4])
    shutil.rmtree(store, ignore_errors=True)
    random = np.random.default_rng(1)
    (known,) = (seed / "ledger" / PIPELINE / STAGE / "fingerprints").glob("*.json")
    fingerprint = known.stem
    rows = list(photos(root))

    ledger = Table(seed, store, f"ledger/{PIPELINE}/{STAGE}")
    shutil.copytree(known.parent, ledger.folder / "fingerprints")
    standing = {"item": [], "reason": [], "detail": [], "where": [], "stage": [], "first_seen": []}
    for first in range(0, len(rows), PART_ROWS):
        chunk = rows[first : first + PART_ROWS]
        values = columns(chunk, None, fingerprint, random)
        ledger.put(values, first=chunk[0][0], last=chunk[-1][0])
        bad = [at for at, outcome in enumerate(values["outcome"]) if outcome == "quarantined"]
        for name, column in standing.items():
            column.extend(values[name][at] for at in bad)
    quarantine = Table(seed, store, "quarantine")
    quarantine.put(standing, stage=STAGE)
    attempts = Table(seed, store, "attempts")
    cuts = np.linspace(0, len(rows), NIGHTS + 1).astype(int).tolist()
    for night, (first, end) in enumerate(zip(cuts[:-1], cuts[1:])):
        values = columns(rows[first:end], night, fingerprint, random)
        attempts.put(values, stage=f"{PIPELINE}/{STAGE}/{run_of(night)}")
    for night in range(NIGHTS):
        ledger.publish(night, ledger.parts)
        attempts.publish(night, attempts.parts[: night + 1])
        quarantine.publish(night, quarantine.parts)
    history(seed, store)
    print(f"{len(rows)} rows in {len(ledger.parts)} parts, {NIGHTS} runs, {len(standing['item'])} quarantined")


main()
