import type { Page } from "../../lib/api";
import { ago, count, moment, plural } from "../../lib/format";
import type { Check, Event, JournalStats, Pending, Verified } from "../../lib/lake";
import { type Answer, useApi, useNow, useTitle } from "../../lib/use";
import { Card, Figure, Shown, Source, State, type Tone } from "../../ui/basics";
import { Needed } from "./needed";
import { Rate } from "./rate";

const DAY_MS = 86_400_000;
const EVERY_MS = 10_000;
/** Verifying reads the journal: not at every look. */
const VERIFIED_MS = 60_000;

const TONES: Record<Check["status"], Tone> = {
  green: "good",
  broken: "bad",
  inconclusive: "warn",
  absent: "none",
};
const QUESTIONS = {
  integrity: "Is every event as it was sealed?",
  anchored: "Is the log's head signed?",
  completeness: "Does the record have every change?",
} as const;

/** Is the lake sound, and what needs a person now? */
export default function Home() {
  useTitle("Home");
  const verified = useApi<Verified>("/verify", 0, VERIFIED_MS);
  const stats = useApi<JournalStats>("/journal/stats", EVERY_MS);
  const pending = useApi<Page<Pending>>("/pending?limit=1000", EVERY_MS);
  const since = new Date(Math.floor(Date.now() / 60_000) * 60_000 - DAY_MS).toISOString();
  const refused = useApi<Page<Event>>(
    `/journal/events?entity_type=decision&action=refused&since=${since}&limit=100`,
  );
  const ready = useApi<Record<string, string>>("/ready", 30_000);
  const last = useApi<Page<Event>>("/journal/recent?limit=1", EVERY_MS);
  return (
    <div class="page">
      <header class="page-head">
        <div>
          <h1>
            <Verdict verified={verified} />
          </h1>
          <p>{verified.data ? "" : "The record is being checked against itself."}</p>
        </div>
        <button type="button" disabled={verified.isLoading} onClick={verified.reload}>
          {verified.isLoading ? "Verifying…" : "Verify again"}
        </button>
      </header>
      <Needed verified={verified} stats={stats} pending={pending} refused={refused} ready={ready} />
      <Card title="Can the record be trusted?" aside={<Source answer={verified} />}>
        <Shown answer={verified} lines={3}>
          {(data) => (
            <div class="checks">
              {(["integrity", "anchored", "completeness"] as const).map((name) => (
                <div class="check" key={name}>
                  <State tone={TONES[data[name].status]}>{name}</State>
                  <div>
                    <p>{QUESTIONS[name]}</p>
                    <p class="quiet">{data[name].summary}</p>
                    {data[name].problems.length > 0 && (
                      <ul class="problems">
                        {data[name].problems.slice(0, 10).map((text) => (
                          <li key={text}>{text}</li>
                        ))}
                      </ul>
                    )}
                  </div>
                </div>
              ))}
            </div>
          )}
        </Shown>
      </Card>
      <Card title="The journal">
        <Shown answer={stats} lines={2}>
          {(data) => (
            <div class="figures">
              <Figure
                name="Sealed events"
                value={count(data.tree_size)}
                answer={stats}
                href="/journal"
              />
              <Figure
                name="Waiting to be sealed"
                value={count(data.buffer_events + data.pending.events)}
                note={
                  data.pending.commits
                    ? `oldest ${Math.round(data.pending.oldest_age_s)} s`
                    : "nothing is behind"
                }
                answer={stats}
              />
              <LastEvent last={last} />
              <Figure
                name="Refused changes, 24 h"
                value={refused.data ? counted(refused.data) : "…"}
                note="by the rules, before anything was written"
                href="/journal?entity_type=decision&action=refused"
                answer={refused}
              />
              <Figure
                name="Waiting for approval"
                value={pending.data ? counted(pending.data) : "…"}
                href="/changes"
                answer={pending}
              />
            </div>
          )}
        </Shown>
      </Card>
      <div class="columns">
        <Rate />
        <Card title="Services" aside={<Source answer={ready} />}>
          <Shown answer={ready} lines={3}>
            {(data) => (
              <ul class="plain">
                {Object.entries(data)
                  .filter(([name]) => name !== "status")
                  .map(([name, found]) => (
                    <li key={name} class="row spread">
                      <span>{name}</span>
                      <State tone={found === "ok" ? "good" : "bad"}>
                        {found === "ok" ? "answers" : found}
                      </State>
                    </li>
                  ))}
              </ul>
            )}
          </Shown>
        </Card>
      </div>
    </div>
  );
}

function counted(page: Page<unknown>): string {
  return count(page.items.length) + (page.next ? "+" : "");
}

function LastEvent({ last }: { last: Answer<Page<Event>> }) {
  const now = useNow(5_000);
  const event = last.data?.items[0];
  const told = event ? ago(new Date(event.timestamp).getTime(), now) : "none yet";
  return (
    <Figure
      name="Last sealed event"
      value={last.data ? told : "…"}
      note={event && `${moment(event.timestamp)} UTC`}
      answer={last}
    />
  );
}

function Verdict({ verified }: { verified: Answer<Verified> }) {
  const data = verified.data;
  if (!data)
    return <>{verified.problem ? "Whether the lake is sound is not known" : "Checking…"}</>;
  if (data.status === "green") return <>The lake is sound</>;
  const worst = (["integrity", "anchored", "completeness"] as const).filter(
    (name) => data[name].status === data.status,
  );
  if (data.status === "broken") return <>The lake is not sound: {worst.join(", ")}</>;
  return (
    <>
      {plural(worst.length, "question")} about the lake cannot be answered: {worst.join(", ")}
    </>
  );
}
