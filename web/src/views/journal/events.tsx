import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { getJson, type Page, type Problem, problemFrom } from "../../lib/api";
import { moment, plural, shown } from "../../lib/format";
import { contextOf, type Event } from "../../lib/lake";
import { type Place, pathOf, setQuery } from "../../lib/router";
import { useAnswer, useTitle } from "../../lib/use";
import { Card, Empty, ProblemBox, Shown, Source, State } from "../../ui/basics";
import { type Live, useTail } from "./tail";

const FILTERS = {
  dataset: "Dataset",
  entity_type: "Kind",
  entity_id: "Key",
  field: "Field",
  action: "Action",
  actor: "Who",
  since: "Since",
  until: "Until",
} as const;
const HIDDEN = ["mutation_id", "source", "workspace_id", "event_id"] as const;
const PAGE_ROWS = 100;

/** Events, the newest first: those that fit, and, live, those that come. */
export function Events({ place }: { place: Place }) {
  useTitle("Journal");
  const isLive = place.query.get("live") === "1";
  const names = [...Object.keys(FILTERS), ...HIDDEN];
  const filters = Object.fromEntries(
    names.flatMap((name) => {
      const value = place.query.get(name);
      return value ? [[name, value]] : [];
    }),
  );
  return (
    <div class="page">
      <header class="page-head">
        <div>
          <h1>Journal</h1>
          <p>Everything that happened, newest first.</p>
        </div>
        <button
          type="button"
          aria-pressed={isLive}
          onClick={() => setQuery({ live: isLive ? "" : "1" })}
        >
          {isLive ? "Live: on" : "Live"}
        </button>
      </header>
      <Filters filters={filters} />
      {isLive ? <Tail filters={filters} /> : <Sealed filters={filters} />}
    </div>
  );
}

function Filters({ filters }: { filters: Record<string, string> }) {
  const hidden = HIDDEN.filter((name) => filters[name]);
  const set = (form: HTMLFormElement) => {
    const data = new FormData(form);
    setQuery(
      Object.fromEntries(Object.keys(FILTERS).map((name) => [name, String(data.get(name) ?? "")])),
      false,
    );
  };
  return (
    <form
      class="journal-filters"
      aria-label="Filters"
      onSubmit={(event) => {
        event.preventDefault();
        set(event.currentTarget);
      }}
      onChange={(event) => set(event.currentTarget)}
    >
      {Object.entries(FILTERS).map(([name, label]) => (
        <label key={`${name} ${filters[name] ?? ""}`}>
          <span>{label}</span>
          <input
            name={name}
            defaultValue={filters[name] ?? ""}
            placeholder={name === "since" || name === "until" ? "2026-01-31" : "any"}
          />
        </label>
      ))}
      {hidden.map((name) => (
        <button key={name} type="button" onClick={() => setQuery({ [name]: "" })}>
          {name}: {filters[name]?.slice(0, 24)} ✕<span class="visually-hidden"> (remove)</span>
        </button>
      ))}
      <button type="submit" class="visually-hidden">
        Filter
      </button>
    </form>
  );
}

function Sealed({ filters }: { filters: Record<string, string> }) {
  const query = new URLSearchParams({ ...filters, limit: String(PAGE_ROWS) }).toString();
  const path = `/journal/events?${query}`;
  const answer = useAnswer<Page<Event>>(`GET ${path}`, (signal) =>
    getJson<Page<Event>>(`/api${path}`, signal),
  );
  const [more, setMore] = useState<Page<Event>>();
  const [problem, setProblem] = useState<Problem>();
  useEffect(() => setMore(undefined), [path]);
  const older = async (cursor: string) => {
    try {
      const next = await getJson<Page<Event>>(`/api${path}&cursor=${encodeURIComponent(cursor)}`);
      setMore({ items: [...(more?.items ?? []), ...next.items], next: next.next });
    } catch (error) {
      setProblem(problemFrom(error));
    }
  };
  return (
    <Card title="Events" aside={<Source answer={answer} />}>
      <Shown answer={answer} lines={8}>
        {(first) => {
          const all = [...first.items, ...(more?.items ?? [])];
          const next = more ? more.next : first.next;
          if (!all.length) {
            return (
              <Empty title="Nothing that fits is on record">
                {Object.keys(filters).length ? (
                  <a href="/journal">Show everything</a>
                ) : (
                  "Every file that is loaded and every change that is made shows here once it is sealed, within seconds."
                )}
              </Empty>
            );
          }
          return (
            <>
              <Table events={all} />
              {problem && <ProblemBox problem={problem} />}
              {next && (
                <button type="button" onClick={() => void older(next)}>
                  Older
                </button>
              )}
            </>
          );
        }}
      </Shown>
    </Card>
  );
}

