#!/usr/bin/env python3
"""Judges files with OpenSSL and with readers of its own; shares no code with elicence or with the other judges.

usage: openssl.py < NAMES > VERDICTS

One name a line; one verdict a line: the name, then part=verdict for each part. README.md says what the words mean.
"""
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import zlib

SM3, SM2 = "1.2.156.10197.1.401", "1.2.156.10197.1.501"
SM2_SIGN = "1.2.156.10197.1.301.1"
GM = (SM3, (SM2, SM2_SIGN))  # digest, and signature algorithms
PADES = ("2.16.840.1.101.3.4.2.1", ("1.2.840.10045.4.3.2",))  # SHA-256, ECDSA
SIGNED_DATA = {"1.2.840.113549.1.7.2": 3, "1.2.156.10197.6.1.4.2.2": 1}  # content type: version
DATA = {"1.2.840.113549.1.7.1", "1.2.156.10197.6.1.4.2.1"}
TST_INFO = "1.2.840.113549.1.9.16.1.4"
CONTENT_TYPE, MESSAGE_DIGEST = "1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4"
SIGNING_CERTIFICATE = "1.2.840.113549.1.9.16.2.47"
TMP = tempfile.TemporaryDirectory()


class Unreadable(Exception):
    pass


def need(condition, what):
    if not condition:
        raise Unreadable(what)


