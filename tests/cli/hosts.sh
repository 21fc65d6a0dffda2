#!/bin/bash
# What people see of hosts: dkrun hosts, hosts clean, providers check, and where a run says that it runs. The hosts are real ones.
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/../support/hosts.sh"
at_end+=(hosts_down)
export XDG_CONFIG_HOME=$room/config
hosts_up 3

providers() { put "$XDG_CONFIG_HOME/dkrun/providers.dk" <<<"provider lab { kind = \"ssh\"  hosts = [$1]  config = \"$hosts/ssh_config\" ${2-} }"; }
there() { echo "$hosts/h$1/home/.cache/dkrun/h$1"; }
is_empty() { [ -z "$(find "$hosts"/h*/home/.cache -name '.try-*')" ]; }

repo
put e.dk <<'END'
grid g { x in 1..4 }
task make over g {
  outputs { out = "out" }
  run     = "until [ -e /run/host/begin ]; do sleep 0.1; done; echo {{x}}; head -c 3000000 /dev/urandom > {{outputs.out}}"
}
END
put long.dk <<'END'
grid g { x in 1..4 }
task wait over g {
  run = "echo {{x}}; touch /tmp/began; for i in {1..200}; do if [ -e /run/host/go ]; then exit 0; fi; sleep 0.1; done; exit 9"
}
END
put gpu.dk <<'END'
task t { needs = { gpus = 1 }  run = "true" }
END
commit

# --- without other hosts ---

run hosts
count 1 ' local '
lacks 'asks them now'
run -e 4 hosts clean
has_err 'nothing was run in this repository yet'
run providers check
has 'ok: 1 provider, 1 host'
run -e 2 hosts wash
has_err 'no `dkrun hosts wash`'
run doctor
has 'other hosts configured: 0'

# --- before anything ran there ---

providers '"h1", "h2"'
run hosts
count 2 'not reached'
has 'No run has reached them yet. `dkrun hosts --ask` asks them now.'
run plan gpu.dk
has 'on lab: h1 (not reached yet), h2 (not reached yet): '
run doctor
has 'other hosts configured: 2'
run providers check
count 1 'ok        lab h1  x86_64'
count 1 'ok        lab h2  x86_64'
has ' cpu'
has ' free in /root/.cache/dkrun/h1'
has 'ok: 1 provider, 2 hosts'
wait_until is_empty
[ "$(ls "$(there 1)")" = bin ] || fail "more than the program is left: $(ls "$(there 1)")"
run providers check h2
lacks 'lab h1'
has 'ok: 1 provider, 1 host'
run -e 2 providers check h7
has_err 'no provider or host `h7`: did you mean `h1`?'

# --- a run ---

"$dkrun" run --plain e.dk >"$room/first" 2>&1 </dev/null &
first=$!
are_up() { run hosts && [ "$(grep -c ' up ' <<<"$out")" -eq 2 ]; }
wait_until are_up
touch "$hosts/h1/begin" "$hosts/h2/begin"
wait "$first" || fail "the run ended with $?: $(<"$room/first")"
grep -q 'done: 4 ran, 0 cached, 0 failed, on lab: h' "$room/first" || fail "$(<"$room/first")"
run hosts
count 2 'up '
has 'No engine works here: this is as of'
run hosts --format json
perl -MJSON::PP -0777 -e '
  my $all = decode_json(<STDIN>);
  my @hosts = @{$all->{hosts}};
  die "hosts" unless @hosts == 2 && $all->{engine} == 0 && !$all->{asked};
  my $outputs = 0;
  for (@hosts) {
    die "state" unless $_->{state} eq "up" && $_->{provider} eq "lab" && $_->{memory} > 1e6 && $_->{slots} > 0 && $_->{seen} =~ /Z$/;
    die "not asked" if defined $_->{ours};
    $outputs += $_->{outputs};
  }
  die "outputs $outputs" unless $outputs == 4;
