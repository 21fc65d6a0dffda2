#!/bin/bash
# The driver of OpenStack against a real one: who we are is told in each way there is; machines are made, listed with
# their addresses, let us in by the key of their user data, are deleted, and are off when they switch themselves off.
# What is refused is told by its kind. Then `dkrun run` rents from it, and leaves nothing.
# shellcheck source=../cli/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../cli/lib.sh"
# shellcheck source=../support/openstack.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/openstack.sh"
cloud=$(realpath "${CLOUD:?the program that asks}")
starts() { [[ $out == "$1"* ]] || fail "this is no: $1"; }
started=$EPOCHREALTIME
# How long it took, for people.
took() {
  local now=$EPOCHREALTIME
  printf '%-28s %6d ms\n' "$1" $(((${now/./} - ${started/./}) / 1000))
  started=$EPOCHREALTIME
}
# [OPTION]... SETTING=VALUE... CALL [ARGUMENT]...
ask() {
  local -a options=()
  while [[ $1 == -* ]]; do
    options+=("$1" "$2")
    shift 2
  done
  last="cloud $*"
  out=$("$cloud" "${options[@]}" openstack allow_http=true "$@" 2>&1) || true
}
# Machines boot; on a busy machine for minutes.
wait_long() {
  local end=$((SECONDS + 600))
  until "$@"; do
    [ "$SECONDS" -lt "$end" ] || fail "never came true: $*"
    sleep 0.5
  done
}
listed() { # LINES: what is listed, `|` between, sorted
  ask list
  [[ $(sort <<<"$out" | tr '\n' '|') =~ ^$1\|$ ]]
}
lets_in() {
  timeout 20 ssh -i "$openstack/id" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o BatchMode=yes \
    -o ConnectTimeout=3 "$@" 2>/dev/null
}
clouds() { # FILE: it is the clouds.yaml from now on
  chmod 600 "$1"
  export OS_CLIENT_CONFIG_FILE=$1 OS_CLOUD=lab
}
quota() { # SERVICE PATH BODY
  openstack_api PUT "$1" "$2/$project" "$3" >/dev/null
}

at_end+=(openstack_down)
openstack_up
took 'OpenStack is up'
clouds "$openstack/clouds.yaml"
openstack_log_in anna s3cr3t lab
answer=$(openstack_api GET identity '/users?name=anna')
user=$(openstack_id "$answer")
answer=$(openstack_api GET identity '/projects?name=lab')
project=$(openstack_id "$answer")

# --- who we are ---

ask check dkrun
starts "FINE anna in project lab at $openstack_url, region RegionOne, image dkrun, network net, 0 of 10 machines used"
answer=$(openstack_ask POST identity "/users/$user/application_credentials" '{"application_credential": {"name": "dkrun", "secret": "4pp"}}')
credential=$(grep -o '/application_credentials/[0-9a-f]*' <<<"$answer" | cut -d/ -f3)
secret=4pp
app() { # FIELDS
  echo "clouds: {lab: {auth_type: v3applicationcredential, auth: {auth_url: '$openstack_url', application_credential_secret: '$secret', $1}}}" >"$openstack/app.yaml"
  clouds "$openstack/app.yaml"
}
app "application_credential_id: $credential"
ask check dkrun
starts 'FINE anna in project lab at '
app 'application_credential_name: dkrun, username: anna, user_domain_name: Default'
ask check dkrun
starts 'FINE anna in project lab at '
secret=wrong
app "application_credential_id: $credential"
ask list
starts 'DENIED lab: log in: '
has 'are user, password, domains and project right'
lacks wrong
by_variables() { # NAME=VALUE...
  out=$(env -u OS_CLIENT_CONFIG_FILE -u OS_CLOUD OS_AUTH_URL="${openstack_url%/v3}" OS_USERNAME=anna OS_PROJECT_NAME=lab \
    OS_USER_DOMAIN_NAME=Default OS_PROJECT_DOMAIN_NAME=Default "$@" "$cloud" openstack allow_http=true check dkrun 2>&1) || true
}
by_variables OS_PASSWORD=s3cr3t
starts 'FINE anna in project lab at '
by_variables OS_PASSWORD=wr0ng
starts 'DENIED lab: log in: '
lacks wr0ng
by_variables OS_PASSWORD=s3cr3t OS_PROJECT_NAME=nolab
starts 'DENIED lab: log in: '
# What answers is OpenStack, and not the identity service: its words are no refusal of who we are.
by_variables OS_PASSWORD=s3cr3t OS_AUTH_URL="http://10.215.$openstack_network.1:8774"
lacks FINE
lacks DENIED
clouds "$openstack/clouds.yaml"
out=$("$cloud" openstack list 2>&1) || true
starts 'BAD lab: log in: '
has 'would be asked without encryption'
took 'who we are'

# --- what is not there ---

