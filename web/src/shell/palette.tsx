import { useEffect, useRef, useState } from "preact/hooks";
import { go, pathOf } from "../lib/router";
import { useApi } from "../lib/use";
import { type Entry, views } from "../views/registry";
import { setTheme } from "./theme";

interface Choice {
  title: string;
  about: string;
  kind: string;
  run: () => void;
}

const MOST = 50;
const NONE = 3;

/** `/` and Ctrl-K: views, datasets, actions, by a few letters of their names. */
export function Palette({ close }: { close: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const datasets = useApi<{ items: { name: string; description: string }[] }>(
    "/catalog/datasets?limit=1000",
  );
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  const visit = (entry: Entry, kind: string): Choice => ({
    title: entry.title,
    about: entry.about ?? "",
    kind,
    run: () => go(entry.href),
  });
  const all: Choice[] = [
    ...views.map((view) =>
      visit({ title: view.title, about: view.about, href: `/${view.id}` }, "view"),
    ),
    ...views.flatMap((view) => (view.actions ?? []).map((entry) => visit(entry, "action"))),
    ...(datasets.data?.items ?? []).map((one) =>
      visit({ title: one.name, about: one.description, href: pathOf("lake", one.name) }, "dataset"),
    ),
    ...(["auto", "light", "dark"] as const).map((name) => ({
      title: `Theme: ${name}`,
      about: "",
      kind: "action",
      run: () => {
        setTheme(name);
      },
    })),
  ];
  const found = all
    .map((choice) => ({ choice, rank: rankOf(choice.title, text) }))
    .filter((one) => one.rank < NONE)
    .sort((a, b) => a.rank - b.rank)
    .slice(0, MOST)
    .map((one) => one.choice);
  const chosen = Math.min(at, Math.max(0, found.length - 1));
  const take = (choice: Choice | undefined) => {
    if (!choice) return;
    close();
    choice.run();
  };
  const pressed = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      setAt((chosen + step + found.length) % Math.max(1, found.length));
    } else if (event.key === "Enter") {
      event.preventDefault();
      take(found[chosen]);
    }
  };
  useEffect(() => {
    document.getElementById(`choice-${chosen}`)?.scrollIntoView({ block: "nearest" });
  }, [chosen]);
  return (
    <dialog
      ref={dialog}
      class="palette"
      aria-label="Find or do"
      onClose={close}
      onClick={(event) => event.target === dialog.current && close()}
    >
      <input
        role="combobox"
        aria-expanded="true"
        aria-controls="choices"
        aria-activedescendant={found.length ? `choice-${chosen}` : undefined}
        aria-label="Find a view, a dataset, an action"
        placeholder="A view, a dataset, an action"
        value={text}
        autocomplete="off"
        spellcheck={false}
        onInput={(event) => {
          setText(event.currentTarget.value);
          setAt(0);
        }}
        onKeyDown={pressed}
      />
      <ul id="choices" role="listbox" aria-label="Found">
        {found.map((choice, n) => (
          <li
            key={`${choice.kind} ${choice.title}`}
            id={`choice-${n}`}
            role="option"
            aria-selected={n === chosen}
            onClick={() => take(choice)}
          >
            <span class="choice-title">{choice.title}</span>
            <span class="quiet">{choice.about}</span>
            <span class="choice-kind">{choice.kind}</span>
          </li>
        ))}
      </ul>
      {!found.length && <p class="quiet palette-none">Nothing is called that.</p>}
    </dialog>
  );
}

/** How well a title fits: its beginning, a part of it, its letters in this order; or not. */
function rankOf(title: string, text: string): number {
  const low = title.toLowerCase();
  const wanted = text.trim().toLowerCase();
  if (low.startsWith(wanted)) return 0;
  if (low.includes(wanted)) return 1;
  let from = 0;
  for (const letter of wanted.replace(/\s/g, "")) {
    const at = low.indexOf(letter, from);
    if (at < 0) return NONE;
    from = at + 1;
  }
  return 2;
}
