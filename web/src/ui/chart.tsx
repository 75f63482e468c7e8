/** A chart that is also a table: the same rows, for whoever would rather read them. */
import { useEffect, useRef, useState } from "preact/hooks";
import "./chart.css";

export type Value = number | string | Date | bigint | boolean | null;
export type Row = Record<string, Value>;
export type Kind = "bar" | "line" | "dot";

const MOST_ROWS = 1_000;

export function Chart(props: {
  title: string;
  rows: readonly Row[];
  x: string;
  y: string;
  kind: Kind;
  format?: (value: Value) => string;
  height?: number;
}) {
  const { title, rows, x, y, kind, format = String, height = 180 } = props;
  const [isTable, setTable] = useState(false);
  const [isFailed, setFailed] = useState(false);
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const box = place.current;
    if (isTable || !box) return;
    let isGone = false;
    const draw = async () => {
      const { drawn } = await import("./plot");
      if (isGone) return;
      box.replaceChildren(drawn({ rows, x, y, kind, height, width: box.clientWidth || 400 }));
    };
    draw().catch(() => setFailed(true));
    let width = box.clientWidth;
    const watch = new ResizeObserver(() => {
      if (Math.abs(box.clientWidth - width) < 8) return;
      width = box.clientWidth;
      void draw();
    });
    watch.observe(box);
    return () => {
      isGone = true;
      watch.disconnect();
    };
  }, [isTable, rows, x, y, kind, height]);
  return (
    <figure class="chart">
      <figcaption class="row spread">
        <span class="visually-hidden">{title}</span>
        <button
          type="button"
          class="link"
          aria-pressed={isTable}
          onClick={() => setTable(!isTable)}
        >
          {isTable ? "As a chart" : "As a table"}
        </button>
      </figcaption>
      {isTable || isFailed ? (
        <div class="table-wrap chart-table" tabIndex={0} role="region" aria-label={title}>
          <table>
            <thead>
              <tr>
                <th scope="col">{x}</th>
                <th scope="col" class="number">
                  {y}
                </th>
              </tr>
            </thead>
            <tbody>
              {rows.slice(0, MOST_ROWS).map((row, n) => (
                <tr key={n}>
                  <td>{format(row[x] ?? null)}</td>
                  <td class="number">{format(row[y] ?? null)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      ) : (
        <div
          ref={place}
          class="chart-place"
          role="img"
          aria-label={`${title}, ${rows.length} points`}
        />
      )}
    </figure>
  );
}
