"""What a refresh did, and what it cost: the cards of its stages become one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from theta_ray.config import Config
from theta_ray.errors import InputError
from theta_ray.nightly.refresh_stages import all_turned_away
from theta_ray.objects import create, join
from theta_ray.publication import FOLDER, Publication, Publications
from theta_ray.report.tables import Committed, published_tables
from theta_ray.runcard import Phases, RunCard, versions
from theta_ray.store import canonical_json

# Figures of a refresh, and of the runs of `embed` that they are sums of.
OF_THIS_RUN = {
    "shards_embedded": "shards_made_by_this_run",
    "texts_embedded": "texts_embedded_by_this_run",
    "texts_taken_over": "texts_taken_over_by_this_run",
    "tokens_embedded": "tokens_embedded_by_this_run",
}


@dataclass
class Night:
    """One day of a refresh."""

    day: str
    reasons: dict[str, str] = field(default_factory=dict)
    """Stage -> why it was run, or `current`."""
    cards: list[RunCard] = field(default_factory=list)
    publication: Publication | None = None
    """None where nothing is published of the day."""
    is_new: bool = False
    withdrawn: int | None = None
    """The withdrawn version that holds the same."""
    is_quiet: bool = False
    """Nothing came in, or nothing that could be kept."""
    turned_away: str | None = None
    """What turned all of its rows away."""

    def look_at(self, corpus: Mapping[str, Any] | None) -> None:
        """What its corpus, by its manifest, says of it."""
        if corpus is not None:
            self.is_quiet, self.turned_away = not corpus["num_rows"], all_turned_away(corpus)

    def line(self) -> str:
        """What was done, in one line."""
        if self.turned_away is not None:
            done = f"not published: {self.turned_away}"
        elif self.withdrawn is not None:
            done = withdrawn_line(self.withdrawn)
        else:
            version = self.publication["version"] if self.publication else None
            done = f"{'published as' if self.is_new else 'is'} version {version}{' of no documents' * self.is_quiet}"
        ran = [stage for stage, reason in self.reasons.items() if reason != "current"]
        return f"{done}, {', '.join(ran)} ran" if ran else f"{done}, all current"


def withdrawn_line(version: int) -> str:
    """What is said of a night that a rollback took back."""
    anyway = f"--set refresh.publish_version={version} publishes it anyway"
    return f"not published, since version {version} held the same and was withdrawn; {anyway}"


def card_of(config: Config, nights: list[Night], before: Publication | None, phases: Phases) -> RunCard:
    """The card of a refresh.

    Args:
        config: recipe, resources and root.
        nights: its days, the asked one last.
        before: the publication that counted when it began.
        phases: its seconds.
    """
    cards, asked = [card for night in nights for card in night.cards], nights[-1]
    is_idle = not cards and not any(night.is_new for night in nights)
    figures: dict[str, Any] = {f"day_{night.day}": night.line() for night in nights}
    figures |= {stage: reason for stage, reason in asked.reasons.items() if not is_idle}
    if cards:
        figures |= _work(config, cards)
    publications = Publications(config.root, config.recipe.name)
    current = publications.read()
    if current is not None:
        figures["current_publication"] = f"version {current['version']}, {current['date']}"
        figures["missing_days"] = ", ".join(current.get("missing", ())) or "none"
    if current is not None and before is not None and current["version"] != before["version"]:
        figures |= _changes(config.root, before, current)
    return RunCard(
        "refresh",
        "nothing to do" if is_idle else "committed",
        join(config.root, FOLDER, config.recipe.name),
        "" if asked.publication is None else asked.publication["recipe"],
        asked.day,
        figures,
        _quarantined(cards),
        seconds=phases.seconds,
        recipe=config.sections("refresh"),
        resources=config.resources.model_dump(mode="json"),
        versions=versions(),
        upstream=cards,
    )


def save(config: Config, card: RunCard, nights: Iterable[Night]) -> None:
    """Keep the card beside the publications that this refresh has created."""
    values = asdict(card)
    values.pop("upstream")
    for night in nights:
        if night.is_new and night.publication is not None:
            name = f"{night.publication['version']:08d}.json"
            create(join(config.root, FOLDER, config.recipe.name, "run_cards", name), canonical_json(values))


def _quarantined(cards: Iterable[RunCard]) -> dict[str, int]:
    found: dict[str, int] = {}
    for card in cards:
        for reason, count in card.quarantined.items():
            found[reason] = found.get(reason, 0) + count
    return found


def _work(config: Config, cards: list[RunCard]) -> dict[str, Any]:
    """Texts, tokens and hours that the runs of `embed` took."""
    embedded = [card.figures for card in cards if card.stage == "embed"]
    hours = sum(device_hours(config, card) for card in cards if card.stage == "embed")
    figures: dict[str, Any] = {}
    if embedded:
        figures = {name: sum(each.get(of_run, 0) for each in embedded) for name, of_run in OF_THIS_RUN.items()}
    if config.resources.gpus_per_actor:
        figures["gpu_hours"] = round(hours, 4)
    if config.resources.price_per_device_hour is not None:
        figures["cost"] = round(hours * config.resources.price_per_device_hour, 4)
    return figures


def device_hours(config: Config, card: RunCard) -> float:
    """Hours of GPUs, or of actors where there are none, that one run of `embed` held."""
    num_devices = card.figures["actors_that_worked"] * (config.resources.gpus_per_actor or 1)
    return float(num_devices * card.seconds.get("embed", 0.0) / 3600)


def _changes(root: str, before: Publication, now: Publication) -> dict[str, Any]:
    """Sizes of tables now and in the publication before, and what became of topics; from their manifests."""
    try:
        tables, earlier = published_tables(root, now), published_tables(root, before)
    except InputError:
        return {}  # cleaned up meanwhile
    figures: dict[str, Any] = {"compared_with": f"version {before['version']}, {before['date']}"}
    for name, table in (("documents", "corpus"), ("communities", "communities"), ("edges", "edges")):
        if table in tables:
            figures[name] = _beside(tables, earlier, table)
    if "topics" in tables:
        counts = tables["topics"].manifest["counts"]
        events = {**counts["events"], **{event: count for event, count in counts["ended"].items()}}
        figures["topics"] = ", ".join(f"{event} {count}" for event, count in sorted(events.items()))
    return figures


def _beside(tables: Mapping[str, Committed], earlier: Mapping[str, Committed], table: str) -> str:
    now = f"{tables[table].manifest['num_rows']:,}"
    return f"{now}, {earlier[table].manifest['num_rows']:,} before" if table in earlier else now
