import { partsOf } from "../../lib/router";
import type { ViewProps } from "../registry";
import { OneRun } from "./one";
import { Runs } from "./runs";
import { UsagePage } from "./usage";
import "./agents.css";

/** /agents: the runs; /agents/usage: what models cost; /agents/runs/{id}: one run. */
export default function Agents({ place }: ViewProps) {
  const [, what, id] = partsOf(place.path);
  if (what === "runs" && id) return <OneRun key={id} id={id} />;
  return what === "usage" ? <UsagePage place={place} /> : <Runs />;
}
