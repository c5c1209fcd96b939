#!/usr/bin/env python3
"""Verifies exports of the access log.

    verify_log.py POLICY EXPORT...                    each by itself
    verify_log.py --join POLICY EXPORT...             all of them, as parts of one log
    verify_log.py --older CHECKPOINT POLICY EXPORT... each, and that it continues the log of the checkpoint
    verify_log.py -                                   arguments on standard input, a line for each call

Written from docs/log-format.md alone. Needs Python 3.9 and OpenSSL 3 (the
library behind hashlib for SM3, the command for SM2). Prints a line for each
export, with --join one for all: "good FROM TO", "entry N: reason" or "bad: reason".
Exits 0 when all are good, otherwise 1.
"""
import base64, binascii, collections, functools, hashlib, os, re, subprocess, sys, tempfile

LOG, WITNESS = b"elicence/sm2-sm3/v1", b"elicence/sm2-sm3/cosignature/v1"
TEXTS = [(1, 256), (0, 128), (1, 64), (0, 256), (0, 512), (0, 128), (0, 256), (1, 16), (0, 64), (0, 128)]


class Bad(Exception):
    """A verdict; entry is the index at fault, or None."""
    def __init__(self, reason, entry=None):
        super().__init__(f"bad: {reason}" if entry is None else f"entry {entry}: {reason}")


def need(ok, reason, entry=None):
    if not ok:
        raise Bad(reason, entry)


def sm3(data):
    return hashlib.new("sm3", data).digest()


def node(left, right):
    return sm3(b"\1" + left + right)


def number(text):
    need(re.fullmatch(r"0|[1-9][0-9]{0,18}", text) and int(text) < 2**63, "malformed number")
    return int(text)


def b64(text):
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Bad("malformed base64")
    need(base64.b64encode(raw).decode() == text, "base64 is not canonical")
    return raw


def unhex(text):
    need(re.fullmatch(r"[0-9a-f]{64}", text), "malformed hex")
    return bytes.fromhex(text)


def read(name):
    with open(name, "rb") as f:
        return f.read()


def valid_name(name):
    return 0 < len(name.encode()) <= 100 and not any(c.isspace() or c == "+" or ord(c) < 32 or 127 <= ord(c) < 160 for c in name)


class Record:
    def __init__(self, data):
        self.data, self.at = data, 0
        need(len(data) <= 2048 and self.head(4) == 16, "not an array of 16")
        self.prev = self.string(2, 32, 32)
        need(self.head(0) == 1, "unknown version")
        self.index, self.time = self.head(0), self.head(0)
        need(self.time <= 253402300799999999, "time is after 9999")
        texts = [self.string(3, low, high) for low, high in TEXTS]
        for text in texts:
            try:
                text.decode()
            except UnicodeDecodeError:
                raise Bad("not UTF-8")
        need(texts[7] in (b"allowed", b"refused", b"failed"), "unknown result")
        self.action, self.object, self.result = texts[2].decode(), texts[3].decode(), texts[7].decode()
        self.digest = self.string(2, 0, 64)
        need(len(self.string(2, 0, 32)) in (0, 32), "commitment")
        need(self.at == len(data), "bytes after the record")

    def take(self, n):
        need(self.at + n <= len(self.data), "record is cut short")
        self.at += n
        return self.data[self.at - n:self.at]

    def head(self, major):
        first = self.take(1)[0]
        need(first >> 5 == major and first & 31 <= 27, "another type of item")
        info = first & 31
        if info < 24:
            return info
        size = 1 << info - 24
        value = int.from_bytes(self.take(size), "big")
        need(value >= (24 if size == 1 else 1 << size * 4), "not the shortest form")
        return value

    def string(self, major, low, high):
        n = self.head(major)
        need(low <= n <= high, "length")
        return self.take(n)


class Key:
    def __init__(self, vkey, identifier):
        self.name, key_id, encoded = (vkey.split("+", 2) + ["", ""])[:3]
        raw = b64(encoded)
        need(valid_name(self.name) and raw[:1] == b"\xff" and raw[1:-65] == identifier and raw[-65] == 4, "policy: key")
        self.id = hashlib.sha256(self.name.encode() + b"\n" + raw).digest()[:4]
        need(self.id.hex() == key_id, "policy: key id")
        self.witness, self.public = identifier == WITNESS, raw[-65:]

    def verify(self, text, signature):
        if self.witness:
            if len(signature) != 72:
                return False
            text = b"cosignature/v1\ntime %d\n" % int.from_bytes(signature[:8], "big") + text
            signature = signature[8:]
        if len(signature) != 64:
            return False
        spki = bytes.fromhex("3059301306072a8648ce3d020106082a811ccf5501822d034200") + self.public
        with tempfile.TemporaryDirectory() as d:
            files = {"key": pem(spki), "sig": der(signature[:32]) + der(signature[32:]), "msg": text}
            files["sig"] = bytes([0x30, len(files["sig"])]) + files["sig"]
            for name, content in files.items():
                with open(os.path.join(d, name), "wb") as f:
                    f.write(content)
            done = subprocess.run(["openssl", "dgst", "-sm3", "-verify", "key", "-sigopt", "distid:1234567812345678",
                                   "-signature", "sig", "msg"], cwd=d, capture_output=True)
        return done.returncode == 0 and done.stdout == b"Verified OK\n"


