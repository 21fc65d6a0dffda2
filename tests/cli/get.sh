#!/bin/bash
# get: outputs copied out of the state folder, what it refuses, and what was altered meanwhile.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
repo
put e.dk <<'END'
grid g { x in [1, 2]  y in [10, 20] }
task train over g {
  outputs { model = "out/m.bin"  log = "log/m.bin" }
  metrics { score = match(stdout, 'score=([0-9]+)') }
  run = """
    mkdir -p out log
    echo model {{x}} {{y}} > {{outputs.model}}
    echo log {{x}} {{y}} > {{outputs.log}}
    echo score=$(( {{raw(x)}} * {{raw(y)}} ))
  """
}
pick best { from = train  maximize = score }
task tree {
  outputs { files = "files/" }
  run = "mkdir -p files/sub files/none; echo one > files/a; echo two > files/sub/b; chmod +x files/sub/b; ln -s ../a files/sub/l"
}
task final {
  inputs  { model = best.model }
  outputs { model = "final.bin" }
  run = "cp {{inputs.model}} {{outputs.model}}"
}
task bad { outputs { x = "x" }  run = "false" }
task plain { run = "echo plain" }
END
commit
run -e 4 get final.model
has_err 'nothing was run'
run -e 1 run -q
has '| dkrun get final.model'

# One output: here, under a name, into a folder; never over what is there.
run get final.model
is final.bin
[ "$(<final.bin)" = 'model 2 20' ] || fail 'content of final.bin'
[ "$(stat -c %a final.bin)" = 644 ] || fail 'mode of final.bin'
echo mine >final.bin
run -e 4 get final.model
has_err 'final.bin exists already'
has_err '--force'
[ "$(<final.bin)" = mine ] || fail 'final.bin was overwritten'
run get final.model --force
[ "$(<final.bin)" = 'model 2 20' ] || fail 'final.bin was not replaced'
run get final -o copy.bin # it has but one
is copy.bin
cmp copy.bin final.bin || fail copy.bin
mkdir there
run get final.model -o there
is there/final.bin
run get final.model -o new/
is new/final.bin
run -e 4 get final.model -o no/such/file
has_err 'no/such'
lacks_err 'fsck'
run get best.model -o best.bin # what it chose
cmp best.bin final.bin || fail best.bin
run get t4.model -o t4.bin
cmp t4.bin final.bin || fail t4.bin
(cd there && "$dkrun" get t1.log -o - >/dev/null && [ "$(<-)" = 'log 1 10' ]) || fail 'a relative place'

# A folder.
run get tree.files
is files
[ "$(<files/a)$(<files/sub/l)$(<files/sub/b)" = oneonetwo ] || fail 'files of the folder'
[[ -x files/sub/b && ! -x files/a && -d files/none ]] || fail 'modes of the folder'
run -e 4 get tree.files
touch files/mine
run get tree.files -f
[[ ! -e files/mine && -f files/a ]] || fail 'the folder was not replaced'
rm -r files
echo mine >files
run -e 4 get tree.files -f # a file is in its way
[ "$(<files)" = mine ] || fail 'the file in the way of a folder'

# Several outputs, several tasks.
run get train x=1 y=20 -o both
has both/model-m.bin
has both/log-m.bin
[ "$(<both/model-m.bin)$(<both/log-m.bin)" = 'model 1 20log 1 20' ] || fail both
run -e 2 get train.model
has_err '4 tasks match: t1 train x=1 y=10'
has_err 'or give a folder'
run get train.model -o all
count 4 all/t
[ "$(<all/t3-train-x=2-y=10/m.bin)" = 'model 2 10' ] || fail all
run get train.model --where 'x == 1' -o some/
count 2 some/t
run -e 2 get train.model -o final.bin
has_err 'final.bin is no folder'

# What is not there.
run -e 2 get final.modl
has_err '`final` has no output `modl`'
has_err 'it has model'
run -e 2 get fnal.model
has_err 'did you mean `final`'
run -e 2 get plain
has_err '`plain` has no outputs'
run -e 2 get
run -e 1 get bad.x
has_err 'bad has no outputs in run 1: failed'
run -e 4 get final.model --run 7
has_err 'no run 7'

