#!/usr/bin/env python3
"""Judges the sample licences of a demo folder with programs that share no code with elicence.

usage: judge.py DEMO_DIR ELICENCE_BINARY

Byte range and Contents are read from the PDF here. `elicence inspect --extract` only cuts the parts out for OpenSSL;
each part is looked up inside Contents before it is believed. Judges: OpenSSL (SM2, SM3), zbarimg, qpdf, poppler's
pdfsig, pdfdetach and pdftotext, and the readers of DER and CBOR below.
"""
import glob
import json
import os
import re
import subprocess
import sys
import tempfile

DISTID = ["-sigopt", "distid:1234567812345678"]


class Wrong(Exception):
    pass


def need(condition, what):
    if not condition:
        raise Wrong(what)


def run(*argv, stdin=None):
    p = subprocess.run(argv, input=stdin, capture_output=True)
    return p.returncode, p.stdout, p.stderr.decode("utf-8", "replace")


def read(path):
    with open(path, "rb") as f:
        return f.read()


def sm3(data):
    code, out, err = run("openssl", "dgst", "-sm3", "-binary", stdin=data)
    need(code == 0, "openssl dgst -sm3: " + err)
    return out


def der(data, at=0):
    """One DER element: tag, content, end."""
    tag, length, at = data[at], data[at + 1], at + 2
    if length & 0x80:
        n = length & 0x7F
        length, at = int.from_bytes(data[at:at + n], "big"), at + n
    need(at + length <= len(data), "DER runs past its end")
    return tag, data[at:at + length], at + length


def children(content):
    at, out = 0, []
    while at < len(content):
        tag, inner, end = der(content, at)
        out.append((tag, inner, content[at:end]))
        at = end
    return out


def cbor(data, at=0):
    """One CBOR item (definite lengths) and its end."""
    major, info = data[at] >> 5, data[at] & 31
    at += 1
    if info >= 24:
        need(info <= 27, "CBOR length form")
        n = 1 << (info - 24)
        info, at = int.from_bytes(data[at:at + n], "big"), at + n
    if major == 0:
        return info, at
    if major == 1:
        return -1 - info, at
    if major in (2, 3):
        raw = data[at:at + info]
        return (raw if major == 2 else raw.decode("utf-8")), at + info
    if major == 4:
        out = []
        for _ in range(info):
            item, at = cbor(data, at)
            out.append(item)
        return out, at
    if major == 5:
        out = {}
        for _ in range(info):
            key, at = cbor(data, at)
            out[key], at = cbor(data, at)
        return out, at
    if major == 6:
        return cbor(data, at)
    raise Wrong("CBOR major type %d" % major)


def signatures(pdf):
    """Of each signature the bytes signed and the canonical DER of Contents, read from the file itself: each covers what
    stands before the next one's revision, the last covers the file."""
    found = re.findall(rb"/ByteRange\s*\[\s*(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s*\]", pdf)
    fields = re.findall(rb"/Fields \[((?:\d+ 0 R ?)+)\]", pdf)
    need(len(fields) == 1 and len(fields[0].split(b"R")) - 1 == len(found) > 0, "%d byte ranges, fields %r" % (len(found), fields))
    out, before = [], 0
    for start, a, b, c in (map(int, f) for f in found):
        end = b + c
        need(start == 0 and before < a < b < end and pdf[:end].endswith(b"%%EOF\n"), "byte range does not cover a revision")
        gap = pdf[a:b]
        need(gap[:1] == b"<" and gap[-1:] == b">", "gap is not one hex string")
        need(re.fullmatch(rb"[0-9a-f]*", gap[1:-1]) is not None, "gap is not lower-case hex")
        contents = bytes.fromhex(gap[1:-1].decode())
        _, _, length = der(contents)
        need(not any(contents[length:]), "padding is not zeros")
        out.append((pdf[:a] + pdf[b:end], contents[:length]))
        before = end
    need(before == len(pdf), "the last byte range does not cover the file")
    return out


def check_signature(name, pem, signed, signature, tmp):
    """OpenSSL accepts the signature, and refuses it after one flipped byte of what is signed."""
    code, pub, err = run("openssl", "x509", "-in", pem, "-pubkey", "-noout")
    need(code == 0, name + ": " + err)
    key, sig, message = (os.path.join(tmp, n) for n in ("pub.pem", "sig.der", "message"))
    for path, content in ((key, pub), (sig, signature), (message, signed)):
        with open(path, "wb") as f:
            f.write(content)
    argv = ["openssl", "dgst", "-sm3", "-verify", key, *DISTID, "-signature", sig, message]
    code, _, err = run(*argv)
    need(code == 0, name + ": openssl refuses the signature: " + err)
    with open(message, "wb") as f:
        f.write(signed[:-1] + bytes([signed[-1] ^ 1]))
    code, _, _ = run(*argv)
    need(code != 0, name + ": openssl accepts a flipped byte")


