#!/usr/bin/env bash
# Runs a command with a Docker engine: the one that is running, else one of its own that leaves nothing behind.
#   scripts/docker-engine.sh docker compose build
# Without a running engine, as root on Debian bookworm: engine, Buildx and Compose are unpacked from Debian's packages, the
# base images are made from them as well (a registry of images is not needed), and firewall and forwarding are as before
# at the end. Exit status 75 (EX_TEMPFAIL): there is no engine, and none can be started here; the reason is the last line.
# ENGINE_FOLDER keeps packages and images for the next run (about 2 GB); without it all is removed.
set -euo pipefail

say() { echo "[engine ${SECONDS}s] $*"; }
cannot() { echo "no Docker engine: $*"; exit 75; }

if docker version >/dev/null 2>&1 && docker compose version >/dev/null 2>&1; then
    exec "$@"
fi
[ "$(uname -s)" = Linux ] || cannot "none is running, and one can be started here on Linux only"
[ "$(id -u)" = 0 ] || cannot "none is running, and only root can start one"
# shellcheck disable=SC1091  # a file of the system
codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
[ "$codename" = bookworm ] || cannot "none is running, and one can be started on Debian bookworm only (here: ${codename:-unknown})"

if [ -n "${ENGINE_FOLDER:-}" ]; then
    folder=$ENGINE_FOLDER
    mkdir -p "$folder"
else
    folder=$(mktemp -d -t srserve-engine.XXXXXX)
fi
engine_pid=
forwarding=$(cat /proc/sys/net/ipv4/ip_forward)

bridges() { ip -o link show type bridge | awk -F': ' '{print $2}' | sort; }

