/** Query results as Arrow: columns as they come, cells as text when they are looked at. */
import {
  type DataType,
  type RecordBatch,
  RecordBatchReader,
  type Schema,
  Type,
} from "apache-arrow";
import { isNumeric, type Rows } from "../ui/grid";
import { send } from "./api";

/** More rows are not taken: the statement says which ones it wants. */
export const MOST_ROWS = 1_000_000;
const MOST_BYTES = 1_000_000_000;
const ARROW = "application/vnd.apache.arrow.stream";

export class Result implements Rows {
  readonly columns: Rows["columns"];
  count = 0;
  bytes = 0;
  isCut = false;
  private readonly batches: RecordBatch[] = [];
  private readonly starts: number[] = [];

  constructor(readonly schema: Schema) {
    this.columns = schema.fields.map((field) => ({
      name: field.name,
      type: String(field.type),
      isNumber: isNumeric(String(field.type)),
    }));
  }

  add(batch: RecordBatch): void {
    this.starts.push(this.count);
    this.batches.push(batch);
    this.count += batch.numRows;
    this.bytes += batch.data.byteLength;
  }

  cell(row: number, column: number): string | null {
    const [batch, at] = this.at(row);
    const found = batch?.getChildAt(column);
    const field = this.schema.fields[column];
    if (!found || !field) return null;
    return textOf(found.get(at) as unknown, field.type as DataType);
  }

  /** A cell as a chart takes it. */
  value(row: number, column: number): number | string | Date | null {
    const type = this.schema.fields[column]?.type as DataType | undefined;
    const text = this.cell(row, column);
    if (text === null || !type) return null;
    if (type.typeId === Type.Timestamp || type.typeId === Type.Date) return new Date(text);
    return isNumeric(String(type)) ? Number(text) : text;
  }

  private at(row: number): [RecordBatch | undefined, number] {
    let low = 0;
    let high = this.starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.starts[middle] ?? 0) <= row) low = middle;
      else high = middle - 1;
    }
    return [this.batches[low], row - (this.starts[low] ?? 0)];
  }
}

/** Run a query; `told` hears of its result while it comes. */
export async function query(
  body: Record<string, unknown>,
  signal: AbortSignal,
  told: (result: Result) => void,
): Promise<Result | Record<string, unknown>> {
  const answer = await send("/api/query/sql", {
    method: "POST",
    headers: { "content-type": "application/json", accept: ARROW },
    body: JSON.stringify(body),
    signal,
  });
  if (!answer.headers.get("content-type")?.startsWith(ARROW)) {
    return (await answer.json()) as Record<string, unknown>;
  }
  const reader = await RecordBatchReader.from(answer);
  await reader.open();
  const result = new Result(reader.schema);
  let drawn = 0;
  for await (const batch of reader) {
    result.add(batch as RecordBatch);
    if (result.count > MOST_ROWS || result.bytes > MOST_BYTES) {
      result.isCut = true;
      break;
    }
    if (performance.now() - drawn > 100) {
      drawn = performance.now();
      told(result);
    }
  }
  return result;
}

function textOf(value: unknown, type: DataType): string | null {
  if (value === null || value === undefined) return null;
  switch (type.typeId) {
    case Type.Timestamp:
      return new Date(Number(value))
        .toISOString()
        .replace("T", " ")
        .replace(/\.?0*Z$/, "");
    case Type.Date:
      return new Date(Number(value)).toISOString().slice(0, 10);
    case Type.Decimal:
      return decimal(value as Uint32Array, (type as unknown as { scale: number }).scale);
    case Type.Binary:
    case Type.FixedSizeBinary:
    case Type.LargeBinary:
      return [...(value as Uint8Array).subarray(0, 64)]
        .map((byte) => byte.toString(16).padStart(2, "0"))
        .join("");
  }
  if (typeof value === "object") {
    return JSON.stringify(value, (_, part: unknown) =>
      typeof part === "bigint" ? part.toString() : part,
    );
  }
  return String(value);
}

/** A decimal: little-endian words of two's complement, and where the point is. */
function decimal(words: Uint32Array, scale: number): string {
  let number = 0n;
  for (let n = words.length - 1; n >= 0; n -= 1) number = (number << 32n) | BigInt(words[n] ?? 0);
  number = BigInt.asIntN(words.length * 32, number);
  const sign = number < 0n ? "-" : "";
  const digits = (number < 0n ? -number : number).toString().padStart(scale + 1, "0");
  return scale > 0 ? `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}` : sign + digits;
}