function Tail({ filters }: { filters: Record<string, string> }) {
  const [isPaused, setPaused] = useState(false);
  const live: Live = useTail(filters.dataset ?? "", isPaused);
  const fitting = useMemo(
    () => live.events.filter((event) => fits(event, filters)),
    [live.events, filters],
  );
  return (
    <Card
      title="As it happens"
      aside={
        <span class="row">
          <State tone={live.problem ? "bad" : live.isOpen ? "good" : "none"}>
            {live.problem ? "lost" : live.isOpen ? "listening" : "connecting"}
          </State>
          <button type="button" aria-pressed={isPaused} onClick={() => setPaused(!isPaused)}>
            {isPaused ? "Go on" : "Pause"}
          </button>
        </span>
      }
    >
      {live.problem && <ProblemBox problem={live.problem} />}
      <p class="quiet" role="status">
        {plural(live.seen, "event")} since this was opened
        {live.waiting ? `, ${plural(live.waiting, "one", "ones")} held back` : ""}
        {live.seen > live.events.length ? `; the last ${live.events.length} are shown` : ""}
      </p>
      {fitting.length ? (
        <Table events={fitting} />
      ) : (
        <Empty title="Nothing yet">What is sealed from now on shows here.</Empty>
      )}
    </Card>
  );
}

function fits(event: Event, filters: Record<string, string>): boolean {
  return Object.entries(filters).every(([name, wanted]) => {
    if (name === "since") return event.timestamp >= wanted;
    if (name === "until") return event.timestamp < wanted;
    return String(event[name as keyof Event] ?? "") === wanted;
  });
}

function Table({ events }: { events: readonly Event[] }) {
  const box = useRef<HTMLTableSectionElement>(null);
  const step = (event: KeyboardEvent) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!by) return;
    const links = [...(box.current?.querySelectorAll<HTMLElement>("a.journal-proof") ?? [])];
    const at = links.indexOf(document.activeElement as HTMLElement);
    const next = links[at + by];
    if (at < 0 || !next) return;
    event.preventDefault();
    next.focus();
  };
  return (
    <div class="table-wrap">
      <table class="journal-table">
        <thead>
          <tr>
            <th scope="col">When (UTC)</th>
            <th scope="col">What</th>
            <th scope="col">Where</th>
            <th scope="col">Old → new</th>
            <th scope="col">Who, why</th>
            <th scope="col" class="number">
              Proof
            </th>
          </tr>
        </thead>
        <tbody ref={box} onKeyDown={step}>
          {events.map((event) => (
            <tr key={event.seq}>
              <td class="journal-when">{moment(event.timestamp)}</td>
              <td>
                <span class={`tag ${event.action}`}>{event.action}</span>
              </td>
              <td>
                <Where event={event} />
              </td>
              <td>
                {event.entity_type === "decision" ? (
                  <Decided event={event} />
                ) : (
                  <Diff event={event} />
                )}
              </td>
              <td>
                {event.actor} <span class="quiet">{contextOf(event, "reason")}</span>
              </td>
              <td class="number">
                <a class="journal-proof" href={pathOf("journal", "proof", event.event_id)}>
                  {event.seq}
                </a>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Where({ event }: { event: Event }) {
  const field = event.field === "*" ? "" : event.field;
  const isRow = event.version !== null && !event.dataset.startsWith("system.");
  if (!event.dataset || !isRow || event.action === "ingest") {
    return (
      <>
        <span class="quiet">{event.entity_type}</span> {event.entity_id} {field}
      </>
    );
  }
  return (
    <>
      <span class="quiet">{event.dataset}</span>{" "}
      <a href={pathOf("journal", "entity", event.dataset, event.entity_id)}>
        {event.entity_id || "–"}
      </a>{" "}
      {field}
    </>
  );
}

/** What the rules said: which of them, in their words; and where it is to be decided. */
function Decided({ event }: { event: Event }) {
  let messages: string[] = [];
  try {
    const { reasons } = JSON.parse(event.context) as { reasons?: { message: string }[] };
    messages = (reasons ?? []).map((one) => one.message);
  } catch {
    // Its text is in the proof all the same.
  }
  return (
    <>
      {messages.join("; ") || "–"}{" "}
      {event.action === "held" && <a href={pathOf("changes", event.mutation_id)}>the change</a>}
    </>
  );
}

const MOST_CHARACTERS = 160;

export function Diff({ event }: { event: Pick<Event, "old_value" | "new_value"> }) {
  if (event.old_value === null && event.new_value === null) return <span class="quiet">–</span>;
  return (
    <span class="diff">
      {event.old_value !== null && <del>{shown(event.old_value).slice(0, MOST_CHARACTERS)}</del>}
      {event.old_value !== null && event.new_value !== null && <span aria-hidden="true"> → </span>}
      {event.new_value !== null && <ins>{shown(event.new_value).slice(0, MOST_CHARACTERS)}</ins>}
    </span>
  );
}
