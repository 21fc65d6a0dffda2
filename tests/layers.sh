#!/bin/bash
# Checks who includes whom (the arrows of docs/architecture.md), that a third-party header stays in its one room, and that
# memory and processes are asked for in their one file.
#   tests/layers.sh [ROOT]        checks the sources below ROOT (default: this repository)
#   tests/layers.sh --self-test   plants mistakes in a tree of its own, and wants each of them found
set -euo pipefail

# room: what it may include besides itself. A room is the longest listed folder a file lies in; an entry is a folder or
# one header. `lang` alone is lang/lang.h and the files beside it.
arrows='
lang/base:
lang/diag:      lang/base
lang/syntax:    lang/base lang/diag
lang/check:     lang/base lang/diag lang/syntax lang/eval/value.h
lang/eval:      lang/base lang/diag lang/syntax lang/check
lang/plan:      lang/base lang/diag lang/syntax lang/check lang/eval
lang:           lang/base lang/diag lang/syntax lang/check lang/eval lang/plan stdlib
engine/sys:     lang/base
engine/wire:    lang/base engine/sys
engine/agent:   lang/base engine/sys engine/wire engine/objects
engine/net:     lang/base engine/sys
engine/objects: lang/base engine/sys
engine/source:  lang/base engine/sys
engine/core:    lang/base lang/plan engine/wire/id.h engine/wire/message.h
engine/rent:    lang/base
engine/store:   lang/base engine/sys engine/core/event.h engine/rent/event.h engine/rent/money.h engine/wire/id.h engine/wire/message.h
engine/drive:   lang engine/core engine/rent engine/store engine/objects engine/source engine/net engine/wire engine/sys
engine/report:  lang engine/store engine/objects engine/sys engine/core/event.h engine/wire/id.h engine/wire/message.h
engine/cli:     lang engine stdlib
providers:      lang/base lang/check/schema.h engine/drive/cloud.h engine/drive/provider.h engine/net engine/sys
stdlib:         lang/base
'

# extended regular expression of a header in <>: the folders that may include it.
third_party='
^lmdb\.h$:         engine/store
^git2(/|\.h$):     engine/source
^curl/:            engine/net
^dlfcn\.h$:        engine/net/curl_load.c
^nettle/:          lang/base
^(mpfr|gmp)\.h$:   lang/eval
^pcre2\.h$:        engine/drive
^jansson\.h$:      lang/diag engine/net engine/drive engine/report engine/cli providers
^expat\.h$:        providers
^yaml\.h$:         providers
^cmocka\.h$:       tests
'

# extended regular expression of a function name: the files or folders that may call it.
calls='
(m|c|re)alloc|reallocarray|strn?dup|v?asprintf|getline|getdelim:   lang/base/alloc.c
v?fork|posix_spawnp?|system|popen:                                 engine/sys/spawn.c engine/store/child.c engine/agent
'

