"""Tests of your own code without a service: the fake one answers as the real one does, and fails when you ask it to.

pytest examples/test_own_code.py
"""

from io import BytesIO

from PIL import Image

from srserve_client import Client
from srserve_client.problems import Overloaded, UndecodableImage
from srserve_client.testing import FakeService


def portrait(service: Client, upload: bytes) -> bytes | None:
    """Your own code: the picture twice as large as JPEG, or None for what is no picture."""
    try:
        return service.upscale(upload, model="edsr", scale=2, format="jpeg").content
    except UndecodableImage:
        return None


def png(width: int, height: int) -> bytes:
    """A grey picture."""
    file = BytesIO()
    Image.new("RGB", (width, height), "grey").save(file, "PNG")
    return file.getvalue()


def test_a_portrait_comes_back_twice_as_large() -> None:
    with Client(transport=FakeService().transport) as service:
        made = portrait(service, png(30, 40))
    assert made is not None
    assert Image.open(BytesIO(made)).size == (60, 80)


def test_a_damaged_upload_is_no_portrait() -> None:
    with Client(transport=FakeService().transport) as service:
        assert portrait(service, png(30, 40)[:60]) is None


def test_a_full_service_is_asked_again() -> None:
    fake = FakeService()
    fake.fail_next(Overloaded("full", retry_after_s=0))
    with Client(transport=fake.transport) as service:
        assert portrait(service, png(30, 40)) is not None
    assert len(fake.requests) == 2