def parts_inside(signed, contents, parts):
    """Every extracted part lies where it should, and the sealed digest is that of the bytes before it."""
    need(parts["bytes.bin"] == signed, "bytes.bin is not what the byte range covers")
    need(parts["tbs.der"] in contents and parts["signature.der"] in contents, "tbs.der or signature.der is not in Contents")
    need(parts["seal.der"] in parts["tbs.der"], "seal.der is not in tbs.der")
    need(parts["sealinfo.der"] in parts["seal.der"] and parts["sealsignature.der"] in parts["seal.der"], "seal parts are not in seal.der")
    tbs = children(der(parts["tbs.der"])[1])
    data_hash = tbs[3][1]
    need(tbs[3][0] == 3 and data_hash[0] == 0, "dataHash is not a BIT STRING of whole bytes")
    need(data_hash[1:] == sm3(signed), "dataHash is not SM3 of the byte range")
    need(parts["digest.hex"].strip().decode() == sm3(signed).hex(), "digest.hex differs")


def check_authority(pem, want):
    """OpenSSL finds the authority's code, once, in the signer's certificate."""
    code, out, err = run("openssl", "asn1parse", "-in", pem)
    need(code == 0, "openssl asn1parse: " + err)
    found = re.findall(r":1\.2\.156\.10260\.4\.1\.4\n.*OCTET STRING +\[HEX DUMP\]:([0-9A-F]+)", out.decode())
    need(len(found) == 1, "%d unified social credit codes in the signer's certificate" % len(found))
    value = bytes.fromhex(found[0])
    tag, text, end = der(value)
    need(tag in (0x0C, 0x13, 0x16) and end == len(value), "the signer's code is not a string")
    need(text.decode() == want, "the signer is %s, not %s" % (text.decode(), want))


def check_seal(folder, signed, contents, authority, tmp):
    """One seal on the file: what was sealed, both signatures, and whose seal it is."""
    parts = {n: read(os.path.join(folder, n)) for n in os.listdir(folder) if os.path.isfile(os.path.join(folder, n))}
    pem = lambda n: os.path.join(folder, n)
    parts_inside(signed, contents, parts)
    check_signature("seal signature", pem("signer.pem"), parts["tbs.der"], parts["signature.der"], tmp)
    check_signature("seal", pem("maker.pem"), parts["sealinfo.der"], parts["sealsignature.der"], tmp)
    check_authority(pem("signer.pem"), authority)
    return parts


def qr_of(path, tmp):
    """What zbarimg reads from the rendered pages."""
    code, _, err = run("pdftoppm", "-r", "200", "-png", path, os.path.join(tmp, "page"))
    need(code == 0, "pdftoppm: " + err)
    lines = []
    for page in sorted(glob.glob(os.path.join(tmp, "page*.png"))):
        code, out, err = run("zbarimg", "-q", "--raw", "-Sdisable", "-Sqrcode.enable", page)
        need(code in (0, 4), "zbarimg: " + err)  # 4: nothing on this page
        lines += out.decode().split()
    need(lines, "no QR symbol")  # one on each form: a licence may have a duplicate (副本)
    need(len(set(lines)) == 1, "%d QR symbols that differ" % len(set(lines)))
    return lines[0]


def qr_message(text):
    """The bytes behind the digits of the fragment: 17 digits for 7 bytes."""
    url, digits = text.split("#")
    need(re.fullmatch(r"HTTPS?://[-A-Z0-9.:\[\]]+/V", url) is not None, "QR URL " + url)
    tails = {3: 1, 5: 2, 8: 3, 10: 4, 13: 5, 15: 6, 17: 7}
    groups = [digits[i:i + 17] for i in range(0, len(digits), 17)]
    return b"".join(int(g).to_bytes(tails[len(g)], "big") for g in groups)


