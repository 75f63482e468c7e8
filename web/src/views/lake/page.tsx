import { partsOf } from "../../lib/router";
import type { ViewProps } from "../registry";
import { Dataset } from "./dataset";
import { Datasets } from "./datasets";

/** /lake: all datasets; /lake/{dataset}: one of them. */
export default function Lake({ place }: ViewProps) {
  const name = partsOf(place.path)[1];
  return name ? <Dataset key={name} name={name} place={place} /> : <Datasets place={place} />;
}
