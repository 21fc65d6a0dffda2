#!/bin/bash
# The databases and keys of a private OpenStack, empty, in /bed: once (openstack_image.sh), in a chroot and a network of
# its own.
set -euo pipefail
# shellcheck source=config.sh
. /bed/support/config.sh
ip link set lo up
mkdir -p /bed/{log,neutron,nova,glance,images,machines}
write_config 10.215.0.1
mariadb-install-db --no-defaults --user=root --datadir=/bed/mysql --auth-root-authentication-method=normal \
  --innodb-log-file-size=16M >/bed/log/mysql-install.log 2>&1
start_database
for name in keystone placement glance neutron nova_api nova nova_cell0; do sql "create database $name character set utf8"; done
step() {
  local started=$SECONDS
  "$@"
  echo "$((SECONDS - started)) s: ${*:1:4}"
}
export OS_PLACEMENT_CONFIG_DIR=/bed/etc/placement
keystone=(keystone-manage --config-dir /bed/etc/keystone) nova=(nova-manage --config-file /bed/etc/nova.conf)
step "${keystone[@]}" db_sync
step "${keystone[@]}" fernet_setup --keystone-user root --keystone-group root
step "${keystone[@]}" credential_setup --keystone-user root --keystone-group root
url=http://10.215.0.1:5000/v3
step "${keystone[@]}" bootstrap --bootstrap-password adm1n --bootstrap-service-name keystone --bootstrap-region-id RegionOne \
  --bootstrap-admin-url $url --bootstrap-public-url $url --bootstrap-internal-url $url
step placement-manage --config-dir /bed/etc/placement db sync
step glance-manage --config-file /bed/etc/glance.conf db_sync
step "${nova[@]}" api_db sync
step "${nova[@]}" cell_v2 map_cell0 --database_connection "$(database nova_cell0)"
step "${nova[@]}" db sync
step "${nova[@]}" cell_v2 create_cell --name cell1
step neutron-db-manage --config-file /bed/etc/neutron/neutron.conf upgrade heads
mariadb-admin --no-defaults -uroot -S /bed/mysql.sock shutdown
rm -rf /bed/log/* /bed/etc /bed/mysql.sock
