# SPDX-License-Identifier: MIT
# What app/run and tests/run share: installing what is missing and building. Sourced, not run.
# Every message goes to stderr. Sets nothing but functions and `root`.

root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)

say() { printf 'limner: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# What the build and the program need on Debian 12.
build_packages=(
  gcc libc6-dev meson ninja-build pkg-config gettext
  libgtk-4-dev libadwaita-1-dev libpcre2-dev libjansson-dev liblcms2-dev libgdk-pixbuf-2.0-dev
  libglib2.0-dev libsqlite3-dev webp-pixbuf-loader libavif-gdk-pixbuf
  adwaita-icon-theme librsvg2-common fonts-cantarell gsettings-desktop-schemas desktop-file-utils
  util-linux
)

# Prints those of its arguments that are not installed.
missing_packages() {
  local installed package
  installed=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' 2>/dev/null |
    sed -n 's/^ii  *//p')
  for package; do
    grep -qxF -- "$package" <<<"$installed" || printf '%s\n' "$package"
  done
}

# install_packages PACKAGE...: installs what is missing, after asking when a person is there.
install_packages() {
  local missing as_root=() reply log
  mapfile -t missing < <(missing_packages "$@")
  [ "${#missing[@]}" -eq 0 ] && return
  command -v apt-get >/dev/null || die "these packages are needed: ${missing[*]}
  (they are named as on Debian 12; install your system's own and run this again)"
  say "these Debian packages are missing and will be installed: ${missing[*]}"
  if [ -t 0 ] && [ -t 2 ]; then
    read -r -p 'limner: install them now? [Y/n] ' reply >&2
    case "$reply" in '' | [Yy]*) ;; *) die 'nothing was installed' ;; esac
  fi
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || die "run as root, or install sudo: apt-get install ${missing[*]}"
    as_root=(sudo)
  fi
  log=$(mktemp)
  {
    "${as_root[@]}" apt-get update -q &&
      "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends "${missing[@]}"
  } </dev/null >"$log" 2>&1 || {
    tail -n 20 "$log" >&2
    die "installing failed (the whole log: $log)"
  }
  rm -f "$log"
}

# build FOLDER MESON_OPTIONS -- TARGETS: configures once, then builds; quiet unless it fails.
# One build at a time: a second caller waits for the first.
build() {
  local folder=$1 options=()
  shift
  while [ "$1" != -- ]; do
    options+=("$1")
    shift
  done
  shift
  mkdir -p "$folder" || die "cannot write to $folder"
  (
    flock 9
    if [ ! -f "$folder/build.ninja" ]; then
      say "configuring in $folder"
      meson setup "$folder" "$root" "${options[@]}" >"$folder/setup.log" 2>&1 || {
        tail -n 20 "$folder/setup.log" >&2
        die "configuring failed (the whole log: $folder/setup.log)"
      }
    fi
    ninja -C "$folder" -n "$@" 2>/dev/null | grep -q 'no work to do' || say "building"
    ninja -C "$folder" "$@" >"$folder/build.log" 2>&1 || {
      grep -A8 -E 'error:|FAILED' "$folder/build.log" | head -n 40 >&2
      die "building failed (the whole log: $folder/build.log)"
    }
  ) 9>"$folder/lock" || exit 1
}
