#!/bin/sh
# The gateway: nginx, and a loop that takes out of its list each replica that does not say at /readyz that it is ready.
#
# nginx by itself learns only from failures, and a 503 to a POST is none to it, for it does not retry one (decision 71).
# So a replica that drains leaves the list while it still takes connections, and one whose device is lost leaves it too.
# Replicas that come and go (`docker compose up --scale service=3`) are found by name, without a restart.
set -eu

: "${GATEWAY_REPLICAS:=service:8000}"     # host:port ..., each name standing for all its addresses
: "${GATEWAY_LISTEN:=8080}"               # [address:]port
: "${GATEWAY_TLS_LISTEN:=8443}"          # the same for TLS, where there is a certificate
: "${GATEWAY_TLS_CERTIFICATE:=}"          # PEM file of the certificate and those above it
: "${GATEWAY_TLS_KEY:=}"                  # PEM file of its key
: "${GATEWAY_TLS_CLIENT_CA:=}"            # PEM file: only clients with a certificate of this authority (mTLS)
: "${GATEWAY_MAX_BODY:=32m}"              # of one picture: not below SR_MAX_BODY_BYTES
: "${GATEWAY_MAX_FRAMES_BODY:=0}"         # of POST /upscale/frames; 0: any, for each frame is limited
: "${GATEWAY_MAX_JOB_BODY:=4g}"           # of POST /jobs: not below SR_MAX_JOB_BYTES
: "${GATEWAY_POLL_S:=1}"                  # seconds between two looks at /readyz; far below SR_DRAIN_DELAY_S
: "${GATEWAY_KEEP_ALIVE_S:=0}"          # seconds that a client's idle connection stays open; see decision 71
: "${GATEWAY_RUN:=/run/gateway}"          # what is written here at run time: configuration, pid
: "${GATEWAY_DATA:=/var/lib/gateway}"     # bodies and answers that do not fit in nginx's memory
source_folder=$(dirname "$(readlink -f "$0")")

# One address:port a line.
addresses() {
    for replica in $GATEWAY_REPLICAS; do
        getent ahostsv4 "${replica%:*}" | while read -r address _; do echo "$address:${replica##*:}"; done
    done | sort -u
}

# "address ready" or "address unready". Silence is not held against a replica: it may be at work, and nginx sees to it.
probe() {
    code=$(curl --silent --noproxy '*' --max-time 2 --output /dev/null --write-out '%{http_code}' "http://$1/readyz") &&
        failure=0 || failure=$?
    if [ "$code" = 503 ] || [ "$failure" = 7 ]; then echo "$1 unready"; else echo "$1 ready"; fi
}

# The list as nginx reads it. Where no replica is ready all stay in it: their own answer says more than nginx's 502.
list() {
    states=$( (for address in $(addresses); do probe "$address" & done; wait) | sort)
    echo 'upstream replicas {'
    echo '    zone replicas 128k;  # counts are shared by all workers'
    echo '    least_conn;  # costs differ a hundredfold, so turns would not be fair'
    case $states in *" ready"*) down=' down' ;; *) down='' ;; esac
    echo "$states" | while read -r address state; do
        [ -n "$address" ] || { echo '    server 127.0.0.1:1 down;  # no replica has an address'; continue; }
        [ "$state" = ready ] && mark='' || mark=$down
        echo "    server $address max_fails=1 fail_timeout=5s$mark;"
    done
    echo '}'
}

tls() {
    [ -n "$GATEWAY_TLS_CERTIFICATE" ] || return 0
    echo "listen $GATEWAY_TLS_LISTEN ssl backlog=2048;"
    echo "ssl_certificate $GATEWAY_TLS_CERTIFICATE;"
    echo "ssl_certificate_key $GATEWAY_TLS_KEY;"
    echo 'ssl_protocols TLSv1.2 TLSv1.3;'
    echo 'ssl_session_cache shared:tls:10m;  # a connection ends with its answer, so the next one should be cheap'
    echo 'ssl_session_timeout 1h;'
    [ -n "$GATEWAY_TLS_CLIENT_CA" ] || return 0
    echo "ssl_client_certificate $GATEWAY_TLS_CLIENT_CA;"
    echo 'ssl_verify_client on;'
}

render() {
    mkdir -p "$GATEWAY_RUN" "$GATEWAY_DATA"
    cp "$source_folder/proxy.conf" "$GATEWAY_RUN/proxy.conf"
    tls >"$GATEWAY_RUN/tls.conf"
    if [ "$(id -u)" = 0 ]; then user="user $(id -un);"; else user=''; fi
    sed -e "s|@USER@|$user|g" \
        -e "s|@LISTEN@|$GATEWAY_LISTEN|g" \
        -e "s|@KEEP_ALIVE_S@|$GATEWAY_KEEP_ALIVE_S|g" \
        -e "s|@RUN@|$GATEWAY_RUN|g" \
        -e "s|@DATA@|$GATEWAY_DATA|g" \
        -e "s|@MAX_BODY@|$GATEWAY_MAX_BODY|g" \
        -e "s|@MAX_FRAMES_BODY@|$GATEWAY_MAX_FRAMES_BODY|g" \
        -e "s|@MAX_JOB_BODY@|$GATEWAY_MAX_JOB_BODY|g" \
        "$source_folder/nginx.conf" >"$GATEWAY_RUN/nginx.conf"
}

update() {
    list >"$GATEWAY_RUN/replicas.new"
    if cmp -s "$GATEWAY_RUN/replicas.new" "$GATEWAY_RUN/replicas.conf"; then return; fi
    mv "$GATEWAY_RUN/replicas.new" "$GATEWAY_RUN/replicas.conf"
    servers=$(sed -n 's/^ *server \([^ ]*\).*5s\( down\)\{0,1\};.*/\1\2,/p' "$GATEWAY_RUN/replicas.conf" | tr -d '\n')
    echo "{\"event\": \"replicas\", \"servers\": \"${servers%,}\"}"
    [ -z "${nginx_pid:-}" ] || kill -HUP "$nginx_pid"
}

# nginx finishes what it has before it goes.
leave() {
    trap - TERM INT
    kill -QUIT "$nginx_pid" 2>/dev/null || true
    wait "$nginx_pid" || exit $?
    exit 0
}

render
update
nginx -e stderr -c "$GATEWAY_RUN/nginx.conf" -g 'daemon off;' &
nginx_pid=$!
trap leave TERM INT
trap 'kill -HUP "$nginx_pid"' HUP  # read the certificates again
while kill -0 "$nginx_pid" 2>/dev/null; do
    sleep "$GATEWAY_POLL_S" &
    wait $! || true  # a signal ends the wait
    update
done
wait "$nginx_pid"