ask check nothing
starts 'BAD lab: check: look for the image: there is no image `nothing`'
ask check 12345678-1234-1234-1234-123456789abc
starts 'BAD lab: check: look for the image: there is no image `12345678-'
ask network=nope check dkrun
starts 'BAD lab: check: look for the network: there is no network `nope`'
ask -f nope check dkrun
starts 'BAD lab: check: look for its flavor: there is no flavor `nope`'
has 'its flavors: small, large'
ask region=Nowhere list
starts 'BAD lab: log in: there is no region `Nowhere`'
has 'there are: RegionOne'
cat >"$openstack/user-data" <<END
#!/bin/sh
mkdir -p /root/.ssh
echo '$(cat "$openstack/id.pub")' >/root/.ssh/authorized_keys
END
ask security_group=nope create dkrun "$openstack/user-data" dk-1
starts 'BAD lab: create dk-1: Unable to find security_group with name or id '
ask list
[ "$out" = 'FINE complete' ] || fail 'nothing was made'
took 'what is not there'

# --- quotas: of machines, of cpus, of Neutron's ports ---

quota compute /os-quota-sets '{"quota_set": {"instances": 0, "force": true}}'
ask create dkrun "$openstack/user-data" dk-1
starts 'QUOTA lab: create dk-1: Quota exceeded for instances: Requested 1, but already used 0 of 0 instances'
quota compute /os-quota-sets '{"quota_set": {"instances": 10, "cores": 0, "force": true}}'
ask create dkrun "$openstack/user-data" dk-1
starts 'QUOTA lab: create dk-1: Quota exceeded for cores: '
quota compute /os-quota-sets '{"quota_set": {"cores": 20, "force": true}}'
quota network /quotas '{"quota": {"port": 0}}'
ask create dkrun "$openstack/user-data" dk-1
starts 'QUOTA lab: create dk-1: '
quota network /quotas '{"quota": {"port": 50}}'
ask list
[ "$out" = 'FINE complete' ] || fail 'nothing was made'
took 'quotas'

# --- machines ---

ask create dkrun "$openstack/user-data" dk-1 dk-2
[[ $(sort <<<"$out" | tr '\n' ' ') =~ ^'FINE '[0-9a-f-]{36}' FINE '[0-9a-f-]{36}' '$ ]] || fail 'made'
row='[0-9a-f-]{36} RUNNING store=01 age=[0-9]+ address=10\.215\.[0-9.]+'
wait_long listed "FINE complete\|dk-1 $row\|dk-2 $row"
took 'two have addresses'
ask -s 2 list # all stores are listed, each with its own
has ' store=01 '
address=$(sed -n 's/^dk-1 .*address=//p' <<<"$out")
wait_long lets_in "root@$address" true
[ "$(lets_in "root@$address" uname -n)" = dk-1 ] || fail 'its name'
took 'one lets us in'
lets_in "root@$address" 'shutdown -P now' || true
wait_long listed "FINE complete\|dk-1 [0-9a-f-]{36} STOPPED [^|]*\|dk-2 [^|]*"
took 'one is off, and still there'
mapfile -t ids < <(sed -n 's/^dk-[12] \([^ ]*\) .*/\1/p' <<<"$out")
ask delete "${ids[@]}"
[ "$(grep -c ' deleted$' <<<"$out")" -eq 2 ] || fail 'deleted'
wait_long listed 'FINE complete'
ask delete "${ids[0]}"
[ "$out" = "FINE ${ids[0]} absent" ] || fail 'it was gone'
took 'two are gone'

# --- tokens that count no more: in the middle of a session we log in again ---

touch "$room/gate"
"$cloud" -w "$room/gate" openstack allow_http=true list >"$room/session" 2>&1 &
session=$!
wait_until grep -q FINE "$room/session"
openstack_api PATCH identity "/users/$user" '{"user": {"enabled": false}}' >/dev/null
sleep 2 # what services remember of a token
ask list
starts 'DENIED lab: log in: '
openstack_api PATCH identity "/users/$user" '{"user": {"enabled": true}}' >/dev/null
rm "$room/gate"
wait "$session" || fail "$(cat "$room/session")"
[ "$(cat "$room/session")" = $'FINE complete\nFINE complete' ] || fail "$(cat "$room/session")"
took 'tokens'

# --- dkrun run ---

mkdir -p "$XDG_CONFIG_HOME/dkrun"
cat >"$XDG_CONFIG_HOME/dkrun/providers.dk" <<'END'
provider uni {
  kind = "openstack"
  allow_http = true
  image = "dkrun"
  shapes = [{ name = "small", cpus = 1, memory = 512MiB }]
  max_instances = 2  idle = 10s
}
END
repo
put e.dk <<'END'
grid g { x in 1..4 }
task square over g {
  outputs { out = "out" }
  metrics { n = match(stdout, 'n=([0-9]+)') }
  run = "uname -n | tee out; x={{x}}; echo n=$((x * x))"
}
END
commit
run providers check
has "anna in project lab at $openstack_url"
run run e.dk --foreground --plain
has '4 ran, 0 cached, 0 failed, on uni: uni-'
has_err 'giving back '
took 'dkrun run'
wait_long listed 'FINE complete'
# The run ended when the cloud had agreed; a record goes when two lists lacked its machine.
run down
is_forgotten() { run instances; [[ $out == 'No machine is rented.' ]]; }
wait_long is_forgotten
run results --format csv
for x in 1 2 3 4; do has ",$x,$((x * x))"; done
answer=$(openstack_api GET network "/ports?project_id=$project")
[ "${answer// /}" = '{"ports":[]}' ] || fail "ports are left: $answer"
took 'nothing is left'
