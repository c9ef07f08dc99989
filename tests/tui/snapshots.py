"""Every screen in every theme at five sizes, for the eye: `python tests/tui/snapshots.py [SCENE]`.

Runs are made up and folded in no time, so that the same command draws the same pictures: an SVG of
each, and where `chromium` is found a sheet (PNG) of each scene and theme with all sizes. They are
written to `--out`, a new folder under the temporary one by default; nothing is kept in the
repository. `--themes dark,plain` and `--sizes 80x24,160x50` draw less.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parent), str(HERE)]

import anyio  # noqa: E402
import rich.console  # noqa: E402
from bench.incident_streams import healthy, scenarios  # noqa: E402
from bench.incident_streams.nature import Nature  # noqa: E402
from bench.incident_streams.trouble import Effect, Outline, Trouble, Turn  # noqa: E402
from fakes import FakeStatus  # noqa: E402
from rich.terminal_theme import TerminalTheme  # noqa: E402
from streamed import streamed  # noqa: E402

from tui.draw import theme_names  # noqa: E402
from tui.screens.first_run import FirstRunApp  # noqa: E402

SIZES: Final = ((60, 20), (80, 24), (120, 40), (160, 50), (200, 60))
THEMES: Final = {
    "dark": theme_names.DARK,
    "light": theme_names.LIGHT,
    "ansi": theme_names.ANSI,
    "ansi-light": theme_names.ANSI_LIGHT,
    "plain": theme_names.PLAIN,
}
"""`plain` is what NO_COLOR gets."""
TERMINALS: Final = {
    # A theme that keeps the terminal's own ground is seen on the ground that it is made for; the
    # colours are those of xterm.
    "ansi-light": TerminalTheme(
        (255, 255, 255),
        (0, 0, 0),
        [
            (0, 0, 0),
            (205, 0, 0),
            (0, 205, 0),
            (205, 205, 0),
            (0, 0, 238),
            (205, 0, 205),
            (0, 205, 205),
            (229, 229, 229),
        ],
        [
            (127, 127, 127),
            (255, 0, 0),
            (0, 255, 0),
            (255, 255, 0),
            (92, 92, 255),
            (255, 0, 255),
            (0, 255, 255),
            (255, 255, 255),
        ],
    ),
}
SCALE: Final = 0.62
"""Of the sheets: at this scale a terminal of 200 columns is still read on a screen."""


def bad_day() -> Outline:
    """Return a run in which four of six routes are ill by its seventh minute."""

    def route(name: str, host: str, **more: Any) -> Nature:
        return Nature(name=name, host=f"{host}.example", workers=2, interval=2.0, **more)

    over = 520.0
    overloaded = scenarios.failing(1.0, scenarios.BUSY)
    return Outline(
        natures=(
            route("kimi-k2", "api.moon"),
            route("qwen3-235b", "api.deep", wait_s=0.5),
            route("mistral-small", "api.deep", token_s=0.03),
            replace(route("deepseek-v3", "api.seek"), workers=6, interval=2.0),
            route("gpt-oss-120b", "api.open", wait_s=0.15),
            route("llama-70b-eu", "eu.host", wait_s=0.24),
        ),
        troubles=(
            Trouble(
                causes=("provider_queueing",),
                routes=("qwen3-235b",),
                onset_s=240.0,
                end_s=over,
                effect=Effect(wait=4.5),
            ),
            Trouble(
                causes=("stream_stalls",),
                routes=("mistral-small",),
                onset_s=200.0,
                end_s=over,
                effect=Effect(stall=0.4),
            ),
            Trouble(
                causes=("retry_masking",),
                routes=("gpt-oss-120b",),
                onset_s=180.0,
                end_s=over,
                effect=scenarios.failing(0.2, scenarios.INTERNAL, recovers=True),
            ),
            Trouble(
                causes=("rate_limited_concurrency",),
                routes=("deepseek-v3",),
                onset_s=332.0,
                end_s=over,
                effect=scenarios.failing(0.35, scenarios.limited("concurrency")),
            ),
            Trouble(
                causes=("outage",),
                routes=("kimi-k2",),
                onset_s=350.0,
                end_s=over,
                effect=overloaded,
            ),
        ),
        turns=(Turn(at_s=330.0, what="knob", route="deepseek-v3", value=8.0),),
        length_s=700.0,
    )


WELL: Final = FakeStatus()


@dataclass(frozen=True, slots=True)
class Scene:
    """One screen at one moment of a run, and the keys that lead there."""

    outline: Outline
    at_s: float
    keys: tuple[str, ...] = ()
    status: FakeStatus = WELL


BAD_DAY: Final = bad_day()
NAMES: Final = {
    "kimi-k2": "月之暗面-kimi-k2-instruct-0905-東京リージョン",
    "qwen3-235b": "通义千问-qwen3-235b",
    "mistral-small": "mistral-small-3.2-24b-instruct-2506-eu-west-3",
    "llama-70b-eu": "라마-70b-eu",
}


def renamed(outline: Outline, names: dict[str, str]) -> Outline:
    """Return a run whose routes have other names."""
    return replace(
        outline,
        natures=tuple(replace(n, name=names.get(n.name, n.name)) for n in outline.natures),
        troubles=tuple(
            replace(t, routes=tuple(names.get(name, name) for name in t.routes))
            for t in outline.troubles
        ),
    )


def crowded(outline: Outline, number: int) -> Outline:
    """Return a run with so many routes, of which those that are more are well."""
    more = number - len(outline.natures)
    calm = outline.natures[-1]
    others = (replace(calm, name=f"well-{place:02d}", workers=1) for place in range(more))
    return replace(outline, natures=(*outline.natures, *others))


GAVE_UP: Final = FakeStatus(
    state="gave_up",
    silent_s=42.0,
    restarts=3,
    detail="killed by signal 9",
    last_words="MemoryError",
)
SCENES: Final[dict[str, Scene]] = {
    "home-healthy": Scene(healthy.run_of("sigma0.3", 1, 600.0), 420.0),
    "home-incident": Scene(BAD_DAY, 420.0),
    "home-throttling": Scene(BAD_DAY, 400.0, ("g", "j", "j", "j", "4")),
    "home-recovered": Scene(BAD_DAY, 640.0),
    "home-masked": Scene(BAD_DAY, 420.0, ("M",)),
    "route-outage": Scene(BAD_DAY, 420.0, ("g", "enter")),
    "route-queueing": Scene(BAD_DAY, 420.0, ("g", "j", "enter")),
    "route-t0": Scene(BAD_DAY, 420.0, ("g", "j", "enter", "T", "0")),
    "route-throttled": Scene(BAD_DAY, 420.0, ("n", "n", "n", "enter")),
    "route-gaps": Scene(BAD_DAY, 420.0, ("g", "j", "j", "enter", "tab")),
    "probe": Scene(BAD_DAY, 420.0, ("g", "j", "enter", "enter")),
    "probe-failed": Scene(BAD_DAY, 420.0, ("g", "enter", "enter")),
    "help": Scene(BAD_DAY, 420.0, ("question_mark",)),
    "sort-menu": Scene(BAD_DAY, 420.0, ("S",)),
    "command": Scene(BAD_DAY, 420.0, ("colon",)),
    "manual": Scene(BAD_DAY, 420.0, ("colon", *"manual", "enter")),
    "manual-page": Scene(BAD_DAY, 420.0, ("colon", *"manual states", "enter")),
    "log": Scene(BAD_DAY, 420.0, ("6", "6")),
    "home-41": Scene(crowded(BAD_DAY, 41), 420.0, ("g", *("j",) * 20)),
    "home-wide-names": Scene(renamed(BAD_DAY, NAMES), 420.0),
    "engine-ended": Scene(BAD_DAY, 420.0, status=GAVE_UP),
}
Size = tuple[int, int]


async def draw_scene(
    name: str, scene: Scene, out: Path, sizes: Sequence[Size], themes: Sequence[str]
) -> None:
    """Write the SVGs of one scene."""
    async with streamed(scene.outline, size=(160, 50)) as screen:
        screen.session.status = scene.status
        screen.cockpit.strips.status = scene.status
        at_s = 1.0
        while at_s < scene.at_s:  # a row that moves, moves as it would
            at_s = min(at_s + 5.0, scene.at_s)
            await screen.until(at_s)
        for key in scene.keys:
            await screen.press(key)
        for size in sizes:
            await screen.resize(*size)
            for theme in themes:
                _dress(screen.app, theme)
                await screen.pilot.pause(0.05)
                await screen.pilot.pause()
                _save(screen.app, out, name, theme, size)


async def draw_first_run(out: Path, sizes: Sequence[Size], themes: Sequence[str]) -> None:
    """Write what a user without any configuration sees."""
    app = FirstRunApp(Path("/home/you/.config/llmtop/routes.toml"), ["GROQ_API_KEY"])
    async with app.run_test(size=(100, 30)) as pilot:
        for size in sizes:
            await pilot.resize_terminal(*size)
            for theme in themes:
                _dress(app, theme)
                await pilot.pause(0.05)
                await pilot.pause()
                _save(app, out, "first-run", theme, size)


def _dress(app: Any, theme: str) -> None:
    app._take_colours("none" if theme == "plain" else "truecolor")
    app.theme = THEMES[theme]
    app.refresh_css(animate=False)


def _save(app: Any, out: Path, name: str, theme: str, size: Size) -> None:
    path = out / f"{name}.{theme}.{size[0]}x{size[1]}.svg"
    ground = TERMINALS.get(theme, rich.console.SVG_EXPORT_THEME)
    with patch("rich.console.SVG_EXPORT_THEME", ground):
        path.write_text(app.export_screenshot(title=f"{name} · {theme}"), encoding="utf-8")


def sheet(out: Path, name: str, theme: str) -> Path | None:
    """Put all sizes of a scene in a theme on one picture; None where nothing can draw it."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    pictures = sorted(out.glob(f"{name}.{theme}.*.svg"), key=_width_of)
    if browser is None or not pictures:
        return None
    widths = [round((12.2 * _width_of(one) + 40) * SCALE) for one in pictures]
    images = "".join(
        f'<img src="{one.name}" style="width:{width}px;display:block">'
        for one, width in zip(pictures, widths, strict=True)
    )
    page = out / f"{name}.{theme}.html"
    page.write_text(f"<body style='margin:0;background:#777'>{images}</body>", encoding="utf-8")
    height = sum(24.4 * int(one.stem.rpartition("x")[2]) + 110 for one in pictures)
    target = out / f"{name}.{theme}.png"
    subprocess.run(
        [
            browser,
            *("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            f"--screenshot={target}",
            f"--window-size={max(widths)},{int(height * SCALE)}",
            page.as_uri(),
        ],
        check=True,
        capture_output=True,
    )
    page.unlink()
    return target


def _width_of(path: Path) -> int:
    return int(path.stem.rpartition(".")[2].partition("x")[0])


def main() -> None:
    """Draw all that was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("scenes", nargs="*", choices=[[], *SCENES, "first-run"])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--themes", default=",".join(THEMES))
    parser.add_argument("--sizes", default=",".join(f"{w}x{h}" for w, h in SIZES))
    asked = parser.parse_args()
    out = asked.out or Path(tempfile.mkdtemp(prefix="llmtop-snapshots-"))
    out.mkdir(parents=True, exist_ok=True)
    themes = asked.themes.split(",")
    sizes = [
        (int(w), int(h)) for w, _, h in (size.partition("x") for size in asked.sizes.split(","))
    ]
    for name in asked.scenes or [*SCENES, "first-run"]:
        if name == "first-run":
            anyio.run(draw_first_run, out, sizes, themes)
        else:
            anyio.run(draw_scene, name, SCENES[name], out, sizes, themes)
        for theme in themes:
            made = sheet(out, name, theme)
            sys.stdout.write(f"{made or out / f'{name}.{theme}.*.svg'}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
