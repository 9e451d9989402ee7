"""The compose stack as it runs: started by `make stack`, reached through its gateway, looked into with `docker`."""

import io
import json
import os
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import av
import httpx2
import numpy as np
import pytest
from PIL import Image

from tests.conftest import REPOSITORY, eventually
from tests.service.pictures import as_file, pixels
from tests.service.video.samples import Sample, moving, write

pytestmark = pytest.mark.stack

PATH = "/upscale?model=edsr&scale=2"
URL = os.environ.get("SRSERVE_STACK_URL", "")
PROJECT = os.environ.get("COMPOSE_PROJECT_NAME", "")


@pytest.fixture
def gateway() -> Iterator[httpx2.Client]:
    if not URL:
        pytest.skip("no stack is running; `make stack` starts one")
    with httpx2.Client(base_url=URL, timeout=70.0, trust_env=False) as client:
        yield client


def docker(*arguments: str, check: bool = True) -> str:
    ended = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=120, check=False)
    assert not check or ended.returncode == 0, ended.stderr
    return (ended.stdout + ended.stderr).strip()


def containers(service: str) -> list[str]:
    project, name = f"label=com.docker.compose.project={PROJECT}", f"label=com.docker.compose.service={service}"
    return docker("ps", "--quiet", "--filter", project, "--filter", name).split()


def inside(container: str, *command: str) -> str:
    """What the command prints in the container, errors included, whether it fails or not."""
    return docker("exec", container, *command, check=False)


def gateway_lines() -> list[dict[str, str]]:
    lines = docker("logs", containers("gateway")[0]).splitlines()
    found = [json.loads(line) for line in lines if line.startswith("{")]
    return [line for line in found if line["event"] == "gateway"]


