/**
 * The views. One is a folder of its own here with a `view.ts`, whose default export is a `View`:
 * it is found by that, named in the navigation and the palette, and loaded when it is opened.
 */
import type { ComponentType } from "preact";
import type { Place } from "../lib/router";

export interface View {
  /** The first part of its path; empty for the one at `/`. */
  id: string;
  title: string;
  /** What it answers, one line. */
  about: string;
  /** Where it stands in the navigation: 10, 20, … */
  order: number;
  /** The part that draws it; imported when it is first opened. */
  load: () => Promise<{ default: ComponentType<ViewProps> }>;
  /** What the palette offers of it beside the view itself. */
  actions?: readonly Entry[];
}

export interface ViewProps {
  place: Place;
}

export interface Entry {
  title: string;
  about?: string;
  href: string;
}

const found = import.meta.glob<View>("./*/view.ts", { eager: true, import: "default" });

export const views: readonly View[] = Object.values(found).sort((a, b) => a.order - b.order);

export function viewAt(path: string): View | undefined {
  const first = path.split("/")[1] ?? "";
  return views.find((view) => view.id === first);
}
