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
expect 2 bin/elicence verify --anchors "$D/anchors.pem" "$D/verification-report.pdf" # which is no licence
expect 0 bin/elicence verify --anchors "$D/anchors.pem" --trust "$D/trust.json" "$D/annotated-copy.pdf"
expect 2 bin/elicence verify --at "$(($(date +%Y) + 1))-01-01T00:00:00Z" --anchors "$D/anchors.pem" "$D/annotated-copy.pdf" # whose time is over then
expect 0 bin/elicence audit verify --policy "$D/log-policy.txt" "$D/log-export"

# the evidence bundle, years later: by us without a network, and by Python and OpenSSL alone
later=$(($(date +%Y) + 10)) bundle=("$D/keys/root.cer.pem" "$D/log-policy.txt")
expect 0 strace -f -qq -e trace=%network -e signal=none -o "$dir/network" \
	bin/elicence verify --at "$later-01-01T00:00:00Z" --anchors "${bundle[0]}" --policy "${bundle[1]}" "$D/bundle.zip"
[ ! -s "$dir/network" ] || { echo "verifying a bundle used the network:" >&2; cat "$dir/network" >&2; exit 1; }
expect 0 python3 testdata/bundle/verify_bundle.py --at "${later}0101000000" "${bundle[@]}" "$D/bundle.zip"
mkdir "$dir/altered"
python3 testdata/bundle/altered.py "$D/bundle.zip" "$(ls "$D"/sample-food-retail.pdf)" "$dir/altered"
for f in "$dir"/altered/*.zip; do
	for judge in "bin/elicence verify --anchors ${bundle[0]} --policy ${bundle[1]}" "python3 testdata/bundle/verify_bundle.py ${bundle[*]}"; do
		if $judge "$f" >"$dir/out" 2>&1 || ! grep -qE '^bad|TotalFailed|Indeterminate' "$dir/out"; then
			echo "accepted, or no verdict: $judge $f" >&2
			cat "$dir/out" >&2
			exit 1
		fi
	done
done
echo "bundle: good, and $(ls "$dir/altered" | wc -l) altered copies refused by both"

# run again on the same folder it continues, and nothing is issued twice
count() { python3 -c 'import json,sys; print(len({l["identifier"] for l in json.load(open(sys.argv[1]))["licences"]}))' "$D/demo.json"; }
before=$(count)
expect 0 bin/elicenced demo --dir "$D" --listen 127.0.0.1:0 --once
[ "$before" = "$(count)" ] || { echo "the second run of the demo issued again" >&2; exit 1; }
expect 0 bin/elicence audit verify --policy "$D/log-policy.txt" "$D/log-export"
echo "judge: all good"
