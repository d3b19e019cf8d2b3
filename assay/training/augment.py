"""Random changes to the images of a training batch: stateless, so the same seed gives the same bytes.

Images are uint8 [N, H, W, C] in [0, 255], in and out. Every image of a batch is changed in its own way, by one draw of
random numbers, one projective operation (flip, rotate, zoom, shear, shift, crop) and one of colour (brightness,
contrast, colour). Every second image keeps its pixels: it is not rotated, zoomed, sheared or cropped.
benchmarks/steps.md says what it costs a step.
"""

import math
from dataclasses import dataclass, fields, replace
from typing import Any

from assay import params
from assay.training.tensors import tf

GREY = (0.299, 0.587, 0.114)  # what red, green and blue add to the lightness: ITU-R BT.601
DRAWS = (
    *("mirror", "upend", "rotate", "zoom", "shear", "right", "down", "crop", "crop_right", "crop_down"),
    *("brightness", "contrast", "saturation", "red", "green", "blue", "noise", "cut", "cut_right", "cut_down"),
    "warp",
)
SHARP = 0.5  # of the images are only flipped and shifted, by whole pixels: to interpolate blurs, and new images are not


@dataclass(frozen=True, kw_only=True)
class Strengths:
    """How far each change may go; 0 leaves it out. A share is of the side, of the full range, or of the contrast."""

    flip: str = "none"
    rotate_deg: float = 0  # to either side
    shift_share: float = 0  # of the side, in each direction
    zoom_share: float = 0  # in or out
    shear_deg: float = 0
    crop_share: float = 0  # of the side is cut away, and the rest enlarged
    brightness_share: float = 0  # of the full range
    contrast_share: float = 0
    colour_share: float = 0  # of the saturation; half of it of each channel
    noise_share: float = 0  # standard deviation, of the full range
    cutout_share: float = 0  # of the side of a grey square


# Starting points, not ends: a flip changes what some images mean, so it is nobody's default.
PRESETS = {
    "none": Strengths(),
    "light": Strengths(
        rotate_deg=10, shift_share=0.1, zoom_share=0.1, brightness_share=0.05, contrast_share=0.1, colour_share=0.1
    ),
    "medium": Strengths(
        rotate_deg=15,
        shift_share=0.1,
        zoom_share=0.15,
        shear_deg=8,
        crop_share=0.2,
        brightness_share=0.15,
        contrast_share=0.2,
        colour_share=0.2,
        noise_share=0.02,
        cutout_share=0.25,
    ),
    "strong": Strengths(
        rotate_deg=30,
        shift_share=0.15,
        zoom_share=0.25,
        shear_deg=15,
        crop_share=0.35,
        brightness_share=0.25,
        contrast_share=0.4,
        colour_share=0.4,
        noise_share=0.05,
        cutout_share=0.4,
    ),
}


def strengths(p: params.Augment) -> Strengths:
    """Return those of the preset, but for what `p` names itself."""
    named = {field.name: getattr(p, field.name) for field in fields(Strengths)}
    return replace(PRESETS[p.preset], **{name: value for name, value in named.items() if value is not None})


def changes_nothing(s: Strengths) -> bool:
    """Say whether `apply` would return the images as they are."""
    return s == PRESETS["none"]


def apply(images: tf.Tensor, seed: tf.Tensor, s: Strengths) -> tf.Tensor:
    """Return the images, each changed at random within the strengths; `seed` is int64 [2]."""
    shape = tf.shape(images)
    drawn = tf.unstack(tf.random.stateless_uniform([len(DRAWS), shape[0]], seed, -1.0, 1.0), num=len(DRAWS))
    draws = dict(zip(DRAWS, drawn, strict=True))
    changed = tf.cast(images, tf.float32)
    if _moves(s):
        changed = warp(changed, **_path(draws, shape, s))
    if s.brightness_share or s.contrast_share or s.colour_share:
        changed = tint(changed, **_shades(draws, s))
    if s.noise_share:
        changed += _noise(draws["noise"], shape, seed, s.noise_share)
    if s.cutout_share:
        changed = cut(changed, **_square(draws, shape, s.cutout_share))
    return tf.saturate_cast(tf.round(changed), tf.uint8)


def _moves(s: Strengths) -> bool:
    return s.flip != "none" or any((s.rotate_deg, s.shift_share, s.zoom_share, s.shear_deg, s.crop_share))


def _path(draws: dict[str, tf.Tensor], shape: tf.Tensor, s: Strengths) -> dict[str, tf.Tensor]:
    """Return what `warp` takes: a crop is a zoom that shifts by no more than what it cuts away."""
    height, width = (tf.cast(shape[axis], tf.float32) for axis in (1, 2))
    is_warped = tf.cast((draws["warp"] + 1) / 2 >= SHARP, tf.float32)
    kept = 1 - is_warped * s.crop_share * (draws["crop"] + 1) / 2
    room = (1 - kept) / (2 * kept)  # to either side, of the side as it was
    return {
        "angle_rad": is_warped * draws["rotate"] * math.radians(s.rotate_deg),
        "zoom": (1 + is_warped * draws["zoom"] * s.zoom_share) / kept,
        "shear": is_warped * draws["shear"] * math.tan(math.radians(s.shear_deg)),
        "right_px": tf.round(draws["right"] * s.shift_share * width) + draws["crop_right"] * room * width,
        "down_px": tf.round(draws["down"] * s.shift_share * height) + draws["crop_down"] * room * height,
        "mirror": (draws["mirror"] < 0) & (s.flip in ("horizontal", "both")),
        "upend": (draws["upend"] < 0) & (s.flip in ("vertical", "both")),
    }


