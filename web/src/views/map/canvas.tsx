import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { FileNode } from "../../lib/reviews";
import { HEAD_PX, type Layout, layout, nextTile, tileAt } from "./layout";
import { colourText, type Extent, isDarkNow, OVERLAYS, type OverlayId } from "./overlays";

const FADE_MS = 220;
const LABEL_NEEDS_W = 46;
const LABEL_NEEDS_H = 17;
const FONT = "11px system-ui, sans-serif";
const ARROWS: Record<string, readonly [number, number]> = {
  ArrowRight: [1, 0],
  ArrowLeft: [-1, 0],
  ArrowDown: [0, 1],
  ArrowUp: [0, -1],
};

/** The treemap: one canvas, drawn whole when its colours change, else only what is pointed at. */
export function MapCanvas(props: {
  files: readonly FileNode[];
  inside: string;
  overlay: OverlayId;
  extent: Extent;
  open: (path: string) => void;
  enter: (folder: string) => void;
  pointed: (file: FileNode | undefined) => void;
}) {
  const { files, inside, overlay, extent, open, enter, pointed } = props;
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(0);
  const height = width < 500 ? 420 : 540;
  const [at, setAt] = useState(-1);
  const [theme, setTheme] = useState(isDarkNow());
  const map: Layout = useMemo(
    () => (width ? layout(files, inside, width, height) : { tiles: [], frames: [] }),
    [files, inside, width, height],
  );
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const watch = new ResizeObserver(() => setWidth(Math.floor(element.clientWidth)));
    watch.observe(element);
    const root = new MutationObserver(() => setTheme(isDarkNow()));
    root.observe(document.documentElement, { attributes: true });
    const system = matchMedia("(prefers-color-scheme: dark)");
    const changed = () => setTheme(isDarkNow());
    system.addEventListener("change", changed);
    return () => {
      watch.disconnect();
      root.disconnect();
      system.removeEventListener("change", changed);
    };
  }, []);
  useEffect(() => setAt(-1), [map]);
  useEffect(() => pointed(map.tiles[at]?.file), [at, map]);

  const shown = useRef<number[]>([]);
  const kept = useRef<HTMLCanvasElement | null>(null);
  const outline = () => {
    const context = canvas.current?.getContext("2d");
    if (!context || !kept.current) return;
    const ratio = devicePixelRatio || 1;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.drawImage(kept.current, 0, 0);
    const tile = map.tiles[at];
    if (!tile) return;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.lineWidth = 2;
    context.strokeStyle = cssColour("--ink");
    context.strokeRect(tile.x + 1, tile.y + 1, Math.max(1, tile.w - 2), Math.max(1, tile.h - 2));
  };
  useEffect(() => {
    const target = canvas.current;
    if (!target || !width) return;
    const ratio = devicePixelRatio || 1;
    target.width = width * ratio;
    target.height = height * ratio;
    const layer = document.createElement("canvas");
    layer.width = target.width;
    layer.height = target.height;
    kept.current = layer;
    const context = layer.getContext("2d");
    if (!context) return;
    const wanted = map.tiles.map((tile) => OVERLAYS[overlay].badness(tile.file, extent) ?? -1);
    const before = shown.current.length === wanted.length ? shown.current : wanted;
    shown.current = wanted;
    const isStill = before === wanted || matchMedia("(prefers-reduced-motion: reduce)").matches;
    let frame = 0;
    const began = performance.now();
    const step = (now: number) => {
      const part = isStill ? 1 : Math.min(1, (now - began) / FADE_MS);
      const values = part === 1 ? wanted : wanted.map((one, n) => mixed(before[n]!, one, part));
      draw(context, map, values, theme, ratio, width, height);
      outline();
      if (part < 1) frame = requestAnimationFrame(step);
    };
    step(began);
    return () => cancelAnimationFrame(frame);
  }, [map, overlay, extent, theme, width, height]);
  useEffect(outline, [at]);

  const where = (event: MouseEvent): [number, number] => {
    const rect = canvas.current!.getBoundingClientRect();
    return [event.clientX - rect.left, event.clientY - rect.top];
  };
  const pressed = (event: KeyboardEvent) => {
    const arrow = ARROWS[event.key];
    if (arrow) {
      const next = at < 0 ? 0 : nextTile(map.tiles, at, arrow[0], arrow[1]);
      if (next >= 0) setAt(next);
    } else if (event.key === "Enter") {
      const tile = map.tiles[at];
      if (tile) open(tile.file.path);
    } else if (event.key === "Backspace" && inside) {
      enter(inside.split("/").slice(0, -1).join("/"));
    } else return;
    event.preventDefault();
  };
  return (
    <div
      ref={box}
      class="map-box"
      role="application"
      tabIndex={0}
      aria-label={`Treemap of ${map.tiles.length} files. Arrow keys move, Enter opens the trace. The table beside it has the same.`}
      onKeyDown={pressed}
    >
      <canvas
        ref={canvas}
        style={{ width: `${width}px`, height: `${height}px` }}
        onPointerMove={(event) => {
          const next = tileAt(map.tiles, ...where(event));
          if (next !== at) setAt(next);
        }}
        onPointerLeave={() => setAt(-1)}
        onClick={(event) => {
          const [x, y] = where(event);
          const head = map.frames.findLast(
            (one) => x >= one.x && x < one.x + one.w && y >= one.y && y < one.y + HEAD_PX,
          );
          const tile = map.tiles[tileAt(map.tiles, x, y)];
          if (tile) open(tile.file.path);
          else if (head) enter(head.path);
        }}
      />
    </div>
  );
}

