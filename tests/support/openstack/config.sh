#!/bin/bash
# config.sh ADDRESS: writes the services' configuration into /bed/etc. Sourced, too, for `database`.
database() { echo "mysql+pymysql://root@localhost/$1?unix_socket=/bed/mysql.sock&charset=utf8"; }

write_config() {
  local ip=$1 me rabbit='transport_url = rabbit://guest:guest@127.0.0.1:5672/'
  me="auth_url = http://$ip:5000/v3
auth_type = password
username = admin
password = adm1n
project_name = admin
user_domain_id = default
project_domain_id = default
region_name = RegionOne"
  # What a service was told of a token counts for a second: revoked ones are seen.
  local tokens="[keystone_authtoken]
www_authenticate_uri = http://$ip:5000/v3
service_token_roles_required = false
token_cache_time = 1
$me"
  mkdir -p /bed/etc/{keystone,placement,neutron}
  cat >/bed/etc/keystone/keystone.conf <<END
[DEFAULT]
log_file = /bed/log/keystone.log
public_endpoint = http://$ip:5000
[database]
connection = $(database keystone)
[cache]
enabled = true
backend = dogpile.cache.memory
expiration_time = 1
[token]
provider = fernet
[fernet_tokens]
key_repository = /bed/fernet
[credential]
key_repository = /bed/credential
[identity]
password_hash_rounds = 4
END
  cat >/bed/etc/placement/placement.conf <<END
[DEFAULT]
log_file = /bed/log/placement.log
[placement_database]
connection = $(database placement)
[api]
auth_strategy = keystone
$tokens
END
  cat >/bed/etc/glance.conf <<END
[DEFAULT]
bind_host = $ip
bind_port = 9292
workers = 0
log_file = /bed/log/glance.log
enabled_import_methods = []
[database]
connection = $(database glance)
[glance_store]
stores = file
default_store = file
filesystem_store_datadir = /bed/glance
[paste_deploy]
flavor = keystone
config_file = /etc/glance/glance-api-paste.ini
$tokens
END
  cat >/bed/etc/neutron/neutron.conf <<END
[DEFAULT]
bind_host = $ip
bind_port = 9696
core_plugin = ml2
service_plugins =
api_workers = 0
rpc_workers = 0
rpc_state_report_workers = 0
auth_strategy = keystone
$rabbit
notify_nova_on_port_status_changes = false
notify_nova_on_port_data_changes = false
api_paste_config = /etc/neutron/api-paste.ini
log_file = /bed/log/neutron.log
state_path = /bed/neutron
dhcp_agent_notification = false
[database]
connection = $(database neutron)
[oslo_concurrency]
lock_path = /bed/neutron
[ml2]
type_drivers = flat
tenant_network_types =
mechanism_drivers = dkrun
extension_drivers = port_security
[ml2_type_flat]
flat_networks = bridge
$tokens
END
  # A machine that went off by itself is seen after 5 s; a real cloud looks every 10 minutes, or is told.
  cat >/bed/etc/nova.conf <<END
[DEFAULT]
my_ip = 127.0.0.1
host = node1
log_dir = /bed/log
state_path = /bed/nova
$rabbit
enabled_apis = osapi_compute,metadata
osapi_compute_listen = $ip
osapi_compute_workers = 1
metadata_listen = 169.254.169.254
metadata_listen_port = 80
metadata_workers = 1
compute_driver = dkrun.Driver
vif_plugging_is_fatal = false
vif_plugging_timeout = 0
api_paste_config = /etc/nova/api-paste.ini
heal_instance_info_cache_interval = 0
sync_power_state_interval = 5
report_interval = 5
service_down_time = 30
[api]
auth_strategy = keystone
local_metadata_per_cell = false
[api_database]
connection = $(database nova_api)
[database]
connection = $(database nova)
[conductor]
workers = 1
[scheduler]
workers = 1
discover_hosts_in_cells_interval = 5
[filter_scheduler]
track_instance_changes = false
[vnc]
enabled = false
[cinder]
catalog_info = volumev3::publicURL
[glance]
api_servers = http://$ip:9292
[oslo_concurrency]
lock_path = /bed/nova
$tokens
[placement]
endpoint_override = http://127.0.0.1:8778
$me
[neutron]
endpoint_override = http://$ip:9696
$me
[service_user]
send_service_user_token = false
END
}

export LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/bed PYTHONPATH=/bed/support
export OS_PLACEMENT_CONFIG_DIR=/bed/etc/placement OS_KEYSTONE_CONFIG_DIR=/bed/etc/keystone OS_NEUTRON_CONFIG_DIR=/bed/etc/neutron

start_database() {
  setsid mariadbd --no-defaults --user=root --datadir=/bed/mysql --socket=/bed/mysql.sock --skip-networking \
    --innodb-flush-log-at-trx-commit=0 --innodb-buffer-pool-size=64M --innodb-log-file-size=16M --innodb-doublewrite=0 \
    --performance-schema=OFF --max-connections=400 >/bed/log/mysql.log 2>&1 </dev/null &
  local pid=$!
  until sql 'select 1' >/dev/null 2>&1; do
    kill -0 $pid || { tail -n 3 /bed/log/mysql.log >&2; return 1; }
    sleep 0.1
  done
}
sql() { mariadb --no-defaults -uroot -S /bed/mysql.sock "${@:2}" -e "$1"; }