def warp(images: tf.Tensor, **how: Any) -> tf.Tensor:
    """Return the float32 images mirrored, sheared, zoomed, rotated counter-clockwise about the centre, then shifted.

    `how`: angle_rad, zoom, shear (tangent), right_px, down_px (float32 [N]), mirror, upend (bool [N]). One bilinear
    interpolation for all of them; outside the image its edge goes on.
    """
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=_sources(tf.shape(images), **how),
        output_shape=tf.shape(images)[1:3],
        interpolation="BILINEAR",
        fill_mode="NEAREST",
        fill_value=0.0,
    )


def _sources(
    shape: tf.Tensor,
    *,
    angle_rad: tf.Tensor,
    zoom: tf.Tensor,
    shear: tf.Tensor,
    right_px: tf.Tensor,
    down_px: tf.Tensor,
    mirror: tf.Tensor,
    upend: tf.Tensor,
) -> tf.Tensor:
    """Return [N, 8]: for each image the affine map from a pixel (x, y) of the result to where it comes from."""
    x_centre, y_centre = (tf.cast(shape[axis] - 1, tf.float32) / 2 for axis in (2, 1))
    cos, sin = tf.cos(angle_rad) / zoom, tf.sin(angle_rad) / zoom
    x_sign, y_sign = (tf.where(flag, -1.0, 1.0) for flag in (mirror, upend))
    xx, xy = x_sign * (cos - shear * sin), -x_sign * (sin + shear * cos)
    yx, yy = y_sign * sin, y_sign * cos
    x_out, y_out = x_centre + right_px, y_centre + down_px  # where the centre goes
    zero = tf.zeros_like(xx)
    return tf.stack(
        [xx, xy, x_centre - xx * x_out - xy * y_out, yx, yy, y_centre - yx * x_out - yy * y_out, zero, zero], axis=1
    )


def _shades(draws: dict[str, tf.Tensor], s: Strengths) -> dict[str, tf.Tensor]:
    gains = tf.stack([draws[channel] for channel in ("red", "green", "blue")], axis=1)
    return {
        "brightness": draws["brightness"] * s.brightness_share * 255,
        "contrast": 1 + draws["contrast"] * s.contrast_share,
        "saturation": 1 + draws["saturation"] * s.colour_share,
        "gains": 1 + gains * (s.colour_share / 2),
    }


def tint(
    images: tf.Tensor, *, brightness: tf.Tensor, contrast: tf.Tensor, saturation: tf.Tensor, gains: tf.Tensor
) -> tf.Tensor:
    """Return the float32 images with another contrast about their own mean, made brighter, and in other colours.

    `brightness` in [0, 255], `contrast` and `saturation` float32 [N], `gains` of red, green and blue float32 [N, 3].
    One matrix and one offset for each image; images of one channel have no colours.
    """
    mean = tf.reduce_mean(images, axis=(1, 2))  # [N, C]
    if images.shape[-1] != 3:
        offset = brightness[:, None] + (1 - contrast)[:, None] * mean
        return images * contrast[:, None, None, None] + offset[:, None, None, :]
    kept = saturation[:, None, None] * tf.eye(3)
    greyed = (1 - saturation)[:, None, None] * tf.constant(GREY)[None, :, None] * tf.ones([1, 1, 3])
    colours = gains[:, :, None] * (kept + greyed)  # [N, from, to]
    shift = tf.linalg.matvec(colours, mean, transpose_a=True) * (1 - contrast)[:, None] + brightness[:, None]
    matrix = colours * contrast[:, None, None]
    shape = tf.shape(images)
    flat = tf.reshape(images, [shape[0], -1, 3])
    return tf.reshape(tf.matmul(flat, matrix) + shift[:, None, :], shape)


def _noise(draw: tf.Tensor, shape: tf.Tensor, seed: tf.Tensor, share: float) -> tf.Tensor:
    """Return one field of noise for the batch, its strength and sign drawn for each image: a field each costs more."""
    field = tf.random.stateless_normal(shape[1:], seed + tf.constant([1, 0], seed.dtype))
    return field[None] * (draw * share * 255)[:, None, None, None]


def _square(draws: dict[str, tf.Tensor], shape: tf.Tensor, share: float) -> dict[str, tf.Tensor]:
    side = share * (draws["cut"] + 1) / 2
    x, y = ((draws[name] + 1) / 2 for name in ("cut_right", "cut_down"))
    height, width = (tf.cast(shape[axis], tf.float32) for axis in (1, 2))
    return {"x_px": x * width, "y_px": y * height, "width_px": side * width, "height_px": side * height}


def cut(images: tf.Tensor, *, x_px: tf.Tensor, y_px: tf.Tensor, width_px: tf.Tensor, height_px: tf.Tensor) -> tf.Tensor:
    """Return the images with a rectangle about (x, y) in their mean colour: https://arxiv.org/abs/1708.04552"""
    shape = tf.shape(images)
    columns, rows = (tf.range(shape[axis], dtype=tf.float32) + 0.5 for axis in (2, 1))
    across = tf.cast(tf.abs(columns[None] - x_px[:, None]) * 2 < width_px[:, None], tf.float32)
    along = tf.cast(tf.abs(rows[None] - y_px[:, None]) * 2 < height_px[:, None], tf.float32)
    inside = (along[:, :, None] * across[:, None, :])[..., None]
    mean = tf.reduce_mean(images, axis=(1, 2), keepdims=True)
    return images + inside * (mean - images)
