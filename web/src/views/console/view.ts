import type { View } from "../registry";

const view: View = {
  id: "console",
  title: "Console",
  about: "What programs and this process say, live",
  order: 90,
  load: () => import("./page"),
};
export default view;
