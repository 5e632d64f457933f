"""Texts to vectors: tokenising, packed forward passes, and the stage around them."""

import os

from theta_ray.runtime import WORKER_ENV

# OpenMP reads these once, as torch is imported, and every module here comes before torch
for _name, _value in WORKER_ENV.items():
    os.environ.setdefault(_name, _value)
