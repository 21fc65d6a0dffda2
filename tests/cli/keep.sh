#!/bin/bash
# What was kept: du weighs it, gc deletes what is not wanted, fsck finds damage of every kind, and mends it.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
repo
run -e 4 du
has_err 'nothing was run in this repository yet'
run -e 4 gc
has_err 'nothing was run in this repository yet'
run -e 4 fsck
has_err 'nothing was run in this repository yet'
[ ! -e .dkrun ] || fail 'looking made a state folder'

put lib/make.sh <<<'seq "$1" "$2"'
put seed.txt <<<'1'
put e.dk <<'EOF'
param n = 3
grid g { k in 1..n }
task make over g {
  inputs  { seed = file("seed.txt") }
  code    = ["lib/*.sh"]
  outputs { data = "data.txt"  more = "more/" }
  run = "sh lib/make.sh 1 1{{raw(k)}}00 > {{outputs.data}}; mkdir more; seq 5000{{raw(k)}} > more/a; echo b{{k}} > more/b"
}
task sum over g {
  inputs  { data = make.data  more = make.more }
  metrics { lines = match(stdout, '([0-9]+)') }
  run = "cat {{inputs.data}} {{inputs.more}}/a | wc -l; seq 9000 >&2"
}
report { table { from = sum  columns = [k, lines] } }
EOF
commit

# What depends on the results of a run, to be compared with later.
answers() {
  run results --format csv
  echo "$out"
}
run run -q
first=$(answers)
run fsck
is '1 run, 6 results, '"$(find .dkrun/objects -type f | wc -l)"' objects, '"$(find .dkrun/trees -mindepth 1 -maxdepth 1 | wc -l)"' code tree: nothing is damaged'

# --- du: what `du` and `find` say ---
run du
has "objects  $(find .dkrun/objects -type f | wc -l) objects"
has "trees  $(find .dkrun/trees -mindepth 1 -maxdepth 1 | wc -l) code tree"
has 'store'
has 'make  3 results'
has 'sum  3 results'
has 'in all'
run du --format json
[ "$(grep -o '"bytes": [0-9]*' <<<"$out" | head -1 | tr -dc 0-9)" -eq "$(du -s --block-size=1 .dkrun | cut -f1)" ] ||
  fail "not what du says: $(du -s --block-size=1 .dkrun)"
run -e 2 du x
run -e 2 du --format xml

# --- gc: a dry run first; nothing that a run reaches goes ---
run gc
has 'nothing to delete'
head -c 300000 /dev/urandom >"$room/stray"
stray=.dkrun/objects/$(b=$(sha256sum "$room/stray" | cut -d' ' -f1); echo "${b:0:2}/${b:2}")
mkdir -p "$(dirname "$stray")"
install -m 444 "$room/stray" "$stray" # named by nothing
run gc
has 'would delete'
has '1 object'
has 'nothing was deleted'
[ -e "$stray" ] || fail 'a dry run deleted something'
run gc --yes
has 'deleted'
[ ! -e "$stray" ] || fail 'it is still there'
run run
has 'nothing to do: 6 cached'
run -e 2 gc --older-than soon
run -e 2 gc --keep-size lots
run -e 2 gc x

# By age: what only older runs used goes, the last run stays whole; what was deleted runs again.
run run -q -p n=1
run gc --older-than 0s
has 'runs (1 to 2)'
has '4 results'
run gc --older-than 0s --yes
has '4 results'
run status
lacks ' 1  done'
run fsck
has 'nothing is damaged'
run results --format csv
[ "$(grep -c . <<<"$out")" -eq 2 ] || fail 'results of the run that stays'
run run -q
has '4 ran, 2 cached'
[ "$(answers)" = "$first" ] || fail 'other results after gc'
# By size: the oldest runs go until the rest fits.
run gc --keep-size 0 --yes
run status
[ "$(grep -c ' done ' <<<"$out")" -eq 1 ] || fail 'the last run stays, and only it'
run fsck
has 'nothing is damaged'

