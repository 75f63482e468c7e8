import type { View } from "../registry";

const view: View = {
  id: "lake",
  title: "Lake",
  about: "The datasets: what is in them, how fresh, how sound",
  order: 20,
  load: () => import("./page"),
};
export default view;
