"""Recipes (what) and resources (where): frozen values, checked before anything starts.

A recipe decides the result and enters the fingerprints; resources never do. Choices are
`Literal`s here and functions elsewhere; a test holds the two equal, so that this module
imports neither torch nor ray. Reading the YAML files is the work of `theta_ray.recipe_files`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from theta_ray.config_cluster import Cluster
from theta_ray.config_finetune import Finetune
from theta_ray.config_network import Network
from theta_ray.config_nightly import CleanUp, Compliance, Forget, Migrate, Refresh
from theta_ray.config_pairs import Pairs
from theta_ray.config_quality import ChooseK, Evaluate
from theta_ray.config_report import Report
from theta_ray.config_topics import Topics
from theta_ray.errors import ConfigError
from theta_ray.strict import Strict

Reader = Literal["csv", "jsonl", "parquet", "reddit", "text", "thread_json", "twitter_v1", "twitter_v2"]
Normalize = Literal["basic", "bertweet", "raw"]
Hashtags = Literal["ascii", "none", "unicode"]
Pooling = Literal["cls", "first", "last", "mask", "mean", "pooler"]
Kind = Literal["comment", "document", "post", "repost"]
DamagePolicy = Literal["fail", "quarantine", "skip"]
COLUMN_READERS = ("csv", "jsonl", "parquet")
SHA256 = r"^[0-9a-f]{64}$"


class Columns(Strict):
    """Which input column feeds which column of the corpus."""

    text: str | tuple[str, ...]
    """One column, or several that are joined by a blank line (a title and its body)."""
    doc_id: str | None = None
    """Absent: ids are made from the file's name and the row's place in it."""
    author_id: str | None = None
    context_id: str | None = None
    parent_id: str | None = None
    parent_author_id: str | None = None
    """Who wrote what the row answers or repeats."""
    container: str | None = None
    created_at: str | None = None
    lang: str | None = None
    tags: str | None = None
    mention_ids: str | None = None
    """Ids of the authors that the row mentions: a list, or text that holds one."""
    links: str | None = None
    """Web addresses: a list, or text that holds one. Absent: those in the text."""
    label: str | None = None
    score: str | None = None


class Input(Strict):
    """One source of raw documents: a reader and the files it reads."""

    reader: Reader
    path: str | tuple[str, ...]
    """Files, globs or folders, local or `s3://`, `gs://`, `abfs://`; `{date}` becomes the day."""
    columns: Columns | None = None
    documents: Literal["lines", "files"] = "lines"
    """For `text`: a document is a line, or a whole file."""
    kind: Kind = "document"
    """For readers with columns, and `text`: what a row is."""
    source: str | None = None
    """A name for the rows of this input; the reader's name when absent."""

    @model_validator(mode="after")
    def _columns_where_needed(self) -> Input:
        if (self.reader in COLUMN_READERS) != (self.columns is not None):
            verb = "needs" if self.reader in COLUMN_READERS else "takes no"
            raise ValueError(f"reader {self.reader} {verb} columns")
        paths = (self.path,) if isinstance(self.path, str) else self.path
        if any(not path or min(path) < " " for path in paths):
            raise ValueError("path is empty or holds a control character")
        if self.documents == "files" and self.reader != "text":
            raise ValueError(f"documents: files is for reader text, not {self.reader}")
        return self


class OnDamage(Strict):
    """What happens to a damaged row, by cause; the causes are those of `schemas.DAMAGED_INPUT`.

    `fail` stops at the first one. `quarantine` keeps its place and reason and counts it against
    `max_damaged_share`. `skip` only counts it.
    """

    unreadable_file: DamagePolicy = "fail"
    bad_record: DamagePolicy = "quarantine"
    bad_encoding: DamagePolicy = "quarantine"
    record_too_large: DamagePolicy = "quarantine"
    truncated_file: DamagePolicy = "quarantine"
    decompression_bomb: DamagePolicy = "quarantine"
    missing_id: DamagePolicy = "quarantine"
    damaged_id: DamagePolicy = "quarantine"
    missing_text: DamagePolicy = "quarantine"
    bad_time: DamagePolicy = "quarantine"
    bad_score: DamagePolicy = "quarantine"


