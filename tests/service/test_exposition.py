"""The metrics of a running service: on their own port, true to what was asked, and there until the end."""

import signal

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import Launch, LiveServer, eventually
from tests.service.pictures import as_file, pixels

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scrape(server: LiveServer) -> Samples:
    answer = httpx2.get(metrics_url(server), timeout=30, trust_env=False)
    assert answer.status_code == 200
    families = text_string_to_metric_families(answer.text)
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


def metrics_url(server: LiveServer) -> str:
    return str(server.lines("listening")[0]["metrics"])


def sample(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((name, frozenset(labels.items())))


def test_there_is_no_metrics_port_unless_one_is_chosen_and_never_a_path(client: httpx2.Client) -> None:
    assert client.get("/metrics").status_code == 404


def test_requests_tiles_and_pixels_are_counted_exactly(launch: Launch) -> None:
    server = launch(metrics_port=0, max_tile=32)
    with server.client() as client:
        for _ in range(3):
            assert client.post("/upscale?model=nearest&scale=2", content=as_file(pixels(40, 20))).status_code == 200
        assert client.post("/upscale?model=nearest&scale=7", content=b"x").status_code == 422
        assert client.post("/upscale?model=nearest&scale=2", content=b"no picture").status_code == 415
        assert client.get("/nowhere/1").status_code == 404
        tiles = int(client.post("/upscale?model=blur&scale=2", content=as_file(pixels(40, 20))).headers["x-sr-tiles"])
    assert eventually(lambda: sample(scrape(server), "sr_requests_in_progress") == 0)  # counted after the last byte
    found = scrape(server)
    ours = {"endpoint": "/upscale", "model": "nearest", "scale": "2"}
    assert sample(found, "sr_requests_total", **ours, status="200", code="") == 3
    assert sample(found, "sr_requests_total", **ours, status="415", code="unsupported-media") == 1
    nowhere = {"endpoint": "none", "model": "", "scale": "", "status": "404", "code": "not-found"}
    assert sample(found, "sr_requests_total", **nowhere) == 1
    assert sample(found, "sr_input_pixels_total", model="nearest") == 3 * 40 * 20
    assert sample(found, "sr_output_pixels_total", model="nearest") == 3 * 40 * 20 * 4
    assert sample(found, "sr_inferences_total", model="blur") == tiles
    ran = sample(found, "sr_batch_pixels_total", model="blur")
    padding = sample(found, "sr_padding_pixels_total", model="blur")
    assert ran is not None
    assert padding == ran - 40 * 20
    assert sample(found, "sr_ready") == 1
    assert sample(found, "sr_admitted_requests") == 0
    assert sample(found, "sr_estimate_error_ratio_count", model="nearest") == 3


def test_what_is_refused_before_the_application_is_counted_too(launch: Launch) -> None:
    server = launch(metrics_port=0)
    with server.connect() as connection:
        connection.sendall(b"no http at all\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 400")
    refused = {"endpoint": "none", "model": "", "scale": "", "status": "400", "code": "bad-request"}
    assert sample(scrape(server), "sr_requests_total", **refused) == 1


def test_a_full_service_counts_whom_it_sends_away(launch: Launch) -> None:
    server = launch(metrics_port=0, max_requests=1)
    with server.connect() as first, server.client() as client:
        first.sendall(b"POST /upscale?model=nearest&scale=2 HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
        assert eventually(lambda: sample(scrape(server), "sr_admitted_requests") == 1)
        assert client.post("/upscale?model=nearest&scale=2", content=b"x").status_code == 429
        found = scrape(server)
    assert sample(found, "sr_rejections_total", reason="overloaded") == 1
    assert sample(found, "sr_requests_in_progress") == 1
    assert sample(found, "sr_admitted_requests_limit") == 1


def test_the_metrics_outlive_the_port_of_the_service(launch: Launch) -> None:
    server = launch(metrics_port=0)
    content = as_file(pixels(8, 8))
    head = f"POST /upscale?model=nearest&scale=2 HTTP/1.1\r\nHost: x\r\nContent-Length: {len(content)}\r\n\r\n"
    with server.connect() as last:
        last.sendall(head.encode())
        assert eventually(lambda: sample(scrape(server), "sr_admitted_requests") == 1)
        server.process.send_signal(signal.SIGTERM)
        assert eventually(lambda: bool(server.lines("draining")))
        assert sample(scrape(server), "sr_ready") == 0
        last.sendall(content)
        assert last.recv(1000).startswith(b"HTTP/1.1 200")
    assert server.process.wait(30) == 0


def test_a_head_too_long_or_too_slow_is_a_rejection_and_silence_is_none(launch: Launch) -> None:
    server = launch(metrics_port=0, max_head_bytes=1000, head_timeout_s=1)
    with server.connect() as silent, server.connect() as slow, server.connect() as long:
        slow.sendall(b"GET /models HTTP/1.1\r\nHost: x\r\nX-Slow")
        long.sendall(b"GET /models HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 2000)
        assert long.recv(1000).startswith(b"HTTP/1.1 400")
        assert slow.recv(1000) == b""
        assert silent.recv(1000) == b""
    found = scrape(server)
    assert sample(found, "sr_rejections_total", reason="slow") == 1
    assert sample(found, "sr_rejections_total", reason="too_large") == 1


def test_jobs_are_counted_by_state(launch: Launch) -> None:
    server = launch(metrics_port=0)
    with server.client() as client:
        job = client.post("/jobs?model=nearest&scale=2", content=as_file(pixels(8, 8)))
        assert job.status_code == 202
        assert eventually(lambda: sample(scrape(server), "sr_jobs", state="succeeded") == 1)
        found = scrape(server)
        assert sample(found, "sr_jobs", state="queued") == sample(found, "sr_jobs", state="running") == 0
        assert sample(found, "sr_jobs_bytes") == len(client.get(f"{job.headers['location']}/result").content)
