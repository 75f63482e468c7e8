import { useEffect, useRef } from "preact/hooks";
import type { Page } from "../../lib/api";
import { type Place, setQuery } from "../../lib/router";
import { useApi, useTitle } from "../../lib/use";
import { Empty, ProblemBox, Skeleton } from "../../ui/basics";
import type { ViewProps } from "../registry";
import type { Index } from "./index";
import { KINDS } from "./index";
import { Indexes } from "./indexes";
import { Results } from "./results";
import "./search.css";

const EVERY_MS = 15_000;
const BUILDING_MS = 2_000;

/** /search?index=…&q=…&where=…: what is found; without a question the indexes. */
export default function Search({ place }: ViewProps) {
  useTitle("Search");
  const isBuilding = useRef(false);
  const indexes = useApi<Page<Index>>(
    "/search/indexes?limit=1000",
    isBuilding.current ? BUILDING_MS : EVERY_MS,
  );
  const all = indexes.data?.items ?? [];
  isBuilding.current = all.some((one) => one.state === "building");
  const asked = place.query.get("index") ?? "";
  const index = all.find((one) => one.name === asked) ?? (asked ? undefined : all[0]);
  const text = place.query.get("q") ?? "";
  const where = place.query.get("where") ?? "";
  return (
    <div class="page search">
      <header class="page-head">
        <div>
          <h1>Search</h1>
          <p>Rows of datasets, and events of the journal, by a text.</p>
        </div>
      </header>
      {indexes.problem && !indexes.data && (
        <ProblemBox problem={indexes.problem} retry={indexes.reload} />
      )}
      {!indexes.data && !indexes.problem && <Skeleton lines={4} />}
      {all.length > 0 && <Question key={`${asked} ${text} ${where}`} all={all} place={place} />}
      {asked && indexes.data && !index && (
        <Empty title="There is no such index">
          Or your key may not read what it is over: choose another one.
        </Empty>
      )}
      {index && text && <Results index={index} text={text} where={where} />}
      {indexes.data && <Indexes answer={indexes} show={place.query.get("show") ?? ""} />}
    </div>
  );
}

/** What is asked; the address has it. */
function Question({ all, place }: { all: readonly Index[]; place: Place }) {
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (!place.query.get("show")) input.current?.focus({ preventScroll: true });
  }, []);
  const chosen = place.query.get("index") ?? all[0]?.name ?? "";
  return (
    <form
      class="search-form"
      role="search"
      aria-label="Search"
      onSubmit={(event) => {
        event.preventDefault();
        const given = new FormData(event.currentTarget);
        const read = (name: string) => String(given.get(name) ?? "").trim();
        const asked = { index: read("index"), q: read("q"), where: read("where") };
        setQuery({ ...asked, show: "" }, false);
      }}
      onKeyDown={(event) => {
        if (event.key !== "ArrowDown" || (event.target as Element).tagName !== "INPUT") return;
        const first = document.querySelector<HTMLElement>(".hits a");
        if (first) event.preventDefault();
        first?.focus();
      }}
    >
      <label class="search-text">
        <span>Text</span>
        <input
          ref={input}
          type="search"
          name="q"
          defaultValue={place.query.get("q") ?? ""}
          placeholder='words, "in this order", -without, begin*'
          maxLength={10_000}
        />
      </label>
      <label>
        <span>In</span>
        <select name="index" defaultValue={chosen} value={chosen}>
          {!all.some((one) => one.name === chosen) && <option value={chosen}>{chosen}</option>}
          {all.map((one) => (
            <option key={one.name} value={one.name}>
              {one.name} · {one.dataset}, {KINDS[one.kind]}
            </option>
          ))}
        </select>
      </label>
      <label class="search-where">
        <span>Only rows where (SQL)</span>
        <input
          name="where"
          class="mono"
          defaultValue={place.query.get("where") ?? ""}
          placeholder="seats > 300"
          spellcheck={false}
          autocomplete="off"
        />
      </label>
      <button type="submit" class="primary">
        Search
      </button>
    </form>
  );
}