# What is refused leaves no folder that it made, nor those above it; what was there stays.
mkdir ../kept
for to in ../made/ ../made/by/get/ ../kept/made//by/ ../made/../made/by/ ../made/../kept/ ../made/by/../../kept/made/by/; do
  run -e 1 get bad.x -o "$to"
  run -e 2 get fnal.model -o "$to"
  run -e 4 get final.model --run 7 -o "$to"
done
run -e 1 get bad.x -o ../kept
run -e 1 get bad.x -o ../kept/
run -e 4 get final.model -o final.bin/made/by/
[ -d ../kept ] || fail 'what was there before is gone'
[ -z "$(ls -A ../kept)" ] || fail "left: $(ls -A ../kept)"
[ ! -e ../made ] || fail "left: $(find ../made)"

run -e 2 get lr=0.1 final.model
has_err '`lr=0.1` is a value of a column'
run -e 2 get 3
has_err 'task 3 is `t3`; a run is named by `--run 3`'

# Outputs whose files have the same name, and one whose name looks like what tells them apart; the longest name there is.
mkdir ../names
long=$(printf 'a%.0s' {1..250})
put names.dk <<EOT
task same {
  outputs { a = "x/f"  b = "y/f"  c = "a-f" }
  run = "mkdir x y; echo A > x/f; echo B > y/f; echo C > a-f"
}
task long { outputs { o = "$long" }  run = "echo long > $long" }
EOT
run run names.dk -q
run get same -o ../names
[ "$(cat ../names/a-f ../names/b-f ../names/c-a-f | tr -d '\n')" = ABC ] || fail 'names of outputs'
rm ../names/a-f ../names/b-f
run -e 4 get same -o ../names
has_err 'names/c-a-f exists already'
[ ! -e ../names/a-f ] || fail 'something was copied though something else is in the way'
run get long.o -o ../names
[ "$(cat "../names/$long")" = long ] || fail 'a long name'
rm names.dk
run -e 1 run e.dk -q

# Altered or gone: nothing is copied, and what is said helps.
object=$(find .dkrun/objects -type f -exec cmp -s {} final.bin \; -print)
chmod u+w "$object"
echo wrong >"$object"
run -e 4 get final.model -o ../made/by/
[ ! -e ../made ] || fail "left: $(find ../made)"
run -e 4 get final.model -o again.bin
has_err 'was altered in .dkrun/objects'
has_err '`dkrun run e.dk` makes it again'
run -e 1 run e.dk -q # and so it does, though nothing else has changed
run get final.model -o again.bin
cmp again.bin final.bin || fail 'what was altered is not made again'
rm again.bin
object=$(find .dkrun/objects -type f -exec cmp -s {} final.bin \; -print)
rm -f "$object"
run -e 4 get final.model -o again.bin
has_err 'is gone from .dkrun/objects'
[ ! -e again.bin ] || fail 'something was copied'
run -e 1 run -q
run get final.model -o again.bin
cmp again.bin final.bin || fail again.bin
[ -z "$(find . -name '*.dkrun-*' -not -path './.dkrun/*')" ] || fail 'something unfinished is left'

# What the next run would refuse to keep with its source is said by who puts it there.
put large.dk <<'END'
grid g { x in 1..3 }
task large over g {
  outputs { a = "a"  b = "b" }
  run = "head -c 1500000 /dev/zero > a; echo {{x}} > b"
}
END
commit
run run large.dk -q
run get large.b -o some
lacks_err note
run get large -o some/all
has_err 'note: as it is now, the next run will be refused: 3 untracked files are too large to be kept with the run'
has_err '(echo /some/all/ >> .gitignore)'
echo '# otherwise' >>large.dk # else there is nothing to do, and nothing to keep
run -e 4 run large.dk
has_err '3 untracked files are too large'
rm -r some
run get large -o "$room/elsewhere"
lacks_err note
echo /some/ >>.gitignore
run get large -o some
lacks_err note
run run large.dk -q
