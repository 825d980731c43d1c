"use strict";
// The page holds its data compressed; rows and details are made when somebody looks at them.
// Text goes into the page as text only (textContent): what came from a pod is never markup.
(async () => {
  const ROWS = 40; // that are made at once; more when somebody scrolls
  const PAGE = 100; // groups or pods that a button adds
  const VERDICTS = ["broken", "suspicious", "not examined", "healthy"];
  const STRATEGIES = {
    target: "in the PID namespace of the target container",
    "own-image": "the image, environment and mounts of the target container",
    shared: "our image, with the mounts of the target container and the network of the pod",
    catch: "in the PID namespace of the target container, in a moment when it lived",
    copy: "in a copy of the pod",
  };
  const $ = (id) => document.getElementById(id);
  const q = $("q"), list = $("rows"), more = $("more");

  function h(tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (typeof value === "function") element.addEventListener(name, value);
      else if (value !== undefined && value !== null && value !== false) element.setAttribute(name, value);
    }
    element.append(...children.flat(9).filter((child) => child !== "" && child !== null));
    return element;
  }

  const plural = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;

  const { changePart, configurationPart, ruledOutPart, timelinePart, streamPart, outputPart } = parts(h, plural);

  const began = new Date(document.querySelector("header time").dateTime);

  // The sweep is told from now on backwards, everything else from the sweep.
  function times(root) {
    const units = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
    for (const element of root.querySelectorAll("time:not([title])")) {
      const time = new Date(element.dateTime), isSweep = root === document;
      const seconds = ((isSweep ? Date.now() : time) - began) / 1000, size = Math.abs(isSweep ? Math.max(seconds, 0) : seconds);
      const [unit, length] = units.find(([, length]) => size >= length) || units[3];
      const utc = time.toISOString().slice(0, 19).replace("T", " ") + " UTC";
      const said = plural(Math.floor(size / length), unit);
      element.title = `${utc}, local time ${time.toLocaleString()}`;
      element.textContent = !isSweep && size < 1 ? "as the sweep began" : isSweep ? `${said} ago (${utc})` : `${said} ${seconds < 0 ? "before the sweep" : "into the sweep"}`;
    }
  }

  async function inflate(element) {
    const raw = Uint8Array.from(atob(element.textContent), (character) => character.charCodeAt(0));
    const stream = new Blob([raw]).stream().pipeThrough(new DecompressionStream("deflate"));
    return JSON.parse(await new Response(stream).text());
  }

  const chunks = [...document.querySelectorAll("script.chunk")];
  const inflated = new Map();
  async function details(entry) {
    if (!inflated.has(entry.chunk)) {
      if (inflated.size > 8) inflated.clear();
      inflated.set(entry.chunk, inflate(chunks[entry.chunk]));
    }
    return (await inflated.get(entry.chunk))[entry.at];
  }

  // --- state: what is searched, filtered and opened lives in the address ---
  const state = { q: "", show: new Set(), ns: "", rule: "", outcome: "", open: new Set() };
  const keyOf = (entry) => `${entry.kind}/${entry.namespace}/${entry.name}`;

  function readHash() {
    const hash = new URLSearchParams(location.hash.slice(1));
    state.q = hash.get("q") || "";
    state.show = new Set((hash.get("show") || "").split(",").filter((word) => VERDICTS.includes(word)));
    for (const name of ["ns", "rule", "outcome"]) state[name] = hash.get(name) || "";
    state.open = new Set(hash.getAll("open"));
  }

  function writeHash() {
    const hash = new URLSearchParams();
    if (state.q) hash.set("q", state.q);
    if (state.show.size) hash.set("show", [...state.show].join(","));
    for (const name of ["ns", "rule", "outcome"]) if (state[name]) hash.set(name, state[name]);
    for (const key of state.open) hash.append("open", key);
    const url = location.href.split("#")[0] + (hash.size ? "#" + hash : "");
    if (url !== location.href) history.replaceState(null, "", url);
  }

  // --- the list ---
  let entries = [], shown = [], drawn = 0;

  function matches(entry, words) {
    return (!state.ns || entry.namespace === state.ns)
      && (!state.rule || entry.rules.includes(state.rule))
      && (!state.outcome || entry.outcomes.includes(state.outcome))
      && words.every((word) => entry.text.includes(word));
  }

  function isFiltered() {
    return Boolean(state.q || state.ns || state.rule || state.outcome || state.show.size);
  }

  function refresh() {
    const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
    const found = entries.filter((entry) => matches(entry, words));
    const wanted = (entry) => state.show.size ? state.show.has(entry.verdict)
      : entry.verdict !== "healthy" || isFiltered() || ($("healthy") && $("healthy").open);
    shown = found.filter(wanted);
    drawn = 0;
    list.replaceChildren();
    draw();
    for (const chip of $("chips").children) {
      const count = found.reduce((sum, entry) => sum + (entry.verdict === chip.value), 0);
      chip.textContent = `${chip.value} ${count.toLocaleString("en")}`;
      chip.setAttribute("aria-pressed", String(state.show.has(chip.value)));
    }
    for (const select of $("selects").children) select.value = state[select.name];
    if (q.value !== state.q) q.value = state.q;
    if ($("healthy")) $("healthy").hidden = isFiltered();
    $("clear").hidden = !isFiltered();
    $("count").textContent = isFiltered() ? `${shown.length.toLocaleString("en")} of ${plural(entries.length, "workload")}` : "";
    more.textContent = !entries.length ? "" : shown.length || !isFiltered() ? "" : "No workload matches.";
    writeHash();
  }

  function draw() {
    const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
    const next = shown.slice(drawn, drawn + ROWS);
    drawn += next.length;
    list.append(...next.map((entry) => row(entry, words)));
    watcher.unobserve(footer); // it tells of changes only: ask it again whether this was enough
    watcher.observe(footer);
  }

  const footer = document.querySelector("footer");
  const watcher = new IntersectionObserver((seen) => {
    if (seen[0].isIntersecting && drawn < shown.length) draw();
  }, { rootMargin: "1200px" });

  function row(entry, words) {
    const element = $("row").content.firstElementChild.cloneNode(true);
    const part = (name) => element.querySelector("." + name);
    element.classList.add(entry.verdict.replace(" ", "-"));
    part("badge").textContent = entry.verdict;
    part("name").textContent = `${entry.kind}/${entry.name}`;
    part("where").textContent = `in ${entry.namespace}`;
    part("facts").textContent = [entry.pods, entry.restarts ? plural(entry.restarts, "restart") : "", entry.confidence].filter(Boolean).join(" · ");
    part("cause").textContent = entry.cause;
    part("evidence").textContent = entry.evidence;
    part("evidence").title = entry.source;
    part("match").textContent = matchText(entry, words);
    const box = element.querySelector("details"), body = part("body");
    body.replaceChildren();
    const key = keyOf(entry);
    box.addEventListener("toggle", async () => {
      if (box.open) state.open.add(key); else state.open.delete(key);
      writeHash();
      if (box.open && !body.childElementCount) await fill(body, entry);
    });
    box.open = state.open.has(key);
    return element;
  }

  function matchText(entry, words) {
    if (!words.length || entry.names.length < 2) return "";
    const found = entry.names.filter((name) => words.some((word) => name.toLowerCase().includes(word)));
    if (!found.length || found.length === entry.names.length) return "";
    return `matches ${found.slice(0, 3).join(", ")}${found.length > 3 ? ` and ${found.length - 3} more` : ""}`;
  }

  // --- one workload, opened ---
  async function fill(body, entry) {
    try {
      const detail = await details(entry);
      const groups = h("div", { class: "groups" });
      body.replaceChildren(
        ...detail.findings.map((finding) => findingPart(finding, groups, entry)),
        changePart(detail.change),
        configurationPart(detail.configuration),
        ruledOutPart(detail.ruledOut),
        questionsPart(detail.questions),
        h("h3", {}, "Pods"),
        groups,
      );
      page(groups, detail.groups, 20, (group) => groupPart(group, detail.groups.length === 1), "group");
      times(body);
    } catch (error) {
      body.replaceChildren(h("p", {}, `The details cannot be read here (${error.message}); report.json holds them.`));
    }
  }

  // Adds the first items, then a button for the rest.
  function page(parent, items, count, make, noun) {
    parent.append(...items.slice(0, count).map(make));
    const rest = items.slice(count);
    if (!rest.length) return;
    const button = h("button", { type: "button", click: () => {
      button.remove();
      page(parent, rest, PAGE, make, noun);
      times(parent);
    } }, `Show ${Math.min(rest.length, PAGE).toLocaleString("en")} more of ${plural(items.length, noun)}`);
    parent.append(parent.tagName === "TBODY" ? h("tr", {}, h("td", { colspan: 9 }, button)) : button);
  }

  function findingPart(finding, groups, entry) {
    const where = finding.container ? ` in container ${finding.container}` : "";
    return h("section", { class: "finding" },
      h("h3", {}, finding.title || finding.rule),
      finding.message === entry.cause ? "" : h("p", {}, finding.message),
      h("p", { class: "source" }, `${finding.severity}, ${finding.confidence}: rule ${finding.rule}${finding.version && ` (${finding.version})`} of playbook ${finding.playbook}${where}, ${finding.pods}`),
      finding.evidence.length ? h("h4", {}, "Why") : "",
      finding.evidence.map((item) => evidencePart(item, groups, entry.evidence)),
      finding.fix.length ? h("h4", {}, "Fix") : "",
      finding.fix.map((part) => part.command === undefined ? h("p", {}, part.text) : commandPart(part.command)),
      finding.fix.some((part) => part.command !== undefined) ? h("p", { class: "hint" }, "podmedic changes nothing; read a command before you run it.") : "");
  }

  function evidencePart(item, groups, decisive) {
    const link = item.step && h("button", { type: "button", class: "link", click: () => showStep(groups, item) }, "whole output");
    return h("div", {}, h("span", { class: "source" }, item.source, item.pod ? ` of pod ${item.pod}` : "", " ", link), marked(outputPart(item), decisive));
  }

  // The line that is shown in the list stands out in the excerpt that it was taken from.
  function marked(box, decisive) {
    const text = box.querySelector("pre"), lines = text.textContent.split("\n");
    const at = decisive ? lines.findLastIndex((line) => line.trim().replace(/\s+/g, " ") === decisive) : -1;
    if (at >= 0 && lines.length > 1) {
      text.replaceChildren(...lines.flatMap((line, number) => [number ? "\n" : "", number === at ? h("mark", {}, line) : line]));
    }
    return box;
  }

  function showStep(groups, item) {
    const name = item.pod.split("/").pop();
    const found = [...groups.querySelectorAll(".step")].filter((step) => step.dataset.step === item.step);
    const step = found.find((step) => step.closest(".group").dataset.pods.split(" ").includes(name)) || found[0];
    if (!step) return;
    step.closest(".group").open = step.open = true;
    step.scrollIntoView({ block: "start" });
    step.querySelector("summary").focus();
  }

  function commandPart(command) {
    const code = h("code", {}, command);
    return h("pre", { class: "command" }, code, h("button", { type: "button", click: (event) => copy(code, event.target) }, "Copy"));
  }

  async function copy(element, button) {
    getSelection().selectAllChildren(element);
    let done = false;
    try {
      await navigator.clipboard.writeText(element.textContent);
      done = true;
    } catch {
      done = document.execCommand("copy");
    }
    button.textContent = done ? "Copied" : "Selected: press Ctrl+C";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  }

  function questionsPart(questions) {
    if (!questions.length) return "";
    return h("section", {}, h("h3", {}, "Not evaluated"), h("ul", {}, questions.map((question) =>
      h("li", {}, h("b", {}, question.subject), ` of ${question.playbook}: ${why(question)}`))));
  }

  const why = (item) => [item.reason, item.message].filter(Boolean).join(": ");

  function groupPart(group, alone) {
    const names = group.pods.map((pod) => pod.name);
    const label = names.length === 1 ? names[0] : `${plural(names.length, "pod")} said the same`;
    const rows = h("tbody");
    page(rows, group.pods, 20, podRow, "pod");
    return h("details", { class: "group", open: alone && "open", "data-pods": names.join(" ") },
      h("summary", {}, h("b", {}, label), " · ", outcome(group.outcome), why(group) && `: ${why(group)}`, names.length > 1 ? h("span", { class: "source" }, ` · ${names.slice(0, 3).join(", ")}${names.length > 3 ? " …" : ""}`) : ""),
      h("table", {}, h("thead", {}, h("tr", {}, ["Pod", "Node", "Containers before the sweep", "Ephemeral containers added"].map((title) => h("th", { scope: "col" }, title)))), rows),
      timelinePart(group.timeline, names, began),
      group.steps.length ? h("h4", {}, names.length > 1 ? `Steps, as ${names[0]} answered them` : "Steps") : "",
      group.steps.map(stepPart),
      injectionsPart(group));
  }

  function podRow(pod) {
    const containers = pod.containers.map((item) => h("div", {}, `${item.name}: ${item.state}${item.restarts ? `, ${plural(item.restarts, "restart")}` : ""}`, item.time ? [`, ${item.word} `, h("time", { datetime: item.time }, item.time)] : ""));
    const found = state.q && pod.name.toLowerCase().includes(state.q.toLowerCase());
    return h("tr", {}, h("td", { class: found && "found", title: `uid ${pod.uid}` }, pod.name, pod.control ? " (healthy, to compare with)" : ""), h("td", {}, pod.node || "none"), h("td", {}, containers.length ? containers : pod.phase), h("td", {}, pod.added));
  }

  const outcome = (word) => h("span", { class: `outcome ${word}` }, word);

  function stepPart(step) {
    const last = step.attempts[step.attempts.length - 1];
    const facts = [
      last && last.exitCode !== null ? `exit code ${last.exitCode}` : "",
      last ? `${last.seconds} s` : "",
      step.attempts.length > 1 ? plural(step.attempts.length, "attempt") : "",
      why(step),
      step.playbook,
    ].filter(Boolean).join(" · ");
    return h("details", { class: "step", "data-step": step.name },
      h("summary", {}, h("b", {}, step.name), " · ", outcome(step.outcome), ` · ${facts}`),
      step.attempts.map((attempt) => [
        step.attempts.length > 1 ? h("h4", {}, `Attempt ${attempt.number}: ${attempt.outcome}${attempt.exitCode === null ? "" : `, exit code ${attempt.exitCode}`}, ${attempt.seconds} s`) : "",
        ["stdout", "stderr"].map((stream) => streamPart(stream, attempt[stream])),
      ]),
      step.attempts.some((item) => item.stdout.text || item.stderr.text) || !step.attempts.length ? "" : h("p", { class: "hint" }, "It printed nothing."));
  }

  function injectionsPart(group) {
    if (!group.injections.length) return h("p", { class: "hint" }, "Nothing was injected into this pod.");
    return [h("h4", {}, "What we did to this pod"), group.injections.map((item) => h("dl", {}, [
      ["Ephemeral container", item.container + (item.reused ? " (reused)" : "") + (item.target ? `, targets ${item.target}` : "")],
      ["Image", item.imageID && item.imageID !== item.image ? `${item.image} (${item.imageID})` : item.image],
      ["Profile", item.profile],
      ["Strategy", item.strategy + (STRATEGIES[item.strategy] ? `: ${STRATEGIES[item.strategy]}` : "")],
      ...item.times.map(([word, time]) => [word[0].toUpperCase() + word.slice(1), h("time", { datetime: time }, time)]),
      ["Before that", item.before], ["Proof", item.proof], ...item.warnings.map((warning) => ["Warning", warning]),
    ].filter(([, value]) => value).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]))),
    h("p", { class: "hint" }, "An ephemeral container stays in the pod until the pod is deleted.")];
  }

  // --- controls ---
  function controls() {
    $("chips").append(...VERDICTS.filter((word) => entries.some((entry) => entry.verdict === word))
      .map((word) => h("button", { type: "button", value: word, class: word.replace(" ", "-"), click: () => {
        if (!state.show.delete(word)) state.show.add(word);
        refresh();
      } })));
    const choices = [
      ["ns", "All namespaces", entries.map((entry) => entry.namespace)],
      ["rule", "All rules", entries.flatMap((entry) => entry.rules)],
      ["outcome", "All pod outcomes", entries.flatMap((entry) => entry.outcomes)],
    ];
    for (const [name, all, values] of choices) {
      const known = [...new Set(values)].sort();
      if (known.length < 2) continue;
      $("selects").append(h("select", { name, "aria-label": all, change: (event) => {
        state[name] = event.target.value;
        refresh();
      } }, h("option", { value: "" }, all), known.map((value) => h("option", { value }, value))));
    }
    q.addEventListener("input", () => { state.q = q.value; refresh(); });
    $("clear").addEventListener("click", () => {
      state.q = state.ns = state.rule = state.outcome = "";
      state.show.clear();
      refresh();
      q.focus();
    });
    $("help-button").addEventListener("click", () => $("help").showModal());
    if ($("healthy")) $("healthy").addEventListener("toggle", refresh);
    document.querySelector(".filters").hidden = false;
  }

  function move(step) {
    const heads = [...list.querySelectorAll(".row > details > summary")];
    const at = heads.findIndex((head) => head.closest(".row").contains(document.activeElement));
    const next = heads[Math.min(Math.max(at + step, 0), heads.length - 1)];
    if (next) { next.focus(); next.scrollIntoView({ block: "nearest" }); }
    if (at + step >= heads.length && drawn < shown.length) draw();
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || $("help").open) return;
    if (event.target.matches("input, select")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const act = { "/": () => q.focus(), j: () => move(1), k: () => move(-1), "?": () => $("help").showModal() }[event.key];
    if (act) { event.preventDefault(); act(); }
  });

  times(document);
  try {
    entries = await inflate($("index"));
  } catch (error) {
    more.textContent = `This browser cannot read the details (${error.message}). Above are the worst workloads; report.json holds everything.`;
    return;
  }
  for (const entry of entries) {
    entry.text = [entry.kind + "/" + entry.name, entry.namespace, entry.verdict, entry.cause, entry.evidence, entry.more, ...entry.names].join("\n").toLowerCase();
  }
  controls();
  readHash();
  refresh();
  addEventListener("hashchange", () => { readHash(); refresh(); });
  document.documentElement.dataset.ready = "yes";
})();
