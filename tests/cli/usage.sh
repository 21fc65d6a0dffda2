#!/bin/bash
# The command line itself: help, version, suggestions, exit codes.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
cd "$room"

run --version
[[ $out =~ ^dkrun\ [0-9]+\.[0-9]+\.[0-9]+$ ]] || fail "no version"

# One screen: 24 lines of 80 columns.
run help
[ "$(wc -l <<<"$out")" -le 24 ] || fail "help is longer than a screen"
[ "$(awk '{ if (length > m) m = length } END { print m }' <<<"$out")" -le 80 ] || fail "help is wider than 80 columns"
screen=$out
run --help
is "$screen"
run -e 2
is "$screen"

# What the screen lists exists and explains itself, in 80 columns but for its usage line.
mapfile -t commands < <(grep -oP '^  .{6} dkrun \K[a-z]+' <<<"$screen")
[ "${#commands[@]}" -ge 9 ] || fail "${#commands[@]} commands"
for command in "${commands[@]}"; do
  run help "$command"
  has "usage: dkrun $command"
  page=$out
  run "$command" --help
  is "$page"
  [ "$(tail -n +2 <<<"$page" | awk '{ if (length > m) m = length } END { print m }')" -le 80 ] || fail "help $command is too wide"
done

# The language's functions, from the same table that the checker reads.
run help functions
has '  match(where, regex)'
has '  sample(grid, n, seed)'
lacks 'drawn('
lacks 'url('
[ "$(awk '{ if (length > m) m = length } END { print m }' <<<"$out")" -le 80 ] || fail "help functions is wider than 80 columns"

run -e 2 stauts
has_err 'no command `stauts`: did you mean `status`?'
run -e 2 svm.dk
has_err 'dkrun run svm.dk'
run -e 2 help nothing
has_err 'no command `nothing`'
run -e 2 check --fromat json
has_err 'no option `--fromat`: did you mean `--format`?'
has_err 'usage: dkrun check'
run -e 2 check -x
has_err 'no option `-x`'
run -e 2 check -p
has_err 'needs a value'
run -e 2 check -p novalue
has_err 'NAME=VALUE'
run -e 2 check --format xml
has_err 'text or json'
run -e 2 check a.dk b.dk
has_err 'one file at a time'
run -e 2 status nonsense
has_err 'RUN is a number'
run -e 2 logs
has_err 'of which task?'
run -e 2 logs t1 --out --err
has_err 'exclude each other'
run -e 2 --color sometimes check
has_err '--color takes'
run -e 2 run --jobs 0
has_err '--jobs takes a number'

# Commands that need a repository say so; nothing is left behind.
run -e 4 status
has_err 'not in a git repository'
has_err 'help: git init'
[ -z "$(find . -mindepth 1 ! -name out ! -name err)" ] || fail "files were left: $(find .)"

# What other tools call by an option is told by its name here.
run -e 2 run --dry-run
has_err '`dkrun plan` says what a run would do'
run -e 2 run -n
has_err '`dkrun plan` says what a run would do'
run -e 2 gc --dry-run
has_err 'without --yes nothing is deleted'
run -e 2 run e.dk n=2
has_err '`n=2` is no experiment file'
has_err 'help: a parameter is set by `-p n=2`'
run -e 2 check a.dk b.dk
has_err 'one file at a time: `b.dk` is one too many'
