import { defineConfig } from "vite";

// What is built goes into the Python package, where the console serves it from. Nothing is inlined:
// the policy that it is served with lets no inline script, style or data URL in.
export default defineConfig({
  base: "/",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "../src/lakecore/console/_assets",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2023",
    sourcemap: false,
    reportCompressedSize: false,
    chunkSizeWarningLimit: 900,
  },
});
