#!/bin/bash
# Machines that are known by the key that they were given, and let in by one of ours, whatever the user's configuration says.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=lib.sh
. "$here/lib.sh"

# What a person's configuration may have for all hosts: none of it is to count. No file of theirs lets them in.
odd="$room/it's \"a\" b%h\\c"
mkdir -p "$odd"
ssh-keygen -q -t ed25519 -N '' -f "$room/other"
: >"$room/theirs"
cat >"$room/config" <<END2
Host *
  User root
  UserKnownHostsFile $room/theirs
  StrictHostKeyChecking no
  UpdateHostKeys yes
  ControlMaster auto
  ControlPath $room/master-%h
  IdentityFile $room/other
END2
cp "$hosts/id" "$odd/id"
key_of() { cut -d' ' -f1,2 "$hosts/h$1/hostkey.pub"; }
echo "lab-1 $(key_of 1)" >"$odd/known"
rented() { # COMMAND ADDRESS [ARGUMENT]...: lab-1
  local how=$1 address=$2
  shift 2
  $how -c "$room/config" -A "$address" -i "$odd/id" -K "$odd/known" "$@" lab-1
}
before=$(sha256sum "$odd/known" "$room/theirs")

# It is reached, by a name that nobody resolves
rented up "$(host_ip 1)"
has 'node: h1'
has 'echo: hello, agent'
# Another machine at its address, or at one that it does not have any more
rented down "$(host_ip 2)"
has 'its host key is not the one that it was given when it was made'
has 'help: its image has to run the script that a machine is given for its first boot (cloud-init)'
# Its key is of a kind that it was not given
ssh-keygen -q -t ecdsa -N '' -f "$room/ecdsa"
echo "lab-1 $(cut -d' ' -f1,2 "$room/ecdsa.pub")" >"$room/known-ecdsa"
down -c "$room/config" -A "$(host_ip 1)" -i "$odd/id" -K "$room/known-ecdsa" lab-1
has 'its host key is not the one that it was given when it was made'
# The files of nobody else count
down -c "$room/config" -A "$(host_ip 1)" -i "$odd/id" -K "$room/theirs" lab-1
has 'its host key is not the one that it was given when it was made'
down -c "$room/config" -A "$(host_ip 1)" -i "$room/other" -K "$odd/known" lab-1
has 'ssh is not let in: root@'
has "help: this is how it has to work: ssh -F $room/config -o HostName=$(host_ip 1) -o HostKeyAlias=lab-1 -o 'UserKnownHostsFile="
lacks 'providers check'
[ "$before" = "$(sha256sum "$odd/known" "$room/theirs")" ] || fail 'a file of keys was changed'

# The command of that line does it when the key is right
ssh-keygen -q -t ed25519 -N '' -f "$odd/wrong"
down -c "$room/config" -A "$(host_ip 1)" -i "$odd/wrong" -K "$odd/known" lab-1
line=${out#*it has to work: }
line=${line%%$'\n'*}
cp "$hosts/id" "$odd/wrong"
rm "$odd/wrong.pub" # ssh offers that one, where it is there
bash -c "$line" </dev/null || fail "by hand: $line"

# A master that leads to whoever had the address before is not used
ssh -F "$room/config" -i "$hosts/id" -o "ControlPath=$room/master-$(host_ip 1)" -o ControlMaster=yes -o BatchMode=yes -f -N "root@$(host_ip 2)" 2>/dev/null
[ "$(ssh -F "$room/config" -o "ControlPath=$room/master-$(host_ip 1)" "$(host_ip 1)" uname -n)" = h2 ] || fail 'the master does not lead to h2'
rented up "$(host_ip 1)"
has 'node: h1'
down -c "$room/config" -A "$(host_ip 1)" -i "$room/other" -K "$odd/known" lab-1
has 'ssh is not let in'
rented down "$(host_ip 2)"
ssh -F "$room/config" -o "ControlPath=$room/master-$(host_ip 1)" -O exit "$(host_ip 1)" 2>/dev/null

# What cannot be an address or a file for ssh
rented down '-oProxyCommand=x'
has 'is no address of a host'
down -c "$room/config" -i "$room/\${HOME}/id" lab-1
has "ssh cannot be told of the file $room/\${HOME}/id"
wait_until none_left