def check_qr(path, licence, entry, parts, tmp):
    """The drawn symbol says what the attached data and the register say."""
    message = qr_message(qr_of(path, tmp))
    need(message == parts["qr.cbor"], "the drawn symbol is not qr.cbor")
    protected, _, payload, signature = cbor(message)[0]
    need(len(signature) == 64, "QR signature length")
    values = list(cbor(payload)[0].values())
    meta = licence["metadata"]
    digest = sm3(parts["licence.json"])
    for what, value in (("identifier", entry["identifier"]), ("number", entry["number"]), ("digest", digest)):
        need(value in values, "QR lacks the " + what)
    need(entry["holder_name"] in values, "QR lacks the holder's name")
    need(entry["data_digest"] == digest.hex(), "demo.json has another data digest")
    need(meta["certificateIdentifier"] == entry["identifier"] and meta["certificateNumber"] == entry["number"], "licence.json differs from demo.json")
    tbs, end = cbor(parts["qr-tbs.der"])
    need(end == len(parts["qr-tbs.der"]) and tbs == ["Signature1", protected, b"", payload], "qr-tbs.der is not the Sig_structure of the symbol")
    half = lambda h: b"\x02" + bytes([len(h)]) + h
    ints = [(lambda b: (b"\0" + b if b[0] & 0x80 else b))(signature[i:i + 32].lstrip(b"\0")) for i in (0, 32)]
    body = b"".join(half(i) for i in ints)
    need(parts["qr-signature.der"] == b"\x30" + bytes([len(body)]) + body, "qr-signature.der is not the symbol's signature")


def printed(value):
    """The strings of a value that a reader must find on the page."""
    if isinstance(value, dict):
        return [s for v in value.values() for s in printed(v)]
    if isinstance(value, list):
        return [s for v in value for s in printed(v)]
    return [str(value)]


def squeeze(text):
    return re.sub(r"\s+", "", text)


def forms(value):
    """A date may be printed the Chinese way; anything else only as it is."""
    m = re.fullmatch(r"(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d))?", value)
    if not m:
        return [squeeze(value)]
    y, mo, d, h, mi = m.groups()
    out = [value]
    for a, b in ((mo, d), (str(int(mo)), str(int(d)))):
        out.append("%s年%s月%s日" % (y, a, b) + ("%s时%s分" % (h, mi) if h else ""))
    if h:
        out += ["%s年%s月%s日%s:%s" % (y, mo, d, h, mi), "%s年%d月%d日%d时%d分" % (y, int(mo), int(d), int(h), int(mi))]
    return out


def check_text(path, licence, entry):
    code, out, err = run("pdftotext", "-enc", "UTF-8", path, "-")
    need(code == 0, "pdftotext: " + err)
    text = squeeze(out.decode("utf-8"))
    for c in licence["metadata"].get("certificateCoSealingAuthorities", []):
        need(squeeze(c["name"]) in text, "pdftotext lacks the co-sealing authority " + c["name"])
    need(squeeze(entry["holder_name"]) in text, "pdftotext lacks the holder's name")
    need(squeeze(entry["number"]) in text, "pdftotext lacks the number")
    for key, value in licence["fields"].items():
        for s in printed(value):
            need(any(f in text for f in forms(s)), "pdftotext lacks %s: %s" % (key, s))


# GB/T 36903: elements by their pinyin initials.
PINYIN = {"ZZMC": "Name", "ZZLXDM": "TypeCode", "ZZBH": "Number", "ZZBS": "Identifier", "ZZBFJG": "IssuingAuthorityName",
          "ZZBFJGDM": "IssuingAuthorityCode", "ZZBFRQ": "IssuedDate", "CZZT": "HolderName", "CZZTDM": "HolderCode", "CZZTDMLX": "HolderTypeName",
          "CZZTDMLXDM": "HolderTypeCode", "ZZYXQQSRQ": "EffectiveDate", "ZZYXQJZRQ": "ExpiringDate"}


def check_pinyin(licence, pinyin):
    """The metadata in pinyin initials say what the licence data says, and no more."""
    meta = licence["metadata"]
    want = {code: meta["certificate" + name] for code, name in PINYIN.items() if "certificate" + name in meta}
    want.update(("KZ_" + key, value) for key, value in licence["fields"].items())
    need(pinyin == want, "metadata-pinyin.json differs from licence.json")


