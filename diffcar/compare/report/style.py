"""The style sheet of a report: light and dark, on a screen and on paper."""

from diffcar.compare.style import DARK_COLOURS

__all__ = ["colour", "style_sheet"]

_RULES = """
:root { color-scheme: light dark; --page: #ffffff; --card: #f6f8fa; --heat: #e8710a; LIGHT }
@media screen and (prefers-color-scheme: dark) {
  :root { --page: #0d1117; --card: #151b23; --heat: #ff9a3c; DARK }
}
* { box-sizing: border-box; }
html { font-size: 16px; -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; max-width: 70rem; padding: 2.5rem 1.5rem 4rem; background: var(--page);
  color: var(--ink); line-height: 1.55;
  font-family: system-ui, -apple-system, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .4rem; letter-spacing: -.015em; }
h2 { font-size: 1.35rem; margin: 3rem 0 .6rem; padding-top: 1.2rem;
  border-top: 1px solid var(--grid); }
h3 { font-size: 1.05rem; margin: 2rem 0 .4rem; }
p, ul { max-width: 46rem; margin: .5rem 0; }
ul { padding-left: 1.2rem; }
li { margin: .3rem 0; }
.faint, figcaption, caption { color: var(--faint); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: .8rem;
  margin: 1.6rem 0; padding: 0; max-width: none; list-style: none; }
.tiles li { background: var(--card); border: 1px solid var(--grid); border-radius: .6rem;
  padding: .9rem 1.1rem; margin: 0; font-size: .88rem; line-height: 1.4; color: var(--faint); }
.tiles b { display: block; font-size: 1.7rem; line-height: 1.25; font-weight: 650;
  letter-spacing: -.02em; color: var(--ink); }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums;
  line-height: 1.35; }
caption { text-align: left; padding: 0 0 .5rem; font-size: .9rem; }
th, td { padding: .38rem .8rem; text-align: right; border-bottom: 1px solid var(--grid);
  white-space: nowrap; }
thead th { vertical-align: bottom; font-weight: 600; border-bottom: 2px solid var(--faint); }
th:first-child { text-align: left; padding-left: 0; }
tbody th { font-weight: 500; }
td.best { font-weight: 700; }
td[style] { background: color-mix(in srgb, var(--heat) var(--share), transparent); }
small { display: block; color: var(--faint); font-size: .82em; font-weight: 400; }
.swatch { display: inline-block; width: .8em; height: .8em; border-radius: 50%;
  margin-right: .5em; vertical-align: -.05em; }
figure { margin: 1rem 0; }
figcaption { font-size: .88rem; max-width: 46rem; margin-top: .4rem; }
svg { display: block; width: 100%; height: auto; }
svg.plot { min-width: 42rem; }
svg.plot * { stroke-linejoin: round; stroke-linecap: butt; }
svg text { font-family: inherit; }
.plans { display: grid; grid-template-columns: repeat(auto-fit, minmax(19rem, 1fr)); gap: 1.5rem;
  align-items: start; }
.plans figure { margin: .3rem 0; }
.plan path { fill: none; stroke-linejoin: round; stroke-linecap: round; }
fieldset { border: 1px solid var(--grid); border-radius: .6rem; padding: .5rem 1rem .7rem;
  margin: 1rem 0; position: sticky; top: 0; background: var(--page); z-index: 1; }
legend { font-size: .85rem; color: var(--faint); padding: 0 .4rem; }
label { display: inline-block; margin-right: 1.1rem; white-space: nowrap; font-size: .92rem;
  cursor: pointer; }
pre { background: var(--card); border: 1px solid var(--grid); border-radius: .5rem;
  padding: .8rem 1rem; overflow-x: auto; font-size: .85rem; line-height: 1.45;
  font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
details > summary { cursor: pointer; margin: .8rem 0; font-weight: 500; }
dt { font-weight: 600; margin-top: .7rem; }
dd { margin: 0 0 0 1rem; max-width: 45rem; }
@media print {
  html { font-size: 11px; }
  body { max-width: none; padding: 0; }
  fieldset { display: none; }
  figure, table, .tiles { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
  .wide { overflow: visible; }
  pre { white-space: pre-wrap; }
}
"""
_NAMES = ("ink", "faint", "grid", "paper")


def style_sheet(num_methods: int) -> str:
    """Return the rules for a page.

    Args:
        num_methods: How many there are to be hidden and shown.
    """
    light = "".join(f"--c-{c[1:]}: {c}; " for c in DARK_COLOURS)
    dark = "".join(f"--c-{c[1:]}: {other}; " for c, other in DARK_COLOURS.items())
    # The first colours are those of text and lines, whatever is plotted.
    names = "".join(
        f"--{name}: var(--c-{c[1:]}); " for name, c in zip(_NAMES, DARK_COLOURS, strict=False)
    )
    hiding = "".join(
        f"body:has(#show-{i}:not(:checked)) .m{i} {{ display: none; }}\n"
        for i in range(num_methods)
    )
    return _RULES.replace("LIGHT", light + names).replace("DARK", dark) + hiding


def colour(value: str) -> str:
    """Return a colour as the style sheet knows it.

    Args:
        value: As `#rrggbb`.
    """
    return f"var(--c-{value[1:]})" if value in DARK_COLOURS else value
