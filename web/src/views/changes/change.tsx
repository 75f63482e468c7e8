import { useState } from "preact/hooks";
import { type Problem, postJson, problemFrom } from "../../lib/api";
import { ago, count, moment, shown, span } from "../../lib/format";
import type { Pending } from "../../lib/lake";
import { pathOf } from "../../lib/router";
import { forget, useApi, useNow, useTitle } from "../../lib/use";
import { Action, Card, Empty, ProblemBox, Shown, Source, State } from "../../ui/basics";
import { counts, STATES } from "./waiting";

interface Line {
  entity_id: string;
  field: string;
  action: string;
  old_value: string | null;
  new_value: string | null;
}

interface Fired {
  rule: string;
  action: string;
  message: string;
  fired: number;
  errors: number;
  error: string | null;
}

interface Sample {
  entity_id: string;
  rules: {
    rule: string;
    message: string;
    error: string | null;
    because: { path: string; found: unknown; expected: string }[];
  }[];
}

interface Detail extends Pending {
  diff?: Line[];
  rules: Fired[] | null;
  samples?: Sample[];
  rule_set: { name: string; version: number; hash: string } | null;
}

const DIFF_ROWS = 1_000;

/** One change: who and why, what exactly, which rules held it, and the decision. */
export function Change({ id }: { id: string }) {
  useTitle("Change");
  const answer = useApi<Detail>(`/pending/${encodeURIComponent(id)}?limit=${DIFF_ROWS}`);
  const now = useNow(5_000);
  return (
    <div class="page">
      <Shown answer={answer} lines={8}>
        {(found) => (
          <>
            <header class="page-head">
              <div>
                <p>
                  <a href="/changes">Changes</a>
                </p>
                <h1>
                  {found.op} in {found.dataset}: {counts(found)}
                </h1>
                <p>
                  {found.actor}, {ago(found.created_us / 1_000, now)}
                  {found.reason && <q>{found.reason}</q>}
                </p>
              </div>
              <State tone={STATES[found.state] ?? "none"}>{found.state}</State>
            </header>
            {found.state === "waiting" ? (
              <Decision change={found} now={now} done={answer.reload} />
            ) : (
              <Card title="Decided">
                <p>
                  {found.decided_by ? `By ${found.decided_by}` : "It lapsed"}
                  {found.decided_us ? `, ${moment(found.decided_us / 1_000)} UTC` : ""}.{" "}
                  <a href={`/journal?mutation_id=${encodeURIComponent(id)}`}>
                    What the journal has of it
                  </a>
                </p>
              </Card>
            )}
            <Card title="What exactly would change" aside={<Source answer={answer} />}>
              <Diff change={found} />
            </Card>
            <Rules change={found} />
          </>
        )}
      </Shown>
    </div>
  );
}

function Decision(props: { change: Detail; now: number; done: () => void }) {
  const { change, now, done } = props;
  const [reason, setReason] = useState("");
  const [problem, setProblem] = useState<Problem>();
  const decide = async (what: "approve" | "reject") => {
    try {
      await postJson(`/api/pending/${encodeURIComponent(change.id)}/${what}`, { reason });
      forget();
      done();
      setProblem(undefined);
    } catch (error) {
      setProblem(problemFrom(error));
      done();
    }
  };
  const by = change.approval?.by;
  return (
    <Card title="Your decision">
      <p class="quiet">
        It is made exactly as it is shown here, or, when the rows or the rules differ by then, shown
        again. {by === "another" ? "Somebody else than its author decides. " : ""}
        It lapses in {span(change.expires_us / 1_000 - now)}.
      </p>
      {problem && <ProblemBox problem={problem} />}
      <div class="row">
        <label class="change-why">
          <span class="visually-hidden">Why</span>
          <input
            placeholder="Why, for the record"
            value={reason}
            onInput={(event) => setReason(event.currentTarget.value)}
          />
        </label>
        <Action class="primary" run={() => decide("approve")}>
          Approve
        </Action>
        <Action run={() => decide("reject")}>Reject</Action>
      </div>
    </Card>
  );
}

function Diff({ change }: { change: Detail }) {
  if (change.diff === undefined) {
    return <Empty title="You may decide about this dataset, but not read it" />;
  }
  if (!change.diff.length) {
    return <Empty title="It is decided">The journal has what was made.</Empty>;
  }
  return (
    <>
      <div class="table-wrap">
        <table>
          <thead>
            <tr>
              <th scope="col">Row</th>
              <th scope="col">What</th>
              <th scope="col">Field</th>
              <th scope="col">Old</th>
              <th scope="col">New</th>
            </tr>
          </thead>
          <tbody>
            {change.diff.map((line, n) => (
              <tr key={n}>
                <th scope="row">
                  <a href={pathOf("journal", "entity", change.dataset, line.entity_id)}>
                    {line.entity_id || "–"}
                  </a>
                </th>
                <td>
                  <span class={`tag ${line.action}`}>{line.action}</span>
                </td>
                <td>{line.field === "*" ? "the whole row" : line.field}</td>
                <td class="diff">
                  {line.old_value !== null && <del>{shown(line.old_value)}</del>}
                </td>
                <td class="diff">
                  {line.new_value !== null && <ins>{shown(line.new_value)}</ins>}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {change.diff.length >= DIFF_ROWS && (
        <p class="quiet">
          The first {count(DIFF_ROWS)} lines of it; an approval is of all: {counts(change)}.
        </p>
      )}
    </>
  );
}

function Rules({ change }: { change: Detail }) {
  const fired = (change.rules ?? []).filter((rule) => rule.fired || rule.errors);
  return (
    <Card
      title="Why it waits"
      aside={
        change.rule_set && (
          <span class="source">
            rules “{change.rule_set.name}”, version {change.rule_set.version},{" "}
            <code>{change.rule_set.hash.slice(0, 12)}</code>
          </span>
        )
      }
    >
      {!fired.length && <p>{change.reasons.join("; ") || "It was asked for."}</p>}
      <ul class="plain">
        {fired.map((rule) => (
          <li key={rule.rule} class="rule">
            <State tone={rule.action === "deny" ? "bad" : "warn"}>{rule.rule}</State>
            <p>
              {rule.message}{" "}
              <span class="quiet">
                fired on {count(rule.fired)}
                {rule.errors ? `, failed on ${count(rule.errors)}: ${rule.error ?? ""}` : ""}
              </span>
            </p>
            <ul class="rule-why quiet">
              {(change.samples ?? [])
                .flatMap((sample) =>
                  sample.rules
                    .filter((one) => one.rule === rule.rule)
                    .map((one) => ({ sample, one })),
                )
                .slice(0, 5)
                .map(({ sample, one }) => (
                  <li key={sample.entity_id}>
                    {sample.entity_id}:{" "}
                    {one.error ??
                      one.because
                        .filter((check) => check.path)
                        .map(
                          (check) =>
                            `${check.path} is ${JSON.stringify(check.found)}, the rule asks ${check.expected}`,
                        )
                        .join("; ")}
                  </li>
                ))}
            </ul>
          </li>
        ))}
      </ul>
    </Card>
  );
}
