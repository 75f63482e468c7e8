import { useState } from "preact/hooks";
import { type Problem, postJson, problemFrom } from "../../lib/api";
import { moment } from "../../lib/format";
import { Action, ProblemBox, State } from "../../ui/basics";
import { type Finding, SEVERITY_TONES, STATES } from "./finding";

const DAY_MS = 86_400_000;
const UNTIL: Record<string, string> = {
  "7": "for a week",
  "30": "for 30 days",
  "90": "for 90 days",
  "": "for good",
};

/** A finding: where, what is claimed, the words of the file that show it, what came of it. */
export function FindingCard(props: {
  finding: Finding;
  repository: string;
  may: boolean;
  done: () => void;
}) {
  const { finding, repository, may, done } = props;
  const [isAsked, setAsked] = useState(false);
  const state = STATES[finding.state] ?? { words: finding.state, tone: "none" as const };
  const file = `/kb/file?${new URLSearchParams({ path: finding.path, repository })}`;
  const isClosed = ["ignored", "removed", "confirmed_fixed"].includes(finding.state);
  return (
    <li class={`finding severity-${finding.severity}`}>
      <div class="finding-head">
        <State tone={SEVERITY_TONES[finding.severity] ?? "none"}>{finding.severity}</State>
        <span class="tag">{finding.category}</span>
        <span class="finding-state">
          <State tone={state.tone}>{state.words}</State>
        </span>
      </div>
      <p class="finding-claim">{finding.claim}</p>
      <figure class="finding-quote">
        <pre>
          <code>{finding.quote}</code>
        </pre>
        <figcaption>
          <a class="finding-where" href={file}>
            {finding.path}:{finding.line}
          </a>
          {finding.symbol && (
            <span>
              {" "}
              in <code>{finding.symbol}</code>
            </span>
          )}
          <span class="quiet">
            {" "}
            · {finding.model || "model not on record"}
            {finding.confidence !== null && `, its own confidence ${finding.confidence.toFixed(2)}`}
          </span>
        </figcaption>
      </figure>
      {(finding.reason || finding.who) && (
        <p class="quiet">
          {finding.reason}
          {finding.who && ` · ${finding.who}`}
          {finding.until && `, until ${moment(finding.until)} UTC`}
        </p>
      )}
      {may && !isClosed && !isAsked && (
        <div>
          <button type="button" class="link" onClick={() => setAsked(true)}>
            Not useful…<span class="visually-hidden"> {finding.claim.slice(0, 80)}</span>
          </button>
        </div>
      )}
      {isAsked && (
        <Ignore
          finding={finding}
          repository={repository}
          close={() => setAsked(false)}
          done={done}
        />
      )}
    </li>
  );
}

/** A person's word: why it does not count, and how long. */
function Ignore(props: {
  finding: Finding;
  repository: string;
  close: () => void;
  done: () => void;
}) {
  const { finding, repository, close, done } = props;
  const [isWrong, setWrong] = useState(true);
  const [why, setWhy] = useState("");
  const [days, setDays] = useState("30");
  const [problem, setProblem] = useState<Problem>();
  const ignore = async () => {
    const until = days ? new Date(Date.now() + Number(days) * DAY_MS).toISOString() : null;
    const reason = isWrong ? `wrong: ${why.trim()}` : why.trim();
    try {
      const path = `/api/review/findings/${encodeURIComponent(finding.id)}/ignore`;
      await postJson(path, { reason, until, repository });
      close();
      done();
    } catch (error) {
      setProblem(problemFrom(error));
    }
  };
  const name = `kind-${finding.id}`;
  return (
    <div class="ignore" role="group" aria-label="Not useful">
      <div class="row">
        <label class="row">
          <input type="radio" name={name} checked={isWrong} onChange={() => setWrong(true)} />
          It is wrong
        </label>
        <label class="row">
          <input type="radio" name={name} checked={!isWrong} onChange={() => setWrong(false)} />
          It is right, and not worth it
        </label>
      </div>
      <p class="quiet">
        {isWrong
          ? "Counts against the model that said it."
          : "Counts neither for nor against the model."}{" "}
        Left out of the gate until then; your name stays with it.
      </p>
      <div class="row">
        <input
          class="ignore-why"
          aria-label="Why"
          placeholder="Why, for the record"
          maxLength={3_900}
          value={why}
          ref={(input) => {
            if (input && !input.dataset.seen) {
              input.dataset.seen = "1";
              input.focus();
            }
          }}
          onInput={(event) => setWhy(event.currentTarget.value)}
          onKeyDown={(event) => event.key === "Escape" && close()}
        />
        <select
          aria-label="How long"
          value={days}
          onChange={(event) => setDays(event.currentTarget.value)}
        >
          {["7", "30", "90", ""].map((one) => (
            <option key={one} value={one}>
              {UNTIL[one]}
            </option>
          ))}
        </select>
        <Action class="primary" disabled={!why.trim()} run={ignore}>
          Ignore it
        </Action>
        <button type="button" onClick={close}>
          Keep it
        </button>
      </div>
      {problem && <ProblemBox problem={problem} />}
    </div>
  );
}
