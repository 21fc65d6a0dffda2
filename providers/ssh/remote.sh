# shellcheck shell=sh
# shellcheck disable=SC2154 # the head that remote.c puts before this sets them: want_root store name size digest...
# What runs on a host before its agent speaks: any POSIX sh, no other tools than those that every Linux has. It is read
# from stdin and run by eval, so nothing of it meets the login shell, whichever that is.
#
# It says lines `dk1 KEY VALUE`; all else that comes is noise of the login. In order: facts; `ask`, which is answered by
# one line with the agent program for this processor (name, bytes, SHA-256, cksum); `want NAME`, when that is not here,
# which is answered by its bytes; `go`. Then the login shell becomes the agent's bridge. `fail WORDS` is its last line,
# `help WORDS` may come before it.
#
# `way` is what the host is dialled for (provider.h): `agent`; `try`, where an agent in a folder of its own is what comes
# of it, and `used BYTES` says what this store's takes; `clean` and `remove`, of which `freed BYTES` is the last line.
umask 077
nl='
'
say() { printf 'dk1 %s\n' "$*"; }
fail() {
  say fail "$*"
  exit 1
}
# The last line that a program said, without its name.
last_words() {
  said=${said##*"$nl"}
  printf '%s' "${said#*: }"
}

# Facts

printf '\n' # the login may have left a line open
[ "$(uname -s)" = Linux ] || fail "it runs $(uname -s), and tasks need Linux"
node=$(uname -n)
say arch "$(uname -m)"
say node "$node"
case $node in '' | .* | -* | *[!A-Za-z0-9._-]*) node=node ;; esac
for file in /etc/os-release /usr/lib/os-release; do
  [ -r "$file" ] || continue
  while IFS= read -r line; do
    case $line in ID=* | VERSION_ID=*) say release "$line" ;; esac
  done <"$file"
  break
done
if said=$(getconf GNU_LIBC_VERSION 2>/dev/null); then
  say libc "${said#glibc }"
