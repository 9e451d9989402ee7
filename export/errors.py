"""Every way an export can fail, as one tree. Each message says what was wrong and what to do about it.

ExportError              nothing was written to the store
|- ImportRefused         a published file that is not what its importer reads
|- DownloadFailed        a published file could not be had, or is not the one that was published
|- ForeignRefused        an ONNX graph of somebody else's that cannot be put behind the graph contract
|- TraceFailed           the traced graph does not keep the graph contract
|- WeightsMismatch       the graph's tensors are not those of the checkpoint
|- CheckFailed           a graph of the store is not what it must be
|- ParityFailed          the graph does not compute what the PyTorch network computes
"""


class ExportError(Exception):
    """An export that failed; the store is as it was."""


class ImportRefused(ExportError):
    """A published weights file that cannot be read safely or is not of a known layout."""


class DownloadFailed(ExportError):
    """A server, a connection, a disk, or bytes other than the published ones; the message says which."""


class ForeignRefused(ExportError):
    """An ONNX graph of somebody else's that cannot be put behind the graph contract."""


class TraceFailed(ExportError):
    """The exporter's graph breaks the graph contract (names, types, dynamic sizes, operators)."""


class WeightsMismatch(ExportError):
    """A tensor of the graph is not, bit for bit, the tensor of that name in the checkpoint."""


class CheckFailed(ExportError):
    """A graph is not what its manifest says; what exactly has been told before."""


class ParityFailed(ExportError):
    """ONNX Runtime and PyTorch disagree by more than rounding."""