def judge(path, entry, binary):
    """Judges a licence, and returns how many signatures it bears."""
    with tempfile.TemporaryDirectory() as tmp:
        cut = os.path.join(tmp, "parts")
        code, _, err = run(binary, "inspect", "--extract", cut, path)
        need(code == 0, "inspect: " + err)
        licence = json.loads(read(os.path.join(cut, "licence.json")))
        co_sealers = licence["metadata"].get("certificateCoSealingAuthorities", [])
        found = signatures(read(path))
        need(len(found) == len(co_sealers) + 1, "%d signatures for %d co-sealing authorities" % (len(found), len(co_sealers)))
        for i, c in enumerate(co_sealers):
            check_seal(os.path.join(cut, "co-seal-%d" % (i + 1)), *found[i], c["code"], tmp)
        parts = check_seal(cut, *found[-1], licence["metadata"]["certificateIssuingAuthorityCode"], tmp)
        check_signature("QR", os.path.join(cut, "qr-signer.pem"), parts["qr-tbs.der"], parts["qr-signature.der"], tmp)
        code, _, err = run("pdfdetach", "-saveall", "-o", tmp, path)
        need(code == 0, "pdfdetach: " + err)
        for name in ("licence.json", "metadata-pinyin.json", "qr.cbor"):
            need(read(os.path.join(tmp, name)) == parts[name], "pdfdetach finds another " + name)
        check_pinyin(licence, json.loads(parts["metadata-pinyin.json"]))
        check_qr(path, licence, entry, parts, tmp)
        check_text(path, licence, entry)
    code, out, err = run("qpdf", "--check", path)
    need(code == 0, "qpdf --check: " + out.decode() + err)
    _, out, _ = run("pdfsig", path)
    need(out.count(b"Total document signed") == 1 and out.count(b"Not total document signed") == len(found) - 1, "pdfsig: " + out.decode("utf-8", "replace"))
    return len(found)


def judge_report(folder, binary):
    """The verification report of the demo: sealed by whom it names, on a file that is there, and printed as it is attached."""
    path = os.path.join(folder, "verification-report.pdf")
    with tempfile.TemporaryDirectory() as tmp:
        cut = os.path.join(tmp, "parts")
        code, _, err = run(binary, "inspect", "--extract", cut, path)
        need(code == 0, "inspect: " + err)
        content = json.loads(read(os.path.join(cut, "report.json")))
        found = signatures(read(path))
        need(len(found) == 1, "%d signatures" % len(found))
        parts = check_seal(cut, *found[0], content["platform"]["code"], tmp)
        code, _, err = run("pdfdetach", "-saveall", "-o", tmp, path)
        need(code == 0, "pdfdetach: " + err)
        need(read(os.path.join(tmp, "report.json")) == parts["report.json"], "pdfdetach finds another report.json")
        files = [sm3(read(f)).hex() for f in glob.glob(os.path.join(folder, "*.pdf"))]
        need(content["report"]["file_digest"] in files, "the report is on a file that is not there")
        receipt = content["receipt"]
        need(qr_of(path, tmp).endswith("/R/%d-%s" % (receipt["index"], receipt["leaf"].upper())), "the drawn symbol is not the receipt")
    code, out, err = run("pdftotext", "-enc", "UTF-8", path, "-")
    text = squeeze(out.decode("utf-8"))
    wanted = [content["number"], content["platform"]["name"], content["report"]["file_digest"], content["report"]["headline"]["zh"]]
    for what in wanted + [c["zh"] for c in content["report"]["checks"]]:
        need(squeeze(what) in text, "pdftotext lacks " + what)
    code, out, err = run("qpdf", "--check", path)
    need(code == 0, "qpdf --check: " + out.decode() + err)
    _, out, _ = run("pdfsig", path)
    need(b"Total document signed" in out, "pdfsig: " + out.decode("utf-8", "replace"))


def main():
    folder, binary = sys.argv[1:]
    demo = json.loads(read(os.path.join(folder, "demo.json")))
    need(len(demo["licences"]) >= 6, "fewer than six licences")
    bad = several = 0
    for entry in demo["licences"]:
        try:
            several += judge(os.path.join(folder, entry["file"]), entry, os.path.abspath(binary)) > 1
            print("good  " + entry["file"])
        except Wrong as w:
            bad += 1
            print("BAD   %s: %s" % (entry["file"], w))
    try:
        judge_report(folder, os.path.abspath(binary))
        print("good  verification-report.pdf")
    except Wrong as w:
        bad += 1
        print("BAD   verification-report.pdf: %s" % w)
    print("%d passed, %d of them with several seals, %d failed" % (len(demo["licences"]) + 1 - bad, several, bad))
    sys.exit(1 if bad or not several else 0)


main()
