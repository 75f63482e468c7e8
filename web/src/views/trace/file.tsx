import { count, moment } from "../../lib/format";
import { type Scoped, SIGNAL_WORDS } from "../../lib/reviews";
import { type Place, setQuery } from "../../lib/router";
import { useApi, useTitle } from "../../lib/use";
import { Card, Figure, Shown, Source } from "../../ui/basics";
import { Reviewed, ScopePicker } from "../../ui/scope";
import { AskedCard } from "./asked";
import { type FileTraced, STATE_WORDS, usd } from "./forms";
import { Movement } from "./movement";

/** One file: its figures, how it moved, its reviews, its findings, what was asked. */
export function FileTrace(props: { path: string; place: Place; scoped: Scoped }) {
  const { path, place, scoped } = props;
  useTitle(path);
  const where = `path=${encodeURIComponent(path)}&${scoped.query}`;
  const trace = useApi<FileTraced>(scoped.query ? `/data/file?${where}` : "");
  const run = place.query.get("run") ?? "";
  return (
    <div class="page">
      <header class="page-head">
        <div>
          <p>
            <a href={`/trace?${scoped.query}`}>Trace</a>
          </p>
          <h1 class="trace-path">{path}</h1>
        </div>
        <ScopePicker scoped={scoped} />
      </header>
      <Reviewed scoped={scoped} fills="A review of this file leaves its way here.">
        <Shown answer={trace} lines={10}>
          {(found) => (
            <>
              <section class="figures" aria-label="Figures">
                <Figure
                  name="Score, the model's opinion"
                  value={found.score?.toFixed(1) ?? "no data"}
                  note={
                    found.noise
                      ? `± ${(1.96 * found.noise.sigma).toFixed(1)} by noise alone, ${found.noise.pairs} pairs`
                      : "its noise was not measured yet"
                  }
                  answer={trace}
                />
                <Figure
                  name="Confirmed score, earned"
                  value={found.confirmed_score?.toFixed(1) ?? "no data"}
                  note="moves only with a confirmed fix"
                  answer={trace}
                />
                <Figure
                  name="Findings open"
                  value={count(found.open)}
                  note={`of ${count(found.findings_count)} ever`}
                  answer={trace}
                />
                <Figure name="Class" value={found.signal} note={found.reason} answer={trace} />
              </section>
              <Card title="How it moved" aside={<Source answer={trace} />}>
                <Movement found={found} />
                <p class="quiet">
                  {found.signal}: {SIGNAL_WORDS[found.signal]}.
                </p>
              </Card>
              <Reviews found={found} run={run} />
              {run && <AskedCard where={where} run={run} />}
              <Findings found={found} />
            </>
          )}
        </Shown>
      </Reviewed>
    </div>
  );
}

function Reviews({ found, run }: { found: FileTraced; run: string }) {
  return (
    <Card title="Reviews">
      <div class="table-wrap">
        <table>
          <thead>
            <tr>
              <th scope="col">Review</th>
              <th scope="col">When (UTC)</th>
              <th scope="col">Answered by</th>
              <th scope="col" class="number">
                Attempts
              </th>
              <th scope="col">Outcome</th>
              <th scope="col" class="number">
                Tokens in, out
              </th>
              <th scope="col" class="number">
                Cost
              </th>
              <th scope="col" class="number">
                Score
              </th>
              <th scope="col" class="number">
                Evidence valid
              </th>
            </tr>
          </thead>
          <tbody>
            {found.iterations.map((one) => (
              <tr
                key={`${one.run_id} ${one.time}`}
                class={one.run_id === run ? "trace-chosen" : ""}
              >
                <th scope="row">
                  <button
                    type="button"
                    class="link"
                    aria-expanded={one.run_id === run}
                    onClick={() => setQuery({ run: one.run_id === run ? "" : one.run_id })}
                  >
                    {one.run_id === run ? "Close" : "Open"} {one.iteration}
                  </button>
                </th>
                <td>{moment(one.time).slice(0, 16)}</td>
                <td>
                  {one.rung || "–"} <span class="quiet">{one.model}</span>
                </td>
                <td class="number">{count(one.attempts)}</td>
                <td>
                  {one.outcome}
                  {one.is_clipped ? ", clipped" : ""}
                </td>
                <td class="number">
                  {one.prompt_tokens === null ? "no data" : count(one.prompt_tokens)},{" "}
                  {one.completion_tokens === null ? "no data" : count(one.completion_tokens)}
                </td>
                <td class="number">{usd(one.cost_microusd)}</td>
                <td class="number">{one.score?.toFixed(1) ?? "–"}</td>
                <td class="number">
                  {one.grounded === null
                    ? "no data"
                    : `${one.grounded} of ${one.grounded + (one.ungrounded ?? 0)}`}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p class="quiet">Open one for its prompt, the raw reply, and what was read out of it.</p>
    </Card>
  );
}

function Findings({ found }: { found: FileTraced }) {
  if (!found.findings.length) {
    return (
      <Card title="Findings">
        <p>None was ever found in it.</p>
      </Card>
    );
  }
  return (
    <Card title="Findings">
      <ul class="plain trace-findings">
        {found.findings.map((one) => (
          <li key={one.id} id={`finding-${one.id}`}>
            <p>
              <span class={`tag trace-${one.state}`}>{STATE_WORDS[one.state] ?? one.state}</span>{" "}
              <strong>{one.severity}</strong> {one.category}
              <span class="quiet">
                {" "}
                line {one.line} {one.symbol}
              </span>
            </p>
            <p>{one.claim}</p>
            <pre tabIndex={0}>{one.quote}</pre>
            <p class="quiet">
              {one.signs
                .map((sign) => `${sign.iteration}: ${STATE_WORDS[sign.state] ?? sign.state}`)
                .join(" → ")}
              {one.reason ? ` (${one.reason}${one.who ? `, ${one.who}` : ""})` : ""}
            </p>
          </li>
        ))}
      </ul>
    </Card>
  );
}
