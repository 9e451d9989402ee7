"""A service for your own tests: no model, no process, no network, and the answers that the real one would give.

    from srserve_client import Client
    from srserve_client.problems import Overloaded
    from srserve_client.testing import FakeService

    def test_a_full_service_is_asked_again():
        fake = FakeService()
        fake.fail_next(Overloaded("full", retry_after_s=0))
        with Client(transport=fake.transport) as client:
            assert client.upscale("photo.jpg", model="edsr", scale=2).attempts == 2

It needs Pillow (`srserve-client[testing]`).
"""

from srserve_client.testing.server import FakeServer
from srserve_client.testing.service import FakeService

__all__ = ["FakeServer", "FakeService"]
