import { moment } from "../../lib/format";
import { useApi } from "../../lib/use";
import { Card, Shown, Source } from "../../ui/basics";
import type { Asked, Parsed } from "./forms";

/** What was asked in one run about this file, what came back, and what was read out of it. */
export function AskedCard({ where, run }: { where: string; run: string }) {
  const asked = useApi<Asked>(`/data/file?${where}&run=${encodeURIComponent(run)}`);
  return (
    <Card title="What was asked and answered" aside={<Source answer={asked} />}>
      <Shown answer={asked} lines={8}>
        {(found) => (
          <>
            {found.answers.map((one, n) => (
              <section
                key={`${one.purpose} ${one.time}`}
                class="asked"
                aria-label={`${one.purpose} ${n + 1}`}
              >
                <h3>
                  {PURPOSES[one.purpose] ?? one.purpose}
                  <span class="quiet">
                    {" "}
                    {one.model}, {moment(one.time)}, {one.outcome}
                  </span>
                </h3>
                <div class="asked-columns">
                  <div>
                    <h4>Raw reply</h4>
                    <pre tabIndex={0} role="region" aria-label={`Raw reply ${n + 1}`}>
                      {one.answer ? (
                        <Marked text={one.answer} quotes={quotesOf(one.parsed)} />
                      ) : (
                        "nothing came back"
                      )}
                      {one.is_cut ? "\n… it is longer than is shown" : ""}
                    </pre>
                  </div>
                  <div>
                    <h4>Read out of it</h4>
                    <ParsedAnswer parsed={one.parsed} />
                    <p class="quiet">
                      The file as it was: blob <code>{one.blob.slice(0, 16)}</code>. Its text stays
                      in git.
                    </p>
                  </div>
                </div>
              </section>
            ))}
            <Rungs found={found} />
            <details>
              <summary>The prompt</summary>
              {found.prompt === null ? (
                <p class="quiet">
                  This bar is of a prompt of your own, or of another temperature: only its hash is
                  in the lake.
                </p>
              ) : (
                <pre tabIndex={0} role="region" aria-label="Prompt">
                  {found.prompt}
                  {"\n\n[the file, between marks that no file can have in it]"}
                </pre>
              )}
            </details>
          </>
        )}
      </Shown>
    </Card>
  );
}

const PURPOSES: Record<string, string> = {
  review: "The review",
  again: "The same again, for its noise",
  blind: "Blind, to confirm a fix",
};

function ParsedAnswer({ parsed }: { parsed: Parsed | null }) {
  if (!parsed) return <p>Nothing: it is not in a form that can be read.</p>;
  return (
    <>
      <p>
        <strong>{parsed.verdict ?? "no verdict"}</strong>, score {parsed.score ?? "–"}, its own
        confidence {parsed.confidence ?? "–"}
      </p>
      <ul class="plain">
        {parsed.findings.map((one, n) => (
          <li key={n}>
            <p>
              <strong>{one.severity}</strong> {one.category} {one.symbol}
            </p>
            <p>{one.claim}</p>
            <pre tabIndex={0}>
              <mark>{one.quote}</mark>
            </pre>
          </li>
        ))}
      </ul>
      {parsed.verified_components.length > 0 && (
        <p class="quiet">Found to work: {parsed.verified_components.join(", ")}</p>
      )}
    </>
  );
}

/** What rungs did in the whole run: rows of the ladder know the run, not the file. */
function Rungs({ found }: { found: Asked }) {
  if (found.rungs === null) {
    return <p class="quiet">What each rung was asked: your key may not read system.usage.</p>;
  }
  if (!found.rungs.length) {
    return (
      <p class="quiet">
        What each rung was asked in this run is not in <code>system.usage</code>: it was another
        machine's ladder, or an older one.
      </p>
    );
  }
  return (
    <div class="table-wrap">
      <table>
        <caption>Attempts by rung, in the whole of this run</caption>
        <thead>
          <tr>
            <th scope="col">Rung</th>
            <th scope="col">Outcome</th>
            <th scope="col" class="number">
              Attempts
            </th>
            <th scope="col" class="number">
              Tokens in, out
            </th>
            <th scope="col" class="number">
              Cost
            </th>
            <th scope="col">Why, of one of them</th>
          </tr>
        </thead>
        <tbody>
          {found.rungs.map((one) => (
            <tr key={`${one.rung} ${one.outcome}`}>
              <th scope="row">
                {one.rung} <span class="quiet">{one.model}</span>
              </th>
              <td>{one.outcome}</td>
              <td class="number">{one.attempts}</td>
              <td class="number">
                {one.prompt_tokens ?? "–"}, {one.completion_tokens ?? "–"}
              </td>
              <td class="number">
                {one.cost_usd === null ? "no data" : `$${one.cost_usd.toFixed(4)}`}
              </td>
              <td>{one.detail || "–"}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function quotesOf(parsed: Parsed | null): string[] {
  const found = (parsed?.findings ?? []).map((one) => one.quote).filter((one) => one.length > 2);
  // In JSON a quote stands escaped.
  return [...new Set(found.flatMap((one) => [one, JSON.stringify(one).slice(1, -1)]))];
}

/** A text with the evidence in it marked: nothing of it is ever markup. */
function Marked({ text, quotes }: { text: string; quotes: readonly string[] }) {
  const parts = [];
  let at = 0;
  while (at < text.length && parts.length < 2_000) {
    let next = -1;
    let found = "";
    for (const quote of quotes) {
      const here = text.indexOf(quote, at);
      if (
        here >= 0 &&
        (next < 0 || here < next || (here === next && quote.length > found.length))
      ) {
        next = here;
        found = quote;
      }
    }
    if (next < 0) break;
    parts.push(text.slice(at, next), <mark key={next}>{found}</mark>);
    at = next + found.length;
  }
  return (
    <>
      {parts}
      {text.slice(at)}
    </>
  );
}
