"""Runs of Selvedge on a real S3 server whose answers are harmed on the way. Each scenario is a function whose name says what
must hold; it is given a `Try`. Must not know how the server is set up.

    python tests/s3/scenarios.py SELVEDGE [WORD]...      only those whose names hold all words
"""

import concurrent.futures
import json
import os
import pathlib
import signal
import sys
import tempfile
import time
import traceback

from ceph import Ceph, wait_for
from faults import Proxy, Rule
from shop import BUCKET, Shop

READS = rf"^GET /{BUCKET}/in/"
WRITES = rf"^PUT /{BUCKET}/[^/]+/out/"
LISTINGS = rf"^GET /{BUCKET}\?"
# What is made once: run, plan, commits of shards, versions of tables, locks.
CREATES = rf"^PUT /{BUCKET}/[^/]+/store/(runs/.*json|locks/[^/]+/[0-9]+\.json|.*/_versions/)"
ALL = r"."

SCENARIOS = []


def scenario(function):
    SCENARIOS.append(function)
    return function


class Try:
    """One scenario under way: its own prefix of the bucket, and figures to tell."""

    def __init__(self, shop, photos, reference, place):
        self.shop, self.photos, self.reference, self.place = shop, photos, reference, place
        self.told = []

    def tell(self, text):
        self.told.append(text)

    def behind(self, *rules):
        return Proxy(self.shop.endpoint, rules)

    def night(self, proxy=None, **settings):
        endpoint = proxy.endpoint if proxy else None
        return self.shop.night(self.place, endpoint, **{"timeout": 2, "retries": 5, **settings})

    def ended(self, name, end, *codes):
        self.tell(f"{name}: {end}")
        assert end.code in codes, f"{name}: exit {end.code}, not {codes}\n{end.told[-3000:]}"

    def same(self, night):
        """The bucket holds what a run without any fault leaves, and nothing else."""
        rows, more = night.check(self.photos)
        assert not more, f"cutouts that no row names: {sorted(more)}"
        for key, row in rows.items():
            of = self.reference[key]
            for column in ("outcome", "reason", "outputs", "output_digest", "etag", "size"):
                assert row[column] == of[column], f"{key}: {column} is {row[column]}, without faults {of[column]}: {row['detail']}"

    def absorbed(self, *rules, **settings):
        """Faults that pass: one run does everything, and the next finds nothing to do."""
        with self.behind(*rules) as proxy:
            night = self.night(proxy, **settings)
            self.ended("run", night.run(), 3)
            for rule in rules:
                self.tell(f"{rule.mode} fired {rule.fired}x")
                assert rule.fired > 0, f"{rule} never fired"
            self.same(night)
            proxy.rules.clear()
            again = night.run()
            self.ended("again", again, 0)
            assert again.counts["cached"] == len(self.photos), again.counts

    def lasting(self, rules, codes, hurt, reason, **settings):
        """Faults that stay for some photos: these are told with the reason, the others are done; the night after, all is."""
        with self.behind(*rules) as proxy:
            night = self.night(proxy, **settings)
            self.ended("run", night.run(), *codes)
            for rule in rules:
                self.tell(f"{rule.mode} fired {rule.fired}x")
                assert rule.fired > 0, f"{rule} never fired"
            rows, _ = night.check(self.photos)
            for key, row in rows.items():
                of = self.reference[key]
                if key in hurt:
                    assert row["reason"] == reason, f"{key}: {row['outcome']}, {row['reason']}: {row['detail']}"
                else:
                    assert (row["outcome"], row["output_digest"]) == (of["outcome"], of["output_digest"]), row
            told = rows[hurt[0]]
            self.tell(f"{len(hurt)} {told['outcome']}, {told['reason']}: {told['detail']}")
            proxy.rules.clear()
            self.ended("again", night.run(), 0)
            self.same(night)
            return told["detail"]

    def stopped(self, rules, codes, **settings):
        """Faults that let nothing through: the run ends with a code that asks for another, which does everything."""
        with self.behind(*rules) as proxy:
            night = self.night(proxy, **settings)
            end = night.run()
            self.ended("run", end, *codes)
            for rule in rules:
                self.tell(f"{rule.mode} fired {rule.fired}x")
                assert rule.fired > 0, f"{rule} never fired"
            proxy.rules.clear()
            self.ended("again", night.run(), 0, 3)
            self.same(night)
            return end


for mode, where, rule in [
    ("503", "reads", dict(match=READS, p=0.25)),
    ("503", "writes", dict(match=WRITES, p=0.25)),
    ("503", "listings", dict(match=LISTINGS, times=2)),
    ("503", "creates", dict(match=CREATES, p=0.25)),
    ("reset", "reads", dict(match=READS, p=0.3)),
    ("reset", "writes", dict(match=WRITES, p=0.3)),
    ("reset", "listings", dict(match=LISTINGS, times=2)),
    ("reset", "creates", dict(match=CREATES, p=0.3)),
    ("reset_midup", "writes", dict(match=WRITES, p=0.3)),
    ("reset_midup", "creates", dict(match=CREATES, p=0.3)),
    ("hang", "reads", dict(match=READS, times=3)),
    ("hang", "writes", dict(match=WRITES, times=3)),
    ("hang", "listings", dict(match=LISTINGS, times=1)),
    ("hang", "creates", dict(match=CREATES, times=3)),
    ("truncate", "reads", dict(match=READS, p=0.25)),
    ("truncate", "listings", dict(match=LISTINGS, times=2)),
    ("corrupt", "reads", dict(match=READS, p=0.3)),
    ("corrupt_up", "writes", dict(match=WRITES, p=0.3)),
    ("corrupt_up", "creates", dict(match=CREATES, p=0.3)),
    ("throttle", "reads", dict(match=READS, arg=40_000)),
    ("delay", "everything", dict(match=ALL, arg=0.05)),
    ("ack_lost", "writes", dict(match=WRITES, p=0.3)),
    ("ack_lost", "creates", dict(match=CREATES, p=0.25)),
    ("ack_lost", "everything", dict(match=ALL, p=0.05)),
]:
    def passing(it, mode=mode, rule=rule):
        it.absorbed(Rule(mode=mode, **rule))

    passing.__name__ = f"{mode}_on_{where}_is_absorbed"
    scenario(passing)


