"""The limits and times of service, gateway and compose file fit together, each stated where its owner reads it."""

import re

import yaml

from service.settings import MIB, Settings
from srserve_client.aio.client import TIMEOUT_S as CLIENT_TIMEOUT_S
from tests.conftest import REPOSITORY

DEPLOY = REPOSITORY / "deploy" / "gateway"


def gateway_default(name: str) -> str:
    found = re.search(rf"\${{{name}:=([^}}]*)}}", (DEPLOY / "gateway.sh").read_text())
    assert found, name
    return found[1]


def directive_s(name: str, file: str = "proxy.conf") -> int:
    found = re.search(rf"^\s*{name} (\d+)s;", (DEPLOY / file).read_text(), re.MULTILINE)
    assert found, name
    return int(found[1])


def seconds(value: str) -> int:
    return int(value.removesuffix("s"))


def test_the_gateway_lets_through_what_the_service_takes() -> None:
    assert gateway_default("GATEWAY_MAX_BODY") == f"{Settings().max_body_bytes // MIB}m"
    assert gateway_default("GATEWAY_MAX_JOB_BODY") == f"{Settings().max_job_bytes // (1024 * MIB)}g"
    assert gateway_default("GATEWAY_MAX_FRAMES_BODY") == "0"


def test_who_is_nearer_to_the_work_gives_up_first() -> None:
    settings = Settings()
    client_s, gateway_s = CLIENT_TIMEOUT_S, directive_s("proxy_read_timeout")
    assert client_s > gateway_s > settings.deadline_s > settings.max_queue_s
    assert (client_s, gateway_s, settings.deadline_s) == (70, 65, 60)
    assert directive_s("proxy_send_timeout") == gateway_s
    assert settings.deadline_s > settings.body_timeout_s


def test_the_gateway_waits_for_heads_and_bodies_as_long_as_the_service() -> None:
    assert directive_s("client_header_timeout", "nginx.conf") == Settings().head_timeout_s
    assert directive_s("client_body_timeout", "nginx.conf") == Settings().body_timeout_s


def test_the_gateway_looks_away_from_a_replica_before_its_port_closes() -> None:
    assert Settings().drain_delay_s >= 3 * float(gateway_default("GATEWAY_POLL_S"))


def test_compose_kills_nobody_who_is_still_finishing() -> None:
    services = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]
    settings = Settings()
    grace_s = seconds(services["service"]["stop_grace_period"])
    assert grace_s >= settings.drain_delay_s + settings.drain_timeout_s + 5
    assert seconds(services["gateway"]["stop_grace_period"]) > directive_s("proxy_read_timeout")


def test_the_container_has_room_for_what_the_service_admits() -> None:
    services = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]
    gibibytes = int(services["service"]["mem_limit"].removeprefix("${SRSERVE_MEMORY:-").removesuffix("g}"))
    assert gibibytes * 2**30 >= Settings().max_memory_bytes + 1024 * MIB  # the process, the network's own arena
