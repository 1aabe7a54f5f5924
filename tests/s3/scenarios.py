"""Runs of Selvedge on a real S3 server whose answers are harmed on the way. Each scenario is a function whose name says what
must hold; it is given a `Try`. Must not know how the server is set up.

    python tests/s3/scenarios.py SELVEDGE [WORD]...      only those whose names hold all words
"""

import concurrent.futures
import json
import os
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
        return self.shop.night(self.place, endpoint, **{"timeout": 3, "retries": 5, **settings})

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
        # Chance alone could harm one request as often as it is tried: that would be no fault that passes.
        it.absorbed(Rule(mode=mode, each=2, **rule))

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
    for written in [1, 9, 3]:
        gate = Rule(WRITES, "gate", after=written)
        with it.behind(gate) as proxy:
            process = it.night(proxy, timeout=120).start()
            wait_for("some cutouts are written", lambda: gate.fired or process.poll() is not None)
            assert process.poll() is None, process.communicate()[1]
            process.kill()
            process.communicate()
    night = it.night()
    it.ended("after 3 kills", night.run(), 0, 3)
    it.same(night)


def keys_file(it, key, secret):
    """The AWS credentials file of a scenario, replaced as a whole. Returns the environment that names it."""
    path = it.shop.folder / f"{it.place}.credentials"
    new = path.with_suffix(".new")
    new.write_text(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n")
    new.replace(path)
    return {"AWS_SHARED_CREDENTIALS_FILE": str(path)}


@scenario
def keys_replaced_and_revoked_in_the_middle_of_a_run_are_read_again(it):
    ceph = it.shop.ceph
    ceph.add_key("owner", "firstkey", "firstsecret")
    gate = Rule(WRITES, "gate", after=4)
    with it.behind(gate) as proxy:
        night = it.night(proxy, timeout=120)
        process = night.start(env=keys_file(it, "firstkey", "firstsecret"))
        wait_for("some cutouts are written", lambda: gate.fired or process.poll() is not None)
        ceph.add_key("owner", "secondkey", "secondsecret")
        # The worse order: for a moment the file holds a key that is good no more, and requests signed with it are under way.
        ceph.revoke_key("owner", "firstkey")
        keys_file(it, "secondkey", "secondsecret")
        proxy.open(gate)
        _, told = process.communicate(timeout=120)
        refused = sum(seen.status == 403 for seen in proxy.seen)
        users = {seen.headers["authorization"].split("Credential=")[1].split("/")[0] for seen in proxy.seen}
        it.tell(f"exit {process.returncode}, {len(proxy.seen)} requests with the keys {sorted(users)}, {refused} refused")
        assert process.returncode == 3, told
        assert users == {"firstkey", "secondkey"} and refused > 0, users
        it.same(night)


@scenario
def keys_that_are_revoked_for_good_stop_the_run(it):
    it.shop.ceph.add_key("owner", "lastkey", "lastsecret")
    gate = Rule(WRITES, "gate", after=4)
    with it.behind(gate) as proxy:
        night = it.night(proxy, timeout=120)
        process = night.start(env=keys_file(it, "lastkey", "lastsecret"))
        wait_for("some cutouts are written", lambda: gate.fired or process.poll() is not None)
        it.shop.ceph.revoke_key("owner", "lastkey")
        proxy.open(gate)
        _, told = process.communicate(timeout=120)
        it.tell(f"exit {process.returncode}: {told.splitlines()[-1]}")
        # radosgw says InvalidAccessKeyId, or AccessDenied while it still remembers whose key it was.
        assert process.returncode == 1 and "access refused (HTTP 403" in told and "lastsecret" not in told, told
        it.ended("again", night.run(), 0, 3)
        it.same(night)


# The least that a night needs, as deploy/ describes it to AWS.
RIGHTS = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow", "Principal": {"AWS": ["arn:aws:iam:::user/PLACE"]}, "Action": ["s3:ListBucket"],
            "Resource": ["arn:aws:s3:::shop"], "Condition": {"StringLike": {"s3:prefix": ["in/*", "PLACE/out/*", "PLACE/store/*"]}},
        },
        {
            "Effect": "Allow", "Principal": {"AWS": ["arn:aws:iam:::user/PLACE"]}, "Action": ["s3:GetObject"],
            "Resource": ["arn:aws:s3:::shop/in/*"],
        },
        {
            "Effect": "Allow", "Principal": {"AWS": ["arn:aws:iam:::user/PLACE"]},
            "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"],
            "Resource": ["arn:aws:s3:::shop/PLACE/out/*", "arn:aws:s3:::shop/PLACE/store/*"],
        },
    ],
}


