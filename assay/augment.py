"""Random changes to the images of a training batch: stateless, so the same seed gives the same bytes.

Images are uint8 [N, H, W, C] in [0, 255], in and out. Every image of a batch is changed in its own way.
"""

import math
from typing import Any

from assay import params
from assay.tensors import tf


def apply(images: tf.Tensor, seed: tf.Tensor, p: params.Augment) -> tf.Tensor:
    """Return the images, each rotated, zoomed, shifted, mirrored and brightened as `p` allows; `seed` is int64 [2]."""
    shape = tf.shape(images)
    draws = tf.unstack(tf.random.stateless_uniform([7, shape[0]], seed, -1.0, 1.0))
    height, width = (tf.cast(shape[axis], tf.float32) for axis in (1, 2))
    moved = warp(
        images,
        angle_rad=draws[0] * math.radians(p.rotate_deg),
        zoom=1 + draws[1] * p.zoom_share,
        right_px=draws[2] * p.shift_share * width,
        down_px=draws[3] * p.shift_share * height,
        mirror=(draws[4] < 0) & (p.flip != "none"),
        upend=(draws[5] < 0) & (p.flip == "both"),
    )
    brightness = draws[6] * p.brightness_share * 255
    return _to_uint8(moved + brightness[:, None, None, None])


def changes_nothing(p: params.Augment) -> bool:
    """Say whether `apply` would return the images as they are."""
    return p.flip == "none" and not (p.rotate_deg or p.shift_share or p.zoom_share or p.brightness_share)


def warp(images: tf.Tensor, **how: Any) -> tf.Tensor:
    """Return float32 images [N, H, W, C]: mirrored, zoomed, rotated counter-clockwise about the centre, then shifted.

    `how`: angle_rad, zoom, right_px, down_px (float32 [N]), mirror, upend (bool [N]). One bilinear interpolation for
    all of them; outside the image its edge goes on.
    """
    floats = tf.cast(images, tf.float32)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=floats,
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
    right_px: tf.Tensor,
    down_px: tf.Tensor,
    mirror: tf.Tensor,
    upend: tf.Tensor,
) -> tf.Tensor:
    """Return [N, 8]: for each image the affine map from a pixel (x, y) of the result to where it comes from."""
    x_centre, y_centre = (tf.cast(shape[axis] - 1, tf.float32) / 2 for axis in (2, 1))
    cos, sin = tf.cos(angle_rad) / zoom, tf.sin(angle_rad) / zoom
    x_sign, y_sign = (tf.where(flag, -1.0, 1.0) for flag in (mirror, upend))
    xx, xy, yx, yy = x_sign * cos, -x_sign * sin, y_sign * sin, y_sign * cos
    x_out, y_out = x_centre + right_px, y_centre + down_px  # where the centre goes
    zero = tf.zeros_like(xx)
    return tf.stack(
        [xx, xy, x_centre - xx * x_out - xy * y_out, yx, yy, y_centre - yx * x_out - yy * y_out, zero, zero], axis=1
    )


def _to_uint8(images: tf.Tensor) -> tf.Tensor:
    return tf.saturate_cast(tf.round(images), tf.uint8)
