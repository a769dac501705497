#!/usr/bin/env bash
# cargo, also when a fresh rustup has not been put on the PATH yet.
set -euo pipefail
command -v cargo >/dev/null || PATH="$HOME/.cargo/bin:$PATH"
exec cargo "$@"
