"""A proxy on loopback that plays the faults of an S3 server, by rules. Must not know who asks or what is stored.

It passes requests on untouched, so that signatures stay good, and takes each whole before it does; a rule that fits may do
harm on the way. A rule counts how often it fired, so that a test can say that its fault has happened.
"""

import asyncio
import collections
import dataclasses
import random
import re
import socket
import struct
import threading
import zlib

MODES = {
    "503": "answers that the server is busy; it never hears",
    "reset": "the connection is lost before the server hears",
    "reset_midup": "the connection is lost in the middle of an upload",
    "hang": "no answer ever comes; the server never hears",
    "truncate": "the answer breaks off half way",
    "corrupt": "one bit of the answer's body is another",
    "corrupt_up": "one bit of the request's body is another",
    "throttle": "the answer comes at `arg` bytes a second",
    "gate": "the request waits until the rule is opened",
    "delay": "the request waits `arg` seconds",
    "ack_lost": "the server does it, and the answer is lost",
}
BUSY = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>reduce your request rate</Message></Error>"


@dataclasses.dataclass
class Rule:
    """Does harm to requests whose `METHOD target` it matches: to `times` of them behind the first `after`, each with
    probability `p`."""

    match: str
    mode: str
    times: int = 1 << 30
    each: int = 1 << 30  # of the same request, tried again and again
    after: int = 0
    p: float = 1.0
    arg: float = 0
    fired: int = 0

    def __post_init__(self):
        if self.mode not in MODES:
            raise ValueError(f"unknown mode {self.mode}; known: {', '.join(MODES)}")
        self.pattern = re.compile(self.match)
        self.opened = asyncio.Event()
        self.harmed = collections.Counter()
        self.chance = random.Random(zlib.crc32(f"{self.match} {self.mode}".encode()))

    def fires(self, line):
        if not self.pattern.search(line):
            return False
        self.after -= 1
        if self.after >= 0 or self.fired >= self.times or self.harmed[line] >= self.each or self.chance.random() >= self.p:
            return False
        self.fired += 1
        self.harmed[line] += 1
        return True


@dataclasses.dataclass
class Seen:
    """A request that came by, and what was done to it."""

    line: str
    headers: dict
    mode: str | None
    status: int | None = None


def lines_of(head):
    first, *rest = head.decode("latin1").split("\r\n")
    pairs = (line.split(":", 1) for line in rest if ":" in line)
    return first, {name.strip().lower(): value.strip() for name, value in pairs}


async def body_of(reader, headers, until_end=False):
    """The body as it went over the wire."""
    if "chunked" in headers.get("transfer-encoding", "").lower():
        whole = b""
        while True:
            size = await reader.readuntil(b"\r\n")
            length = int(size.split(b";")[0], 16)
            whole += size + await reader.readexactly(length + 2)
            if length == 0:
                return whole
    if "content-length" in headers:
        return await reader.readexactly(int(headers["content-length"]))
    return await reader.read() if until_end else b""


def flipped(body):
    """The same bytes but for one bit in the middle."""
    at = len(body) // 2
    return body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :] if body else body


def cut_off(writer):
    """Ends a connection by a reset."""
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


class Proxy:
    """In front of the server at `upstream` (host:port); a context manager. `endpoint` is its own URL."""

    def __init__(self, upstream, rules=()):
        self.host, port = upstream.removeprefix("http://").split(":")
        self.port = int(port)
        self.rules = list(rules)
        self.seen = []

    def __enter__(self):
        ready = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self.serve(ready)), daemon=True)
        self.thread.start()
        if not ready.wait(30):
            raise TimeoutError("the proxy did not start within 30 s")
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.end.set)
        self.thread.join(30)

    def open(self, rule):
        """Lets pass what waits at a gate, and all that comes."""
        self.loop.call_soon_threadsafe(rule.opened.set)

    async def serve(self, ready):
        self.loop, self.end = asyncio.get_running_loop(), asyncio.Event()
        self.clients = set()
        server = await asyncio.start_server(self.client, "127.0.0.1", 0, limit=1 << 22)
        self.endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        ready.set()
        await self.end.wait()
        server.close()
        for task in list(self.clients):
            task.cancel()
        await asyncio.gather(*self.clients, return_exceptions=True)

    async def client(self, reader, writer):
        task = asyncio.current_task()
        self.clients.add(task)
        try:
            while await self.exchange(reader, writer):
                pass
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass  # Whoever was at the other end has gone.
        finally:
            self.clients.discard(task)
            writer.close()

    async def exchange(self, reader, writer):
        """One request and its answer; whether the connection goes on."""
        head = await reader.readuntil(b"\r\n\r\n")
        first, headers = lines_of(head)
        method, target, _ = first.split(" ")
        line = f"{method} {target}"
        rule = next((rule for rule in self.rules if rule.fires(line)), None)
        mode = rule.mode if rule else None
        seen = Seen(line, headers, mode)
        self.seen.append(seen)
        if mode == "reset":
            return cut_off(writer)
        if "expect" in headers:
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            head = re.sub(rb"(?im)^expect:[^\r]*\r\n", b"", head)
        if mode == "reset_midup":
            await reader.read(max(1, int(headers.get("content-length", "0")) // 2))
            return cut_off(writer)
        body = await body_of(reader, headers)
        if mode == "503":
            seen.status = 503
            answer = f"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nContent-Length: {len(BUSY)}\r\n\r\n"
            writer.write(answer.encode() + (b"" if method == "HEAD" else BUSY))
            await writer.drain()
            return True
        if mode == "hang":
            await reader.read()  # Until the other side gives up.
            return False
        if mode == "delay":
            await asyncio.sleep(rule.arg)
        if mode == "gate":
            await rule.opened.wait()
        if mode == "corrupt_up":
            body = flipped(body)
        return await self.answer(writer, rule, seen, method, head + body)

    async def answer(self, writer, rule, seen, method, request):
        mode = rule.mode if rule else None
        upstream, to_upstream = await asyncio.open_connection(self.host, self.port, limit=1 << 22)
        try:
            to_upstream.write(request)
            await to_upstream.drain()
            head = await upstream.readuntil(b"\r\n\r\n")
            first, headers = lines_of(head)
            seen.status = int(first.split(" ")[1])
            empty = method == "HEAD" or seen.status in (204, 304)
            body = b"" if empty else await body_of(upstream, headers, until_end=True)
        finally:
            to_upstream.close()
        if mode == "ack_lost":
            return cut_off(writer)
        if mode == "truncate":
            writer.write(head + body[: len(body) // 2])
            await writer.drain()
            return False
        if mode == "corrupt":
            body = flipped(body)
        writer.write(head)
        if mode == "throttle":
            step = max(1, int(rule.arg / 20))
            for start in range(0, len(body), step):
                writer.write(body[start : start + step])
                await writer.drain()
                await asyncio.sleep(0.05)
        else:
            writer.write(body)
        await writer.drain()
        return "content-length" in headers or "chunked" in headers.get("transfer-encoding", "") or empty
