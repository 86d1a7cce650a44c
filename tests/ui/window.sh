# SPDX-License-Identifier: MIT
# Driving the real window with keys and pointer, as a person does. Sourced by bash, inside
# with-display. Sets `window` (its X id) and `pid`; every wait is bounded.

number=0
failures=0
# check NAME COMMAND...: one point of TAP; with LIMNER_TEST_SHOTS a picture of the screen when it
# fails.
check() {
  local name=$1
  shift
  number=$((number + 1))
  if "$@"; then
    echo "ok $number - $name"
  else
    echo "not ok $number - $name"
    failures=$((failures + 1))
    if [ -n "${LIMNER_TEST_SHOTS:-}" ]; then
      import -window root "$LIMNER_TEST_SHOTS/failed-${0##*/}-$number.png" 2>/dev/null
    fi
  fi
}

now_ms() { date +%s%3N; }

# What the program has computed so far, all threads together; bounds on it hold on a busy machine.
cpu_ms() { awk '{print ($14 + $15) * 10}' "/proc/$pid/stat"; }

# wait_for SECONDS COMMAND...: polls every 20 ms; false after four times that, for busy machines.
wait_for() {
  local end=$(($(now_ms) + $1 * 4000))
  shift
  until "$@"; do
    [ "$(now_ms)" -lt $end ] || return 1
    sleep 0.02
  done
}

find_window() {
  window=$(xdotool search --onlyvisible --pid "$pid" --name Limner 2>/dev/null | head -n 1)
  [ -n "$window" ]
}

# start PROGRAM ARGUMENTS...: opens the window with the pointer inside; sets up_ms and up_cpu_ms.
start() {
  local began
  began=$(now_ms)
  "$@" &
  pid=$!
  wait_for 20 find_window || return 1
  up_ms=$(($(now_ms) - began))
  up_cpu_ms=$(cpu_ms)
  read -r x y width height < <(xdotool getwindowgeometry --shell "$window" |
    awk -F= '/^(X|Y|WIDTH|HEIGHT)=/ {printf "%s ", $2} END {print ""}')
  xdotool mousemove $((x + width - 100)) $((y + height / 2)) windowfocus "$window" 2>/dev/null
  sleep 0.3
}

title() { xdotool getwindowname "$window" 2>/dev/null; }
is_painting() { [[ $(title) == *%* ]]; }
is_idle() { ! is_painting; }
is_gone() { ! kill -0 "$pid" 2>/dev/null; }
keys() { xdotool key --delay 30 "$@"; }
write() { xdotool type --delay 15 "$1"; }
# click X Y: from the window's left top corner; negative values count from the right bottom one.
click() {
  local at_x=$1 at_y=$2
  [ "$at_x" -ge 0 ] || at_x=$((width + at_x))
  [ "$at_y" -ge 0 ] || at_y=$((height + at_y))
  xdotool mousemove $((x + at_x)) $((y + at_y)) sleep 0.3 click 1
}

# remember KEY VALUE...: what the program finds in its settings when it starts.
remember() {
  mkdir -p "$XDG_CONFIG_HOME/limner"
  {
    echo '[limner]'
    while [ $# -gt 0 ]; do
      echo "$1=$2"
      shift 2
    done
  } >"$XDG_CONFIG_HOME/limner/settings.ini"
}

# offer MODE FILE...: another program ($source) with a picture; its window lies over our right
# bottom corner.
offer() {
  local offered
  "$source" "$@" >"$HOME/offer" &
  offerer=$!
  wait_for 10 grep -q ready "$HOME/offer" || return 1
  [ "$1" != clipboard ] || return 0
  wait_for 10 find_offer || return 1
  xdotool windowmove --sync "$offered" $((x + width - 150)) $((y + height - 150))
}
find_offer() {
  offered=$(xdotool search --onlyvisible --pid "$offerer" --name source 2>/dev/null | head -n 1)
  [ -n "$offered" ]
}
withdraw() {
  kill "$offerer"
  wait "$offerer" 2>/dev/null
  xdotool windowfocus "$window" 2>/dev/null
}

leave() {
  keys ctrl+q
  wait_for 5 is_gone || { kill "$pid" 2>/dev/null; return 1; }
}