function mixed(from: number, to: number, part: number): number {
  return from < 0 || to < 0 ? to : from + (to - from) * part;
}

function cssColour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function draw(
  context: CanvasRenderingContext2D,
  map: Layout,
  values: readonly number[],
  isDark: boolean,
  ratio: number,
  width: number,
  height: number,
): void {
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.fillStyle = cssColour("--surface");
  context.fillRect(0, 0, width, height);
  const ink = cssColour("--ink");
  const sunken = cssColour("--sunken");
  const line = cssColour("--line-strong");
  context.font = FONT;
  context.textBaseline = "top";
  for (const frame of map.frames) {
    context.fillStyle = sunken;
    context.fillRect(frame.x, frame.y, frame.w - 1, frame.h - 1);
    if (frame.w <= 44 || frame.h <= 44) continue;
    context.fillStyle = ink;
    context.fillText(fitting(context, frame.name, frame.w - 10), frame.x + 5, frame.y + 4);
  }
  const marks = new Path2D();
  let filled = "";
  map.tiles.forEach((tile, n) => {
    const value = values[n] ?? -1;
    const wanted = colourText(value < 0 ? null : value, isDark);
    if (wanted !== filled) {
      context.fillStyle = wanted;
      filled = wanted;
    }
    const w = Math.max(0.5, tile.w - 1);
    const h = Math.max(0.5, tile.h - 1);
    context.fillRect(tile.x, tile.y, w, h);
    if (value < 0 && w > 5 && h > 5) {
      // No data has a mark of its own, not only a grey.
      marks.moveTo(tile.x, tile.y + h);
      marks.lineTo(tile.x + w, tile.y);
    }
    if (tile.w > LABEL_NEEDS_W && tile.h > LABEL_NEEDS_H) {
      context.fillStyle = ink;
      const name = tile.file.path.slice(tile.file.path.lastIndexOf("/") + 1);
      context.fillText(fitting(context, name, tile.w - 8), tile.x + 4, tile.y + 4);
      filled = ink;
    }
  });
  context.strokeStyle = line;
  context.lineWidth = 0.5;
  context.stroke(marks);
}

const widths = new Map<string, number>();

/** As much of a name as fits; a letter is measured once. */
function fitting(context: CanvasRenderingContext2D, text: string, width: number): string {
  let sum = 0;
  let end = 0;
  for (const letter of text) {
    let wide = widths.get(letter);
    if (wide === undefined) {
      wide = context.measureText(letter).width;
      if (widths.size < 2_000) widths.set(letter, wide);
    }
    sum += wide;
    if (sum > width) return end > 1 ? `${text.slice(0, Math.max(0, end - 1))}…` : "";
    end += letter.length;
  }
  return text;
}
