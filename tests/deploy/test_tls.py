"""TLS and mTLS at the gateway, with certificates made for the test."""

import shutil
import ssl
import subprocess
from pathlib import Path

import httpx2
import pytest

from tests.conftest import eventually
from tests.deploy.conftest import Front, free_port
from tests.deploy.replica import Replica

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="certificates are made with openssl")


def openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def authority(folder: Path, name: str) -> Path:
    """A certificate authority: `name`.crt and `name`.key."""
    certificate = folder / f"{name}.crt"
    subject = ["-subj", f"/CN={name}", "-days", "2", "-nodes"]
    openssl("req", "-x509", "-newkey", "rsa:2048", "-keyout", folder / f"{name}.key", "-out", certificate, *subject)
    return certificate


def issue(folder: Path, name: str, by: str) -> tuple[Path, Path]:
    """Certificate and key of `name`, for 127.0.0.1, signed by the authority `by`."""
    key, request, certificate = (folder / f"{name}.{suffix}" for suffix in ("key", "csr", "crt"))
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request, "-subj", f"/CN={name}")
    extensions = folder / f"{name}.ext"
    extensions.write_text("subjectAltName=IP:127.0.0.1\n")
    signer: list[str | Path] = ["-CA", folder / f"{by}.crt", "-CAkey", folder / f"{by}.key", "-CAcreateserial"]
    openssl("x509", "-req", "-in", request, "-out", certificate, "-days", "2", "-extfile", extensions, *signer)
    return certificate, key


def ask(port: int, trust: Path, holder: tuple[Path, Path] | None = None) -> httpx2.Response:
    context = ssl.create_default_context(cafile=str(trust))
    if holder is not None:
        context.load_cert_chain(*holder)
    with httpx2.Client(verify=context, trust_env=False, timeout=30) as client:
        return client.get(f"https://127.0.0.1:{port}/models")


def test_tls_ends_at_the_gateway(front: Front, replicas: list[Replica], tmp_path: Path) -> None:
    trust = authority(tmp_path, "authority")
    certificate, key = issue(tmp_path, "gateway", by="authority")
    for replica in replicas:
        replica.always = 200
    port = free_port()
    tls = {"TLS_LISTEN": f"127.0.0.1:{port}", "TLS_CERTIFICATE": certificate, "TLS_KEY": key}
    gateway = front([replica.address for replica in replicas], **tls)
    assert ask(port, trust).status_code == 200
    with gateway.client() as client:
        assert client.get("/models").status_code == 200  # the health check's own door
    other = authority(tmp_path, "other")
    with pytest.raises(httpx2.ConnectError):
        ask(port, other)


def test_with_mtls_only_clients_of_the_authority_are_let_in(
    front: Front, replicas: list[Replica], tmp_path: Path
) -> None:
    trust, clients = authority(tmp_path, "authority"), authority(tmp_path, "clients")
    certificate, key = issue(tmp_path, "gateway", by="authority")
    for replica in replicas:
        replica.always = 200
    port = free_port()
    tls = {"TLS_LISTEN": f"127.0.0.1:{port}", "TLS_CERTIFICATE": certificate, "TLS_KEY": key}
    gateway = front([replica.address for replica in replicas], **tls, TLS_CLIENT_CA=clients)
    assert ask(port, trust, issue(tmp_path, "ada", by="clients")).status_code == 200
    for stranger in (None, issue(tmp_path, "mallory", by="authority")):
        refused = ask(port, trust, stranger)
        assert refused.status_code == 400
        assert refused.headers["content-type"] == "application/problem+json"
    assert sum(replica.asked for replica in replicas) == 1
    with gateway.client() as client:
        assert client.get("/models").status_code == 200


def test_a_new_certificate_is_taken_after_a_signal(front: Front, replicas: list[Replica], tmp_path: Path) -> None:
    old = authority(tmp_path, "old")
    certificate, key = issue(tmp_path, "gateway", by="old")
    for replica in replicas:
        replica.always = 200
    port = free_port()
    tls = {"TLS_LISTEN": f"127.0.0.1:{port}", "TLS_CERTIFICATE": certificate, "TLS_KEY": key}
    gateway = front([replica.address for replica in replicas], **tls)
    assert ask(port, old).status_code == 200
    new = authority(tmp_path, "new")
    issue(tmp_path, "gateway", by="new")
    gateway.process.send_signal(1)  # SIGHUP

    def taken() -> bool:
        try:
            return ask(port, new).status_code == 200
        except httpx2.TransportError:  # the old certificate, or a worker that is leaving
            return False

    assert eventually(taken, timeout_s=60)
