"""Draws how far Larder is ahead, one picture for each subject, for light and for dark pages.

Runs in the benchmark's own environment, which has matplotlib. The same figures give the same bytes.
"""

from __future__ import annotations

import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

matplotlib.use("svg")
matplotlib.rcParams.update(
    {
        # Names within the picture come from this and not from chance.
        "svg.hashsalt": "larder",
        # Text stays text: it can be read aloud, searched and scaled.
        "svg.fonttype": "none",
        "font.family": ["sans-serif"],
        "font.size": 10,
    }
)


@dataclass(frozen=True)
class Palette:
    """The colours on one sort of page; the two of the bars differ for the colour-blind as well."""

    page: str
    ink: str
    grid: str
    reached: str
    missed: str


PALETTES = {
    "": Palette("#ffffff", "#1f2328", "#d0d7de", "#0969a8", "#d1741a"),
    "-dark": Palette("#0d1117", "#e6edf3", "#3d444d", "#4ea5e0", "#f0a04b"),
}


def draw(title: str, bars: list[dict[str, Any]], palette: Palette) -> Figure:
    """One picture: a bar for each ratio, with its mark as a line across."""
    figure = Figure(figsize=(9.6, 1.25 + 0.36 * len(bars)), facecolor=palette.page)
    axes = figure.add_axes((0.46, 0.0, 0.46, 1.0))
    heads = 0.62 / figure.get_figheight()
    axes.set_position((0.46, heads, 0.46, 1 - 1.8 * heads))
    axes.set_facecolor(palette.page)
    places = range(len(bars) - 1, -1, -1)
    lowest = min(1.0, *(min(bar["ratio"], bar["mark"]) for bar in bars)) / 1.3
    highest = max(max(bar["ratio"], bar["mark"]) for bar in bars)
    colours = [palette.reached if bar["reached"] else palette.missed for bar in bars]
    lengths = [bar["ratio"] - lowest for bar in bars]
    axes.barh(list(places), lengths, left=lowest, height=0.58, color=colours)
    axes.set_xscale("log")
    # Room for the figures behind the bars.
    axes.set_xlim(lowest, highest * max(1.4, (highest / lowest) ** 0.14))
    axes.set_ylim(-0.7, len(bars) - 0.3)
    for place, bar in zip(places, bars, strict=True):
        axes.plot([bar["mark"]] * 2, [place - 0.42, place + 0.42], color=palette.ink, linewidth=2)
        end = max(bar["ratio"], bar["mark"])
        axes.annotate(
            _times(bar["ratio"]),
            (end, place),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            color=palette.ink,
            fontsize=9,
        )
    axes.axvline(1.0, color=palette.grid, linewidth=1.2, zorder=0)
    axes.set_yticks(list(places), [bar["label"] for bar in bars], color=palette.ink, fontsize=9)
    _ticks(axes, lowest, highest, palette)
    for side in axes.spines.values():
        side.set_visible(False)
    figure.text(0.012, 1 - 0.42 * heads, title, color=palette.ink, fontsize=12, va="center")
    legend = "times Larder's time or room; the line is the mark, orange misses it"
    axes.set_xlabel(legend, color=palette.ink, fontsize=9)
    return figure


def _ticks(axes: Any, lowest: float, highest: float, palette: Palette) -> None:
    """Powers of ten, and what lies between where there is but one of them."""
    exponents = range(math.floor(math.log10(lowest)), math.ceil(math.log10(highest)) + 1)
    steps = (1,) if len(exponents) > 4 else (1, 2, 5)
    places = [step * 10.0**exponent for exponent in exponents for step in steps]
    places = [place for place in places if lowest <= place <= highest * 1.05]
    axes.set_xticks(places, [_times(place) for place in places], color=palette.ink, fontsize=9)
    axes.minorticks_off()
    axes.tick_params(length=0)
    axes.grid(axis="x", color=palette.grid, linewidth=0.6)
    axes.set_axisbelow(True)


def _times(ratio: float) -> str:
    """As the tables write it."""
    return f"{ratio:,.0f}x".replace(",", " ") if ratio >= 100 else f"{ratio:.3g}x"


def main() -> None:
    """Draws what is described on standard input into the folder that is named."""
    folder = Path(sys.argv[1])
    for name, picture in json.load(sys.stdin).items():
        for suffix, palette in PALETTES.items():
            figure = draw(picture["title"], picture["bars"], palette)
            path = folder / f"{name}{suffix}.svg"
            figure.savefig(path, metadata={"Date": None, "Title": picture["title"]})
            # Its lines end in spaces, which a diff should not have to show.
            path.write_text("\n".join(map(str.rstrip, path.read_text().splitlines())) + "\n")


if __name__ == "__main__":
    main()