def smooth(height: int, width: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """A picture that every sane way of enlarging agrees on."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([128 + 100 * np.sin(y / 9), 128 + 100 * np.cos(x / 7), (x + y) % 256 * 0.5], -1).astype(np.uint8)


def test_a_picture_comes_back_twice_as_large_through_the_gateway(gateway: httpx2.Client) -> None:
    lr = smooth(60, 48)
    answer = gateway.post(PATH, content=as_file(lr))
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-sr-model"] == "edsr"
    sr = np.asarray(Image.open(io.BytesIO(answer.content)))
    bicubic = np.asarray(Image.fromarray(lr).resize((96, 120), Image.Resampling.BICUBIC))
    assert sr.shape == bicubic.shape
    assert np.abs(sr.astype(float) - bicubic.astype(float)).mean() < 4


def test_a_body_over_the_limit_is_a_problem_of_the_gateway(gateway: httpx2.Client) -> None:
    answer = gateway.post(PATH, content=bytes(33 * 2**20))
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "body-too-large"
    assert str(33 * 2**20) in answer.json()["detail"]


def test_a_clip_comes_back_frame_by_frame_through_the_gateway(gateway: httpx2.Client) -> None:
    frames = [("frame", (f"{index}.png", as_file(smooth(16, 12)), "image/png")) for index in range(3)]
    answer = gateway.post("/upscale/frames?model=edsr&scale=2", files=frames)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("multipart/mixed")
    assert answer.content.count(b"\x89PNG\r\n\x1a\n") == 3


def test_a_job_is_done_by_whichever_replica_and_fetched_from_any(gateway: httpx2.Client) -> None:
    job = gateway.post("/jobs?model=edsr&scale=2", content=as_file(smooth(20, 20)))
    assert job.status_code == 202, job.text
    path = job.headers["location"]
    assert eventually(lambda: gateway.get(path).json()["state"] == "succeeded", timeout_s=60)
    for _ in range(4):
        assert Image.open(io.BytesIO(gateway.get(f"{path}/result").content)).size == (40, 40)


def test_a_video_is_a_job_too_in_the_confines_of_the_container(gateway: httpx2.Client, tmp_path: Path) -> None:
    """Its pieces are made by processes of their own, under the same limits: no root to write on, no capability."""
    frames = moving(6, width=48, height=32)
    video = write(tmp_path / "clip.mp4", Sample(frames, [512 * at for at in range(len(frames))]))
    job = gateway.post("/jobs?model=edsr-small&scale=2", content=video.read_bytes())
    assert job.status_code == 202, job.text
    path = job.headers["location"]
    assert eventually(lambda: gateway.get(path).json()["state"] not in ("queued", "running"), timeout_s=90)
    assert gateway.get(path).json()["problem"] is None
    (tmp_path / "large.mp4").write_bytes(gateway.get(f"{path}/result").content)
    with av.open(str(tmp_path / "large.mp4")) as container:
        assert [(frame.width, frame.height) for frame in container.decode(video=0)] == [(96, 64)] * len(frames)


def test_the_services_own_refusals_come_through(gateway: httpx2.Client) -> None:
    answer = gateway.post("/upscale?model=nope&scale=2", content=b"x", headers={"X-Request-ID": "through-the-stack"})
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown-model")
    assert answer.headers["x-request-id"] == "through-the-stack"


def test_only_the_gateway_is_published_and_the_service_reaches_nothing_outside(gateway: httpx2.Client) -> None:
    for replica in containers("service"):
        assert docker("port", replica) == ""
        networks = json.loads(docker("inspect", "--format", "{{json .NetworkSettings.Networks}}", replica))
        assert [docker("network", "inspect", "--format", "{{.Internal}}", name) for name in networks] == ["true"]
    assert docker("port", containers("gateway")[0]).startswith("8080/tcp -> 127.0.0.1:")


def test_the_service_is_nobody_and_can_write_nowhere_but_in_its_tmp(gateway: httpx2.Client) -> None:
    replica = containers("service")[0]
    assert inside(replica, "id", "-u") == "10001"
    for path in ("/x", "/opt/srserve/x", "/opt/srserve/store/x", "/opt/venv/x"):
        assert "Read-only file system" in inside(replica, "touch", path)
    assert inside(replica, "touch", "/tmp/x") == ""
    status = inside(replica, "cat", "/proc/1/status")
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    assert "Seccomp:\t2" in status


def test_the_image_holds_what_serving_needs_and_no_more(gateway: httpx2.Client) -> None:
    names = ("torch", "onnx", "pip", "models", "training")
    look = f"from importlib.util import find_spec; print([name for name in {names} if find_spec(name)])"
    replica = containers("service")[0]
    assert inside(replica, "python", "-c", look) == "[]"
    assert int(docker("inspect", "--format", "{{.HostConfig.Memory}}", replica)) == 4 * 2**30


def test_prometheus_finds_both_replicas_and_what_they_served(gateway: httpx2.Client) -> None:
    assert gateway.post(PATH, content=as_file(pixels(8, 8))).status_code == 200

    def value(query: str) -> float:
        found = asked(f"query?query={quote(query)}")["data"]["result"]
        return float(found[0]["value"][1]) if found else 0.0

    assert eventually(lambda: value("sum(sr_ready)") == 2, timeout_s=60)
    assert eventually(lambda: value('sum(sr_input_pixels_total{model="edsr"})') > 0, timeout_s=60)


def asked(path: str) -> dict[str, Any]:
    """What the stack's Prometheus answers."""
    (prometheus,) = containers("prometheus")
    answer: dict[str, Any] = json.loads(inside(prometheus, "curl", "--silent", f"http://127.0.0.1:9090/api/v1/{path}"))
    return answer


def test_every_query_of_the_dashboard_is_answered_by_prometheus(gateway: httpx2.Client) -> None:
    panels = json.loads((REPOSITORY / "deploy/grafana/dashboards/srserve.json").read_text())["panels"]
    queries = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    assert gateway.post(PATH, content=as_file(pixels(8, 8))).status_code == 200

    def silent() -> list[str]:
        found = {query: asked(f"query?query={quote(query.replace('$__rate_interval', '1m'))}") for query in queries}
        return [f"{query}: {answer}" for query, answer in found.items() if not answer.get("data", {}).get("result")]

    assert eventually(lambda: not silent(), timeout_s=90), silent()


def test_prometheus_evaluates_every_alert(gateway: httpx2.Client) -> None:
    def health() -> set[str]:
        return {rule["health"] for group in asked("rules")["data"]["groups"] for rule in group["rules"]}

    assert eventually(lambda: health() == {"ok"}, timeout_s=60), asked("rules")


def test_keys_are_made_by_a_container_of_their_own_and_read_by_the_service(gateway: httpx2.Client) -> None:
    text = docker("compose", "run", "--rm", "keys", "make", "stack-test").splitlines()[-1]
    assert text.startswith("srk_")
    listed = inside(containers("service")[0], "python", "-m", "service.keys", "--file", "/keys/keys.json", "list")
    assert "stack-test" in listed
    assert text.rpartition("_")[2] not in listed


def test_two_requests_at_once_go_to_two_replicas(gateway: httpx2.Client) -> None:
    content = as_file(pixels(256, 256))
    names = [f"at-once-{time.time_ns()}-{index}" for index in range(2)]
    with ThreadPoolExecutor(2) as pool:
        answers = pool.map(lambda name: gateway.post(PATH, content=content, headers={"X-Request-ID": name}), names)
        assert [answer.status_code for answer in answers] == [200, 200]
    replicas = {line["replica"] for line in gateway_lines() if line["request_id"] in names}
    assert len(replicas) == 2


def test_a_third_replica_gets_its_share_and_goes_without_a_loss(gateway: httpx2.Client) -> None:
    (front,) = containers("gateway")

    def scale(count: int) -> None:
        how = ("--detach", "--wait", "--no-recreate", "--no-deps")
        docker("compose", "up", *how, "--scale", f"service={count}", "service")

    def listed() -> int:
        return inside(front, "cat", "/run/gateway/replicas.conf").count("fail_timeout=5s;")

    scale(3)
    assert eventually(lambda: listed() == 3, timeout_s=60)
    content = as_file(pixels(256, 256))

    def replicas_of_three_at_once() -> int:
        names = [f"three-{time.time_ns()}-{index}" for index in range(3)]
        with ThreadPoolExecutor(3) as pool:
            answers = pool.map(lambda name: gateway.post(PATH, content=content, headers={"X-Request-ID": name}), names)
            assert [answer.status_code for answer in answers] == [200] * 3
        return len({line["replica"] for line in gateway_lines() if line["request_id"] in names})

    assert eventually(lambda: replicas_of_three_at_once() == 3, timeout_s=60)
    with ThreadPoolExecutor(1) as pool:
        going = pool.submit(scale, 2)
        statuses = []
        while not going.done():
            statuses.append(gateway.post(PATH, content=as_file(pixels(24, 24))).status_code)
    going.result()
    assert set(statuses) == {200}
    assert eventually(lambda: listed() == 2, timeout_s=60)


def test_a_replica_that_is_stopped_ends_with_status_0_and_no_request_is_lost(gateway: httpx2.Client) -> None:
    content = as_file(pixels(24, 24))
    replica = containers("service")[0]
    with ThreadPoolExecutor(1) as pool:
        stopping = pool.submit(docker, "stop", "--time", "60", replica)
        statuses = []
        while not stopping.done():
            statuses.append(gateway.post(PATH, content=content).status_code)
    assert set(statuses) == {200}
    assert len(statuses) > 3
    assert docker("inspect", "--format", "{{.State.ExitCode}} {{.State.OOMKilled}}", replica) == "0 false"
    docker("start", replica)
    (front,) = containers("gateway")
    listed = ("cat", "/run/gateway/replicas.conf")
    assert eventually(lambda: inside(front, *listed).count("fail_timeout=5s;") == 2, timeout_s=60)
