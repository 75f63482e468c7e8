import type { Page } from "../../lib/api";
import { ago, plural, span } from "../../lib/format";
import type { Pending } from "../../lib/lake";
import { type Place, pathOf, setQuery } from "../../lib/router";
import { useApi, useNow, useTitle } from "../../lib/use";
import { Card, Empty, Shown, Source, State, type Tone } from "../../ui/basics";

const EVERY_MS = 5_000;

export const STATES: Record<string, Tone> = {
  waiting: "warn",
  approved: "warn",
  committed: "good",
  rejected: "none",
  lapsed: "none",
};

export function counts(change: Pending): string {
  const told = Object.entries(change.counts)
    .filter(([name, n]) => n > 0 && name !== "events")
    .map(([name, n]) => `${n.toLocaleString("en")} ${name}`);
  return told.join(", ") || "nothing";
}

/** What waits, the oldest first; or what was decided. */
export function Waiting({ place }: { place: Place }) {
  useTitle("Changes");
  const isDecided = place.query.get("decided") === "1";
  const answer = useApi<Page<Pending>>(
    `/pending?limit=200${isDecided ? "&decided=true" : ""}`,
    EVERY_MS,
  );
  const now = useNow(5_000);
  return (
    <div class="page">
      <header class="page-head">
        <div>
          <h1>Changes</h1>
          <p>
            What the rules hold until somebody decides. What they let through is in the{" "}
            <a href="/journal">journal</a>.
          </p>
        </div>
        <button
          type="button"
          aria-pressed={isDecided}
          onClick={() => setQuery({ decided: isDecided ? "" : "1" })}
        >
          Decided ones, too
        </button>
      </header>
      <Card
        title={answer.data ? plural(answer.data.items.length, "change") : "Changes"}
        aside={<Source answer={answer} />}
      >
        <Shown answer={answer} lines={4}>
          {(found) =>
            found.items.length ? (
              <ul class="plain changes">
                {found.items.map((one) => (
                  <li key={one.id}>
                    <a class="change-link" href={pathOf("changes", one.id)}>
                      {one.op} in {one.dataset}: {counts(one)}
                    </a>
                    <State tone={STATES[one.state] ?? "none"}>{one.state}</State>
                    <p>
                      {one.actor}, {ago(one.created_us / 1_000, now)}
                      {one.reason && <q>{one.reason}</q>}
                    </p>
                    <p class="quiet">
                      {one.state === "waiting"
                        ? `${one.reasons.join("; ")} · lapses in ${span(one.expires_us / 1_000 - now)}`
                        : one.decided_by && `by ${one.decided_by}`}
                    </p>
                  </li>
                ))}
              </ul>
            ) : (
              <Empty title="Nothing waits">
                A rule with the action <code>require_approval</code>, a change that is too large for
                its author, or a change made with the tier <code>dry_run</code> waits here, with
                everything it would change.
              </Empty>
            )
          }
        </Shown>
      </Card>
    </div>
  );
}
