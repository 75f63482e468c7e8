import { useEffect, useRef } from "preact/hooks";
import { clock, count, plural } from "../../lib/format";
import { traceOf } from "../../lib/reviews";
import { setQuery } from "../../lib/router";
import { useTitle } from "../../lib/use";
import { Card, Empty, ProblemBox, State } from "../../ui/basics";
import type { ViewProps } from "../registry";
import { type Line, MOST_LINES, useLines } from "./lines";
import "./console.css";

const MOST_SHOWN = 250;
const NEAR_END_PX = 60;
const LEVELS = ["debug", "info", "warning", "error"] as const;

/** /console: the log of this process and the events of programs, merged as they come. */
export default function Console({ place }: ViewProps) {
  useTitle("Console");
  const live = useLines();
  const service = place.query.get("service") ?? "";
  const level = place.query.get("level") ?? "";
  const text = place.query.get("find") ?? "";
  const isPaused = place.query.get("paused") === "1";
  const held = useRef<{ lines: Line[]; at: number } | null>(null);
  const least = Math.max(0, LEVELS.indexOf(level as (typeof LEVELS)[number]));
  const small = text.toLowerCase();
  const fits = (line: Line) =>
    (!service || line.service === service) &&
    (!level || LEVELS.indexOf(line.level as (typeof LEVELS)[number]) >= least) &&
    (!small || `${line.kind} ${line.message} ${line.fields}`.toLowerCase().includes(small));
  if (!isPaused) held.current = null;
  else held.current ??= { lines: live.ring.last(MOST_LINES, () => true), at: live.ring.count };
  const lines = held.current
    ? held.current.lines.filter(fits).slice(-MOST_SHOWN)
    : live.ring.last(MOST_SHOWN, fits);
  const services = live.ring.services();
  return (
    <div class="page">
      <header class="page-head">
        <div>
          <h1>Console</h1>
          <p>The log of this process and what programs tell the observer, as they come.</p>
        </div>
        <button
          type="button"
          aria-pressed={isPaused}
          onClick={() => setQuery({ paused: isPaused ? "" : "1" })}
        >
          {isPaused ? "Go on" : "Pause"}
        </button>
      </header>
      {live.problem && <ProblemBox problem={live.problem} />}
      <div class="console-filters">
        <label>
          <span>Service</span>
          <select
            value={service}
            onChange={(event) => setQuery({ service: event.currentTarget.value })}
          >
            <option value="">all</option>
            {[...new Set([...services, ...(service ? [service] : [])])].map((one) => (
              <option key={one} value={one}>
                {one}
              </option>
            ))}
          </select>
        </label>
        <label>
          <span>Level, at least</span>
          <select
            value={level}
            onChange={(event) => setQuery({ level: event.currentTarget.value })}
          >
            <option value="">all</option>
            {LEVELS.map((one) => (
              <option key={one} value={one}>
                {one}
              </option>
            ))}
          </select>
        </label>
        <label>
          <span>Has</span>
          <input
            type="search"
            value={text}
            placeholder="any text"
            onInput={(event) => setQuery({ find: event.currentTarget.value })}
          />
        </label>
      </div>
      <Card
        title="Lines"
        aside={
          <State tone={live.problem ? "bad" : live.isOpen ? "good" : "none"}>
            {live.problem ? "lost" : live.isOpen ? "listening" : "connecting"}
          </State>
        }
      >
        <p class="quiet">
          {plural(live.ring.count, "line")}, {count(live.perSecond)} a second
          {live.missing
            ? `; ${count(live.missing)} more came than a page can take: the server's own log has them`
            : ""}
          {held.current ? `; paused, ${count(live.ring.count - held.current.at)} came since` : ""}
          {live.ring.count > MOST_LINES ? `; the last ${count(MOST_LINES)} are kept` : ""}
          {" · "}
          <code>GET /data/logs/all</code>
        </p>
        {lines.length ? (
          <Lines lines={lines} isPaused={isPaused} />
        ) : (
          <Empty title={live.ring.count ? "No line fits" : "Nothing was said yet"}>
            {live.ring.count ? (
              <button
                type="button"
                class="link"
                onClick={() => setQuery({ service: "", level: "", find: "" })}
              >
                Show all
              </button>
            ) : (
              <>
                <code>lakecore up</code> shows its own log here to keys with admin of everything.
                Programs send lines by <code>POST /event</code>:{" "}
                <code>{'{"source": "loader", "level": "info", "message": "begun"}'}</code>.
              </>
            )}
          </Empty>
        )}
      </Card>
    </div>
  );
}

function Lines({ lines, isPaused }: { lines: readonly Line[]; isPaused: boolean }) {
  const box = useRef<HTMLDivElement>(null);
  const isAtEnd = useRef(true);
  useEffect(() => {
    const element = box.current;
    if (element && isAtEnd.current && !isPaused) element.scrollTop = element.scrollHeight;
  });
  return (
    <div
      ref={box}
      class="console-lines"
      role="log"
      aria-live="off"
      aria-label="Lines, the newest last"
      tabIndex={0}
      onScroll={(event) => {
        const element = event.currentTarget;
        isAtEnd.current =
          element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_END_PX;
      }}
    >
      {lines.map((line) => (
        <div key={line.id} class={`line line-${line.level}`}>
          <time>{clock(line.time)}</time>
          <span class="line-level">{line.level}</span>
          <span class="line-service">{line.service}</span>
          <span class="line-text">
            <span class="quiet">{line.kind}</span> {line.message}{" "}
            <span class="quiet">{line.fields.slice(0, 400)}</span>{" "}
            {line.path && <a href={traceOf(line.path)}>trace</a>}
            {!line.path && line.trace_id && <a href={spans(line.trace_id)}>its spans</a>}
          </span>
        </div>
      ))}
    </div>
  );
}

function spans(trace: string): string {
  const sql = `select time, name, source, status, duration_ms from system.spans where trace_id = '${trace.replaceAll("'", "''")}' order by time`;
  return `/sql?q=${encodeURIComponent(sql)}`;
}
