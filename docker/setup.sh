#!/bin/sh
# Certificates and passwords of the trial set-up. Existing files are kept.
set -eu
umask 077

postgres_uid=999 # of the image postgres:18
pgjit_uid=10001  # of docker/Dockerfile

[ -e /secrets/complete ] && exit 0
rm -rf /secrets/authority /secrets/server /secrets/proxy
mkdir -p /secrets/authority /secrets/server /secrets/proxy

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 \
    -subj '/CN=pgjit trial authority' \
    -addext 'basicConstraints=critical,CA:TRUE,pathlen:0' -addext 'keyUsage=critical,keyCertSign,cRLSign' \
    -keyout /secrets/authority/ca.key -out /secrets/ca.crt

certificate() { # folder, names
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=pgjit trial" \
        -keyout "/secrets/$1/tls.key" -out /tmp/request.pem
    printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth\nbasicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n' \
        "$2" >/tmp/extensions
    openssl x509 -req -in /tmp/request.pem -days 30 -extfile /tmp/extensions \
        -CA /secrets/ca.crt -CAkey /secrets/authority/ca.key -CAcreateserial -out "/secrets/$1/tls.crt"
}
certificate server DNS:postgres,DNS:store
certificate proxy DNS:localhost,DNS:balancer,DNS:pgjit-1,DNS:pgjit-2,IP:127.0.0.1

openssl rand -hex 24 >/secrets/server/superuser-password
for login in agent writer store; do
    openssl rand -hex 24 >"/secrets/server/$login-password"
    cp "/secrets/server/$login-password" /secrets/proxy/
done
# The stand-in for Entra has this secret, and it is public: see emulator.yaml.
printf only-for-trying-out >/secrets/proxy/console-secret

rm -rf /secrets/authority # nothing is signed after this
chown -R "$postgres_uid" /secrets/server
chown -R "$pgjit_uid" /secrets/proxy
chmod 0755 /secrets
chmod 0644 /secrets/ca.crt
touch /secrets/complete
