"""Sessions: one graph on one device, held to the graph contract when it is opened and whenever it answers.

Pixels in, pixels out: `lr` [N,H,W,3] -> `sr` [N,sH,sW,3] (of frame windows [N,D,H,W,3]), both uint8, or both
float32 in [0,1]. N, H and W are free. Everything between, the arithmetic on colours included, is in the graph.
A degradation goes the other way: `hr` [N,H,W,3] and float32 `noise` -> `lr`, each side divided by s and rounded up.
"""

import contextlib
import functools
import hashlib
import re
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, Self

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state

from service.errors import InferenceFailed, ModelOutputInvalid, OutOfMemory, StoreError
from service.manifest import NOISE_LENGTH, Manifest, read_manifest

DeviceChoice = Literal["auto", "cpu", "cuda"]
Device = Literal["cpu", "cuda"]
Pixels = NDArray[Any]  # uint8 or float32, as the manifest says

_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
_ELEMENT = {"uint8": "tensor(uint8)", "float32": "tensor(float)"}
_WARM_UP_SIZES = ((16, 24), (33, 17))  # two: a size that the export baked in by mistake fits at most one

# Of its arenas ("Failed to allocate memory for requested buffer", "bad allocation"), CUDA, cuDNN and cuBLAS; there is
# no type or code for it.
_OUT_OF_MEMORY = re.compile(r"allocate memory|bad.?alloc|out of memory|ALLOC_FAILED|smaller than requested", re.I)

# ONNX Runtime's exceptions have no base of their own; they are the exceptions of this module.
_RUNTIME_ERRORS: tuple[type[Exception], ...] = tuple(
    item for item in vars(onnxruntime_pybind11_state).values() if isinstance(item, type) and issubclass(item, Exception)
)


class Runnable(Protocol):
    """What the scheduler runs: a session, or several runs of one that answer as one."""

    @property
    def manifest(self) -> Manifest:
        """What is known of it; the pixels are those that it takes and gives."""

    @property
    def device(self) -> Device:
        """What runs it."""

    def run(self, pixels: Pixels, noise: NDArray[np.float32] | None = None, *, spread: bool = True) -> Pixels:
        """As Session.run."""


class WeightDigests:
    """sha256 of weights files, each file read once however many graphs point into it."""

    def __init__(self) -> None:
        self._digests: dict[Path, str] = {}

    def sha256(self, path: Path) -> str:
        """The hex digest of the file's bytes. Raises OSError if it cannot be read."""
        if path not in self._digests:
            self._digests[path] = _sha256(path)
        return self._digests[path]


