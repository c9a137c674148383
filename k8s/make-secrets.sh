#!/bin/sh
# Makes the secrets of an overlay: what is missing, and nothing that is there. They are files beside the overlay, readable by you
# alone and ignored by git; without them the overlay does not render.
#
#   k8s/make-secrets.sh k8s/overlays/redis
#   k8s/make-secrets.sh k8s/overlays/redis rotate     # also puts a new key in front of the key ring
set -eu
umask 077
folder=${1:?the folder of the overlay is missing}/secrets
mkdir -p "$folder"
random() { openssl rand -base64 32 | tr '+/' '-_' | tr -d '=\n'; }

# write FILE LINE...: makes the file whole or not at all.
write() {
  file=$1
  shift
  printf '%s\n' "$@" > "$folder/$file.new"
  mv "$folder/$file.new" "$folder/$file"
}

key() { printf 'k%s-%s:%s' "$(date +%Y%m%d)" "$(openssl rand -hex 4)" "$(random)"; }
if [ ! -e "$folder/keyring" ]; then
  write keyring "$(key)"
elif [ "${2-}" = rotate ]; then
  write keyring "$(key)" "$(cat "$folder/keyring")"
fi
for token in pipeline operator; do
  [ -e "$folder/token-$token" ] || write "token-$token" "$(random)"
done
if [ ! -e "$folder/url" ]; then
  password=$(random)
  write redis-auth.conf "requirepass $password"
  write url "redis://:$password@serin-redis:6379/0"
  # A URL is one line without an end: it becomes an environment variable.
  printf '%s' "$(cat "$folder/url")" > "$folder/url.new"
  mv "$folder/url.new" "$folder/url"
fi
