#!/usr/bin/env bash
# Every built-in function is in the reference, the pure ones with what the program says of them.
# usage: functions.sh lang/check/builtins.def docs/language.md
set -euo pipefail

bad=0 n=0
while IFS= read -r line; do
  [[ $line =~ ^DK_BUILTIN\(([a-z0-9]+),\ \"([^\"]*)\",\ ([A-Z]+),\ \"(.*)\"\)$ ]] || { echo "not understood: $line"; exit 1; }
  n=$((n + 1))
  want="${BASH_REMATCH[1]}"
  if [[ ${BASH_REMATCH[3]} == PURE ]]; then
    want="| \`${BASH_REMATCH[2]}\` | ${BASH_REMATCH[4]//\\\"/\"} |"
  fi
  grep -qF -- "$want" "$2" && continue
  bad=$((bad + 1))
  echo "$2 lacks: $want"
done < <(grep '^DK_BUILTIN(' "$1")
echo "functions: $n, $bad missing"
((n > 0 && bad == 0))
