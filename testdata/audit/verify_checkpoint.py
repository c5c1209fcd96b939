#!/usr/bin/env python3
"""Verifies a checkpoint of the access log, and proofs that lead to it.

    verify_checkpoint.py POLICY CHECKPOINT
    verify_checkpoint.py POLICY CHECKPOINT inclusion LEAF PROOF
    verify_checkpoint.py POLICY CHECKPOINT consistency OLD-CHECKPOINT PROOF
    verify_checkpoint.py -

Written from docs/log-format.md alone; signatures are checked by OpenSSL. LEAF is hex,
PROOF a file with the JSON of /api/v1/log/proof. Prints a line: "good SIZE ROOT" with
" NAME SECONDS" for each witness's key that cosigned, or "bad: reason". With -, the
arguments come from standard input, a line for each case. Exits 0 when all are good.
"""
import functools, json, sys

sys.dont_write_bytecode = True
from verify_log import Bad, Policy, need, node, number, parse_checkpoint, read, unhex


def parse_proof(text, **numbers):
    """The hashes of a proof that has these members; None is any number. Returns the numbers, too."""
    need(len(text) <= 16384, "proof: too long")
    try:
        proof = json.loads(text, parse_int=number)
    except RecursionError:
        raise Bad("proof: nested")
    need(isinstance(proof, dict) and set(proof) == {"hashes", *numbers}, "proof: members")
    for name, want in numbers.items():
        need(type(proof[name]) is int and want in (None, proof[name]), "proof of other entries or sizes")
    found = proof["hashes"]
    need(isinstance(found, list) and all(isinstance(h, str) for h in found), "proof: hashes")
    return [unhex(h) for h in found], proof


def step(i, j):
    """One hash of a proof: the new i and j, and whether h lies left."""
    need(j != 0, "proof is too long")
    left = i % 2 == 1 or i == j
    if left:
        while i % 2 == 0 and i != 0:
            i, j = i // 2, j // 2
    return i // 2, j // 2, left


def inclusion(leaf, index, size, proof, root):
    need(index < size, "index is not below the size")
    i, j, r = index, size - 1, leaf
    for h in proof:
        i, j, left = step(i, j)
        r = node(h, r) if left else node(r, h)
    need(j == 0 and r == root, "inclusion proof does not lead to the root")


def consistency(m, old_root, n, root, proof):
    need(m <= n, "the old checkpoint is larger")
    if m == 0 or m == n:
        need(not proof and (m == 0 or old_root == root), "consistency proof, or roots differ")
        return
    if m & (m - 1) == 0:
        proof = [old_root] + proof
    need(proof, "consistency proof is empty")
    i, j = m - 1, n - 1
    while i % 2 == 1:
        i, j = i // 2, j // 2
    r = s = proof[0]
    for h in proof[1:]:
        i, j, left = step(i, j)
        if left:
            r, s = node(h, r), node(h, s)
        else:
            s = node(s, h)
    need(j == 0 and r == old_root and s == root, "consistency proof does not lead from one root to the other")


@functools.lru_cache(maxsize=None)
def checkpoint(policy, note, quorum=None):
    policy = Policy(policy.decode())
    origin, size, root, text, signatures = parse_checkpoint(note)
    policy.check(origin, text, signatures, quorum)
    times = []
    for key in policy.witnesses:
        for signer, raw in signatures:
            if signer == key.name and raw[:4] == key.id:
                times.append((key.name, int.from_bytes(raw[4:12], "big")))
    return origin, size, root, times


def verify(policy_file, checkpoint_file, kind=None, other=None, proof_file=None):
    policy = read(policy_file)
    origin, size, root, times = checkpoint(policy, read(checkpoint_file))
    if kind == "inclusion":
        hashes, proof = parse_proof(read(proof_file).decode(), index=None, size=size)
        inclusion(unhex(other), proof["index"], size, hashes, root)
    elif kind == "consistency":
        old = checkpoint(policy, read(other), 0)  # of a receipt, say, which no witness has seen
        need(old[0] == origin, "checkpoints of two logs")
        hashes, _ = parse_proof(read(proof_file).decode(), **{"from": old[1], "to": size})
        consistency(old[1], old[2], size, root, hashes)
    return size, root, times


def judge(args):
    if len(args) != 2 and not (len(args) == 5 and args[2] in ("inclusion", "consistency")):
        sys.exit(__doc__)
    try:
        size, root, times = verify(*args)
    except (Bad, ValueError) as e:
        print(e if isinstance(e, Bad) else f"bad: {e}")
        return False
    print(" ".join(["good", str(size), root.hex()] + [f"{name} {at}" for name, at in times]))
    return True


def main():
    if sys.argv[1:] == ["-"]:
        verdicts = [judge(line.split()) for line in sys.stdin]
    else:
        verdicts = [judge(sys.argv[1:])]
    sys.exit(0 if all(verdicts) else 1)


if __name__ == "__main__":
    main()
