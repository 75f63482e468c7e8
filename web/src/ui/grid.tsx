/**
 * A table of any number of rows: only those that are in sight are in the page.
 * Its rows have one height, so that where row n stands needs no measuring.
 */
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import "./grid.css";

export interface Rows {
  columns: readonly { name: string; type: string; isNumber: boolean }[];
  count: number;
  /** A cell as text; null: no value. */
  cell: (row: number, column: number) => string | null;
}

const ROW_PX = 30;
const BESIDE = 12;
const MEASURED = 60;
/** Browsers lay out no taller elements; more rows than fit are not reached by the scroll bar. */
const MOST_PX = 32_000_000;
const CHARACTER_PX = 8.2;

export function Grid({ rows, label, height }: { rows: Rows; label: string; height?: number }) {
  const place = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [seen, setSeen] = useState(500);
  const widths = useMemo(() => widthsOf(rows), [rows.columns, Math.min(rows.count, MEASURED)]);
  const count = Math.min(rows.count, Math.floor(MOST_PX / ROW_PX));
  const first = Math.max(0, Math.floor(top / ROW_PX) - BESIDE);
  const last = Math.min(count, Math.ceil((top + seen) / ROW_PX) + BESIDE);
  useLayoutEffect(() => {
    setSeen(place.current?.clientHeight ?? 500);
  }, [height, rows.count > 0]);
  useEffect(() => {
    place.current?.scrollTo({ top: 0 });
  }, [rows.columns]);
  const numbers = useRef(0);
  const scrolled = () => {
    cancelAnimationFrame(numbers.current);
    numbers.current = requestAnimationFrame(() => setTop(place.current?.scrollTop ?? 0));
  };
  const template = `4.5rem ${widths.map((width) => `${width}px`).join(" ")}`;
  return (
    <div
      ref={place}
      class="grid"
      style={height ? { maxHeight: `${height}px` } : {}}
      tabIndex={0}
      role="table"
      aria-label={label}
      aria-rowcount={rows.count + 1}
      aria-colcount={rows.columns.length + 1}
      onScroll={scrolled}
    >
      <div role="rowgroup" class="grid-head">
        <div
          role="row"
          aria-rowindex={1}
          class="grid-row"
          style={{ gridTemplateColumns: template }}
        >
          <span role="columnheader" class="grid-number">
            #
          </span>
          {rows.columns.map((column, n) => (
            <span
              role="columnheader"
              key={n}
              class={column.isNumber ? "number" : ""}
              title={`${column.name}: ${column.type}`}
            >
              {column.name}
            </span>
          ))}
        </div>
      </div>
      <div role="rowgroup" class="grid-body" style={{ height: `${count * ROW_PX}px` }}>
        {Array.from({ length: Math.max(0, last - first) }, (_, offset) => {
          const row = first + offset;
          return (
            <div
              role="row"
              key={row}
              aria-rowindex={row + 2}
              class="grid-row"
              style={{ gridTemplateColumns: template, top: `${row * ROW_PX}px` }}
            >
              <span role="cell" class="grid-number">
                {row + 1}
              </span>
              {rows.columns.map((column, n) => {
                const text = rows.cell(row, n);
                return (
                  <span
                    role="cell"
                    key={n}
                    class={`${column.isNumber ? "number" : ""}${text === null ? " none" : ""}`}
                    title={text !== null && text.length > 24 ? text.slice(0, 2_000) : undefined}
                  >
                    {text === null ? "null" : text.slice(0, 300)}
                  </span>
                );
              })}
            </div>
          );
        })}
      </div>
    </div>
  );
}

function widthsOf(rows: Rows): number[] {
  return rows.columns.map((column, n) => {
    let longest = column.name.length;
    for (let row = 0; row < Math.min(rows.count, MEASURED); row += 1) {
      longest = Math.max(longest, (rows.cell(row, n) ?? "null").length);
    }
    return Math.round(Math.min(360, Math.max(64, longest * CHARACTER_PX + 28)));
  });
}

/** Rows of texts, as a grid takes them. */
export function plainRows(
  columns: readonly { name: string; type: string }[],
  values: readonly (readonly (string | null)[])[],
): Rows {
  return {
    columns: columns.map((column) => ({ ...column, isNumber: isNumeric(column.type) })),
    count: values.length,
    cell: (row, column) => values[row]?.[column] ?? null,
  };
}

export function isNumeric(type: string): boolean {
  return /^(u?int|float|double|half|decimal)/i.test(type);
}
