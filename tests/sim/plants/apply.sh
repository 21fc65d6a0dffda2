#!/bin/sh
# apply.sh SOURCES COPIES PATCH FILE...: copies the files (relative to SOURCES) into COPIES and plants the patch's bug in the copies.
set -eu
sources=$1 copies=$2 patch=$3
shift 3
rm -rf "$copies"
for file; do
  mkdir -p "$copies/$(dirname "$file")"
  cp "$sources/$file" "$copies/$file"
done
if ! out=$(patch -d "$copies" -p1 --forward --no-backup-if-mismatch -F3 -i "$patch" 2>&1); then
  printf '%s\n' "$out" "$patch no longer applies to $*" \
    "help: the bug that its first line names must still be planted: change the patch along with the code" >&2
  rm -rf "$copies"
  exit 1
fi
