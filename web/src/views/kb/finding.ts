/** The forms of /review, as this view looks at them; `docs/review.md` has all. */
import { getJson, type Page } from "../../lib/api";
import type { Tone } from "../../ui/basics";

export interface Finding {
  id: string;
  state: string;
  severity: string;
  category: string;
  path: string;
  line: number;
  end_line: number;
  symbol: string;
  claim: string;
  quote: string;
  confidence: number | null;
  model: string;
  reason: string;
  who: string;
  until: string | null;
}

export interface ReviewRun {
  id: string;
  repository: string;
  bar: string;
  iteration: number;
  began: string;
}

export interface Iteration {
  iteration: number;
  run_id: string;
  revision: string;
  time: string;
  path: string;
  outcome: string;
  model: string;
  verdict: string | null;
  score: number | null;
  confirmed_score: number | null;
  is_changed: boolean | null;
  found: string[] | null;
}

export interface ReviewedFile {
  repository: string;
  path: string;
  score: number | null;
  confirmed_score: number | null;
  open: number;
  signal: string;
  reason: string;
  noise: { sigma: number; pairs: number } | null;
  iterations: Iteration[];
  findings: Finding[];
}

export const SEVERITIES = ["critical", "major", "minor", "info"];
export const SEVERITY_TONES: Record<string, Tone> = {
  critical: "bad",
  major: "warn",
  minor: "none",
  info: "none",
};

export const STATES: Record<string, { words: string; tone: Tone }> = {
  new: { words: "new", tone: "warn" },
  persistent: { words: "still there", tone: "warn" },
  reopened: { words: "reopened", tone: "bad" },
  not_reobserved: { words: "not seen again, code unchanged", tone: "warn" },
  claimed_fixed: { words: "claimed fixed, not confirmed", tone: "warn" },
  confirmed_fixed: { words: "confirmed fixed", tone: "good" },
  removed: { words: "its code is gone", tone: "none" },
  ignored: { words: "ignored", tone: "none" },
};

const MOST_PAGES = 5;
const PAGE_ROWS = 1_000;

/** All findings of a repository, as far as the pages that are taken go. */
export async function allFindings(query: string, signal: AbortSignal): Promise<Page<Finding>> {
  const items: Finding[] = [];
  let next: string | null = null;
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const cursor: string = next ? `&cursor=${encodeURIComponent(next)}` : "";
    const path = `/api/review/findings?${query}&limit=${PAGE_ROWS}${cursor}`;
    const found: Page<Finding> = await getJson<Page<Finding>>(path, signal);
    items.push(...found.items);
    next = found.next;
    if (!next) break;
  }
  return { items, next };
}
