"""Makes a folder of odd photos, as a bucket of a catalogue holds them after ten years: other colour spaces, other depths,
turned, damaged, misnamed, hostile. Must not know Selvedge: what it writes is judged by the tests that call it.

    python odd_photos.py OUT [PHOTO...]        PHOTO: pictures to start from; skimage's and sklearn's if none is given

Writes OUT/…, and OUT.expect.tsv: name, what is odd, what a reader should say (ok, or a reason).
Needs Pillow and numpy; Display-P3 and AdobeRGB profiles are made here from primaries."""
import io
import os
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms


def profile(primaries, gamma, name):
    """A matrix ICC v2 profile: primaries as (x, y) against D65, adapted to D50 by Bradford; a pure gamma."""
    def xyz(x, y):
        return np.array([x / y, 1, (1 - x - y) / y])
    white = xyz(0.3127, 0.3290)
    d50 = np.array([0.9642, 1.0, 0.8249])
    columns = np.stack([xyz(*p) for p in primaries], 1)
    matrix = columns * np.linalg.solve(columns, white)
    bradford = np.array([[.8951, .2664, -.1614], [-.7502, 1.7135, .0367], [.0389, -.0685, 1.0296]])
    adapt = np.linalg.inv(bradford) @ np.diag((bradford @ d50) / (bradford @ white)) @ bradford
    matrix = adapt @ matrix

    def fixed(v):
        return struct.pack(">i", int(round(v * 65536)))
    def kind_xyz(v):
        return b"XYZ \0\0\0\0" + b"".join(fixed(x) for x in v)
    curve = b"curv\0\0\0\0" + struct.pack(">I", 1) + struct.pack(">H", int(round(gamma * 256)))
    text = name.encode()
    desc = b"desc\0\0\0\0" + struct.pack(">I", len(text) + 1) + text + b"\0" + b"\0" * 78
    tags = [(b"desc", desc), (b"cprt", b"text\0\0\0\0none\0"), (b"wtpt", kind_xyz(d50))]
    tags += [(t, kind_xyz(matrix[:, i])) for i, t in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))]
    tags += [(t, curve) for t in (b"rTRC", b"gTRC", b"bTRC")]
    table, body, at = b"", b"", 128 + 4 + 12 * len(tags)
    for tag, data in tags:
        data += b"\0" * (-len(data) % 4)
        table += tag + struct.pack(">II", at + len(body), len(data))
        body += data
    size = at + len(body)
    head = struct.pack(">I", size) + b"\0\0\0\0" + struct.pack(">I", 0x02400000) + b"mntrRGB XYZ "
    head += struct.pack(">6H", 2024, 1, 1, 0, 0, 0) + b"acsp" + b"\0" * 28 + b"".join(fixed(v) for v in d50)
    head += b"\0" * (128 - len(head))
    return head + struct.pack(">I", len(tags)) + table + body


P3 = profile([(.680, .320), (.265, .690), (.150, .060)], 2.2, "P3 primaries, gamma 2.2")
ADOBE = profile([(.64, .33), (.21, .71), (.15, .06)], 2.19921875, "Adobe RGB (1998) primaries")


