import type { View } from "../registry";

const view: View = {
  id: "metrics",
  title: "Metrics",
  about: "How well the reviewers do: shares, intervals, queries, and what would be good",
  order: 64,
  load: () => import("./page"),
};
export default view;
