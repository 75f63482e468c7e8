import { moment, plural } from "../../lib/format";
import { useMay } from "../../lib/may";
import { type Place, setQuery } from "../../lib/router";
import { type Answer, useApi, useTitle } from "../../lib/use";
import { Card, Empty, Figure, Shown, Source } from "../../ui/basics";
import { FindingCard } from "./card";
import type { Finding, Iteration, ReviewedFile } from "./finding";

/** One file: its scores, and what changed between two of its reviews. */
export function FilePage({ path, place }: { path: string; place: Place }) {
  useTitle(path);
  const repository = place.query.get("repository") ?? "";
  const query = repository ? `?repository=${encodeURIComponent(repository)}` : "";
  // As one part: a browser would walk up at `..` between slashes, to another route.
  const answer = useApi<ReviewedFile>(`/review/files/${encodeURIComponent(path)}${query}`);
  return (
    <div class="page">
      <header class="page-head">
        <div>
          <p>
            <a href={`/kb${query}`}>Findings</a>
          </p>
          <h1 class="kb-path">{path}</h1>
        </div>
      </header>
      <Shown answer={answer} lines={8}>
        {(found) => (
          <>
            <section class="figures" aria-label="Figures">
              <Figure
                name="Open findings"
                value={found.open}
                note={`of ${plural(found.findings.length, "finding")}`}
                answer={answer}
              />
              <Figure
                name="Confirmed score"
                value={scoreOf(found.confirmed_score)}
                note="moves only when a fix is confirmed"
                answer={answer}
              />
              <Figure
                name="Last score of a model"
                value={scoreOf(found.score)}
                note={
                  found.noise ? noiseOf(found.noise) : "how much of it is noise is not measured"
                }
                answer={answer}
              />
              <Figure name="Signal" value={found.signal} note={found.reason} answer={answer} />
            </section>
            <Compared found={found} place={place} answer={answer} />
          </>
        )}
      </Shown>
    </div>
  );
}

function Compared(props: { found: ReviewedFile; place: Place; answer: Answer<ReviewedFile> }) {
  const { found, place, answer } = props;
  const may = useMay();
  const reviews = found.iterations;
  const at = (name: string, otherwise: number) => {
    const asked = Number(place.query.get(name) ?? Number.NaN);
    const index = reviews.findIndex((one) => one.iteration === asked);
    return index < 0 ? otherwise : index;
  };
  const to = at("to", reviews.length - 1);
  const from = at("from", Math.max(0, to - 1));
  const [before, after] = [reviews[from], reviews[to]];
  if (!before || !after) return <Empty title="No review of this file is on record" />;
  const findings = new Map(found.findings.map((one) => [one.id, one]));
  const [old, fresh] = [new Set(before.found ?? []), new Set(after.found ?? [])];
  const groups = {
    "Only in the later one": [...fresh].filter((id) => !old.has(id)),
    "Only in the earlier one": [...old].filter((id) => !fresh.has(id)),
    "In both": [...fresh].filter((id) => old.has(id)),
  };
  const rest = found.findings.filter((one) => !old.has(one.id) && !fresh.has(one.id));
  const cards = (ids: readonly string[]) =>
    ids
      .map((id) => findings.get(id))
      .filter((one): one is Finding => one !== undefined)
      .map((one) => (
        <FindingCard
          key={one.id}
          finding={one}
          repository={found.repository}
          may={may("write", "system.findings")}
          done={answer.reload}
        />
      ));
  return (
    <Card title="Two reviews" aside={<Source answer={answer} />}>
      <div class="columns">
        <Side name="from" title="Earlier" all={reviews} one={before} />
        <Side name="to" title="Later" all={reviews} one={after} />
      </div>
      <p class="quiet">
        {from === to
          ? "There is one review so far: nothing to hold it against."
          : after.is_changed
            ? "The file says something else in the later one."
            : "The file was not changed for the later one: what differs is the model's."}{" "}
        That a finding is not seen again is no fix: its state says what it is.
      </p>
      {Object.entries(groups).map(([title, ids]) =>
        ids.length && (from !== to || title === "In both") ? (
          <section key={title} class="kb-group" aria-label={title}>
            <h3>
              {from === to ? "Found" : title} <span class="quiet">{ids.length}</span>
            </h3>
            <ol class="plain cards">{cards(ids)}</ol>
          </section>
        ) : null,
      )}
      {!old.size && !fresh.size && <Empty title="Neither found anything that counts" />}
      {rest.length > 0 && (
        <details>
          <summary>{plural(rest.length, "finding")} of other reviews</summary>
          <ol class="plain cards">{cards(rest.map((one) => one.id))}</ol>
        </details>
      )}
    </Card>
  );
}

function Side(props: { name: string; title: string; all: readonly Iteration[]; one: Iteration }) {
  const { name, title, all, one } = props;
  return (
    <div class="kb-side">
      <label class="row">
        <span class="quiet">{title}</span>
        <select
          value={String(one.iteration)}
          onChange={(event) => setQuery({ [name]: event.currentTarget.value })}
        >
          {all.map((review) => (
            <option key={review.run_id + review.iteration} value={String(review.iteration)}>
              iteration {review.iteration}, {moment(review.time).slice(0, 16)}
            </option>
          ))}
        </select>
      </label>
      <p>
        <strong>{scoreOf(one.score)}</strong> {one.verdict ?? one.outcome}
        <span class="quiet">
          {" "}
          by {one.model}, of <code>{one.revision.slice(0, 12)}</code>
        </span>
      </p>
      {one.path !== all.at(-1)?.path && <p class="quiet">then called {one.path}</p>}
    </div>
  );
}

/** The least change between two scores that is more than noise, at 95 % (one-sided). */
function noiseOf(noise: { sigma: number; pairs: number }): string {
  const least = 1.645 * Math.SQRT2 * noise.sigma;
  return `noise ±${least.toFixed(1)}, by ${plural(noise.pairs, "pair")} of reviews`;
}

function scoreOf(score: number | null): string {
  return score === null ? "–" : score.toFixed(1);
}
