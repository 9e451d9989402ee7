"""The formats of video that are read and written, as tables: containers, codecs, pixel formats. No FFmpeg here.

A container or codec that is not named is not opened: each is code that reads hostile bytes.
"""

from dataclasses import dataclass
from typing import Literal

ContainerName = Literal["mp4", "mov", "mkv", "webm"]
CodecName = Literal["h264", "h265", "av1", "ffv1"]

CONTAINERS: tuple[ContainerName, ...] = ("mp4", "mov", "mkv", "webm")
CODECS: tuple[CodecName, ...] = ("h264", "h265", "av1", "ffv1")
MEDIA_TYPES: dict[str, str] = {
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "mkv": "video/x-matroska",
    "webm": "video/webm",
}
DEMUXERS = {"mp4": "mov", "mov": "mov", "mkv": "matroska", "webm": "matroska"}
MUXERS = {"mp4": "mp4", "mov": "mov", "mkv": "matroska", "webm": "webm"}

READ_CODECS = frozenset(
    (
        "h264",
        "hevc",
        "av1",
        "vp8",
        "vp9",
        "mpeg4",
        "mpeg2video",
        "mpeg1video",
        "h263",
        "ffv1",
        "prores",
        "dnxhd",
        "mjpeg",
    )
)
"""FFmpeg's names of the codecs whose pictures are decoded."""

