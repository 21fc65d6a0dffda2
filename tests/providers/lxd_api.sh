#!/bin/bash
# What providers/lxd sends is what LXD takes, and what LXD answers is what it reads: the life of a machine and of an image, and
# what is refused. With a directory as its argument it keeps the answers there: NAME.STATUS.json (tests/data/lxd).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
lxd_ask=$(realpath "${LXD_ASK:?the program that asks}")
record=${1-}
# shellcheck source=../support/lxd.sh
. "$here/../support/lxd.sh"
out=''
fail() {
  printf 'FAILED at line %s: %s\n--- out\n%s\n' "${BASH_LINENO[${#BASH_LINENO[@]} - 2]}" "$*" "$out" >&2
  exit 1
}
has() { [[ $out == *"$1"* ]] || fail "this is missing: $1"; }
lacks() { [[ $out != *"$1"* ]] || fail "this should not be there: $1"; }

# Nothing of this machine, and no key.
scrub() {
  sed -e "s|$lxd|/var/lib/lxd|g" -e 's/"kernel_version":"[^"]*"/"kernel_version":"6.1.0"/' \
    -e 's/-----BEGIN CERTIFICATE-----[^"]*-----END CERTIFICATE-----/CERTIFICATE/' -e "s/10\.214\.$lxd_network\./10.214.100./g"
}
# One request, by NAME in the recording ('': it is not kept); $out has what was read of the answer.
ask() { # NAME CALL [FIELD=VALUE]...
  local name=$1 call=$2 lines status
  shift 2
  mapfile -t lines < <("$lxd_ask" request "$call" "$@")
  status=$(curl -sS --max-time 100 --unix-socket "$lxd/lxd/unix.socket" -X "${lines[0]}" -o "$lxd/body" -w '%{http_code}' \
    ${lines[2]:+-H 'Content-Type: application/json' --data-binary "${lines[2]}"} "http://lxd${lines[1]}")
  [ -z "$record" ] || [ -z "$name" ] || scrub <"$lxd/body" >"$record/$name.$status.json"
  out=$("$lxd_ask" read "$call" "$status" <"$lxd/body")
}
# The same of a call that becomes an operation, until that has ended: NAME_wait. It may have failed already in the first answer.
run() {
  local id
  ask "$@"
  id=$(sed -n 's/.*"type":"async".*"metadata":{"id":"\([0-9a-f-]*\)".*/\1/p' "$lxd/body")
  [ -z "$id" ] || ask "${1:+${1}_wait}" wait name="$id" wait=60
}
fine() { [[ $out == FINE* ]] || fail 'refused'; }
refused() { [[ $out == "$1"$'\n'* ]] || fail "this is no $1"; }
# Its lines, with `|` between them, are just that.
matches() {
  local line=${out//$'\n'/|}
  [[ $line =~ ^$1$ ]] || fail "this is no $1"
}
store=0123456789abcdef0123456789abcdef
tags=("store=$store" run=r1 owner=anna@desk)

lxd_up
lxd_image
ask server server
fine
has $'\nlxd 5.'
has ' containers'
lxd_tls
anybody() { curl -sS -k --max-time 20 -o "$lxd/body" -w '%{http_code}' "${@:2}" "$lxd_url$1"; }
status=$(anybody /1.0 --cert "$lxd/client.crt" --key "$lxd/client.key")
out=$("$lxd_ask" read server "$status" <"$lxd/body")
fine
status=$(anybody /1.0)
[ -z "$record" ] || scrub <"$lxd/body" >"$record/server_untrusted.$status.json"
out=$("$lxd_ask" read server "$status" <"$lxd/body")
refused DENIED
status=$(anybody '/1.0/instances?recursion=1')
[ -z "$record" ] || scrub <"$lxd/body" >"$record/instances_untrusted.$status.json"
out=$("$lxd_ask" read instances "$status" <"$lxd/body")
refused DENIED

ask instances_none instances
[ "$out" = $'FINE\n0 others' ] || fail 'there are none'
run create create name=m1 image=dkrun cpus=1 memory=300000000 disk=2000000000 pool=pool "${tags[@]}" \
  user_data=$'#!/bin/sh\nmkdir -p /root/.ssh\necho "ssh-ed25519 \\"key\\"" >/root/.ssh/authorized_keys\n'
fine
has ' ended'
ask addresses_stopped addresses name=m1
[ "$out" = $'FINE\nSTOPPED' ] || fail 'it has no address yet'
run create_twice create name=m1 image=dkrun "${tags[@]}"
refused EXISTS
run start start name=m1
fine
run start_twice start name=m1
refused EXISTS
for _ in {1..200}; do
  ask addresses addresses name=m1
  [[ $out != *eth0* ]] || break
  sleep 0.05
done
matches "FINE\|RUNNING\|eth0 10\.214\.[0-9.]+"
ask instance instance name=m1
matches "FINE\|0 others\|m1 [0-9a-f-]{36} RUNNING [0-9]+ store=$store run=r1 owner=anna@desk"
[ "$(($(date +%s) - $(cut -d' ' -f4 <<<"${out##*$'\n'}")))" -lt 60 ] || fail 'when it was made'
run exec exec name=m1 script='[ "$(cat /root/.ssh/authorized_keys)" = "ssh-ed25519 \"key\"" ] && exit 7'
has ' ended 7 '
ask exec_long exec name=m1 script='sleep 4'
id=$(sed -n '2s/ .*//p' <<<"$out")
ask wait_short wait name="$id" wait=1
has ' goes on'
run delete_running delete name=m1
refused BAD_REQUEST

# The server's refusals.
ask create_no_image create name=m2 image=nothing "${tags[@]}"
refused NOT_FOUND
run create_no_fingerprint create name=m2 image="$(printf '%064d' 7)" "${tags[@]}"
refused NOT_FOUND
ask create_no_profile create name=m2 image=dkrun profile=nothing "${tags[@]}"
refused NOT_FOUND
ask create_no_project create project=nothing name=m2 image=dkrun "${tags[@]}"
refused NOT_FOUND
run create_no_pool create name=m2 image=dkrun pool=nothing "${tags[@]}"
refused NOT_FOUND
lxd_lxc -q project create small -c features.images=false -c features.profiles=false -c limits.instances=1 -c limits.memory=1GiB
run '' create project=small name=m1 image=dkrun memory=700000000 "${tags[@]}"
fine
ask create_quota create project=small name=m2 image=dkrun memory=200000000 "${tags[@]}"
refused QUOTA
lxd_lxc project set small limits.instances=9
ask create_quota_memory create project=small name=m2 image=dkrun memory=700000000 "${tags[@]}"
refused QUOTA
ask create_no_limit create project=small name=m2 image=dkrun "${tags[@]}"
refused BAD_REQUEST
lxd_lxc -q storage create tiny btrfs size=130MiB
run create_full create name=m2 image=dkrun pool=tiny "${tags[@]}"
refused CAPACITY
ask wait_unknown wait name=00000000-0000-4000-8000-000000000000 wait=1
refused NOT_FOUND
ask instance_unknown instance name=nobody
refused NOT_FOUND
run stop_unknown stop name=nobody
refused NOT_FOUND

# Others' machines are counted, and no more.
lxd_lxc -q init dkrun other
run '' create name=m3 image=dkrun store=$store owner=$'eve\u202e"\\'
ask instances instances
has $'FINE\n1 others\nm1 '
has $'\nm3 '
lacks $'\nother'

# An image of a machine; then it is gone when it stops.
run publish_running publish name=m1 recipe=abc "${tags[@]}"
refused BAD_REQUEST
ask keep keep name=m3
fine
run '' start name=m3
fine
run stop stop name=m3
fine
run stop_twice stop name=m3
refused EXISTS
run publish publish name=m3 recipe=abc "${tags[@]}"
fine
fingerprint=$(sed -n '2s/.* //p' <<<"$out")
ask images images
matches "FINE\|1 others\|$fingerprint [0-9]+ [0-9]+ store=$store recipe=abc"
run '' create name=m4 image="$fingerprint" "${tags[@]}"
fine
run delete delete name=m4
fine
run delete_image delete_image name="$fingerprint"
fine
run delete_image_unknown delete_image name="$fingerprint"
refused NOT_FOUND
run '' stop name=m1
fine
ask instance_gone instance name=m1
refused NOT_FOUND
run '' delete name=m3
fine
ask '' instances
[ "$out" = $'FINE\n1 others' ] || fail 'something is left'
