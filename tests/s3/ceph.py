"""A real S3 server for the length of a test: Ceph with one process of each kind, on loopback, its data in memory.

Everything it writes lies in one folder, every port is a free one, and the processes die with the one that started them, so
that several can run side by side and nothing is left behind. Must not know what is stored.
"""

import ctypes
import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
import uuid

PR_SET_PDEATHSIG = 1

CONFIG = """\
[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{mon2},v1:127.0.0.1:{mon1}]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
# No keys between the daemons, which listen on loopback only. Without the next line radosgw insists on encryption, which
# needs keys, and waits for ever.
auth cluster required = none
auth service required = none
auth client required = none
ms mon client mode = crc
# One copy of everything, in memory, however full the machine's disk is.
mon allow pool size one = true
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pg autoscale mode = off
mon max pg per osd = 2000
osd crush chooseleaf type = 0
osd objectstore = memstore
memstore device bytes = 2147483648
mon data avail crit = 1
mon data avail warn = 1
osd failsafe full ratio = 0.99
mon data = {folder}/mon
osd data = {folder}/osd
rgw data = {folder}/rgw
run dir = {folder}/run
log file = {folder}/log/$name.log
mon cluster log file = {folder}/log/cluster.log
admin socket = {folder}/run/$name.asok
pid file = {folder}/run/$name.pid
crash dir = {folder}/crash
rgw frontends = beast endpoint=127.0.0.1:{port}
rgw run sync thread = false
rgw enable usage log = false
rgw override bucket index max shards = 1
# Encryption with named keys, over the plain connection of a test.
rgw crypt require ssl = false
rgw crypt s3 kms backend = testing
rgw crypt s3 kms encryption keys = shop-key=YmluCmJvb3N0CmJvb3N0LWJ1aWxkCmNlcGguY29uZgo=
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(what, condition, seconds=120):
    """Asks until the condition gives something true, and returns that; says what was waited for when time is up."""
    end = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(0.1)


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Ceph:
    """The cluster; a context manager. `endpoint` is the URL of its S3 service."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.processes = []
        # Two changes of one user at the same time would lose one.
        self.administering = threading.Lock()

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        for name in ["mon", "osd", "rgw", "run", "log", "crash"]:
            (self.folder / name).mkdir(parents=True)
        port, mon1, mon2 = free_port(), free_port(), free_port()
        fsid = str(uuid.uuid4())
        conf = self.folder / "ceph.conf"
        conf.write_text(CONFIG.format(folder=self.folder, fsid=fsid, port=port, mon1=mon1, mon2=mon2))
        self.endpoint = f"http://127.0.0.1:{port}"
        # Nothing of a cluster that this machine may have.
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("CEPH_")}
        self.env["CEPH_CONF"] = str(conf)
        monmap = str(self.folder / "monmap")
        addresses = f"[v2:127.0.0.1:{mon2},v1:127.0.0.1:{mon1}]"
        self.call("monmaptool", "--create", "--addv", "a", addresses, "--fsid", fsid, monmap)
        self.call("ceph-mon", "-i", "a", "--mkfs", "--monmap", monmap)
        self.daemon("ceph-mon", "-i", "a")
        wait_for("the monitor answers", lambda: self.answers("ceph", "--connect-timeout", "2", "mon", "stat"))
        osd = str(uuid.uuid4())
        self.call("ceph", "osd", "new", osd, "0")
        self.call("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd)
        self.daemon("ceph-osd", "-i", "0")
        wait_for("the object daemon is up", lambda: "1 up" in self.call("ceph", "osd", "stat"))
        self.user("owner", "ownerkey", "ownersecret")
        self.daemon("radosgw", "-n", "client.rgw")
        wait_for("radosgw answers", self.is_serving)

    def is_serving(self):
        self.look()
        try:
            with urllib.request.urlopen(self.endpoint, timeout=10) as answer:
                return answer.status == 200
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False

    def look(self):
        """Fails when a daemon has ended, with the end of its log."""
        for process, log in self.processes:
            if process.poll() is not None:
                said = log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{process.args[0]} ended with {process.returncode}: {said}")

    def daemon(self, *words):
        log = self.folder / "log" / f"{words[0]}.out"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [*words, "-f"], env=self.env, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                start_new_session=True, preexec_fn=die_with_parent,
            )
        self.processes.append((process, log))

    def answers(self, *words):
        self.look()
        return subprocess.run(words, env=self.env, capture_output=True, timeout=60).returncode == 0

    def call(self, *words):
        self.look()
        done = subprocess.run(words, env=self.env, capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(words)} ended with {done.returncode}: {done.stderr[-2000:]}")
        return done.stdout

    def administer(self, *words):
        with self.administering:
            return self.call("radosgw-admin", *words)

    def user(self, name, key, secret):
        """Makes a user with one key; returns it as the server describes it."""
        words = ["user", "create", "--uid", name, "--display-name", name, "--access-key", key, "--secret-key", secret]
        return json.loads(self.administer(*words))

    def add_key(self, name, key, secret):
        """Gives a user a further key."""
        words = ["--uid", name, "--key-type", "s3", "--access-key", key, "--secret-key", secret]
        self.administer("key", "create", *words)

    def revoke_key(self, name, key):
        """Takes a key from a user."""
        self.administer("key", "rm", "--uid", name, "--key-type", "s3", "--access-key", key)

    def stop(self):
        for process, _ in reversed(self.processes):
            if process.poll() is None:
                process.kill()  # Its data goes anyway, and an object daemon takes seconds to end by itself.
        for process, _ in self.processes:
            process.wait()
        self.processes = []
