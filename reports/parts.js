"use strict";
// Parts of a workload that was opened, which know nothing of the page around them. Text goes into the page as text only.
function parts(h, plural) {
  const LINES = 40; // of an output that are shown at first
  const NONE = "(absent)";

  // What is different in the pod template since the pods were well.
  function changePart(change) {
    if (!change) return "";
    const revision = (one) => [`${one.number}`, one.ready ? `, ${plural(one.ready, "Ready pod")}` : "", one.time ? [", made ", h("time", { datetime: one.time }, one.time)] : ""];
    const rows = change.differences.map((each) => h("tr", {}, h("td", {}, h("code", {}, each.path)), cell(each.before, "del"), cell(each.after, "ins")));
    return h("section", { class: "change" }, h("h3", {}, "What changed"),
      h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "In the pod template"),
        h("th", { scope: "col" }, "Revision ", revision(change.before)), h("th", { scope: "col" }, "Revision ", revision(change.after)))), h("tbody", {}, rows)),
      change.more ? h("p", { class: "cut" }, `${plural(change.more, "other difference")} are not kept.`) : "");
  }

  const USED = { env: "as variables, read when a container starts", files: "as files, renewed while it runs", subPath: "as files that stay as they were mounted" };

  // ConfigMaps that were changed since the pods were made.
  function configurationPart(changes) {
    if (!changes || !changes.length) return "";
    return h("section", { class: "change" }, h("h3", {}, "Configuration that changed"), h("ul", {}, changes.map((each) => h("li", {},
      "ConfigMap ", h("code", {}, each.name), " was changed at ", h("time", { datetime: each.at }, each.at), ", after ",
      each.pods.length > 1 ? `${plural(each.pods.length, "pod")} were made` : `pod ${each.pods[0]} was made`,
      "; container ", h("code", {}, each.container), " uses it ", each.usedAs.map((how) => USED[how]).join(", and "),
      each.stale ? h("strong", {}, "; it still runs with what it read before.") : "."))));
  }

  function cell(text, tag) {
    return h("td", {}, text === null ? h("span", { class: "hint" }, NONE) : h(tag, {}, h("code", {}, text)));
  }

  // What need not be checked again.
  function ruledOutPart(out) {
    const count = out.rules.reduce((sum, each) => sum + each.ids.length, 0);
    if (!count && !out.checks.length) return "";
    return h("section", { class: "ruled-out" }, h("h3", {}, "Checked and ruled out"),
      out.checks.length ? h("ul", {}, out.checks.map((each) => h("li", {}, each))) : "",
      count ? h("details", {}, h("summary", {}, `${plural(count, "rule")} asked that do not hold`),
        out.rules.map((each) => h("p", {}, h("b", {}, each.playbook), `: ${each.ids.join(", ")}`))) : "");
  }

  const SVG = "http://www.w3.org/2000/svg", WIDTH = 900, LABEL = 150, LANE = 24, WINDOW = 2 * 3600e3;

  function svg(tag, attributes, ...children) {
    const element = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  // One axis, a lane for the pod and one for each container; the list below it says the same.
  function timelinePart(moments, names, began) {
    if (!moments.length) return "";
    const title = names.length > 1 ? `Timeline of ${names[0]}` : "Timeline";
    const list = h("table", {}, h("tbody", {}, moments.map((each) => h("tr", {},
      h("td", {}, h("time", { datetime: each.at }, each.at)), h("td", {}, each.container || "pod"), h("td", { class: each.bad && "bad" }, words(each))))));
    return h("section", { class: "timeline" }, h("h4", {}, title), picture(moments, began),
      h("details", {}, h("summary", {}, plural(moments.length, "moment")), list));
  }

  const words = (each) => each.text + (each.count > 1 ? ` (${each.count} times)` : "");

  function picture(moments, began) {
    const points = moments.map((each) => ({ ...each, from: Date.parse(each.at), to: each.until ? Date.parse(each.until) : null }));
    const last = Math.max(...points.map((each) => each.to || each.from), began.getTime());
    const first = Math.max(Math.min(...points.map((each) => each.from)), last - WINDOW);
    const span = Math.max(last - first, 1000);
    const x = (time) => LABEL + 10 + (WIDTH - LABEL - 30) * (Math.max(time, first) - first) / span;
    const lanes = ["", ...new Set(points.map((each) => each.container).filter(Boolean))];
    const height = lanes.length * LANE + 26;
    const parts = lanes.flatMap((name, at) => {
      const y = at * LANE + LANE / 2;
      return [
        svg("line", { x1: LABEL, x2: WIDTH - 10, y1: y, y2: y, class: "lane" }),
        svg("text", { x: LABEL - 8, y: y + 4, "text-anchor": "end" }, name.length > 19 ? name.slice(0, 18) + "…" : name || "pod"),
        ...points.filter((each) => each.container === name && ends(each, last) >= first).map((each) => mark(each, x, y, last)),
      ];
    });
    for (const [time, anchor] of [[first, "start"], [last, "end"]]) {
      parts.push(svg("text", { x: x(time), y: height - 6, "text-anchor": anchor, class: "tick" }, new Date(time).toISOString().slice(11, 19) + " UTC"));
    }
    return svg("svg", { viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": "Timeline; the list below says the same" }, ...parts);
  }

  // What still runs has not ended before the window.
  const ends = (each, last) => each.to || (each.what === "ran" || each.what === "injected" ? last : each.from);

  function mark(each, x, y, last) {
    const title = svg("title", {}, `${each.at.slice(11, 19)} ${words(each)}`), from = x(each.from);
    const kind = `${each.what}${each.bad ? " bad" : ""}`;
    if (each.what === "ran" || each.what === "injected") {
      const to = x(each.to === null ? last : each.to);
      const bar = svg("rect", { x: from, y: y - 7, width: Math.max(to - from, 3), height: 14, rx: 2, class: kind }, title);
      const code = /^exit code (\d+)/.exec(each.text);
      return code ? svg("g", {}, bar, svg("text", { x: to + 3, y: y + 4, class: "code" }, code[1])) : bar;
    }
    if (each.what === "event" && each.to !== null) return svg("g", {}, svg("line", { x1: from, x2: x(each.to), y1: y, y2: y, class: `run ${kind}` }), svg("circle", { cx: x(each.to), cy: y, r: 5, class: kind }, title));
    return svg("circle", { cx: from, cy: y, r: 5, class: kind }, title);
  }

  function streamPart(name, output) {
    if (!output.text && !output.lost) return "";
    const notes = [
      output.lost ? `${plural(output.lost, "byte")} more were not kept` : "",
      output.redactions ? plural(output.redactions, "redaction") : "",
      output.blob ? `every kept byte is in ${output.blob}` : "",
    ].filter(Boolean).join(", ");
    return h("div", {}, h("span", { class: "source" }, notes ? `${name} (${notes})` : name), outputPart(output));
  }

  function outputPart(output) {
    const lines = output.text.split("\n");
    const box = h("div"), text = h("pre", { tabindex: 0 });
    const isLong = lines.length > LINES + 10 || output.text.length > 8000;
    const all = () => {
      text.textContent = output.text;
      box.replaceChildren(text);
      if (output.hidden) box.append(h("p", { class: "cut" }, `${plural(output.hidden, "character")} are left out here; report.json holds them.`), h("pre", { tabindex: 0 }, output.tail));
    };
    if (!isLong) { all(); return box; }
    const first = lines.slice(0, LINES).join("\n").slice(0, 4000);
    text.textContent = first;
    const hidden = output.text.length - first.length + (output.hidden || 0) + (output.tail || "").length;
    box.append(text, h("p", { class: "cut" }, `${plural(hidden, "character")} hidden. `, h("button", { type: "button", click: all }, "Show all")));
    return box;
  }

  return { changePart, configurationPart, ruledOutPart, timelinePart, streamPart, outputPart };
}