@scenario
def a_photo_that_is_always_corrupt_is_told_as_such(it):
    hurt = ["product-000003.jpg"]
    detail = it.lasting([Rule(rf"{READS}{hurt[0]}", "corrupt")], [3], hurt, "transient_exhausted")
    assert "corrupt" in detail, detail


@scenario
def photos_that_cannot_be_read_are_told_and_done_the_night_after(it):
    hurt = [f"product-{number:06}.jpg" for number in range(4)]
    modes = ["503", "reset", "hang", "truncate"]
    rules = [Rule(rf"{READS}{key}", mode) for key, mode in zip(hurt, modes)]
    it.lasting(rules, [3], hurt, "transient_exhausted", timeout=1, retries=1)


@scenario
def a_photo_slower_than_the_time_limit_is_told(it):
    hurt = ["product-000005.jpg"]
    it.lasting([Rule(rf"{READS}{hurt[0]}", "throttle", arg=600)], [3], hurt, "transient_exhausted", timeout=1, retries=1)


@scenario
def cutouts_that_cannot_be_written_are_told_and_done_the_night_after(it):
    hurt = [f"product-{number:06}.jpg" for number in range(5)]
    modes = ["503", "reset", "hang", "corrupt_up", "reset_midup"]
    rules = [Rule(rf"{WRITES}{key}", mode) for key, mode in zip(hurt, modes)]
    it.lasting(rules, [1], hurt, "write_error", timeout=1, retries=1)


@scenario
def a_bucket_that_cannot_be_listed_asks_for_another_try(it):
    it.stopped([Rule(rf"{LISTINGS}.*prefix=in", "503")], [75], retries=1)


@scenario
def shards_that_cannot_be_committed_ask_for_another_try(it):
    it.stopped([Rule(rf"^PUT .*/shards/", "503")], [75], retries=1)


@scenario
def a_run_behind_a_server_that_is_busy_every_fifth_time_ends_well(it):
    it.absorbed(Rule(ALL, "503", p=0.2), retries=8)


@scenario
def a_run_killed_at_any_moment_is_continued(it):
    with it.behind(Rule(rf"{WRITES}", "delay", arg=0.1)) as proxy:
        night = it.night(proxy)
        kills = 0
        for wanted in [1, 9, 17]:
            begun = len(proxy.seen)
            process = night.start()
            written = lambda: sum(seen.line.startswith(f"PUT /{BUCKET}/{it.place}/out/") for seen in proxy.seen[begun:]) >= wanted
            wait_for("some cutouts are written", lambda: written() or process.poll() is not None)
            kills += process.poll() is None
            process.send_signal(signal.SIGKILL)
            process.communicate()
        assert kills == 3, f"{kills} runs were killed on their way"
        it.ended(f"after {kills} kills", night.run(), 0, 3)
        it.same(night)


def main():
    selvedge, words = os.path.abspath(sys.argv[1]), sys.argv[2:]
    chosen = [one for one in SCENARIOS if all(word in one.__name__ for word in words)]
    begin = time.monotonic()
    failed = 0
    with tempfile.TemporaryDirectory(prefix="selvedge-s3-") as folder, Ceph(f"{folder}/ceph") as ceph:
        print(f"radosgw is up after {time.monotonic() - begin:.0f} s", flush=True)
        shop = Shop(selvedge, ceph.endpoint, folder)
        shop.ceph = ceph
        shop.s3.create_bucket(Bucket=BUCKET)
        photos = shop.draw(24)
        for name, data in photos.items():
            shop.put(f"in/{name}", data)
        reference = shop.night("reference")
        end = reference.run()
        assert end.code == 3, end.told
        rows, more = reference.check(photos)
        assert not more and sum(row["outcome"] in ("ok", "review") for row in rows.values()) == 24, rows
        print(f"without faults: {end}", flush=True)

        def one(at, function):
            it = Try(shop, photos, rows, f"n{at}")
            start = time.monotonic()
            try:
                function(it)
                error = None
            except Exception:
                error = traceback.format_exc()
            return function.__name__, error, it.told, time.monotonic() - start

        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            for done in concurrent.futures.as_completed([pool.submit(one, *pair) for pair in enumerate(chosen)]):
                name, error, told, seconds = done.result()
                failed += error is not None
                print(f"{'FAILED ' if error else 'ok     '} {name.replace('_', ' ')} ({seconds:.1f} s)", flush=True)
                for line in told:
                    print(f"          {line}", flush=True)
                if error:
                    print("\n".join(f"        | {line}" for line in error.splitlines()), flush=True)
    print(f"{len(chosen)} scenarios, {failed} failed, {time.monotonic() - begin:.0f} s")
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
