// How the page of a report looks: light and dark, wide and narrow. No content.
#pragma once

inline constexpr char style[] = R"css(
:root {
  color-scheme: light dark;
  --paper: #ffffff; --card: #f6f7f9; --ink: #1c2126; --faint: #5c6670; --edge: #d9dee3;
  --plot-1: #1f6fb2; --plot-2: #c2541a; --plot-3: #16805b; --plot-4: #8e4fae;
  --plot-5: #8a6a12; --plot-6: #0f7f8c; --plot-7: #c03a36; --plot-8: #6b747d;
  --plot-text: var(--faint); --plot-axis: #9aa4ad; --plot-grid: var(--edge);
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #15181c; --card: #1d2126; --ink: #e4e8ec; --faint: #a3adb7; --edge: #333a42;
    --plot-1: #5eaef0; --plot-2: #f2935a; --plot-3: #4fcb9c; --plot-4: #cb97e6;
    --plot-5: #dcb855; --plot-6: #55c8d4; --plot-7: #f5827c; --plot-8: #a9b1b9;
    --plot-axis: #68727c;
  }
  .ink img { filter: invert(1); border-color: #ccc5bd; }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 70rem;
  background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
}
h1 { margin: 0; font-size: 1.7rem; line-height: 1.25; }
h2 { margin: 3rem 0 0.5rem; padding-bottom: 0.3rem; border-bottom: 1px solid var(--edge);
     font-size: 1.3rem; }
h3 { margin: 1.5rem 0 0.5rem; font-size: 1rem; }
p { margin: 0.5rem 0; max-width: 48rem; }
.faint, figcaption { color: var(--faint); }
.notice { margin: 1rem 0; padding: 0.6rem 1rem; border-left: 4px solid var(--plot-2);
          background: var(--card); }
.figures { display: flex; flex-wrap: wrap; gap: 0.75rem; margin: 1.25rem 0 0; }
.figures div { display: flex; flex: 1 1 9rem; flex-direction: column; justify-content: space-between;
               padding: 0.6rem 1rem; border-radius: 6px; background: var(--card); }
.figures dt { color: var(--faint); font-size: 0.85rem; }
.figures dd { margin: 0; font-size: 1.35rem; font-variant-numeric: tabular-nums; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr));
         gap: 1rem; }
sup { font-size: 0.7em; line-height: 0; }
figure { margin: 0; }
.plots figure { padding: 0.75rem; border-radius: 6px; background: var(--card); }
.plots figcaption { margin-bottom: 0.25rem; color: var(--ink); font-weight: 600; }
.plots svg { display: block; width: 100%; height: auto; font-family: inherit; }
.pictures { display: flex; flex-wrap: wrap; gap: 0.75rem; margin: 1rem 0; }
.pictures figure { text-align: center; }
.pictures figcaption { max-width: 6.5rem; font-size: 0.8rem; line-height: 1.3; }
.pictures img { display: block; margin: 0 auto 0.2rem; image-rendering: pixelated;
                border: 1px solid var(--edge); }
.scale { white-space: nowrap; color: var(--faint); font-size: 0.85rem; }
.scale span { display: inline-block; width: 8rem; height: 0.7rem; margin: 0 0.5rem;
         border: 1px solid var(--edge); vertical-align: baseline;
         background: linear-gradient(90deg, rgb(30, 120, 230), transparent, rgb(235, 110, 20)); }
table { border-collapse: collapse; }
.confusion { margin: 1rem 0; font-size: 0.85rem; font-variant-numeric: tabular-nums; }
.confusion td, .confusion th { min-width: 2.9em; padding: 0.35em 0.2em; text-align: center;
                               border: 1px solid var(--edge); font-weight: 400; }
.confusion th { color: var(--faint); background: var(--card); }
.confusion caption { margin-bottom: 0.4rem; color: var(--faint); text-align: left; }
#equations td { padding: 0.2rem 1rem 0.2rem 0; white-space: nowrap; }
#equations math { display: inline math; font-size: 1.1em; }
#equations summary { cursor: pointer; padding: 0.25rem 0; }
#equations details table { margin: 0 0 0.5rem 1rem; }
.settings th { padding: 0.2rem 1.5rem 0.2rem 0; color: var(--faint); font-weight: 400;
               text-align: left; vertical-align: top; }
.settings td { padding: 0.2rem 0; overflow-wrap: anywhere; }
code { font: 0.9em/1.5 ui-monospace, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
@media (max-width: 40rem) {
  body { padding: 1.25rem 0.75rem 3rem; }
  .plots figure { padding: 0.5rem 0.25rem; }
  .plots figcaption { padding: 0 0.5rem; }
  .confusion { font-size: 0.72rem; }
  .confusion td, .confusion th { min-width: 0; padding: 0.3em 0.15em; }
  .confusion { width: 100%; }
  #equations table, #equations tbody { display: block; --formula: 100%; }
  #equations tr { display: flex; flex-wrap: wrap; align-items: center; }
  #equations td { max-width: 100%; padding: 6px 0.5rem 6px 0; overflow-x: auto; overflow-y: hidden; }
}
)css";
