"""Pictures with 256 colours at most, which is what a page of text has but for its soft edges."""

import struct
import zlib
from collections import Counter

HEAD = b"\x89PNG\r\n\x1a\n"
COLOURS_MAX = 256
TRUE_COLOUR, WITH_PALETTE = 2, 3


def smaller(png):
    """The same picture; colours that are rare become the nearest of the others."""
    width, height, pixels = decoded(png)
    counts = Counter(pixels)
    kept = [colour for colour, _ in counts.most_common(COLOURS_MAX)]
    places = {colour: at for at, colour in enumerate(kept)}
    for colour in counts.keys() - places.keys():
        places[colour] = min(range(len(kept)), key=lambda at: distance(kept[at], colour))
    rows = bytearray()
    for top in range(0, width * height, width):
        rows.append(0)
        rows += bytes(places[it] for it in pixels[top:top + width])
    head = struct.pack(">IIBBBBB", width, height, 8, WITH_PALETTE, 0, 0, 0)
    return HEAD + b"".join(map(chunk, [b"IHDR", b"PLTE", b"IDAT", b"IEND"],
                               [head, b"".join(kept), zlib.compress(bytes(rows), 9), b""]))


def distance(one, other):
    return sum((a - b) ** 2 for a, b in zip(one, other))


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def decoded(png):
    """Width, height, and each pixel as three bytes: of true colour, with or without alpha."""
    assert png.startswith(HEAD), "it is no PNG"
    at, packed = len(HEAD), b""
    while at < len(png):
        size, kind = struct.unpack(">I4s", png[at:at + 8])
        body = png[at + 8:at + 8 + size]
        if kind == b"IHDR":
            width, height, depth, colours, _, _, interlaced = struct.unpack(">IIBBBBB", body)
            assert (depth, interlaced) == (8, 0) and colours & ~4 == TRUE_COLOUR, body
        elif kind == b"IDAT":
            packed += body
        at += 12 + size
    step = 4 if colours & 4 else 3
    raw, line = zlib.decompress(packed), width * step
    above, pixels = bytes(line), []
    for top in range(0, height * (line + 1), line + 1):
        above = unfiltered(raw[top], bytearray(raw[top + 1:top + 1 + line]), above, step)
        pixels += [bytes(above[it:it + 3]) for it in range(0, line, step)]
    return width, height, pixels


def unfiltered(kind, row, above, step):
    """A row as it was before PNG's filter of this kind."""
    for at in range(len(row)):
        left = row[at - step] if step <= at else 0
        corner = above[at - step] if step <= at else 0
        guess = [0, left, above[at], (left + above[at]) // 2, paeth(left, above[at], corner)][kind]
        row[at] = (row[at] + guess) & 255
    return row


def paeth(left, above, corner):
    guess = left + above - corner
    return min((left, above, corner), key=lambda it: abs(guess - it))
