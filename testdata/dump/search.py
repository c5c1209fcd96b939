#!/usr/bin/env python3
"""Search a folder for texts, however they may be written.

    search.py NEEDLES FOLDER

NEEDLES holds a text a line. Every file of FOLDER is looked at as it is, and again with what stands in
it in hexadecimal, in base64 and as zlib streams decoded, three deep. A text is looked for in UTF-8,
UTF-16BE, UTF-16LE and GB 18030; forms under six bytes are left out, since they occur by chance. Prints
"FILE: TEXT in ENCODING (how it was come by)" for each find; ends with 1 when there is one.
"""
import base64
import binascii
import os
import re
import sys
import zlib

HEX = re.compile(rb"[0-9a-fA-F]{12,}")
BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{8,}={0,2}")
ZLIB = re.compile(rb"\x78[\x01\x5e\x9c\xda]")
MOST = 64 << 20  # bytes of one stream


def forms(text):
    for encoding in ("utf-8", "utf-16-be", "utf-16-le", "gb18030"):
        form = text.encode(encoding)
        if len(form) >= 6:
            yield encoding, form


def inside(data):
    """What stands in data in another form, with the form's name."""
    for m in HEX.finditer(data):
        run = m.group()
        for shift in (0, 1):
            part = run[shift:]
            yield "hexadecimal", binascii.unhexlify(part[: len(part) & ~1])
    for m in BASE64.finditer(data):
        run = m.group().rstrip(b"=").replace(b"-", b"+").replace(b"_", b"/")
        for shift in range(4):  # a run may begin with letters that stand before it
            part = run[shift:]
            part = part[: len(part) - (len(part) % 4 == 1)]
            yield "base64", base64.b64decode(part + b"=" * (-len(part) % 4))
    for m in ZLIB.finditer(data):
        try:
            stream = zlib.decompressobj().decompress(data[m.start():], MOST)
        except zlib.error:
            continue
        if stream:
            yield "deflated", stream


def finds(data, needles, way=(), depth=3):
    for text, encoding, form in needles:
        if form in data:
            yield text, encoding, way
    if depth:
        for how, part in inside(data):
            yield from finds(part, needles, way + (how,), depth - 1)


def main(needles, folder):
    with open(needles, encoding="utf-8") as f:
        texts = [line.rstrip("\n") for line in f]
    wanted = [(text, encoding, form) for text in texts for encoding, form in forms(text)]
    found, files = set(), 0
    for at, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(at, name)
            files += 1
            with open(path, "rb") as f:
                for text, encoding, way in finds(f.read(), wanted):
                    found.add(f"{os.path.relpath(path, folder)}: {text} in {encoding} ({', '.join(way) or 'as it is'})")
    for line in sorted(found):
        print(line)
    print(f"{len(texts)} texts, {files} files, {len(found)} finds", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
