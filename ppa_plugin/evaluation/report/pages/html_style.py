"""The style sheet of the page."""

STYLE = """\
:root {
  color-scheme: light dark;
  --paper: #fdfdfc; --ink: #1d2125; --quiet: #616971; --line: #d9dcdf; --faint: #f3f4f4; --link: #1f5f99;
}
@media (prefers-color-scheme: dark) {
  :root { --paper: #15181b; --ink: #dfe3e6; --quiet: #98a1a9; --line: #343a40; --faint: #1e2226; --link: #86b9e8; }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body {
  margin: 0 auto; padding: 2.5rem clamp(1rem, 4vw, 3rem) 4rem; max-width: 78rem;
  background: var(--paper); color: var(--ink);
  font: 1rem/1.55 ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
}
h1, p { overflow-wrap: anywhere; }
h1, h2, figcaption { font-family: ui-serif, "Iowan Old Style", Palatino, Georgia, "Noto Serif", serif; }
h1 { margin: 0 0 .4rem; font-size: 1.9rem; font-weight: 600; line-height: 1.2; letter-spacing: -.01em; }
h2 { margin: 0 0 1rem; font-size: 1.35rem; font-weight: 600; line-height: 1.3; overflow-wrap: anywhere; }
a { color: var(--link); text-decoration: none; }
a:hover, a:focus-visible { text-decoration: underline; text-underline-offset: .15em; }
.lead { margin: 0; max-width: 46rem; color: var(--quiet); }
nav { margin: 2rem 0 0; padding: 1rem 0; border-block: 1px solid var(--line); font-size: .9rem; }
nav h2 {
  margin: 0 0 .6rem; color: var(--quiet); font: 600 .75rem/1.4 inherit; font-family: inherit; font-size: .75rem;
  letter-spacing: .06em; text-transform: uppercase;
}
nav ol { margin: 0; padding: 0; list-style: none; }
nav > ol { columns: 20rem; column-gap: 2.5rem; }
nav > ol > li { margin: 0 0 .5rem; break-inside: avoid; }
nav ol ol { padding-left: 1rem; }
nav ol ol a { color: var(--quiet); }
nav li { overflow-wrap: anywhere; }
section { margin-top: 3.2rem; }
.opening { display: flex; flex-wrap: wrap; gap: 0 3rem; margin-top: 1.6rem; }
.opening section { margin: 0; max-width: 100%; }
.opening section > p { width: 0; min-width: min(100%, 46rem); margin: -.6rem 0 0; }
.opening section > p { color: var(--quiet); font-size: .85rem; }
.opening nav { flex: 1 1 20rem; align-self: flex-start; }
.plots { display: flex; flex-wrap: wrap; gap: 0 2rem; align-items: flex-start; }
.plots figure { max-width: 100%; }
.opening figcaption { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
figure { margin: 0 0 2.4rem; }
figcaption { margin: 0 0 .5rem; font-size: 1.02rem; font-weight: 600; overflow-wrap: anywhere; }
.scroll { max-width: 100%; overflow-x: auto; -webkit-overflow-scrolling: touch; }
.scroll:focus-visible { outline: 2px solid var(--link); outline-offset: 3px; }
.notes { margin-top: .55rem; max-width: 52rem; color: var(--quiet); font-size: .8rem; line-height: 1.5; }
.notes p { margin: 0; }
table {
  border-collapse: separate; border-spacing: 0; border-block: 1.5px solid var(--ink);
  font-size: .82rem; line-height: 1.35; font-variant-numeric: tabular-nums lining-nums;
}
th, td { padding: .22rem .55rem; text-align: right; vertical-align: baseline; white-space: nowrap; font-weight: 400; }
thead th { color: var(--quiet); font-weight: 500; vertical-align: bottom; }
thead tr:last-child > * { border-bottom: 1px solid var(--ink); }
th.span { color: var(--ink); text-align: center; border-bottom: 1px solid var(--line); }
.start { padding-left: 1.1rem; }
th.stub, td.stub { text-align: left; }
th.stub { background: var(--paper); }
.path { white-space: normal; }
th.first { position: sticky; left: 0; z-index: 1; font-weight: 500; }
thead th.first { vertical-align: bottom; }
@media (max-width: 40rem) {
  body { padding-top: 1.5rem; }
  h1 { font-size: 1.6rem; }
  table { font-size: .76rem; }
  th, td { padding: .2rem .4rem; }
  .start { padding-left: .7rem; }
  th.first { max-width: 5.6rem; white-space: normal; }
}
tr.rule > * { border-top: 1px solid var(--line); }
tr.summary > *, tr.summary > th.stub { background: var(--faint); }
tr.rule.summary > * { border-top-color: var(--quiet); }
td b { font-weight: 700; }
td u { text-decoration-thickness: 1px; text-underline-offset: .2em; }
td sup { line-height: 0; font-size: .7em; }
.spread { margin-left: .2em; color: var(--quiet); font-size: .76em; }
code { font: .78rem/1.4 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
table.prose td { text-align: left; white-space: normal; min-width: 5rem; max-width: 34rem; }
table.prose thead th { text-align: left; }
.plot svg { display: block; max-width: none; height: auto; fill: currentColor; }
.plot svg * { stroke-linejoin: round; stroke-linecap: butt; }
details > summary { margin-bottom: 1.2rem; color: var(--link); cursor: pointer; }
@media print {
  body { max-width: none; padding: 0; font-size: 10pt; }
  nav { display: none; }
  .scroll { overflow: visible; }
  .plot { break-inside: avoid; }
  .plot svg { max-width: 100%; max-height: 25cm; }
  tr { break-inside: avoid; }
}
"""
