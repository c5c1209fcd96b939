// The verification page: sends the QR code's payload, or what the form holds, to the
// server and shows its report. Texts from outside are only ever set as text.
"use strict";

(function () {
  const maxFile = 20 * 1024 * 1024;
  const verdict = document.getElementById("verdict");
  const announcement = document.getElementById("announcement"); // read out; the report itself would be too long
  const working = document.getElementById("working");
  const trouble = document.getElementById("trouble");
  const form = document.getElementById("upload");
  const labels = {};
  for (const dt of document.querySelectorAll("#labels dt")) {
    labels[dt.textContent] = dt.nextElementSibling.textContent;
  }
  let newest = 0; // only the newest request may show its answer

  const problems = {
    rate_limited: "操作过于频繁，请稍等一分钟后再试。",
    too_large: "文件太大：电子证照文件不超过 20 MB，请确认所选文件是否正确。",
    busy: "当前查验人数较多，请稍后再试。",
    log_unavailable: "服务暂时不可用，请稍后再试。",
    invalid_request: "二维码的内容不完整，或者所选的日期不对（应为今天或以前的一天）。请检查后再试。",
    malformed_upload: "请先选择文件，或填入二维码的内容。",
    network: "网络连接失败，请检查网络后再试。",
  };

  function slot(root, name, text) {
    root.querySelector('[data-slot="' + name + '"]').textContent = text;
  }

  function showCheck(check) {
    const item = document.getElementById("check-template").content.firstElementChild.cloneNode(true);
    item.className = "check " + check.result;
    slot(item, "name", labels["check-" + check.name] || check.name);
    for (const name of ["zh", "en", "code", "evidence"]) slot(item, name, check[name]);
    return item;
  }

  // badCount counts the checks that failed, and apart from them those that are undecided.
  function badCount(checks) {
    const count = (result) => checks.filter((c) => c.result === result).length;
    return [[count("failed"), "项没有通过"], [count("indeterminate"), "项无法确认"]].filter((p) => p[0]).map((p) => p.join(" ")).join("，");
  }

  // showChecks fills every list of the report with the checks that have its results.
  function showChecks(root, checks) {
    for (const group of root.querySelectorAll("[data-results]")) {
      const results = group.dataset.results.split(" ");
      const own = checks.filter((c) => results.includes(c.result));
      group.hidden = own.length === 0;
      slot(group, "count", results.length > 1 ? badCount(own) : own.length);
      group.querySelector("ul").replaceChildren(...own.map(showCheck));
    }
  }

  // rare is a line that names the characters that the fonts of many screens lack, or none.
  function rare(text) {
    const found = [...new Set(text.match(/[^\u0000-\u9FA5\uFE30-\uFE4F\uFF00-\uFFEF]/gu))];
    if (found.length === 0) return [];
    const line = document.createElement("span");
    line.className = "rare";
    line.textContent = "含罕见字：" + found.map((c) => c + "（U+" + c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0") + "）").join("、");
    return [line];
  }

  function showRows(root, values) {
    for (const row of root.querySelectorAll("[data-row]")) {
      const name = row.dataset.row;
      if (!(name in values)) continue;
      row.hidden = !values[name];
      row.querySelector("dd").replaceChildren(values[name] || "", ...rare(values[name] || ""));
    }
  }

  function showTime(root, name, instant) {
    const time = root.querySelector('[data-slot="' + name + '"]');
    time.dateTime = instant;
    time.textContent = new Date(instant).toLocaleString("sv-SE", { timeZone: "Asia/Shanghai" }); // YYYY-MM-DD hh:mm:ss
  }

  function showPast(root, past) {
    root.querySelector('[data-list="past"]').hidden = !past;
    if (!past) return;
    slot(root, "past-date", past.date);
    slot(root, "past-state", labels["state-" + past.licence_state] || past.licence_state);
    slot(root, "past-zh", past.zh);
    slot(root, "past-en", past.en);
  }

  function showReport(report, logIndex) {
    const root = document.getElementById("report-template").content.firstElementChild.cloneNode(true);
    root.className = "report " + report.tone;
    slot(root, "headline-zh", report.headline.zh);
    slot(root, "headline-en", report.headline.en);
    slot(root, "state", labels["state-" + report.licence_state] || report.licence_state);
    showTime(root, "as-of", report.as_known_at);
    slot(root, "superseded-by", report.superseded_by || "");
    root.querySelector('[data-list="successor"]').hidden = !report.superseded_by;
    root.querySelector('[data-list="origin"]').hidden = !report.origin;
    showPast(root, report.as_of);
    root.querySelector('[data-list="copy"]').hidden = !report.copy;
    const copy = report.copy;
    if (copy) showRows(root, { copy_receiver: copy.receiver_name, copy_cause: copy.cause, copy_case: copy.case_number, copy_expires_on: copy.expires_on, copy_maker: copy.maker_name, copy_id: copy.id });
    root.querySelector('[data-list="stated"]').hidden = !report.licence;
    if (report.licence) showRows(root, Object.assign({}, report.licence, { expires_on: report.licence.expires_on || "长期" }));
    showChecks(root, report.checks);
    showTime(root, "verified-at", report.verified_at);
    showRows(root, { log_index: logIndex, file_digest: report.file_digest, qr_digest: report.qr_digest });
    verdict.replaceChildren(root);
    announcement.textContent = report.headline.zh;
    verdict.scrollIntoView({ block: "start" });
  }

  function showTrouble(problem) {
    slot(trouble, "trouble", problems[problem.code] || "请稍后再试；如仍不成功，请把请求编号告知服务单位。");
    slot(trouble, "request-id", problem.request_id || "无");
    trouble.hidden = false;
  }

  function clear() {
    verdict.replaceChildren();
    announcement.textContent = "";
    trouble.hidden = true;
    return ++newest;
  }

  async function verify(headers, body) {
    const mine = clear();
    working.hidden = false;
    let show, answer, logIndex;
    try {
      const response = await fetch("/api/v1/verifications", { method: "POST", headers: headers, body: body });
      answer = await response.json();
      logIndex = response.headers.get("Elicence-Log-Index");
      show = response.ok ? showReport : showTrouble;
    } catch (e) {
      show = showTrouble;
      answer = { code: "network" };
    }
    if (mine !== newest) return;
    working.hidden = true;
    show(answer, logIndex);
  }

  function readFragment() {
    if (location.hash.length < 2) return;
    // The code is printed in capitals: scheme, host and /V.
    const text = (location.origin.toUpperCase() + "/V" + location.hash).slice(0, 4096);
    form.elements.qr.value = text;
    document.getElementById("scanned").hidden = false;
    verify({ "Content-Type": "application/json" }, JSON.stringify({ qr: text }));
  }

  // filled is what the form holds, without what was left empty; null for nothing to verify.
  function filled() {
    const given = new FormData();
    const file = form.elements.file.files[0];
    if (file) given.append("file", file);
    for (const name of ["qr", "as_of"]) {
      const text = form.elements[name].value.trim();
      if (text) given.append(name, text);
    }
    return given.has("file") || given.has("qr") ? given : null;
  }

  form.addEventListener("submit", function (event) {
    if (event.submitter && event.submitter.id === "sealed") return; // the browser saves the answer
    event.preventDefault();
    const given = filled();
    const fault = !given ? "malformed_upload" : given.has("file") && given.get("file").size > maxFile ? "too_large" : "";
    if (!fault) return verify({}, given);
    clear();
    working.hidden = true;
    showTrouble({ code: fault });
  });
  window.addEventListener("beforeprint", function () {
    for (const details of verdict.querySelectorAll("details")) details.open = true;
  });
  window.addEventListener("hashchange", readFragment);
  readFragment();
})();
