#!/usr/bin/env python3
"""Makes altered copies of an evidence bundle: altered.py BUNDLE OTHER_LICENCE DIR.

Some have a byte changed as it lies; in the others container and manifest are made anew, as an attacker would who
knows the format. No verifier may accept one of them.
"""
import json, os, sys

sys.dont_write_bytecode = True  # beside the sources
from verify_bundle import pack, unpack
import openssl as x


def remade(files, change):
    """A bundle of changed files, with the manifest that goes with them."""
    files = dict(files)
    m = json.loads(files["manifest.json"])
    change(files, m)
    m["files"] = {n: x.sm3(d).hex() for n, d in sorted(files.items()) if n != "manifest.json" and not n.startswith("log/")}
    files["manifest.json"] = json.dumps(m, separators=(",", ":")).encode() + b"\n"
    return pack(list(files.items()))


def flip(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]


def main():
    bundle, other, folder = sys.argv[1:]
    with open(other, "rb") as f:
        other = f.read()
    with open(bundle, "rb") as f:
        raw = f.read()
    files = unpack(bundle)
    note = files["log/checkpoint"]
    altered = {"byte-%d" % at: flip(raw, at) for at in range(0, len(raw), 1 + len(raw) // 20)}
    altered.update({"cut": raw[:-1], "longer": raw + b"\0", "empty": b""})
    for name, change in {
        "licence-swapped": lambda f, m: f.update({"licence.pdf": other}),
        "licence-flipped": lambda f, m: f.update({"licence.pdf": flip(f["licence.pdf"], len(f["licence.pdf"]) // 2)}),
        "status": lambda f, m: m.update(status="revoked"),
        "identifier": lambda f, m: m.update(identifier="1.2.156.3005.2.11100000000013338W011.11430000006122244L.20230000403.001.U"),
        "lists-stripped": lambda f, m: [f.pop(n) for n in list(f) if n.startswith("crls/")],
        "list-flipped": lambda f, m: f.update({"crls/1.crl": flip(f["crls/1.crl"], -9)}),
        "certificates-stripped": lambda f, m: [f.pop(n) for n in list(f) if n.startswith("certificates/")],
        "proof-of-another": lambda f, m: f.update({"log/1.proof": f["log/2.proof"]}),
        "proof-cut": lambda f, m: f.update({"log/2.proof": f["log/2.proof"][65:]}),
        "record-of-another": lambda f, m: f.update({"log/1.record": f["log/2.record"], "log/1.proof": f["log/2.proof"]}),
        "record-flipped": lambda f, m: f.update({"log/2.record": flip(f["log/2.record"], 40)}),
        "checkpoint-of-another": lambda f, m: f.update({"log/checkpoint": flip(note, 3)}),
        "checkpoint-size": lambda f, m: f.update({"log/checkpoint": note.replace(b"\n", b"\n1", 1)}),
        "checkpoint-unsigned": lambda f, m: f.update({"log/checkpoint": note[:note.index(b"\n\n") + 2]}),
    }.items():
        altered[name] = remade(files, change)
    for name, data in altered.items():
        with open(os.path.join(folder, name + ".zip"), "wb") as f:
            f.write(data)


if __name__ == "__main__":
    main()
