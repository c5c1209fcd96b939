#!/bin/sh
# Starts and stops a throw-away PostgreSQL, for tests and measurements:
#   scripts/postgres.sh start DIR [PID]   prints a DSN; stops by itself when process PID has gone
#   scripts/postgres.sh stop DIR          also removes DIR
exec sh "$(dirname "$0")/../store/pgtest/postgres.sh" "$@"
