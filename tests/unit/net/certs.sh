#!/bin/bash
# Makes certificates for test_tls.c and test_proxy.c in a folder: an authority (ca.pem), and signed by it cloud (for
# cloud.test and gone.test), expired (the same, until 2001), client; alone: self, other (no names of use).
#   certs.sh FOLDER
set -euo pipefail
cd "$1"
key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key" 2>/dev/null; }

for name in ca self other; do
  key "$name"
  openssl req -x509 -new -key "$name.key" -out "$name.pem" -subj "/CN=$name" -days 30 2>/dev/null
done
cat >ca.conf <<'CONF'
[ca]
default_ca = lab
[lab]
database = index
serial = serial
new_certs_dir = .
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
[names]
subjectAltName = DNS:cloud.test, DNS:gone.test
CONF
: >index
echo 01 >serial
sign() { # NAME FROM UNTIL
  key "$1"
  openssl req -new -key "$1.key" -out "$1.csr" -subj "/CN=$1"
  openssl ca -batch -config ca.conf -extensions names -cert ca.pem -keyfile ca.key -in "$1.csr" -out "$1.pem" -notext \
    -startdate "$2" -enddate "$3" 2>/dev/null
}
sign cloud 20200101000000Z 20991231000000Z
sign expired 20000101000000Z 20010101000000Z
sign client 20200101000000Z 20991231000000Z
cat self.pem other.pem >both.pem
