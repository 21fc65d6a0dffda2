#!/bin/bash
# Where the provider ssh puts the agent's files on a host, and which program: homes that cannot be used, full disks, other processors.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=lib.sh
. "$here/lib.sh"

# Where its files go
place() { # what the script says of a mount table that has a home of that type
  printf 'a / ext4 rw 0 0\nb %s/home nfs4 rw 0 0\nc %s/home/anna %s rw 0 0\nd %s/home/an ext4 rw 0 0\n' "$room" "$room" "$1" "$room" >"$room/mounts"
  sh -c "$(sed -n '/^fs_type()/,/^}/p;/^is_network()/,/^}/p' "$here/../../providers/ssh/remote.sh" | sed "s|/proc/self/mounts|$room/mounts|")"'
    type=$(fs_type "$1"); if is_network "$type"; then echo "network $type"; else echo "here $type"; fi' sh "$room/home/anna/.cache/dkrun"
}
mkdir -p "$room/home/anna" "$room/home/an"
for type in nfs nfs4 cifs smb3 lustre fuse.sshfs ceph 9p gpfs beegfs afs; do
  [ "$(place $type)" = "network $type" ] || fail "$type: $(place $type)"
done
for type in ext4 xfs btrfs zfs tmpfs overlay fuseblk; do
  [ "$(place $type)" = "here $type" ] || fail "$type: $(place $type)"
done

ro_home() { host_exec 1 mount -o "bind,$1" /root /root && host_exec 1 mount -o "remount,bind,$1" /root; }
ro_home ro
up h1
has 'root: /var/tmp/dkrun-0/h1/0000000000000001'
has 'note: its files are in /var/tmp/dkrun-0: nothing can be written in /root/.cache/dkrun'
host_exec 1 umount /root
up h1 # where it was before: an agent may be at work there
has 'note: its files are in /var/tmp/dkrun-0: that is where it was before'
up -s 2 h1
has 'root: /root/.cache/dkrun/h1/0000000000000002'
host_exec 1 truncate -s 9 "/root/.cache/dkrun/h1/bin/$(bin 1)"
ro_home ro
down -s 2 h1 # likewise
has 'Read-only file system'
host_exec 1 umount /root
clear 1
ro_home noexec
down h1
has 'cannot run /root/.cache/dkrun/h1/bin/dkagent-'
has 'Permission denied'
has 'help: where programs may not be run there, name another directory'
up -r /var/tmp/mine h1
has 'root: /var/tmp/mine/h1/0000000000000001'
host_exec 1 umount /root
clear 1
cp "$hosts/h1/passwd" "$room/passwd"
sed 's|^\(root:.*\):/root:|\1:/nonexistent:|' "$room/passwd" >"$hosts/h1/passwd"
up h1
has 'its home directory /nonexistent is not there'
cat "$room/passwd" >"$hosts/h1/passwd"
clear 1
host_exec 1 mount -t tmpfs -o size=64k,mode=700 small /root
down h1
has 'No space left on device'
has 'cannot put the agent into /root/.cache/dkrun/h1/bin'
[ -z "$(host_exec 1 ls -A /root/.cache/dkrun/h1/bin)" ] || fail "left: $(host_exec 1 ls -lA /root/.cache/dkrun/h1/bin)"
host_exec 1 sh -c 'head -c 100000 /dev/zero >/root/.cache/x 2>/dev/null; for i in 1 2 3 4 5 6 7 8 9; do mkdir -p /root/$i; done; rm -rf /root/.cache/dkrun; :'
host_exec 1 umount /root
odd="/var/tmp/it's \"a\" \$dir \\ *"
up -r "$odd" h1
has "root: $odd/h1/0000000000000001"
host_exec 1 sh -c 'rm -rf /var/tmp/it*; echo >/var/tmp/file'
down -r /var/tmp/file h1
has '/var/tmp/file is no directory but a file'
down -r relative/path h1
has 'its root is no absolute path: relative/path'
# What somebody else has prepared in /var/tmp
ro_home ro
host_exec 1 sh -c 'mkdir /var/tmp/elsewhere; ln -s elsewhere /var/tmp/dkrun-0'
down h1
has '/var/tmp/dkrun-0 is no directory'
host_exec 1 sh -c 'rm /var/tmp/dkrun-0; mkdir -m 777 /var/tmp/dkrun-0; chown 65534 /var/tmp/dkrun-0'
down h1
has '/var/tmp/dkrun-0 belongs to another user (uid 65534)'
host_exec 1 sh -c 'rm -rf /var/tmp/dkrun-0; mkdir -m 777 /var/tmp/dkrun-0'
up h1
[ "$(host_exec 1 stat -c %a /var/tmp/dkrun-0)" = 755 ] || fail "others may still write: $(host_exec 1 stat -c %a /var/tmp/dkrun-0)"
host_exec 1 umount /root
clear 1

