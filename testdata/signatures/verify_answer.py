#!/usr/bin/env python3
"""Checks a signed answer with OpenSSL, as docs/signed-answers.md says; shares no code with the service.

verify_answer.py ANSWER [REQUEST]   an answer as curl -i prints it, and the body of its request; prints its signature base
"""
import base64, re, sys
from verify_request import INPUT, fail, key_id, openssl, sm3, value_of, verify

MUST = {"@status", "content-type", "content-digest", "elicence-request-digest"}


def main(stored, request):
    while True:  # interim answers, 100 Continue say, are left out
        m = re.search(rb"\r?\n\r?\n", stored)
        head, stored = stored[:m.start()].decode("ascii"), stored[m.end():]
        first, *lines = head.splitlines()
        status = first.split(" ")[1]
        if status[0] != "1":
            break
    fields = {}
    for line in lines:
        name, value = line.split(":", 1)
        fields.setdefault(name.lower(), []).append(value.strip())
    once = lambda name: fields[name][0] if len(fields.get(name, [])) == 1 else fail(name + " does not stand there once")
    m = INPUT.fullmatch(once("signature-input")) or fail("Signature-Input is malformed")
    parameters = dict(p.split("=", 1) for p in m[4].lstrip(";").split(";"))
    components = re.findall(r'"([^"]+)"', m[3])
    if parameters.get("alg") != '"sm2-sm3"' or parameters.get("tag") != '"elicence-answer"' or not MUST <= set(components):
        fail("it is not of the form, or does not cover what it must")
    base = "".join('"%s": %s\n' % (c, status if c == "@status" else once(c)) for c in components) + '"@signature-params": ' + m[2]
    der = base64.b64decode(once("elicence-certificate").strip(":"), validate=True)
    ok, pem = openssl("x509", "-inform", "DER", "-in", "{cert}", "-noout", "-pubkey", cert=der)
    if not ok or parameters["keyid"] != '"%s"' % key_id(pem):
        fail("keyid is of another key than the certificate's")
    if not verify(pem, base.encode(), value_of(m[1], once("signature"))):
        fail("the signature does not verify")
    for name, content in (("content-digest", stored), ("elicence-request-digest", request)):
        if content is not None and once(name) != "sm3=:%s:" % base64.b64encode(sm3(content)).decode():
            fail(name + " is of something else")
    print(base)


if __name__ == "__main__":
    main(open(sys.argv[1], "rb").read(), open(sys.argv[2], "rb").read() if len(sys.argv) > 2 else None)
