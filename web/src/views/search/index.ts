/** The forms of /search, as this view looks at them; `docs/search.md` has all. */
import type { Tone } from "../../ui/basics";

export const JOURNAL = "system.journal";

export interface Index {
  name: string;
  dataset: string;
  kind: "text" | "vector" | "hybrid";
  columns: string[];
  key: string[];
  model: string | null;
  metric: string;
  state: string;
  error: string | null;
  covered_version: number | null;
  version: number | null;
  rows_behind: number | null;
  rows: number | null;
  skipped: number | null;
  recall: number | null;
  size_bytes: number;
  built_us: number | null;
  duration_s: number | null;
}

/** A piece of an excerpt: text, whatever is in it. */
export interface Piece {
  text: string;
  is_found: boolean;
}

export type Hit = Record<string, unknown> & {
  _rank: number;
  _score: number;
  _key: string;
  _highlight: Piece[] | null;
};

export interface Found {
  dataset: string;
  covered_version: number;
  version: number;
  rows_behind: number | null;
  is_behind: boolean;
  is_exact: boolean;
  recall: number | null;
  items: Hit[];
  next: string | null;
}

export const KINDS: Record<Index["kind"], string> = {
  text: "by words",
  vector: "by meaning",
  hybrid: "by words and meaning",
};

export const STATES: Record<string, Tone> = {
  ready: "good",
  stale: "warn",
  building: "warn",
  failed: "bad",
};

export function recallOf(recall: number | null): string {
  return recall === null ? "–" : recall.toFixed(3);
}
