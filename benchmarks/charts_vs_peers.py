"""The same charts by several libraries: bytes, milliseconds, what a strict policy would forbid, the same bytes twice.

    pip install --target peers/mpl matplotlib    # and so on: altair (with vl-convert-python), plotly, bokeh
    python benchmarks/charts_vs_peers.py --peers peers

Each library draws a degree distribution with a fit, six bars, a heat map of 20 x 8 cells with their values, and 50,000
dots of 20 topics, in a process of its own; the time is of the second drawing. `styles` counts style attributes and
`scripts` script elements, which a page without both cannot hold; `named` says whether the picture has a title that a
screen reader finds.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

RNG = np.random.default_rng(0)
DEGREES = np.unique(np.round(np.logspace(0, 3.3, 150)))
SHARES = DEGREES**-1.3
BARS = {"bad_record": 8, "bad_time": 6, "damaged_id": 3, "duplicate_id": 5, "missing_text": 10, "too_short": 12}
HEAT = RNG.normal(size=(20, 8)).round(1)
DOTS, TOPICS = RNG.uniform(size=(50_000, 2)).round(3), RNG.integers(0, 20, 50_000)


def ours():
    from theta_ray.report.charts import Axis, Curve, bar_chart, line_chart
    from theta_ray.report.charts_chance import Cell, heat_map
    from theta_ray.report.charts_svg import Words
    from theta_ray.report.map_picture import MapPoints, MapTopic, topic_map

    words, axes = Words("Degrees", "shares"), (Axis("degree", "log"), Axis("share", "log"))
    curves = {"observed": Curve(DEGREES, SHARES), "fit": Curve((10, 2000), (0.05, 5e-5))}
    yield "degrees", lambda: line_chart(words, axes, curves)
    yield "bars", lambda: bar_chart(words, "rows", BARS)
    rows = {f"topic {i}": [Cell(float(v)) for v in row] for i, row in enumerate(HEAT)}
    yield "heat map", lambda: heat_map(words, ("topic", "community"), list("01234567"), rows)
    topics = [MapTopic(i, f"topic {i}", 9) for i in range(20)]
    yield "map", lambda: topic_map(MapPoints(DOTS, TOPICS), topics).svg


def vega():
    import altair as alt

    def frame(**columns):
        names = list(columns)
        return alt.Data(values=[dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)])

    def svg(chart):
        out = io.StringIO()
        chart.save(out, format="svg")
        return out.getvalue()

    log, alt_x = alt.Scale(type="log"), alt.X("x:Q")
    yield "degrees", lambda: svg(
        alt.Chart(frame(x=DEGREES.tolist(), y=SHARES.tolist()), title="Degrees").mark_line().encode(
            x=alt.X("x:Q", scale=log), y=alt.Y("y:Q", scale=log)))  # fmt: skip
    bars = frame(n=list(BARS), v=list(BARS.values()))
    yield "bars", lambda: svg(alt.Chart(bars, title="Bars").mark_bar().encode(y="n:N", x="v:Q"))
    cells = frame(r=np.repeat(np.arange(20), 8).tolist(), c=np.tile(np.arange(8), 20).tolist(), v=HEAT.ravel().tolist())
    base = alt.Chart(cells, title="Heat").encode(x="c:O", y="r:O")
    yield "heat map", lambda: svg(base.mark_rect().encode(color="v:Q") + base.mark_text().encode(text="v:Q"))
    alt.data_transformers.disable_max_rows()
    dots = frame(x=DOTS[:, 0].tolist(), y=DOTS[:, 1].tolist(), c=TOPICS.tolist())
    yield "map", lambda: svg(alt.Chart(dots, title="Map").mark_circle(size=4).encode(x=alt_x, y="y:Q", color="c:N"))


def matplotlib():
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "0"}
    import matplotlib.pyplot as plt

    def svg(draw):
        figure, axes = plt.subplots(figsize=(5, 4))
        draw(axes)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Title": "a title"})
        plt.close(figure)
        return out.getvalue()

    def heat(axes):
        axes.pcolormesh(HEAT)
        for (row, column), value in np.ndenumerate(HEAT):
            axes.text(column, row, str(value))

    yield "degrees", lambda: svg(lambda axes: axes.loglog(DEGREES, SHARES))
    yield "bars", lambda: svg(lambda axes: axes.barh(list(BARS), list(BARS.values())))
    yield "heat map", lambda: svg(heat)
    yield "map", lambda: svg(lambda axes: axes.scatter(*DOTS.T, c=TOPICS, s=1))


def plotly():
    import plotly.graph_objects as go
    from plotly.io import to_html

    def html(*traces):
        return to_html(go.Figure(list(traces), {"title": "a title"}), include_plotlyjs=True, div_id="a")

    yield "degrees", lambda: html(go.Scatter(x=DEGREES, y=SHARES))
    yield "bars", lambda: html(go.Bar(y=list(BARS), x=list(BARS.values()), orientation="h"))
    yield "heat map", lambda: html(go.Heatmap(z=HEAT, texttemplate="%{z}"))
    yield "map", lambda: html(go.Scattergl(x=DOTS[:, 0], y=DOTS[:, 1], mode="markers", marker={"color": TOPICS}))


def bokeh():
    from bokeh.embed import file_html
    from bokeh.plotting import figure
    from bokeh.resources import INLINE

    def html(draw):
        shown = figure(title="a title")
        draw(shown)
        return file_html(shown, INLINE)

    yield "degrees", lambda: html(lambda shown: shown.line(DEGREES, SHARES))
    yield "bars", lambda: html(lambda shown: shown.hbar(y=list(range(6)), right=list(BARS.values())))
    yield "heat map", lambda: html(lambda shown: shown.image([HEAT], x=0, y=0, dw=8, dh=20))
    yield "map", lambda: html(lambda shown: shown.scatter(*DOTS.T))


PEERS = {
    "theta_ray": ours,
    "Vega-Altair": vega,
    "matplotlib": matplotlib,
    "Plotly": plotly,
    "Bokeh": bokeh,
}
FOLDERS = {"Vega-Altair": "altair", "matplotlib": "mpl", "Plotly": "plotly", "Bokeh": "bokeh"}


def one(name):
    for chart, draw in PEERS[name]():
        first = draw()
        began = time.perf_counter()
        text = draw()
        took = 1e3 * (time.perf_counter() - began)
        named = "<title" in text.split("<body")[-1] or "aria-label" in text.split("<g")[0]
        row = [
            name,
            chart,
            len(text.encode()),
            took,
            text.count(' style="'),
            text.count("<script"),
            named,
            text == first,
        ]
        print("FOUND" + json.dumps(row), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, required=True)
    parser.add_argument("--one")
    options = parser.parse_args()
    if options.one:
        one(options.one)
        return
    print(
        "| | chart | bytes | ms | styles | scripts | named | same |\n| --- | --- | --- | --- | --- | --- | --- | --- |"
    )
    for name in PEERS:
        paths = [*([str(options.peers / FOLDERS[name])] if name in FOLDERS else []), "."]
        done = subprocess.run([sys.executable, *sys.argv, "--one", name], capture_output=True, text=True,
                              env=os.environ | {"PYTHONPATH": ":".join(paths)})  # fmt: skip
        for line in done.stdout.splitlines():
            if line.startswith("FOUND"):
                library, chart, size, took, styles, scripts, named, same = json.loads(line[5:])
                told = ["yes" if known else "no" for known in (named, same)]
                print(f"| {library} | {chart} | {size:,} | {took:.0f} | {styles} | {scripts} | {' | '.join(told)} |")
        if done.returncode:
            print(f"| {name} | failed: {done.stderr.strip().splitlines()[-1][:90]} |")


if __name__ == "__main__":
    main()
