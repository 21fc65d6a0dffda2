#!/bin/bash
# Clouds in the files of providers: what providers, hosts, plan and doctor say of them while nothing is made, with hosts beside them and
# without any.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
mine=$XDG_CONFIG_HOME/dkrun/providers.dk

put "$mine" <<'END'
provider lab {
  kind = "far"  region = "eu"  image = "debian-12"  max_instances = 4  user = "root"  leave = 1
  shapes = [{ name = "small", cpus = 2, memory = 4GiB, disk = 10GiB, price = 0.10USD/h },
            { name = "large", cpus = 8, memory = 32GiB, gpus = 2, price = 1.50USD/h }]
}
END
chmod -R go-w "$XDG_CONFIG_HOME"

# Only a cloud: there are no hosts
cd "$room"
run providers
has 'lab       far   (made)  yours:1  up to 4 of small (2 cpus, 4 GiB, 10 GiB of disk, 0.1USD/h), large (8 cpus, 2 gpus, 32 GiB, 1.5USD/h), from debian-12, idle for 5m at most, as root, leave 1 cpu'
run providers --format json
has '"hosts":[],"clouds":[{"provider":"lab","kind":"far","user_line":1,"repository_line":null,"image":"debian-12","recipe":null,"max_instances":4,"idle_seconds":300,"boot_seconds":600,"shapes":[{"name":"small","cpus":2,"gpus":0,"memory":4294967296,"disk":10737418240,"price_millionths":100000,"currency":"USD"},'
has '"memory":34359738368,"disk":null,'
has ',"user":"root","port":null,"config":null}]}'
run providers check --files
is 'ok: 1 provider, 1 cloud (files only: no host was asked)'
run -e 4 providers check lab
is $'problem   lab  this cloud is far away\nthe cloud is not fine'
run -e 2 providers check lub
has_err 'no provider or host `lub`: did you mean `lab`?'
run hosts
is 'lab: up to 4 instances of small or large'
run hosts --ask --format json
has '"hosts":['
has '],"clouds":[{"provider":"lab",'

repo
run down # what no engine has to be started for
is 'No machine is rented.'
[ ! -e .dkrun ] || fail 'an engine was started'
put fits.dk <<'END'
task t { run = "true"  needs = { cpus = 8  memory = 32GiB } }
END
put many.dk <<'END'
task t { run = "true"  needs = { cpus = 9 } }
END
put both.dk <<'END'
task t { run = "true"  needs = { gpus = 3 } }
END
put model.dk <<'END'
task t { run = "true"  needs = { gpus = 1  gpu = "V100" } }
END
commit
run plan fits.dk
has ', on lab: up to 4 instances of small or large: 0 cached, 1 to run, 0 later'
has $'\ncost  at most 6USD/h for lab\n'
run -e 4 plan many.dk
has_err 't needs 9 cpus, and no shape of lab has so many'
run -e 4 plan both.dk
has_err 't needs 3 gpus, and no shape of lab has so many'
run -e 4 plan model.dk
has_err 't needs 1 V100 gpu, and which gpus the machines of lab have is not known'

# What is mounted on the machines that are made need not be here: such a task waits for one, where nothing was made yet
put mounts.dk <<'END'
task t {
  inputs { data = mount("/only/there", version = "1") }
  run = "ls {{inputs.data}}"
}
END
commit
run plan mounts.dk
has '0 cached, 1 to run'
"$dkrun" run mounts.dk --foreground --plain --max-cost 5USD >"$room/log" 2>&1 </dev/null &
engine=$!
waits() { is_there "$engine" || fail "the run ended: $(cat "$room/log")"; "$dkrun" status 1 2>/dev/null | grep -q 'run 1  running'; }
wait_until waits
sleep 1 # it is looked up in no time
waits || fail "it does not wait: $(cat "$room/log")"
run cancel --now
wait "$engine" || true
! grep -q '/only/there' "$room/log" || fail "it was looked for here: $(cat "$room/log")"
grep -q '1 cancelled' "$room/log" || fail "it did not wait: $(cat "$room/log")"

run doctor || true
has 'other hosts configured: 0, clouds: 1'

