#!/usr/bin/env python3
"""Verifies evidence bundles: verify_bundle.py [--at YYYYMMDDHHMMSS] ANCHORS POLICY BUNDLE...

Written from docs/bundle-format.md. Needs Python 3.9 and OpenSSL 3, and shares no code with elicence: the log is read
by ../audit/verify_log.py, the licence file by ../interop/openssl.py, which are strangers too. Of revocation it reads
CRLs alone; a bundle that rests on an OCSP answer is not "good" here. Prints a line for each bundle, "good" with the
times that are proved, or "bad" with the reason; exits 0 when all are good, otherwise 1.
"""
import base64, calendar, json, os, re, struct, sys, time, zipfile, zlib

sys.dont_write_bytecode = True  # beside the sources
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "audit"), os.path.join(HERE, "..", "interop")]
import openssl as x
import verify_log as log

SKEW = 300  # seconds that clocks may differ
RETIRED = {3, 4, 5}  # affiliationChanged, superseded, cessationOfOperation
OURS = "2.25.561737094."
USAGES = {"maker": OURS + "1", "signer": OURS + "2", "qr": OURS + "3", "tsa": "1.3.6.1.5.5.7.3.8"}


class Bad(Exception):
    pass


def need(ok, reason):
    if not ok:
        raise Bad(reason)


# --- container and manifest

def pack(members):
    """The archive in its one form."""
    out, directory = b"", b""
    for name, data in members:
        common = struct.pack("<HHHHHIIIHH", 10, 0, 0, 0, 0x21, zlib.crc32(data), len(data), len(data), len(name), 0)
        directory += b"PK\1\2" + struct.pack("<H", 10) + common + bytes(10) + struct.pack("<I", len(out)) + name.encode()
        out += b"PK\3\4" + common + name.encode() + data
    return out + directory + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, len(members), len(members), len(directory), len(out), 0)


def unpack(path):
    with open(path, "rb") as f:
        raw = f.read()
    try:
        with zipfile.ZipFile(path) as z:
            members = [(i.filename, z.read(i)) for i in z.infolist()]
    except Exception as e:
        raise Bad("no archive: %s" % e)
    need(len(raw) <= 32 << 20 and pack(members) == raw, "archive is not in its one form")
    names, want = [n for n, _ in members], ["manifest.json", "licence.pdf"]
    for folder, suffix in (("certificates", "cer"), ("crls", "crl"), ("ocsp", "ors")):
        want += ["%s/%d.%s" % (folder, i + 1, suffix) for i in range(sum(n.startswith(folder + "/") for n in names))]
    want.append("log/checkpoint")
    for i in range(sum(n.endswith(".record") for n in names)):
        want += ["log/%d.record" % (i + 1), "log/%d.proof" % (i + 1)]
    need(names == want, "members are not those of a bundle")
    return dict(members)


def manifest(files):
    try:
        m = json.loads(files["manifest.json"])
        need(set(m) == {"format", "identifier", "status", "files"} and m["format"] == "elicence-bundle/1", "manifest's members")
    except (ValueError, TypeError) as e:
        raise Bad("manifest: %s" % e)
    sums = {n: x.sm3(d).hex() for n, d in files.items() if n != "manifest.json" and not n.startswith("log/")}
    again = {"format": m["format"], "identifier": m["identifier"], "status": m["status"], "files": dict(sorted(sums.items()))}
    need(json.dumps(again, separators=(",", ":")).encode() + b"\n" == files["manifest.json"], "manifest is not of these files")
    return m


# --- the log

def included(record, proof, size, root):
    fn, sn, r = record.index, size - 1, log.sm3(b"\0" + record.data)
    need(fn < size, "entry is beyond the checkpoint")
    for p in proof:
        need(sn != 0, "proof is too long")
        if fn & 1 or fn == sn:
            r = log.node(p, r)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = log.node(r, p)
        fn, sn = fn >> 1, sn >> 1
    need(sn == 0 and r == root, "proof does not lead to the root")


