#!/bin/sh
# Installs Debian's Chromium for the tests of the web console, where no Chromium
# is there and this is root.
set -eu
for name in chromium chromium-browser google-chrome; do
	if command -v "$name" >/dev/null 2>&1; then
		exit 0
	fi
done
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
	echo "Chromium is not installed, so the tests of the web console are skipped. As root on Debian: apt-get install chromium" >&2
	exit 0
fi
echo "Installing Debian's Chromium for the tests of the web console." >&2
export DEBIAN_FRONTEND=noninteractive
if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; }; then
	echo "Chromium could not be installed, so the tests of the web console are skipped." >&2
fi