# A repository lowers and chooses
put providers.dk <<'END'
provider lab { max_instances = 1  shapes = ["small"]  idle = 2m }
END
run providers
has 'yours:1, repository:1  up to 1 of small (2 cpus, 4 GiB, 10 GiB of disk, 0.1USD/h), from debian-12, idle for 2m at most'
run -e 4 plan fits.dk
has_err 'MiB of memory, and no shape of lab has so much'
put providers.dk <<'END'
provider lab { max_instances = 5 }
END
run -e 3 plan fits.dk
has_err 'error[E0226]: `max_instances` of provider `lab` may only be lowered here, not set to 5'
rm providers.dk

# Beside this machine; what a machine cannot do, a shape may. What a repository declares is shown before it is trusted
put providers.dk <<'END'
provider here { kind = "local" }
provider big { kind = "near"  image = "i"  max_instances = 1000 }
END
run -e 2 trust
has 'big       near   (made)  repository:2  up to 1000, from i, idle for 5m at most'
run trust --yes
run plan both.dk
has ', big: up to 1000 instances: 0 cached, 1 to run'
has 'cost  not known for big: no `price` of its shapes'
run -e 4 providers check
has 'problem   big'
has 'this cloud is far away'
has 'the cloud is not fine'
run providers check --files
has 'ok: 2 providers, 1 host, 1 cloud (files only: no host was asked)'
run hosts
has $'\n\nbig: up to 1000 instances'
# What needs no more than this machine runs on it; there is nothing elsewhere then
put small.dk <<'END'
task t { run = "echo yes" }
END
commit
run run small.dk
run logs t1
is 'yes'
run -e 2 hosts clean big
has_err '`big` is a cloud, and none of its machines is there'
run -e 4 hosts clean
has_err 'there is no other host than this machine'

# What costs money is asked for: here nobody can be asked
rm providers.dk
echo 'provider here { kind = "local" }' >>"$mine"
run -e 2 run fits.dk
has_err 'machines may be made that cost money (lab: up to 4 instances of small or large, at most 6USD/h for lab), and nobody can be asked here'
has_err 'help: --max-cost 5USD says how much'
for bad in '' 5 USD -1USD 5m 5USD/h 5usd 1e3USD 99999999999999USD 0.0000001USD; do
  run -e 2 run fits.dk --max-cost "$bad"
  has_err "--max-cost takes an amount such as 5USD, or 0, not \`$bad\`"
done
run -e 2 run fits.dk --max-cost 5EUR
has_err '--max-cost is in EUR, and the prices of `lab` are in USD'
run -e 4 run both.dk --max-cost 0
has_err 't needs 3 gpus'
run run small.dk --max-cost 0
has 'nothing to do: 1 cached'
put free.dk <<'END'
task t { run = "echo free" }
END
put large.dk <<'END'
task t { run = "true"  needs = { cpus = 7  memory = 32GiB } }
END
commit
run run free.dk --max-cost 0
has '1 ran, 0 cached'
run -e 4 run large.dk --max-cost 0 # only what costs money could take it
has_err 'help: machines of lab cost money, and are made with `--max-cost AMOUNT`'
# On a terminal people are asked; what they refuse is not begun
answer() { script -qec "$dkrun run free.dk -p x=$1 --plain" /dev/null <<<"$2" >"$room/asked" 2>&1; }
answer_code() { code=0; answer "$@" || code=$?; }
put free.dk <<'END'
param x = 1
task t { run = "echo free {{x}}" }
END
commit
answer_code 2 n
[ "$code" -eq 1 ] || fail "a refusal: exit code $code: $(cat "$room/asked")"
grep -q 'Machines may be made that cost money (lab: ' "$room/asked" || fail "$(cat "$room/asked")"
grep -q 'nothing was run; with --max-cost 0 no such machine is made' "$room/asked" || fail "$(cat "$room/asked")"
answer_code 3 y
[ "$code" -eq 0 ] || fail "agreed: exit code $code: $(cat "$room/asked")"
grep -q '1 ran, 0 cached' "$room/asked" || fail "$(cat "$room/asked")"
