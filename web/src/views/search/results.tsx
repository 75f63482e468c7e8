import { useEffect, useState } from "preact/hooks";
import { type Problem, postJson, problemFrom, rows } from "../../lib/api";
import { count, moment, plural } from "../../lib/format";
import { pathOf } from "../../lib/router";
import { useAnswer } from "../../lib/use";
import { Action, Card, Empty, ProblemBox, Shown, Source, State } from "../../ui/basics";
import { type Found, type Hit, type Index, JOURNAL, type Piece, recallOf } from "./index";

const PAGE_ROWS = 20;
const MOST_CHARACTERS = 300;

/** The rows that fit best, of the version that the index covers. */
export function Results({ index, text, where }: { index: Index; text: string; where: string }) {
  const path = `/search/${encodeURIComponent(index.name)}`;
  const asked = { text, limit: PAGE_ROWS, highlight: "parts", ...(where ? { where } : {}) };
  const source = `POST ${path} ${JSON.stringify(asked)}`;
  const answer = useAnswer<Found>(source, (signal) =>
    postJson<Found>(`/api${path}`, asked, { signal }),
  );
  const [more, setMore] = useState<Found>();
  const [problem, setProblem] = useState<Problem>();
  useEffect(() => {
    setMore(undefined);
    setProblem(undefined);
  }, [source]);
  const next = more ? more.next : (answer.data?.next ?? null);
  const further = async () => {
    try {
      const page = await postJson<Found>(`/api${path}`, { ...asked, cursor: next });
      setMore({ ...page, items: [...(more?.items ?? []), ...page.items] });
    } catch (error) {
      setProblem(problemFrom(error));
    }
  };
  return (
    <Card title="What is found" aside={<Source answer={answer} />} class="found">
      <Shown answer={answer} lines={6}>
        {(found) => {
          const hits = [...found.items, ...(more?.items ?? [])];
          return (
            <>
              <Covers index={index} found={found} />
              {hits.length ? (
                <Hits index={index} dataset={found.dataset} hits={hits} />
              ) : (
                <Empty title="Nothing fits">
                  {where
                    ? "No row that meets the condition has it: try without the condition. "
                    : "Try fewer words, or a beginning with a star: jet*. "}
                  {found.is_behind && "What changed since the index was built is not looked at."}
                </Empty>
              )}
              {problem && <ProblemBox problem={problem} />}
              {next && (
                <div>
                  <Action run={further}>More</Action>
                </div>
              )}
            </>
          );
        }}
      </Shown>
    </Card>
  );
}

function Covers({ index, found }: { index: Index; found: Found }) {
  const isJournal = index.dataset === JOURNAL;
  const what = isJournal
    ? `the first ${plural(found.covered_version, "event")}`
    : `version ${count(found.covered_version)}`;
  const behind =
    found.rows_behind === null
      ? "more changed since than are counted"
      : isJournal
        ? `${count(found.rows_behind)} came since`
        : `${plural(found.rows_behind, "row")} changed since`;
  return (
    <p class="row">
      <State tone={found.is_behind ? "warn" : "good"}>
        {found.is_behind ? `Of ${what}: ${behind}` : `Of ${what}, the newest`}
      </State>
      <span class="quiet">
        {index.kind === "text"
          ? "ranked by words (BM25)"
          : found.is_exact
            ? "every vector was compared"
            : `recall at ten ${recallOf(found.recall)}, measured`}
        ; a higher score fits better
      </span>
    </p>
  );
}

interface Named {
  seq: number;
  event_id: string;
  timestamp: string;
  dataset: string;
  entity_id: string;
  field: string;
  action: string;
  actor: string;
}

function Hits(props: { index: Index; dataset: string; hits: readonly Hit[] }) {
  const { index, dataset, hits } = props;
  const isJournal = dataset === JOURNAL;
  const seqs = hits.map((hit) => Number(hit.seq)).filter(Number.isSafeInteger);
  const sql = `select seq, event_id, "timestamp", dataset, entity_id, field, action, actor
from system.journal where seq in (${seqs.join(", ")})`;
  const named = useAnswer<Named[]>(isJournal && seqs.length ? `SQL ${sql}` : "", (signal) =>
    rows<Named>(sql, signal),
  );
  return (
    <ol class="hits" onKeyDown={step}>
      {hits.map((hit) => (
        <li key={hit._rank}>
          <div class="hit-head">
            <span class="hit-rank quiet">{hit._rank}</span>
            {isJournal ? (
              <EventName hit={hit} event={named.data?.find((one) => one.seq === Number(hit.seq))} />
            ) : (
              <a class="hit-name" href={pathOf("journal", "entity", dataset, hit._key)}>
                <span class="quiet">{dataset}</span> {hit._key}
                <span class="visually-hidden">: its history</span>
              </a>
            )}
            <span class="hit-score" title="More is better">
              <span class="quiet">score</span> {Number(hit._score).toPrecision(3)}
            </span>
          </div>
          {hit._highlight && <Excerpt pieces={hit._highlight} />}
          <Texts index={index} hit={hit} />
        </li>
      ))}
    </ol>
  );
}

/** The texts that are indexed, but for the one that the excerpt is all of. */
function Texts({ index, hit }: { index: Index; hit: Hit }) {
  const excerpt = hit._highlight?.map((piece) => piece.text).join("");
  const names = index.columns.filter((name) => hit[name] && hit[name] !== excerpt);
  if (!names.length) return null;
  return (
    <dl class="hit-texts">
      {names.map((name) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{cut(hit[name])}</dd>
        </div>
      ))}
    </dl>
  );
}

function EventName({ hit, event }: { hit: Hit; event: Named | undefined }) {
  if (!event) return <span class="hit-name">event {String(hit.seq)}</span>;
  return (
    <span>
      <a class="hit-name" href={pathOf("journal", "entity", event.dataset, event.entity_id)}>
        {event.action} {event.field === "*" ? "" : `of ${event.field} `}in {event.dataset}:{" "}
        {event.entity_id}
      </a>{" "}
      <span class="quiet">
        {event.actor}, {moment(event.timestamp)} UTC ·{" "}
        <a href={pathOf("journal", "proof", event.event_id)}>proof</a>
      </span>
    </span>
  );
}

/** What was found, marked: the server sends pieces of text, never markup. */
function Excerpt({ pieces }: { pieces: readonly Piece[] }) {
  return (
    <p class="hit-excerpt">
      {pieces.map((piece, n) =>
        piece.is_found ? <mark key={n}>{piece.text}</mark> : <span key={n}>{piece.text}</span>,
      )}
    </p>
  );
}

function cut(value: unknown): string {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}…` : text;
}

/** Up and down go through what was found. */
function step(event: KeyboardEvent): void {
  const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!by) return;
  const links = [...document.querySelectorAll<HTMLElement>(".hits .hit-name[href]")];
  const at = links.indexOf(document.activeElement as HTMLElement);
  if (at < 0) return;
  event.preventDefault();
  const input = document.querySelector<HTMLElement>(".search-text input");
  (links[at + by] ?? (by < 0 ? input : links[at]))?.focus();
}
