#!/bin/bash
# Checks packages.txt against the sources: every third-party header and pkg-config module that is used comes from a listed
# package, every -dev package that is listed is used, and no package is listed twice. Asks dpkg, so it is skipped elsewhere.
#   tests/packages.sh [ROOT] | --self-test
set -euo pipefail

listed() { sed -n 's/^\([a-z0-9][a-z0-9.+-]*\)[ \t]*#..*/\1/p' packages.txt; }

# What libc6-dev and gcc bring along themselves.
is_implied() { case $1 in libc6-dev | linux-libc-dev | libgcc-*-dev | libcrypt-dev) return 0 ;; *) return 1 ;; esac; }

owner() { dpkg -S "$1" 2>/dev/null | sed 's/[:,].*//;q'; }

header_path() {
  local dir
  for dir in /usr/include "/usr/include/$(gcc -print-multiarch)" "$(gcc -print-file-name=include)"; do
    [ -e "$dir/$1" ] && { echo "$dir/$1"; return; }
  done
}

check() {
  cd "$1"
  local bad=0 headers=0 modules=0 name path package used=" "
  local -a folders=()
  for name in lang engine providers stdlib tests; do [ -d "$name" ] && folders+=("$name"); done
  complain() { echo "packages: $*"; bad=$((bad + 1)); }

  while read -r name; do
    complain "packages.txt: cannot read the line: $name"
  done < <(grep -vE '^(#.*|\[(build|run|test|arm64|openstack|bench)\]( +# .+)?|[a-z0-9][a-z0-9.+-]* +# .+|)$' packages.txt)
  while read -r name; do complain "$name is listed twice"; done < <(listed | sort | uniq -d)

  while read -r name; do
    headers=$((headers + 1))
    path=$(header_path "$name")
    package=$(owner "${path:-/nonexistent}") || true
    if [ -z "$package" ]; then
      # One machine does not have every library: only a header that is there can be asked for.
      [ -n "$path" ] && complain "<$name> belongs to no package"
    elif ! is_implied "$package"; then
      used+="$package "
      listed | grep -qx "$package" || complain "<$name> comes from $package, which packages.txt does not list"
    fi
  done < <(grep -rhoE --include='*.[chly]' '^[ \t]*#[ \t]*include[ \t]*<[^>]+>' "${folders[@]}" |
    sed 's/.*<//;s/>.*//' | sort -u)

  while read -r name; do
    modules=$((modules + 1))
    path=$(pkg-config --variable=pcfiledir "$name" 2>/dev/null)/$name.pc || true
    package=$(owner "$path") || true
    if [ -z "$package" ]; then
      complain "pkg-config does not know $name, which CMake asks for"
    else
      used+="$package "
      listed | grep -qx "$package" || complain "module $name comes from $package, which packages.txt does not list"
    fi
  done < <(grep -rhE --include=CMakeLists.txt '^[ \t]*pkg_check_modules\(' CMakeLists.txt "${folders[@]}" |
    sed 's/.*pkg_check_modules(//;s/).*//' | tr ' ' '\n' | grep -vE '^([A-Z0-9_]+|)$' | sed 's/[<>=].*//' | sort -u)

  while read -r name; do
    case $used in *" $name "*) ;; *) complain "$name is listed, and nothing includes it" ;; esac
  done < <(listed | grep -E '^lib.*-dev$|-dev$' | grep -vx libc6-dev)

  echo "packages: $(listed | wc -l) listed, $headers headers, $modules modules, $bad complaints"
  [ "$bad" -eq 0 ]
}

self_test() {
  local tree out
  tree=$(mktemp -d)
  # shellcheck disable=SC2064 # the folder of now
  trap "rm -rf '$tree'" EXIT
  mkdir "$tree/lang"
  touch "$tree/CMakeLists.txt"
  echo '#include <stdio.h>' >"$tree/lang/a.c"
  printf '[build]\ngcc   # the compiler\n' >"$tree/packages.txt"
  out=$(check "$tree") || { echo "$out"; echo "packages: self-test: a good list was refused" >&2; return 1; }
  expect() { # what is found, after the change that was just made
    if out=$(check "$tree") || ! grep -q "$1" <<<"$out"; then
      echo "$out"
      echo "packages: self-test: not found: $1" >&2
      return 1
    fi
  }
  echo '#include <cmocka.h>' >"$tree/lang/b.c"
  expect 'comes from libcmocka-dev, which packages.txt does not list'
  rm "$tree/lang/b.c"
  echo 'pkg_check_modules(X REQUIRED cmocka)' >"$tree/CMakeLists.txt"
  expect 'module cmocka comes from libcmocka-dev'
  : >"$tree/CMakeLists.txt"
  echo 'libcmocka-dev  # tests' >>"$tree/packages.txt"
  expect 'libcmocka-dev is listed, and nothing includes it'
  echo 'gcc  # again' >>"$tree/packages.txt"
  expect 'gcc is listed twice'
  echo 'no reason' >>"$tree/packages.txt"
  expect 'cannot read the line'
  echo "packages: self-test: 5 planted mistakes found"
}

if ! command -v dpkg >/dev/null || ! command -v pkg-config >/dev/null; then
  echo "packages: no dpkg or pkg-config here, skipped"
  exit 77
fi
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
case ${1-} in
--self-test) self_test ;;
-*) echo "usage: tests/packages.sh [ROOT | --self-test]" >&2; exit 2 ;;
*) check "${1:-$root}" ;;
esac
