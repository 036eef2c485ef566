"""How the page looks: light and dark, on a phone and on paper."""

from typing import Final

STYLE: Final = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #57606a; --line: #d8dee4; --paper: #fff;
  --raised: #f6f8fa; --link: #0757ae; --get: #0a6b2d; --post: #0757ae; --put: #8a5300;
  --delete: #b42318 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9da7b3; --line: #30363d;
  --paper: #0d1117; --raised: #161b22; --link: #6cb6ff; --get: #56d364; --post: #6cb6ff;
  --put: #e3b341; --delete: #ff8b82 } }
* { box-sizing: border-box }
html { scroll-padding-top: 1rem }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", sans-serif }
main { max-width: 58rem; margin: 0 auto; padding: 2.5rem 1.5rem 5rem }
h1 { font-size: 1.75rem; line-height: 1.25; margin: 0 0 .25rem }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem }
h3 { font-size: 1rem; margin: 1.75rem 0 .25rem; overflow-wrap: anywhere }
h4 { font-size: .875rem; margin: 1rem 0 .25rem; color: var(--soft) }
p { margin: .25rem 0 .5rem; max-width: 46rem }
a { color: var(--link); overflow-wrap: anywhere }
.soft { color: var(--soft); font-size: .875rem }
nav ul { margin: .25rem 0 0; padding: 0; list-style: none; display: flex; flex-wrap: wrap;
  gap: .35rem .9rem }
code { font: .85em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
  overflow-wrap: anywhere }
details { border-bottom: 1px solid var(--line) }
summary { cursor: pointer; padding: .6rem 0; display: grid; grid-template-columns: 4.5rem 1fr;
  gap: 0 .5rem; list-style: none }
summary::-webkit-details-marker { display: none }
summary h3 { grid-column: 1 / -1; display: grid; grid-template-columns: subgrid; margin: 0;
  font-weight: 400 }
summary b { font: 600 .8rem/1.9 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace }
summary b::after { content: " \\25b8"; content: " \\25b8" / "" }
details[open] summary b::after { content: " \\25be"; content: " \\25be" / "" }
summary code { font-weight: 600 }
summary span { grid-column: 2; color: var(--soft); font-size: .9rem }
summary:hover code { text-decoration: underline }
summary:focus-visible, a:focus-visible { outline: 2px solid var(--link); outline-offset: 2px }
.get { color: var(--get) } .post { color: var(--post) } .put { color: var(--put) }
.delete { color: var(--delete) }
details > div { padding: 0 0 1.25rem; margin-left: 5rem; scroll-margin-top: 4.5rem }
dl { margin: 0; border-left: 2px solid var(--line); padding-left: .9rem }
dt { margin-top: .5rem } dt i { color: var(--soft); font-size: .85rem } dt b { font-size: .8rem }
dd { margin: 0 0 .25rem; font-size: .9rem } dd dl { margin-top: .25rem }
@media (max-width: 40rem) { main { padding: 1.5rem 1rem 3rem } details > div { margin-left: 0 }
  summary { grid-template-columns: 1fr } summary span { grid-column: 1 }
  dl { padding-left: .6rem } }
@media print { body { font-size: 10pt } main { max-width: none; padding: 0 }
  details::details-content { content-visibility: visible; height: auto } }
"""
