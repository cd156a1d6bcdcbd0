#!/bin/sh
# Installs Debian's PostgreSQL for the tests, where it is missing and this is root.
set -eu
if ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null 2>&1; then
	exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
	echo "PostgreSQL is not installed, so its tests are skipped. As root on Debian: apt-get install postgresql" >&2
	exit 0
fi
echo "Installing Debian's PostgreSQL for the tests." >&2
export DEBIAN_FRONTEND=noninteractive
# No cluster of its own: tests start theirs.
mkdir -p /etc/postgresql-common
grep -qs '^create_main_cluster' /etc/postgresql-common/createcluster.conf ||
	echo "create_main_cluster = false" >>/etc/postgresql-common/createcluster.conf
if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends postgresql >/dev/null; }; then
	echo "PostgreSQL could not be installed, so its tests are skipped." >&2
fi