# Something else stands where one of ours has to be: it is named, and nothing of it is lost
stands() { # PATH, what it has to be, what it is
  down h1
  has "failed: $1 is no $2 but $3"
  has 'help: it was left as it is: move it away there, or name another directory: root = "/..."'
}
up h1
at=/root/.cache/dkrun/h1
program=$at/bin/$(bin 1)
host_exec 1 sh -c "rm $program; mkdir $program; echo mine >$program/mine"
stands "$program" file 'a directory'
[ "$(host_exec 1 ls -A "$program")" = mine ] || fail "put into a directory of others: $(host_exec 1 ls -A "$program")"
[ "$(host_exec 1 cat "$program/mine")" = mine ] || fail "it is lost"
host_exec 1 sh -c "rm -r $program; mkdir -p /root/mine; ln -s /root/mine $program"
stands "$program" file 'a symbolic link'
[ -z "$(host_exec 1 ls -A /root/mine)" ] || fail "put behind a link: $(host_exec 1 ls -A /root/mine)"
host_exec 1 sh -c "rm $program; ln -s /root/elsewhere $program"
stands "$program" file 'a symbolic link to nothing'
[ "$(host_exec 1 readlink "$program")" = /root/elsewhere ] || fail "the link is lost"
host_exec 1 sh -c "rm $program; mkfifo $program"
stands "$program" file 'a fifo'
host_exec 1 test -p "$program" || fail "the fifo is lost"
[ "$(bin 1)" = "${program##*/}" ] || fail "left: $(bin 1)"
host_exec 1 rm "$program"
up h1
for path in "$at/bin" "$at/0000000000000001" "$at"; do
  host_exec 1 sh -c "rm -rf $path; ln -s /root/elsewhere $path"
  stands "$path" directory 'a symbolic link to nothing'
  host_exec 1 sh -c "rm $path; echo mine >$path"
  stands "$path" directory 'a file'
  [ "$(host_exec 1 cat "$path")" = mine ] || fail "$path is lost"
  host_exec 1 sh -c "rm $path; mkfifo $path"
  stands "$path" directory 'a fifo'
  host_exec 1 rm "$path"
  up h1
done
# Above what is its own nothing can be written then, which is no matter; a link to nothing looks as if it could.
host_exec 1 sh -c "rm -rf /root/.cache; ln -s /root/elsewhere /root/.cache"
stands /root/.cache directory 'a symbolic link to nothing'
[ "$(host_exec 1 readlink /root/.cache)" = /root/elsewhere ] || fail "the link is lost"
host_exec 1 rm /root/.cache
up h1
host_exec 1 sh -c "mv $at/bin /root/mine; ln -s /root/mine/bin $at/bin"
stands "$at/bin" directory 'a symbolic link'
clear 1

# Without sha256sum the cksum has to do
host_exec 1 mount --bind /bin/false /usr/bin/sha256sum
host_exec 1 sh -c 'command -v sha256sum' >/dev/null # it is there, and useless: nothing is taken for whole
down h1
has 'came incomplete or altered'
host_exec 1 umount /usr/bin/sha256sum
host_exec 1 sh -c 'mkdir -p /run/few; for p in sh dd uname getconf id ls mkdir wc cksum head find rm chmod mv cat printf; do ln -s $(command -v $p) /run/few/$p; done'
printf 'SetEnv PATH=/run/few\n' | cat - "$config" >"$room/few"
echo 'AcceptEnv PATH' >>"$hosts/h1/sshd_config"
host_kill_sshd 1
host_start_sshd 1
host_exec 1 sh -c 'echo "PATH=/run/few" >/root/.bashrc'
up h1
host_exec 1 truncate -s 100000 "/root/.cache/dkrun/h1/bin/$(bin 1)"
up h1
[ "$(host_exec 1 sha256sum "/root/.cache/dkrun/h1/bin/$(bin 1)" | cut -c1-64)" = "$(sha256sum "$agent" | cut -c1-64)" ] || fail "altered"
clear 1

# Processors
cat >"$hosts/h1/uname" <<'END'
#!/bin/sh
case $1 in -m) cat /run/host/processor ;; -s) cat /run/host/system ;; -n) echo h1 ;; esac
END
chmod +x "$hosts/h1/uname"
echo Linux >"$hosts/h1/system"
host_exec 1 mount --bind /run/host/uname /usr/bin/uname
echo aarch64 >"$hosts/h1/processor"
if [ "$(uname -m)" = x86_64 ]; then
  up h1
  has 'arch: aarch64'
  mv "$room/dkagent-aarch64" "$room/not-there"
  down h1
  has 'its processor is of the kind aarch64, and there is no agent for that here (for: x86_64)'
  has "help: $room/dkagent-aarch64 is missing"
fi
echo riscv64 >"$hosts/h1/processor"
down h1
has 'its processor is of the kind riscv64; there is an agent for '"$(uname -m)"
echo FreeBSD >"$hosts/h1/system"
down h1
has 'it runs FreeBSD, and tasks need Linux'
host_exec 1 umount /usr/bin/uname
clear 1

