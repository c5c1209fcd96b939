#!/usr/bin/env python3
"""Verifies entries of the access log with their proofs.

    verify_entries.py POLICY ANSWER…

An ANSWER is the JSON that /api/v1/log/search, /api/v1/log/own and /holder/log.json give.
Written from docs/log-format.md alone; the checkpoint's signatures are checked by OpenSSL.
Prints for each "good: N entries of SIZE" or "bad: reason", and exits 0 when all are good. It says nothing on
whether other entries were left out, nor on authority_name and held_until, which no
record holds.
"""
import datetime, json, sys

sys.dont_write_bytecode = True
from verify_checkpoint import checkpoint, inclusion
from verify_log import Bad, Record, b64, need, read, sm3, unhex

# What the members of an entry repeat, by the place of the text in the record.
TEXTS = ["principal", "authority_code", "action", "object", "purpose", "case_number", "matter_code", "result", "code", "request_id"]


class Spoken(Record):
    """A record that keeps its texts."""
    def __init__(self, data):
        self.texts = []
        super().__init__(data)

    def string(self, major, low, high):
        found = super().string(major, low, high)
        if major == 3:
            self.texts.append(found.decode())
        return found


def whole(value):
    need(type(value) is int and 0 <= value < 2**63, "malformed number")
    return value


def entry(e, size, root):
    need(isinstance(e, dict) and isinstance(e.get("record"), str) and isinstance(e.get("leaf_hash"), str), "entry: record or leaf_hash")
    need(isinstance(e.get("proof"), list) and all(isinstance(h, str) for h in e["proof"]), "entry: proof")
    record = Spoken(b64(e["record"]))
    leaf = sm3(b"\0" + record.data)
    need(leaf == unhex(e["leaf_hash"]), "leaf_hash is not the record's", record.index)
    need(whole(e.get("index")) == record.index, "index is not the record's", record.index)
    inclusion(leaf, record.index, size, [unhex(h) for h in e["proof"]], root)
    for name, text in zip(TEXTS, record.texts):
        need(e.get(name) == text, f"{name} is not the record's", record.index)
    at = datetime.datetime.fromisoformat(e["time"].replace("Z", "+00:00"))
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    need((at - epoch) // datetime.timedelta(microseconds=1) == record.time, "time is not the record's", record.index)
    return record.index


def verify(policy, answer):
    need(isinstance(answer, dict) and isinstance(answer.get("checkpoint"), str) and isinstance(answer.get("entries"), list), "no answer with entries")
    _, size, root, _ = checkpoint(policy, answer["checkpoint"].encode())
    need(whole(answer.get("size")) == size, "size is not the checkpoint's")
    last = size
    for e in answer["entries"]:
        index = entry(e, size, root)
        need(index < last, "entries are not in descending order", index)
        last = index
    for e in answer.get("archived", []):
        need(isinstance(e, dict) and isinstance(e.get("proof"), list) and all(isinstance(h, str) for h in e["proof"]), "archived entry: proof")
        need(isinstance(e.get("leaf_hash"), str), "archived entry: leaf_hash")
        inclusion(unhex(e["leaf_hash"]), whole(e.get("index")), size, [unhex(h) for h in e["proof"]], root)
    return f"good: {len(answer['entries'])} entries of {size}"


def judge(policy, name):
    try:
        print(verify(policy, json.loads(read(name))))
    except (Bad, ValueError) as e:
        print(e if isinstance(e, Bad) else f"bad: {e}")
        return False
    return True


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    policy = read(sys.argv[1])
    verdicts = [judge(policy, name) for name in sys.argv[2:]]
    sys.exit(0 if all(verdicts) else 1)


if __name__ == "__main__":
    main()
