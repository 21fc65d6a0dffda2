#!/bin/bash
# Runs the code blocks of the documentation: a block marked `dk` must pass `dkrun check`, a block marked `dk-error E0123` must give that
# error, a block marked `dk-providers` is the user's file of providers and must pass `dkrun providers check --files`. Usage: docs.sh DKRUN FILE.md...
set -euo pipefail

dkrun=$(realpath "$1")
shift
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
git -c init.defaultBranch=main init -q "$room"
blocks=0 bad=0

check() { # file, line, kind, code
  local file=$1 line=$2 kind=$3 code=$4 status=0
  blocks=$((blocks + 1))
  if [ "$kind" = dk-providers ]; then
    mkdir -p "$room/config/dkrun"
    install -m 644 "$room/block.dk" "$room/config/dkrun/providers.dk"
    XDG_CONFIG_HOME=$room/config "$dkrun" providers check --files >"$room/out" 2>&1 || status=$?
  else
    "$dkrun" check "$room/block.dk" >"$room/out" 2>&1 || status=$?
  fi
  case $kind in
  dk | dk-providers) [ "$status" -eq 0 ] && return ;;
  dk-error) [ "$status" -eq 3 ] && [ "$(grep -c '^error' "$room/out")" -eq 1 ] && grep -q "^error\[$code\]" "$room/out" && return ;;
  esac
  bad=$((bad + 1))
  echo "$file:$line: the block marked \`$kind $code\` gives (exit $status):"
  sed 's/^/    /' "$room/out"
}

for file in "$@"; do
  number=0 start=0 kind='' code=''
  # shellcheck disable=SC2094 # check gets the name only
  while IFS= read -r line || [ -n "$line" ]; do
    number=$((number + 1))
    if [ -z "$kind" ] && [[ $line =~ ^\`\`\`(dk|dk-error|dk-providers)(\ ([A-Z][0-9]+))?$ ]]; then
      kind=${BASH_REMATCH[1]} code=${BASH_REMATCH[3]} start=$number
      : >"$room/block.dk"
    elif [ -n "$kind" ] && [ "$line" = '```' ]; then
      check "$file" "$start" "$kind" "$code"
      kind=''
    elif [ -n "$kind" ]; then
      printf '%s\n' "$line" >>"$room/block.dk"
    fi
  done <"$file"
done
echo "$blocks blocks, $bad bad"
[ "$bad" -eq 0 ] && [ "$blocks" -gt 0 ]
