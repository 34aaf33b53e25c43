#!/usr/bin/env bash
# Begins the setup of an authenticator app and prints the answer.
set -euo pipefail

url=${MFA_URL:-http://localhost:8080}
: "${MFA_TOKEN:?set it to your access token}"

# The header comes from a file descriptor, not from the command line,
# where every user of the machine could read the token.
response=$(curl --silent --show-error --max-time 10 \
  --write-out '\n%{http_code}' \
  --header 'Content-Type: application/json' \
  --header 'Accept: application/json' \
  --header @<(printf 'Authorization: Bearer %s\n' "$MFA_TOKEN") \
  --data-binary @- "$url/mfa/setup" <<'JSON'
{
  "mfaType": "GOOGLE_AUTH",
  "email": "user@example.com",
  "deviceInfo": { "name": "iPhone 12", "type": "mobile" }
}
JSON
)

status=${response##*$'\n'}
answer=${response%$'\n'*}

if [[ $status != 200 ]]; then
  error="the server answered $status"
  text='"error":[[:space:]]*"(([^"\]|\\.)*)"'
  if [[ $answer =~ $text ]]; then
    error=${BASH_REMATCH[1]//\\\"/\"}
  fi
  printf 'MFA setup failed: %s\n' "$error" >&2
  exit 1
fi

printf '%s\n' "$answer"
