#!/usr/bin/env bash
# Draws docs/run.svg, docs/conversation.svg and docs/trust.svg: what a terminal shows of the real program on docs/. Needs tmux.
set -euo pipefail
cd "$(dirname "$0")/.."
home=$(mktemp -d)
readonly home
ii=$PWD/target/debug/ii
question="Who may pause a run, and what does a guardian do?"

# With its own server and without settings of the person's.
terminal() { tmux -L "ii-picture-$$" -f /dev/null "$@"; }
trap 'terminal kill-server 2>/dev/null || true; rm -rf "$home"' EXIT
# Ids are shortened: they are others in each run.
shortened() { sed -E 's/[0-9a-f]{8}-[0-9a-f-]{27}/01a1fd4e-…/g'; }
drawn() { shortened | python3 scripts/picture.py "$@"; }

{
  echo "\$ ii run \"$question\" --docs ./docs"
  II_HOME=$home/run "$ii" run "$question" --docs ./docs 2>&1
} | shortened | fold -s -w 104 | drawn "a run of ii" --title >docs/run.svg

# sees TEXT: waits until the screen shows it.
sees() {
  for _ in $(seq 300); do
    if terminal capture-pane -p | grep -qF -- "$1"; then return; fi
    sleep 0.1
  done
  terminal capture-pane -p >&2
  echo "picture: no $1 on the screen" >&2
  exit 1
}

# The conversation as it is while the program runs: the shell's lines before it are not part of the picture.
II_HOME=$home/eyes II_DOCS=docs II_EYES_THEME=dark TERM=xterm-256color \
  terminal new-session -d -x 108 -y 30 -e COLORTERM=truecolor "env -u NO_COLOR $ii"
sees "f1 help"
terminal send-keys -l "$question"
terminal send-keys Enter
sees "completed in"
terminal capture-pane -e -p | drawn "a conversation in the terminal" >docs/conversation.svg
terminal send-keys F4
sees "receipts"
terminal capture-pane -e -p | drawn "what a run cost, what really ran, and its receipts" >docs/trust.svg
echo "docs/run.svg, docs/conversation.svg and docs/trust.svg drawn"
