/** A squarified treemap of folders (Bruls, Huizing, van Wijk 2000), in whole pixels. */
import type { FileNode } from "../../lib/reviews";

export interface Tile {
  x: number;
  y: number;
  w: number;
  h: number;
  file: FileNode;
}

export interface Frame {
  x: number;
  y: number;
  w: number;
  h: number;
  path: string;
  name: string;
  depth: number;
}

export interface Layout {
  tiles: Tile[];
  frames: Frame[];
}

interface Folder {
  path: string;
  name: string;
  size: number;
  folders: Map<string, Folder>;
  files: { file: FileNode; size: number }[];
}

export const HEAD_PX = 18;
const HEAD_NEEDS_PX = 44;
const GAP_PX = 2;
const LINES_PER_TOKEN = 0.1;
const MOST_DEPTH = 40;

/** Lines where they are known; else about as many as the question had tokens for. */
export function sizeOf(file: FileNode): number {
  return Math.max(1, file.lines ?? (file.tokens ?? 100) * LINES_PER_TOKEN);
}

export function layout(
  files: readonly FileNode[],
  inside: string,
  width: number,
  height: number,
): Layout {
  const found: Layout = { tiles: [], frames: [] };
  const root = treeOf(files, inside);
  place(root, 0, 0, width, height, 0, found);
  return found;
}

function treeOf(files: readonly FileNode[], inside: string): Folder {
  const folder = (path: string, name: string): Folder => ({
    path,
    name,
    size: 0,
    folders: new Map(),
    files: [],
  });
  const root = folder(inside, "");
  const prefix = inside ? `${inside}/` : "";
  for (const file of files) {
    if (!file.path.startsWith(prefix)) continue;
    const parts = file.path.slice(prefix.length).split("/").slice(0, -1).slice(0, MOST_DEPTH);
    const size = sizeOf(file);
    let here = root;
    here.size += size;
    for (const part of parts) {
      const path = here.path ? `${here.path}/${part}` : part;
      let next = here.folders.get(part);
      if (!next) {
        next = folder(path, part);
        here.folders.set(part, next);
      }
      here = next;
      here.size += size;
    }
    here.files.push({ file, size });
  }
  return root;
}

type Item = { size: number; folder?: Folder; file?: FileNode };

function place(
  folder: Folder,
  x: number,
  y: number,
  w: number,
  h: number,
  depth: number,
  found: Layout,
): void {
  if (w < 1 || h < 1) return;
  // A folder that holds one folder alone is one step: a/b/c.
  let here = folder;
  while (here.folders.size === 1 && !here.files.length && depth > 0) {
    const only = [...here.folders.values()][0]!;
    here = { ...only, name: `${here.name}/${only.name}` };
  }
  let top = y;
  let left = h;
  if (depth > 0) {
    found.frames.push({ x, y, w, h, path: here.path, name: here.name, depth });
    if (w > HEAD_NEEDS_PX && h > HEAD_NEEDS_PX) {
      top += HEAD_PX;
      left -= HEAD_PX;
    }
  }
  const items: Item[] = [
    ...[...here.folders.values()].map((one) => ({ size: one.size, folder: one })),
    ...here.files.map((one) => ({ size: one.size, file: one.file })),
  ].sort((a, b) => b.size - a.size);
  const pad = depth > 0 && w > 12 && left > 12 ? GAP_PX : 0;
  squarify(items, x + pad, top, w - 2 * pad, left - pad, (item, at) => {
    if (item.folder) place(item.folder, at.x, at.y, at.w, at.h, depth + 1, found);
    else if (item.file) found.tiles.push({ ...at, file: item.file });
  });
}

interface Box {
  x: number;
  y: number;
  w: number;
  h: number;
}

function squarify(
  items: readonly Item[],
  x: number,
  y: number,
  w: number,
  h: number,
  put: (item: Item, box: Box) => void,
): void {
  let total = items.reduce((sum, item) => sum + item.size, 0);
  let start = 0;
  let box: Box = { x, y, w, h };
  while (start < items.length && box.w > 0 && box.h > 0) {
    const side = Math.min(box.w, box.h);
    const scale = (box.w * box.h) / total;
    let end = start;
    let sum = 0;
    let worst = Number.POSITIVE_INFINITY;
    while (end < items.length) {
      const next = sum + items[end]!.size;
      const long = (next * scale) / side;
      const first = (items[start]!.size * scale) / long;
      const last = (items[end]!.size * scale) / long;
      const ratio = Math.max(long / last, last / long, long / first, first / long);
      if (ratio > worst) break;
      worst = ratio;
      sum = next;
      end += 1;
    }
    box = row(items.slice(start, end), sum, box, Math.min(1, sum / total), put);
    total -= sum;
    start = end;
  }
}

function row(
  items: readonly Item[],
  sum: number,
  box: Box,
  share: number,
  put: (item: Item, box: Box) => void,
): Box {
  const isWide = box.w >= box.h;
  const depth = (isWide ? box.w : box.h) * share;
  const side = isWide ? box.h : box.w;
  let at = 0;
  for (const item of items) {
    const long = (item.size / sum) * side;
    put(
      item,
      isWide
        ? { x: box.x, y: box.y + at, w: depth, h: long }
        : { x: box.x + at, y: box.y, w: long, h: depth },
    );
    at += long;
  }
  return isWide
    ? { x: box.x + depth, y: box.y, w: box.w - depth, h: box.h }
    : { x: box.x, y: box.y + depth, w: box.w, h: box.h - depth };
}

/** The tile under a point; of many, by looking at all: 5,000 take less than a frame. */
export function tileAt(tiles: readonly Tile[], x: number, y: number): number {
  return tiles.findIndex((t) => x >= t.x && x < t.x + t.w && y >= t.y && y < t.y + t.h);
}

/** The nearest tile in a direction, by the middle of both; -1: there is none. */
export function nextTile(tiles: readonly Tile[], from: number, dx: number, dy: number): number {
  const here = tiles[from];
  if (!here) return tiles.length ? 0 : -1;
  const cx = here.x + here.w / 2;
  const cy = here.y + here.h / 2;
  let best = -1;
  let least = Number.POSITIVE_INFINITY;
  tiles.forEach((tile, n) => {
    if (n === from) return;
    const ox = tile.x + tile.w / 2 - cx;
    const oy = tile.y + tile.h / 2 - cy;
    const along = ox * dx + oy * dy;
    if (along <= 0.5) return;
    const aside = Math.abs(ox * dy) + Math.abs(oy * dx);
    const far = along + 2.5 * aside;
    if (far < least) {
      least = far;
      best = n;
    }
  });
  return best;
}
