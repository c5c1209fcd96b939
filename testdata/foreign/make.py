#!/usr/bin/env python3
"""Makes licence files as other platforms issue them: OFD (GB/T 33190) and PDF, with seals of their own.

usage: make.py          (in this folder; needs openssl 3 and ../documents/approval.pdf)

It shares no code with elicence. OpenSSL makes keys, SM3 digests and SM2 signatures; the DER is written here. Every run
makes new keys, so every file changes; README.md says what each is.
"""
import base64
import io
import os
import re
import struct
import subprocess
import tempfile
import zipfile
import zlib

ID = "1234567812345678"
SM3, SM2, CURVE = "1.2.156.10197.1.401", "1.2.156.10197.1.501", "1.2.156.10197.1.301"
TMP = tempfile.mkdtemp()
AUTHORITY = "11330105002500287C"  # 统一社会信用代码, as in the certificate of the signer


def openssl(*args, data=None):
    p = subprocess.run(("openssl",) + args, input=data, capture_output=True)
    if p.returncode:
        raise SystemExit(p.stderr.decode())
    return p.stdout


# DER

def tlv(tag, *parts):
    body = b"".join(parts)
    if len(body) < 0x80:
        return bytes([tag, len(body)]) + body
    n = (len(body).bit_length() + 7) // 8
    return bytes([tag, 0x80 | n]) + len(body).to_bytes(n, "big") + body


def seq(*parts): return tlv(0x30, *parts)
def setof(*parts): return tlv(0x31, *sorted(parts))
def octets(b): return tlv(0x04, b)
def bits(b): return tlv(0x03, b"\0", b)
def utf8(s): return tlv(0x0C, s.encode())
def printable(s): return tlv(0x13, s.encode())
def ia5(s): return tlv(0x16, s.encode())
def gtime(s): return tlv(0x18, s.encode())
def utctime(s): return tlv(0x17, s[2:].encode())
def explicit(n, *parts): return tlv(0xA0 | n, *parts)


