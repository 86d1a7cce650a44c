# SPDX-License-Identifier: MIT
# What app/run and tests/run share: installing what is missing and building. Sourced, not run.
# Every message goes to stderr. Sets nothing but functions, lists and `root`.

root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)

say() { printf 'limner: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# What the build and the program need on Debian 12.
build_packages=(
  gcc libc6-dev meson ninja-build pkg-config gettext
  libgtk-4-dev libadwaita-1-dev libpcre2-dev libjansson-dev liblcms2-dev libgdk-pixbuf-2.0-dev
  libglib2.0-dev libsqlite3-dev libwebp-dev libpango1.0-dev webp-pixbuf-loader libavif-gdk-pixbuf
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

# Where nvcc may be beside the PATH; kernels/cuda/meson.build looks there too.
cuda_places=(/usr/local/cuda/bin/nvcc /opt/cuda/bin/nvcc)

# "/usr/local/cuda/bin/nvcc 12.4"; nothing where there is none.
find_cuda_compiler() {
  local nvcc version
  for nvcc in "$(command -v nvcc || true)" "${cuda_places[@]}"; do
    [ -x "$nvcc" ] || continue
    version=$("$nvcc" --version 2>/dev/null | sed -n 's/.*release \([0-9.]*\).*/\1/p')
    printf '%s %s\n' "$nvcc" "$version"
    return
  done
}

# "driver" or, where that is missing, "card"; nothing without an NVIDIA card. SYSTEM is the root
# folder that /proc and /sys are in.
find_card() {
  local system=$1 device
  [ ! -e "$system/proc/driver/nvidia/version" ] || { echo driver; return; }
  for device in "$system"/sys/bus/pci/devices/*; do
    if grep -qsx 0x10de "$device/vendor" && grep -qs '^0x03' "$device/class"; then
      echo card
      return
    fi
  done
}

# say_about_card FOLDER [SYSTEM]: behind a build, what a person with an NVIDIA card has to know.
say_about_card() {
  local folder=$1 reason compiler
  compiler=$(find_cuda_compiler)
  case $(find_card "${2-}") in
  '') return ;;
  card)
    say "an NVIDIA card is here, but not NVIDIA's driver (Debian: nvidia-driver, in non-free):
  Limner goes on with the CPU"
    return
    ;;
  esac
  if [ -z "$compiler" ]; then
    say "an NVIDIA card is here, but not the CUDA toolkit that builds Limner's module for it:
  install version 12 or later, see https://developer.nvidia.com/cuda-downloads (Debian 12's own is
  11.8); Limner goes on with the CPU"
  elif [ -e "$folder/kernels/cuda/limner-cuda.so" ]; then
    say "an NVIDIA card is here, and so is Limner's module for it, which has been tried on an
  emulated card only: commands use it with --device cuda, all else paints on the CPU"
  else
    reason=$(sed -n 's/.*no CUDA module: //p' "$folder/meson-logs/meson-log.txt" 2>/dev/null |
      head -n 1)
    say "an NVIDIA card is here, but Limner's module for it, which takes CUDA 12 or later, cannot be
  built (${reason:-$compiler}); Limner goes on with the CPU"
  fi
}

# build FOLDER MESON_OPTIONS -- TARGETS: configures once, and again when a CUDA toolkit has come or
# gone, then builds; quiet unless it fails.
# One build at a time: a second caller waits for the first.
build() {
  local folder=$1 options=() compiler
  shift
  while [ "$1" != -- ]; do
    options+=("$1")
    shift
  done
  shift
  mkdir -p "$folder" || die "cannot write to $folder"
  (
    flock 9
    compiler=$(find_cuda_compiler)
    [ ! -f "$folder/build.ninja" ] || options+=(--reconfigure)
    if [ ! -f "$folder/build.ninja" ] ||
      [ "$compiler" != "$(cat "$folder/cuda-compiler" 2>/dev/null)" ]; then
      say "configuring in $folder"
      meson setup "$folder" "$root" "${options[@]}" >"$folder/setup.log" 2>&1 || {
        tail -n 20 "$folder/setup.log" >&2
        die "configuring failed (the whole log: $folder/setup.log)"
      }
      printf '%s\n' "$compiler" >"$folder/cuda-compiler"
    fi
    ninja -C "$folder" -n "$@" 2>/dev/null | grep -q 'no work to do' || say "building"
    ninja -C "$folder" "$@" >"$folder/build.log" 2>&1 || {
      grep -A8 -E 'error:|FAILED' "$folder/build.log" | head -n 40 >&2
      die "building failed (the whole log: $folder/build.log)"
    }
  ) 9>"$folder/lock" || exit 1
}
