#!/usr/bin/env bash
# Sends setup.http over a TCP socket, with nothing but bash, and prints
# the answer. It shows what the other clients' libraries do unseen.
set -euo pipefail
LC_ALL=C # so that every length below is in bytes

fail() {
  printf '%s\n' "$1" >&2
  exit 1
}

url=${MFA_URL:-http://localhost:8080}
: "${MFA_TOKEN:?set it to your access token}"
[[ $url =~ ^http://([^/:]+)(:([0-9]+))?$ ]] ||
  fail "MFA_URL must look like http://host:port (a bare socket has no TLS), not like $url"
host=${BASH_REMATCH[1]}
port=${BASH_REMATCH[3]:-80}

# The request line of a file for editors names the whole URL. On the wire
# it has the path alone, and the host is a header.
request=$(<"$(dirname "$0")/setup.http")
request=${request//'{{MFA_URL}}'/}
request=${request//'{{MFA_TOKEN}}'/"$MFA_TOKEN"}
body=${request#*$'\n\n'}
head=${request%%$'\n\n'*}
head+=$'\n'"Host: $host:$port"
head+=$'\n'"Content-Length: ${#body}"
head+=$'\n'"Connection: close"

exec 3<>"/dev/tcp/$host/$port"
printf '%s\r\n\r\n%s' "${head//$'\n'/$'\r\n'}" "$body" >&3

IFS=$' \r' read -r _ status _ <&3 || fail "MFA setup failed: the server closed the connection"
chunked=false
while IFS=$'\r' read -r header <&3 && [[ -n $header ]]; do
  if [[ ${header,,} == transfer-encoding:*chunked ]]; then
    chunked=true
  fi
done

answer=
if $chunked; then
  while IFS=$';\r' read -r size _ <&3 && ((16#$size > 0)); do
    IFS= read -r -N "$((16#$size))" chunk <&3
    answer+=$chunk
    read -r _ <&3 # the line end after each chunk
  done
else
  IFS= read -r -d '' answer <&3 || true # up to the end of the connection
fi

if [[ $status != 200 ]]; then
  error="the server answered $status"
  text='"error":[[:space:]]*"(([^"\]|\\.)*)"'
  if [[ $answer =~ $text ]]; then
    error=${BASH_REMATCH[1]//\\\"/\"}
  fi
  fail "MFA setup failed: $error"
fi

printf '%s\n' "$answer"
