#!/usr/bin/env python3
"""Decode the text of a licence's QR code by docs/qr-format.md alone.

Usage: decode_qr.py TEXT...   prints a JSON object for each, null for a bad one; exits 1 if any was bad.
"""
import datetime
import json
import re
import sys

BYTES_OF_DIGITS = {17: 7, 15: 6, 13: 5, 10: 4, 8: 3, 5: 2, 3: 1}


def message_of(text):
    """The bytes behind the # of the text."""
    match = re.fullmatch(r"(?i:https?://[0-9a-z.:-]+/v)#([0-9]+)", text)
    if not match or len(text) > 1600:
        raise ValueError("not the text of a licence QR code")
    digits, message = match.group(1), b""
    while digits:
        group, digits = digits[:17], digits[17:]
        message += int(group).to_bytes(BYTES_OF_DIGITS[len(group)], "big")
    return message


def item(data, at=0):
    """One CBOR item (RFC 8949) and the place behind it."""
    major, n, at = data[at] >> 5, data[at] & 31, at + 1
    if n > 23:
        size = {24: 1, 25: 2, 26: 4, 27: 8}[n]
        n, at = int.from_bytes(data[at:at + size], "big"), at + size
    if major == 0:
        return n, at
    if major == 1:
        return -1 - n, at
    if major in (2, 3):
        value = data[at:at + n]
        if len(value) != n:
            raise ValueError("cut short")
        return (value if major == 2 else value.decode()), at + n
    if major in (4, 5):
        values = []
        for _ in range(n * (major - 3)):
            value, at = item(data, at)
            values.append(value)
        return (values if major == 4 else dict(zip(values[::2], values[1::2]))), at
    if major == 6:
        value, at = item(data, at)
        return (n, value), at
    raise ValueError("no such item here")


def whole(data):
    value, end = item(data)
    if end != len(data):
        raise ValueError("something behind the end")
    return value


def decode(text):
    tag, (protected, unprotected, payload, signature) = whole(message_of(text))
    header, claims = whole(protected), whole(payload)
    if tag != 18 or unprotected != {} or header[1] != -65537 or len(signature) != 64:
        raise ValueError("not a licence QR message")
    day = lambda n: str(datetime.date(1970, 1, 1) + datetime.timedelta(n)) if n is not None else ""
    head = lambda major, b: bytes([major << 5 | len(b)] if len(b) < 24 else
                                  [major << 5 | 24, len(b)] if len(b) < 256 else
                                  [major << 5 | 25, len(b) >> 8, len(b) & 255]) + b
    signed = b"\x84" + head(3, b"Signature1") + head(2, protected) + head(2, b"") + head(2, payload)
    return {"identifier": claims[1], "type_name": claims.get(2, ""), "number": claims[3],
            "holder_name": claims.get(4, ""), "issued_on": day(claims[5]),
            "effective_on": day(claims.get(6, claims[5])), "expires_on": day(claims.get(7)),
            "data_digest": claims[8].hex(), "key_id": header[4].hex(),
            "signature": signature.hex(), "signed": signed.hex()}


if __name__ == "__main__":
    bad = False
    for text in sys.argv[1:]:
        try:
            print(json.dumps(decode(text), ensure_ascii=True, sort_keys=True))
        except (ValueError, KeyError, IndexError, TypeError, OverflowError) as e:
            bad = True
            print("null")
            print(f"decode_qr: {e!r}", file=sys.stderr)
    sys.exit(bad)