class Corpus(Strict):
    """Raw dumps to one table of documents (jobs/prepare.py)."""

    inputs: Annotated[tuple[Input, ...], Field(min_length=1)]
    normalize: Normalize = "raw"
    """Form of the stored text: `raw` as written; `basic` entities unescaped, NFC, spaces collapsed;
    `bertweet` the normalisation that BERTweet was trained on."""
    hashtags: Hashtags = "ascii"
    """Rule that finds `tags` in the raw text."""
    authors: Literal["drop", "pseudonym", "raw"] = "pseudonym"
    """`pseudonym` replaces author ids by HMAC-SHA-256 under the key in THETA_RAY_AUTHOR_KEY."""
    language: Literal["identify", "none", "source"] = "identify"
    keep_languages: tuple[str, ...] = ()
    """Two-letter codes to keep; empty keeps all."""
    min_language_score: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Below this score the language is unknown (null)."""
    min_chars: Annotated[int, Field(ge=1)] = 1
    max_chars: Annotated[int, Field(ge=1)] = 1_000_000
    duplicates: Literal["drop", "keep"] = "keep"
    """Rows that repeat an earlier text. Kept rows are still embedded once."""
    on_damage: OnDamage = OnDamage()
    """`fail`, `quarantine` or `skip`, for each cause of damage."""
    max_damaged_share: Annotated[float, Field(ge=0, le=1)] = 0.001
    """The stage fails when a larger share of the rows is damaged."""
    shard_bytes: Annotated[int, Field(ge=1)] = 64 * 2**20
    """Raw bytes gathered into one shard."""

    @model_validator(mode="after")
    def _languages_are_known(self) -> Corpus:
        if self.keep_languages and self.language == "none":
            raise ValueError("keep_languages needs language: identify or source")
        if self.min_chars > self.max_chars:
            raise ValueError(f"min_chars {self.min_chars} is above max_chars {self.max_chars}")
        return self


class Encoder(Strict):
    """The embedding model and how a text becomes one vector."""

    model: str
    """Hub id, absolute folder, or `package:NAME/FOLDER` inside an installed package."""
    revision: str | None = None
    """Branch, tag or commit of a hub model; the resolved commit is recorded."""
    weights_sha256: Annotated[str, Field(pattern=SHA256)] | None = None
    """Other weights are refused. Several files: hash of the lines `<sha256>  <name>`, sorted by name."""
    adapter: str | None = None
    """PEFT adapter (safetensors) put on top of the model: a folder, a URI, or `adapter/<fingerprint>/dt=<day>` below
    the root. What its contract says takes the place of absent settings here."""
    num_layers: Annotated[int, Field(ge=1)] | None = None
    """2-D Matryoshka: the first layers of the model only. Absent: all of them."""
    pooling: Pooling | None = None
    """Absent: what the model's sentence-transformers folder says."""
    normalize: bool | None = None
    """L2. Absent: what the sentence-transformers folder says, else true."""
    max_length: Annotated[int, Field(ge=3)] | None = None
    """Tokens of one sequence, special ones included. Absent: the model's own limit."""
    long_documents: Literal["truncate", "windows"] = "truncate"
    window_length: Annotated[int, Field(ge=1)] = 510
    window_stride: Annotated[int, Field(ge=1)] = 256
    """`windows`: tokens per window and step; the unit vectors of the windows are averaged."""
    document_prompt: str | None = None
    query_prompt: str | None = None
    """Put before each text. Absent: the model folder's own prompt of that name, else none."""
    encode_as: Literal["document", "query"] = "document"
    template: str | None = None
    """Cloze template for pooling `mask`: `{text}` and one mask token, such as `{text} is [MASK].`"""
    precision: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    """`auto` is bfloat16 where the device computes it in hardware, else float32."""
    engine: Literal["auto", "torch", "vllm"] = "auto"
    """`auto` is vLLM for more than a billion weights on a GPU where vLLM is installed, else packed torch."""

    @model_validator(mode="after")
    def _parts_fit(self) -> Encoder:
        if (self.pooling == "mask") != (self.template is not None):
            raise ValueError("pooling: mask and template come together")
        if self.template is not None and self.template.count("{text}") != 1:
            raise ValueError("template must hold {text} exactly once")
        if self.template is not None and self.long_documents == "windows":
            raise ValueError("long_documents: windows does not go with a template")
        if self.window_stride > self.window_length:
            raise ValueError(f"window_stride {self.window_stride} skips tokens: window_length is {self.window_length}")
        return self


class Embed(Strict):
    """Corpus to one vector per document (jobs/embed.py)."""

    dim: Annotated[int, Field(ge=1)] | None = None
    """Matryoshka width: the first `dim` values, normalised again. Absent: the model's width."""
    store_dtype: Literal["binary", "float16", "float32", "int8"] = "float16"
    """`int8`: 127 steps to either side and a float32 `scale` per vector; `binary`: one bit per value, its sign."""
    min_cosine: Annotated[float, Field(ge=-1, le=1)] = 0.999
    """Smallest cosine allowed with plain transformers in float32: of the stored vector, of int8 and binary before."""
    parity_rows: Annotated[int, Field(ge=1)] = 32
    """Rows of a run that are compared with plain transformers."""
    max_damaged_share: Annotated[float, Field(ge=0, le=1)] = 0.001
    """The stage fails when a larger share of the rows has no vector: NaN, infinite or zero."""
    shard_tokens: Annotated[int, Field(ge=1)] = 2_000_000
    """Estimated tokens of one shard: the unit of work, of commit and of resume."""
    seed: int = 0


