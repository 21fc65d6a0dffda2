# A private OpenStack for tests: Keystone, Placement, Glance, Neutron and Nova of Debian's packages, with their database
# and message queue, in a root of their own (openstack_image.sh makes it, once). Sourced by tests that run as root;
# where that or the kernel does not allow it, the test is skipped. All of it lives in namespaces of its own, and ends
# with its first process. Its machines are namespaces, too, with an sshd each and real cloud-init, which asks Nova's
# metadata service; only the last step of Nova, which makes a machine, is ours (openstack/compute.py), and of Neutron
# that which tells agents (openstack/ports.py). It reaches this machine only by a cable to its bridge: nothing leads
# from there to the outside.
# shellcheck shell=bash
#
#   openstack_up   starts it: user `anna` (password `s3cr3t`, role member) in project `lab`, flavors `small` (1 cpu,
#      512 MiB, 1 GiB) and `large` (8, 8 GiB, 10 GiB), network `net`, image `dkrun`. Skips the test with 77
#      where that cannot be done. The first time, 5 to 25 minutes, all is fetched. openstack_down is set
#      as a trap for EXIT by whoever has none; who has one calls it there
#   openstack_down   takes all of it down; called twice: fine
#   openstack_api METHOD SERVICE PATH [BODY]
#      one request as the administrator; SERVICE: identity compute image network. The answer's body is
#      printed, whatever its status
#   openstack_ask ...       the same, as the user whose token is in $openstack_token
#   openstack_log_in USER PASSWORD PROJECT     $openstack_token
#   openstack_id JSON       the first "id" in it
#   $openstack   directory with id and id.pub (a key for ssh), clouds.yaml (clouds `lab` and `admin`), bed/log
#   $openstack_url   of Keystone
#
# Two tests at once have networks of their own (10.215.K.0/24, claimed in /run/dkrun-test-openstack/K). A watcher takes
# all down when the test is gone, however it ended; should that be killed too, the next test that starts does.

openstack='' openstack_network='' openstack_url='' openstack_token=''

openstack_skip() { echo "skipped: $*"; exit 77; }

openstack_repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
openstack_claims=/run/dkrun-test-openstack
# shellcheck source=claim.sh
. "$openstack_repository/tests/support/claim.sh"

# Removes what a network may have left, here or in a test that was killed. Its lock is held. The first process of the
# namespaces is the only child of the leader, and all others end with it.
openstack_sweep() {
  local leader first
  if [[ $2 == */dkrun-openstack.* ]] && [ -e "$2/leader" ]; then
    leader=$(cat "$2/leader")
    read -r first _ <"/proc/$leader/task/$leader/children" || true # it has no newline
    if grep -qzF "$2" "/proc/$leader/cmdline"; then kill -KILL "$leader" "$first"; fi
    for _ in {1..500}; do
      [ -e "/proc/$first" ] || break
      sleep 0.02
    done
  fi 2>/dev/null
  [ ! -e "/sys/class/net/dko$1" ] || ip link del "dko$1" 2>/dev/null || true
  if [[ $2 == */dkrun-openstack.* ]]; then rm -rf --one-file-system "$2"; fi
}

openstack_port() {
  case $1 in
  identity) echo 5000/v3 ;;
  compute) echo 8774/v2.1 ;;
  image) echo 9292/v2 ;;
  network) echo 9696/v2.0 ;;
  esac
}

openstack_ask() {
  curl -sS --max-time 120 -X "$1" -H "X-Auth-Token: $openstack_token" -H 'OpenStack-API-Version: compute 2.69' \
    -H 'Content-Type: application/json' ${4:+-d "$4"} "http://10.215.$openstack_network.1:$(openstack_port "$2")$3"
}

openstack_log_in() {
  openstack_token=$(curl -sS --max-time 60 -o /dev/null -D - -H 'Content-Type: application/json' "$openstack_url/auth/tokens" -d \
    '{"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": "'"$1"'", "domain": {"id": "default"},
      "password": "'"$2"'"}}}, "scope": {"project": {"name": "'"$3"'", "domain": {"id": "default"}}}}}' |
    tr -d '\r' | awk 'tolower($1) == "x-subject-token:" { print $2 }')
}

openstack_api() {
  local openstack_token
  openstack_log_in admin adm1n admin
  openstack_ask "$@"
}

openstack_id() { grep -o '"id": *"[^"]*"' <<<"$1" | head -n 1 | cut -d'"' -f4; }

