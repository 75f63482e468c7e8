import type { View } from "../registry";

const view: View = {
  id: "map",
  title: "Map",
  about: "The code at a glance: where reviews found what, and where nobody looked",
  order: 61,
  load: () => import("./page"),
};
export default view;
