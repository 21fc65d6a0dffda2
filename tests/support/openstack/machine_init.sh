#!/bin/sh
# The first process of a machine: what systemd does of a cloud image's boot. machine.sh has made its network.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8
trap 'exit 0' PWR TERM INT
mkdir -p /run/sshd
cloud-init init >/var/log/boot 2>&1
/usr/sbin/sshd
{
  cloud-init modules --mode=config
  cloud-init modules --mode=final
} >>/var/log/boot 2>&1
while :; do sleep 3600 & wait $!; done