leave() {
    status=$?
    trap - EXIT INT TERM
    if [ -n "$engine_pid" ]; then
        kill "$engine_pid" 2>/dev/null || true
        wait "$engine_pid" 2>/dev/null || true
        restore_firewall
        echo "$forwarding" >/proc/sys/net/ipv4/ip_forward
        for bridge in $(comm -13 "$folder/bridges.before" <(bridges)); do ip link delete "$bridge" || true; done
    fi
    [ -n "${ENGINE_FOLDER:-}" ] || rm -rf "$folder"
    exit $status
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# iptables-restore alone leaves the tables that did not exist before.
restore_firewall() {
    for family in iptables ip6tables; do
        for table in filter nat mangle raw; do
            grep -qx "\*$table" "$folder/$family.before" && continue
            "$family-save" | grep -qx "\*$table" || continue
            "$family" -t "$table" -F
            "$family" -t "$table" -X
            for chain in PREROUTING INPUT FORWARD OUTPUT POSTROUTING; do
                "$family" -t "$table" -P "$chain" ACCEPT 2>/dev/null || true
            done
        done
        "$family-restore" <"$folder/$family.before"
    done
}

# --- packages

export DEBIAN_FRONTEND=noninteractive
apt="apt-get -qq -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3"
$apt update >"$folder/apt.log" 2>&1 || cannot "Debian's packages cannot be reached ($(tail -1 "$folder/apt.log"))"
missing=()
for program in containerd runc iptables debootstrap ip curl; do
    package=${program/#ip/iproute2}
    [ "$program" != iptables ] || package=iptables
    command -v "$program" >/dev/null || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
    $apt install --yes --no-install-recommends "${missing[@]}" >>"$folder/apt.log" 2>&1 ||
        cannot "${missing[*]} cannot be installed ($(tail -1 "$folder/apt.log"))"
fi
# shellcheck disable=SC2016  # apt-get's own variable
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Codename: bookworm' | head -1)

# The engine of the next release: bookworm's has no Compose. Unpacked, for nothing of it shall stay installed.
if [ ! -x "$folder/engine/usr/sbin/dockerd" ]; then
    lists=$folder/apt
    mkdir -p "$lists/lists/partial" "$lists/cache/archives/partial" "$lists/packages"
    : >"$lists/status"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" >"$lists/sources.list"
    cat >"$lists/apt.conf" <<CONF
Dir::Etc::sourcelist "$lists/sources.list";
Dir::Etc::sourceparts "-";
Dir::State::lists "$lists/lists";
Dir::Cache "$lists/cache";
Dir::State::status "$lists/status";
APT::Sandbox::User "root";
CONF
    (
        export APT_CONFIG=$lists/apt.conf
        $apt update
        cd "$lists/packages"
        $apt download docker.io docker-cli docker-buildx docker-compose
    ) >>"$folder/apt.log" 2>&1 || cannot "the engine's packages cannot be had ($(tail -1 "$folder/apt.log"))"
    for package in "$lists"/packages/*.deb; do dpkg-deb -x "$package" "$folder/engine"; done
fi
export PATH=$folder/engine/usr/bin:$folder/engine/usr/sbin:$PATH
export DOCKER_CONFIG=$folder/config DOCKER_HOST=unix://$folder/docker.sock
mkdir -p "$DOCKER_CONFIG/cli-plugins"
ln -sf "$folder"/engine/usr/libexec/docker/cli-plugins/* "$DOCKER_CONFIG/cli-plugins/"
say "packages unpacked"

# --- engine

iptables-save >"$folder/iptables.before"
ip6tables-save >"$folder/ip6tables.before"
bridges >"$folder/bridges.before"
rm -f "$folder/pid"
# setsid: a signal to this script's group, as `timeout` sends it, must leave the engine to `leave`.
setsid dockerd --data-root "$folder/data" --exec-root "$folder/exec" --pidfile "$folder/pid" --host "$DOCKER_HOST" \
    --storage-driver overlay2 --userland-proxy-path "$folder/engine/usr/sbin/docker-proxy" \
    >"$folder/dockerd.log" 2>&1 </dev/null &
engine_pid=$!
for _ in $(seq 240); do
    docker version >/dev/null 2>&1 && break
    kill -0 "$engine_pid" 2>/dev/null || break
    sleep 0.25
done
docker version --format '{{.Server.Version}}' >"$folder/version" 2>&1 ||
    cannot "dockerd does not start here ($(grep -i 'level=\(fatal\|error\)\|failed' "$folder/dockerd.log" | tail -1))"
say "engine $(cat "$folder/version"), Compose $(docker compose version --short)"

# --- base images, of the names that the Dockerfiles use

if ! docker image inspect debian:bookworm-slim >/dev/null 2>&1; then
    root=$folder/root
    debootstrap --variant=minbase bookworm "$root" "$mirror" >"$folder/debootstrap.log" 2>&1
    tar -C "$root" --exclude='./var/cache/apt/archives/*.deb' --exclude='./var/lib/apt/lists/*' --exclude='./dev/*' \
        --exclude='./proc/*' --exclude='./sys/*' --exclude='./usr/share/doc/*' --exclude='./usr/share/man/*' -c . |
        docker import --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
            --change 'CMD ["bash"]' - debian:bookworm-slim >/dev/null
    rm -rf "$root"
    say "debian:bookworm-slim made of Debian's packages"
fi

# This machine's own Python 3.11, laid out as the official image has it, and its pip's settings.
if ! docker image inspect python:3.11-slim-bookworm >/dev/null 2>&1; then
    python=$(command -v python3.11 || true)
    [ -n "$python" ] || cannot "the base image of Python 3.11 cannot be made: there is no python3.11 here"
    home=$("$python" -c 'import sys; print(sys.base_prefix)')
    context=$folder/python
    rm -rf "$context"
    mkdir -p "$context/usr/bin" "$context/usr/lib" "$context/usr/include"
    if [ "$home" = /usr ]; then
        cannot "the base image of Python 3.11 cannot be made from Debian's own python3.11"
    fi
    cp -a "$home/bin/python3.11" "$context/usr/bin/"
    cp -a "$home"/lib/libpython3*.so* "$context/usr/lib/" 2>/dev/null || true
    tar -C "$home/lib" --exclude='python3.11/site-packages/*' --exclude=python3.11/test --exclude=__pycache__ \
        --exclude='python3.11/config-*/*.a' -c python3.11 | tar -C "$context/usr/lib" -x
    cp /etc/ssl/certs/ca-certificates.crt "$context/ca.crt"
    cp /etc/pip.conf "$context/pip.conf" 2>/dev/null || : >"$context/pip.conf"
    cat >"$context/Dockerfile" <<'DOCKERFILE'
FROM debian:bookworm-slim
ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates netbase tzdata libbz2-1.0 libssl3 \
    libffi8 liblzma5 libncursesw6 libreadline8 libsqlite3-0 libexpat1 libuuid1 zlib1g libgdbm6 libnsl2 libtirpc3 libcrypt1 \
    && rm -rf /var/lib/apt/lists/*
COPY usr/ /usr/local/
RUN ldconfig && cd /usr/local/bin && ln -s python3.11 python3 && ln -s python3 python && python3 -m ensurepip
COPY ca.crt /etc/ssl/certs/ca-certificates.crt
COPY pip.conf /etc/pip.conf
CMD ["python3"]
DOCKERFILE
    docker build --quiet --network host --tag python:3.11-slim-bookworm "$context" >"$folder/python.log" 2>&1 ||
        { tail -20 "$folder/python.log"; exit 1; }
    rm -rf "$context"
    say "python:3.11-slim-bookworm made of this machine's Python"
fi

set +e
"$@"
