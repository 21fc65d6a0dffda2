#!/bin/sh
# shutdown -P now: all that a machine needs.
[ "$1,$2" = -P,now ] || { echo "shutdown: -P now" >&2; exit 1; }
kill -PWR 1