check() {
  cd "$1"
  local folders=()
  for folder in lang engine providers stdlib; do
    [ -d "$folder" ] && folders+=("$folder")
  done
  [ ${#folders[@]} -gt 0 ] || { echo "layers: no sources below $1" >&2; return 2; }
  # shellcheck disable=SC2016 # awk's own $0
  find "${folders[@]}" -type f \( -name '*.[chly]' -o -name '*.def' \) -print0 | sort -z |
    ARROWS=$arrows THIRD=$third_party CALLS=$calls xargs -0 awk '
    function below(path, entry) { return path == entry || index(path, entry "/") == 1 }
    function room_of(path,   dir) {
      for (dir = path; sub(/\/[^\/]*$/, "", dir); ) if (dir in allowed) return dir
      return ""
    }
    function forbid(what) { bad++; printf "%s:%d: %s\n", FILENAME, FNR, what }
    BEGIN {
      n = split(ENVIRON["ARROWS"], lines, "\n")
      for (i = 1; i <= n; i++) if (split(lines[i], part, ":") == 2) allowed[part[1]] = part[2]
      n_third = 0
      n = split(ENVIRON["THIRD"], lines, "\n")
      for (i = 1; i <= n; i++) if (match(lines[i], /: +/)) {
        pattern[++n_third] = substr(lines[i], 1, RSTART - 1)
        homes[n_third] = substr(lines[i], RSTART + RLENGTH)
      }
    }
    BEGIN {
      n = split(ENVIRON["CALLS"], lines, "\n")
      for (i = 1; i <= n; i++) if (match(lines[i], /: +/)) {
        name[++n_calls] = "(^|[^A-Za-z0-9_.>])(" substr(lines[i], 1, RSTART - 1) ")\\("
        callers[n_calls] = substr(lines[i], RSTART + RLENGTH)
      }
    }
    FNR == 1 {
      files++
      room = room_of(FILENAME)
      if (room == "") forbid("this folder is no room: add it to the table in tests/layers.sh")
    }
    match($0, /^[ \t]*#[ \t]*include[ \t]*"[^"]+"/) {
      includes++
      target = $0; sub(/^[^"]*"/, "", target); sub(/".*/, "", target)
      if (target !~ /^(lang|engine|providers|stdlib)\//) { forbid("\"" target "\" is not a path from the root"); next }
      if (room_of(target) == room) next
      n = split(allowed[room], list, " "); fine = 0
      for (i = 1; i <= n; i++) if (below(target, list[i])) fine = 1
      if (!fine) forbid(room " must not include " target)
    }
    match($0, /^[ \t]*#[ \t]*include[ \t]*<[^>]+>/) {
      target = $0; sub(/^[^<]*</, "", target); sub(/>.*/, "", target)
      for (t = 1; t <= n_third; t++) if (target ~ pattern[t]) {
        includes++
        n = split(homes[t], list, " "); fine = 0
        for (i = 1; i <= n; i++) if (below(FILENAME, list[i])) fine = 1
        if (!fine) forbid("<" target "> belongs to " homes[t] " alone")
      }
    }
    !/^[ \t]*(\/?\*|\/\/)/ {
      for (c = 1; c <= n_calls; c++) if ($0 ~ name[c]) {
        n = split(callers[c], list, " "); fine = 0
        for (i = 1; i <= n; i++) if (below(FILENAME, list[i])) fine = 1
        if (!fine) forbid("only " callers[c] " may call this (memory: lang/base/alloc.h; processes: engine/sys/spawn.h)")
      }
    }
    END {
      printf "layers: %d files, %d includes, %d forbidden arrows\n", files, includes, bad
      exit bad > 0
    }'
}

self_test() {
  local tree planted=0 file include out
  tree=$(mktemp -d)
  # shellcheck disable=SC2064 # the folder of now
  trap "rm -rf '$tree'" EXIT
  # What is fine, and must stay so:
  mkdir -p "$tree/lang/plan" "$tree/engine/drive" "$tree/engine/store" "$tree/providers/ssh"
  printf '#include "lang/plan/own.h"\n#include "lang/base/buf.h"\n#include <stdio.h>\n' >"$tree/lang/plan/fine.c"
  printf '#include "engine/core/core.h"\n  #  include "lang/lang.h"\n#include <pcre2.h>\n' >"$tree/engine/drive/fine.c"
  printf '#include "engine/core/event.h"\n#include <lmdb.h>\n' >"$tree/engine/store/fine.c"
  printf '#include "engine/drive/provider.h"\n#include "engine/net/http.h"\n#include "lang/check/schema.h"\n' >"$tree/providers/ssh/fine.c"
  out=$(check "$tree") || { echo "$out"; echo "layers: self-test: a clean tree was refused" >&2; return 1; }
  while read -r file include; do
    mkdir -p "$tree/$(dirname "$file")"
    printf '/* planted */\n#include %s\n' "$include" >"$tree/$file"
    if out=$(check "$tree") || ! grep -qF "$file:2: " <<<"$out" || ! grep -q ', 1 forbidden arrows$' <<<"$out"; then
      echo "$out"
      echo "layers: self-test: $file including $include was not found" >&2
      return 1
    fi
    rm "$tree/$file"
    planted=$((planted + 1))
  done <<'PLANTED'
lang/base/bad.c "lang/diag/diag.h"
lang/syntax/bad.y "engine/core/core.h"
lang/syntax/bad.l "lang/check/check.h"
lang/plan/bad.h "lang/lang.h"
lang/eval/bad.c "lang/plan/plan.h"
lang/plan/bad.c "plan.h"
engine/core/bad.c "engine/store/store.h"
engine/core/bad.c "engine/sys/loop.h"
engine/core/bad.c "engine/rent/event.h"
engine/rent/bad.c "engine/core/event.h"
engine/store/bad.c "engine/rent/rent.h"
engine/store/bad.c "engine/core/core.h"
engine/wire/bad.c "engine/agent/state.h"
engine/drive/bad.c "providers/ssh/api.h"
engine/report/bad.c "engine/core/core.h"
engine/agent/bad.c "lang/plan/plan.h"
providers/ssh/bad.c "engine/drive/world.h"
providers/ssh/bad.c "lang/check/check.h"
engine/drive/bad.c <lmdb.h>
engine/cli/bad.c <git2.h>
engine/source/bad.c <curl/curl.h>
engine/net/bad.c <dlfcn.h>
engine/net/bad.c <nettle/hmac.h>
lang/plan/bad.c <mpfr.h>
lang/check/bad.c <pcre2.h>
engine/core/bad.c <jansson.h>
engine/net/bad.c "engine/drive/link.h"
engine/sys/bad.c "engine/net/http.h"
providers/lxd/bad.c <curl/curl.h>
PLANTED
  # The same for calls; what only looks like one is fine.
  printf '/* malloc( */\n * fork(\nint a = dk_strdup(x) + p->fork(1) + my_malloc(2);\n' >"$tree/lang/plan/fine.h"
  out=$(check "$tree") || { echo "$out"; echo "layers: self-test: a clean tree was refused" >&2; return 1; }
  for include in 'x = malloc(3);' '  return strndup(x, 3);' 'pid = vfork();' 'if (system("x")) {'; do
    printf '/* planted */\n%s\n' "$include" >"$tree/lang/plan/bad.c"
    if out=$(check "$tree") || ! grep -qF 'lang/plan/bad.c:2: only ' <<<"$out"; then
      echo "layers: self-test: $include was not found" >&2
      return 1
    fi
    planted=$((planted + 1))
  done
  echo "layers: self-test: $planted planted mistakes found"
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
case ${1-} in
--self-test) self_test ;;
-*) echo "usage: tests/layers.sh [ROOT | --self-test]" >&2; exit 2 ;;
*) check "${1:-$root}" ;;
esac