def pem(spki):
    return b"-----BEGIN PUBLIC KEY-----\n" + base64.encodebytes(spki) + b"-----END PUBLIC KEY-----\n"


def der(number):
    raw = number.lstrip(b"\0") or b"\0"
    raw = b"\0" + raw if raw[0] >= 128 else raw
    return bytes([2, len(raw)]) + raw


class Policy:
    def __init__(self, text):
        need(len(text.encode()) <= 65536, "policy: too long")
        self.logs, self.witnesses, self.quorum, names = [], [], None, []
        for line in text.split("\n"):
            line = line.removesuffix("\r")
            words = line.split(" ")
            if line == "" or line.startswith("#"):
                continue
            if words[0] == "log" and len(words) == 2:
                self.logs.append(Key(words[1], LOG))
            elif words[0] == "witness" and len(words) == 3 and valid_name(words[1]):
                names.append(words[1])
                self.witnesses.append(Key(words[2], WITNESS))
            else:
                need(words[0] == "quorum" and len(words) == 2 and self.quorum is None, "policy: line")
                self.quorum = number(words[1])
        if self.quorum is None and not self.witnesses:
            self.quorum = 0
        keys = self.logs + self.witnesses
        publics = [k.public for k in self.witnesses]
        need(self.logs and self.quorum is not None and self.quorum <= len(publics) and len(keys) <= 64, "policy: keys or quorum")
        for unique in (names, publics, [(k.name, k.id) for k in keys]):
            need(len(set(unique)) == len(unique), "policy: twice the same")
        need(not set(publics) & set(k.public for k in self.logs), "policy: a log's key is a witness's")

    def check(self, origin, text, signatures, quorum=None):
        need(origin in [k.name for k in self.logs], "unknown log")
        valid = []
        for key in self.logs + self.witnesses:
            for name, raw in signatures:
                if name == key.name and raw[:4] == key.id:
                    need(key.verify(text, raw[4:]), "bad signature")
                    valid.append(key)
        need(any(k in self.logs and k.name == origin for k in valid), "not signed by the log")
        need(sum(k.witness for k in valid) >= (self.quorum if quorum is None else quorum), "too few cosignatures")


def parse_checkpoint(note):
    need(len(note) <= 32768, "note is too long")
    try:
        text, found, rest = note.decode().partition("\n\n")
    except UnicodeDecodeError:
        raise Bad("note is not UTF-8")
    lines, signed = text.split("\n"), rest.split("\n")
    need(found and len(lines) == 3 and signed.pop() == "" and 0 < len(signed) <= 64, "malformed note")
    need(valid_name(lines[0]), "malformed origin")
    size, root, signatures = number(lines[1]), b64(lines[2]), []
    for line in signed:
        words = line.split(" ")
        need(len(words) == 3 and words[0] == "\u2014" and valid_name(words[1]), "malformed signature line")
        signatures.append((words[1], b64(words[2])))
    keys = [(name, raw[:4]) for name, raw in signatures]
    need(all(len(raw) > 4 for _, raw in signatures) and len(set(keys)) == len(keys) and len(root) == 32, "malformed note")
    return lines[0], size, root, (text + "\n").encode(), signatures


class Tree:
    """A compact range."""
    def __init__(self, size, nodes):
        self.size, self.nodes = size, list(nodes)

    def append(self, leaf):
        self.nodes.append(leaf)
        n = self.size
        while n & 1:
            right = self.nodes.pop()
            self.nodes.append(node(self.nodes.pop(), right))
            n >>= 1
        self.size += 1

    def root(self):
        root = self.nodes[-1]
        for h in reversed(self.nodes[:-1]):
            root = node(h, root)
        return root


def parse_row(line):
    parts = line.decode("ascii", "replace").split(" ")
    need(len(parts) == 3, "not three parts")
    index, record, stored = number(parts[0]), b64(parts[1]), unhex(parts[2])
    need(len(record) <= 2048, "record is too long")
    return index, record, stored


# Part is what one export shows; start and end are the last leaf and the compact range at first and at to.
Part = collections.namedtuple("Part", "origin first to start end first_time last_time roots")


