"""Where a model comes from and what its folder says: hub id, local folder or installed package.

Only configuration, tokenizer files and safetensors are ever read. A folder that would need its own
Python code, or that holds weights in a pickle, is refused. A folder in the layout of
sentence-transformers (modules.json) brings its pooling, normalisation, prompts and length.
"""

from __future__ import annotations

import hashlib
import importlib.util
import math
import os
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from theta_ray.config import Encoder
from theta_ray.encoder.adapter_files import adapter_identity, files_digest, find_adapter
from theta_ray.encoder.contract import check_agreement, check_base, read_contract
from theta_ray.encoder.model_files import MAX_SIZE, check_folder, read_json, shapes_of
from theta_ray.errors import ConfigError, InputError
from theta_ray.store import file_sha256
from theta_ray.terminal import masked_secrets

READ_PATTERNS = ("*.json", "*.txt", "*.model", "*.safetensors", "*.jinja", "bpe.codes")
POOLING_OF_MODE = {"mean": "mean", "cls": "cls", "lasttoken": "last"}
POOLING_OF_FLAG = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_lasttoken": "lasttoken",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
}


@dataclass(frozen=True)
class ModelSource:
    """A model (and adapter) on this machine, and the identity that enters fingerprints."""

    folder: str
    identity: str
    """`hub id@commit`, or `sha256:` over the names and contents of the folder's files."""
    adapter_folder: str | None = None
    adapter_identity: str | None = None


@dataclass(frozen=True)
class FolderSettings:
    """What a sentence-transformers folder or a contract says; None and empty where they say nothing."""

    pooling: str | None = None
    normalize: bool | None = None
    max_length: int | None = None
    prompts: tuple[tuple[str, str], ...] = ()
    lower_case: bool = False
    template: str | None = None
    """A contract's."""
    projections: tuple[str, ...] = ()
    """Folders of linear layers on top of the pooled vector."""
    problem: str | None = None
    """Why the folder's own pooling cannot be used, if so."""


def resolve_model(encoder: Encoder) -> ModelSource:
    """Find the model and adapter of a recipe on this machine, fetching a hub model where needed.

    Raises:
        InputError: not found, not safetensors, weights other than `weights_sha256`, or a recipe that does not go
            with the contract of the adapter.
    """
    name = encoder.model
    if name.startswith("package:"):
        folder = _package_folder(name)
        identity = f"sha256:{folder_digest(folder)}"
    elif os.path.isabs(name) or name.startswith("~"):
        folder = Path(name).expanduser()
        if not folder.is_dir():
            raise InputError(f"encoder.model {name}: no such folder on this machine; copy the model to every node")
        identity = f"sha256:{folder_digest(folder)}"
    else:
        folder, commit = _hub_folder(name, encoder.revision)
        identity = f"{name}@{commit}"
    check_folder(folder, name)
    if encoder.weights_sha256 is not None:
        found = weights_sha256(folder)
        if found != encoder.weights_sha256:
            raise InputError(
                f"encoder.model {name}: weights have SHA-256 {found}, the recipe pins {encoder.weights_sha256}; "
                "get the pinned weights, or change weights_sha256 if you trust these"
            )
    if encoder.adapter is None:
        if (contract := read_contract(folder)) is not None:
            check_agreement(encoder, contract, f"encoder.model {name}")
        return ModelSource(str(folder), identity)
    adapter = find_adapter(encoder.adapter)
    _check_contract(encoder, adapter, (folder, identity))
    return ModelSource(str(folder), identity, str(adapter), adapter_identity(adapter))


def _check_contract(encoder: Encoder, adapter: Path, base: tuple[Path, str]) -> None:
    """Refuse an adapter that was made otherwise than the recipe says, on another base, or changed since."""
    contract, where = read_contract(adapter), f"encoder.adapter {encoder.adapter}"
    if contract is None:
        return
    if contract.adapter_sha256 != files_digest(adapter):
        raise InputError(f"{where}: its weights are not those of its contract.json; fetch the adapter again")
    check_base(contract, base[1], lambda: weights_sha256(base[0]), where)
    check_agreement(encoder, contract, where)


def _package_folder(name: str) -> Path:
    """`package:NAME/FOLDER`: found without importing, so that none of the package's code runs."""
    package, _, inner = name.removeprefix("package:").partition("/")
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    if spec is None or spec.origin is None:
        hint = f'pip install "{package.replace("_", "-")}"'
        raise InputError(f"encoder.model {name}: package {package} is not installed; {hint} on every node")
    folder = Path(spec.origin).parent / inner
    if ".." in inner or not folder.is_dir():
        raise InputError(f"encoder.model {name}: package {package} has no folder {inner}; check the recipe")
    return folder


