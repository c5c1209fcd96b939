#!/usr/bin/env bash
# Makes sure that the programs which judge our output are there: installs them
# on Debian when it may, and otherwise says what to install. Nothing is skipped.
set -euo pipefail

sh "$(dirname "$0")/../store/s3test/versitygw.sh" >/dev/null

# command:package
wanted=(qpdf:qpdf pdfsig:poppler-utils pdftotext:poppler-utils pdftoppm:poppler-utils
	zbarimg:zbar-tools mutool:mupdf-tools openssl:openssl python3:python3 strace:strace cc:build-essential)
missing=()
for w in "${wanted[@]}"; do
	command -v "${w%%:*}" >/dev/null || missing+=("${w##*:}")
done
if ! command -v postgres >/dev/null && ! compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null && [ -z "${ELICENCE_TEST_POSTGRES:-}" ]; then
	missing+=(postgresql)
fi
[ -e /usr/include/freetype2/ft2build.h ] || missing+=(libfreetype-dev)
[ ${#missing[@]} -eq 0 ] && exit 0

mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	echo "installing: ${missing[*]}"
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
	exit 0
fi
echo "missing: install these packages and try again: ${missing[*]}" >&2
exit 69
