#!/bin/bash
# What lies in the state folder is changed by hand: it is noticed when it is used, and what made it runs again; no wrong content reaches a task.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
repo
put lib/make.sh <<<'seq "$1"'
put lib/deep/word <<<'right'
put given.txt <<<'5'
put e.dk <<'EOF'
param n = 1
task make {
  inputs  { given = file("given.txt") }
  code    = ["lib/"]
  outputs { data = "data.txt"  more = "more/" }
  run = """
    sh lib/make.sh $(cat {{inputs.given}}) > {{outputs.data}}
    mkdir -p more/sub; echo one > more/a; echo two > more/sub/b
  """
}
task use {
  inputs  { data = make.data  more = make.more }
  code    = ["lib/"]
  metrics { lines = match(stdout, '^([0-9]+)')  words = match(stdout, '(?m)^words (.*)$') }
  run = """
    : {{n}}
    wc -l < {{inputs.data}}
    echo words $(cat {{inputs.more}}/a {{inputs.more}}/sub/b) $(cat lib/deep/word)
  """
}
report { table { from = use  columns = [lines, words] } }
EOF
commit
run run -q
round=1
# The consumer runs anew: its inputs are used. $1: what the run comes to.
uses() {
  round=$((round + 1))
  run run -p n="$round" --plain
  has "$1"
  run results --format csv
  has '5,one two right'
}
uses '1 ran, 1 cached'

object_of() { # of the content of stdin
  cat >"$room/content"
  find .dkrun/objects -type f -exec cmp -s {} "$room/content" \; -print
}
data=$(seq 5 | object_of)
b=$(echo two | object_of)
manifest=$(grep -la '^dkrun directory' -r .dkrun/objects)
given=$(echo 5 | object_of)

# As somebody does who may: no mode keeps root out, and others have chmod.
change() { # FILE CONTENT
  chmod u+w "$1"
  printf '%s\n' "$2" >"$1"
  chmod a-w "$1"
}
change "$data" $'9\n9\n9\n9\n9'
run why make
has 'was altered in .dkrun/objects'
uses '2 ran, 0 cached'
rm -f "$data"
run why make
has 'is gone from .dkrun/objects'
uses '2 ran, 0 cached'
change "$b" three
uses '2 ran, 0 cached'
rm -f "$b"
uses '2 ran, 0 cached'
change "$manifest" 'dkrun directory 1'
uses '2 ran, 0 cached'
change "$given" 6
rm -f "$data"
uses '2 ran, 0 cached'

# Only touched, or copied without its times: it is read once, and nothing runs.
touch "$data" "$b"
uses '1 ran, 1 cached'
cp -r .dkrun/objects "$room/copy"
rm -rf .dkrun/objects
mv "$room/copy" .dkrun/objects
uses '1 ran, 1 cached'
[ "$(stat -c %a-%Y "$data")" = 444-1 ] || fail "not sealed again: $(stat "$data")"

# The code as it was written out from the commit.
tree=$(find .dkrun/trees -mindepth 1 -maxdepth 1)
chmod -R u+w "$tree"
echo wrong >"$tree/lib/deep/word"
uses '1 ran, 1 cached'
echo 'seq 9' >"$tree/lib/deep/extra"
rm "$tree/lib/deep/word"
uses '1 ran, 1 cached'
rm -r "$tree/lib/deep"
uses '1 ran, 1 cached'
[ "$(find .dkrun/trees -mindepth 1 | wc -l)" -eq "$(find "$tree" | wc -l)" ] || fail "something is left: $(find .dkrun/trees)"

# Between the look at it and its use: the task says so, and the next run sets it right.
put late.dk <<'EOF'
param n = 1
task make { outputs { data = "data.txt" }  run = "seq 7 > {{outputs.data}}" }
task first {
  inputs  { data = make.data }
  outputs { done = "done" }
  pass    = ["DATA"]
  run     = ": {{n}}; chmod u+w $DATA; echo 8 >> $DATA; chmod a-w $DATA; echo {{n}} > {{outputs.done}}"
}
task second {
  inputs  { data = make.data  done = first.done }
  metrics { lines = match(stdout, '([0-9]+)') }
  run     = "wc -l < {{inputs.data}}"
}
report { table { from = second  columns = [lines] } }
EOF
export DATA=$room/other
touch "$DATA"
run run late.dk -q
DATA=$PWD/$(seq 7 | object_of)
run run late.dk --plain -p n=2
has 'done t1 make' # again, in the same run: what was altered is as good as lost
has 'lines 7'
run results --format csv
[ "$(tail -n 1 <<<"$out")" = 7 ] || fail "$out"
