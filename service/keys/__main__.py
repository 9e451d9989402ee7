"""`python -m service.keys`: make, list and revoke keys. A running service sees the change within a second."""

import argparse
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from service.keys.file import Grants, Key, KeyFileError, change_keys, read_keys, revoked
from service.keys.secret import new_key


def main(arguments: list[str]) -> int:
    """The exit status: 0, or 1 with the reason on stderr."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if chosen.file is None:
        parser.error("say which file: --file FILE, or SR_KEYS in the environment")
    try:
        chosen.run(chosen)
    except (KeyFileError, LookupError) as error:
        print(error.args[0], file=sys.stderr)
        return 1
    except ValidationError as error:
        fault = error.errors()[0]
        print(f"{fault['loc'][-1]}: {fault['msg']}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m service.keys", description="API keys of the service.")
    default = os.environ.get("SR_KEYS") or None
    default = None if default == "off" else default
    parser.add_argument("--file", type=Path, default=default, help="the key file (default: SR_KEYS)")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    make = commands.add_parser("make", help="make a key, and print it: it is shown only this once")
    make.add_argument("name", help="whose it is")
    fields = Grants.model_fields
    make.add_argument("--max-requests", type=int, default=8, help=f"{fields['max_requests'].description}; 0: any")
    make.add_argument(
        "--pixels-per-minute", type=int, default=0, help=f"{fields['pixels_per_minute'].description}; 0: any"
    )
    make.add_argument("--class", dest="queue_class", default="interactive", choices=("interactive", "frames", "jobs"))
    make.add_argument("--model", dest="models", action="append", help="a model it may name; again for more; else all")
    make.set_defaults(run=_make)

    listing = commands.add_parser("list", help="list all keys; never their secrets, which nobody has")
    listing.set_defaults(run=_list)

    revoke = commands.add_parser("revoke", help="revoke a key, at once and for good")
    revoke.add_argument("id", help="its id, as `list` shows it")
    revoke.set_defaults(run=_revoke)
    return parser


def _make(chosen: argparse.Namespace) -> None:
    made = new_key()
    grants = Grants(
        max_requests=chosen.max_requests,
        pixels_per_minute=chosen.pixels_per_minute,
        queue_class=chosen.queue_class,
        models=tuple(chosen.models) if chosen.models else None,
    )
    key = Key(id=made.id, name=chosen.name, sha256=made.digest, created=datetime.now(UTC), grants=grants)
    with change_keys(chosen.file) as keys:
        keys[key.id] = key
    print(made.text)


def _list(chosen: argparse.Namespace) -> None:
    rows = [("id", "name", "created", "revoked", "requests", "pixels/min", "class", "models")]
    for key in sorted(read_keys(chosen.file).values(), key=lambda key: key.created):
        grants = key.grants
        rows.append(
            (
                key.id,
                key.name,
                f"{key.created:%Y-%m-%d}",
                f"{key.revoked:%Y-%m-%d}" if key.revoked else "-",
                str(grants.max_requests or "any"),
                str(grants.pixels_per_minute or "any"),
                grants.queue_class,
                ",".join(grants.models) if grants.models is not None else "all",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _revoke(chosen: argparse.Namespace) -> None:
    with change_keys(chosen.file) as keys:
        if chosen.id not in keys:
            raise LookupError(f"{chosen.file}: there is no key {chosen.id}; `list` shows those there are.")
        keys[chosen.id] = revoked(keys[chosen.id], at=datetime.now(UTC))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
