"""How GraphML 1.0 (Brandes et al. 2002) and GEXF 1.3 spell a graph, and texts and values as XML 1.0.

Ids are strangers' text. A character that XML forbids becomes U+FFFD and its code in hexadecimal, as does U+FFFD itself,
so that no two ids become one; all else stays, bidirectional and invisible characters as well: an id is a key. A label
is for eyes: one line, with such characters as `\\u202e`. Values that are null, NaN or infinite are left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from theta_ray.terminal import escaped

Attributes = list[tuple[str, pa.DataType]]
REPLACED = "\ufffd"
FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffd-\uffff]")
FORBIDDEN_RE2 = "[\\x{0}-\\x{8}\\x{b}\\x{c}\\x{e}-\\x{1f}\\x{fffd}-\\x{ffff}]"  # Arrow holds no lone surrogates
# A reader takes plain tabs and line ends in an attribute for blanks. Without `>` there is no `]]>`.
REFERENCES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
TO_REFERENCES = {ord(character): reference for character, reference in REFERENCES.items()}


class Format(NamedTuple):
    """How a format spells its parts: texts around values."""

    head: Callable[[str, str, bool, dict[str, Attributes]], str]
    """All before the nodes: of a graph's name, a sentence on the file, whether edges have a direction, and the
    attributes of each `node` and `edge`."""
    middle: str
    """Between nodes and edges."""
    tail: str
    node: tuple[str, str, str, str]
    """Around id, label and attributes."""
    edge: tuple[str, str, str, str, str]
    """Around source, target, weight and attributes."""
    value: tuple[str, str, str]
    """Around name and value of an attribute."""


def xml(text: str) -> str:
    """`text` as the content of an element or attribute."""
    legal = FORBIDDEN.sub(lambda found: f"{REPLACED}{ord(found[0]):04X}", text)
    return legal.translate(TO_REFERENCES)


def to_xml(texts: pa.Array) -> pa.Array:
    """`xml` of each text."""
    is_hostile = pc.match_substring_regex(texts, FORBIDDEN_RE2)
    legal = _mend(texts, is_hostile, lambda text: FORBIDDEN.sub(lambda found: f"{REPLACED}{ord(found[0]):04X}", text))
    for character, reference in REFERENCES.items():
        legal = pc.replace_substring(legal, character, reference)
    return legal


def to_label(ids: pa.Array) -> pa.Array:
    """Ids in one line each, with what is not printable as its code."""
    return _mend(ids, pc.invert(pc.utf8_is_printable(ids)), escaped)


def _mend(texts: pa.Array, is_odd: pa.BooleanArray, mend: Callable[[str], str]) -> pa.Array:
    """Few texts are odd, so only these become Python's."""
    odd = texts.filter(is_odd)
    if not len(odd):
        return texts
    return pc.replace_with_mask(texts, is_odd, pa.array([mend(text) for text in odd.to_pylist()], texts.type))


def to_text(values: pa.Array) -> pa.Array:
    """Numbers, truth values, times (ISO 8601, UTC) and texts as XML; null where a number is not finite."""
    kind = values.type
    if pa.types.is_floating(kind):
        values = pc.if_else(pc.is_finite(values), values, pa.scalar(None, kind))
    elif pa.types.is_timestamp(kind):
        times = pc.cast(pc.cast(values, pa.timestamp("us", tz="UTC")), pa.string())
        return pc.replace_substring(times, " ", "T")
    texts = pc.cast(values, pa.string())
    return to_xml(texts) if kind_of(kind, "") == "string" else texts


def kind_of(kind: pa.DataType, name: str) -> str:
    """The word for a type in both formats, but for `int`.

    Raises:
        ValueError: neither a number, truth value, text nor time.
    """
    if pa.types.is_integer(kind):
        return "long" if kind.bit_width == 64 else "int"
    words = ((pa.types.is_floating, "double"), (pa.types.is_boolean, "boolean"))
    found = next((word for is_kind, word in words if is_kind(kind)), None)
    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_dictionary, pa.types.is_timestamp)
    if found is None and not any(is_kind(kind) for is_kind in texts):
        raise ValueError(f"column {name} is {kind}: an attribute is a number, a truth value, a text or a time")
    return found or "string"


def _graphml_head(name: str, said: str, directed: bool, declared: dict[str, Attributes]) -> str:
    keys = '<key id="node_label" for="node" attr.name="label" attr.type="string"/>\n' + "".join(
        f'<key id="{on}_{name}" for="{on}" attr.name="{name}" attr.type="{kind_of(kind, name)}"/>\n'
        for on, attributes in declared.items()
        for name, kind in attributes
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<graphml xmlns="http://graphml.graphdrawing.org/xmlns" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        'xsi:schemaLocation="http://graphml.graphdrawing.org/xmlns '
        'http://graphml.graphdrawing.org/xmlns/1.0/graphml.xsd">\n'
        f"<desc>{xml(said)}</desc>\n{keys}"
        f'<graph id="{xml(name)}" edgedefault="{"" if directed else "un"}directed">\n'
    )


def _gexf_head(name: str, said: str, directed: bool, declared: dict[str, Attributes]) -> str:
    words = {"int": "integer"}
    attributes = "".join(
        f'<attributes class="{on}" mode="static">\n'
        + "".join(
            f'<attribute id="{on}_{name}" title="{name}" type="{words.get(word, word)}"/>\n'
            for name, word in ((name, kind_of(kind, name)) for name, kind in found)
            if (on, name) != ("edge", "weight")  # an edge has its own
        )
        + "</attributes>\n"
        for on, found in declared.items()
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<gexf xmlns="http://gexf.net/1.3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        'xsi:schemaLocation="http://gexf.net/1.3 http://gexf.net/1.3/gexf.xsd" version="1.3">\n'
        f"<meta><creator>theta_ray</creator><title>{xml(name)}</title><description>{xml(said)}</description></meta>\n"
        f'<graph mode="static" defaultedgetype="{"" if directed else "un"}directed">\n{attributes}<nodes>\n'
    )


FORMATS = {
    "graphml": Format(
        head=_graphml_head,
        middle="",
        tail="</graph>\n</graphml>\n",
        node=('<node id="', '"><data key="node_label">', "</data>", "</node>"),
        edge=('<edge source="', '" target="', '"><data key="edge_weight">', "</data>", "</edge>"),
        value=('<data key="', '">', "</data>"),
    ),
    "gexf": Format(
        head=_gexf_head,
        middle="</nodes>\n<edges>\n",
        tail="</edges>\n</graph>\n</gexf>\n",
        node=('<node id="', '" label="', '"><attvalues>', "</attvalues></node>"),
        edge=('<edge source="', '" target="', '" weight="', '"><attvalues>', "</attvalues></edge>"),
        value=('<attvalue for="', '" value="', '"/>'),
    ),
}
