import type { View } from "../registry";

const view: View = {
  id: "trace",
  title: "Trace",
  about: "One file: every review, every finding from birth to fix, what was asked and answered",
  order: 62,
  load: () => import("./page"),
};
export default view;