def verify(policy, data, older=None):
    """Verifies an export. roots gets the root of the first older leaves, when the export passes there."""
    head, found, rest = data.partition(b"\n\n")
    try:
        header = head.decode().split("\n")
    except UnicodeDecodeError:
        raise Bad("header")
    need(found and len(header) >= 3 and header[0] == "elicence-log-export/1", "header")
    words = header[2].split(" ")
    need(header[1].startswith("origin ") and words[0] == "range" and len(words) == 3, "header")
    origin, first, to = header[1][7:], number(words[1]), number(words[2])
    extra = [line.split(" ") for line in header[3:]]
    need([w[0] for w in extra] == ["prev"] * (first > 0) + ["node"] * bin(first).count("1"), "header")
    need(first < to and all(len(w) == 2 for w in extra), "header")
    hashes = [unhex(w[1]) for w in extra]
    prev, tree = (hashes[0], Tree(first, hashes[1:])) if first else (bytes(32), Tree(0, []))
    start, roots, first_time = (prev, list(tree.nodes)), {}, None
    need(valid_name(origin) and origin in [k.name for k in policy.logs], "unknown log")

    # rows: lines up to the empty one; note: what follows it, None if the file ends before.
    rows, end, note = rest.partition(b"\n\n") if not rest.startswith(b"\n") else (b"", b"\n", rest[1:])
    rows = rows.split(b"\n") if rows else []
    complete = end != b""
    if not complete and rows:
        rows.pop()  # what lies after the last line feed is no line

    def vouched(k, leaf, before):
        if k + 1 < len(rows):
            try:
                return Record(parse_row(rows[k + 1])[1]).prev == leaf
            except Bad:
                return False
        try:
            root = parse_checkpoint(note if complete else b"")[2]
        except Bad:
            return False
        for h in before + [leaf]:
            tree.append(h)
        return tree.root() == root

    i, last, time = first, prev, 0
    for k, line in enumerate(rows):
        inner = i > first
        if len(line) >= 4096:
            raise Bad("line is too long", i if i < to else None)
        try:
            index, record, stored = parse_row(line)
        except Bad as e:
            raise Bad(f"malformed row ({e})", i)
        need(index == i or inner and index == i - 1, f"entry {index} in its place", i)
        leaf = sm3(b"\0" + record)
        need(leaf == stored, "record and stored leaf differ", i)
        try:
            r = Record(record)
        except Bad as e:
            raise Bad(f"malformed record ({e})", i)
        if inner and r.index == i - 1:
            raise Bad("inserted", i - 1 if vouched(k, leaf, []) else i)
        need(index == i and r.index == i, f"record of entry {r.index}", i)
        need(i < to, "beyond the end", i)
        if r.prev != last:
            raise Bad("link", i - 1 if inner and vouched(k, leaf, [r.prev]) else i)
        need(r.time >= time, "time runs backwards", i)
        if inner:
            tree.append(last)
        else:
            first_time = r.time
        if tree.size == older and older > 0:
            roots[older] = tree.root()
        i, last, time = i + 1, leaf, r.time
    need(i == to, "missing", i)
    need(complete, "it ends early")
    tree.append(last)
    name, size, root, text, signatures = parse_checkpoint(note)
    policy.check(name, text, signatures)
    need(name == origin and size == to, "checkpoint of another log or size")
    need(root == tree.root(), "root differs", to - 1)
    roots[to] = root
    return Part(origin, first, to, start, (last, list(tree.nodes)), first_time, time, roots)


def join(parts):
    """Verifies that exports, each of them good, are parts of one log."""
    parts = sorted(parts, key=lambda part: part.first)
    for a, b in zip(parts, parts[1:]):
        need(a.origin == b.origin, "exports of two logs")
        need(b.first <= a.to, "missing", a.to)
        need(b.first == a.to, "they overlap")
        need(a.end == b.start, "two histories")
        need(a.last_time <= b.first_time, "time runs backwards", b.first)
    return parts[0].first, parts[-1].to


def continues(policy, data, note):
    """Verifies an export that continues the log of an older checkpoint, which needs no cosignature."""
    origin, size, root, text, signatures = parse_checkpoint(note)
    policy.check(origin, text, signatures, 0)
    part = verify(policy, data, size)
    need(part.origin == origin, "checkpoint of another log")
    need(size <= part.to, "the log went backwards")
    need(size == 0 or size >= part.first, "the export begins after the checkpoint")
    need(size == 0 or part.roots[size] == root, "two histories")
    return part.first, part.to


@functools.lru_cache(maxsize=None)
def read_policy(name):
    return Policy(read(name).decode())


def judge(args):
    """Prints the verdicts of one call, and returns whether all are good."""
    joined, older = args[0] == "--join", read(args[1]) if args[0] == "--older" else None
    policy, *exports = args[2 if older is not None else 1 if joined else 0:]
    policy, good = read_policy(policy), True

    def verdict(names):
        if joined:
            return join([verify(policy, read(name)) for name in names])
        data = read(names[0])
        return verify(policy, data)[1:3] if older is None else continues(policy, data, older)

    for names in [exports] if joined else [[name] for name in exports]:
        try:
            print("good %d %d" % verdict(names), flush=True)
        except Bad as e:
            good = False
            print(e, flush=True)
    return good


def main():
    calls = [line.split() for line in sys.stdin] if sys.argv[1:] == ["-"] else [sys.argv[1:]]
    if any(len(args) < 2 for args in calls):
        sys.exit(__doc__)
    sys.exit(0 if all([judge(args) for args in calls]) else 1)


if __name__ == "__main__":
    main()
