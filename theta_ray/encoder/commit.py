"""Records of all shards in, the committed embeddings table and its run card out."""

from __future__ import annotations

from typing import Any

from theta_ray.config import Config
from theta_ray.corpus.damage import check_vectors
from theta_ray.encoder.adapter_files import num_deleted
from theta_ray.encoder.model import count_layers, load_config
from theta_ray.encoder.neighbours import Recall
from theta_ray.encoder.rates import cost_per_million, rates
from theta_ray.encoder.shard import EmbedJob
from theta_ray.encoder.shared import Sharing
from theta_ray.encoder.work import Work
from theta_ray.errors import StageError
from theta_ray.manifest import commit, identity_of, read_manifest
from theta_ray.runcard import RunCard
from theta_ray.schemas import QUARANTINE, embeddings_schema
from theta_ray.store import Record, read_records

COLLAPSED_COSINE = 0.9999
SUMMED = ("texts", "tokens", "padded_tokens", "row_tokens", "compared", "taken_texts", "taken_tokens")


def commit_embeddings(
    job: EmbedJob, manifest: dict[str, Any], records: list[Record], sharing: Sharing
) -> dict[str, Any]:
    """Check the counts, commit quarantine and embeddings; the manifest of the embeddings."""
    details = [record.details for record in sorted(records, key=lambda record: record.shard)]
    quarantined: dict[str, int] = {}
    for record in records:
        for reason, count in record.quarantined.items():
            quarantined[reason] = quarantined.get(reason, 0) + count
    counts = {
        "num_rows_in": manifest["num_rows"],
        "num_rows": sum(record.num_rows for record in records),
        "num_quarantined": sum(quarantined.values()),
        # a shard that earlier nights have given nothing does not speak of them
        **{f"num_{name}": sum(d.get(f"num_{name}", 0) for d in details) for name in SUMMED},
    }
    if counts["num_rows_in"] != counts["num_rows"] + counts["num_quarantined"]:
        raise StageError(
            f"{job.embeddings.path}: {counts['num_rows_in']} rows in, {counts['num_rows']} out and "
            f"{counts['num_quarantined']} quarantined; use another --root and report this as a bug"
        )
    example = next((record.shard for record in records if record.quarantined), "")
    share = job.embed.max_damaged_share
    check_vectors(job.embeddings.path, quarantined, counts["num_rows_in"], share, example)
    spreads = [d["mean_cosine"] for d in details if d["mean_cosine"] is not None]
    if spreads and min(spreads) > COLLAPSED_COSINE:
        raise StageError(
            f"{job.embeddings.path}: all vectors are alike (mean cosine {min(spreads):.6f}); "
            "check encoder.pooling, encoder.adapter and that the texts differ"
        )
    if quarantined or read_manifest(job.quarantine) is not None:
        rejected = read_records(job.quarantine, sorted(record.shard for record in records if record.quarantined))
        commit(job.quarantine, QUARANTINE, rejected, {"stage": "embed", "quarantined": quarantined})
    cosines = [d["min_cosine"] for d in details if d["min_cosine"] is not None]
    body = {
        "counts": counts,
        "quarantined": quarantined,
        "min_cosine": min(cosines, default=None),
        "recall_at_10": recall_of([d["recall"] for d in details]),
        "layers": layers_of(job, details),
        "shared": sharing.facts(),
        "sections": {"encoder": job.encoder.model_dump(mode="json"), "embed": job.embed.model_dump(mode="json")},
        "inputs": inputs_of(job, manifest),
    }
    return commit(job.embeddings, embeddings_schema(job.dim, job.embed.store_dtype), records, body)


def recall_of(parts: list[dict[str, int]]) -> dict[str, Any]:
    """Recall@10 of the stored form against float32 at full width, over the samples of all shards."""
    recall = Recall(*(sum(part[name] for part in parts) for name in Recall._fields))
    return {"value": recall.at_10, **recall._asdict()}


def layers_of(job: EmbedJob, details: list[dict[str, Any]]) -> dict[str, Any] | None:
    """What the first layers keep of the whole model, where the recipe takes no more."""
    if job.encoder.num_layers is None:
        return None
    # A version that takes over shards of the one before may hold two comparisons, and the first counts; or none.
    none: dict[str, Any] = {"mean_cosine": None, **Recall()._asdict()}
    part = next((d["layers"] for d in details if d["layers"] is not None), none)
    recall = Recall(*(part[name] for name in Recall._fields))
    of = count_layers(load_config(job.source))
    return {"num_layers": job.encoder.num_layers, "of": of, "recall_at_10": recall.at_10, **part}


def inputs_of(job: EmbedJob, corpus_manifest: dict[str, Any]) -> dict[str, Any]:
    """What an embeddings version is made of, as its manifest holds it."""
    return {
        "corpus": identity_of(corpus_manifest),
        "model": job.source.identity,
        "adapter": job.source.adapter_identity,
    }


