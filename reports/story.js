"use strict";
// What is told of a workload besides its findings. Text goes into the page as text only.
function story(h, plural) {
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

  function cell(text, tag) {
    return h("td", {}, text === null ? h("span", { class: "hint" }, NONE) : h(tag, {}, h("code", {}, text)));
  }

  return { changePart };
}
