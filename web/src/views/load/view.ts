import type { View } from "../registry";

const view: View = {
  id: "load",
  title: "Load a file",
  about: "A file into a dataset: see what it would become first",
  order: 35,
  load: () => import("./page"),
};
export default view;
