// The verification page: sends the QR code's payload, or a chosen file, to the
// server and shows its report. Texts from outside are only ever set as text.
"use strict";

(function () {
  const maxFile = 20 * 1024 * 1024;
  const verdict = document.getElementById("verdict");
  const announcement = document.getElementById("announcement"); // read out; the report itself would be too long
  const working = document.getElementById("working");
  const trouble = document.getElementById("trouble");
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
    invalid_request: "二维码内容不完整，请重新扫描证照上的二维码。",
    network: "网络连接失败，请检查网络后再试。",
  };

  function slot(root, name, text) {
    root.querySelector('[data-slot="' + name + '"]').textContent = text;
  }

  function showCheck(check) {
    const item = document.getElementById("check-template").content.firstElementChild.cloneNode(true);
    item.className = "check " + check.result;
    slot(item, "name", labels["check-" + check.name] || check.name);
    slot(item, "zh", check.zh);
    slot(item, "en", check.en);
    slot(item, "code", check.code);
    slot(item, "evidence", check.evidence);
    item.querySelector(".evidence").hidden = !check.evidence;
    return item;
  }

  function showStated(root, licence) {
    root.querySelector('[data-list="stated"]').hidden = !licence;
    if (!licence) return;
    for (const row of root.querySelectorAll("[data-row]")) {
      const name = row.dataset.row;
      const value = licence[name] || (name === "expires_on" ? "长期" : "");
      row.hidden = !value;
      row.querySelector("dd").textContent = value;
    }
  }

  function showReport(report) {
    const root = document.getElementById("report-template").content.firstElementChild.cloneNode(true);
    root.className = "report " + report.tone;
    slot(root, "headline-zh", report.headline.zh);
    slot(root, "headline-en", report.headline.en);
    slot(root, "state", labels["state-" + report.licence_state] || report.licence_state);
    const asOf = root.querySelector('[data-slot="as-of"]');
    asOf.dateTime = report.as_known_at;
    asOf.textContent = localTime(report.as_known_at);
    showStated(root, report.licence);
    const bad = report.checks.filter((c) => c.result === "failed" || c.result === "indeterminate");
    const reasons = root.querySelector('[data-list="reasons"]');
    reasons.hidden = bad.length === 0;
    reasons.querySelector("ul").replaceChildren(...bad.map(showCheck));
    root.querySelector('[data-list="checks"]').replaceChildren(...report.checks.map(showCheck));
    verdict.replaceChildren(root);
    announcement.textContent = report.headline.zh;
    verdict.scrollIntoView({ block: "start" });
  }

  function localTime(instant) {
    return new Date(instant).toLocaleString("sv-SE", { timeZone: "Asia/Shanghai" }); // YYYY-MM-DD hh:mm:ss
  }

  function showTrouble(problem) {
    slot(trouble, "trouble", problems[problem.code] || "请稍后再试；如仍不成功，请把请求编号告知服务单位。");
    slot(trouble, "request-id", problem.request_id || "无");
    trouble.hidden = false;
  }

  async function verify(type, body) {
    const mine = ++newest;
    verdict.replaceChildren();
    announcement.textContent = "";
    trouble.hidden = true;
    working.hidden = false;
    let show, answer;
    try {
      const response = await fetch("/api/v1/verifications", { method: "POST", headers: { "Content-Type": type }, body: body });
      answer = await response.json();
      show = response.ok ? showReport : showTrouble;
    } catch (e) {
      show = showTrouble;
      answer = { code: "network" };
    }
    if (mine !== newest) return;
    working.hidden = true;
    show(answer);
  }

  function readFragment() {
    if (location.hash.length < 2) return;
    // The code is printed in capitals: scheme, host and /V.
    const text = location.origin.toUpperCase() + "/V" + location.hash;
    verify("application/json", JSON.stringify({ qr: text.slice(0, 4096) }));
  }

  document.getElementById("upload").addEventListener("submit", function (event) {
    event.preventDefault();
    const file = document.getElementById("file").files[0];
    if (!file) return;
    if (file.size > maxFile) {
      newest++;
      verdict.replaceChildren();
      working.hidden = true;
      showTrouble({ code: "too_large" });
      return;
    }
    verify("application/pdf", file);
  });
  window.addEventListener("hashchange", readFragment);
  readFragment();
})();