def _hub_folder(name: str, revision: str | None) -> tuple[Path, str]:
    """Snapshot folder and commit of a hub model; from the cache alone where HF_HUB_OFFLINE is set."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=list(READ_PATTERNS)))
    except HFValidationError as error:
        raise ConfigError(
            f"encoder.model {masked_secrets(name)}: neither a hub id (owner/name), an absolute folder "
            "nor package:NAME/FOLDER"
        ) from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"encoder.model {name}@{revision or 'main'}: cannot be fetched ({reason}); check the id, "
            "log in for gated models, or name a local folder"
        ) from error
    return folder, folder.name


def _model_files(folder: Path) -> list[Path]:
    """Files of a model that can decide its result, sorted by name."""
    found = {path for pattern in READ_PATTERNS for path in folder.rglob(pattern) if path.is_file()}
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def folder_digest(folder: Path) -> str:
    """SHA-256 over names and contents of a model folder's files."""
    lines = [f"{_sha256(path)}  {path.relative_to(folder).as_posix()}\n" for path in _model_files(folder)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def weights_sha256(folder: Path) -> str:
    """SHA-256 of the weights: of the one file, or of the lines `<sha256>  <name>` of several."""
    files = sorted(folder.glob("*.safetensors"))
    if len(files) == 1:
        return _sha256(files[0])
    return hashlib.sha256("".join(f"{_sha256(file)}  {file.name}\n" for file in files).encode()).hexdigest()


def _sha256(path: Path) -> str:
    """SHA-256 of a file; one that is as it was is read once, since a night asks for its model dozens of times."""
    found = path.stat()
    return _sha256_of(str(path), (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns))


@lru_cache(maxsize=1024)
def _sha256_of(path: str, _state: tuple[int, ...]) -> str:
    return file_sha256(path)


def num_parameters(folder: str) -> int:
    """Weights of a model, word embeddings left out, read off the headers of its safetensors files."""
    shapes = {name: shape for path in Path(folder).glob("*.safetensors") for name, shape in shapes_of(path).items()}
    return sum(math.prod(shape) for name, shape in shapes.items() if "embed" not in name)


def settings_of(source: ModelSource) -> FolderSettings:
    """What a recipe that leaves settings out gets: the contract's where there is one, else the model folder's."""
    settings = read_folder_settings(source.folder)
    contract = read_contract(Path(source.adapter_folder or source.folder))
    if contract is None:
        return settings
    prompts = dict(settings.prompts) | {"document": contract.document_prompt, "query": contract.query_prompt}
    return replace(
        settings,
        pooling=contract.pooling,
        normalize=contract.normalize,
        max_length=contract.max_length,
        prompts=tuple(sorted(prompts.items())),
        template=contract.template,
    )


def read_folder_settings(folder: str) -> FolderSettings:
    """Pooling, normalisation, length and prompts that a sentence-transformers folder asks for."""
    root = Path(folder)
    modules = read_json(root / "modules.json").get("modules", [])
    if not modules:
        return FolderSettings()
    transformer = read_json(root / "sentence_bert_config.json")
    prompts = read_json(root / "config_sentence_transformers.json")
    pooling, normalize, problem, projections = None, False, None, []
    for module in modules:
        kind = str(module["type"]).rsplit(".", 1)[-1]
        if kind == "Pooling":
            pooling, problem = _pooling_of(read_json(_inside(root, module) / "config.json"))
        elif kind == "Normalize":
            normalize = True
        elif kind == "Dense" and not normalize and _is_linear(read_json(_inside(root, module) / "config.json")):
            projections.append(str(module["path"]))
        elif kind != "Transformer":
            pooling, problem = None, f"module {kind} of modules.json is not supported"
            break
    length = transformer.get("max_seq_length")
    if length is not None and not (isinstance(length, int) and 1 <= length <= MAX_SIZE):
        raise InputError(f"{root}: sentence_bert_config.json says max_seq_length {length!r}; fetch the model again")
    named = dict(prompts.get("prompts") or {})
    default = prompts.get("default_prompt_name")
    if default and "document" not in named:
        named["document"] = named[default]
    return FolderSettings(
        pooling=pooling,
        normalize=normalize,
        max_length=length,
        prompts=tuple(sorted(named.items())),
        lower_case=bool(transformer.get("do_lower_case")),
        projections=tuple(projections),
        problem=problem,
    )


def _inside(root: Path, module: dict[str, Any]) -> Path:
    """The folder of a module, which must lie in the model's own: what is outside has no part in its identity."""
    path = (root / str(module.get("path", ""))).resolve()
    if not path.is_relative_to(root.resolve()):
        raise InputError(f"{root}: modules.json names a folder outside of it; fetch the model again")
    return path


def _is_linear(dense: dict[str, Any]) -> bool:
    """Whether a Dense module is a linear layer on the vector and nothing else."""
    names = (dense.get("module_input_name", "sentence_embedding"), dense.get("module_output_name"))
    activation = str(dense.get("activation_function", "")).rpartition(".")[2]
    is_plain = activation == "Identity" and not dense.get("use_residual", False)
    return is_plain and names in (("sentence_embedding", None), ("sentence_embedding", "sentence_embedding"))


def _pooling_of(config: dict[str, Any]) -> tuple[str | None, str | None]:
    """The pooling of a Pooling module, or what is the matter with it."""
    modes = config.get("pooling_mode")
    if modes is None:
        modes = [mode for flag, mode in POOLING_OF_FLAG.items() if config.get(flag)]
    modes = [modes] if isinstance(modes, str) else list(modes)
    if len(modes) != 1 or modes[0] not in POOLING_OF_MODE:
        return None, f"pooling {'+'.join(modes)} is not supported"
    if config.get("include_prompt") is False:
        return None, "pooling with include_prompt: false is not supported"
    return POOLING_OF_MODE[modes[0]], None
