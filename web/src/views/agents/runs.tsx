import type { Page } from "../../lib/api";
import { ago, count, plural, span } from "../../lib/format";
import { pathOf } from "../../lib/router";
import { useApi, useNow, useTitle } from "../../lib/use";
import { Card, Empty, Figure, Shown, Source, State } from "../../ui/basics";
import { Halves } from "./parts";
import { type Run, STATE_WORDS, STATES, type Usage, usd, usdOfNano } from "./run";

const EVERY_MS = 5_000;
const LISTED = 200;

/** Who did what with a model, the newest first. */
export function Runs() {
  useTitle("Agents");
  const answer = useApi<Page<Run>>(`/agent/runs?limit=${LISTED}`, EVERY_MS);
  const usage = useApi<Usage>("/v1/usage?days=1", 4 * EVERY_MS);
  const now = useNow(5_000);
  const runs = answer.data?.items ?? [];
  const waiting = runs.filter((one) => one.state === "waiting");
  return (
    <div class="page">
      <header class="page-head">
        <div>
          <h1>Agents</h1>
          <p>Tasks that a model carries out, in a principal's name and by the rules.</p>
        </div>
        <Halves at="runs" />
      </header>
      <section class="figures" aria-label="Figures">
        <Figure
          name="Wait for a person"
          value={answer.data ? count(waiting.length) : "…"}
          answer={answer}
          {...(waiting.length ? { href: "/changes" } : {})}
        />
        <Figure
          name="At work"
          value={answer.data ? count(runs.filter((one) => one.state === "running").length) : "…"}
          answer={answer}
        />
        <Figure
          name="Spent today"
          value={usage.data ? usd(usage.data.cost_usd) : "…"}
          note={usage.data && `${plural(usage.data.requests, "request")}, agents and others`}
          href="/agents/usage"
          answer={usage}
        />
        <Figure name="Budget left today" value={leftOf(usage.data)} answer={usage} />
      </section>
      <Card
        title={answer.data ? plural(runs.length, "run") : "Runs"}
        aside={<Source answer={answer} />}
      >
        <Shown answer={answer} lines={5}>
          {(found) =>
            found.items.length ? (
              <>
                <ul class="plain runs">
                  {found.items.map((one) => (
                    <Line key={one.id} run={one} now={now} />
                  ))}
                </ul>
                {found.items.length >= LISTED && (
                  <p class="quiet">
                    The newest {count(LISTED)} of this machine; all are in{" "}
                    <a
                      href={`/sql?q=${encodeURIComponent("select * from system.runs order by time desc limit 1000")}`}
                    >
                      system.runs
                    </a>
                    .
                  </p>
                )}
              </>
            ) : (
              <Empty title="No agent was given a task yet">
                With a rung in <code>[llm]</code> of <code>lakecore.toml</code>, at a terminal:{" "}
                <code>lakecore agent run "Correct the seats of N10156" --actor agent:tidy</code>, or{" "}
                <code>POST /agent/runs</code>. Each step shows here as it ends, and what it proposes
                waits in <a href="/changes">Changes</a> where the rules say so.
              </Empty>
            )
          }
        </Shown>
      </Card>
    </div>
  );
}

export function leftOf(usage: Usage | undefined): string {
  if (!usage) return "…";
  const left = usage.budget.today_left_usd;
  return left === null ? "not bounded" : usd(left);
}

function Line({ run, now }: { run: Run; now: number }) {
  const lastedMs = (run.ended_us ?? now * 1_000) / 1_000 - run.created_us / 1_000;
  return (
    <li>
      <a class="run-task" href={pathOf("agents", "runs", run.id)}>
        {run.task}
      </a>
      <State tone={STATES[run.state] ?? "none"}>{STATE_WORDS[run.state] ?? run.state}</State>
      <p class="quiet">
        {run.actor}, {ago(run.created_us / 1_000, now)}
        {run.ended_us ? `, in ${span(lastedMs)}` : ""} · {plural(run.spent.questions, "question")},{" "}
        {plural(run.spent.tokens, "token")}, {usdOfNano(run.spent.cost_nano)}
        {run.reason && ` · ${run.reason}`}
        {run.pending && (
          <>
            {" · "}
            <a href={pathOf("changes", run.pending)}>its change</a>
          </>
        )}
      </p>
    </li>
  );
}
