"""Tests image data before a model is trained on it, and the model before anyone uses it."""
