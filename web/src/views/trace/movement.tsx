/** The score with its noise band, and beneath it every finding as a ribbon, on one time line. */
import { useEffect, useRef, useState } from "preact/hooks";
import { type FileTraced, STATE_WORDS } from "./forms";

const LEFT = 40;
const RIGHT = 16;
const SCORE_PX = 150;
const LANE_PX = 20;
const MOST_LANES = 40;
const TICKS = [0, 5, 10];

export function Movement({ found }: { found: FileTraced }) {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(700);
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const watch = new ResizeObserver(() => setWidth(Math.max(260, element.clientWidth)));
    watch.observe(element);
    return () => watch.disconnect();
  }, []);
  const reviews = found.iterations.filter((one) => one.score !== null);
  const numbers = [
    ...new Set([
      ...found.iterations.map((one) => one.iteration),
      ...found.findings.flatMap((one) => one.signs.map((sign) => sign.iteration)),
    ]),
  ].sort((a, b) => a - b);
  const first = numbers[0] ?? 0;
  const last = numbers.at(-1) ?? 1;
  const x = (n: number) =>
    LEFT + ((n - first) / Math.max(1, last - first)) * (width - LEFT - RIGHT);
  const y = (score: number) => 10 + (1 - score / 10) * (SCORE_PX - 20);
  const lanes = found.findings.filter((one) => one.signs.length).slice(0, MOST_LANES);
  const height = SCORE_PX + 22 + lanes.length * LANE_PX + 6;
  const spread = found.noise ? 1.96 * found.noise.sigma : 0;
  const band = [
    ...reviews.map((one) => [x(one.iteration), y(Math.min(10, one.score! + spread))]),
    ...reviews.map((one) => [x(one.iteration), y(Math.max(0, one.score! - spread))]).reverse(),
  ];
  const line = (values: (number | null)[]) =>
    reviews
      .flatMap((one, n) => (values[n] === null ? [] : [`${x(one.iteration)},${y(values[n]!)}`]))
      .join(" ");
  const told = `Score ${reviews.map((one) => one.score!.toFixed(1)).join(", ")}; ${lanes.length} findings. The tables below have the same.`;
  return (
    <div ref={box} class="movement">
      <svg width={width} height={height} role="img" aria-label={told}>
        {TICKS.map((tick) => (
          <g key={tick}>
            <line class="movement-grid" x1={LEFT} x2={width - RIGHT} y1={y(tick)} y2={y(tick)} />
            <text x={LEFT - 8} y={y(tick) + 4} text-anchor="end">
              {tick}
            </text>
          </g>
        ))}
        {spread > 0 && (
          <polygon class="movement-band" points={band.map((p) => p.join(",")).join(" ")} />
        )}
        <polyline class="movement-score" points={line(reviews.map((one) => one.score))} />
        <polyline
          class="movement-confirmed"
          points={line(reviews.map((one) => one.confirmed_score))}
        />
        {reviews.map((one) => (
          <circle
            key={one.time}
            class="movement-dot"
            cx={x(one.iteration)}
            cy={y(one.score!)}
            r="3.5"
          />
        ))}
        {numbers.map((n) => (
          <text key={n} x={x(n)} y={SCORE_PX + 8} text-anchor="middle">
            {n}
          </text>
        ))}
        {lanes.map((one, lane) => {
          const top = SCORE_PX + 20 + lane * LANE_PX;
          return (
            <g key={one.id}>
              {one.signs.map((sign, n) => {
                const from = x(sign.iteration);
                const next = one.signs[n + 1];
                const to = next ? x(next.iteration) : Math.min(width - 4, x(last) + 10);
                return (
                  <rect
                    key={`${sign.iteration} ${sign.time}`}
                    class={`ribbon ribbon-${sign.state}`}
                    x={from}
                    y={top}
                    width={Math.max(4, to - from - 1)}
                    height={LANE_PX - 7}
                    rx="2"
                  >
                    <title>{`${sign.iteration}: ${STATE_WORDS[sign.state] ?? sign.state}; ${one.severity}, ${one.claim.slice(0, 200)}`}</title>
                  </rect>
                );
              })}
            </g>
          );
        })}
      </svg>
      <ul class="movement-legend" aria-label="Legend">
        <li>
          <span class="key key-score" aria-hidden="true" /> score, with what noise alone may move it
        </li>
        <li>
          <span class="key key-confirmed" aria-hidden="true" /> confirmed score
        </li>
        {["new", "persistent", "claimed_fixed", "confirmed_fixed", "reopened"].map((state) => (
          <li key={state}>
            <span class={`key key-${state}`} aria-hidden="true" /> {STATE_WORDS[state]}
          </li>
        ))}
      </ul>
      {found.findings.length > MOST_LANES && (
        <p class="quiet">The first {MOST_LANES} findings are drawn; all are listed below.</p>
      )}
    </div>
  );
}