class Node:
    """One DER element: definite, shortest lengths."""

    def __init__(self, data, at=0):
        need(at + 2 <= len(data), "DER ends early")
        self.tag, length, start = data[at], data[at + 1], at + 2
        need(self.tag & 31 != 31 and length != 0x80, "DER form")
        if length & 0x80:
            n = length & 0x7F
            length = int.from_bytes(data[start:start + n], "big")
            start += n
            need(n <= 4 and length >= 0x80 and length >> (8 * (n - 1)) > 0, "DER length is not the shortest")
        self.end = start + length
        need(self.end <= len(data), "DER ends early")
        self.value, self.raw = data[start:self.end], data[at:self.end]

    def all(self):
        out, at = [], 0
        while at < len(self.value):
            out.append(Node(self.value, at))
            at = out[-1].end
        return out

    def oid(self):
        need(self.tag == 6 and self.value, "object identifier")
        arcs, n = [], 0
        for b in self.value:
            n = n << 7 | b & 0x7F
            if not b & 0x80:
                arcs.append(n)
                n = 0
        return ".".join(map(str, [min(arcs[0] // 40, 2), arcs[0] - 40 * min(arcs[0] // 40, 2)] + arcs[1:]))

    def bits(self):
        need(self.tag == 3 and self.value[:1] == b"\0" and len(self.value) > 1, "BIT STRING of whole bytes")
        return self.value[1:]


def whole(data, tags, optional=0):
    """The elements of one SEQUENCE that fills data; the last ones may be missing."""
    node = Node(data)
    need(node.tag == 0x30 and node.end == len(data), "SEQUENCE")
    parts = node.all()
    need(len(tags) - optional <= len(parts) <= len(tags), "number of elements")
    need(all(t is None or p.tag == t for p, t in zip(parts, tags)), "tags")
    return parts + [None] * (len(tags) - len(parts))


def algorithm(node):
    parts = node.all()
    need(node.tag == 0x30 and len(parts) in (1, 2) and (len(parts) == 1 or parts[1].raw == b"\5\0"), "algorithm")
    return parts[0].oid()


def run(*argv):
    p = subprocess.run(argv, capture_output=True)
    return p.returncode == 0, p.stdout


def store(data):
    """A file with the data, named by it."""
    path = os.path.join(TMP.name, hashlib.sha256(data).hexdigest())
    if not os.path.exists(path):
        with open(path, "wb") as f:
            f.write(data)
    return path


def remembered(f):
    answers = {}

    def ask(*args):
        if args not in answers:
            answers[args] = f(*args)
        return answers[args]
    return ask


@remembered
def sm3(data):
    good, out = run("openssl", "dgst", "-sm3", "-binary", store(data))
    need(good, "openssl dgst -sm3")
    return out


@remembered
def public_key(certificate):
    good, pem = run("openssl", "x509", "-inform", "DER", "-in", store(certificate), "-pubkey", "-noout")
    need(good, "openssl reads no public key")
    return pem


@remembered
def verifies(certificate, message, signature):
    """OpenSSL accepts the signature. It takes only DER in its one form."""
    parts = whole(signature, (2, 2))
    need(all(0 < len(p.value) <= 33 for p in parts), "signature value")
    good, _ = run("openssl", "dgst", "-sm3", "-verify", store(public_key(certificate)), "-sigopt", "distid:1234567812345678",
                  "-signature", store(signature), store(message))
    return good


def verifies_ecdsa(certificate, message, signature):
    whole(signature, (2, 2))
    good, _ = run("openssl", "dgst", "-sha256", "-verify", store(public_key(certificate)), "-signature", store(signature), store(message))
    return good


def seal(der):
    """SESeal, version 1, 4 or 5: certificate list, and whether the maker's signature is good."""
    info = Node(der).all()[0]
    header = whole(Node(info.value).raw, (0x16, 2, 0x16))
    need(header[0].value == b"ES" and header[1].value in (b"\1", b"\4", b"\5"), "seal header")
    if header[1].value == b"\1":
        info, sign = whole(der, (0x30, 0x30))
        cert, alg, value = whole(sign.raw, (4, 6, 3))
        body = info.raw + cert.raw + alg.raw
        signed = sequence(body)
    else:
        info, cert, alg, value, _ = whole(der, (0x30, 4, 6, 3, 0xA0), 1)
        signed = info.raw
    need(alg.oid() == SM2, "seal's algorithm")
    prop = whole(info.raw, (0x30, 0x16, 0x30, 0x30, None), 1)[2].all()
    kind = prop[2].value if header[1].value != b"\1" else b"\1"
    listed = prop[3 if header[1].value != b"\1" else 2].all()
    return kind, listed, verifies(cert.value, signed, value.bits())


def sequence(body):
    n = len(body)
    length = bytes([n]) if n < 0x80 else bytes([0x80 | (n.bit_length() + 7) // 8]) + n.to_bytes((n.bit_length() + 7) // 8, "big")
    return b"\x30" + length + body


def lists(kind, listed, certificate):
    if kind == b"\2":
        return any(e.all()[1].value == sm3(certificate) for e in listed)
    return any(certificate in (e.value, e.raw) for e in listed)


def signer_info(node, family):
    """version, sid, digest algorithm, [0] attributes or None, signature algorithm, signature."""
    parts = node.all()
    attributes = parts.pop(3) if len(parts) > 3 and parts[3].tag == 0xA0 else None
    need([p.tag for p in parts] == [2, 0x30, 0x30, 0x30, 4] and parts[0].value == b"\1", "SignerInfo")
    need(algorithm(parts[2]) == family[0] and algorithm(parts[3]) in family[1], "SignerInfo's algorithms")
    return parts[1], attributes, parts[4].value


def signed_data(der, inner, family=GM):
    """The content, and the parts of the one signer, of a CMS SignedData in either family."""
    kind, content = whole(der, (6, 0xA0))
    need(kind.oid() in SIGNED_DATA, "content type")
    body = whole(content.value, (2, 0x31, 0x30, 0xA0, 0x31))
    need(inner != TST_INFO or body[0].value == bytes([SIGNED_DATA[kind.oid()]]), "version")
    need(family is GM or body[0].value == b"\1", "version")
    need([algorithm(a) for a in body[1].all()] == [family[0]], "digest algorithms")
    encapsulated = body[2].all()
    need(encapsulated[0].oid() in (inner if isinstance(inner, set) else {inner}), "content")
    infos = body[4].all()
    need(len(infos) == 1, "signers")
    sid, attributes, value = signer_info(infos[0], family)
    certificates = [c for c in body[3].all() if names(c, sid)]
    need(len(certificates) == 1, "signer's certificate")
    return encapsulated, certificates[0].raw, attributes, value


def names(certificate, sid):
    tbs = certificate.all()[0].all()
    return tbs[3].raw + tbs[1].raw == sid.value


def attribute_values(attributes):
    out = {}
    for a in attributes.all():
        kind, values = whole(a.raw, (6, 0x31))
        need(kind.oid() not in out and len(values.all()) == 1, "attributes")
        out[kind.oid()] = values.all()[0]
    return out


def timestamp(der, message):
    encapsulated, cert, attributes, value = signed_data(der, TST_INFO)
    info = Node(encapsulated[1].value)
    need(attributes is not None and info.tag == 4 and info.end == len(encapsulated[1].value), "token's content")
    imprint = Node(info.value).all()[2].all()
    need(algorithm(imprint[0]) == SM3, "imprint's algorithm")
    values = attribute_values(attributes)
    need(values[CONTENT_TYPE].oid() == TST_INFO, "content type attribute")
    bound = values[SIGNING_CERTIFICATE].all()[0].all()[0].all()
    digest = sm3(cert) if bound[0].tag == 0x30 and algorithm(bound[0]) == SM3 else hashlib.sha256(cert).digest()
    hashes = [b for b in bound if b.tag == 4]
    return (imprint[1].value == sm3(message) and values[MESSAGE_DIGEST].value == sm3(info.value) and
            hashes[0].value == digest and verifies(cert, b"\x31" + attributes.raw[1:], value))


def cms(der, signed):
    """The verdicts on a CMS signature over these bytes: document, and signature."""
    digest = sm3(signed)
    encapsulated, cert, attributes, value = signed_data(der, DATA)
    content = Node(encapsulated[1].value).value if len(encapsulated) > 1 else None
    if attributes is None and content is None:
        return (verifies(cert, signed, value),) * 2
    if attributes is None:
        return content == digest, verifies(cert, content, value)
    values = attribute_values(attributes)
    need(values[CONTENT_TYPE].raw == encapsulated[0].raw, "content type attribute")
    claimed = values[MESSAGE_DIGEST].value
    inner = content is None or claimed == sm3(content)
    outer = claimed == digest if content is None else content == digest
    return outer, inner and verifies(cert, b"\x31" + attributes.raw[1:], value)


def pades(der, signed):
    """The signature for readers without SM2: over these bytes, by the certificate that it binds."""
    encapsulated, cert, attributes, value = signed_data(der, DATA, PADES)
    need(attributes is not None and len(encapsulated) == 1, "detached, with attributes")
    values = attribute_values(attributes)
    need(values[CONTENT_TYPE].raw == encapsulated[0].raw, "content type attribute")
    bound = values[SIGNING_CERTIFICATE].all()[0].all()[0].all()
    return (values[MESSAGE_DIGEST].value == hashlib.sha256(signed).digest() and [b.value for b in bound] == [hashlib.sha256(cert).digest()]
            and verifies_ecdsa(cert, b"\x31" + attributes.raw[1:], value))


def containers(pdf):
    """Of each signature its encoding, the bytes signed and the canonical DER of Contents. Each covers the file up to the
    end of its revision, the last all of it."""
    found = re.findall(rb"/ByteRange\s*\[\s*(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s*\]", pdf)
    out, before = [], 0
    for start, a, b, c in (map(int, f) for f in found):
        need(start == 0 and before < a < b <= b + c <= len(pdf), "byte range")
        need(re.search(rb"\n%%EOF\r?\n\Z", pdf[:b + c][-9:]), "byte range does not end where a revision does")
        gap = pdf[a:b]
        need(re.fullmatch(rb"<([0-9a-f][0-9a-f])*>", gap) is not None, "gap is not one lower-case hex string")
        contents = bytes.fromhex(gap[1:-1].decode())
        end = Node(contents).end
        need(not any(contents[end:]), "padding is not zeros")
        encoding = re.findall(rb"/SubFilter\s*/([!-.0-~]+)", pdf[before:a])
        need(len(encoding) == 1, "encoding")
        out.append((encoding[0], pdf[:a] + pdf[b:b + c], contents[:end]))
        before = b + c
    need(out and before == len(pdf), "byte range does not cover the file")
    return out


def all_signed(pdf, n):
    """The form has so many fields, each of them signed: none waits for its signature."""
    fields = re.findall(rb"/Fields \[((?:\d+ 0 R ?)+)\]", pdf)
    need(len(fields) == 1 and fields[0].count(b"R") == n, "fields")


def attachment(pdf, name):
    spec = re.findall(rb"/Filespec /F \(" + re.escape(name) + rb"\)[^\n]*/EF <</F (\d+) 0 R>>", pdf)
    need(len(spec) == 1, "attachment")
    head = re.findall(rb"\n" + spec[0] + rb" 0 obj\n<<([^\n]*)/Length (\d+)>>\nstream\n", pdf)
    need(len(head) == 1, "attached stream")
    at = pdf.index(b"\n" + spec[0] + b" 0 obj\n")
    start = pdf.index(b"stream\n", at) + 7
    try:
        return zlib.decompress(pdf[start:start + int(head[0][1])])
    except zlib.error:
        raise Unreadable("attached stream does not inflate")


def cbor(data, at=0):
    """One CBOR item of the message's frame (shortest lengths, no map but the empty one) and its end."""
    need(at < len(data), "CBOR ends early")
    major, info = data[at] >> 5, data[at] & 31
    at += 1
    if info >= 24:
        need(info <= 27, "CBOR length form")
        n = 1 << (info - 24)
        low = info == 24 and 24 or 1 << (4 * n)
        info, at = int.from_bytes(data[at:at + n], "big"), at + n
        need(info >= low, "CBOR length is not the shortest")
    if major == 2:
        need(at + info <= len(data), "CBOR ends early")
        return data[at:at + info], at + info
    need(major in (4, 5, 6) and info <= 18 and (major != 5 or info == 0), "CBOR type")
    if major == 6:
        item, at = cbor(data, at)
        return (info, item), at
    items = []
    for _ in range(info):
        item, at = cbor(data, at)
        items.append(item)
    return items if major == 4 else {}, at


def head(major, n):
    return bytes([major << 5 | n]) if n < 24 else bytes([major << 5 | 24, n]) if n < 256 else bytes([major << 5 | 25]) + n.to_bytes(2, "big")


def qr(message, certificate):
    (tag, parts), end = cbor(message)
    need(tag == 18 and end == len(message) and len(parts) == 4 and parts[1] == {}, "QR message")
    protected, _, payload, signature = parts
    need(protected == bytes.fromhex("a2013a000100000448") + sm3(certificate)[:8], "QR header")
    need(len(signature) == 64, "QR signature")
    signed = b"\x84\x6aSignature1" + b"".join(head(2, len(x)) + x for x in (protected, b"", payload))
    ints = [h.lstrip(b"\0") for h in (signature[:32], signature[32:])]
    der = b"".join(b"\2" + bytes([len(i)]) + i for i in (b"\0" + i if i[:1] >= b"\x80" else i for i in ints))
    return verifies(certificate, signed, b"\x30" + bytes([len(der)]) + der)


def qr_text(text):
    """The bytes behind the digits: 17 digits for 7 bytes."""
    m = re.fullmatch(r"HTTPS?://[-A-Z0-9.:]+/V#([0-9]+)", text)
    need(m, "QR text")
    tails, out = {3: 1, 5: 2, 8: 3, 10: 4, 13: 5, 15: 6, 17: 7}, b""
    for i in range(0, len(m[1]), 17):
        group = m[1][i:i + 17]
        need(len(group) in tails and int(group) < 256 ** tails[len(group)], "QR digits")
        out += int(group).to_bytes(tails[len(group)], "big")
    return out


def judged(f, *args):
    try:
        return "good" if f(*args) else "bad"
    except (Unreadable, IndexError, KeyError, ValueError):
        return "unreadable"


SEAL = ("document", "seal", "seal_signature", "timestamp")
PARTS = {"pdf": ("document", "seal", "seal_signature", "timestamp", "qr"), "cms": ("document", "signature"), "ses": ("document", "signature"),
         "esl": ("seal",), "qr": ("qr",)}


def seal_signature(contents):
    """SES_Signature: TBS_Sign, certificate, algorithm, signature, token or None; dataHash and seal out of TBS_Sign."""
    tbs, cert, alg, value, token = whole(contents, (0x30, 4, 6, 3, 0xA0), 1)
    need(alg.oid() == SM2, "signature algorithm")
    version, eseal, time, data_hash, prop, _ = whole(tbs.raw, (2, 0x30, 0x18, 3, 0x16, 0xA0), 1)
    need(version.value in (b"\4", b"\5") and len(data_hash.bits()) == 32, "TBS_Sign")
    if token is not None:
        inner = Node(token.value)
        need(inner.end == len(token.value), "timeStamp")
        token = inner.bits()
    return tbs.raw, cert.value, value.bits(), token, data_hash.bits(), eseal.raw


def judge_ses(pdf, signed, contents):
    tbs, cert, value, token, data_hash, eseal = seal_signature(contents)

    def usable():
        kind, listed, good = seal(eseal)
        return good and lists(kind, listed, cert)
    return {
        "document": judged(lambda: data_hash == sm3(signed)),
        "seal": judged(usable),
        "seal_signature": judged(verifies, cert, tbs, value),
        "timestamp": "absent" if token is None else judged(timestamp, token, value),
        "qr": judged(lambda: qr(attachment(pdf, b"qr.cbor"), attachment(pdf, b"qr-signer.cer"))),
    }


def judge_cms(signed, contents):
    document, signature = cms(contents, signed)
    return {"document": judged(lambda: document), "signature": judged(lambda: signature)}


def judge_other(signed, contents):
    """A seal signature of another maker: its value and the seal's count as one."""
    v = judge_ses(b"", signed, contents)
    both = {v["seal"], v["seal_signature"]}
    return {"document": v["document"], "signature": next(w for w in ("unreadable", "bad", "good") if w in both)}


def judge_licence(pdf):
    """The last signature is a seal; before it stand co-seals, numbered from 1, and first of all perhaps one without SM2."""
    found, verdicts, n = containers(pdf), {}, 0
    all_signed(pdf, len(found))
    for i, (encoding, signed, contents) in enumerate(found[:-1]):
        if i == 0 and encoding == b"ETSI.CAdES.detached":
            verdicts["pades"] = judged(pades, contents, signed)
            continue
        need(encoding == b"GM.sm2seal", "encoding")
        n += 1
        v = judge_ses(pdf, signed, contents)
        verdicts.update(("%d.%s" % (n, part), v[part]) for part in SEAL)
    need(found[-1][0] == b"GM.sm2seal", "encoding")
    return {**verdicts, **judge_ses(pdf, *found[-1][1:])}


def judge_pdf(pdf, kind):
    if kind == "pdf":
        return judge_licence(pdf)
    found = containers(pdf)
    need(len(found) == 1, "signatures")
    _, signed, contents = found[0]
    return judge_cms(signed, contents) if kind == "cms" else judge_other(signed, contents)


def judge(name):
    with open(name, "rb") as f:
        data = f.read()
    kind = name.rsplit(".", 1)[1]
    try:
        if kind in ("pdf", "cms", "ses"):
            return judge_pdf(data, kind)
        if kind == "esl":
            return {"seal": judged(lambda: seal(data)[2])}
        text, cert = data.decode().split("\n")[:2]
        return {"qr": judged(lambda: qr(qr_text(text), bytes.fromhex(cert)))}
    except (Unreadable, IndexError, KeyError, ValueError):
        return dict.fromkeys(PARTS[kind], "unreadable")


if __name__ == "__main__":
    for line in sys.stdin:
        path = line.rstrip("\n")
        print(os.path.basename(path), *("%s=%s" % v for v in judge(path).items()), flush=True)
