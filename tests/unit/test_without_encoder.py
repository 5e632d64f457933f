"""A recipe without a model makes its corpus, its networks and its page; what needs one says so in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import REPOSITORY
from tests.nights import NIGHTS, nightly_config, nightly_recipe, write_night
from tests.small_jobs import save_recipe
from theta_ray.config import Config
from theta_ray.console.days import find_night
from theta_ray.console.doctor import examine
from theta_ray.console.main import build_parser
from theta_ray.errors import ConfigError
from theta_ray.network import analyze_network
from theta_ray.nightly import refresh
from theta_ray.nightly.refresh_stages import stages_of
from theta_ray.recipe_files import load_config
from theta_ray.report import report
from theta_ray.schemas_network import NETWORK_TABLES
from theta_ray.store import digest_of

DAY = NIGHTS[1]
HINT = "such as encoder: {model: Qwen/Qwen3-Embedding-0.6B}"


def without(config: Config, *sections: str) -> Config:
    return config.model_copy(update={"recipe": config.recipe.model_copy(update=dict.fromkeys(sections))})


def test_a_night_of_networks_alone_is_planned_made_published_and_shown(tmp_path: Path, bert: Path) -> None:
    write_night(tmp_path, DAY, "a")
    config = without(nightly_config(tmp_path, bert), "encoder", "cluster")
    stages = ["prepare", "analyze_network", "report"]
    assert [step.stage for step in refresh.plan(config, DAY).steps] == [*stages, "refresh"]
    card = refresh.run(config, DAY)
    assert [each.stage for each in card.upstream] == stages
    assert find_night(config, None).tables.keys() == {"corpus", "report", *NETWORK_TABLES}
    assert refresh.run(config, DAY).status == "nothing to do"
    assert report.plan(config, DAY).steps[-1].status == "nothing to do: committed"
    assert report.run(config, DAY).status == "nothing to do"


def test_the_tables_of_a_recipe_do_not_depend_on_a_model_that_they_do_not_use(tmp_path: Path, bert: Path) -> None:
    config = without(nightly_config(tmp_path, bert), "cluster")
    with_model, bare = (analyze_network.make_job(each, DAY) for each in (config, without(config, "encoder")))
    assert (with_model.corpus, with_model.tables) == (bare.corpus, bare.tables)


def test_what_is_embedded_keeps_its_name() -> None:
    """Another value here means that everybody's embeddings are made again: change it knowingly."""
    config = load_config(str(REPOSITORY / "recipes" / "sample.yaml"), root="/tables")
    assert digest_of(config.sections("encoder", "embed")) == "7c04bb34e1ad2225"


@pytest.mark.parametrize(
    ("left_out", "stages", "told"),
    [
        (["encoder"], None, f"cluster needs a section encoder; add one, {HINT}, or leave that out"),
        (["encoder"], ["label_topics"], f"refresh.stages: label_topics needs a section encoder; add one, {HINT}"),
        (
            ["encoder", "cluster"],
            ["embed"],
            f"refresh.stages: embed needs a section encoder; add one, {HINT}, or leave",
        ),
        (
            ["cluster"],
            ["label_topics"],
            "refresh.stages: label_topics needs a section cluster; add one",
        ),
    ],
)
def test_a_refresh_says_which_section_it_needs(
    tmp_path: Path, left_out: list[str], stages: list[str] | None, told: str
) -> None:
    values = nightly_recipe(tmp_path, Path("/no/model"), **({"stages": stages} if stages else {}))
    path = save_recipe(tmp_path / "r.yaml", {name: each for name, each in values.items() if name not in left_out})
    config = load_config(str(path), root=str(tmp_path / "root"))
    with pytest.raises(ConfigError) as caught:
        stages_of(config)
    assert str(caught.value).startswith(f"{path}: {told}")


@pytest.mark.parametrize("stage", ["embed", "cluster", "mine_pairs", "finetune", "migrate", "choose_k", "preview"])
def test_a_stage_that_needs_a_model_names_the_recipe_and_the_key(stage: str, tmp_path: Path, bert: Path) -> None:
    write_night(tmp_path, DAY, "a")
    more: dict[str, Any] = {"pairs": {"kind": "thread", "negatives": {"count": 1}}, "finetune": {}}
    values = {**nightly_recipe(tmp_path, bert), **more}
    del values["encoder"]
    path = save_recipe(tmp_path / "r.yaml", values)
    config = load_config(str(path), root=str(tmp_path / "root"))
    with pytest.raises(ConfigError) as caught:
        modules()[stage].plan(config, DAY)
    assert str(caught.value).startswith(f"{path}: encoder is missing; embeddings, topics and adapters need it; add")
    assert len(str(caught.value).splitlines()) == 1


def modules() -> dict[str, Any]:
    from theta_ray.encoder import embed, preview
    from theta_ray.nightly import migrate
    from theta_ray.topics import choose_k, cluster
    from theta_ray.training import finetune, mine_pairs

    found = (embed, preview, migrate, choose_k, cluster, finetune, mine_pairs)
    return {module.__name__.rpartition(".")[2]: module for module in found}


def test_the_doctor_of_a_recipe_without_a_model_has_nothing_to_say_against_it(tmp_path: Path) -> None:
    write_night(tmp_path, DAY, "a")
    values = nightly_recipe(tmp_path, Path("/no/model"))
    path = save_recipe(tmp_path / "r.yaml", {key: values[key] for key in ("name", "corpus", "network")})
    words = ["doctor", "--config", str(path), "--root", str(tmp_path / "root"), "--date", DAY]
    found = {finding.what: finding for finding in examine(build_parser().parse_args(words))[0]}
    assert found["model"].line() == "ok    model                  none: the recipe has no section encoder"
    assert (found["estimate"].outcome, found["estimate"].value) == ("ok", "nothing to embed")


def test_recipes_of_networks_name_no_model() -> None:
    for path in (REPOSITORY / "recipes" / "networks").glob("*.yaml"):
        assert "encoder" not in yaml.safe_load(path.read_text()), path.name