DECODERS = (
    *("h264", "hevc", "libdav1d", "av1", "vp8", "libvpx", "vp9", "libvpx-vp9", "mpeg4", "mpeg2video", "mpeg1video"),
    *("h263", "ffv1", "prores", "dnxhd", "mjpeg", "png"),  # mjpeg and png are cover pictures, too
    *(
        "aac",
        "aac_latm",
        "ac3",
        "eac3",
        "mp3",
        "mp3float",
        "mp2",
        "mp2float",
        "opus",
        "libopus",
        "vorbis",
        "flac",
        "alac",
    ),
    *("dca", "truehd", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_f32le", "pcm_u8"),
    *("pcm_alaw", "pcm_mulaw", "adpcm_ima_qt", "amrnb", "amrwb", "libopencore_amrnb", "libopencore_amrwb"),
    *("ass", "ssa", "srt", "subrip", "mov_text", "webvtt", "pgssub", "dvdsub", "dvbsub"),
)
"""FFmpeg's names of the decoders that may be opened to look at a file's streams."""


@dataclass(frozen=True)
class Encoder:
    """How one codec is written. `crf` is the constant rate factor: quality, the lower the better; FFV1 is lossless."""

    name: str
    """FFmpeg's."""
    containers: tuple[ContainerName, ...]
    """That can hold it; a video in another one becomes an mkv."""
    crf: int | None
    max_crf: int
    options: dict[str, str]
    depths: tuple[int, ...]
    """Bits a sample."""
    layouts: tuple[str, ...]
    """Of chroma; `gray` has none."""
    even: bool
    """Whether both sides must be even where chroma is halved."""
    tells_aspect: bool
    """Whether its own bytes tell the shape of a pixel. PyAV cannot make Matroska tell it."""


ENCODERS: dict[CodecName, Encoder] = {
    "h264": Encoder(
        "libx264",
        ("mp4", "mov", "mkv"),
        crf=18,
        max_crf=51,
        # x264's macroblock tree, as compiled for AVX2, gives other bytes now and then for equal pictures.
        options={"preset": "veryfast", "x264-params": "mbtree=0"},
        depths=(8, 10),
        layouts=("420", "422", "444"),
        even=True,
        tells_aspect=True,
    ),
    "h265": Encoder(
        "libx265",
        ("mp4", "mov", "mkv"),
        crf=20,
        max_crf=51,
        options={"preset": "fast", "x265-params": "log-level=error:open-gop=0"},
        depths=(8, 10, 12),
        layouts=("420", "422", "444"),
        even=True,
        tells_aspect=True,
    ),
    "av1": Encoder(
        "libsvtav1",
        ("mp4", "mov", "mkv", "webm"),
        crf=28,
        max_crf=63,
        options={"preset": "8"},
        depths=(8, 10),
        layouts=("420",),
        even=True,
        tells_aspect=False,
    ),
    "ffv1": Encoder(
        "ffv1",
        ("mkv",),
        crf=None,
        max_crf=0,
        options={"level": "3", "slices": "4", "slicecrc": "1", "g": "1"},
        depths=(8, 10, 12, 14, 16),
        layouts=("420", "422", "444", "gray"),
        even=False,
        tells_aspect=False,
    ),
}

_FTYP_KINDS = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
_STILL_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1")


def sniff_video(head: bytes) -> ContainerName | None:
    """The container that a file begins like, by at least 64 of its bytes; None for anything else."""
    if head[:4] == b"\x1aE\xdf\xa3":
        return "webm" if b"webm" in head[:64] else "mkv"
    if head[4:8] in _FTYP_KINDS and head[8:12] not in _STILL_BRANDS:
        return "mov" if head[4:8] != b"ftyp" or head[8:12] == b"qt  " else "mp4"
    return None


@dataclass(frozen=True)
class PixelFormat:
    """What a pixel format of FFmpeg's holds. `layout` is "420", "422", "444", "gray", or "other"."""

    layout: str
    depth: int
    full_range: bool
    """yuvj...: a format that says so itself."""
    has_alpha: bool


def read_pixel_format(name: str) -> PixelFormat:
    """What the name says: yuv420p10le, yuvj422p, nv12, gray, gbrp, rgb24, ya8, ..."""
    depth = next((bits for bits in (16, 14, 12, 10, 9) if f"p{bits}" in name or name.startswith(f"gray{bits}")), 8)
    if name.startswith(("p010", "p210", "p410", "nv20")):
        depth = 10
    if name.startswith(("p012", "p212", "p412")):
        depth = 12
    if name.startswith(("p016", "p216", "p416", "rgb48", "bgr48", "rgba64", "bgra64", "ya16")):
        depth = 16
    has_alpha = name.startswith(("yuva", "gbrap", "rgba", "bgra", "argb", "abgr", "ya", "ayuv", "vuya", "pal8"))
    layouts = {
        "420": ("420", "nv12", "nv21", "p010", "p012", "p016"),
        "422": ("422", "nv16", "nv20", "p210", "yuyv", "uyvy"),
    }
    layout = next((key for key, parts in layouts.items() if any(part in name for part in parts)), "")
    if not layout:
        layout = "gray" if name.startswith(("gray", "ya")) else "444"
    if "440p" in name or "411p" in name or "410p" in name:
        layout = "444"  # rare, and nothing is lost by more chroma
    return PixelFormat(layout, depth, name.startswith("yuvj"), has_alpha)


def written_pixel_format(source: PixelFormat, codec: CodecName, *, height: int, width: int) -> str | None:
    """The format of the codec's that holds what the source holds, or as much of it as any; None if the sides forbid it.

    Chroma stays as it is, or becomes finer where the codec or an odd side asks for it; so does the depth.
    """
    encoder = ENCODERS[codec]
    order = ("gray", "420", "422", "444")

    def fits(layout: str) -> bool:
        if layout not in encoder.layouts:
            return False
        if not encoder.even:
            return True
        return not (width % 2 and layout in ("420", "422")) and not (height % 2 and layout == "420")

    candidates = [layout for layout in order[order.index(source.layout) :] if fits(layout)]
    if not candidates:
        coarser = [layout for layout in ("422", "420") if fits(layout)]
        if not coarser:
            return None
        candidates = coarser
    depth = next((bits for bits in encoder.depths if bits >= source.depth), encoder.depths[-1])
    name = "gray" if candidates[0] == "gray" else f"yuv{candidates[0]}p"
    if depth == 8:
        return name
    return f"{name}{depth}le"
