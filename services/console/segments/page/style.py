"""How the page looks, in light and in the dark, on screens of any width and on paper."""

from __future__ import annotations

COLOURS = ("#4c78a8", "#f58518", "#54a24b", "#b279a2", "#e45756", "#72b7b2", "#c9a227", "#9d755d", "#d67195", "#7f7f7f")
"""Tableau's ten, which people with a colour vision deficiency tell apart best of the usual ones."""

STYLE = """
:root{color-scheme:light dark;--page:#f6f7f9;--card:#fff;--ink:#1c2430;--soft:#5d6878;--line:#e3e7ed;--bar:#4c78a8;--good:#2e7d4f;
--good-soft:#e2f3e8;--bad:#b3541e;--bad-soft:#fdeadd;--none:#eef0f3}
@media(prefers-color-scheme:dark){:root{--page:#14181f;--card:#1d232c;--ink:#e7ebf1;--soft:#9aa5b5;--line:#313a47;--bar:#6f9fd8;
--good:#7fd3a0;--good-soft:#1d3a2b;--bad:#f3a46f;--bad-soft:#43291a;--none:#262d38}}
*{box-sizing:border-box}
body{font:15px/1.55 system-ui,-apple-system,"Segoe UI",sans-serif;margin:0;background:var(--page);color:var(--ink)}
main{max-width:72rem;margin:0 auto;padding:2rem 1.25rem 4rem}
h1{font-size:1.8rem;margin:0 0 .2rem}h2{font-size:1.25rem;margin:0 0 .8rem}h3{font-size:.95rem;margin:1.2rem 0 .4rem;color:var(--soft)}
p{margin:.3rem 0 .8rem}.soft{color:var(--soft)}
section{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:1.2rem 1.4rem;margin:1.2rem 0}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:.8rem;margin:1.2rem 0}
.tile{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:.8rem 1rem}
.tile b{display:block;font-size:1.6rem;line-height:1.2}.tile span{color:var(--soft);font-size:.85rem}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
td,th{padding:.32rem .6rem;border-bottom:1px solid var(--line);text-align:left;font-weight:400;white-space:nowrap}
thead th{color:var(--soft);font-size:.82rem}td.n,th.n{text-align:right}tr:last-child>*{border-bottom:0}
.grid td{text-align:center;white-space:normal;padding:.32rem .3rem;font-size:.8rem;border:2px solid var(--card);border-radius:8px}
.grid th:first-child{font-weight:600}.grid thead th{text-align:center}.grid thead th:first-child{text-align:left}
.yes{background:var(--good-soft);color:var(--good)}.no{background:var(--bad-soft);color:var(--bad);font-weight:600}
.open{background:var(--none);color:var(--soft)}
.track{display:inline-block;width:11rem;height:.75rem;border-radius:3px;background:var(--none);vertical-align:middle;overflow:hidden}
.track i{display:block;height:100%;background:var(--bar)}.track i.void{background:
repeating-linear-gradient(45deg,var(--soft) 0 2px,transparent 2px 5px)}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(20rem,1fr));gap:0 2rem}
.chips span{display:inline-block;border-radius:99px;padding:.1rem .65rem;margin:.15rem .3rem .15rem 0;font-size:.8rem}
ul{margin:.3rem 0 .6rem;padding-left:1.2rem}li{margin:.15rem 0}
svg{display:block;width:100%;height:auto}svg text{fill:currentColor;font-size:12px}svg .axis{stroke:var(--line)}svg .faint{fill:var(--soft)}
.matrix td,.matrix th{font-size:12px;padding:.15rem .4rem;border:0;text-align:right}.matrix th:first-child{text-align:left}
details{margin:.6rem 0}summary{cursor:pointer;color:var(--soft)}
dt{font-weight:600}dd{margin:0 0 .5rem;color:var(--soft)}
@media print{section{break-inside:avoid}body{background:#fff}}
"""