@scenario
def rights_on_prefixes_are_enough(it):
    it.shop.ceph.user(it.place, "clerkkey", "clerksecret")
    # Objects belong to who wrote them; the test itself looks at them as the bucket's owner.
    owner = {
        "Effect": "Allow", "Principal": {"AWS": ["arn:aws:iam:::user/owner"]}, "Action": ["s3:GetObject"],
        "Resource": ["arn:aws:s3:::shop/*"],
    }
    policy = {**RIGHTS, "Statement": [*RIGHTS["Statement"], owner]}
    it.shop.s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy).replace("PLACE", it.place))
    env = {"AWS_ACCESS_KEY_ID": "clerkkey", "AWS_SECRET_ACCESS_KEY": "clerksecret"}
    with it.behind() as proxy:
        night = it.night(proxy)
        it.ended("run", night.run(env=env), 3)
        it.same(night)
        it.ended("again", night.run(env=env), 0)
        refused = [seen.line for seen in proxy.seen if seen.status == 403]
        of_bucket = [seen.line for seen in proxy.seen if "list-type" not in seen.line and "?delete" not in seen.line and seen.line.count("/") < 2]
        kinds = sorted({f"{seen.line.split()[0]} {seen.status}" for seen in proxy.seen})
        it.tell(f"{len(proxy.seen)} requests ({', '.join(kinds)}), {len(refused)} refused: {sorted(set(refused))[:3]}")
        assert not of_bucket, f"asked of the bucket itself: {of_bucket}"
        other = it.shop.night(f"{it.place}-elsewhere", proxy.endpoint, timeout=2, retries=1)
        end = other.run(env=env)
        it.tell(f"elsewhere: exit {end.code}: {end.told.splitlines()[-1]}")
        assert end.code == 1 and "AccessDenied" in end.told, end.told


@scenario
def encryption_by_the_store_is_asked_for_and_its_tags_are_taken_for_no_sums(it):
    with it.behind() as proxy:
        night = it.night(proxy, sse="aws:kms", sse_kms_key_id="shop-key", sse_bucket_key=True)
        it.ended("run", night.run(), 3)
        it.same(night)
        puts = [seen.headers for seen in proxy.seen if seen.line.startswith("PUT ")]
        asked = lambda name: {headers.get(f"x-amz-server-side-encryption{name}") for headers in puts}
        it.tell(f"{len(puts)} uploads, encrypted by {asked('')} with {asked('-aws-kms-key-id')}, key of the bucket {asked('-bucket-key-enabled')}")
        assert (asked(""), asked("-aws-kms-key-id"), asked("-bucket-key-enabled")) == ({"aws:kms"}, {"shop-key"}, {"true"})
        stored = it.shop.s3.head_object(Bucket=BUCKET, Key=f"{it.place}/out/product-000001.jpg.png")
        assert stored["ServerSideEncryption"] == "aws:kms", stored
        assert stored["ContentType"] == "image/png", stored


@scenario
def a_photo_under_a_key_that_cannot_be_held_costs_only_itself(it):
    for name, data in it.photos.items():
        it.shop.put(f"{it.place}-in/{name}", data)
    for name in ["m//twice.jpg", "n\x01control.jpg", "../up.jpg", "folder/"]:
        it.shop.put(f"{it.place}-in/{name}", b"" if name == "folder/" else it.photos["product-000001.jpg"])
    night = it.night(photos=f"{it.place}-in")
    end = night.run()
    it.ended("run", end, 1)
    assert end.counts["failed"] == 3 and "twice.jpg" in end.told, end.told
    rows, _ = night.check(it.photos)
    assert all(rows[key]["output_digest"] == of["output_digest"] for key, of in it.reference.items())


@scenario
def a_dataset_is_reported_every_night_and_one_that_lost_rows_stays_in_staging(it):
    lines = it.shop.dataset(it.place)
    page = f"{it.place}/reports/dataset.html"
    versions = lambda: len(it.shop.objects(f"{it.place}/selvedge/masks/_versions/"))
    lost = Rule(rf"^PUT /{BUCKET}/{it.place}/selvedge/.*(_versions/|_staging.json)", "ack_lost", p=0.3, each=2)
    with it.behind(lost, Rule(rf"^GET /{BUCKET}/{it.place}/train/", "503", p=0.2, each=2)) as proxy:
        code, ended, told = it.shop.statistics(it.place, proxy.endpoint)
        it.tell(f"first night: exit {code}, {ended['text']}; {lost.fired} answers lost")
        assert code == 0 and versions() == 1, told
        first = it.shop.objects(page)[page]
        assert b"<svg" in first and b"data:image/jpeg;base64," in first
        assert f"{it.place}/reports/dataset-tables/03_class_balance.csv" in it.shop.objects(f"{it.place}/reports/")

        it.shop.put(f"{it.place}/train.csv", "".join(line for row, line in enumerate(lines) if row % 4 != 1).encode())
        for _ in range(2):
            code, ended, told = it.shop.statistics(it.place, proxy.endpoint)
            assert (code, ended["outcome"]) == (4, "blocked") and "rowcount_not_dropped_20pct blocks" in ended["text"], told
        it.tell(f"second night: exit {code}, {ended['text']}")
        assert versions() == 1 and it.shop.objects(page)[page] == first
        staged = f"{it.place}/selvedge/stats/staging/report.html"
        assert b"rowcount_not_dropped_20pct" in it.shop.objects(staged)[staged]

        code, ended, told = it.shop.statistics(it.place, proxy.endpoint, "accept=rowcount_not_dropped_20pct")
        it.tell(f"accepted: exit {code}, {ended['text']}")
        assert code == 0 and versions() == 2 and it.shop.objects(page)[page] != first, told
        assert not it.shop.objects(f"{it.place}/selvedge/stats/staging/")


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

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
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
