#!/bin/sh
# One picture by curl: a refusal's document goes to standard error and no file is left; a full or restarting service is asked
# again, after as long as it says (curl honours Retry-After).
#
#   examples/upscale.sh photo.jpg large.png edsr 4
set -eu
service=${SR_BASE_URL:-http://127.0.0.1:8000}
picture=$1 output=$2 model=${3:-edsr} scale=${4:-4}

part=$(mktemp "$output.XXXXXX")
trap 'rm -f "$part"' EXIT
status=$(curl --silent --show-error --retry 3 --max-time 120 \
  ${SR_API_KEY:+--header "Authorization: Bearer $SR_API_KEY"} \
  --data-binary "@$picture" --output "$part" --write-out '%{http_code}' \
  "$service/upscale?model=$model&scale=$scale&format=png")
if [ "$status" != 200 ]; then
  cat "$part" >&2
  exit 1
fi
mv "$part" "$output"
