#!/usr/bin/env bash
# Files that no repository should hold: each must be refused at once, with a code, and without being read.
# usage: hostile.sh DKRUN
set -euo pipefail

dkrun=$(realpath "$1")
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
cd "$room"
bad=0

# gives WANT FILE [TEXT]: `check FILE` ends with 3 and prints the code and the text; a hang is a failure
gives() {
  local status=0
  timeout 60 "$dkrun" check "$2" > out 2>&1 < /dev/null || status=$?
  if [[ $status -ne 3 ]] || ! grep -q "^error\[$1\]" out || ! grep -qF -- "${3-}" out; then
    bad=$((bad + 1))
    echo "check $2: wanted $1 ${3-}, got exit $status:"
    head -c 2000 out
  fi
}

truncate -s $((16 * 1024 * 1024 + 1)) large.dk
gives E0702 large.dk "has 16777217 bytes"
truncate -s 1T sparse.dk
gives E0702 sparse.dk "has 1099511627776 bytes"
echo 'import "./large.dk" as large
task t { run = "t" }' > imports.dk
gives E0702 imports.dk "imports.dk:1:8"
truncate -s 300M data.json
echo 'let x = load("data.json")
task t { run = "t" }' > loads.dk
gives E0702 loads.dk "loads.dk:1:14"

mkfifo pipe.dk
gives E0701 pipe.dk "no regular file"
echo 'import "./pipe.dk" as p
task t { run = "t" }' > pipes.dk
gives E0701 pipes.dk "no regular file"
ln -s loop.dk loop.dk
gives E0701 loop.dk "Too many levels of symbolic links"
mkdir inside
ln -s /etc/hostname inside/out.txt
echo 'let x = load("out.txt")
task t { run = "t" }' > inside/escape.dk
gives E0704 inside/escape.dk "lies outside of the repository"
if [[ $(id -u) -ne 0 ]]; then
  echo 'task t { run = "t" }' > secret.dk
  chmod 000 secret.dk
  gives E0701 secret.dk "Permission denied"
fi

# A hundred thousand brackets, and a line with half a million mistakes: errors with places, soon, and not a crash.
{ printf 'let a = '; printf '[%.0s' {1..100000}; } > deep.dk
gives E0115 deep.dk
{ printf 'let a = '; printf '+%.0s' {1..1000000}; } > long.dk
gives E0105 long.dk

echo "hostile: $bad bad"
[[ $bad -eq 0 ]]
