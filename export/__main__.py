"""`python -m export`: re-create the store, add a checkpoint, published weights or anybody's ONNX to it, check a graph.

Exit codes: 0 done, 1 refused or failed (the reason is on stderr, the store is as it was), 2 wrong arguments, 130
interrupted.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from export.check import check_graph
from export.describe import check_model_name
from export.errors import CheckFailed, ExportError
from export.fetch import default_cache, fetch, find, listing
from export.foreign import Terms, export_foreign
from export.importers import LAYOUTS, Options, import_published, read_state_file
from export.importers.plausible import implausible
from export.store import Exported, export_checkpoint, export_store
from export.surround import CHANNELS
from models.checkpoint import CheckpointError, save_checkpoint
from service.errors import ServiceError, StoreError

EXPECTED = (ExportError, CheckpointError, StoreError, ServiceError, OSError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code (argparse itself exits with 2)."""
    args = _parser().parse_args(arguments)
    try:
        written: list[Path] = args.run(args)
    except CheckFailed as error:
        print(error, file=sys.stderr)
        return 1
    except EXPECTED as error:
        print(f"export failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the store is as it was, and a download goes on from where it was", file=sys.stderr)
        return 130
    for path in written:
        print(f"{path}  {path.stat().st_size} bytes")
    return 0


def _store(args: argparse.Namespace) -> list[Path]:
    return _files(export_store(args.store, report=_report))


def _checkpoint(args: argparse.Namespace) -> list[Path]:
    return _files([export_checkpoint(args.file, model=args.model, store=args.store, report=_report)])


def _import(args: argparse.Namespace) -> list[Path]:
    options = Options(args.scale, args.residual_scale, args.family, args.licence)
    return _files([_add(args.file, options, args)])


def _onnx(args: argparse.Namespace) -> list[Path]:
    terms = Terms(args.model, licence=args.licence, paper=args.paper)
    return export_foreign(
        args.file, terms, store=args.store, channels=args.channels, value_range=args.range, report=_report
    )


def _check(args: argparse.Namespace) -> list[Path]:
    wrong = 0
    for finding in check_graph(args.file):
        _report(f"{finding.verdict:<9} {finding.check:<9} {finding.text}")
        wrong += finding.verdict == "wrong"
    if wrong:
        raise CheckFailed(f"{args.file} is not what it must be")
    return []


def _files(exported: list[Exported]) -> list[Path]:
    return [path for record in exported for path in (record.weights, *record.graphs)]


def _fetch(args: argparse.Namespace) -> list[Path]:
    if args.list:
        print(listing())
        return []
    entry = find(args.name)
    args.model = args.model or entry.name
    check_model_name(args.model)  # before the download
    files = fetch(entry, scale=args.scale, cache=args.cache, mirror=args.mirror, report=_report)
    return _files([_add(file, Options(licence=entry.licence), args) for file in files])


def _add(file: Path, options: Options, args: argparse.Namespace) -> Exported:
    """From a published file to its graphs in the store, by way of a checkpoint of ours."""
    imported = import_published(read_state_file(file), options)
    for warning in (*imported.warnings, implausible(imported)):
        if warning:
            print(f"warning: {warning}", file=sys.stderr)
    _report(f"{file.name}: {imported.config}")
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder, "imported.safetensors")
        save_checkpoint(checkpoint, imported.network, config=imported.config, provenance=imported.provenance)
        return export_checkpoint(checkpoint, model=args.model, store=args.store, report=_report)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m export", description="Checkpoints become what the service opens.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    store = commands.add_parser("store", help="make every graph of the store again, from the checkpoints in it")
    store.set_defaults(run=_store)

    checkpoint = commands.add_parser("checkpoint", help="add a checkpoint of this project and its graphs")
    checkpoint.add_argument("file", type=Path, metavar="FILE", help="a .safetensors checkpoint from training")
    checkpoint.set_defaults(run=_checkpoint)

    published = commands.add_parser(
        "import",
        help="add weights that others published",
        description=f"Adds weights that others published, once it has recognised what they are: {_layouts()}. See "
        "docs/importing.md.",
    )
    published.add_argument("file", type=Path, metavar="FILE", help=".pt, .pth, .pkl, .safetensors or Keras' .h5")
    published.add_argument("--scale", type=int, metavar="N", help="refuse the file unless it is for this scale")
    published.add_argument(
        "--residual-scale",
        type=float,
        metavar="R",
        help="of EDSR and MDSR: the factor of each residual, which no file tells (default: 0.1 for EDSR of 32 blocks "
        "of 256 features and for compact MDSR, else 1)",
    )
    published.add_argument(
        "--family",
        choices=("srresnet", "srgan"),
        help="of SRResNet: by what it was trained, which no file tells (default: by the file's name)",
    )
    published.add_argument(
        "--licence",
        default="not stated",
        help="licence of the weights, shown by the service (default: %(default)s)",
    )
    published.set_defaults(run=_import)

    foreign = commands.add_parser("onnx", help="add anybody's ONNX graph that takes one picture and gives a larger one")
    foreign.add_argument("file", type=Path, metavar="FILE", help=".onnx, its weights in it or beside it")
    foreign.add_argument(
        "--channels", choices=CHANNELS, help="what it takes (default: rgb); y: luma, black 16/255; y-full: black 0"
    )
    foreign.add_argument(
        "--range", type=float, choices=(1.0, 255.0), default=1.0, help="of its values (default: %(default)g)"
    )
    foreign.add_argument("--licence", default="not stated", help="shown by the service (default: %(default)s)")
    foreign.add_argument("--paper", default="", help="shown by the service")
    foreign.set_defaults(run=_onnx)

    check = commands.add_parser("check", help="say what is wrong with a graph, if anything")
    check.add_argument("file", type=Path, metavar="FILE", help="a model's x<scale>.onnx")
    check.set_defaults(run=_check)

    fetched = commands.add_parser("fetch", help="download official weights, verify and add them")
    wanted = fetched.add_mutually_exclusive_group(required=True)
    wanted.add_argument("name", nargs="?", metavar="NAME", help="a name of --list")
    wanted.add_argument("--list", action="store_true", help="what there is")
    fetched.add_argument("--scale", type=int, metavar="N", help="only the file for this scale")
    fetched.add_argument("--model", metavar="NAME", help="the name it is served under (default: its name in --list)")
    fetched.add_argument(
        "--cache", type=Path, default=default_cache(), metavar="DIR", help="keeps the downloads (default: %(default)s)"
    )
    fetched.add_argument(
        "--mirror", metavar="URL", help="a folder with files of the same names, instead of the official"
    )
    fetched.set_defaults(run=_fetch)

    for command in (checkpoint, published, foreign):
        command.add_argument("--model", required=True, metavar="NAME", help="the name it is served under")
    for command in (store, checkpoint, published, foreign, fetched):
        command.add_argument("--store", type=Path, default=Path("store"), metavar="DIR", help="default: %(default)s")
    return parser


def _layouts() -> str:
    return "; ".join(layout.title for layout in LAYOUTS)


def _report(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
