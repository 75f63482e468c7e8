import type { View } from "../registry";

const view: View = {
  id: "search",
  title: "Search",
  about: "Rows and events by their words or their meaning; the indexes, and how far each is behind",
  order: 32,
  load: () => import("./page"),
  actions: [
    { title: "Indexes", about: "their recall and lag", href: "/search?show=indexes" },
    { title: "New index", about: "make a dataset searchable", href: "/search?show=new" },
  ],
};
export default view;
