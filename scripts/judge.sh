#!/usr/bin/env bash
# Runs the demo once and lets strangers judge what it made: OpenSSL, zbar, qpdf,
# poppler and the Python in testdata/judge. Needs ./bin (make build).
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

expect() { # CODE COMMAND...
	local want=$1 got=0
	shift
	"$@" >"$dir/out" 2>&1 || got=$?
	if [ "$got" != "$want" ]; then
		echo "exit $got, expected $want: $*" >&2
		cat "$dir/out" >&2
		exit 1
	fi
}

expect 0 bin/elicenced demo --dir "$dir/demo" --listen 127.0.0.1:0 --once
D=$dir/demo
python3 testdata/judge/judge.py "$D" bin/elicence
expect 0 bin/elicence verify --anchors "$D/anchors.pem" "$D"/sample-*.pdf "$D"/revoked-*.pdf
expect 0 bin/elicence verify --anchors "$D/anchors.pem" --trust "$D/trust.json" "$D"/sample-*.pdf
expect 1 bin/elicence verify --anchors "$D/anchors.pem" --trust "$D/trust.json" "$D"/revoked-*.pdf
expect 0 bin/elicence audit verify --policy "$D/log-policy.txt" "$D/log-export"
# run again on the same folder it continues, and nothing is issued twice
count() { python3 -c 'import json,sys; print(len({l["identifier"] for l in json.load(open(sys.argv[1]))["licences"]}))' "$D/demo.json"; }
before=$(count)
expect 0 bin/elicenced demo --dir "$D" --listen 127.0.0.1:0 --once
[ "$before" = "$(count)" ] || { echo "the second run of the demo issued again" >&2; exit 1; }
expect 0 bin/elicence audit verify --policy "$D/log-policy.txt" "$D/log-export"
echo "judge: all good"
