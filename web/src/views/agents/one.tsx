import { useState } from "preact/hooks";
import { type Problem, postJson, problemFrom } from "../../lib/api";
import { ago, count, moment, plural, span } from "../../lib/format";
import { pathOf } from "../../lib/router";
import { useApi, useNow, useTitle } from "../../lib/use";
import { Action, Card, Empty, Figure, ProblemBox, Shown, Source, State } from "../../ui/basics";
import { type Live, useRun } from "./live";
import { type RunDetail, STATE_WORDS, STATES, type Step, type Usage, usdOfNano } from "./run";

const KINDS: Record<Step["kind"], string> = { model: "asked", tool: "used", person: "a person" };
const LONG_CHARACTERS = 400;
const MOST_CHARACTERS = 50_000;

/** One run: what it was for, what it cost, and every step, as it ends. */
export function OneRun({ id }: { id: string }) {
  useTitle("Run of an agent");
  const answer = useApi<RunDetail>(`/agent/runs/${encodeURIComponent(id)}`);
  const live = useRun(id, answer.data);
  const now = useNow(1_000);
  return (
    <div class="page">
      <Shown answer={answer} lines={8}>
        {(found) => {
          const run = { ...found, ...live.run };
          const isOver = !!run.ended_us;
          return (
            <>
              <header class="page-head">
                <div>
                  <p>
                    <a href="/agents">Agents</a>
                  </p>
                  <h1 class="run-title">{run.task}</h1>
                  <p>
                    {run.actor}, {ago(run.created_us / 1_000, now)}, by the model {run.model}
                  </p>
                </div>
                <div class="row">
                  {!isOver && <span class="quiet">{live.isOpen ? "live" : "connecting…"}</span>}
                  <State tone={STATES[run.state] ?? "none"}>
                    {STATE_WORDS[run.state] ?? run.state}
                  </State>
                </div>
              </header>
              {live.problem && <ProblemBox problem={live.problem} />}
              <Outcome run={run} done={answer.reload} />
              <Spent run={run} live={live} now={now} answer={answer} />
              <Card title={plural(live.steps.length, "step")} aside={<Source answer={answer} />}>
                {live.steps.length ? (
                  <ol class="steps">
                    {live.steps.map((step) => (
                      <Line key={step.number} step={step} now={now} />
                    ))}
                  </ol>
                ) : (
                  <Empty title="No step was made yet">The first question is on its way.</Empty>
                )}
              </Card>
            </>
          );
        }}
      </Shown>
    </div>
  );
}

/** What came of it, or what it waits for. */
function Outcome({ run, done }: { run: RunDetail; done: () => void }) {
  const [problem, setProblem] = useState<Problem>();
  const cancel = async () => {
    try {
      await postJson(`/api/agent/runs/${encodeURIComponent(run.id)}/cancel`, {});
      done();
    } catch (error) {
      setProblem(problemFrom(error));
    }
  };
  if (run.state === "waiting") {
    return (
      <Card title="It waits for a person">
        <p>
          What it proposes is held by the rules.{" "}
          {run.pending && <a href={pathOf("changes", run.pending)}>See the change and decide</a>}
        </p>
        {problem && <ProblemBox problem={problem} />}
        <div>
          <Action run={cancel}>End the run</Action>
        </div>
      </Card>
    );
  }
  if (!run.ended_us) return null;
  return (
    <Card title={run.state === "done" ? "What came of it" : "Why it ended"}>
      {run.result && <p class="run-result">{run.result}</p>}
      {run.reason && (
        <p>
          <code>{run.reason}</code> {run.detail}
        </p>
      )}
      {!run.result && !run.reason && <p class="quiet">It was ended by somebody.</p>}
    </Card>
  );
}

function Spent(props: {
  run: RunDetail;
  live: Live;
  now: number;
  answer: { source: string; atMs: number };
}) {
  const { run, live, now, answer } = props;
  const usage = useApi<Usage>("/v1/usage?days=1");
  const sum = (of: (step: Step) => number) => live.steps.reduce((all, step) => all + of(step), 0);
  const questions = live.steps.filter((one) => one.kind === "model" && one.result !== null).length;
  const tokens = sum((step) => step.prompt_tokens + step.completion_tokens);
  const costNano = sum((step) => step.cost_nano);
  const bounds = [run.limits.max_cost_nano, nanoOf(usage.data?.budget.run_usd)];
  const most = bounds.filter((one) => one !== null).sort((a, b) => a - b)[0];
  const lastedMs = (run.ended_us ?? now * 1_000) / 1_000 - run.created_us / 1_000;
  return (
    <section class="figures" aria-label="What it took">
      <Figure
        name="Questions"
        value={count(questions)}
        note={`of ${count(run.limits.max_steps)} at most`}
        answer={answer}
      />
      <Figure
        name="Tokens"
        value={count(tokens)}
        note={`of ${count(run.limits.max_tokens)} at most`}
        answer={answer}
      />
      <Figure name="Cost" value={usdOfNano(costNano)} answer={answer} />
      <Figure
        name="Budget left"
        value={most === undefined ? "not bounded" : usdOfNano(Math.max(0, most - costNano))}
        note={most === undefined ? "neither by the run nor by [llm]" : `of ${usdOfNano(most)}`}
        answer={usage}
      />
      <Figure
        name="Took"
        value={span(lastedMs)}
        note={run.ended_us ? `until ${moment(run.ended_us / 1_000)} UTC` : "so far"}
        answer={answer}
      />
    </section>
  );
}

function nanoOf(usd: number | null | undefined): number | null {
  return usd === null || usd === undefined ? null : usd * 1e9;
}

function Line({ step, now }: { step: Step; now: number }) {
  const isOver = step.result !== null;
  const isGood = step.outcome === "ok" || step.outcome === "";
  const tokens = step.prompt_tokens + step.completion_tokens;
  const tookMs = ((isOver ? step.ended_us : now * 1_000) - step.started_us) / 1_000;
  return (
    <li class={`step step-${step.kind}`}>
      <div class="step-head">
        <span>
          <span class="quiet">
            {step.number} · {KINDS[step.kind]}
          </span>{" "}
          <strong>{step.name}</strong>
        </span>
        {isOver ? (
          <State tone={isGood ? "good" : "bad"}>{step.outcome || "ok"}</State>
        ) : (
          <State tone="warn">under way</State>
        )}
        <span class="quiet step-cost">
          {tokens > 0 && `${plural(tokens, "token")}, ${usdOfNano(step.cost_nano)} · `}
          {span(tookMs)}
        </span>
      </div>
      {step.arguments && <Text label="with" text={step.arguments} />}
      {step.result && (
        <Text label={step.kind === "model" ? "said" : "answered"} text={step.result} />
      )}
      {step.pending && (
        <p>
          It proposed a change that waits: <a href={pathOf("changes", step.pending)}>see it</a>
        </p>
      )}
    </li>
  );
}

/** What was said, as text; what is long opens. */
function Text({ label, text }: { label: string; text: string }) {
  const shown = text.slice(0, MOST_CHARACTERS);
  if (text.length <= LONG_CHARACTERS) {
    return (
      <div class="step-text">
        <span class="quiet">{label}</span>
        <pre>{shown}</pre>
      </div>
    );
  }
  return (
    <details class="step-long">
      <summary>
        <span class="quiet">{label}</span> <span class="mono">{text.slice(0, 120)}…</span>{" "}
        <span class="quiet">{count(text.length)} characters</span>
      </summary>
      <pre>{shown}</pre>
    </details>
  );
}
