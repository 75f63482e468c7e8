/** The forms of `/data/file`. */

export interface Sign {
  iteration: number;
  time: string;
  sign: string;
  state: string;
  reason: string;
  who: string;
}

export interface Finding {
  id: string;
  state: string;
  severity: string;
  category: string;
  line: number;
  symbol: string;
  claim: string;
  quote: string;
  model: string;
  reason: string;
  who: string;
  signs: Sign[];
}

export interface Iteration {
  iteration: number;
  run_id: string;
  time: string;
  outcome: string;
  is_clipped: boolean;
  model: string;
  rung: string;
  attempts: number;
  prompt_tokens: number | null;
  completion_tokens: number | null;
  cost_microusd: number | null;
  verdict: string | null;
  score: number | null;
  confirmed_score: number | null;
  grounded: number | null;
  ungrounded: number | null;
}

export interface FileTraced {
  path: string;
  score: number | null;
  confirmed_score: number | null;
  open: number;
  findings_count: number;
  signal: string;
  reason: string;
  noise: { sigma: number; redetection: number; pairs: number } | null;
  iterations: Iteration[];
  findings: Finding[];
}

export interface Parsed {
  output_format: string;
  verdict: string | null;
  score: number | null;
  confidence: number | null;
  findings: {
    category: string;
    severity: string;
    symbol: string;
    quote: string;
    claim: string;
    confidence: number | null;
  }[];
  verified_components: string[];
  missing_components: string[];
}

export interface Asked {
  prompt: string | null;
  answers: {
    time: string;
    purpose: string;
    outcome: string;
    model: string;
    rung: string;
    attempts: number;
    blob: string;
    answer: string;
    is_cut: boolean;
    parsed: Parsed | null;
  }[];
  rungs:
    | {
        rung: string;
        model: string;
        outcome: string;
        attempts: number;
        prompt_tokens: number | null;
        completion_tokens: number | null;
        cost_usd: number | null;
        detail: string;
      }[]
    | null;
}

export const STATE_WORDS: Record<string, string> = {
  new: "born",
  persistent: "still there",
  not_reobserved: "not seen again, code unchanged",
  claimed_fixed: "claimed fixed",
  confirmed_fixed: "confirmed fixed",
  removed: "removed with its code",
  reopened: "came back",
  ignored: "ignored",
};

export function usd(microusd: number | null): string {
  if (microusd === null) return "no data";
  return microusd === 0 ? "$0" : `$${(microusd / 1_000_000).toFixed(microusd < 10_000 ? 4 : 2)}`;
}
