/** The forms of the gateway's answers, as far as the views look at them; `docs/http.md` has all. */

export interface Event {
  seq: number;
  event_id: string;
  timestamp: string;
  entity_type: string;
  entity_id: string;
  field: string;
  action: string;
  old_value: string | null;
  new_value: string | null;
  actor: string;
  source: string;
  workspace_id: string;
  dataset: string;
  dataset_id: string;
  version: number | null;
  mutation_id: string;
  context: string;
  leaf: number;
}

export interface Check {
  status: "green" | "broken" | "inconclusive" | "absent";
  summary: string;
  problems: string[];
}

export interface Verified {
  status: "green" | "broken" | "inconclusive";
  integrity: Check;
  anchored: Check;
  completeness: Check;
}

export interface JournalStats {
  tree_size: number;
  buffer_events: number;
  root: string;
  pending: { commits: number; events: number; oldest_age_s: number; unreadable: string[] };
  last_seal_error: string | null;
  last_checkpoint_error: string | null;
}

export interface Pending {
  id: string;
  state: string;
  op: string;
  dataset: string;
  counts: Record<string, number>;
  created_us: number;
  expires_us: number;
  decided_us: number | null;
  decided_by: string | null;
  actor: string;
  reason: string;
  tier: string;
  reasons: string[];
  approval: Record<string, unknown> | null;
}

export interface Entry {
  name: string;
  key: string[];
  entity_type: string;
  contract: string;
  state: string;
  protected: boolean;
  owner: string;
  description: string;
  created_us: number;
  checks: Record<string, string> | null;
}

export interface Column {
  name: string;
  type: string;
  nullable: boolean;
}

export interface Described extends Entry {
  version: number | null;
  rows: number | null;
  files: number | null;
  size_bytes: number | null;
  columns: Column[];
}

/** A member of an event's context, such as the reason; empty when it has none. */
export function contextOf(event: Event, member: string): string {
  try {
    const found: unknown = (JSON.parse(event.context) as Record<string, unknown>)[member];
    return typeof found === "string" ? found : found === undefined ? "" : JSON.stringify(found);
  } catch {
    return "";
  }
}

/** Of a dataset's newest events, the last one that changed it: a decision about it did not. */
export function lastChange(events: readonly Event[] | undefined): Event | undefined {
  return events?.find((event) => event.version !== null);
}