# While somebody works here, nothing is deleted or mended.
put slow.dk <<'EOF'
param n = 1
task t { pass = ["GO"]  run = ": {{n}}; touch $GO.on; while [ ! -e $GO ]; do sleep 0.02; done" }
EOF
export GO=$room/go
"$dkrun" run slow.dk --plain >"$room/slow" 2>&1 </dev/null &
slow=$!
wait_until test -e "$GO.on"
run gc
run du
run fsck
run -e 4 gc --yes
has_err 'another dkrun works in'
run -e 4 fsck --repair
has_err 'another dkrun works in'
kill -KILL "$slow"
wait "$slow" 2>/dev/null || true
run -e 4 gc --yes
has_err 'not known to have ended'
touch "$GO"
run run slow.dk -q
run gc --yes
# An engine in the background that has nothing to do any more makes way.
run run -d slow.dk -p n=2
run attach -q
run gc --yes
run run -d slow.dk -p n=3
run attach -q
run fsck --repair
run run --foreground slow.dk -p n=4 -q
rm slow.dk

# --- fsck: each kind of damage is told, mended, and costs at most a task that runs again ---
run run -q
good=$room/good
cp -a .dkrun "$good"
kinds=0
damaged() { # WHAT IT SAYS; the damage is there
  kinds=$((kinds + 1))
  run -e 1 fsck
  has "damaged  $1"
  has 'with --repair: '
  run fsck --repair
  has "mended   $1"
  run fsck
  has 'nothing is damaged'
  run run e.dk -q
  [ "$(answers)" = "$first" ] || fail "$1: other results afterwards"
  stop_agents # one that is ending still writes
  rm -rf .dkrun
  cp -a "$good" .dkrun
}
write() { # FILE SHELL-COMMAND: as somebody would who may
  chmod u+w "$1"
  eval "$2"
  chmod a-w "$1"
}
seq 1 1100 >"$room/data"
data=$(find .dkrun/objects -type f -exec cmp -s {} "$room/data" \; -print)
manifest=$(grep -l '^dkrun directory' -r .dkrun/objects | head -1)
rm -f "$data"
damaged 'the result of make k=1'
write "$data" 'truncate -s 10 "$data"'
damaged "object ${data#.dkrun/objects/} is altered"
write "$data" 'printf 9 | dd of="$data" bs=1 conv=notrunc status=none'
damaged "object ${data#.dkrun/objects/} is altered"
# With its time put back: whether who had it as an input had it right cannot be told.
write "$data" 'printf 9 | dd of="$data" bs=1 conv=notrunc status=none; touch -d @1 "$data"'
damaged 'the result of sum k=1'
seq 50002 >"$room/in-more"
in_more=$(find .dkrun/objects -type f -exec cmp -s {} "$room/in-more" \; -print)
write "$in_more" 'printf 9 | dd of="$in_more" bs=1 conv=notrunc status=none; touch -d @1 "$in_more"'
damaged 'the result of sum k=2'
chmod u+w "$data"
damaged "object ${data#.dkrun/objects/} can be written to"
write "$manifest" 'printf X | dd of="$manifest" bs=1 seek=2 conv=notrunc status=none'
damaged "object ${manifest#.dkrun/objects/} is altered"
echo half >".dkrun/objects/${data:15:2}/tmp.left"
touch -d '2 days ago' ".dkrun/objects/${data:15:2}/tmp.left"
damaged "objects/${data:15:2}/tmp.left"
tree=$(find .dkrun/trees -name make.sh | head -1)
chmod -R u+w .dkrun/trees
echo 'echo 7' >"$tree"
damaged 'code tree trees/'
rm -rf .dkrun/git/objects/??
damaged 'the source of run'
# Pages of the store, behind the two meta pages: noise where a B-tree's page was.
pages=$(($(stat -c %s .dkrun/store/data.mdb) / 4096))
hit=0
for ((page = 2; page < pages && hit < 8; page++)); do
  stop_agents # one that is ending still writes
  rm -rf .dkrun
  cp -a "$good" .dkrun
  dd if=/dev/urandom of=.dkrun/store/data.mdb bs=4096 seek="$page" count=1 conv=notrunc status=none
  code=0
  "$dkrun" fsck >"$room/fsck" 2>&1 || code=$?
  case $code in
  0) continue ;; # a page that is free
  1) ;;
  *) fail "page $page: exit $code: $(cat "$room/fsck")" ;;
  esac
  hit=$((hit + 1))
  run fsck --repair
  run fsck
  has 'nothing is damaged'
  run run e.dk -q
  [ "$(answers)" = "$first" ] || fail "page $page: other results afterwards"
