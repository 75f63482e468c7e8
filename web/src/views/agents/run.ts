/** The forms of /agent/runs and /v1/usage, as this view looks at them; `docs/http.md` has all. */
import type { Tone } from "../../ui/basics";

export interface Spent {
  questions: number;
  tokens: number;
  cost_nano: number;
}

export interface Run {
  id: string;
  task: string;
  actor: string;
  model: string;
  pending: string;
  result: string;
  reason: string;
  detail: string;
  state: string;
  created_us: number;
  ended_us: number | null;
  spent: Spent;
}

export interface Step {
  kind: "model" | "tool" | "person";
  number: number;
  name: string;
  arguments: string;
  outcome: string;
  result: string | null;
  pending: string;
  prompt_tokens: number;
  completion_tokens: number;
  cost_nano: number;
  started_us: number;
  ended_us: number;
}

export interface RunDetail extends Run {
  limits: {
    max_steps: number;
    max_tokens: number;
    max_seconds: number;
    max_cost_nano: number | null;
  };
  steps: Step[];
}

export interface Figures {
  calls: number;
  requests: number;
  failed: number;
  denied: number;
  estimated: number;
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  cost_usd: number;
}

export interface Budget {
  call_usd: number | null;
  run_usd: number | null;
  today_usd: number | null;
  today_left_usd: number | null;
}

export type Grouping = "model" | "rung" | "source" | "key" | "actor" | "day";

export type Usage = Figures & {
  under_way: number;
  reserved_usd: number;
  budget: Budget;
} & { [by in `by_${Grouping}`]: Record<string, Figures> };

export const STATES: Record<string, Tone> = {
  running: "warn",
  waiting: "warn",
  done: "good",
  failed: "bad",
  cancelled: "none",
};

export const STATE_WORDS: Record<string, string> = {
  running: "at work",
  waiting: "waits for a person",
};

const NANO = 1e9;

/** Dollars; small sums with as many digits as they need. */
export function usd(value: number): string {
  if (value === 0) return "$0";
  const digits = value >= 1 ? 2 : Math.min(8, 1 - Math.floor(Math.log10(value)) + 1);
  return `$${value.toFixed(Math.max(2, digits))}`;
}

export function usdOfNano(nano: number): string {
  return usd(nano / NANO);
}