def logged(files, m, policy):
    """F and T, in seconds."""
    origin, size, root, text, signatures = log.parse_checkpoint(files["log/checkpoint"])
    policy.check(origin, text, signatures)
    records = []
    for i in range(sum(n.endswith(".record") for n in files)):
        proof = files["log/%d.proof" % (i + 1)].decode("ascii", "replace")
        need(re.fullmatch("([0-9a-f]{64}\n){0,63}", proof), "proof is not a hash a line")
        records.append(log.Record(files["log/%d.record" % (i + 1)]))
        included(records[-1], [bytes.fromhex(line) for line in proof.split()], size, root)

    def says(r, actions, data):
        return r.action in actions and r.result == "allowed" and r.object == m["identifier"] and r.digest == x.sm3(data)
    need(len(records) >= 2 and says(records[-1], ("bundle",), files["manifest.json"]), "the last entry is not of this evidence")
    issued = [r for r in records[:-1] if r.index < records[-1].index and says(r, ("issued", "timestamped"), files["licence.pdf"])]
    need(issued, "no entry of this file")
    return issued[-1].time / 1e6, records[-1].time / 1e6


# --- certificates and lists

def instant(node):
    text = node.value.decode()
    need(node.tag in (0x17, 0x18) and text.endswith("Z"), "time")
    if node.tag == 0x17:
        text = ("20" if text < "50" else "19") + text
    return calendar.timegm(time.strptime(text, "%Y%m%d%H%M%SZ"))


class Signed:
    """SIGNED{}: what is signed, and the signature."""
    def __init__(self, der):
        self.raw = der
        body, alg, value = x.whole(der, (0x30, 0x30, 3))
        self.body, self.signature, self.parts = body.raw, value.bits(), body.all()
        need(alg.all()[0].oid() == x.SM2, "not SM2 with SM3")

    def by(self, issuer):
        return x.verifies(issuer.raw, self.body, self.signature)


class Certificate(Signed):
    def __init__(self, der):
        super().__init__(der)
        _, self.serial, _, issuer, validity, subject, _ = self.parts[:7]
        self.serial, self.issuer, self.subject = self.serial.value, issuer.raw, subject.raw
        self.begins, self.ends = map(instant, validity.all())
        self.extensions = {}
        for e in x.Node(self.parts[-1].value).all():
            parts = e.all()
            self.extensions[parts[0].oid()] = parts[-1].value
        basic = x.Node(self.extensions["2.5.29.19"]).all() if "2.5.29.19" in self.extensions else []
        self.ca = bool(basic) and basic[0].value == b"\xff"
        purposes = self.extensions.get("2.5.29.37")
        self.purposes = [p.oid() for p in x.Node(purposes).all()] if purposes else []


class List(Signed):
    def __init__(self, der):
        super().__init__(der)
        self.issuer, self.made, self.next = self.parts[2].raw, instant(self.parts[3]), instant(self.parts[4])
        self.revoked = {}
        for line in (self.parts[5].all() if self.parts[5].tag == 0x30 else []):
            serial, at, *more = line.all()
            reason, since = 0, instant(at)
            for e in (more[0].all() if more else []):
                kind, value = e.all()[0].oid(), x.Node(e.all()[-1].value)
                reason = value.value[0] if kind == "2.5.29.21" else reason
                since = min(since, instant(value)) if kind == "2.5.29.24" else since
            self.revoked[serial.value] = (since, reason)


class Paths:
    """Paths to the anchors, with the certificates and lists of a bundle, as of T."""
    def __init__(self, anchors, certificates, lists, made):
        self.anchors, self.pool, self.lists, self.made = anchors, anchors + certificates, lists, made

    def follow(self, cert, usage, at, depth=0):
        """When the certificate was revoked later and why, or None."""
        need(cert.begins <= at <= cert.ends, "certificate is out of its validity")
        need(depth == 0 or cert.ca, "issuer is no CA")
        if depth == 0:
            need(USAGES[usage] in cert.purposes or usage == "signer" and not cert.purposes, "certificate is not for " + usage)
        if cert.issuer == cert.subject:
            need(cert.raw in [a.raw for a in self.anchors], "root is no anchor")
            return None
        issuers = [c for c in self.pool if c.subject == cert.issuer and cert.by(c)]
        need(issuers and depth < 5, "no path to an anchor")
        later = self.revocation(cert, issuers[0], at, depth)
        self.follow(issuers[0], usage, at, depth + 1)
        return later

    def revocation(self, cert, issuer, at, depth):
        lists = [l for l in self.lists if l.issuer == issuer.subject and l.by(issuer)]
        fit = [l for l in lists if l.made <= self.made <= l.next and (depth or l.made >= at - SKEW)]
        need(fit, "no list is current and new enough")
        found = [l.revoked[cert.serial] for l in lists if cert.serial in l.revoked]
        need(all(since > at for since, _ in found), "certificate was revoked")
        return min(found) if found else None


