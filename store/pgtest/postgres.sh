#!/bin/sh
# Starts and stops a throw-away PostgreSQL that keeps its promises (fsync is on).
#   postgres.sh start DIR [PID]   makes a cluster in DIR, which must not exist yet, and prints
#                                 a DSN; with PID, the server stops when that process has gone
#   postgres.sh stop DIR          stops the server and removes DIR
#   postgres.sh standby DIR PRIMARY [PID]   makes a standby in DIR of the cluster in PRIMARY, as start does
#   postgres.sh crash DIR         kills the server as a crash would, and keeps DIR
#   postgres.sh restart DIR       starts a server that was killed, if it does not run
#   postgres.sh promote DIR       makes a standby a primary
# The server listens on a socket inside DIR only. Called by root, it runs as postgres or nobody.
set -eu

fail() {
	echo "postgres.sh: $*" >&2
	exit 1
}

# binaries prints the folder of the newest server binaries.
binaries() {
	newest=$(ls -d /usr/lib/postgresql/*/bin /usr/pgsql-*/bin 2>/dev/null | sort -V | tail -n 1)
	for dir in $newest $(pg_config --bindir 2>/dev/null || true) $(dirname "$(command -v initdb || true)" 2>/dev/null || true); do
		if [ -x "$dir/initdb" ] && [ -x "$dir/postgres" ]; then
			echo "$dir"
			return 0
		fi
	done
	return 1
}

# install tries what a fresh Debian machine allows.
install() {
	[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
	export DEBIAN_FRONTEND=noninteractive
	apt-get install -y --no-install-recommends postgresql >&2 ||
		{ apt-get update >&2 && apt-get install -y --no-install-recommends postgresql >&2; }
}

# unprivileged runs a command as the user who owns the cluster.
unprivileged() {
	if [ "$(id -u)" != 0 ]; then
		"$@"
	elif command -v runuser >/dev/null; then
		runuser -u "$user" -- "$@"
	else
		setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups -- "$@"
	fi
}

start() {
	[ ! -e "$dir" ] || fail "$dir exists already"
	bin=$(binaries) || { install && bin=$(binaries); } ||
		fail "no PostgreSQL server binaries found: install them (Debian: apt-get install postgresql) or set ELICENCE_TEST_POSTGRES to the DSN of a server"
	mkdir -m 700 "$dir"
	dir=$(cd "$dir" && pwd)
	[ ${#dir} -le 90 ] || fail "$dir is too long for the name of a socket"
	[ "$(id -u)" != 0 ] || chown "$user" "$dir"
	cd /
	log=$(unprivileged "$bin/initdb" -D "$dir/data" -U elicence -A trust -E UTF8 --locale=C --no-sync 2>&1) || fail "initdb: $log"
	printf '%s\n' "listen_addresses = ''" "unix_socket_directories = '$dir'" \
		'max_connections = 100' 'shared_buffers = 64MB' 'max_wal_size = 1GB' >"$dir/settings"
	run
}

# standby copies a running cluster and follows it.
standby() {
	[ ! -e "$dir" ] || fail "$dir exists already"
	bin=$(binaries)
	mkdir -m 700 "$dir"
	dir=$(cd "$dir" && pwd)
	[ "$(id -u)" != 0 ] || chown "$user" "$dir"
	cd /
	unprivileged "$bin/pg_basebackup" -D "$dir/data" -d "host=$primary user=elicence application_name=standby" -R -X stream -c fast >&2 || fail pg_basebackup
	printf '%s\n' "unix_socket_directories = '$dir'" >"$dir/settings"
	run
}

# run starts the server of a cluster that is made, and prints its DSN.
run() {
	cat "$dir/settings" >>"$dir/data/postgresql.conf"
	unprivileged "$bin/pg_ctl" -D "$dir/data" -l "$dir/data/server.log" -w -t 60 start >/dev/null ||
		fail "$(tail -n 20 "$dir/data/server.log")"
	{ [ -z "$pid" ] || watch; } </dev/null >/dev/null 2>&1 &
	echo "postgres://elicence@/postgres?host=$dir"
}

crash() {
	kill -9 "$(head -n 1 "$dir/data/postmaster.pid")"
}

# restart starts a server that has gone, as soon as the processes that it left have ended.
restart() {
	bin=$(binaries)
	cd /
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		unprivileged "$bin/pg_ctl" -D "$dir/data" -l "$dir/data/server.log" -w -t 60 start >/dev/null 2>&1 && return 0
		"$bin/pg_isready" -q -h "$dir" && return 0 # a process that was killed counts as running until it is reaped
		sleep 0.2
	done
	fail "$(tail -n 20 "$dir/data/server.log")"
}

promote() {
	bin=$(binaries)
	cd /
	unprivileged "$bin/pg_ctl" -D "$dir/data" -w -t 60 promote >&2 || fail "$(tail -n 20 "$dir/data/server.log")"
}

# watch stops the server when the process it was started for has gone without doing so.
watch() {
	while kill -0 "$pid" && [ -e "$dir/data" ]; do
		sleep 1
	done
	[ ! -e "$dir" ] || stop
}

stop() {
	[ -f "$dir/data/PG_VERSION" ] || fail "$dir holds no cluster"
	bin=$(binaries)
	cd /
	unprivileged "$bin/pg_ctl" -D "$dir/data" -w -m fast stop >/dev/null 2>&1 || true
	rm -rf "$dir"
}

command=${1-} dir=${2-} pid=${3-}
[ "$command" != standby ] || primary=${3-} pid=${4-}
user=nobody
! id postgres >/dev/null 2>&1 || user=postgres
case $command/$dir in
start/?* | stop/?* | standby/?* | crash/?* | restart/?* | promote/?*) "$command" ;;
*) fail "usage: postgres.sh start|stop|standby|crash|restart|promote DIR" ;;
esac
