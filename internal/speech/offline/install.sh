#!/bin/sh
# Installs the programs that hear and speak without a service, where they are
# missing: as root Debian's packages, else the same packages unpacked into the
# user's cache, where the bot finds them.
set -eu
packages="pocketsphinx pocketsphinx-en-us flite espeak-ng opus-tools ffmpeg"
cache="${XDG_CACHE_HOME:-$HOME/.cache}/firstmate/speech"
missing() {
	for p in pocketsphinx_batch flite espeak-ng opusenc ffmpeg; do
		command -v "$p" >/dev/null 2>&1 || [ -x "/usr/bin/$p" ] || [ -x "$cache/root/usr/bin/$p" ] || return 0
	done
	[ ! -e /usr/share/pocketsphinx/model/en-us/en-us/mdef ] && [ ! -e "$cache/root/usr/share/pocketsphinx/model/en-us/en-us/mdef" ]
}
missing || exit 0
if ! command -v apt-get >/dev/null 2>&1; then
	echo "There is no apt-get here, so tests that hear and speak are skipped. Install $packages by hand." >&2
	exit 0
fi
if [ "$(id -u)" = 0 ] && [ -z "${SPEECH_UNPACK:-}" ]; then
	echo "Installing Debian's programs that hear and speak." >&2
	export DEBIAN_FRONTEND=noninteractive
	# shellcheck disable=SC2086
	if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends $packages >/dev/null; }; then
		echo "The programs that hear and speak could not be installed, so their tests are skipped." >&2
	fi
	exit 0
fi
echo "Unpacking Debian's programs that hear and speak into $cache." >&2
mkdir -p "$cache/debs"
work=$(mktemp -d "$cache/unpack-XXXXXX")
trap 'rm -rf "$work"' EXIT
# What they need that the machine has not got: apt knows, and only says so.
# shellcheck disable=SC2086
if ! needed=$(apt-get install -s --no-install-recommends $packages 2>/dev/null | sed -n 's/^Inst \([^ ]*\).*/\1/p') ||
	[ -n "${SPEECH_UNPACK:-}" ] && ! needed=$(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances --no-pre-depends $packages | grep '^[a-z]' | grep -v -e '^libc6$' -e '^libc6:' -e '^gcc-' -e '^libgcc' -e '^libcrypt1' -e ':' | sort -u) ||
	# shellcheck disable=SC2086
	! (cd "$cache/debs" && apt-get download -qq $needed >/dev/null 2>&1); then
	echo "They could not be had, so tests that hear and speak are skipped. As root: apt-get install $packages" >&2
	exit 0
fi
for d in "$cache"/debs/*.deb; do
	dpkg -x "$d" "$work/root"
done
rm -rf "$cache/root" "$cache/debs"
mv "$work/root" "$cache/root"
