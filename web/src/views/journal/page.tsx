import { partsOf } from "../../lib/router";
import type { ViewProps } from "../registry";
import { Entity } from "./entity";
import { Events } from "./events";
import { Proof } from "./proof";
import "./journal.css";

/** /journal: events; /journal/entity/{dataset}/{key}: one row's; /journal/proof/{event}. */
export default function Journal({ place }: ViewProps) {
  const [, what, first, second] = partsOf(place.path);
  if (what === "entity" && first && second) {
    return <Entity key={`${first} ${second}`} dataset={first} id={second} place={place} />;
  }
  if (what === "proof" && first) return <Proof key={first} id={first} />;
  return <Events place={place} />;
}
