#!/bin/bash
# dkrun reap where there is no repository and where there is one, on a cloud that is a file: whose machines are whose, and that nothing
# goes that nobody named.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
mine=$XDG_CONFIG_HOME/dkrun/providers.dk
node=$(uname -n)
a=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa b=bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
yard=$room/yard
put "$mine" <<END_OF_FILE
provider yard { kind = "yard"  file = "$yard"  image = "i"  max_instances = 2 }
provider again { kind = "yard"  file = "$yard"  image = "j"  max_instances = 2 }
END_OF_FILE
chmod -R go-w "$XDG_CONFIG_HOME"
there() { # the ids that are there
  [ "$(tail -n +2 "$yard" | cut -d' ' -f1 | tr '\n' ' ')" = "$1" ] || fail "there: $(cat "$yard")"
}
cd "$room"

run -e 2 reap --store abc
has_err '--store takes the 32 digits'
run -e 2 reap --older-than soon
has_err '--older-than takes a time'
run -e 2 reap yrd
has_err 'did you mean `yard`?'
run -e 2 reap yard again
has_err 'one provider at a time'
run -e 4 reap # no such file: what is there is not known
has_err 'the yard is closed'
lacks 'Nothing is left over.'

# Nobody's, of nowhere: shown, and only deleted when its store is named. A place that two providers share is asked once
echo 100000 >"$yard"
run reap --yes
is 'Nothing is left over.'
put "$yard" <<END_OF_FILE
100000
m1 $a 90000 anna@elsewhere:/home/anna
m2 $b 99101 anna@$node:$room/gone
m3 $b 99100 anna@$node:$room/gone
m4 $b 0 anna@$node:$room/gone
END_OF_FILE
run reap --yes
has "store $a, of anna@elsewhere:/home/anna, not of this machine"
has "store $b, of anna@$node:$room/gone, its folder or its store is gone"
count 1 '  keep  yard  m1 '
has '2h47m   goes by itself when idle'
has 'What is another store'
lacks 'reap  yard'
there 'm1 m2 m3 m4 '
run reap --store $b # no terminal, and no --yes
has 'nothing was deleted; `dkrun reap --yes`, with the same options, deletes 1 machine'
count 1 '  reap  yard  m3 '
count 1 '14m59s  goes by itself when idle; younger than 15m'
count 1 'age unknown  goes by itself when idle; younger than 15m'
there 'm1 m2 m3 m4 '
run reap --store $b --yes
has 'deleted 1 of 1 machine'
there 'm1 m2 m4 '
run reap --store $b --store $a --older-than 0s --yes yard
has 'deleted 3 of 3 machines'
there ''

# A list that is not whole, what is refused
put "$yard" <<END_OF_FILE
100000 cut
refused $a 90000
m1 $a 90000
END_OF_FILE
run -e 4 reap
has_err 'yard: the cloud cannot list all of its machines now: there may be more'
sed -i '1s/ cut//' "$yard"
run -e 4 reap --store $a --yes
has_err 'the yard is closed'
has 'deleted 1 of 2 machines'
there 'refused '

# The repository that we are in: what its store has no record of goes, and nothing else. Its engine writes whose what it makes is
put "$mine" <<END_OF_FILE
provider here { kind = "local" }
provider yard { kind = "yard"  file = "$yard"  image = "i"  max_instances = 2 }
END_OF_FILE
small
run run small.dk --foreground
read -r own owner <"$yard.store"
[[ $owner == *"@$node:$room/repo" ]] || fail "the owner is $owner"
put "$yard" <<END_OF_FILE
100000
m1 $a 90000 anna@elsewhere:/home/anna
m2 $own 90000 $owner
m3 $own 99990 $owner
END_OF_FILE
run reap
has "store $own, this repository's, which has no record of this"
count 1 '  reap  yard  m2 '
run reap yard --yes
has 'deleted 1 of 1 machine'
there 'm1 m3 '
run reap --yes --older-than 5s
there 'm1 '

# Seen from another repository and from none: its store is there, is another one, is gone
echo "m4 $own 90000 $owner" >>"$yard"
mkdir "$room/other"
git -C "$room/other" init -q
for folder in "$room/other" "$room"; do
  cd "$folder"
  run reap --yes
  has "store $own, of $owner, which has no record of this"
  there 'm1 m4 '
done
mv "$room/repo/.dkrun" "$room/kept"
run reap --yes
has "store $own, of $owner, its folder or its store is gone"
cd "$room/repo"
run run small.dk --foreground
run reap --yes # the same folder, with another store: it is not its own any more
has "store $own, of $owner, its folder or its store is gone"
there 'm1 m4 '
# A copy is not the original, and has nothing of it
rm -rf .dkrun
cp -a "$room/kept" .dkrun
run reap --yes
lacks "this repository's"
there 'm1 m4 '
# A tag may name a folder that is not this user's
rm -rf .dkrun
mkdir -p .dkrun/store
if [ "$(id -u)" -eq 0 ]; then
  cp -a "$room/kept/store/." .dkrun/store
  chown -R 1234 .dkrun
  cd "$room"
  run reap --yes
  has "store $own, of $owner, which cannot be read by you"
  there 'm1 m4 '
fi

# On a terminal it asks; anything but yes is no
ask() { # ANSWER: the exit code, and $out
  status=0
  script -qec "'$dkrun' reap --store $a" /dev/null <<<"$1" >"$room/out" 2>&1 || status=$?
  out=$(<"$room/out")
}
cd "$room"
if command -v script >/dev/null; then
  ask n
  [ "$status" -eq 1 ] || fail "exit code $status"
  has 'Delete 1 machine, and what is on it? [y/N]'
  has 'nothing was deleted'
  there 'm1 m4 '
  ask y
  [ "$status" -eq 0 ] || fail "exit code $status"
  there 'm4 '
fi

# What the cloud agrees to and does not do is told
put "$yard" <<END_OF_FILE
100000
stuck $a 90000
END_OF_FILE
run -e 4 reap --store $a --yes
has_err 'yard: it agreed, and is not known to have deleted all of it'
has 'deleted 0 of 1 machine'
