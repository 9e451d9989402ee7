#!/usr/bin/env bash
# The stack, for real: both images built, two replicas and the gateway started, tests/deploy/test_stack.py run against them,
# all taken down. Needs a Docker engine: `make stack` runs this through docker-engine.sh, which brings one where it can.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { echo "[stack ${SECONDS}s] $*"; }
python=${PYTHON:-.venv/bin/python}
export COMPOSE_PROJECT_NAME=srserve-check SRSERVE_TAG=check
SRSERVE_PORT=$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
export SRSERVE_PORT

for files in docker-compose.yml "docker-compose.yml docker-compose.gpu.yml" "docker-compose.yml docker-compose.tls.yml" \
    "docker-compose.yml docker-compose.gpu.yml docker-compose.tls.yml"; do
    for profile in "" observe keys; do
        # shellcheck disable=SC2046,SC2086  # each file is a word
        docker compose $(printf -- '-f %s ' $files) ${profile:+--profile $profile} config --quiet
    done
done
say "every combination of compose files is valid"

leave() {
    status=$?
    trap - EXIT INT TERM
    [ $status = 0 ] || docker compose logs --tail 40 || true
    docker compose --profile observe down --volumes --timeout 20 >/dev/null 2>&1 || true
    exit $status
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

docker compose --profile observe build --quiet
say "images built: $(docker image inspect --format '{{.Size}}' srserve:check-cpu | awk '{printf "%.0f MB", $1 / 1e6}') and" \
    "$(docker image inspect --format '{{.Size}}' srserve-gateway:check | awk '{printf "%.0f MB", $1 / 1e6}')"
docker compose up --detach --wait --wait-timeout 240 --scale service=2
say "two replicas and the gateway are healthy"
# Grafana's image comes from a registry, so it is left out here.
docker compose --profile observe up --detach --wait --wait-timeout 120 --no-deps prometheus
docker compose --profile observe run --rm --no-deps --entrypoint promtool prometheus test rules /etc/srserve/alerts.test.yml
say "Prometheus is healthy, and its alerts fire when they should"
SRSERVE_STACK_URL=http://127.0.0.1:$SRSERVE_PORT "$python" -m pytest -m stack tests/deploy
docker compose --profile observe down --volumes --timeout 60
say "down: $(docker ps --all --quiet --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" | wc -l) containers left"
