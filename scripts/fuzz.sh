#!/usr/bin/env bash
# Runs every fuzz target, one after another, and prints how many inputs each tried.
# Stops at the first that fails and names the input, which then lies under testdata/fuzz
# of that package and is a case of every test run.
#
#   FUZZTIME   for each target (default 1m)
#   FUZZ       a pattern: only targets whose "folder name" it fits, such as verify or 'pdfsig FuzzRead$'
#   FUZZPROCS  inputs tried at a time (default: as many as cores)
set -euo pipefail
cd "$(dirname "$0")/.."
time=${FUZZTIME:-1m} procs=${FUZZPROCS:-$(nproc)}

mapfile -t targets < <(git ls-files -co --exclude-standard '*_test.go' | xargs grep -HoP '^func \KFuzz\w+(?=\(f \*testing\.F\))' |
	sed -E 's|^([^:]*)/[^/]*:|\1 |' | grep -E "${FUZZ:-.}" | LC_ALL=C sort)
[ ${#targets[@]} -gt 0 ] || { echo "no fuzz target fits" >&2; exit 64; }

total=0 idle=()
for target in "${targets[@]}"; do
	read -r folder name <<<"$target"
	failed=
	# Making a new input smaller would take a minute each time: five tries are enough.
	output=$("${GO:-go}" test -run '^$' -fuzz "^$name\$" -fuzztime "$time" -fuzzminimizetime 5x -parallel "$procs" "./$folder" 2>&1) || failed=1
	# When time runs out in the middle of an input, go test may say so as a failure.
	if [ -n "$failed" ] && { grep -q 'Failing input written' <<<"$output" || ! grep -q 'context deadline exceeded' <<<"$output"; }; then
		echo "$output"
		input=$(grep -oP 'Failing input written to \K\S+' <<<"$output" | tail -1) || true
		echo "$folder $name failed: ${input:+$folder/$input}" >&2
		exit 1
	fi
	# A slow machine may need all the time for the seeds.
	tried=$(grep -oP 'execs: \K\d+' <<<"$output" | tail -1) || tried=0
	[ "$tried" -gt 0 ] || idle+=("$folder $name")
	printf '%-34s %-24s %11d tried\n' "$folder" "$name" "$tried"
	total=$((total + tried))
done
printf '%d targets, %d inputs tried, none failed\n' "${#targets[@]}" "$total"
[ ${#idle[@]} -eq 0 ] || printf 'no time for more than the seeds: %s\n' "${idle[@]}"
