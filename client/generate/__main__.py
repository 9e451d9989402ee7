"""Writes what is generated in srserve_client: `make generate`, or `PYTHONPATH=client python -m generate`."""

from generate import problems, sync


def main() -> None:
    """Write every generated file whose text has changed."""
    for path, text in {problems.TARGET: problems.render(), **sync.render()}.items():
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            print(f"written: {path}")


if __name__ == "__main__":
    main()
