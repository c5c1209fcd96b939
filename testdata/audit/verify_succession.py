#!/usr/bin/env python3
"""Verifies that a log succeeds another that lost its last entries.

    verify_succession.py POLICY SUCCESSOR [EXPORT...]

SUCCESSOR is an export of the log that goes on, from entry 0; EXPORTs are all that is left of the other, and what
more somebody kept. Written from docs/log-format.md alone, over verify_log.py. Prints "none" when the log succeeds
none, "lost FROM TO NAME,NAME" (of exports FROM is TO when nothing is missing), or what verify_log.py prints of a bad
log. Exits 0 for "none" and when nothing is missing, 2 when something is lost, otherwise 1.
"""
import base64, copy, sys

sys.dont_write_bytecode = True
from verify_log import Bad, Key, Policy, Record, TEXTS, Tree, b64, join, need, number, parse_checkpoint, parse_row, read, sm3, verify

APPROVER = b"elicence/sm2-sm3/approval/v1"


class Entry(Record):
    """A record with all its texts."""
    def __init__(self, data):
        super().__init__(data)
        self.at = 0
        self.head(4), self.string(2, 32, 32), [self.head(0) for _ in range(3)]
        self.texts = [self.string(3, low, high).decode() for low, high in TEXTS]


def entries(data):
    body = data.partition(b"\n\n")[2]
    for line in body.partition(b"\n\n")[0].split(b"\n"):
        record = parse_row(line)[1]
        yield Entry(record), sm3(b"\0" + record)


def approver(vkey, others):
    """The key of an approver who is none of the others."""
    key = Key(vkey, APPROVER)
    key.vkey = vkey
    need(all(key.name != o.name and key.public != o.public for o in others), "an approver twice")
    return key


class Declaration:
    def __init__(self, policy, data):
        origin, found = data.split(b"\n")[1].decode()[7:], list(entries(data))
        first = found[0][0]
        need(first.result == "allowed", "refused")
        words = first.texts[6].split(" ")
        need(len(words) == 7, "matter")
        self.origin, self.points = first.object, [(number(words[i]), b64(words[i + 1])) for i in (0, 2, 4)]
        (left, _), (witnessed, seen), (self.last, known) = self.points
        need(0 < left < self.last and witnessed <= self.last and (witnessed < self.last or seen == known), "sizes")
        need(all(len(root) == 32 for _, root in self.points) and (witnessed > 0 or seen == sm3(b"")), "roots")
        need(number(words[6]) < 2**62 and origin != self.origin and 0 < len(first.texts[4].encode()) <= 512, "declaration")
        self.text = next((t for t in (self.written(words, k, first.texts[4]) for k in policy.logs if k.name == origin)
                          if sm3(t) == first.digest), None)
        need(self.text, "digest of the declaration")
        self.approvers = []
        for e, _ in found[1:]:
            if e.action != "approve_succession":
                need(e.action != "succeed_log", "declared twice")
                break
            key = approver(e.object, self.approvers)
            need(e.result == "allowed" and e.texts[0] == key.name and key.verify(self.text, e.digest), "signature of an approver")
            self.approvers.append(key)
        need(len(self.approvers) >= 2, "not approved by two persons")

    def written(self, w, key, reason):
        raw = b"\xff" + b"elicence/sm2-sm3/v1" + key.public
        vkey = f"{key.name}+{key.id.hex()}+{base64.b64encode(raw).decode()}"
        return (f"elicence-log-succession/1\nlog {self.origin}\nrecovered {w[0]} {w[1]}\nwitnessed {w[2]} {w[3]}\n"
                f"last {w[4]} {w[5]}\nsuccessor {vkey}\nskip {w[6]}\nreason {reason}\n").encode()

    def loss(self, policy, exports):
        parts = []
        for data in exports:
            excused = copy.copy(policy)
            if parse_checkpoint(data.split(b"\n\n", 2)[2])[1:3] == self.points[0]:
                excused.quorum = 0
            parts.append((verify(excused, data), data))
        parts.sort(key=lambda p: p[0].first)
        join([p for p, _ in parts])
        need(parts[0][0].origin == self.origin and parts[0][0].first == 0, "exports of another log, or without entry 0")
        tree, present = Tree(0, []), []
        for e, leaf in (found for _, data in parts for found in entries(data)):
            if tree.size < self.points[0][0] and e.result == "allowed":
                if e.action in ("appoint_approver", "approve_succession"):
                    try:
                        present.append(approver(e.object, present))
                    except Bad:
                        pass
                elif e.action == "dismiss_approver":
                    present = [k for k in present if k.vkey != e.object]
            tree.append(leaf)
            for size, root in self.points:
                need(size != tree.size or root == tree.root(), "roots of the declaration")
        need(tree.size >= self.points[0][0], "the exports end before what is left")
        for key in self.approvers:
            need(any(k.name == key.name and k.public == key.public for k in present), "approved by whom nobody appointed")
        return min(tree.size, self.last)


def judge(policy, successor, *exports):
    policy, data = Policy(read(policy).decode()), read(successor)
    part = verify(policy, data)
    if part.first > 0 or next(entries(data))[0].action != "succeed_log":
        return "none"
    d = Declaration(policy, data)
    lost = d.loss(policy, [read(name) for name in exports]) if exports else d.points[0][0]
    return f"lost {lost} {d.last} {','.join(k.name for k in d.approvers)}"


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    try:
        verdict = judge(*sys.argv[1:])
    except Bad as e:
        verdict = str(e)
    print(verdict)
    words = verdict.split(" ")
    sys.exit(0 if verdict == "none" or words[0] == "lost" and words[1] == words[2] else 2 if words[0] == "lost" else 1)
