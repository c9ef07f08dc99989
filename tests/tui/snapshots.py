"""Every screen in every theme at four sizes, for the eye: `python tests/tui/snapshots.py [SCENE]`.

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

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parent), str(HERE)]

import anyio  # noqa: E402
from bench.incident_streams import healthy, scenarios  # noqa: E402
from bench.incident_streams.nature import Nature  # noqa: E402
from bench.incident_streams.trouble import Effect, Outline, Trouble, Turn  # noqa: E402
from streamed import streamed  # noqa: E402

from tui.draw import theme_names  # noqa: E402
from tui.screens.first_run import FirstRunApp  # noqa: E402

SIZES: Final = ((80, 24), (120, 40), (160, 50), (200, 60))
THEMES: Final = {
    "dark": theme_names.DARK,
    "light": theme_names.LIGHT,
    "ansi": theme_names.ANSI,
    "ansi-light": theme_names.ANSI_LIGHT,
    "plain": theme_names.PLAIN,
}
"""`plain` is what NO_COLOR gets."""
ON_LIGHT: Final = {"#292929": "#fdfdfd", "#c5c8c6": "#2e2e2e", "#9a9b99": "#767676"}
"""Ground, text and dim text of a light terminal, for those that an export takes."""
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


@dataclass(frozen=True, slots=True)
class Scene:
    """One screen at one moment of a run, and the keys that lead there."""

    outline: Outline
    at_s: float
    keys: tuple[str, ...] = ()


BAD_DAY: Final = bad_day()
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
}
Size = tuple[int, int]


async def draw_scene(
    name: str, scene: Scene, out: Path, sizes: Sequence[Size], themes: Sequence[str]
) -> None:
    """Write the SVGs of one scene."""
    async with streamed(scene.outline, size=(160, 50)) as screen:
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
    picture = app.export_screenshot(title=f"{name} · {theme}")
    if theme == "ansi-light":
        # The terminal's own colours are this theme's ground, and an export takes it for dark.
        for dark, light in ON_LIGHT.items():
            picture = picture.replace(dark, light)
    path.write_text(picture, encoding="utf-8")


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
    height = sum(24.4 * int(one.stem.rpartition("x")[2]) + 60 for one in pictures)
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