# Waits until a command succeeds; not longer than 20 minutes (its programs want 45 s of a processor), and not when the
# bed is gone.
openstack_wait() {
  local end=$((SECONDS + 1200))
  until "$@" >/dev/null 2>&1; do
    kill -0 "$(cat "$openstack/leader")" 2>/dev/null && [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.2
  done
}

openstack_start() {
  local leader first root=$1
  mkdir -p "$openstack"/{bed,upper,work,root}
  unshare --net --mount --pid --ipc --uts --fork --kill-child \
    bash "$openstack_repository/tests/support/openstack/init.sh" "$openstack" "$root" "$openstack_network" \
    </dev/null >"$openstack/init.log" 2>&1 &
  leader=$!
  disown $leader
  echo $leader >"$openstack/leader"
  openstack_wait test -e "$openstack/bed/net" || return 1
  read -r first _ <"/proc/$leader/task/$leader/children" || true # it has no newline
  ip link add "dko$openstack_network" type veth peer name cable netns "$first" &&
    ip addr add "10.215.$openstack_network.254/24" dev "dko$openstack_network" &&
    ip link set "dko$openstack_network" up && nsenter -t "$first" -n ip link set cable master bridge up &&
    openstack_wait test -e "$openstack/bed/up"
}

openstack_clouds() {
  cat <<END
clouds:
  lab:
    region_name: RegionOne
    auth: {auth_url: "$openstack_url", username: anna, password: s3cr3t, project_name: lab, user_domain_name: Default, project_domain_name: Default}
  admin:
    auth: {auth_url: "$openstack_url", username: admin, password: adm1n, project_name: admin, user_domain_id: default, project_domain_id: default}
END
}

openstack_up() {
  local program
  [ "$(id -u)" -eq 0 ] || openstack_skip "an OpenStack of its own wants root"
  for program in debootstrap curl ip ssh-keygen unshare; do
    [ -n "$(PATH=$PATH:/usr/sbin:/sbin type -P "$program")" ] || openstack_skip "there is no $program here"
  done
  openstack_image
  openstack=$(mktemp -d "${TMPDIR:-/tmp}/dkrun-openstack.XXXXXX")
  [ -n "$(trap -p EXIT)" ] || { trap openstack_down EXIT; trap 'exit 143' TERM INT; }
  claim_take "$openstack_claims" "$openstack" openstack_sweep
  openstack_network=$claim
  [ -n "$openstack_network" ] || openstack_skip "150 tests with OpenStack run here already"
  claim_watch "$openstack_claims" "$openstack" openstack_sweep "$openstack_repository/tests/support/openstack.sh"
  openstack_url=http://10.215.$openstack_network.1:5000/v3
  ssh-keygen -q -t ed25519 -N '' -f "$openstack/id"
  openstack_clouds >"$openstack/clouds.yaml"
  chmod 600 "$openstack/clouds.yaml"
  if ! unshare --net --mount --pid --fork true 2>/dev/null; then
    openstack_down
    openstack_skip "there are no namespaces here"
  fi
  if ! openstack_start "$openstack_root"; then
    tail -n 30 "$openstack/init.log" >&2
    openstack_down
    echo "FAILED: OpenStack did not start" >&2
    exit 1
  fi
}

openstack_down() {
  [ -n "$openstack_network" ] || { [ -z "$openstack" ] || rm -rf "$openstack"; return 0; }
  openstack_sweep "$openstack_network" "$openstack"
  rm -f "$openstack_claims/$openstack_network"
  openstack_network=''
}

# $openstack_root: what all beds start from, kept in build/testbed.
openstack_image() {
  local recipe=$openstack_repository/tests/support/openstack_image.sh kept=$openstack_repository/build/testbed lock
  openstack_root=$kept/openstack-$(cat "$recipe" "$openstack_repository"/tests/support/openstack/{config.sh,setup.sh,machine_*} \
    "$openstack_repository/packages.txt" | sha256sum | cut -c1-16)
  mkdir -p "$kept"
  exec {lock}>"$kept/openstack-lock"
  flock "$lock"
  if [ ! -e "$openstack_root" ]; then
    rm -rf --one-file-system "$kept"/openstack-[0-9a-f]*
    bash "$recipe" "$openstack_root.new" || openstack_skip "the root could not be made: is Debian's mirror reached?"
    mv "$openstack_root.new" "$openstack_root"
  fi
  exec {lock}>&-
}
