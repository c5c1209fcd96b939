#!/usr/bin/env python3
"""Checks a signed request with OpenSSL, as docs/request-signatures.md says; shares no code with the service.

verify_request.py request KEY.pem ORIGIN REQUEST   a request as it goes over the wire; prints its signature base
verify_request.py evidence FILE                    what `elicenced log request` wrote; prints what was signed
"""
import base64, hashlib, json, re, subprocess, sys, tempfile, os


def fail(why):
    print("bad: " + why)
    sys.exit(1)


def openssl(*args, **files):
    with tempfile.TemporaryDirectory() as folder:
        paths = {}
        for name, content in files.items():
            paths[name] = os.path.join(folder, name)
            with open(paths[name], "wb") as f:
                f.write(content)
        run = subprocess.run(["openssl"] + [a.format(**paths) for a in args], capture_output=True)
        return run.returncode == 0, run.stdout


def sm3(data):
    ok, out = openssl("dgst", "-sm3", "-binary", "{data}", data=data)
    return out if ok else fail("openssl has no SM3")


def key_id(pem):
    ok, der = openssl("pkey", "-pubin", "-in", "{key}", "-outform", "DER", key=pem)
    return sm3(der).hex() if ok else fail("the key is none")


def integer(b):
    b = b.lstrip(b"\0") or b"\0"
    b = b"\0" + b if b[0] & 0x80 else b
    return b"\x02" + bytes([len(b)]) + b


def verify(pem, base, raw):
    """r||s over the base, by SM2 with SM3."""
    body = integer(raw[:32]) + integer(raw[32:])
    der = b"\x30" + bytes([len(body)]) + body
    ok, _ = openssl("pkeyutl", "-verify", "-pubin", "-inkey", "{key}", "-rawin", "-digest", "sm3", "-pkeyopt",
                    "distid:1234567812345678", "-in", "{base}", "-sigfile", "{sig}", key=pem, base=base, sig=der)
    return ok


INPUT = re.compile(r'([a-z*][a-z0-9_.*-]*)=(\(((?:"[a-z0-9@-]+" ?)+)\)(.*))')


def parse_input(field):
    m = INPUT.fullmatch(field)
    if not m:
        fail("Signature-Input is malformed")
    parameters = dict(p.split("=", 1) for p in m[4].lstrip(";").split(";"))
    if parameters.get("alg") != '"sm2-sm3"' or not {"created", "nonce", "keyid"} <= set(parameters):
        fail("parameters are missing")
    return m[1], m[2], re.findall(r'"([^"]+)"', m[3]), parameters


def value_of(label, field):
    m = re.fullmatch(re.escape(label) + r"=:([A-Za-z0-9+/=]*):", field)
    raw = base64.b64decode(m[1], validate=True) if m else b""
    return raw if len(raw) == 64 else fail("Signature is malformed")


def request(pem, origin, wire):
    head, body = wire.split(b"\r\n\r\n", 1)
    first, *lines = head.decode("ascii").split("\r\n")
    method, target, _ = first.split(" ")
    fields = {}
    for line in lines:
        name, value = line.split(":", 1)
        fields.setdefault(name.lower(), []).append(value.strip())
    once = lambda name: fields[name][0] if len(fields.get(name, [])) == 1 else fail(name + " does not stand there once")
    scheme, authority = origin.split("://")
    path, _, query = target.partition("?")
    derived = {"@method": method, "@scheme": scheme, "@authority": authority, "@path": path, "@query": "?" + query, "@target-uri": origin + target}
    label, params, components, parameters = parse_input(once("signature-input"))
    base = "".join('"%s": %s\n' % (c, derived[c] if c[0] == "@" else once(c)) for c in components) + '"@signature-params": ' + params
    if parameters["keyid"] != '"%s"' % key_id(pem):
        fail("keyid is of another key")
    if not verify(pem, base.encode(), value_of(label, once("signature"))):
        fail("the signature does not verify")
    for name, hashed in (("sha-256", hashlib.sha256(body).digest()), ("sm3", sm3(body))):
        found = re.search(r"(?:^|, )%s=:([^:]*):" % name, once("content-digest")) if "content-digest" in components else None
        if found and base64.b64decode(found[1]) != hashed:
            fail("the body is not the one that Content-Digest is of")
    print(base)


def cbor(b):
    """The first item of b, and the rest."""
    major, info, b = b[0] >> 5, b[0] & 31, b[1:]
    if info >= 24:
        size = 1 << (info - 24)
        info, b = int.from_bytes(b[:size], "big"), b[size:]
    if major == 0:
        return info, b
    if major in (2, 3):
        return (b[:info] if major == 2 else b[:info].decode()), b[info:]
    items = []
    for _ in range(info * (major - 3)):
        item, b = cbor(b)
        items.append(item)
    return (items if major == 4 else dict(zip(items[::2], items[1::2]))), b


def evidence(e):
    record, opening = base64.b64decode(e["record"]), base64.b64decode(e["opening"])
    fields, rest = cbor(record)
    if rest or len(fields) != 16 or fields[15] != sm3(b"\x02" + opening):
        fail("the record does not commit to the opening")
    _, personal = cbor(opening)[0]
    base, part = personal["signature_base"], 2
    while "signature_base_%d" % part in personal:
        base, part = base + personal["signature_base_%d" % part], part + 1
    label, params, _, parameters = parse_input(personal["signature_input"])
    if not base.endswith('\n"@signature-params": ' + params):
        fail("the base is not of this Signature-Input")
    pem = e["public_key"].encode()
    if parameters["keyid"] != '"%s"' % key_id(pem):
        fail("keyid is of another key")
    if not verify(pem, base.encode(), value_of(label, personal["signature"])):
        fail("the signature does not verify")
    print("entry %d: leaf %s, %s %s %s" % (fields[2], sm3(b"\0" + record).hex(), fields[4], fields[6], fields[11]))
    print(base)


if __name__ == "__main__":
    if sys.argv[1] == "evidence":
        evidence(json.load(open(sys.argv[2])))
    else:
        request(open(sys.argv[2], "rb").read(), sys.argv[3], open(sys.argv[4], "rb").read())
