#!/bin/sh
# Fills a folder (./fonts, or the first argument) with the fonts that licences
# are drawn in. Run it again at any time: files that are there and right stay.
#
#   NotoSerifSC, NotoSansSC   SIL OFL 1.1, npm packages; all of 通用规范汉字表
#   BabelStoneHan             Arphic PL, Debian fonts-babelstone-han; rare characters
#   HanaMinA, HanaMinB        own free licence, Debian fonts-hanazono; Extensions to F
#
# Every file is pinned by its SHA-256: another version could draw other glyphs.
set -eu

cd "$(dirname "$0")/.."
dir=${1:-fonts}
mkdir -p "$dir"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# source, path within it, SHA-256; the file's name is the last part of the path
list() {
	cat <<'LIST'
@expo-google-fonts/noto-serif-sc@0.4.3 400Regular/NotoSerifSC_400Regular.ttf c358a69de3df5f423a8946a7b03e3126fb6ba116f1130a463455b4e39e1f0742
@expo-google-fonts/noto-serif-sc@0.4.3 700Bold/NotoSerifSC_700Bold.ttf 9c6a2ba736e4b499c84f65ce366bd3625c0401885fd3e585ace50fb738b96ff6
@expo-google-fonts/noto-sans-sc@0.4.3 400Regular/NotoSansSC_400Regular.ttf d45f67f0a7c0ca3f256950777ce6a61cc7ce5f9696d02900cbbaac25f8aa7d16
@expo-google-fonts/noto-sans-sc@0.4.3 700Bold/NotoSansSC_700Bold.ttf 9a38ae0ab28cd5a256f9ea8e00dedc688aac17f7915fcb000572990afa956b96
fonts-babelstone-han usr/share/fonts/truetype/babelstone/BabelStoneHan.ttf a2027ca3606907f6a628e9cd869605e3879beaaa38b37c7fec95b372130628c8
fonts-hanazono usr/share/fonts/truetype/hanazono/HanaMinA.ttf 7ca87559414474848fc513a8d8eb42d5b0f8194c30c2abdfbfedff5398ec88d7
fonts-hanazono usr/share/fonts/truetype/hanazono/HanaMinB.ttf 829543436cdf7b4c6730e2af5806fa406f8ddf0d4b656e0cd49c58d4db1c8d3c
LIST
}

right() { # file sha256
	[ -f "$1" ] && [ "$(sha256sum "$1" | cut -d' ' -f1)" = "$2" ]
}

# unpacked prints the folder a source was unpacked to, fetching it the first time.
unpacked() {
	to=$work/$(printf %s "$1" | tr '/@' '__')
	if [ ! -d "$to" ]; then
		mkdir "$to"
		case $1 in
		@*) npm_package "$1" "$to" ;;
		*) debian_package "$1" "$to" ;;
		esac || return 1
	fi
	case $1 in
	@*) echo "$to/package" ;;
	*) echo "$to" ;;
	esac
}

npm_package() { # name folder
	command -v npm >/dev/null || { echo "fonts: npm is not installed; it fetches $1" >&2; return 1; }
	echo "fonts: fetching $1" >&2
	(cd "$2" && npm pack --silent "$1" >/dev/null && tar xzf ./*.tgz && rm ./*.tgz) ||
		{ echo "fonts: npm could not fetch $1" >&2; return 1; }
}

debian_package() { # name folder
	if dpkg -s "$1" >/dev/null 2>&1; then # installed already: its files are there
		mkdir -p "$2/usr/share" && ln -s /usr/share/fonts "$2/usr/share/fonts"
		return
	fi
	command -v apt-get >/dev/null || { echo "fonts: apt-get is missing; install the font package $1 by hand" >&2; return 1; }
	echo "fonts: fetching $1" >&2
	(
		cd "$2" || exit
		# A machine that never ran apt-get update knows of no packages.
		apt-get download -q "$1" >/dev/null 2>&1 ||
			{ [ "$(id -u)" = 0 ] && apt-get update -qq && apt-get download -q "$1" >/dev/null 2>&1; } || exit
		dpkg-deb -x ./*.deb . && rm ./*.deb
	) || { echo "fonts: apt-get could not fetch $1; run apt-get update and try again" >&2; return 1; }
}

list | {
	missing=
	while read -r source path sum; do
		file=$dir/${path##*/}
		right "$file" "$sum" && continue
		if from=$(unpacked "$source") && right "$from/$path" "$sum"; then
			cp "$from/$path" "$file.new"
			mv "$file.new" "$file" # never half a font, even for a server that has it mapped
		else
			missing="$missing
  ${path##*/} ($source, SHA-256 $sum)"
		fi
	done
	if [ -n "$missing" ]; then
		echo "fonts: missing or of another version in $dir:$missing" >&2
		exit 1
	fi
}
echo "fonts: complete in $dir"
