import type { View } from "../registry";

const view: View = {
  id: "kb",
  title: "Findings",
  about: "What reviews of code found: each with its quote, its state, and a person's word on it",
  order: 70,
  load: () => import("./page"),
  actions: [
    { title: "Severe findings", about: "open and critical", href: "/kb?severity=critical" },
    { title: "Ignored findings", about: "by whom, why, until when", href: "/kb?state=ignored" },
  ],
};
export default view;
