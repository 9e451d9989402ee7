"""Pictures: whatever a caller has in hand, as the bytes of a file.

Bytes, paths and open files are sent as they are. Pillow's images and numpy's arrays become PNG, without loss.
"""

import io
import os
import struct
import sys
import zlib
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias, cast

if TYPE_CHECKING:
    import numpy
    from PIL import Image

Picture: TypeAlias = (
    "bytes | bytearray | memoryview | str | os.PathLike[str] | IO[bytes] | Image.Image | numpy.ndarray[Any, Any]"
)

_PNG_MODES = frozenset({"1", "L", "LA", "I", "I;16", "P", "RGB", "RGBA"})
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # of PNG, by channels: grey, grey and alpha, RGB, RGB and alpha
_FAST = 1  # zlib's level: these bytes travel once


def picture_bytes(picture: Picture, *, most: int = -1) -> bytes:
    """The bytes of a file that holds `picture`; of a path, no more than the first `most` are read.

    An array is uint8 or uint16 [H,W], [H,W,1] (grey), [H,W,2] (grey, alpha), [H,W,3] (RGB) or [H,W,4] (RGB, alpha).

    Raises OSError when a file cannot be read, TypeError for what is no picture, ValueError for an array of another
    shape and an image of a mode that no file can hold without loss.
    """
    if isinstance(picture, bytes):
        return picture
    if isinstance(picture, bytearray | memoryview):
        return bytes(picture)
    if isinstance(picture, str | os.PathLike):
        with Path(picture).open("rb") as file:
            return file.read(most)
    if _is_instance(picture, "PIL.Image", "Image"):
        return _image_bytes(cast("Image.Image", picture))
    if _is_instance(picture, "numpy", "ndarray"):
        return _array_bytes(cast("numpy.ndarray[Any, Any]", picture))
    if hasattr(picture, "read"):
        content = picture.read()
        if not isinstance(content, bytes):
            raise TypeError(f"the file gives {type(content).__name__}, not bytes: open it in mode 'rb'")
        return content
    raise TypeError(
        f"{type(picture).__name__} is no picture: give bytes, a path, a file opened in mode 'rb', a PIL image, an array"
    )


def _is_instance(value: object, module: str, name: str) -> bool:
    """isinstance, without importing the module: whoever has such a value has imported it."""
    kind = getattr(sys.modules.get(module), name, None)
    return kind is not None and isinstance(value, kind)


def _image_bytes(image: "Image.Image") -> bytes:
    """The image as PNG, with its colour profile, and its EXIF data, in which the orientation stands."""
    if image.mode == "YCbCr":
        image = image.convert("RGB")
    file = io.BytesIO()
    kept = {"exif": image.getexif()} if image.getexif() else {}
    if image.mode == "CMYK":
        image.save(file, "TIFF", compression="tiff_adobe_deflate", icc_profile=image.info.get("icc_profile"), **kept)
    elif image.mode in _PNG_MODES:
        image.save(file, "PNG", compress_level=_FAST, **kept)
    else:
        raise ValueError(
            f"no file holds an image of mode {image.mode!r} without loss: convert it, to 'RGB' for example"
        )
    return file.getvalue()


def _array_bytes(array: "numpy.ndarray[Any, Any]") -> bytes:
    """The array as PNG (W3C, third edition), rows unfiltered. Pillow would make 8 bits of 16."""
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or channels not in _COLOUR_TYPES or 0 in array.shape:
        raise ValueError(f"a picture has the shape [H,W] or [H,W,1 to 4], and this array has {list(array.shape)}")
    if array.dtype.name not in ("uint8", "uint16"):
        raise ValueError(f"a picture is uint8 (0 to 255) or uint16 (0 to 65535), and this array is {array.dtype}")
    height, width = array.shape[:2]
    bits = 8 * array.dtype.itemsize
    rows = array.astype(array.dtype.newbyteorder(">"), copy=False).reshape(height, -1)
    data = b"".join(b"\0" + row.tobytes() for row in rows)
    head = struct.pack(">IIBBBBB", width, height, bits, _COLOUR_TYPES[channels], 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(data, _FAST)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