def png(width, height, bits, colour, rows, extra=b""):
    """A PNG by hand; `rows` yields raw rows without their filter byte, or is the finished zlib stream."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    data = rows if isinstance(rows, bytes) else zlib.compress(b"".join(b"\0" + r for r in rows))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
            + extra + chunk(b"IDAT", data) + chunk(b"IEND", b""))


def built_in():
    import skimage
    import sklearn
    a = Path(skimage.__file__).parent / "data"
    b = Path(sklearn.__file__).parent / "datasets" / "images"
    return [a / n for n in ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")] + [b / "china.jpg", b / "flower.jpg"]


def main(out, photos):
    out.mkdir(parents=True, exist_ok=True)
    expect = []

    def put(name, data, what, answer="ok"):
        path = os.path.join(os.fsencode(out), name if isinstance(name, bytes) else name.encode())
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
        expect.append((name if isinstance(name, str) else repr(name), what, answer))

    def save(image, form, **options):
        buffer = io.BytesIO()
        image.save(buffer, form, **options)
        return buffer.getvalue()

    photos = [Image.open(p).convert("RGB") for p in photos]
    a = photos[0]
    for i, photo in enumerate(photos):
        put(f"plain/photo-{i}.jpg", save(photo, "JPEG", quality=95), "plain JPEG")
    jpeg = save(a, "JPEG", quality=92)
    cmyk = a.convert("CMYK")
    put("colour/cmyk.jpg", save(cmyk, "JPEG", quality=95), "CMYK JPEG without a profile")
    put("colour/cmyk.tiff", save(cmyk, "TIFF"), "CMYK TIFF")
    put("colour/grey.jpg", save(a.convert("L"), "JPEG", quality=95), "grey JPEG")
    grey = (np.asarray(a.convert("L"), dtype=np.uint16) * 257)
    put("colour/grey16.png", png(a.width, a.height, 16, 0, [r.astype(">u2").tobytes() for r in grey]), "16-bit grey PNG")
    wide = np.asarray(a, dtype=np.uint16) * 257
    put("colour/rgb16.png", png(a.width, a.height, 16, 2, [r.astype(">u2").tobytes() for r in wide]), "16-bit RGB PNG")
    for name, icc in (("p3", P3), ("adobe", ADOBE)):
        put(f"colour/{name}.jpg", save(a, "JPEG", quality=95, icc_profile=icc), f"{name} JPEG")
        put(f"colour/{name}.png", save(a, "PNG", icc_profile=icc), f"{name} PNG")
    palette = a.quantize(64)
    put("colour/palette.png", save(palette, "PNG"), "palette PNG")
    put("colour/palette-trns.png", save(palette, "PNG", transparency=bytes([0, 128] + [255] * 62)), "palette PNG with tRNS")
    rgba = a.copy()
    ramp = Image.fromarray(np.tile(np.linspace(0, 255, a.width).astype(np.uint8), (a.height, 1)))
    rgba.putalpha(ramp)
    put("colour/rgba.png", save(rgba, "PNG"), "RGBA PNG, alpha 0 to 255 from left to right")
    put("colour/la.png", save(rgba.convert("LA"), "PNG"), "grey PNG with alpha")
    put("colour/one-bit.png", save(a.convert("1"), "PNG"), "1-bit PNG")
    put("forms/progressive.jpg", save(a, "JPEG", progressive=True), "progressive JPEG")
    put("forms/444.jpg", save(a, "JPEG", subsampling=0), "JPEG 4:4:4")
    frames = [photos[i % len(photos)].resize((320, 240)) for i in range(3)]
    for name, form in (("anim.gif", "GIF"), ("anim.webp", "WEBP"), ("anim.png", "PNG"), ("pages.tiff", "TIFF")):
        put(f"forms/{name}", save(frames[0], form, save_all=True, append_images=frames[1:]), f"{form} of three frames")
    put("forms/still.bmp", save(a, "BMP"), "BMP")
    put("forms/webp-named.jpg", save(a, "WEBP", lossless=True), "WebP named .jpg")
    put("forms/UPPER.JPG", jpeg, "upper-case extension")
    put("forms/noext", jpeg, "no extension")
    for turn in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = turn
        back = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
                5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
                8: Image.Transpose.ROTATE_270}.get(turn)
        wide = a.resize((300, 200)) if back is None else a.resize((300, 200)).transpose(back)
        put(f"turned/exif-{turn}.jpg", save(wide, "JPEG", quality=95, exif=exif), f"EXIF orientation {turn}; upright 300x200")
    for share in (30, 60, 99):
        put(f"bad/cut-{share}.jpg", jpeg[: len(jpeg) * share // 100], f"JPEG cut at {share} %", "truncated")
    put("bad/cut.png", save(a, "PNG")[:20000], "PNG cut", "truncated")
    put("bad/no-eoi.jpg", jpeg[:-2], "JPEG without EOI", "truncated|ok")
    put("bad/zero.jpg", b"", "0 bytes", "zero_bytes")
    put("bad/page.jpg", b"<!DOCTYPE html><html><body>403 Forbidden</body></html>", "HTML", "not_an_image")
    put("bad/xml.jpg", b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "XML", "not_an_image")
    put("bad/noise.jpg", np.random.default_rng(1).bytes(5000), "noise", "not_an_image")
    put("bad/soi.jpg", b"\xff\xd8\xff", "three bytes of a JPEG", "truncated|not_an_image")
    row = zlib.compressobj(9)
    stream = b"".join([row.compress(b"\0" * 60001) for _ in range(600)] + [row.flush()])
    put("bad/bomb.png", png(60000, 60000, 8, 0, stream), "60000x60000 PNG", "too_large")
    put("bad/bomb-2g.png", png(2**31 - 1, 2**31 - 1, 8, 6, zlib.compress(b"\0")), "(2^31-1)^2 PNG", "too_large")
    put("bad/heic.jpg", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 400, "HEIC named .jpg", "unsupported_format")
    put("bad/avif.avif", b"\0\0\0\x1cftypavif\0\0\0\0mif1avifmiaf" + b"\0" * 400, "AVIF", "unsupported_format")
    put("bad/photo.pdf.jpg", b"%PDF-1.4\n%\xe2\xe3\n" + b"x" * 200, "PDF named .jpg", "not_an_image|unsupported_format")
    put("bad/drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG", "not_an_image|unsupported_format")
    put("bad/jp2.jpg", b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0" * 200, "JPEG 2000", "unsupported_format")
    put("bad/12bit.jpg", jpeg.replace(b"\x00\x11\x08", b"\x00\x11\x0c", 1), "12-bit JPEG", "unsupported_format")
    flipped = bytearray(jpeg)
    for i in np.random.default_rng(2).integers(700, len(jpeg), 40):
        flipped[i] ^= 0x55
    put("bad/flipped.jpg", bytes(flipped), "JPEG with 40 wrong bytes", "any")
    put("size/1x1.png", save(a.resize((1, 1)), "PNG"), "1x1", "too_small")
    put("size/15x15.png", save(a.resize((15, 15)), "PNG"), "15x15", "too_small")
    put("size/16x16.png", save(a.resize((16, 16)), "PNG"), "16x16")
    put("size/5x5000.png", save(a.resize((5, 5000)), "PNG"), "5x5000", "too_small")
    put("size/20x4000.jpg", save(a.resize((20, 4000)), "JPEG"), "20x4000", "ok")
    put("size/white.png", save(Image.new("RGB", (200, 200), "white"), "PNG"), "nothing but white", "review")
    put("size/black.jpg", save(Image.new("RGB", (200, 200), "black"), "JPEG"), "nothing but black", "review")
    small = save(a.resize((128, 128)), "JPEG")
    for name in ("a b.jpg", "100%.jpg", "a%20b.jpg", "c+d.jpg", "e#1.jpg", "f?x=1.jpg", "größe.jpg", "gro\u0308ße.jpg",
                 "靴.jpg", "👗.jpg", ".hidden.jpg", "quote'\"s.jpg", "semi;colon&.jpg", "star*[x].jpg", "back\\slash.jpg",
                 "tab\there.jpg", "new\nline.jpg", "-dash.jpg", "trailing .jpg", "dot..dot.jpg", "x" * 200 + ".jpg",
                 "deep/er/and/deeper/p.jpg", "with space/p q.jpg", "~tilde.jpg", "colon:x.jpg", "pipe|<>.jpg"):
        put(f"names/{name}", small, "odd name")
    put(b"names/latin-\xe9.jpg", small, "name that is no UTF-8", "any, but said")
    put("stems/a.jpg", small, "one stem, two files")
    put("stems/a.png", save(a.resize((128, 128)), "PNG"), "one stem, two files")
    put("other/notes.txt", b"hello", "a text file", "not taken, or not_an_image")
    put("other/.DS_Store", b"\0\0\0\1Bud1", "a file of the desktop", "not taken, or not_an_image")
    put("other/Thumbs.db", b"\xd0\xcf\x11\xe0", "a file of the desktop", "not taken, or not_an_image")
    os.makedirs(out / "links", exist_ok=True)
    for link, to in (("loop", "."), ("up", ".."), ("gone.jpg", "nowhere.jpg"), ("photo.jpg", "../plain/photo-0.jpg")):
        if not (out / "links" / link).is_symlink():
            (out / "links" / link).symlink_to(to)
    with open(f"{out}.expect.tsv", "w") as file:
        for line in expect:
            file.write("\t".join(part.replace("\n", "\\n").replace("\t", "\\t") for part in line) + "\n")
    print(f"{len(expect)} files in {out}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(p) for p in sys.argv[2:]] or built_in())