class Session:
    """An open graph. `run` may be called from several threads.

    `device` is what really runs it, which need not be what was asked for: onnxruntime-gpu falls back to the CPU
    without an error. `sha256` is that of the graph file; the manifest in it holds the weights' sha256, so this
    one digest stands for the whole network.
    """

    def __init__(self, path: Path, *, manifest: Manifest, runtime: Any, threads: int = 0) -> None:  # noqa: ANN401 - onnxruntime is untyped
        self.path = path
        self.manifest = manifest
        self.device: Device = "cuda" if runtime.get_providers()[0] == _CUDA else "cpu"
        self.sha256 = _sha256(path)
        self._dtype = np.dtype(manifest.pixels)
        self._runtime = runtime
        self._is_single = threads == 1 or self.device != "cpu"
        self._single: Any = None
        self._lock = threading.Lock()

    @classmethod
    def open(
        cls, path: Path, *, device: DeviceChoice = "auto", threads: int = 0, digests: WeightDigests | None = None
    ) -> Self:
        """Opens the graph at `path` after checking its manifest and its weights, and checks its tensors.

        `threads` is for one run on the CPU; 0 = one per physical core. `digests` shares the reading of weights
        between graphs. Raises StoreError, naming file, field and cure.
        """
        manifest = read_manifest(path)
        _check_weights(path, manifest, digests or WeightDigests())
        providers = _providers(path, device)
        try:
            runtime = _open_runtime(path, threads=threads, providers=providers)
        except _RUNTIME_ERRORS as error:
            raise StoreError(
                f"{path}: ONNX Runtime cannot open the graph ({_one_line(error)}). Cure: export it again."
            ) from error
        _check_tensors(path, manifest, runtime)
        session = cls(path, manifest=manifest, runtime=runtime, threads=threads)
        if device == "cuda" and session.device != "cuda":
            raise StoreError(
                f"{path}: device 'cuda' was asked for, but ONNX Runtime fell back to {session.device!r} (the reason "
                f"stands in its log above). Cure: install the NVIDIA driver, CUDA 13 and cuDNN 9, or choose "
                f"SR_DEVICE=auto or cpu."
            )
        return session

    def run(self, pixels: Pixels, noise: NDArray[np.float32] | None = None, *, spread: bool = True) -> Pixels:
        """`pixels` [N,H,W,3] (frame windows: [N,D,H,W,3]) -> [N,sH,sW,3], a new array of the same type.

        Of a degradation: [N,H,W,3] with standard normal `noise` ([N,64] or, of a map, [N,H,W,1]) ->
        [N,ceil(H/s),ceil(W/s),3]. `noise` is given where the manifest has some, and only there.
        `spread` over all of the session's threads, or on the caller's alone, as is better where several run at once.

        Raises InferenceFailed if the graph cannot be run on it (OutOfMemory, if for want of memory),
        ModelOutputInvalid if what comes out is not a picture of that size in numbers.
        """
        runtime = self._runtime if spread or self._is_single else self._single_runtime
        inputs = {self.manifest.input_name: pixels} | ({} if noise is None else {"noise": noise})
        try:
            (answer,) = runtime.run([self.manifest.output_name], inputs)
        except _RUNTIME_ERRORS as error:
            kind = OutOfMemory if _OUT_OF_MEMORY.search(str(error)) else InferenceFailed
            raise kind(f"{self._name} could not be run on a batch of shape {list(pixels.shape)}.") from error
        self._check_answer(pixels, answer)
        return answer  # type: ignore[no-any-return]

    def warm_up(self) -> None:
        """Runs the graph on two small batches of different size (of the one size that it takes, where it is fixed).

        Raises StoreError if it cannot be run or breaks the contract: better at start-up than to a caller.
        """
        facts = self.manifest
        window = (facts.frame_window,) if facts.input == "frames" else ()
        times = facts.input_scale
        for height, width in [facts.fixed_size] if facts.fixed_size else _WARM_UP_SIZES:
            pixels = np.zeros((2, *window, height * times, width * times, 3), self._dtype)
            noise = _no_noise(facts, pixels.shape)
            try:
                self.run(pixels, noise)
            except (InferenceFailed, ModelOutputInvalid) as error:
                raise StoreError(
                    f"{self.path}: its first run failed: {error.detail} ({_one_line(error.__cause__)}) "
                    f"Cure: export the graph again."
                ) from error

    @property
    def _single_runtime(self) -> Any:  # noqa: ANN401 - onnxruntime is untyped
        """The graph once more, without threads of its own; opened when it is first needed.

        Weights are held twice, but a run on several threads waits for the slowest of them, and of two that share one
        pool each waits for the other (docs/decisions/0060).
        """
        with self._lock:
            if self._single is None:
                self._single = _open_runtime(self.path, threads=1, providers=[_CPU])
            return self._single

    @property
    def _name(self) -> str:
        return f"The model {self.manifest.model} at scale {self.manifest.scale}"

    def _check_answer(self, pixels: Pixels, answer: Pixels) -> None:
        height, width = (self.manifest.answer_side(side) for side in pixels.shape[-3:-1])
        expected = (pixels.shape[0], height, width, 3)
        if answer.shape != expected:
            raise ModelOutputInvalid(
                f"{self._name} answered with shape {list(answer.shape)} where {list(expected)} was due."
            )
        if answer.dtype.kind == "f" and not np.isfinite(answer).all():
            raise ModelOutputInvalid(f"{self._name} answered with values that are not numbers.")


def _no_noise(facts: Manifest, shape: tuple[int, ...]) -> NDArray[np.float32] | None:
    """Zeros where noise is due for pixels of `shape`."""
    if facts.noise == "none":
        return None
    return np.zeros((shape[0], NOISE_LENGTH) if facts.noise == "vector" else (*shape[:-1], 1), np.float32)


def _check_weights(path: Path, manifest: Manifest, digests: WeightDigests) -> None:
    if manifest.weights is None:
        return
    weights = path.parent / manifest.weights
    try:
        digest = digests.sha256(weights)
    except OSError as error:
        raise StoreError(
            f"{path}: its manifest's field weights names {weights}, which cannot be read ({error.strerror}). "
            f"Cure: put that file beside the graph, or export again."
        ) from error
    if digest != manifest.weights_sha256:
        raise StoreError(
            f"{path}: its manifest's field weights_sha256 is {manifest.weights_sha256}, but {weights} has {digest}. "
            f"Cure: restore the weights this graph was exported with, or export again."
        )


def _providers(path: Path, device: DeviceChoice) -> list[str | tuple[str, dict[str, str]]]:
    has_cuda = _CUDA in onnxruntime.get_available_providers()
    if device == "cpu" or (device == "auto" and not has_cuda):
        return [_CPU]
    if not has_cuda:
        raise StoreError(
            f"{path}: device 'cuda' was asked for, but this onnxruntime is built without CUDA. "
            f"Cure: install the extra 'gpu' (onnxruntime-gpu), or choose SR_DEVICE=auto or cpu."
        )
    _load_cuda_libraries()
    # HEURISTIC: the default tries every algorithm anew for each shape. No TF32: its 10 bits cost grey levels.
    return [(_CUDA, {"cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0"}), _CPU]


