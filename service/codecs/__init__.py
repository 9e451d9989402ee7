"""Bytes to pixels and back: the only place that knows image formats.

The way in: `read_header`, `check_header`, `check_media_type`, `decode`. The way out: `choose_format`, `check_quality`,
`check_encodable` (before the network), `encode`. Treatment:

alpha           its own plane, never dropped; what it hides is filled from beside it; jpeg refuses it unless it is full
16 bits         stay 16 in png and tiff, are rounded to 8 elsewhere; AVIF's 10 and 12 bits become 16
grey            stays grey (1, 2, 4 bits become 8); a palette becomes RGB, with alpha where it has some
CMYK, YCCK, Lab become sRGB through the embedded profile, else by plain formulas
ICC profile     of RGB and grey is kept, on metadata=strip too: colour is no metadata
EXIF, XMP       kept unless metadata=strip; orientation applied and taken out, thumbnail dropped, stated size corrected
other colour    PNG's gAMA, cHRM, cICP and AVIF's nclx are taken for sRGB; high dynamic range (PQ, HLG) is refused
several frames  refused; of an AVIF or JPEG with a gain map, depth map or preview the main picture is taken
"""

from service.codecs.decode import decode
from service.codecs.encode import DEFAULT_QUALITY, EncodeOptions, check_encodable, encode, predicted_encoder_bytes
from service.codecs.formats import INPUT_FORMATS, MEDIA_TYPES, OUTPUT_FORMATS, check_media_type, sniff
from service.codecs.header import check_header, read_header
from service.codecs.image import DecodedImage, ImageHeader, ImageLimits, Metadata
from service.codecs.negotiate import check_quality, choose_format, choose_media_type

__all__ = [
    "DEFAULT_QUALITY",
    "INPUT_FORMATS",
    "MEDIA_TYPES",
    "OUTPUT_FORMATS",
    "DecodedImage",
    "EncodeOptions",
    "ImageHeader",
    "ImageLimits",
    "Metadata",
    "check_encodable",
    "check_header",
    "check_media_type",
    "check_quality",
    "choose_format",
    "choose_media_type",
    "decode",
    "encode",
    "predicted_encoder_bytes",
    "read_header",
    "sniff",
]
