"""A bucket of so many keys, as far as listings go: answers ListObjectsV2 in pages of 1,000 and knows no objects.

    python million_keys.py COUNT      prints its port, and ends when its standard input does

Must not know who lists.
"""

import asyncio
import sys
import urllib.parse

PAGE = 1_000
ENTRY = (
    "<Contents><Key>{key}</Key><LastModified>2026-11-23T02:00:00.000Z</LastModified>"
    "<ETag>&#34;{number:032x}&#34;</ETag><Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
)


def key_of(number):
    return f"photos/{number // 1000:04}/product-{number:07}.jpg"


def page_of(query, count):
    prefix, after = query.get("prefix", ""), query.get("start-after", "")
    most = min(PAGE, int(query.get("max-keys", PAGE)))
    if "continuation-token" in query:
        start = int(query["continuation-token"])
    else:  # Keys ascend with their numbers.
        start = next((number for number in range(count) if key_of(number) > after), count) if after else 0
    numbers = [number for number in range(start, min(count, start + most)) if key_of(number).startswith(prefix)]
    entries = "".join(ENTRY.format(key=key_of(number), number=number, size=200_000 + number % 1000) for number in numbers)
    more = bool(numbers) and start + most < count
    token = f"<NextContinuationToken>{start + most}</NextContinuationToken>" if more else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<KeyCount>{len(numbers)}</KeyCount><IsTruncated>{str(more).lower()}</IsTruncated>{token}{entries}</ListBucketResult>"
    ).encode()


async def serve(reader, writer, count):
    try:
        while True:
            method, target, _ = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0].decode().split(" ")
            query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(target).query))
            is_listing = method == "GET" and query.get("list-type") == "2"
            body = page_of(query, count) if is_listing else b""
            status = "200 OK" if is_listing else "404 Not Found"
            writer.write(f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main():
    count = int(sys.argv[1])
    server = await asyncio.start_server(lambda reader, writer: serve(reader, writer, count), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(main())
