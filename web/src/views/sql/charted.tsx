import { useMemo, useState } from "preact/hooks";
import type { Result } from "../../lib/arrow";
import { Empty } from "../../ui/basics";
import { Chart, type Kind, type Row } from "../../ui/chart";

const MOST_POINTS = 5_000;

/** The first rows as a chart of two of their columns. */
export function Charted({ result, isDone }: { result: Result; isDone: boolean }) {
  const names = result.columns.map((column) => column.name);
  const numbers = result.columns.filter((column) => column.isNumber).map((column) => column.name);
  const [x, setX] = useState(names[0] ?? "");
  const [y, setY] = useState(numbers.find((name) => name !== names[0]) ?? numbers[0] ?? "");
  const [kind, setKind] = useState<Kind>("bar");
  const rows = useMemo(() => {
    const [xAt, yAt] = [names.indexOf(x), names.indexOf(y)];
    const found: Row[] = [];
    for (let row = 0; row < Math.min(result.count, MOST_POINTS); row += 1) {
      found.push({ [x]: result.value(row, xAt), [y]: result.value(row, yAt) });
    }
    return found;
  }, [result, result.count, x, y]);
  if (!numbers.length) {
    return <Empty title="A chart needs a column of numbers">Count or sum something.</Empty>;
  }
  const choice = (
    label: string,
    value: string,
    all: readonly string[],
    set: (value: string) => void,
  ) => (
    <label class="row">
      <span class="quiet">{label}</span>
      <select value={value} onChange={(event) => set(event.currentTarget.value)}>
        {all.map((name) => (
          <option key={name}>{name}</option>
        ))}
      </select>
    </label>
  );
  return (
    <div class="card">
      <div class="row">
        {choice("As", kind, ["bar", "line", "dot"], (value) => setKind(value as Kind))}
        {choice("Across", x, names, setX)}
        {choice("Up", y, numbers, setY)}
        {result.count > MOST_POINTS && (
          <span class="quiet">of the first {MOST_POINTS.toLocaleString("en")} rows</span>
        )}
      </div>
      {isDone && <Chart title={`${y} by ${x}`} rows={rows} x={x} y={y} kind={kind} height={340} />}
    </div>
  );
}
