"""A shop's night on a bucket: photos, a pipeline file, runs of it, and what they left. Must not know any fault."""

import collections
import io
import json
import os
import pathlib
import subprocess

import blake3
import boto3
import botocore.config
import pyarrow
import pyarrow.parquet

from ceph import die_with_parent

BUCKET = "shop"
PIPELINE = """\
name = "nightly"
store = "s3://{bucket}/{place}/store"

[storage]
endpoint = "{endpoint}"
allow_http = true
region = "us-east-1"
{storage}
[limits]
max_quarantine = "{max_quarantine}"

[[stage]]
kind = "cutout"
input = "s3://{bucket}/{photos}/"
out = "s3://{bucket}/{place}/out"
model = "threshold"
shard_items = 5

# A cutout is what is asked for here, not a good one: nothing is doubtful but what is empty.
[stage.review]
sheet = 0
min_coverage = 0
max_coverage = 1
max_border_contact = 1
max_soft_share = 1
min_confidence = 0
min_sharpness = 0
max_components = 1000000
max_holes = 1000000
"""


class Shop:
    """The bucket as its owner sees it, past every proxy, and the program under test."""

    def __init__(self, selvedge, endpoint, folder, key="ownerkey", secret="ownersecret"):
        self.selvedge, self.endpoint, self.folder = selvedge, endpoint, pathlib.Path(folder)
        self.keys = (key, secret)
        self.s3 = boto3.client(
            "s3", endpoint_url=endpoint, aws_access_key_id=key, aws_secret_access_key=secret, region_name="us-east-1",
            config=botocore.config.Config(signature_version="s3v4", s3={"addressing_style": "path"}, max_pool_connections=32),
        )

    def objects(self, prefix):
        """Key → bytes of everything below a prefix."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
        return {key: self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys}

    def put(self, key, data, **more):
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=data, **more)

    def draw(self, count):
        """Photos as a shop has them, and two that are none."""
        out = self.folder / "drawn"
        words = ["sample-data", "--images", "1", "--catalog", str(count), "--long-side", "256", "--seed", "1", "--log", "quiet"]
        subprocess.run([self.selvedge, *words, "--out", str(out)], check=True, stdout=subprocess.DEVNULL)
        photos = {path.name: path.read_bytes() for path in sorted((out / "catalog").glob("*.jpg"))}
        return photos | {"empty.jpg": b"", "garbage.jpg": b"no photo at all " * 40}

    def dataset(self, place):
        """A dataset of 40 photos with its CSV below a prefix; gives the lines of the CSV."""
        out = self.folder / f"{place}-dataset"
        words = ["sample-data", "--images", "40", "--catalog", "0", "--scenes", "lookbook", "--long-side", "160", "--seed", "3"]
        subprocess.run([self.selvedge, *words, "--log", "quiet", "--out", str(out)], check=True, stdout=subprocess.DEVNULL)
        for path in (out / "train").iterdir():
            self.put(f"{place}/train/{path.name}", path.read_bytes())
        lines = (out / "train.csv").read_text().splitlines(keepends=True)
        self.put(f"{place}/train.csv", "".join(lines).encode())
        return lines

    def statistics(self, place, endpoint, *sets):
        """A night of the shipped pipeline for datasets: exit code, the object that `--json` prints, what was told."""
        file = pathlib.Path(__file__).parents[2] / "pipelines/dataset-stats.toml"
        words = [f"bucket=s3://{BUCKET}/{place}", f"metrics={self.folder / place}.prom", *sets]
        words = [word for pair in zip(["--set"] * len(words), words) for word in pair]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        key, secret = self.keys
        options = f"endpoint={endpoint},allow_http=true,region=us-east-1,timeout=3,retries=5"
        own = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "SELVEDGE_STORE_OPTIONS": options}
        ended = subprocess.run(
            [self.selvedge, "run", str(file), *words, "--json", "--log", "plain"], env=inherited | own, text=True,
            cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=240,
        )
        return ended.returncode, json.loads(ended.stdout.splitlines()[-1]), ended.stderr

    def night(self, place, endpoint=None, photos="in", max_quarantine="50%", **storage):
        """A pipeline with its own output and store below `place`."""
        options = "".join(f"{name} = {json.dumps(value)}\n" for name, value in storage.items())
        text = PIPELINE.format(
            bucket=BUCKET, place=place, photos=photos, endpoint=endpoint or self.endpoint, storage=options,
            max_quarantine=max_quarantine,
        )
        file = self.folder / f"{place.replace('/', '-')}.toml"
        file.write_text(text)
        return Night(self, place, file)


class Night:
    """One pipeline of the shop."""

    def __init__(self, shop, place, file):
        self.shop, self.place, self.file = shop, place, file

    def start(self, command="run", env=None):
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        key, secret = self.shop.keys
        keys = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}
        return subprocess.Popen(
            [self.shop.selvedge, command, str(self.file), "--json", "--log", "plain"],
            env=inherited | (keys if env is None else env), text=True, preexec_fn=die_with_parent,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )

    def run(self, env=None, seconds=240):
        process = self.start(env=env)
        try:
            said, told = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        summary = json.loads(said.splitlines()[-1]) if said.strip() else {}
        return Ended(process.returncode, summary.get("counts", {}), told)

    def table(self, folder):
        """The rows of the current version of a table; none when there is no version."""
        at = f"{self.place}/store/{folder}/"
        manifests = self.shop.objects(f"{at}_versions/")
        if not manifests:
            return []
        manifest = json.loads(manifests[max(manifests)])
        get = lambda part: self.shop.s3.get_object(Bucket=BUCKET, Key=at + part["file"])["Body"].read()
        tables = [pyarrow.parquet.read_table(io.BytesIO(get(part))) for part in manifest["parts"]]
        return [row for table in tables for row in table.to_pylist()]

    def ledger(self):
        return self.table("ledger/nightly/cutout")

    def outputs(self):
        """What lies in the shop, and what waits for a person, by the keys that both share."""
        places = [f"{self.place}/out/", f"{self.place}/store/review/cutout/"]
        return {key.removeprefix(place): data for place in places for key, data in self.shop.objects(place).items()}

    def check(self, photos):
        """What must hold after any run: one row for each photo, every cutout of a row is there and is the one of the row,
        what went wrong has its reason, and no photo was tried twice in one run. Returns the rows by key."""
        rows, outputs = self.ledger(), self.outputs()
        keys = [row["key"] for row in rows]
        assert sorted(keys) == sorted(photos), f"rows {sorted(keys)}"
        expected = set()
        for row in rows:
            if row["outcome"] in ("ok", "review"):
                assert row["outputs"], row
                whole = b"".join(outputs[name] for name in row["outputs"])
                assert blake3.blake3(whole).hexdigest() == row["output_digest"], f"{row['key']}: not the cutout of its row"
                expected |= set(row["outputs"])
            else:
                assert row["reason"] and row["detail"], row
        tries = collections.Counter((row["run"], row["key"]) for row in self.table("attempts"))
        twice = [key for key, count in tries.items() if count > 1]
        assert not twice, f"tried twice in one run: {twice}"
        return {row["key"]: row for row in rows}, set(outputs) - expected


class Ended:
    """How a run ended: exit code, counts, and what it told."""

    def __init__(self, code, counts, told):
        self.code, self.counts, self.told = code, counts, told

    def __str__(self):
        good = self.counts.get("ok", 0) + self.counts.get("review", 0)
        bad = self.counts.get("quarantined", 0) + self.counts.get("failed", 0)
        return f"exit {self.code}, {good} good, {self.counts.get('cached', 0)} cached, {bad} bad"
