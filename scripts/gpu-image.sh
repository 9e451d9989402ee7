#!/usr/bin/env bash
# The GPU image as far as it can be tried without a GPU: built, all libraries of CUDA and cuDNN found but the driver's own,
# refuses to start where CUDA is asked for, serves on the CPU where it is not. Needs a Docker engine: `make gpu-image`.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { echo "[gpu image ${SECONDS}s] $*"; }
image=srserve:check-gpu
container=srserve-check-gpu
confined=(--read-only --tmpfs /tmp --cap-drop ALL --env SR_KEYS=off)

leave() {
    status=$?
    trap - EXIT INT TERM
    docker rm --force "$container" >/dev/null 2>&1 || true
    exit $status
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

docker build --quiet --build-arg ORT=gpu --tag "$image" . >/dev/null
say "built: $(docker image inspect --format '{{.Size}}' "$image" | awk '{printf "%.2f GB", $1 / 1e9}')"

# What the CUDA provider is linked to, and whether it is there: the loader itself would name the first missing library only.
docker run --rm --interactive "${confined[@]}" --entrypoint python "$image" - <<'PYTHON'
import ctypes
import os
import site
import subprocess
from pathlib import Path

import onnxruntime

provider = Path(onnxruntime.__file__).parent / "capi" / "libonnxruntime_providers_cuda.so"
folders = {str(library.parent) for library in Path(site.getsitepackages()[0], "nvidia").rglob("*.so*")}
environment = os.environ | {"LD_LIBRARY_PATH": ":".join(sorted(folders))}
lines = subprocess.run(["ldd", provider], env=environment, capture_output=True, text=True, check=True).stdout.splitlines()
linked = {line.split()[0]: line.split("=>")[1].split()[0] for line in lines if "=>" in line}
missing = {name for name, place in linked.items() if place == "not"} - {"libcuda.so.1"}
assert not missing, missing

onnxruntime.preload_dlls()  # as the service does, without LD_LIBRARY_PATH
names = sorted({name for name, place in linked.items() if "nvidia" in place} | {"libcudnn.so.9"})  # that is opened later
for name in names:
    ctypes.CDLL(name)
print("found:", *names)
PYTHON
say "all libraries are there but the driver's"

if docker run --rm --name "$container" "${confined[@]}" --env SR_DEVICE=cuda "$image" >/tmp/srserve-gpu.$$ 2>&1; then status=0; else status=$?; fi
grep -q "device 'cuda' was asked for" /tmp/srserve-gpu.$$ || { cat /tmp/srserve-gpu.$$; exit 1; }
rm -f /tmp/srserve-gpu.$$
[ $status = 2 ] || { echo "exit status $status, not 2"; exit 1; }
say "without a GPU it does not start where one is asked for"

docker run --detach --name "$container" "${confined[@]}" "$image" >/dev/null
for _ in $(seq 120); do
    health=$(docker inspect --format '{{.State.Health.Status}}' "$container")
    [ "$health" = healthy ] && break
    sleep 1
done
[ "$health" = healthy ] || { docker logs "$container"; exit 1; }
docker exec --interactive "$container" python - <<'PYTHON'
import io
import urllib.request

from PIL import Image

file = io.BytesIO()
Image.linear_gradient("L").resize((30, 20)).save(file, "PNG")
url = "http://127.0.0.1:8000/upscale?model=edsr&scale=2"
with urllib.request.urlopen(urllib.request.Request(url, file.getvalue()), timeout=60) as answer:
    assert answer.headers["X-SR-Device"] == "cpu"
    assert Image.open(answer).size == (60, 40)
PYTHON
docker stop --time 60 "$container" >/dev/null
[ "$(docker inspect --format '{{.State.ExitCode}}' "$container")" = 0 ]
say "it serves on the CPU, and stops with status 0"
