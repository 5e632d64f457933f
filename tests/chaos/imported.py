"""What stages import, once: their runs that are killed are forks of a process that has this and no threads."""

from __future__ import annotations

import gc

import networkit
import pandas
import pyarrow.dataset
import transformers.models.auto.tokenization_auto
import transformers.models.bert.modeling_bert

import tests.clustered
import tests.networks
import tests.nights
import tests.unit.test_label_topics
import theta_ray.encoder.reference
import theta_ray.network.analyze_network
import theta_ray.nightly.refresh

__all__ = ["networkit", "pandas", "pyarrow", "tests", "theta_ray", "transformers"]

gc.freeze()  # no fork looks through what it shares with the others
