#!/usr/bin/env bash
# A Docker engine for the tests where none runs and we are root: its own data under target/tmp, its own socket, no bridge and
# no firewall rules. Prints the DOCKER_HOST to use.
#
# usage: dockerd.sh start|stop
set -euo pipefail
cd "$(dirname "$0")/.."

readonly place=$PWD/target/tmp/dockerd
# A socket's path has at most 107 bytes, which a deep checkout exceeds.
socket=/tmp/ii-dockerd-$(printf '%s' "$place" | cksum | cut -d' ' -f1).sock
readonly socket

say() { printf 'dockerd: %s\n' "$*" >&2; }
answers() { DOCKER_HOST=$1 timeout 10 docker version >/dev/null 2>&1; }
is_ours() { [ -s "$place/pid" ] && [ "$(cat "/proc/$(cat "$place/pid")/comm" 2>/dev/null)" = dockerd ]; }

start() {
  if answers "${DOCKER_HOST:-unix:///var/run/docker.sock}"; then
    echo "${DOCKER_HOST:-unix:///var/run/docker.sock}"
    return
  fi
  mkdir -p "$place"
  # Two tests that ask at once get one engine.
  exec 9>"$place/lock"
  flock 9
  if ! { is_ours && answers "unix://$socket"; }; then
    if [ "$(id -u)" != 0 ] || ! command -v dockerd >/dev/null; then
      say "none runs, and to start one takes root and the package docker.io"
      return 1
    fi
    setsid dockerd --host "unix://$socket" --data-root "$place/data" --exec-root "$place/exec" --pidfile "$place/pid" \
      --iptables=false --ip6tables=false --bridge=none >"$place/log" 2>&1 </dev/null 9>&- &
    local pid=$!
    for _ in $(seq 600); do
      if answers "unix://$socket"; then break; fi
      sleep 0.2
    done
    answers "unix://$socket" || {
      tail -n 20 "$place/log" >&2
      say "it does not answer on $socket"
      kill "$pid" 2>/dev/null || true
      return 1
    }
  fi
  echo "unix://$socket"
}

stop() {
  if is_ours; then
    local pid
    pid=$(cat "$place/pid")
    kill "$pid"
    for _ in $(seq 600); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.2
    done
    if kill -0 "$pid" 2>/dev/null; then
      say "$pid does not end"
      return 1
    fi
  fi
  # An engine that was killed leaves its folder mounted on itself.
  local mounted
  for mounted in $(awk -v place="$place/" 'index($5, place) == 1 { print $5 }' /proc/self/mountinfo | sort -r); do
    umount -l "$mounted" 2>/dev/null || say "$mounted stays mounted"
  done
  rm -rf "$place" "$socket" || say "something of it is left in $place"
}

case ${1:-} in
  start) start ;;
  stop) stop ;;
  *)
    say "usage: dockerd.sh start|stop"
    exit 2
    ;;
esac
