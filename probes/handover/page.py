"""The page of a hand-over: one HTML file that loads nothing and runs nothing.

Rule 1: no script, no link, no address: the content policy forbids what the page does not have, and
allows the one style by its hash.
Rule 2: every text is escaped where it is written into the page; nothing else is.
Rule 3: it is read on a phone, on a desk, in the dark and on paper. A table that is wider than the
screen scrolls in its own frame; on paper it is wrapped.
Rule 4: headings in order, tables with heads, charts with a title: a screen reader can read it.
"""

from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from html import escape
from typing import Final

from probes.handover.document import (
    Block,
    Bullets,
    Document,
    DocumentSection,
    Grid,
    Pairs,
    Paragraph,
    Picture,
)

_STYLE: Final = """
:root{color-scheme:light dark;--paper:#fbfbf9;--card:#fff;--ink:#1b1f24;--dim:#5d6670;
--rule:#dfe2e6;--hurt:#c0272d;--warn:#b45f06;--well:#2c7a4b;--p50:#1f6feb;--p95:#b3530a;
--band:#c0272d14;--goal:#6e40c9;--soft:#eef0f2;--wait:#b9c0c8;--conn:#dbe0e5}
@media(prefers-color-scheme:dark){:root{--paper:#111418;--card:#181c22;--ink:#e4e8ec;--dim:#98a2ad;
--rule:#2c323a;--hurt:#ff6b66;--warn:#f0a35a;--well:#5cc487;--p50:#6cb2ff;--p95:#f3a25f;
--band:#ff6b6620;--goal:#b794f6;--soft:#20262d;--wait:#59636e;--conn:#39414a}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:70rem;padding:1rem;background:var(--paper);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif;
overflow-wrap:anywhere;-webkit-text-size-adjust:100%}
header{background:var(--card);border:1px solid var(--rule);border-left:6px solid var(--well);
border-radius:8px;padding:1rem 1.2rem 1.1rem;margin-bottom:1.5rem}
header.hurts{border-left-color:var(--hurt)}header.over{border-left-color:var(--warn)}
.lamp{font-size:.8rem;font-weight:600;letter-spacing:.04em;color:var(--well);margin:0}
.hurts .lamp{color:var(--hurt)}.over .lamp{color:var(--warn)}
h1{font-size:1.55rem;line-height:1.25;margin:.15rem 0 .9rem}
h2{font-size:1.15rem;margin:2.2rem 0 .7rem;padding-bottom:.3rem;border-bottom:1px solid var(--rule)}
p{margin:.5rem 0}ul{margin:.5rem 0;padding-left:1.2rem}
dl{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:.35rem 1.1rem;margin:.5rem 0}
dt{color:var(--dim);font-size:.9rem;padding-top:.08rem}dd{margin:0}
header dl{font-size:1.02rem}
details{margin-top:.9rem;color:var(--dim);font-size:.9rem}
summary{cursor:pointer}
.note{color:var(--dim);font-size:.9rem}
.scroll{overflow-x:auto;border:1px solid var(--rule);border-radius:6px;background:var(--card);
margin:.6rem 0}
table{border-collapse:collapse;width:100%;font-size:.86rem;font-variant-numeric:tabular-nums}
th,td{padding:.3rem .6rem;text-align:left;vertical-align:top;overflow-wrap:normal}
td{border-top:1px solid var(--rule)}th{color:var(--dim);font-weight:600;white-space:nowrap}
td:nth-child(-n+3){white-space:nowrap}td:not(.n):nth-child(n+4){min-width:8rem}
td:last-child{white-space:normal;overflow-wrap:anywhere;min-width:9rem}
.n{text-align:right;white-space:nowrap}td.n:last-child{min-width:0}
tr.lead td{border-top-width:2px;font-weight:600}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,27rem),1fr));gap:.8rem}
figure{margin:0;background:var(--card);border:1px solid var(--rule);border-radius:6px;
padding:.6rem .5rem .4rem;break-inside:avoid}
figcaption{color:var(--dim);font-size:.84rem;line-height:1.35;padding:.15rem .3rem .2rem}
@media(min-width:58rem){figure.tall{grid-row:span 4}}
svg{display:block;width:100%;height:auto;font:11px system-ui,sans-serif;fill:var(--ink)}
.tick{fill:var(--dim);font-size:10px}.name{font-size:11px;font-weight:600}
.axis{stroke:var(--dim);stroke-width:.8;fill:none}.rule{stroke:var(--rule);stroke-width:.7}
.band{fill:var(--band)}.onset,.end{stroke:var(--hurt);stroke-width:1}
.end{stroke:var(--well);stroke-dasharray:4 2}
.mark{stroke:var(--goal);stroke-width:.8;stroke-dasharray:1 2}.mark-head{fill:var(--goal)}
.mark-word{fill:var(--goal);font-size:9px}
.goal{stroke:var(--goal);stroke-width:1;stroke-dasharray:5 3}
.goal-word{fill:var(--goal);font-size:9px;paint-order:stroke;stroke:var(--card);stroke-width:3px}
.line{fill:none;stroke-width:1.6;stroke-linejoin:round;stroke:var(--p50)}.key{stroke-width:2.2}
.p95{stroke:var(--p95);stroke-dasharray:4 1.6}.good{stroke:var(--well)}
.bar{stroke:none}.bar-429{fill:var(--hurt);stroke:var(--hurt)}
.bar-retry{fill:var(--wait);stroke:var(--wait)}
.s-dead{fill:var(--hurt)}.s-bad{fill:var(--p95)}.s-warn{fill:var(--warn);opacity:.75}
.s-ok{fill:var(--well)}.s-none{fill:var(--wait)}
.in-band{fill:var(--card);font-size:9.5px;font-weight:600}
.connects{fill:var(--conn)}.waits-head{fill:var(--wait);opacity:.6}.waits-first{fill:var(--wait)}
.writes{fill:var(--p50);opacity:.35}.chunks{stroke:var(--p50);stroke-width:.7}
.pauses{fill:var(--card);stroke:var(--p95);stroke-width:1;stroke-dasharray:3 2}
.pause-word{fill:var(--p95);font-size:9px}
.waits{stroke:var(--dim);stroke-dasharray:2 2}.ends{stroke:var(--ink);stroke-width:1.4}
.fails{fill:var(--hurt);font-size:12px;font-weight:700}
footer{margin-top:2.5rem;padding-top:.8rem;border-top:1px solid var(--rule);color:var(--dim);
font-size:.84rem}
@media(max-width:34rem){body{padding:.6rem;font-size:15px}header{padding:.8rem .9rem}
dl{grid-template-columns:minmax(0,1fr);gap:0}dt{margin-top:.55rem}h1{font-size:1.3rem}}
@media print{:root{--paper:#fff;--card:#fff;--ink:#000;--dim:#444;--rule:#bbb;--hurt:#a00;
--warn:#850;--well:#063;--p50:#024a9c;--p95:#8a3c00;--band:#0001;--goal:#4b2a91;--wait:#999;
--conn:#ccc}body{max-width:none;padding:0;font-size:10.5pt}header{border-width:1px 1px 1px 5px}
.scroll{overflow:visible}table{font-size:8pt}th,td{padding:.15rem .3rem}
td:last-child{min-width:0}td:nth-child(n){min-width:0;white-space:normal;overflow-wrap:anywhere}
h2{break-after:avoid}tr,figure,header{break-inside:avoid}
details>summary{display:none}*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}
"""


