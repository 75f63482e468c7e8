import { useMemo, useState } from "preact/hooks";
import { count, plural } from "../../lib/format";
import { type FileNode, type Mapped, traceOf, useMap, useScope } from "../../lib/reviews";
import { go, setQuery } from "../../lib/router";
import { type Answer, useTitle } from "../../lib/use";
import { Card, Shown, Source } from "../../ui/basics";
import { Reviewed, ScopePicker } from "../../ui/scope";
import type { ViewProps } from "../registry";
import { MapCanvas } from "./canvas";
import { sizeOf } from "./layout";
import { type Extent, OVERLAY_IDS, OVERLAYS, type OverlayId } from "./overlays";
import "./map.css";

const MOST_ROWS = 100;

/** /map: every file by size and colour; the colour is one of five overlays. */
export default function MapView({ place }: ViewProps) {
  useTitle("Map");
  const scoped = useScope(place);
  const map = useMap(scoped.query);
  return (
    <div class="page">
      <header class="page-head">
        <div>
          <h1>Map</h1>
          <p>Every reviewed file: as large as it has lines, coloured by what you ask about.</p>
        </div>
        <ScopePicker scoped={scoped} />
      </header>
      <Reviewed
        scoped={scoped}
        fills="A review reads the files of a git repository. Here they become a map: where findings are open, what fixes earned, what nobody looked at lately."
      >
        <Shown answer={map} lines={10}>
          {(found) => (
            <Mapping
              found={found}
              answer={map}
              query={scoped.query}
              inside={place.query.get("in") ?? ""}
              asked={place.query.get("overlay") ?? ""}
            />
          )}
        </Shown>
      </Reviewed>
    </div>
  );
}

function Mapping(props: {
  found: Mapped;
  answer: Answer<Mapped>;
  query: string;
  inside: string;
  asked: string;
}) {
  const { found, answer, query, inside, asked } = props;
  const overlay: OverlayId = asked in OVERLAYS ? (asked as OverlayId) : "confirmed";
  const files = useMemo(() => {
    const below = found.items.filter((one) => !inside || one.path.startsWith(`${inside}/`));
    return below.length ? below : found.items;
  }, [found, inside]);
  const folder = files === found.items || files.length === found.items.length ? "" : inside;
  const extent: Extent = useMemo(
    () => ({
      mostChurn: Math.max(1, ...found.items.map((one) => (one.churn ?? 0) * one.open_weight)),
      now: answer.atMs,
    }),
    [found],
  );
  const [pointed, setPointed] = useState<FileNode>();
  const told = OVERLAYS[overlay];
  return (
    <>
      <div class="map-overlays" role="radiogroup" aria-label="Colour">
        {OVERLAY_IDS.map((id) => (
          <button
            key={id}
            type="button"
            role="radio"
            aria-checked={id === overlay}
            tabIndex={id === overlay ? 0 : -1}
            onClick={() => choose(id)}
            onKeyDown={(event) => move(event, overlay)}
            id={`overlay-${id}`}
          >
            {OVERLAYS[id].title}
          </button>
        ))}
      </div>
      <div class="map-columns">
        <Card title={told.title} aside={<Source answer={answer} />}>
          <div class="row spread">
            <p class="quiet">{told.about}</p>
            <Legend legend={told.legend} />
          </div>
          <Crumbs inside={folder} />
          <MapCanvas
            files={files}
            inside={folder}
            overlay={overlay}
            extent={extent}
            open={(path) => go(traceOf(path, query))}
            enter={(next) => setQuery({ in: next }, false)}
            pointed={setPointed}
          />
          <p class="map-pointed" role="status">
            {pointed ? (
              <>
                <strong>{pointed.path}</strong> {told.text(pointed, extent.now)}
                <span class="quiet">
                  {" "}
                  · {size(pointed)} · {plural(pointed.open, "finding")} open
                </span>
              </>
            ) : (
              <span class="quiet">
                {plural(files.length, "file")}. Point at one, or use the arrow keys; Enter or a
                click opens its trace, a folder's name enters it.
              </span>
            )}
          </p>
          {found.code !== "git" && (
            <p class="quiet">
              Sizes are the tokens of each question, and churn is not known: {found.code}.
            </p>
          )}
          {found.is_cut && <p class="quiet">More files were reviewed than are shown here.</p>}
        </Card>
        <Worst files={files} overlay={overlay} extent={extent} query={query} />
      </div>
    </>
  );
}

function choose(id: OverlayId): void {
  setQuery({ overlay: id === "confirmed" ? "" : id });
}

function move(event: KeyboardEvent, at: OverlayId): void {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const all = OVERLAY_IDS;
  const next = all[(all.indexOf(at) + step + all.length) % all.length] ?? "confirmed";
  choose(next);
  requestAnimationFrame(() => document.getElementById(`overlay-${next}`)?.focus());
}

function size(file: FileNode): string {
  return file.lines === null
    ? `about ${count(Math.round(sizeOf(file)))} lines`
    : plural(file.lines, "line");
}

function Legend({ legend }: { legend: [string, string] }) {
  return (
    <p class="map-legend">
      <span>{legend[0]}</span>
      <span class="map-ramp" aria-hidden="true" />
      <span>{legend[1]}</span>
      <span class="map-none" aria-hidden="true" />
      <span>no data</span>
    </p>
  );
}

function Crumbs({ inside }: { inside: string }) {
  if (!inside) return null;
  const parts = inside.split("/");
  return (
    <p class="row">
      <button type="button" class="link" onClick={() => setQuery({ in: "" }, false)}>
        everything
      </button>
      {parts.map((part, n) => (
        <span key={parts.slice(0, n + 1).join("/")}>
          /{" "}
          {n === parts.length - 1 ? (
            <strong>{part}</strong>
          ) : (
            <button
              type="button"
              class="link"
              onClick={() => setQuery({ in: parts.slice(0, n + 1).join("/") }, false)}
            >
              {part}
            </button>
          )}
        </span>
      ))}
    </p>
  );
}

/** The same as rows, the worst first. */
function Worst(props: {
  files: readonly FileNode[];
  overlay: OverlayId;
  extent: Extent;
  query: string;
}) {
  const { files, overlay, extent, query } = props;
  const told = OVERLAYS[overlay];
  const sorted = useMemo(
    () =>
      files
        .map((file) => ({ file, bad: told.badness(file, extent) ?? -1 }))
        .sort((a, b) => b.bad - a.bad || (a.file.path < b.file.path ? -1 : 1)),
    [files, overlay, extent],
  );
  return (
    <Card title="The same as a table, the worst first">
      <div
        class="table-wrap map-table"
        tabIndex={0}
        role="region"
        aria-label="Files, the worst first"
      >
        <table>
          <thead>
            <tr>
              <th scope="col">File</th>
              <th scope="col">{told.title}</th>
            </tr>
          </thead>
          <tbody>
            {sorted.slice(0, MOST_ROWS).map(({ file }) => (
              <tr key={file.path}>
                <th scope="row">
                  <a href={traceOf(file.path, query)}>{file.path}</a>
                </th>
                <td>{told.text(file, extent.now)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {sorted.length > MOST_ROWS && (
        <p class="quiet">
          The first {MOST_ROWS} of {count(sorted.length)}; enter a folder to see others.
        </p>
      )}
    </Card>
  );
}
