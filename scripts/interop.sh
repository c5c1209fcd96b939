#!/usr/bin/env bash
# Has OpenSSL, BouncyCastle and sm-crypto judge licences, seals of other makers and
# changed copies of both, and compares each verdict with ours. Installs the judges on
# Debian when it may, and otherwise says what to install. The tables that it made stand
# in docs/interop.md.
#
#   ELICENCE_VECTORS   folder of other makers' seals (default ../shared/vectors)
set -euo pipefail
cd "$(dirname "$0")/.."

jars=${ELICENCE_JARS:-/usr/share/java} # bcprov.jar, bcpkix.jar and bcutil.jar
tools=bin/interop
mkdir -p "$tools"

missing=()
for w in openssl:openssl python3:python3 node:nodejs npm:npm java:default-jdk-headless javac:default-jdk-headless; do
	command -v "${w%%:*}" >/dev/null || missing+=("${w##*:}")
done
for jar in bcprov bcpkix bcutil; do
	[ -e "$jars/$jar.jar" ] || missing+=("lib$jar-java")
done
if [ ${#missing[@]} -gt 0 ]; then
	mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
	if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
		echo "missing: install these packages and try again: ${missing[*]}" >&2
		exit 69
	fi
	echo "installing: ${missing[*]}"
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

# Pinned like the fonts: another file could judge otherwise.
right() { (cd "$tools/sm-crypto/dist" 2>/dev/null && sha256sum --quiet -c - >/dev/null 2>&1 <<'SUMS'); }
42ae3942f7de6cdf84de8cb604e6f13762433523b66fb45312ee8cfa58546fdf  sm2.js
c3329bb0c5d89ddf34de553865ca4176276d573f2e85f6f8af73eef407ae9b76  sm3.js
SUMS
if ! right; then
	echo "fetching sm-crypto"
	rm -rf "$tools/sm-crypto" "$tools"/package "$tools"/sm-crypto-*.tgz
	(cd "$tools" && npm pack --silent sm-crypto@0.4.0 >/dev/null && tar xzf sm-crypto-*.tgz && rm sm-crypto-*.tgz && mv package sm-crypto)
	right || { echo "sm-crypto is not the version that is pinned here" >&2; exit 1; }
fi

export NODE_PATH=$PWD/$tools
export ELICENCE_BOUNCYCASTLE=$jars/bcprov.jar:$jars/bcpkix.jar:$jars/bcutil.jar
exec "${GO:-go}" test -tags interop -run Interop -count=1 -v -timeout 30m ./cmd/elicenced