def html_page(document: Document) -> str:
    """Return the page."""
    digest = b64encode(sha256(_STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    mark = {"hurts": "✖", "over": "◂", "calm": "✓"}[document.tone]
    lines = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="referrer" content="no-referrer">',
        '<meta name="robots" content="noindex">',
        f"<title>{escape(document.title)}</title>",
        f"<style>{_STYLE}</style>",
        "</head>",
        "<body>",
        f'<header class="{document.tone}">',
        f'<p class="lamp">{mark} {escape(document.verdict)} · llmtop incident report</p>',
        f"<h1>{escape(document.title)}</h1>",
        _block(document.head),
        "<details><summary>The same as one paragraph, to copy</summary>",
        f"<p>{escape(document.summary)}</p>",
        "</details>",
        "</header>",
        "<main>",
        *(line for section in document.sections for line in _section(section)),
        "</main>",
        f"<footer>{escape(document.foot)}</footer>",
        "</body>",
        "</html>",
    ]
    return "\n".join(lines) + "\n"


def _section(section: DocumentSection) -> Iterator[str]:
    yield f'<section id="{section.id}" aria-labelledby="{section.id}-title">'
    yield f'<h2 id="{section.id}-title">{escape(section.title)}</h2>'
    in_charts = False
    for block in section.blocks:
        is_chart = isinstance(block, Picture)
        if is_chart and not in_charts:
            yield '<div class="charts">'
        if not is_chart and in_charts:
            yield "</div>"
        in_charts = is_chart
        yield _block(block)
    if in_charts:
        yield "</div>"
    yield "</section>"


def _block(block: Block) -> str:
    match block:
        case Paragraph(text):
            return f'<p class="note">{escape(text)}</p>'
        case Bullets(items):
            return f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in items)}</ul>"
        case Pairs(rows):
            return f"<dl>{''.join(_pair(name, text) for name, text in _merged(rows))}</dl>"
        case Grid():
            return _table(block)
        case Picture(svg, caption, is_tall):
            look = ' class="tall"' if is_tall else ""
            return f"<figure{look}><figcaption>{escape(caption)}</figcaption>{svg}</figure>"


def _merged(rows: tuple[tuple[str, str], ...]) -> list[tuple[str, list[str]]]:
    """Return the pairs with those of one name together."""
    merged: list[tuple[str, list[str]]] = []
    for name, text in rows:
        if merged and merged[-1][0] == name:
            merged[-1][1].append(text)
        else:
            merged.append((name, [text]))
    return merged


def _pair(name: str, texts: list[str]) -> str:
    told = "".join(f"<dd>{escape(text)}</dd>" for text in texts[:1])
    # Of several, those after the first have an empty name: the grid has two columns.
    told += "".join(f"<dt></dt><dd>{escape(text)}</dd>" for text in texts[1:])
    return f"<dt>{escape(name)}</dt>{told}"


def _table(grid: Grid) -> str:
    def look(index: int) -> str:
        return ' class="n"' if index >= grid.figures else ""

    head = "".join(
        f'<th scope="col"{look(index)}>{escape(cell)}</th>' for index, cell in enumerate(grid.head)
    )
    rows = "".join(
        f"<tr{_lead(row, grid)}>"
        + "".join(f"<td{look(index)}>{escape(cell)}</td>" for index, cell in enumerate(row))
        + "</tr>"
        for row in grid.rows
    )
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="table">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _lead(row: tuple[str, ...], grid: Grid) -> str:
    """Return the look of a row that begins a group: those below it have an empty first cell."""
    has_groups = any(not one[0] for one in grid.rows)
    return ' class="lead"' if has_groups and row[0] else ""
