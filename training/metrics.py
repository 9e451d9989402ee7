"""PSNR and SSIM on the Y channel, measured the way the EDSR paper's tables were.

Order: clip and round to uint8, convert to Y (ITU-R BT.601, studio range) in float, crop `scale` pixels at each border.
"""

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Plane = npt.NDArray[np.float64]

LUMA_WEIGHTS = (65.481, 128.553, 24.966)  # of R, G and B in 0..1, ITU-R BT.601
LUMA_OFFSET = 16  # of black


def luma(image: Pixels) -> Plane:
    """uint8 RGB [H, W, 3] to Y in [16, 235], not rounded; a grey [H, W] image is its own Y, as in the papers."""
    if image.ndim == 2:
        return image.astype(np.float64)
    weighted: Plane = image.astype(np.float64) @ np.array(LUMA_WEIGHTS)
    return LUMA_OFFSET + weighted / 255


def psnr(sr: Plane, hr: Plane) -> float:
    """Peak signal-to-noise ratio in dB for planes in 0..255; infinite for equal ones.

    Raises:
        ValueError: the shapes differ.
    """
    _check_shapes(sr, hr)
    error = float(np.mean((sr - hr) ** 2))
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def ssim(sr: Plane, hr: Plane) -> float:
    """Structural similarity (Wang et al. 2004): Gaussian window 11x11, sigma 1.5, valid region, K 0.01 and 0.03.

    Raises:
        ValueError: the shapes differ, or a side is below 11 pixels.
    """
    _check_shapes(sr, hr)
    if min(sr.shape) < 11:
        raise ValueError(f"SSIM needs sides of at least 11 pixels, not {sr.shape}")
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mean_sr, mean_hr = _blur(sr), _blur(hr)
    var_sr = _blur(sr * sr) - mean_sr**2
    var_hr = _blur(hr * hr) - mean_hr**2
    covariance = _blur(sr * hr) - mean_sr * mean_hr
    numerator = (2 * mean_sr * mean_hr + c1) * (2 * covariance + c2)
    denominator = (mean_sr**2 + mean_hr**2 + c1) * (var_sr + var_hr + c2)
    return float(np.mean(numerator / denominator))


def compare(sr: Pixels, hr: Pixels, border: int) -> tuple[float, float]:
    """PSNR in dB and SSIM on Y, `border` pixels cropped from each side."""
    inner = np.s_[border : -border or None, border : -border or None]
    y_sr, y_hr = luma(sr)[inner], luma(hr)[inner]
    return psnr(y_sr, y_hr), ssim(y_sr, y_hr)


def _check_shapes(sr: Plane, hr: Plane) -> None:
    if sr.shape != hr.shape:
        raise ValueError(f"images of {sr.shape} and {hr.shape} cannot be compared")


def _blur(plane: Plane) -> Plane:
    offsets = np.arange(11) - 5
    kernel = np.exp(-(offsets**2) / (2 * 1.5**2))
    kernel /= kernel.sum()
    rows = np.lib.stride_tricks.sliding_window_view(plane, 11, axis=0) @ kernel
    result: Plane = np.lib.stride_tricks.sliding_window_view(rows, 11, axis=1) @ kernel
    return result
