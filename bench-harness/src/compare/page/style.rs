//! How the page looks: one column of text, colours that tell the sides apart for everybody, light and dark, paper.

/// The style sheet.
pub(super) const CSS: &str = "
:root{--ink:#1b1f24;--dim:#646c76;--paper:#fff;--line:#d8dde3;--floor:#7d8793;--ringlog:#0b62c4;--kafka:#d9730d;--kafkaflush:#9c2fae;--met:#1a7f37;--missed:#c62828}
@media(prefers-color-scheme:dark){:root{--ink:#e4e8ed;--dim:#98a1ac;--paper:#14171b;--line:#333a42;--floor:#9aa4b0;--ringlog:#63a9ff;--kafka:#f2a154;--kafkaflush:#d68ae3;--met:#57c271;--missed:#ff7b72}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:960px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.7rem;margin:0 0 .5rem}h2{font-size:1.15rem;margin:2.2rem 0 .3rem}p{margin:.2rem 0 .6rem;color:var(--dim)}
table{border-collapse:collapse;width:100%;font-size:.9rem}td,th{padding:.25rem .6rem;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}
.n{text-align:right;font-variant-numeric:tabular-nums}
.met td:last-child{color:var(--met);font-weight:600}.missed td:last-child{color:var(--missed);font-weight:600}.open td:last-child{color:var(--dim)}
.legend{list-style:none;padding:0;display:flex;flex-wrap:wrap;gap:.3rem 1.4rem;position:sticky;top:0;background:var(--paper);padding:.5rem 0;border-bottom:1px solid var(--line)}
.legend i{display:inline-block;width:1.1em;height:.35em;margin-right:.5em;vertical-align:middle;background:var(--c)}
.floor{--c:var(--floor)}.ringlog{--c:var(--ringlog)}.kafka{--c:var(--kafka)}.kafkaflush{--c:var(--kafkaflush)}
figure{margin:0}svg{width:100%;height:auto;display:block;margin:.4rem 0}svg text{fill:var(--dim);font:12px system-ui,sans-serif}
.grid{stroke:var(--line);stroke-width:1}.curve{fill:none;stroke:var(--c);stroke-width:2}.thin{fill:none;stroke:var(--c);stroke-width:1;opacity:.45}
.dot{fill:var(--c)}.hollow{fill:var(--paper);stroke:var(--c);stroke-width:2}.cellmap{fill:var(--c)}
pre{overflow-x:auto;padding:.6rem;border:1px solid var(--line);font-size:.85rem}.raw{white-space:pre-wrap;word-break:break-all;max-height:24rem;overflow-y:auto}
@media print{.legend{position:static}details{display:none}figure,tr{break-inside:avoid}}
";