' <<<"$out" || fail "JSON of hosts"
run hosts --ask --format json
perl -MJSON::PP -0777 -e 'my $all = decode_json(<STDIN>); die unless $all->{asked}; my $ours = 0; $ours += $_->{ours} for @{$all->{hosts}}; die "ours $ours" unless $ours > 12e6' \
  <<<"$out" || fail "JSON of hosts that were asked"
run plan e.dk
[[ $out =~ on\ lab:\ h1\ \([0-9]+\ cpus?,\ .*iB\),\ h2\ \( ]] || fail "plan does not know the hosts"
run -e 4 plan gpu.dk
has_err 't needs 1 gpu, and h1 has 0; 1 gpu, and h2 has 0'
run -e 4 run gpu.dk
has_err 't needs 1 gpu, and h1 has 0; 1 gpu, and h2 has 0'

# --- cleaning ---

run -e 4 hosts clean
has_err 'outputs of 4 results (11.4 MiB) are kept there and nowhere else: nothing was removed'
has_err 'with --all they go too'
run -e 2 hosts clean h7
has_err 'no provider or host `h7`'
before=$(find "$hosts"/h[12]/home/.cache -size +2000k -path "*/objects/*" | wc -l)
[ "$before" -eq 4 ] || fail "$before outputs are there"
run plan e.dk
has '4 cached, 0 to run'
run -e 2 hosts clean --all lab
has_err "nobody can be asked here"
run hosts clean --all --yes lab
has 'outputs of 4 results (11.4 MiB) are kept there and nowhere else: they will have to be made again'
count 2 'freed'
[ ! -e "$hosts/h1/home/.cache/dkrun" ] || fail "something is left: $(find "$hosts/h1/home/.cache/dkrun")"
run plan e.dk
has '0 cached, 4 to run'
# That they are gone was announced: it is no damage.
run fsck
has 'outputs of 4 results were removed with `dkrun hosts clean`'
has 'nothing is damaged'
run -e 4 get t1
has_err 'was only at host h'
has_err 'help: `dkrun run e.dk` makes it again'
run why e.dk t1
has 'and removed there (dkrun hosts clean)'
# The program also goes from where nothing of this repository is.
run providers check
[ "$(ls "$(there 1)")" = bin ] || fail "not the program alone: $(ls "$(there 1)")"
run hosts clean
count 2 ': 0 B freed'
[ -d "$(there 1)/bin" ] || fail "the program is gone without --all"
mkdir "$(there 2)/another"
run hosts clean --all
count 2 ': 0 B freed'
[ ! -e "$hosts/h1/home/.cache/dkrun" ] || fail "something is left: $(find "$hosts/h1/home/.cache/dkrun")"
[ -d "$(there 2)/bin" ] || fail "the program is gone, and another repository has a folder there"
# What others put beside the program stays, and so do the folders that it is in.
rmdir "$(there 2)/another"
bin=$(there 2)/bin
mkdir -p "$bin/dkagent-mine"
touch "$bin/mine" "$bin/dkagent-mine/dkagent-x" "$bin/.dkagent-cut.9"
ln -s nowhere "$bin/dkagent-link"
run hosts clean --all
[ "$(ls -A "$bin")" = $'dkagent-link\ndkagent-mine\nmine' ] || fail "of others are left: $(ls -A "$bin")"
[ -e "$bin/dkagent-mine/dkagent-x" ] || fail "a file in a folder of others is gone"
rm -r "$bin"
mkdir "$hosts/h2/home/others"
touch "$hosts/h2/home/others/dkagent-x"
ln -s ../../../others "$bin"
run hosts clean --all
[ -h "$bin" ] || fail "a link of others is gone"
[ -e "$hosts/h2/home/others/dkagent-x" ] || fail "a file behind a link is gone"
rm "$bin"
run run e.dk
has 'done: 4 ran'
run fsck
lacks 'hosts clean'

# --- one that is taken out of the file keeps what it has ---

keeper=$(perl -MJSON::PP -0777 -e 'print((grep { $_->{outputs} } @{decode_json(<STDIN>)->{hosts}})[0]{host})' <<<"$("$dkrun" hosts --format json)")
if [ "$keeper" = h1 ]; then providers '"h2"'; else providers '"h1"'; fi
run hosts
has 'removed'
has "lab $keeper: no file of providers names it any more, and it keeps "
run -e 4 hosts clean "$keeper"
has_err "no file of providers names \`$keeper\` any more"
# What is there alone would be made again, and that is said before.
run plan e.dk
[[ $out =~ is\ at\ host\ $keeper\ alone,\ which\ no\ file\ of\ providers\ names\ now ]] || fail "not said by plan"
lacks 'nothing to do'
# The engine knows it from now on: what is there is no damage, and a mended store has it still.
put none.dk <<<'task none { run = "true" }'
run run none.dk
run fsck
[[ $out =~ note\ +what\ [1-4]\ tasks?\ made\ is\ at\ host\ $keeper\ alone,\ which\ no\ file\ of\ providers\ names\ now:\ not\ looked\ at ]] ||
  fail "fsck does not say what it did not look at: $out"
has 'nothing is damaged'
run fsck --repair
providers '"h1", "h2"'
run plan e.dk
has 'nothing to do'
run run e.dk
has 'nothing to do: 4 cached'

# --- while an engine works ---

"$dkrun" run --plain long.dk >"$room/long" 2>&1 </dev/null &
long=$!
began() { host_exec 1 test -e /tmp/began && host_exec 2 test -e /tmp/began; }
wait_until began
run hosts
count 2 'up '
lacks 'No engine works'
is_known() { run hosts && [[ $(awk '$2 == "h1" { print $4 }' <<<"$out") -gt 0 ]]; }
wait_until is_known
run status 5
[[ $out =~ running\ t[0-9]+\ wait\ x=[0-9]\ \ on\ h[12] ]] || fail "status does not say where"
run providers check
has 'ok: 1 provider, 2 hosts'
run -e 4 hosts clean
has_err 'another dkrun works in'

# --- one goes down: told once, and known to who looks ---

host_kill_sshd 2
is_down() { run hosts && [[ $(awk '$2 == "h2" { print $3 }' <<<"$out") = down ]]; }
wait_until is_down
has 'lab h2: '
run -e 4 providers check
has 'problem   lab h2  no ssh server answers there'
has '1 of 2 hosts is fine'
run hosts --ask
has 'lab h2: no ssh server answers there'
sleep 3 # tries, one a second and then fewer
[ "$(grep -c '^h2: .*connecting again' "$room/long")" -eq 1 ] || fail "not told once: $(cat "$room/long")"
# Who comes later is told too, once, whether it watches the run or asks for it again.
is_told() { grep -q '^h2: ' "$room/late"; }
for late in "attach --plain" "run --plain long.dk"; do
  # shellcheck disable=SC2086 # words
  "$dkrun" $late >"$room/late" 2>&1 </dev/null &
  joined=$!
  wait_until is_told
  sleep 1
  kill -KILL "$joined"
  wait "$joined" 2>/dev/null || true
  [ "$(grep -c '^h2: no ssh server answers there.*connecting again' "$room/late")" -eq 1 ] || fail "$late: $(cat "$room/late")"
  is_there "$long" || fail "the run ended with $late"
done
host_start_sshd 2
is_back() { grep -q '^h2: it is there again' "$room/long"; }
wait_until is_back

# --- tasks that go on without their engine ---

kill -KILL "$long"
wait "$long" 2>/dev/null || true
run -e 4 hosts clean --all
has_err 'may still run at lab h'
has_err 'dkrun attach'
touch "$hosts/h1/go" "$hosts/h2/go"
run run --plain long.dk
has ' 0 failed'

# --- trouble of all kinds ---

# One that wants a password: on a terminal it is asked for, once.
masters() { find "/tmp/dkrun-$(id -u)" -maxdepth 1 -type s -name 'ssh-*' 2>/dev/null | sort; }
prompted() { grep -q 'password: ' "$room/shown" 2>/dev/null; }
if command -v script >/dev/null; then
  host_password 3 'correct horse'
  sed '/IdentityFile/d' "$hosts/ssh_config" >"$hosts/no_key"
  put "$XDG_CONFIG_HOME/dkrun/providers.dk" <<<"provider lab { kind = \"ssh\"  hosts = [\"h3\"]  config = \"$hosts/no_key\" }"
  run -e 4 providers check
  has 'problem   lab h3  ssh is not let in'
  masters >"$room/before"
  mkfifo "$room/typed"
  script -qefc "'$dkrun' providers check" "$room/shown" <"$room/typed" >/dev/null 2>&1 &
  asked=$!
  exec 8>"$room/typed"
  wait_until prompted
  echo 'correct horse' >&8
  wait "$asked" || fail "exit code $?: $(<"$room/shown")"
  exec 8>&-
  grep -q 'please answer what it asks' "$room/shown" || fail "$(<"$room/shown")"
  grep -q 'ok        lab h3  x86_64' "$room/shown" || fail "$(<"$room/shown")"
  run providers check
  has 'ok: 1 provider, 1 host'
  for socket in $(masters | comm -13 "$room/before" -); do ssh -o ControlPath="$socket" -O exit x 2>/dev/null || true; done
fi

providers '"h1", "h3"'
cp "$hosts/known_hosts" "$room/known"
grep -v "^$(host_ip 3) " "$room/known" >"$hosts/known_hosts"
run -e 4 providers check
has 'ok        lab h1'
has 'problem   lab h3  its host key is not known here'
has 'help: connect once by hand'
cp "$room/known" "$hosts/known_hosts"

printf 'ID=other\nVERSION_ID="1"\n' >"$hosts/h3/os-release"
host_exec 3 mount --bind /run/host/os-release /etc/os-release
run -e 4 providers check h3
has 'no tasks  lab h3  it is x86_64, other 1, glibc'
has 'mixed = true'
run hosts --ask
[[ $(awk '$2 == "h3" { print $3 $4 }' <<<"$out") = notasks ]] || fail "h3 is not without tasks"
put late.dk <<'END'
task late { run = "sleep 100" }
END
commit
run run late.dk --detach
is_barred() { run hosts && [[ $(awk '$2 == "h3" { print $3 $4 }' <<<"$out") = notasks ]]; }
wait_until is_barred
"$dkrun" attach --plain >"$room/late" 2>&1 </dev/null &
joined=$!
is_told() { grep -q '^h3: it is x86_64, other 1, .*it gets no tasks' "$room/late"; }
wait_until is_told
run cancel --now
wait "$joined" || true
providers '"h1", "h3"' 'mixed = true'
run providers check h3
has 'ok        lab h3  x86_64, other 1'

day=$(date +%u) days=(Mon Tue Wed Thu Fri Sat Sun)
providers '"h1", "h3"' "mixed = true  hours = \"${days[$(((day + 2) % 7))]}\""
run hosts --ask
count 2 'closed'
has 'outside its hours, '
run providers check h1
has 'note      lab h1  outside its hours'

providers '"h1", "h3"' 'mixed = true'
host_exec 3 mount -t tmpfs -o size=200k full /root
run -e 4 providers check h3
has 'No space left on device'
host_exec 3 umount /root
host_exec 3 mount -t tmpfs -o ro,size=200k readonly /root
host_exec 3 mount -o remount,bind,ro /var/tmp
run -e 4 providers check h3
has 'problem   lab h3  '
has 'Read-only file system'

# --- what the script says to a hostile host's face is bounded by the dial's own tests; here: no host at all ---

providers '"nowhere.invalid"'
run -e 4 providers check
has 'problem   lab nowhere.invalid'
