import { partsOf } from "../../lib/router";
import type { ViewProps } from "../registry";
import { FilePage } from "./file";
import { Findings } from "./findings";
import "./kb.css";

/** /kb: the findings; /kb/file?path=…: one file's reviews, two of them held against each other. */
export default function Kb({ place }: ViewProps) {
  const path = place.query.get("path") ?? "";
  if (partsOf(place.path)[1] === "file" && path)
    return <FilePage key={path} path={path} place={place} />;
  return <Findings place={place} />;
}