done
# What can be read all the same, and would be the end of the next one who writes: bits in the head of the page that all tables hang on.
store=.dkrun/store/data.mdb
fresh() {
  stop_agents
  rm -rf .dkrun
  cp -a "$good" .dkrun
}
fresh
number() { od -An -t u"$2" -j "$1" -N "$2" $store | tr -d ' '; } # OFFSET BYTES
flip() { # OFFSET BITS
  # shellcheck disable=SC2059 # a byte, written as one
  printf "\\x$(printf %02x $(($(number "$1" 1) ^ $2)))" | dd of=$store bs=1 seek="$1" conv=notrunc status=none
}
mends() { # WHAT
  run fsck --repair
  run fsck
  has 'nothing is damaged'
  run run e.dk -q
  [ "$(answers)" = "$first" ] || fail "$1: other results afterwards"
}
meta=0
[ "$(number 144 8)" -gt "$(number $((4096 + 144)) 8)" ] || meta=4096
root=$(($(number $((meta + 128)) 8) * 4096))
bits=0
for bit in '10 16' '15 64' '5 128' '11 128' '12 2'; do
  flip $((root + ${bit% *})) "${bit#* }"
  run -e 1 fsck
  has 'damaged'
  mends "bits $bit"
  bits=$((bits + 1))
  fresh
done
# What leads to a table is lost: where its entry is in that page, its name, its first page. All that it had is found in the pages themselves,
# so nothing runs again.
entry() { # TABLE: where its entry's number lies in the page
  local i
  for ((i = 0; ; i++)); do
    place=$((root + 16 + 2 * i))
    name=$((root + $(number $place 2) + 8))
    [ "$(dd if=$store bs=1 skip=$name count=${#1} status=none | tr -d "\0")" != "$1" ] || return 0
  done
}
run fsck
kept=$(sed -n "s/.* runs, \\([0-9]*\\) results.*/\\1/p" <<<"$out")
for lead in 'results place' 'tasks first' 'meta first' 'asked_runs name'; do
  entry "${lead% *}"
  first_page=$((name + $(number $((name - 2)) 2) + 40))
  case ${lead#* } in place) at=$place ;; name) at=$name ;; *) at=$first_page ;; esac
  flip "$at" 8
  run -e 1 fsck
  has 'damaged'
  run fsck --repair
  has ", $kept results could be read"
  lacks lost
  run fsck
  has 'nothing is damaged'
  run run e.dk --plain
  has 'nothing to do: 6 cached'
  [ "$(answers)" = "$first" ] || fail "$lead: other results afterwards"
  bits=$((bits + 1))
  fresh
done
[ "$hit" -ge 5 ] || fail "only $hit of the store's pages were noticed"
# A wrong bit in a key: nobody finds the entry where it stands now. Free pages have old ones too, so each is tried.
keys=0
for at in $(LC_ALL=C grep -aboP 'e\x00[a-z]+ [a-z]+=' $store | cut -d: -f1 | head -20); do
  flip "$at" 128
  if ! "$dkrun" fsck >"$room/out" 2>&1; then
    keys=$((keys + 1))
    mends "key at $at"
  fi
  fresh
  [ "$keys" -lt 3 ] || break
done
[ "$keys" -gt 0 ] || fail 'no key was hit'
echo "keep: $kinds kinds of damage, $hit pages, $bits flipped bits: all mended"