def integer(n):
    return tlv(0x02, n.to_bytes(n.bit_length() // 8 + 1, "big"))


def oid(dotted):
    arcs = [int(a) for a in dotted.split(".")]
    out = b""
    for a in [arcs[0] * 40 + arcs[1]] + arcs[2:]:
        part = [a & 0x7F]
        while a := a >> 7:
            part.insert(0, a & 0x7F | 0x80)
        out += bytes(part)
    return tlv(0x06, out)


def sm3(data):
    return openssl("dgst", "-sm3", "-binary", data=data)


# Keys and certificates

class Key:
    count = 0

    def __init__(self):
        Key.count += 1
        self.path = os.path.join(TMP, "key%d.pem" % Key.count)
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:SM2", "-out", self.path)
        self.spki = openssl("pkey", "-in", self.path, "-pubout", "-outform", "DER")

    def sign(self, message):
        path = os.path.join(TMP, "message")
        with open(path, "wb") as f:
            f.write(message)
        return openssl("dgst", "-sm3", "-sign", self.path, "-sigopt", "distid:" + ID, path)


def name(common, organisation):
    return seq(*(tlv(0x31, seq(oid(o), v)) for o, v in (
        ("2.5.4.6", printable("CN")), ("2.5.4.10", utf8(organisation)), ("2.5.4.3", utf8(common)))))


class Certificate:
    serial = 0x1A2B3C00

    def __init__(self, common, issuer=None, ca=False, code="", start="20200101000000Z", end="20400101000000Z", extra=()):
        self.key, self.subject = Key(), name(common, "外省测试机构")
        issuer = issuer or self
        self.issuer = issuer.subject
        Certificate.serial += 1
        self.number = Certificate.serial
        extensions = [seq(oid("2.5.29.15"), tlv(1, b"\xff"), octets(tlv(0x03, b"\1\6" if ca else b"\6\xc0")))]
        if ca:
            extensions.append(seq(oid("2.5.29.19"), tlv(1, b"\xff"), octets(seq(tlv(1, b"\xff")))))
        if code:
            extensions.append(seq(oid("1.2.156.10260.4.1.4"), octets(printable(code))))
        extensions += extra
        when = utctime if end < "2050" else gtime
        tbs = seq(explicit(0, integer(2)), integer(self.number), seq(oid(SM2)), issuer.subject,
                  seq(utctime(start), when(end)), self.subject, self.key.spki, explicit(3, seq(*extensions)))
        self.der = seq(tbs, seq(oid(SM2)), bits(issuer.key.sign(tbs)))


def pem(label, der):
    text = base64.encodebytes(der).decode().replace("\n", "")
    return "-----BEGIN %s-----\n%s-----END %s-----\n" % (label, "".join(text[i:i + 64] + "\n" for i in range(0, len(text), 64)), label)


def crl(issuer, revoked=()):
    entries = [seq(integer(c.number), utctime("20250101000000Z")) for c in revoked]
    tbs = seq(integer(1), seq(oid(SM2)), issuer.subject, utctime("20240101000000Z"), utctime("20400101000000Z"),
              *([seq(*entries)] if entries else []), explicit(0, seq(seq(oid("2.5.29.20"), octets(integer(1))))))
    return seq(tbs, seq(oid(SM2)), bits(issuer.key.sign(tbs)))


# Seals

def png():
    """A red square of 20 by 20 pixels."""
    rows = b"".join(b"\0" + b"\xff\0\0" * 20 for _ in range(20))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 20, 20, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def seal(maker, signers, version=4, start="20210101000000Z", end="20390101000000Z"):
    picture = seq(ia5("PNG"), octets(png()), integer(42), integer(42))
    header = seq(ia5("ES"), integer(version), ia5("othermaker"))
    certs = seq(*(octets(c.der) for c in signers))
    if version == 1:
        info = seq(header, ia5("33000000000001"), seq(integer(1), utf8("外省测试机构电子证照专用章"), certs,
                   utctime(start), utctime(start), utctime(end)), picture)
        signed = seq(info, octets(maker.der), oid(SM2))
        return seq(info, seq(octets(maker.der), oid(SM2), bits(maker.key.sign(signed))))
    info = seq(header, ia5("33000000000001"), seq(integer(1), utf8("外省测试机构电子证照专用章"), integer(1), certs,
               gtime(start), gtime(start), gtime(end)), picture)
    return seq(info, octets(maker.der), oid(SM2), bits(maker.key.sign(info)))


def seal_signature(signer, the_seal, digest, info, version=4, at="20260301080000Z"):
    if version == 1:
        tbs = seq(integer(1), the_seal, bits(utctime(at)), bits(digest), ia5(info), octets(signer.der), oid(SM2))
        return seq(tbs, bits(signer.key.sign(tbs)))
    tbs = seq(integer(4), the_seal, gtime(at), bits(digest), ia5(info))
    return seq(tbs, octets(signer.der), oid(SM2), bits(signer.key.sign(tbs)))


def cms(signer, content):
    """GB/T 35275: SignedData around a digest, without attributes."""
    gm = "1.2.156.10197.6.1.4.2."
    signer_info = seq(integer(1), seq(signer.issuer, integer(signer.number)), seq(oid(SM3)), seq(oid("1.2.156.10197.1.301.1")), octets(signer.key.sign(content)))
    data = seq(integer(1), tlv(0x31, seq(oid(SM3))), seq(oid(gm + "1"), explicit(0, octets(content))),
               tlv(0xA0, signer.der), tlv(0x31, signer_info))
    return seq(oid(gm + "2"), explicit(0, data))


# OFD

NS = 'xmlns:ofd="http://www.ofdspec.org/2016"'
HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'


def identifier(kind, authority, serial, version):
    """GB/T 36904; the check character is that of ISO 7064 MOD 37,36."""
    digits, p = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", 36
    for c in kind + authority + serial + version:
        p = 2 * ((p + digits.index(c)) % 36 or 36) % 37
    return ".".join(("1.2.156.3005.2", kind, authority, serial, version, digits[(37 - p) % 36]))


IDENTIFIER = identifier("11100000MB0143028R901", AUTHORITY, "2025052201", "001")


def base(text="外省食品经营许可证"):
    """The files of a document of one page, without signatures."""
    custom = {"ZZBS": IDENTIFIER, "ZZMC": text, "ZZBH": "JY23301050000777", "ZZBFJGDM": AUTHORITY}
    data = "".join('<ofd:CustomData Name="%s">%s</ofd:CustomData>' % kv for kv in custom.items())
    return {
        "OFD.xml": HEAD + '<ofd:OFD %s DocType="OFD" Version="1.0"><ofd:DocBody><ofd:DocInfo><ofd:DocID>0123456789abcdef0123456789abcdef</ofd:DocID>'
                          '<ofd:CustomDatas>%s</ofd:CustomDatas></ofd:DocInfo><ofd:DocRoot>Doc_0/Document.xml</ofd:DocRoot>'
                          '<ofd:Signatures>Doc_0/Signs/Signatures.xml</ofd:Signatures></ofd:DocBody></ofd:OFD>' % (NS, data),
        "Doc_0/Document.xml": HEAD + '<ofd:Document %s><ofd:CommonData><ofd:MaxUnitID>4</ofd:MaxUnitID><ofd:PageArea><ofd:PhysicalBox>0 0 210 297</ofd:PhysicalBox></ofd:PageArea>'
                                     '<ofd:PublicRes>PublicRes.xml</ofd:PublicRes></ofd:CommonData><ofd:Pages><ofd:Page ID="1" BaseLoc="Pages/Page_0/Content.xml"/></ofd:Pages></ofd:Document>' % NS,
        "Doc_0/PublicRes.xml": HEAD + '<ofd:Res %s BaseLoc="Res"><ofd:Fonts><ofd:Font ID="3" FontName="宋体" FamilyName="宋体"/></ofd:Fonts></ofd:Res>' % NS,
        "Doc_0/Pages/Page_0/Content.xml": HEAD + '<ofd:Page %s><ofd:Content><ofd:Layer ID="2"><ofd:TextObject ID="4" Boundary="20 20 170 12" Font="3" Size="8">'
                                                 '<ofd:TextCode X="0" Y="8" DeltaX="g 8 8">%s</ofd:TextCode></ofd:TextObject></ofd:Layer></ofd:Content></ofd:Page>' % (NS, text),
    }


def protect(files, method=SM3, leave=()):
    refs = ""
    for n in sorted(files):
        if n in leave:
            continue
        data = files[n] if isinstance(files[n], bytes) else files[n].encode()
        digest = openssl("dgst", "-md5", "-binary", data=data) if method == "MD5" else sm3(data)
        refs += '<ofd:Reference FileRef="/%s"><ofd:CheckValue>%s</ofd:CheckValue></ofd:Reference>' % (n, base64.b64encode(digest).decode())
    return refs


def sign(files, folder, refs, value, method=SM3, kind="Seal", seal_file=None):
    """Adds one signature; value makes the signature value of a description."""
    stamp = ""
    if seal_file:
        files[folder + "Seal.esl"] = seal_file
        stamp = '<ofd:StampAnnot ID="1" PageRef="1" Boundary="140 230 42 42"/><ofd:Seal><ofd:BaseLoc>/%sSeal.esl</ofd:BaseLoc></ofd:Seal>' % folder
    info = HEAD + ('<ofd:Signature %s><ofd:SignedInfo><ofd:Provider ProviderName="othermaker" Version="1.0" Company="外省"/><ofd:SignatureMethod>%s</ofd:SignatureMethod>'
                   '<ofd:SignatureDateTime>20260301160000Z</ofd:SignatureDateTime><ofd:References CheckMethod="%s">%s</ofd:References>%s</ofd:SignedInfo>'
                   '<ofd:SignedValue>/%sSignedValue.dat</ofd:SignedValue></ofd:Signature>' % (NS, SM2, method, refs, stamp, folder))
    files[folder + "Signature.xml"] = info
    files[folder + "SignedValue.dat"] = value(info.encode(), "/" + folder + "Signature.xml")


def listed(files, *signatures):
    entries = "".join('<ofd:Signature ID="%d" Type="%s" BaseLoc="/%sSignature.xml"/>' % (i + 1, kind, folder) for i, (folder, kind) in enumerate(signatures))
    files["Doc_0/Signs/Signatures.xml"] = HEAD + '<ofd:Signatures %s><ofd:MaxSignId>%d</ofd:MaxSignId>%s</ofd:Signatures>' % (NS, len(signatures), entries)


def write(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        for n, data in files.items():
            info = zipfile.ZipInfo(n, (2026, 3, 1, 16, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            z.writestr(info, data)


SIGN0, SIGN1 = "Doc_0/Signs/Sign_0/", "Doc_0/Signs/Sign_1/"


def sealed(signer, the_seal, version=4, method=SM3, files=None, leave=()):
    files = files or base()
    files[SIGN0 + "Seal.esl"] = the_seal
    sign(files, SIGN0, protect(files, method, leave), lambda info, at: seal_signature(signer, the_seal, sm3(info), at, version), method, "Seal", the_seal)
    listed(files, (SIGN0, "Seal"))
    return files


# PDF: a signature in an incremental update

def signed_pdf(pdf, value, filter_name, sub_filter):
    size = int(re.findall(rb"/Size (\d+)", pdf)[-1])
    root = int(re.findall(rb"/Root (\d+) 0 R", pdf)[-1])
    start = int(re.findall(rb"startxref\s+(\d+)", pdf)[-1])
    catalog = re.search(rb"\n%d 0 obj\s*<<(.*?)>>\s*endobj" % root, pdf, re.S).group(1).decode("latin-1")
    room, at, head = 16384, {}, pdf.rstrip() + b"\n"

    def add(number, body):
        nonlocal head
        at[number] = len(head)
        head += ("%d 0 obj\n%s\nendobj\n" % (number, body)).encode("latin-1")

    add(root, "<<%s /AcroForm << /Fields [%d 0 R] /SigFlags 3 >> >>" % (catalog, size))
    add(size, "<< /Type /Annot /Subtype /Widget /FT /Sig /T (seal) /F 132 /Rect [0 0 0 0] /V %d 0 R >>" % (size + 1))
    add(size + 1, "<< /Type /Sig /Filter /%s /SubFilter /%s /ByteRange [0 AAAAAAAAAA BBBBBBBBBB CCCCCCCCCC] /Contents <%s> >>" % (filter_name, sub_filter, "0" * room))
    xref = len(head)
    head += b"xref\n" + b"".join(b"%d 1\n%010d 00000 n \n" % (n, at[n]) for n in sorted(at))
    head += b"trailer\n<< /Size %d /Root %d 0 R /Prev %d >>\nstartxref\n%d\n%%%%EOF\n" % (size + 2, root, start, xref)
    before = head.rindex(b"<" + b"0" * room)
    behind = before + room + 2
    for mark, n in ((b"AAAAAAAAAA", before), (b"BBBBBBBBBB", behind), (b"CCCCCCCCCC", len(head) - behind)):
        head = head.replace(mark, b"%-10d" % n)
    der = value(head[:before] + head[behind:])
    return head[:before + 1] + der.hex().encode().ljust(room, b"0") + head[behind - 1:]


def main():
    root = Certificate("外省测试根证书", ca=True)
    issued = lambda *a, **k: Certificate(*a, issuer=root, **k)
    maker, signer = issued("外省测试制章机构"), issued("外省测试机构", code=AUTHORITY)
    other, stranger, revoked = issued("另一机构", code="11110000000021135M"), issued("不在印章名单"), issued("已吊销机构", code=AUTHORITY)
    good = seal(maker, [signer, other])
    with open("anchors.pem", "w") as f:
        f.write(pem("CERTIFICATE", root.der) + pem("X509 CRL", crl(root, [revoked])))

    write("sealed.ofd", sealed(signer, good))
    write("version1.ofd", sealed(signer, seal(maker, [signer], 1), 1))
    write("other-authority.ofd", sealed(other, good))
    write("not-listed.ofd", sealed(stranger, good))
    write("revoked.ofd", sealed(revoked, seal(maker, [revoked])))
    write("seal-expired.ofd", sealed(signer, seal(maker, [signer], end="20250101000000Z")))
    write("md5.ofd", sealed(signer, good, method="MD5"))
    write("page-uncovered.ofd", sealed(signer, good, leave=("Doc_0/Pages/Page_0/Content.xml",)))

    files = base()
    write("unsigned.ofd", {**files, "OFD.xml": re.sub(r"<ofd:Signatures>.*</ofd:Signatures>", "", files["OFD.xml"])})

    files = sealed(signer, good)
    files["Doc_0/Pages/Page_0/Content.xml"] = files["Doc_0/Pages/Page_0/Content.xml"].replace("外省", "本省")
    write("page-changed.ofd", files)
    files = sealed(signer, good)
    del files["Doc_0/PublicRes.xml"]
    write("file-missing.ofd", files)
    files = sealed(signer, good)
    changed = files[SIGN0 + "Signature.xml"].replace("othermaker", "othermuker")
    write("description-changed.ofd", {**files, SIGN0 + "Signature.xml": changed})
    value = bytearray(files[SIGN0 + "SignedValue.dat"])
    value[-1] ^= 1
    write("value-changed.ofd", {**files, SIGN0 + "SignedValue.dat": bytes(value)})
    write("value-no-signature.ofd", {**files, SIGN0 + "SignedValue.dat": b"\x30\x03\x02\x01\x04"})
    write("file-added.ofd", {**files, "Doc_0/Attachs/more.xml": "<more/>"})

    files = sealed(signer, good)
    del files["Doc_0/Signs/Signatures.xml"]  # each signature adds to it, so none covers it
    files[SIGN1 + "Seal.esl"] = good
    sign(files, SIGN1, protect(files), lambda info, at: seal_signature(other, good, sm3(info), at), seal_file=good)
    listed(files, (SIGN0, "Seal"), (SIGN1, "Seal"))
    write("two-seals.ofd", files)

    files = base()
    sign(files, SIGN0, protect(files), lambda info, at: cms(signer, sm3(info)), kind="Sign")
    listed(files, (SIGN0, "Sign"))
    write("cms.ofd", files)

    with open("../documents/approval.pdf", "rb") as f:
        pdf = f.read()
    ses = lambda b: seal_signature(signer, good, sm3(b), "ByteRange")
    for path, value, names in (("sealed.pdf", ses, ("Gomain.GMPkiLite", "GM.sm2seal")),
                               ("cms.pdf", lambda b: cms(signer, sm3(b)), ("DJ.GMPkiLite", "GM.sm2cms.detached"))):
        with open(path, "wb") as f:
            f.write(signed_pdf(pdf, value, *names))
    with open("sealed.pdf", "rb") as f:
        b = bytearray(f.read())
    b[len(pdf) // 2] ^= 1
    with open("page-changed.pdf", "wb") as f:
        f.write(b)


if __name__ == "__main__":
    main()