# --- the licence file

def token_of(der):
    """Time and certificate of a token."""
    encapsulated, cert, _, _ = x.signed_data(der, x.TST_INFO)
    info = x.Node(x.Node(encapsulated[1].value).value).all()
    return instant(next(n for n in info if n.tag == 0x18)), Certificate(cert)


def licence(pdf, m, paths, filed):
    verdicts = x.judge_licence(pdf)
    need(set(verdicts.values()) <= {"good", "absent"}, "licence file: %s" % verdicts)
    data = json.loads(x.attachment(pdf, b"licence.json"))["metadata"]
    need(data["certificateIdentifier"] == m["identifier"], "licence of another identifier")
    codes = [c["code"] for c in data.get("certificateCoSealingAuthorities", [])] + [data["certificateIssuingAuthorityCode"]]
    seals = [contents for encoding, _, contents in x.containers(pdf) if encoding == b"GM.sm2seal"]
    need(len(seals) == len(codes), "seals of other authorities than the data name")
    proved = seal(seals[-1], codes[-1], paths, filed, filed)
    for contents, code in zip(seals[:-1], codes[:-1]):
        seal(contents, code, paths, proved, filed)  # which the last one covers
    paths.follow(Certificate(x.attachment(pdf, b"qr-signer.cer")), "qr", proved)
    need(x.sm3(x.attachment(pdf, b"licence.json")) in x.attachment(pdf, b"qr.cbor"), "QR code of other data")
    return proved


def seal(contents, code, paths, proved, filed):
    """Judges one seal on the file, which is proved to have been there; returns what its own token proves, if it has one."""
    _, cert, value, token, _, eseal = x.seal_signature(contents)
    signer = Certificate(cert)
    if token is not None:
        proved, tsa = token_of(token)
        need(proved <= filed + SKEW, "token is later than the log's entry")
        later = paths.follow(tsa, "tsa", proved)
        need(later is None or later[1] in RETIRED or later[0] > filed, "timestamp authority's key was lost before the file was logged")
    paths.follow(signer, "signer", proved)
    paths.follow(Certificate(x.whole(eseal, (0x30, 4, 6, 3, 0xA0), 1)[1].value), "maker", proved)
    valid = [instant(n) for n in x.Node(eseal).all()[0].all()[2].all()[-2:]]
    need(valid[0] <= proved <= valid[1], "seal is out of its validity")
    need(x.Node(signer.extensions["1.2.156.10260.4.1.4"]).value.decode() == code, "signer is not the authority that the data name")
    return proved


def verify(path, anchors, policy, now):
    files = unpack(path)
    m = manifest(files)
    filed, made = logged(files, m, policy)
    need(made <= now + SKEW, "the log's entry is in the future")
    part = lambda folder: [d for n, d in files.items() if n.startswith(folder + "/")]
    paths = Paths(anchors, [Certificate(d) for d in part("certificates")], [List(d) for d in part("crls")], made)
    proved = licence(files["licence.pdf"], m, paths, filed)
    when = lambda t: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(t))
    return "%s (%s then), sealed %s, logged %s, evidence of %s" % (m["identifier"], m["status"], when(proved), when(filed), when(made))


def main():
    args, now = sys.argv[1:], time.time()
    if args[0] == "--at":
        now, args = calendar.timegm(time.strptime(args[1], "%Y%m%d%H%M%S")), args[2:]
    with open(args[0]) as f:
        blocks = re.findall("-----BEGIN CERTIFICATE-----(.*?)-----END", f.read(), re.S)
    anchors = [Certificate(base64.b64decode(b)) for b in blocks]
    with open(args[1]) as f:
        policy = log.Policy(f.read())
    bad = False
    for path in args[2:]:
        try:
            print("good", os.path.basename(path), verify(path, anchors, policy, now), flush=True)
        except (Bad, log.Bad, x.Unreadable, LookupError, ValueError, TypeError) as e:
            bad = True
            print("bad ", os.path.basename(path), "%s: %s" % (type(e).__name__, e), flush=True)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
