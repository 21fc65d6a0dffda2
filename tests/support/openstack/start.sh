#!/bin/bash
# start.sh ADDRESS: starts the services in the root of a private OpenStack, and puts into them what openstack.sh
# promises.
set -euo pipefail
ip=$1
# shellcheck source=config.sh
. /bed/support/config.sh
took() { echo "$((${EPOCHREALTIME/./} / 1000 - started)) ms: $*"; }
started=$((${EPOCHREALTIME/./} / 1000))

write_config "$ip"
grep -q ' node1$' /etc/hosts || echo '127.0.0.1 localhost node1' >/etc/hosts
mkdir -p /usr/lib/python3/dist-packages/dkrun_ports-1.dist-info
printf 'Metadata-Version: 2.1\nName: dkrun_ports\nVersion: 1\n' >/usr/lib/python3/dist-packages/dkrun_ports-1.dist-info/METADATA
printf '[neutron.ml2.mechanism_drivers]\ndkrun = ports:Driver\n' >/usr/lib/python3/dist-packages/dkrun_ports-1.dist-info/entry_points.txt
ln -sf /bed/support/compute.py /usr/lib/python3/dist-packages/nova/virt/dkrun.py # Nova takes drivers from there only
start_database
sql "update endpoint set url = replace(url, '10.215.0.1', '$ip')" keystone
took database

start() { # NAME COMMAND...
  setsid "${@:2}" >"/bed/log/$1.out" 2>&1 </dev/null &
}
wsgi() { # NAME ADDRESS PROGRAM
  start "$1" uwsgi_python3 --http-socket "$2" --master --processes 1 --threads 4 --enable-threads --lazy-apps --die-on-term \
    --buffer-size 65535 --rem-header Content-Length --need-app --wsgi-file "$3"
}
export RABBITMQ_NODENAME=bed@localhost RABBITMQ_NODE_IP_ADDRESS=127.0.0.1 RABBITMQ_MNESIA_BASE=/bed/rabbit \
  RABBITMQ_LOG_BASE=/bed/log RABBITMQ_ENABLED_PLUGINS_FILE=/bed/plugins RABBITMQ_PID_FILE=/bed/rabbit.pid \
  RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='+S 1:1'
start rabbit /usr/lib/rabbitmq/bin/rabbitmq-server
wsgi keystone "$ip:5000" /usr/bin/keystone-wsgi-public
wsgi placement 127.0.0.1:8778 /usr/bin/placement-api
start glance glance-api --config-file /bed/etc/glance.conf
nova=(--config-file /bed/etc/nova.conf)
start nova-api nova-api "${nova[@]}"
start nova-conductor nova-conductor "${nova[@]}"
start nova-scheduler nova-scheduler "${nova[@]}"
start neutron neutron-server --config-file /bed/etc/neutron/neutron.conf

answers() { # URL
  until curl -s -o /dev/null "$1"; do sleep 0.1; done
  took "$1"
}
T='' url='' body=''
log_in() {
  T=$(curl -s -o /dev/null -D - -H 'Content-Type: application/json' "http://$ip:5000/v3/auth/tokens" -d '{"auth": {"identity":
    {"methods": ["password"], "password": {"user": {"name": "admin", "domain": {"id": "default"}, "password": "adm1n"}}}, "scope":
    {"project": {"name": "admin", "domain": {"id": "default"}}}}}' | tr -d '\r' | awk 'tolower($1) == "x-subject-token:" { print $2 }')
}
ask() { # METHOD URL [BODY]: its answer
  body=$(curl -sS --fail-with-body -X "$1" -H "X-Auth-Token: $T" -H 'Content-Type: application/json' ${3:+-d "$3"} "$2") || {
    echo "$1 $2: $body" >&2
    exit 1
  }
}
id() { jq -r ".$1.id" <<<"$body"; }

answers "http://$ip:5000/v3"
log_in
K=http://$ip:5000/v3
while read -r type name url; do
  ask POST "$K/services" '{"service": {"type": "'"$type"'", "name": "'"$name"'"}}'
  service=$(id service)
  for interface in public internal; do
    ask POST "$K/endpoints" '{"endpoint": {"service_id": "'"$service"'", "interface": "'$interface'", "region_id": "RegionOne",
      "url": "'"$url"'"}}'
  done
done <<END
compute nova http://$ip:8774/v2.1
image glance http://$ip:9292
placement placement http://127.0.0.1:8778
network neutron http://$ip:9696
END
ask POST "$K/projects" '{"project": {"name": "lab", "domain_id": "default"}}'
project=$(id project)
ask POST "$K/users" '{"user": {"name": "anna", "domain_id": "default", "password": "s3cr3t", "default_project_id": "'"$project"'"}}'
user=$(id user)
ask GET "$K/roles?name=member"
ask PUT "$K/projects/$project/users/$user/roles/$(jq -r '.roles[0].id' <<<"$body")"
took 'user and project'

answers "http://$ip:9292/"
ask POST "http://$ip:9292/v2/images" '{"name": "dkrun", "disk_format": "raw", "container_format": "bare", "visibility": "public"}'
curl -sS --fail -X PUT -H "X-Auth-Token: $T" -H 'Content-Type: application/octet-stream' --data-binary @/bed/machine.tar \
  "http://$ip:9292/v2/images/$(jq -r .id <<<"$body")/file"
took image
answers http://127.0.0.1:8778/
until (exec 3<>/dev/tcp/127.0.0.1/5672) 2>/dev/null; do sleep 0.1; done
start nova-compute nova-compute "${nova[@]}"
answers "http://$ip:8774/"
while read -r name cpus memory disk; do
  ask POST "http://$ip:8774/v2.1/flavors" '{"flavor": {"name": "'"$name"'", "vcpus": '"$cpus"', "ram": '"$memory"', "disk": '"$disk"'}}'
done <<'END'
small 1 512 1
large 8 8192 10
END
answers "http://$ip:9696/"
ask POST "http://$ip:9696/v2.0/networks" '{"network": {"name": "net", "provider:network_type": "flat", "shared": true,
  "provider:physical_network": "bridge"}}'
ask POST "http://$ip:9696/v2.0/subnets" '{"subnet": {"network_id": "'"$(id network)"'", "ip_version": 4, "enable_dhcp": false,
  "cidr": "'"${ip%.*}"'.0/24", "gateway_ip": "'"$ip"'", "allocation_pools": [{"start": "'"${ip%.*}"'.10", "end": "'"${ip%.*}"'.250"}]}}'
took network
# A node that Placement knows, too.
until ask GET "http://$ip:8774/v2.1/os-hypervisors" && [ "$(jq '.hypervisors | length' <<<"$body")" -gt 0 ]; do sleep 0.3; done
took up
