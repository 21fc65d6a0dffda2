#!/bin/bash
# providers and trust: the user's file, what the repository's makes of it, who is trusted, and files that are not as they should be.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
export XDG_CONFIG_HOME=$room/config HOME=$room/home
umask 022
mine=$XDG_CONFIG_HOME/dkrun/providers.dk trusted=$XDG_CONFIG_HOME/dkrun/trusted

# Without any file there is this machine; nothing is written for that, and no repository is needed.
cd "$room"
run providers
has 'yours       no providers.dk'
has $'\nlocal     local  local  built in'
has "is said in $mine, like this:"
first=${out##*like this:} # what it says to put there is right
run providers check --files
is 'ok: 1 provider, 1 host (files only: no host was asked)'
run -e 4 trust
has_err 'not in a git repository'
[ ! -e "$XDG_CONFIG_HOME" ] || fail 'something was written'
put "$mine" <<<"$first"
run providers check --files
is 'ok: 1 provider, 1 host (files only: no host was asked)'
run providers
has 'lab       ssh   h1    yours:3'
lacks 'like this'

put "$mine" <<'END'
provider lab { kind = "ssh"  hosts = ["h1", "h2"]  user = "anna"  leave = 2  hours = "00:00-23:59" }
provider here { kind = "local" }
END
run providers
has "yours       $mine"
has 'repository  no providers.dk'
count 2 'yours:1  as anna, leave 2 cpus, 00:00-23:59, '
count 1 'here      local  local  yours:2'
run providers --format json
has '{"version":1,"user_file":"'"$mine"'","repository_file":null,"trusted":false,"hosts":['
has '{"provider":"lab","kind":"ssh","host":"h1","user_line":1,"repository_line":null,"leave":2,"gpus":null,"nice":0,"hours":"00:00-23:59","open":'
has '"mixed":false,"root":null,"user":"anna","port":null,"config":null}'
has '"provider":"here","kind":"local","host":"local","user_line":2,"repository_line":null,"leave":0,"gpus":null,"nice":0,"hours":null,"open":true,"changes_in_seconds":null,'
run providers check --files here
is 'ok: 1 provider, 1 host (files only: no host was asked)'
run -e 2 providers check hree
has_err 'no provider or host `hree`: did you mean `here`?'
run -e 2 providers --json
has_err 'it is `--format json`'
run -e 2 providers lab
has_err 'there is `dkrun providers check`'
run -e 2 providers check lab h1
has_err '`h1` is one too many'
run -e 2 trust me
has_err 'it takes no `me`'
run -e 2 trust --yes --not
has_err 'exclude each other'

# What a task's code is does not change with it: "." is everything but that.
repo
put all.dk <<'END'
task t { code = ["."]  run = "echo $(find . -name '*.dk' | wc -l) files" }
END
put train.py <<<x
commit
run run all.dk
put providers.dk <<'END'
provider here { leave = 1 }
END
commit
run plan all.dk
has '1 cached'
run logs t1
has '0 files'

# The repository's file chooses and limits, from any folder of it.
mkdir -p sub
cd sub
run providers
has "repository  $room/repo/providers.dk (chooses and limits yours)"
has 'here      local  local  yours:2, repository:1  leave 1 cpu'
lacks 'h1'
run trust
has 'needs no trust'
[ ! -e "$trusted" ] || fail 'it was trusted all the same'
cd ..

# One that declares is refused until it is trusted, and shown before.
put providers.dk <<'END'
import "./hosts.dk" as lab
provider far { kind = "ssh"  hosts = lab.hosts  user = "bob" }
END
put hosts.dk <<'END'
let hosts = ["far1", "far2"]
END
run -e 3 providers
has_err 'error[E0226]: a repository may not declare provider `far`'
has_err "help: put it into $mine, or, if you wrote this file, \`dkrun trust\`"
run -e 3 providers check
run -e 2 trust
has "$room/repo/providers.dk declares"
has 'far       ssh   far2  repository:2  as bob'
has 'read: providers.dk, hosts.dk'
has_err 'there is no terminal to ask on'
[ ! -e "$trusted" ] || fail 'it was trusted without being asked'
run trust --yes
has 'trusted as it is'
[ "$(stat -c %a "$trusted")" = 600 ] || fail "its mode is $(stat -c %a "$trusted")"
run trust
is 'it is trusted already, as it is'
run providers
has 'providers.dk (trusted)'
has 'far1'
lacks 'h1 '
# What it imports belongs to it.
echo '# more' >>hosts.dk
run -e 3 providers check
git checkout -q hosts.dk 2>/dev/null || printf 'let hosts = ["far1", "far2"]\n' >hosts.dk
run providers check --files
echo '# more' >>providers.dk
run -e 3 providers check
run trust --yes
run trust --not
is 'no longer trusted: the providers.dk of this repository'
run -e 3 providers check
run trust --not
has 'nothing to take back'

# On a terminal it asks; anything but yes is no.
ask() { # ANSWER: the exit code, and $out
  status=0
  script -qec "'$dkrun' trust" /dev/null <<<"$1" >"$room/out" 2>&1 || status=$?
  out=$(<"$room/out")
}
if command -v script >/dev/null; then
  ask n
  [ "$status" -eq 1 ] || fail "exit code $status"
  has 'Trust it? [y/N]'
  has 'not trusted'
  ask ''
  has 'not trusted'
  run -e 3 providers check
  ask y
  [ "$status" -eq 0 ] || fail "exit code $status"
  run providers check --files
  run trust --not
fi

# A disk that takes nothing: it is said, and what was trusted stays.
run trust --yes
cp "$trusted" "$room/before"
echo '# again' >>providers.dk
status=0
out=$( (ulimit -f 0; exec "$dkrun" trust --yes 2>&1) | cat) || status=$? # its own files alone: to a pipe it may write
[ "$status" -eq 4 ] || fail "exit code $status"
has "cannot write $trusted"
cmp "$trusted" "$room/before" || fail 'what was trusted is lost'
[ "$(find "$XDG_CONFIG_HOME/dkrun" -name '*.tmp*' | wc -l)" -eq 0 ] || fail 'a part of a file was left'

# Many at once: none is lost.
pids=()
for i in 1 2 3 4 5 6 7 8; do
  mkdir -p "$room/many/$i"
  git -c init.defaultBranch=main init -q "$room/many/$i"
  cp providers.dk hosts.dk "$room/many/$i"
  (cd "$room/many/$i" && exec "$dkrun" trust --yes >/dev/null) &
  pids+=($!)
done
for pid in "${pids[@]}"; do wait "$pid" || fail 'one of them failed'; done
[ "$(wc -l <"$trusted")" -eq 9 ] || fail "$(cat "$trusted")"
# A copy of the repository is another one, a link to it is not.
cp -r "$room/many/1" "$room/many/copy"
ln -s 1 "$room/many/link"
cd "$room/many/copy"
run -e 3 providers check
cd "$room/many/link"
run providers check --files

# Files that are not as they should be.
cd "$room/repo"
rm providers.dk
chmod g+w "$mine"
run -e 3 providers
has_err 'can be written to by others'
has_err "help: chmod go-w $mine"
chmod g-w "$mine"
if [ "$(id -u)" -ne 0 ]; then
  chmod 000 "$mine"
  run -e 3 providers
  has_err 'Permission denied'
  chmod 600 "$mine"
fi
mv "$mine" "$room/kept"
ln -s nothing "$mine"
run -e 4 providers
has_err 'is a link that leads nowhere'
rm "$mine"
head -c 1000 /dev/zero >"$mine"
run -e 3 providers
has_err 'error[E0703]'
truncate -s 1T "$mine"
run -e 3 providers
has_err 'error[E0702]'
rm "$mine"
mkfifo "$mine"
run -e 3 providers
has_err 'no regular file'
rm "$mine"
mv "$room/kept" "$mine"
put providers.dk <<<'provider here { leave = 1 }'
chmod g+w "$trusted"
run -e 4 providers
has_err 'what it says does not count'
chmod g-w "$trusted"
cp "$trusted" "$room/before"
echo 'v1 no digest' >>"$trusted"
cp "$trusted" "$room/damaged"
for words in providers 'trust --yes' 'trust --not'; do
  # shellcheck disable=SC2086 # words
  run -e 4 $words
  has_err "$trusted is damaged: line $(wc -l <"$trusted")"
  has_err 'help: remove that line'
done
cmp "$trusted" "$room/damaged" || fail 'what was damaged was written'
cp "$room/before" "$trusted"
run providers
# Without a home there is no file of one's own.
unset XDG_CONFIG_HOME HOME
put providers.dk <<<'provider local { leave = 1 }'
run providers
has 'local     local  local  repository:1  leave 1 cpu'
run -e 4 trust --not
has_err 'HOME is not set'
