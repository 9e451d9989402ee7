"""One picture, with every way in which it can fail told apart.

python examples/upscale.py photo.jpg large.png --model edsr --scale 4
"""

import argparse
import sys

from srserve_client import Client, ConnectionFailed, DeadlineExpired, ProblemError
from srserve_client.problems import Overloaded, TooManyPixels, Unavailable, UndecodableImage


def main() -> int:
    """Upscale one picture; the exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("picture")
    parser.add_argument("output")
    parser.add_argument("--model", default="edsr")
    parser.add_argument("--scale", type=int, default=4)
    arguments = parser.parse_args()
    try:
        with Client(timeout=60) as service:  # SR_BASE_URL and SR_API_KEY, or their parameters
            result = service.upscale(arguments.picture, model=arguments.model, scale=arguments.scale)
    except UndecodableImage as error:
        return fail(f"the file is damaged: {error.detail}")
    except TooManyPixels as error:
        return fail(f"too large: {error.actual} pixels, and {error.limit} are allowed")
    except (Overloaded, Unavailable) as error:
        return fail(f"busy, {error.attempts} attempts were made; try again in {error.retry_after_s or 30:.0f} s")
    except ProblemError as error:  # every other code
        return fail(f"{error.detail} ({error.code}, request {error.request_id})")
    except DeadlineExpired:
        return fail("it took longer than a minute")
    except ConnectionFailed as error:
        return fail(f"the service cannot be reached: {error}")
    print(f"{result.save(arguments.output)}: {result.model} x{result.scale:g} in {sum(result.timing.values()):.2f} s")
    return 0


def fail(why: str) -> int:
    """Say it; the exit status."""
    print(why, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
