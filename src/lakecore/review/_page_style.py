"""The look of the report page: light and dark, as the reader's system has it."""

from __future__ import annotations

from typing import Final

STYLE: Final = """
:root{--page:#fff;--ink:#1b2026;--quiet:#5a6572;--rule:#d9dee4;--soft:#f4f6f8;--model:#2563a8;
--confirmed:#1a7f4b;--up:#1a7f4b;--down:#b3382c;--same:#77828e;--fresh:#8a63b8;--on:#fff;
--auto:#1a7f4b;--dry:#2563a8;--sim:#a86a00;--block:#b3382c}
@media (prefers-color-scheme:dark){:root{--page:#14181d;--ink:#e4e8ec;--quiet:#9aa5b1;
--rule:#2d353e;--soft:#1c2229;--model:#7db4ee;--confirmed:#63c793;--up:#63c793;--down:#f0897d;
--same:#8f9aa6;--fresh:#bd9ae6;--on:#14181d;--auto:#63c793;--dry:#7db4ee;--sim:#e0ac4d;
--block:#f0897d}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1180px;margin:0 auto;padding:28px 20px 60px}
h1{font-size:24px;margin:0 0 4px}
h2{font-size:18px;margin:36px 0 2px}
p{margin:4px 0 10px;max-width:80ch}
.quiet{color:var(--quiet);font-size:13px}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:14px}
th,td{text-align:left;vertical-align:top;padding:5px 12px 5px 0;border-bottom:1px solid var(--rule)}
th{color:var(--quiet);font-weight:600;font-size:12px;white-space:nowrap}
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
td.w{min-width:220px;overflow-wrap:anywhere}
code,pre{font:13px/1.45 ui-monospace,monospace;overflow-wrap:anywhere}
td code{font-size:12px}
pre{background:var(--soft);border-left:3px solid var(--rule);padding:8px 12px;margin:6px 0;
white-space:pre-wrap}
details{border-bottom:1px solid var(--rule);padding:5px 0}
summary{cursor:pointer}
details[open] .claim{display:none}
.claim{display:block;margin-left:18px;color:var(--quiet)}
.sev-critical,.sev-major{color:var(--down)}
.sev-minor{color:var(--sim)}
.sev-info{color:var(--quiet)}
svg.chart{display:block;width:100%;max-width:820px;height:auto;margin:6px 0}
svg text{font:12px system-ui,sans-serif;fill:var(--ink)}
svg .axis{fill:var(--quiet)}
svg .on{fill:var(--on);font-weight:600}
svg .grid{stroke:var(--rule);stroke-width:1;fill:none}
svg .line{fill:none;stroke-width:2}
svg .bar{fill:none;stroke-width:1.5;opacity:.7}
svg path.model{stroke:var(--model)}
svg circle.model,svg text.model{fill:var(--model)}
svg path.confirmed{stroke:var(--confirmed)}
svg circle.confirmed,svg text.confirmed{fill:var(--confirmed)}
svg .up{fill:var(--up)}
svg .down{fill:var(--down)}
svg .same{fill:var(--same)}
svg .fresh{fill:var(--fresh)}
svg .tier-auto{fill:var(--auto)}
svg .tier-dry_run{fill:var(--dry)}
svg .tier-sim{fill:var(--sim)}
svg .tier-block{fill:var(--block)}
@media print{details:not([open])>*{display:revert}}
"""