def _text_figures(counts: dict[str, int], work: Work) -> dict[str, Any]:
    """Of the version: its documents and their tokens, each counted once, by what became of them.

    documents in = texts embedded + texts taken over + duplicates collapsed: a text counts once in each shard that has
    it, and in one only where shards share it. Their tokens = tokens + tokens taken over + tokens saved by dedup.
    """
    texts, taken_texts, tokens, taken = (
        counts[f"num_{name}"] for name in ("texts", "taken_texts", "tokens", "taken_tokens")
    )
    of_rows, saved = max(1, counts["num_row_tokens"]), counts["num_row_tokens"] - tokens - taken
    has_earlier = bool(work.earlier or taken_texts)
    return {
        "texts_embedded": texts,
        **({"texts_taken_over": taken_texts} if has_earlier else {}),
        "duplicates_collapsed": counts["num_rows_in"] - texts - taken_texts,
        "tokens": tokens,
        **({"tokens_taken_over": taken, "share_taken_over": round(taken / of_rows, 4)} if has_earlier else {}),
        "tokens_saved_by_dedup": saved,
        "share_saved_by_dedup": round(saved / of_rows, 4),
    }


def _work_figures(work: Work) -> dict[str, Any]:
    """Of this run: shards, texts and tokens, where the version holds what earlier runs and nights have made as well."""
    ready = {"shards_carried_over": work.num_carried, "shards_of_known_texts": work.num_assembled}
    taken = {"texts_taken_over_by_this_run": work.num_taken_texts}
    return {
        "shards_made_by_this_run": work.num_made + work.num_assembled,
        **(ready if work.earlier else {}),
        "texts_embedded_by_this_run": work.made.num_texts,
        **(taken if work.earlier else {}),
        "tokens_embedded_by_this_run": work.made.num_tokens,
    }


def _layer_figures(layers: dict[str, Any] | None) -> dict[str, Any]:
    if layers is None:
        return {}
    kept = {"recall_at_10_of_layers": layers["recall_at_10"], "mean_cosine_of_layers": layers["mean_cosine"]}
    return {"layers": f"{layers['num_layers']} of {layers['of']}", **kept}


def _adapter_figures(job: EmbedJob) -> dict[str, Any]:
    count = num_deleted(job.encoder.adapter) if job.encoder.adapter is not None else 0
    return {"adapter_trained_on_deleted": count} if count else {}


def _run_figures(config: Config, work: Work) -> dict[str, Any]:
    """How fast this run was, and what that costs where the resources name a price."""
    resources, seconds = config.resources, work.phases.seconds.get("embed", 0.0)
    num_devices = work.num_actors() * (resources.gpus_per_actor or 1)
    figures = rates(work.made, seconds, num_devices, work.peaks)
    price = resources.price_per_device_hour
    if price is not None:
        figures["cost_of_million_documents"] = cost_per_million(work.made, seconds, num_devices, price)
    return figures


def _padding_share(num_tokens: int, num_padded_tokens: int) -> float:
    """The share of computed tokens that were padding; none where all texts were known and nothing was computed."""
    return round(1 - num_tokens / num_padded_tokens, 4) if num_padded_tokens else 0.0


def make_card(config: Config, job: EmbedJob, body: dict[str, Any], work: Work) -> RunCard:
    """The run card: figures of the table, rates of this run."""
    counts = body["counts"]
    return RunCard.of(
        "embed",
        job.embeddings,
        {
            "documents_in": counts["num_rows_in"],
            "embedded": counts["num_rows"],
            **_text_figures(counts, work),
            "texts_between_shards": body["shared"]["finding"],
            **_run_figures(config, work),
            "padding_share": _padding_share(counts["num_tokens"], counts["num_padded_tokens"]),
            "smallest_cosine": body["min_cosine"],
            "rows_compared": counts["num_compared"],
            "recall_at_10": body["recall_at_10"]["value"],
            "recall_queries": body["recall_at_10"]["queries"],
            **_layer_figures(body["layers"]),
            **_adapter_figures(job),
            "vectors": f"{job.dim} x {job.embed.store_dtype}",
            "shards": work.num_shards,
            **_work_figures(work),
            "actors_that_worked": len({call.actor for call in work.calls}),
            "ramp_seconds": round(work.ramp_seconds(), 3),
        },
        quarantined=body["quarantined"],
        seconds=work.phases.seconds,
        worker_seconds={name: round(value, 3) for name, value in work.worker_seconds.items()},
        stall_seconds={cause: round(value, 3) for cause, value in work.stall_seconds().items()},
        recipe=config.recipe.model_dump(mode="json"),
        resources={**config.resources.model_dump(mode="json"), "kernels": work.distinct_kernels()},
        inputs=body["inputs"],
        seeds={"parity_rows": job.embed.seed},
    )
