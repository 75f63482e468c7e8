import { partsOf } from "../../lib/router";
import type { ViewProps } from "../registry";
import { Change } from "./change";
import { Waiting } from "./waiting";
import "./changes.css";

/** /changes: what waits; /changes/{id}: one of them. */
export default function Changes({ place }: ViewProps) {
  const id = partsOf(place.path)[1];
  return id ? <Change key={id} id={id} /> : <Waiting place={place} />;
}