@functools.cache
def _load_cuda_libraries() -> None:
    """Finds the CUDA and cuDNN libraries that pip installed. What it says of missing ones does not go to stdout."""
    with contextlib.redirect_stdout(sys.stderr):
        onnxruntime.preload_dlls()


def _open_runtime(path: Path, *, threads: int, providers: list[Any]) -> Any:  # noqa: ANN401 - onnxruntime is untyped
    return onnxruntime.InferenceSession(str(path), _options(threads), providers=providers, enable_fallback=0)


def _options(threads: int) -> Any:  # noqa: ANN401 - onnxruntime is untyped
    """Session options, chosen by measurement (EDSR-baseline, 2 cores; docs/decisions/0004)."""
    _share_cpu_arena()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors; also says why CUDA could not be used
    # One arena for all sessions: six sessions held 0.5 GB instead of 1.9 GB.
    options.add_session_config_entry("session.use_env_allocators", "1")
    # The memory pattern of a shape is one more block beside the arena's chunks: 430 instead of 300 MiB.
    options.enable_mem_pattern = False
    # Threads that spin between runs take a quarter more CPU time, from the decoding and encoding of other requests.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


@functools.cache
def _share_cpu_arena() -> None:
    """The arena of all CPU sessions of this process; and no telemetry of any.

    It grows by powers of two (strategy 0). By as much as requested (1), every larger image adds what the smaller
    ones cannot reuse: 40 growing shapes took 3.1 GB instead of 0.36 GB.
    """
    onnxruntime.disable_telemetry_events()
    memory = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    onnxruntime.create_and_register_allocator(memory, onnxruntime.OrtArenaCfg({"arena_extend_strategy": 0}))


def _check_tensors(path: Path, manifest: Manifest, runtime: Any) -> None:  # noqa: ANN401 - onnxruntime is untyped
    pixels = _ELEMENT[manifest.pixels]
    fixed = manifest.fixed_size is not None
    picture = _Wanted(pixels, rank=5 if manifest.input == "frames" else 4, last=3, free_sides=not fixed)
    inputs: dict[str, _Wanted] = {manifest.input_name: picture}
    if manifest.noise == "vector":
        inputs["noise"] = _Wanted(_ELEMENT["float32"], rank=2, last=NOISE_LENGTH, free_sides=False)
    if manifest.noise == "map":
        inputs["noise"] = _Wanted(_ELEMENT["float32"], rank=4, last=1, free_sides=not fixed)
    outputs: dict[str, _Wanted] = {manifest.output_name: _Wanted(pixels, rank=4, last=3, free_sides=not fixed)}
    for kind, wanted, found in (("input", inputs, runtime.get_inputs()), ("output", outputs, runtime.get_outputs())):
        fault = _tensors_fault(kind, wanted, found)
        if fault:
            raise StoreError(f"{path}: {fault}. Cure: export the graph again, to the contract in docs/manifest.md.")


@dataclass(frozen=True)
class _Wanted:
    """What a graph's input or output must be like; `free_sides` are the two axes before the last."""

    element: str
    rank: int
    last: int
    free_sides: bool


def _tensors_fault(kind: str, wanted: dict[str, _Wanted], found: Any) -> str | None:  # noqa: ANN401 - untyped
    names = [tensor.name for tensor in found]
    if names != list(wanted):
        due = " and ".join(map(repr, wanted))
        return f"the graph's {kind}s are {names}, not just {due}"
    faults = (_tensor_fault(kind, tensor, wanted[tensor.name]) for tensor in found)
    return next((fault for fault in faults if fault), None)


def _tensor_fault(kind: str, tensor: Any, wanted: _Wanted) -> str | None:  # noqa: ANN401 - onnxruntime is untyped
    name, shape = tensor.name, tensor.shape
    if tensor.type != wanted.element:
        field = "noise" if name == "noise" else "pixels"
        return (
            f"the graph's {kind} {name!r} is {tensor.type}, but by the manifest's field {field} it is {wanted.element}"
        )
    if len(shape) != wanted.rank or shape[-1] != wanted.last:
        return (
            f"the graph's {kind} {name!r} has shape {shape}: not {wanted.rank} axes of which the last is {wanted.last}"
        )
    sides = (wanted.rank - 3, wanted.rank - 2) if wanted.free_sides else ()
    fixed = [axis for axis in (0, *sides) if isinstance(shape[axis], int)]
    if fixed:
        return f"the graph's {kind} {name!r} has shape {shape}: axes {fixed} are fixed, not free"
    return None


def _one_line(error: BaseException | None) -> str:
    return " ".join(str(error).split()) if error else "the answer breaks the graph contract"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
