import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { onLoggedOut, type Problem, problemFrom } from "../lib/api";
import { followLinks, go, type Place, usePlace } from "../lib/router";
import { forget, useTitle } from "../lib/use";
import { ProblemBox, Skeleton } from "../ui/basics";
import { type View, type ViewProps, viewAt, views } from "../views/registry";
import { Login, Mark } from "./login";
import { Palette } from "./palette";
import { enter, leave, type Session, whoAmI } from "./session";
import { setTheme, type Theme, theme } from "./theme";

/** Everything: who is it, which view, and around it the navigation and the palette. */
export function App() {
  const [session, setSession] = useState<Session>();
  const [problem, setProblem] = useState<Problem>();
  const look = async () => {
    try {
      setSession(await whoAmI());
      setProblem(undefined);
    } catch (error) {
      setProblem(problemFrom(error));
    }
  };
  useEffect(() => {
    void begin().then(setProblem).then(look0);
    async function look0() {
      try {
        setSession(await whoAmI());
      } catch (error) {
        setProblem(problemFrom(error));
      }
    }
    return onLoggedOut(() => {
      forget();
      void look();
    });
  }, []);
  if (!session) {
    return (
      <main class="login" id="main">
        <div class="login-box">
          {problem ? <ProblemBox problem={problem} retry={() => void look()} /> : <Skeleton />}
        </div>
      </main>
    );
  }
  if (!session.principal) {
    return <Login session={session} problem={problem} done={() => void look()} />;
  }
  return <Shell session={session} />;
}

/** A one-time link in the address: used, and gone from the address before anything else. */
async function begin(): Promise<Problem | undefined> {
  if (location.pathname !== "/login") return undefined;
  const link = location.hash.slice(1);
  go("/", true);
  if (!link) return undefined;
  try {
    await enter({ link });
    return undefined;
  } catch (error) {
    return problemFrom(error);
  }
}

function Shell({ session }: { session: Session }) {
  const place = usePlace();
  const [isPaletteOpen, setPaletteOpen] = useState(false);
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      const isK = event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey);
      if (isK || (event.key === "/" && !isTyping(event))) {
        event.preventDefault();
        setPaletteOpen(true);
      }
    };
    document.addEventListener("keydown", pressed);
    document.addEventListener("click", followLinks);
    return () => {
      document.removeEventListener("keydown", pressed);
      document.removeEventListener("click", followLinks);
    };
  }, []);
  const view = viewAt(place.path);
  return (
    <div class="shell">
      <a class="skip" href="#main">
        Skip to content
      </a>
      <header class="side">
        <a class="brand" href="/">
          <Mark />
          Lakecore
        </a>
        <button type="button" class="finder" onClick={() => setPaletteOpen(true)}>
          <span>Find or do…</span>
          <kbd>/</kbd>
        </button>
        <nav aria-label="Views">
          {views.map((one) => (
            <a
              key={one.id}
              href={`/${one.id}`}
              aria-current={one === view ? "page" : undefined}
              title={one.about}
            >
              {one.title}
            </a>
          ))}
        </nav>
        <Foot session={session} />
      </header>
      <main id="main" tabIndex={-1}>
        {view ? <Opened key={view.id} view={view} place={place} /> : <Nowhere place={place} />}
      </main>
      {isPaletteOpen && <Palette close={() => setPaletteOpen(false)} />}
    </div>
  );
}

function Foot({ session }: { session: Session }) {
  const [chosen, setChosen] = useState(theme());
  return (
    <div class="foot">
      <label>
        <span class="quiet">Theme</span>
        <select
          value={chosen}
          onChange={(event) => {
            const next = event.currentTarget.value as Theme;
            setTheme(next);
            setChosen(next);
          }}
        >
          <option value="auto">Auto</option>
          <option value="light">Light</option>
          <option value="dark">Dark</option>
        </select>
      </label>
      <p class="who" title={session.principal?.scopes.join(", ")}>
        {session.principal?.name}
      </p>
      <button
        type="button"
        class="link"
        onClick={() => void leave().then(() => location.assign("/"))}
      >
        Log out
      </button>
      <p class="quiet version">{session.version}</p>
    </div>
  );
}

const loaded = new Map<string, ComponentType<ViewProps>>();

/** A view, once its part of the program is there. */
function Opened({ view, place }: { view: View; place: Place }) {
  const [, redraw] = useState(0);
  const [problem, setProblem] = useState<Problem>();
  const Page = loaded.get(view.id);
  useEffect(() => {
    if (Page) return;
    view
      .load()
      .then((module) => {
        loaded.set(view.id, module.default);
        redraw((n) => n + 1);
      })
      .catch(() =>
        setProblem({
          type: "urn:lakecore:error:page",
          title: "this view could not be loaded",
          status: 0,
          hint: "load the page again: a newer version may be served",
        }),
      );
  }, [view.id]);
  if (problem) return <ProblemBox problem={problem} retry={() => location.reload()} />;
  return Page ? <Page place={place} /> : <Skeleton lines={6} />;
}

function Nowhere({ place }: { place: Place }) {
  useTitle("Not found");
  return (
    <ProblemBox
      problem={{
        type: "urn:lakecore:error:not-found",
        title: "there is no such view",
        status: 404,
        found: place.path.slice(0, 200),
        hint: "press / to find one",
      }}
    />
  );
}

function isTyping(event: KeyboardEvent): boolean {
  const target = event.composedPath()[0];
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  );
}
