#!/bin/bash
# The example on three ssh hosts: the same table as on this machine.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=../support/hosts.sh
. "$(dirname "$0")/../support/hosts.sh"
command -v svm-train >/dev/null || { echo 'SKIP: libsvm-tools are not installed'; exit 77; }
example=$(realpath "$(dirname "$0")/../../examples/svmguide")
at_end+=(hosts_down)
hosts_up 3

repo
cp -r "$example/." .
commit
began=$SECONDS
run run --foreground
has 'done: 109 ran, 0 cached, 0 failed'
here=$((SECONDS - began))
run results --format csv
cp "$room/out" "$room/here.csv"

# Nothing of that is known there: another state folder, and a store without results.
rm -rf .dkrun
mkdir -p "$XDG_CONFIG_HOME/dkrun"
echo "provider lab { kind = \"ssh\"  hosts = [\"h1\", \"h2\", \"h3\"]  config = \"$hosts/ssh_config\" }" >"$XDG_CONFIG_HOME/dkrun/providers.dk"
began=$SECONDS
run run --foreground
has 'done: 109 ran, 0 cached, 0 failed, on lab: h'
there=$((SECONDS - began))
run hosts
count 3 'up '
run results --format csv
diff "$room/here.csv" "$room/out" || fail "another table than here"
has 'published,96.875'
for i in 1 2 3; do
  [ -n "$(find "$hosts/h$i/home/.cache/dkrun" -path '*/objects/??/*' -type f)" ] || fail "h$i has nothing of it: it did not work"
done
run results
printf '%s\n' "$out"
echo "$here s here, $there s on 3 hosts"
