/** Observable Plot, loaded with the first chart. */
import { barY, dot, gridY, lineY, plot, rectY, ruleY } from "@observablehq/plot";
import type { Kind, Row } from "./chart";

const DAY_MS = 86_400_000;

export function drawn(asked: {
  rows: readonly Row[];
  x: string;
  y: string;
  kind: Kind;
  height: number;
  width: number;
}): Element {
  const { rows, x, y, kind, height, width } = asked;
  const accent = getComputedStyle(document.documentElement).getPropertyValue("--accent").trim();
  const isTime = rows[0]?.[x] instanceof Date;
  const times = isTime ? rows.map((row) => Number(row[x])) : [];
  const isDaily = isTime && times.every((time) => time % DAY_MS === 0);
  const isShort = isTime && !isDaily && Math.max(...times) - Math.min(...times) < 2 * DAY_MS;
  const data = rows.map((row) => ({ ...row, [y]: Number(row[y]) }));
  const bar = isTime
    ? rectY(data, {
        x,
        y,
        fill: accent,
        interval: isDaily ? "day" : "hour",
        insetLeft: 1,
        insetRight: 1,
      })
    : barY(data, { x, y, fill: accent });
  // Small parts of a dollar are figures of their own, not thousandths with a prefix.
  const isSmall = data.every((row) => Math.abs(row[y] as number) < 1);
  const mark = {
    bar,
    line: lineY(data, { x, y, stroke: accent, strokeWidth: 2 }),
    dot: dot(data, { x, y, fill: accent, r: 3 }),
  }[kind];
  const svg = plot({
    className: "lakecore-plot",
    height,
    width,
    marginLeft: 52,
    marginBottom: 28,
    x: {
      label: null,
      ...(kind === "bar" && !isTime ? { type: "band" as const } : {}),
      ...(isTime ? { type: "utc" as const } : {}),
      ...(isShort ? { tickFormat: "%H:%M", ticks: 6 } : {}),
    },
    y: { label: null, nice: true, tickFormat: isSmall ? "~g" : "~s", ticks: 4 },
    marks: [gridY({ stroke: "currentColor", strokeOpacity: 0.12 }), ruleY([0]), mark],
  });
  // Its own style would be an inline one, which the policy does not let in: chart.css has it.
  for (const style of svg.querySelectorAll("style")) style.remove();
  // The figure has a name and a table; parts of the picture have none of their own.
  for (const part of svg.querySelectorAll("[aria-label]")) part.removeAttribute("aria-label");
  svg.setAttribute("aria-hidden", "true");
  return svg;
}