else
  said=$(ldd --version 2>&1)
  case $said in
  musl*)
    said=${said#*Version }
    say libc "musl ${said%%"$nl"*}"
    ;;
  esac
fi

# The place: BASE/NODE/{bin,STORE}. A home that several machines share has a folder for each.

# The type of the file system on which a path lies, or would lie; as mount(8) has it, which tells fuse.sshfs from others.
fs_type() {
  at=$1
  while [ ! -d "$at" ] && [ "$at" ]; do at=${at%/*}; done
  at=$(cd -P "${at:-/}" 2>/dev/null && pwd) || at=$1
  longest=0 type=
  while read -r _ mount kind _; do
    case ${at%/}/ in
    "${mount%/}"/*)
      if [ "${#mount}" -ge "$longest" ]; then longest=${#mount} type=$kind; fi
      ;;
    esac
  done </proc/self/mounts
  printf '%s' "$type"
}

# Sockets and locks of an agent want a file system of this machine.
is_network() {
  case $1 in
  fuse.fuse-overlayfs) return 1 ;;
  nfs | nfs[0-9]* | cifs | smb* | ncpfs | lustre | ceph | 9p | gpfs | beegfs | afs | coda | glusterfs | fuse.*) return 0 ;;
  pvfs* | orangefs | panfs | wekafs | ocfs2 | gfs2 | autofs) return 0 ;;
  esac
  return 1
}

# May something be made there?
can_write() {
  at=$1
  while [ ! -e "$at" ] && [ "$at" ]; do at=${at%/*}; done
  [ -d "${at:-/}" ] && [ -w "${at:-/}" ]
}

# Something stands where one of ours has to be: PATH, and what that is. Whoever put it there knows whether it is needed.
in_the_way() {
  if [ -h "$1" ]; then
    kind='a symbolic link'
    [ -e "$1" ] || kind="$kind to nothing"
  elif [ -d "$1" ]; then
    kind='a directory'
  elif [ -p "$1" ]; then
    kind='a fifo'
  elif [ -S "$1" ]; then
    kind='a socket'
  elif [ -f "$1" ]; then
    kind='a file'
  else
    kind='a device'
  fi
  say help "it was left as it is: move it away there, or name another directory: root = \"/...\""
  fail "$1 is no $2 but $kind"
}

# Makes directories, with those above them.
make_dirs() {
  said=$(mkdir -p "$@" 2>&1) && return
  for at in "$@"; do
    while [ ! -e "$at" ] && [ ! -h "$at" ] && [ "$at" ]; do at=${at%/*}; done
    [ -d "${at:-/}" ] || in_the_way "$at" directory
  done
  fail "$(last_words)"
}

# Ours, a directory and no link; no one else may change what is in it.
check_ours() {
  # shellcheck disable=SC2012 # one name, and stat(1) is not everywhere
  said=$(ls -ldn "$1" 2>&1) || fail "$(last_words)"
  # shellcheck disable=SC2086 # its fields
  set -- "$1" $said
  case $2 in d*) ;; *) in_the_way "$1" directory ;; esac
  [ "$4" = "$uid" ] || fail "$1 belongs to another user (uid $4)"
  case $2 in d????-??-*) ;; *) chmod go-w "$1" || fail "others may write in $1" ;; esac
}

uid=$(id -u)
temporary=/var/tmp/dkrun-$uid
why=
case $want_root in
'')
  case ${HOME-} in
  /*) [ -d "$HOME" ] || why="its home directory $HOME is not there" ;;
  *) why='it has no home directory' ;;
  esac
  if [ -z "$why" ]; then
    case ${XDG_CACHE_HOME-} in /*) base=$XDG_CACHE_HOME/dkrun ;; *) base=$HOME/.cache/dkrun ;; esac
    type=$(fs_type "$base")
    if is_network "$type"; then
      why="$base is on a network file system ($type)"
    elif [ -d "$base/$node/$store" ]; then
      : # its agent is there, whatever has become of the disk
    elif ! can_write "$base"; then
      why="nothing can be written in $base"
    elif [ -d "$temporary/$node/$store" ]; then
      why='that is where it was before'
    fi
  fi
  if [ "$why" ]; then
    base=$temporary
    say note "its files are in $base: $why"
  fi
  ;;
/*) base=$want_root ;;
*) fail "its root is no absolute path: $want_root" ;;
esac
if [ "$want_root" ] && is_network "$(fs_type "$base")"; then say note "its root $base is on a network file system"; fi
base=${base%/}
# The files that the find(1) words choose of those that lie in a directory; not of those below it.
remove_files() {
  dir=$1
  shift
  find "$dir/." ! -name . -prune -type f "$@" -exec rm -f {} + 2>/dev/null
}
# The program goes too, when it is nobody else's. What somebody else has put beside it stays.
drop_program() {
  for at in "$base/$node"/* "$base/$node"/.try-*; do
    if { [ -e "$at" ] || [ -h "$at" ]; } && [ "$at" != "$bin" ]; then return; fi
  done
  if [ ! -h "$bin" ]; then remove_files "$bin" \( -name 'dkagent-*' -o -name '.dkagent-*' \); fi
  rmdir "$bin" 2>/dev/null
  rmdir "$base/$node" 2>/dev/null && rmdir "$base" 2>/dev/null
}

own=$base/$node/$store # this store's, there or not
root=$own
bin=$base/$node/bin
case $way in
try) root=$base/$node/.try-$$ ;;
clean | remove)
  if ! [ -d "$own" ] || rmdir "$own" 2>/dev/null; then
    if [ "$way" = remove ] && [ -d "$base/$node" ]; then
      if [ "$base" = "$temporary" ]; then check_ours "$base"; fi
      check_ours "$base/$node"
      drop_program
    fi
    say freed 0
    exit
  fi
  ;;
esac
make_dirs "$base/$node"
if [ "$base" = "$temporary" ]; then check_ours "$base"; fi
check_ours "$base/$node"
# What all names of one machine have in common: the kernel, and the directory. Without stat(1) nobody is told.
if read -r boot </proc/sys/kernel/random/boot_id && said=$(stat -c %d:%i "$base/$node"); then say place "$boot $said"; fi 2>/dev/null
make_dirs "$bin" "$root"
check_ours "$bin"
check_ours "$root"
say root "$own"

# The program

# Is the file the one that was named? Where there is no sha256sum, what cksum(1) says has to do.
is_whole() {
  [ -f "$1" ] && [ "$(wc -c <"$1")" -eq "$size" ] && has_digest "$1"
}
has_digest() {
  if command -v sha256sum >/dev/null 2>&1; then
    said=$(sha256sum <"$1") && [ "${said%% *}" = "$digest" ]
  else
    said=$(cksum <"$1") && [ "${said%% *}" = "$sum" ]
  fi
}
take_bytes() {
  if head -c 1 </dev/null >/dev/null 2>&1; then
    head -c "$size"
  else
    dd ibs=1 obs=65536 count="$size" 2>/dev/null
  fi
}

say ask
read -r name size digest sum || exit 1
program=$bin/$name
if ! is_whole "$program"; then
  # mv(1) would go into a directory; behind a link or a fifo may be what somebody needs.
  if [ -h "$program" ] || { [ -e "$program" ] && [ ! -f "$program" ]; }; then in_the_way "$program" file; fi
  new=$bin/.$name.$$
  remove_files "$bin" -name '.dkagent-*' -mtime +0 # of those that were killed
  rm -f "$new"
  trap 'rm -f "$new"' EXIT
  trap 'exit 1' HUP INT TERM PIPE
  say want "$name"
  said=$({ take_bytes >"$new"; } 2>&1) || fail "cannot put the agent into $bin: $(last_words)"
  said=$(chmod 700 "$new" 2>&1) || fail "$(last_words)"
  is_whole "$new" || fail "$program came incomplete or altered"
  said=$(mv -f "$new" "$program" 2>&1) || fail "$(last_words)"
  trap - EXIT HUP INT TERM PIPE
fi
[ -x "$program" ] || chmod 700 "$program" # and still not, where the file system lets nothing be run
if ! said=$("$program" --version 2>&1 </dev/null); then
  say help "where programs may not be run there, name another directory: root = \"/...\""
  fail "cannot run $program: $(last_words)"
fi

# What this store has there

own_words() {
  said=${said##*"$nl"}
  said=${said#dkagent: }
  case $said in *'; help: '*) say help "${said#*; help: }" ;; esac
  fail "${said%%; help: *}"
}
case $way in
try)
  used=0
  if [ -d "$own" ]; then
    used=$("$program" du --root "$own" 2>/dev/null </dev/null) || used=
  fi
  say used "${used%% *}"
  # Of one that a power loss ended.
  for at in "$base/$node"/.try-*; do
    if [ -d "$at" ] && ! kill -0 "${at##*-}" 2>/dev/null; then rm -rf "$at"; fi
  done
  ;;
clean)
  said=$("$program" clean --root "$own" 2>&1 </dev/null) || own_words
  say freed "${said%% *}"
  exit
  ;;
remove)
  said=$("$program" clean --root "$own" --all 2>&1 </dev/null) || own_words
  freed=${said%% *}
  drop_program
  say freed "$freed"
  exit
  ;;
esac

# The login shell has the PATH and all else that tasks of this user expect. Its stdin is not the agent's until then.
say go
umask 022
# An agent that was only tried is no longer wanted when its stream ends, however that comes.
run() { exec "$@"; }
if [ "$way" = try ]; then
  trap : HUP PIPE
  trap '"$program" clean --root "$root" --all >/dev/null 2>&1 </dev/null' EXIT
  run() { "$@"; }
fi
case ${SHELL##*/} in
sh | bash | dash | ash | ksh | ksh93 | mksh | zsh | yash)
  if [ -x "$SHELL" ]; then
    # shellcheck disable=SC2016,SC2086 # that shell's; options are words
    run "$SHELL" -lc 'printf "\n"; exec "$0" "$@" <&3 3<&-' "$program" bridge --root "$root" $options 3<&0 </dev/null
    exit
  fi
  ;;
esac
printf '\n'
# shellcheck disable=SC2086
run "$program" bridge --root "$root" $options
