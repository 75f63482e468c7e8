/** Names that the editor completes: datasets that may be read, and their columns. */
import { getJson, type Page } from "../../lib/api";
import type { Described, Entry } from "../../lib/lake";

const MOST_DESCRIBED = 100;
const AT_A_TIME = 4;

const SYSTEM: Record<string, string[]> = {
  "system.journal": [
    "seq",
    "event_id",
    "timestamp",
    "entity_type",
    "entity_id",
    "field",
    "action",
    "old_value",
    "new_value",
    "actor",
    "source",
    "workspace_id",
    "dataset",
    "version",
    "mutation_id",
    "context",
  ],
  "system.mutations": [
    "mutation_id",
    "dataset",
    "version",
    "actor",
    "source",
    "timestamp",
    "events",
    "inserts",
    "updates",
    "deletes",
    "reason",
  ],
  "system.decisions": ["mutation_id", "outcome", "op", "tier", "dataset", "actor", "timestamp"],
  "system.pending": ["id", "state", "op", "dataset", "actor", "reason", "created", "expires"],
  "system.quarantine": ["mutation_id", "dataset", "file", "line", "column", "text", "reason"],
};

/** Told twice: with the datasets at once, and with their columns when those are there. */
export async function schema(
  told: (found: Record<string, string[]>) => void,
  signal: AbortSignal,
): Promise<void> {
  const { items } = await getJson<Page<Entry>>("/api/catalog/datasets?limit=1000", signal);
  const found: Record<string, string[]> = { ...SYSTEM };
  for (const one of items) found[one.name] = [];
  told({ ...found });
  const names = items.slice(0, MOST_DESCRIBED).map((one) => one.name);
  const next = async (): Promise<void> => {
    for (let name = names.shift(); name !== undefined; name = names.shift()) {
      const path = `/api/catalog/datasets/${encodeURIComponent(name)}`;
      const described = await getJson<Described>(path, signal).catch(() => undefined);
      if (described) found[name] = described.columns.map((column) => column.name);
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, next));
  told({ ...found });
}