class Recipe(Strict):
    """Everything that decides the result."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    corpus: Corpus
    encoder: Encoder | None = None
    """The model. Absent: no embeddings, and nothing that is made of them."""
    embed: Embed = Embed()
    pairs: Pairs | None = None
    finetune: Finetune | None = None
    cluster: Cluster | None = None
    topics: Topics = Topics()
    choose_k: ChooseK = ChooseK()
    evaluate: Evaluate = Evaluate()
    network: Network = Network()
    report: Report = Report()
    refresh: Refresh = Refresh()
    forget: Forget = Forget()
    compliance: Compliance = Compliance()
    migrate: Migrate = Migrate()
    clean_up: CleanUp = CleanUp()


class Resources(Strict):
    """Where a recipe runs. Never enters a fingerprint."""

    executor: Literal["local", "ray"] = "ray"
    """`local` runs the same shards one after another in this process."""
    num_actors: Annotated[int, Field(ge=1)] | None = None
    """Absent: one per core, or per GPU share, of the cluster."""
    min_actors: Annotated[int, Field(ge=1)] | None = None
    """Fine-tuning goes on with so few where the cluster has no room for more. Absent: num_actors, or else 1."""
    fsdp: bool = False
    """Fine-tuning: each worker holds a share of the base's layers (fully sharded data parallel), for large ones."""
    gpus_per_actor: Annotated[float, Field(ge=0)] = 0
    threads_per_actor: Annotated[int, Field(ge=1)] | None = None
    """Absent: 1, and with `executor: local` one per core that the process may use."""
    batch_tokens: Annotated[int, Field(ge=16)] = 2048
    """Tokens of one forward pass."""
    max_task_edges: Annotated[int, Field(ge=1)] = 100_000_000
    """Networks: a larger graph is held in blocks by actors; 100 bytes an edge of a smaller one are in one task."""
    max_retries: Annotated[int, Field(ge=0)] = 3
    """Restarts of a lost task or actor before the job stops."""
    max_idle_seconds: Annotated[int, Field(ge=60)] = 3600
    """The job stops when nothing moves for so long: above the time of one shard and of waiting for nodes."""
    on_conflict: Literal["fail", "join", "wait"] = "wait"
    """What a second run of the same partition does: leave with exit code 5, share the shards, or wait."""
    lease_seconds: Annotated[float, Field(gt=0)] = 60
    """A run that gives no sign of life for so long, by the store's clock, has lost its partition."""
    max_gpu_hours: Annotated[float, Field(gt=0)] | None = None
    """The job stops, ready to go on, once its actors have held GPUs for so long in sum. Absent: no limit."""
    price_per_device_hour: Annotated[float, Field(gt=0)] | None = None
    """What an hour of a GPU costs, or of an actor's cores, in any currency. Absent: the run card tells no cost."""

    @model_validator(mode="after")
    def _range_is_one(self) -> Resources:
        if self.min_actors is not None and self.min_actors > (self.num_actors or self.min_actors):
            raise ValueError(f"min_actors {self.min_actors} is above num_actors {self.num_actors}")
        return self


class Config(Strict):
    """One job's complete configuration."""

    recipe: Recipe
    resources: Resources = Resources()
    root: str
    """Absolute folder or URI that holds all tables."""
    recipe_path: str = ""
    """The file that the recipe was read from, for messages; empty where it was made in a program."""

    @property
    def where(self) -> str:
        """The recipe, as a message names it."""
        return self.recipe_path or f"recipe {self.recipe.name}"

    @property
    def encoder(self) -> Encoder:
        """The recipe's model; raises ConfigError where it has none."""
        if self.recipe.encoder is None:
            hint = "add the section, such as `encoder: {model: Qwen/Qwen3-Embedding-0.6B}`"
            raise ConfigError(f"{self.where}: encoder is missing; embeddings, topics and adapters need it; {hint}")
        return self.recipe.encoder

    def sections(self, *names: str) -> dict[str, Any]:
        """The named recipe sections as plain JSON values, for fingerprints and manifests; None where one is absent."""
        sections = {name: getattr(self.recipe, name) for name in names}
        return {name: None if value is None else value.model_dump(mode="json") for name, value in sections.items()}
