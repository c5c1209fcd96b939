#!/bin/sh
# Prints the path of versitygw, an S3 server for tests, and builds it first where it is
# missing: a program of its own, so that nothing of it is in this module's go.mod.
set -eu
version=v1.8.0
if [ -n "${ELICENCE_TEST_VERSITYGW:-}" ]; then
	echo "$ELICENCE_TEST_VERSITYGW"
	exit
fi
cache=$(dirname "$(go env GOMOD)")/.cache
binary=$cache/versitygw-$version
if [ ! -x "$binary" ]; then
	echo "building versitygw $version, an S3 server for tests" >&2
	mkdir -p "$cache"
	dir=$(mktemp -d "$cache/build-XXXXXX")
	trap 'rm -rf "$dir"' EXIT
	GOBIN=$dir CGO_ENABLED=0 go install -ldflags '-s -w' "github.com/versity/versitygw/cmd/versitygw@$version" >&2 || {
		echo "versitygw.sh: building it failed; ELICENCE_TEST_VERSITYGW may name one that is there" >&2
		exit 69
	}
	mv "$dir/versitygw" "$binary"
fi
echo "$binary"
