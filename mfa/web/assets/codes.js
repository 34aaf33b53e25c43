// Backup codes, which are shown once.
import { call, explain, post } from "./api.js";
import { announce, button, h, notice, once, settings, show, sign, t } from "./dom.js";

// showCodes shows codes until the person says that they have kept them.
export function showCodes(codes, lead) {
  return new Promise((resolve) => {
    const text = t("codesFile", { title: settings.title }) + "\n\n" + codes.join("\n") + "\n";
    // Who closes the page now would have no codes.
    const hold = (event) => event.preventDefault();
    addEventListener("beforeunload", hold);
    const go = h("button", { type: "button", id: "codes-done", disabled: true, click: () => {
      removeEventListener("beforeunload", hold);
      resolve();
    } }, t("continue"));
    const kept = h("input", { type: "checkbox", id: "kept", change: () => { go.disabled = !kept.checked; } });
    show("codes", t("codesTitle"), sign("codes"), h("p", { class: "lead" }, lead || t("codesLead")),
      h("ol", { class: "codes", id: "codes" }, codes.map((code) => h("li", {}, h("code", {}, code)))),
      h("div", { class: "pair" },
        copyButton(() => text),
        button(t("download"), () => save(text), "quiet"),
        button(t("print"), () => print(), "quiet")),
      h("p", { class: "check" }, kept, h("label", { for: "kept" }, t("codesKept"))),
      go);
  });
}

// offerCodes offers backup codes to who has none, once. withFactor asks for a
// factor where making them takes one.
export async function offerCodes(withFactor) {
  const status = await call("GET", "status");
  if (status.status !== 200 || status.data.backupCodesRemaining > 0) {
    return;
  }
  await new Promise((resolve) => {
    const detail = notice();
    const make = h("button", { type: "button", id: "make-codes", "data-focus": true }, t("getCodes"));
    make.addEventListener("click", once(make, async () => {
      detail.say("");
      const result = await withFactor(() => post("backup-codes"));
      if (result?.status === 200) {
        await showCodes(result.data.backupCodes);
        resolve();
        return;
      }
      draw();
      if (result) {
        detail.say(explain(result));
      }
    }));
    const draw = () => make.isConnected || show("no-codes", t("codesHeading"), sign("codes"), h("p", { class: "lead" }, t("noCodes")), detail,
      make, button(t("notNow"), resolve, "quiet", true));
    draw();
  });
}

// copyButton copies a text and says so.
export function copyButton(text, kind = "quiet") {
  const copy = button(t("copy"), async () => {
    try {
      await navigator.clipboard.writeText(text());
    } catch {
      announce(t("copyFailed"));
      copy.textContent = t("copyFailed");
      return;
    }
    copy.textContent = t("copied");
    announce(t("copied"));
  }, kind);
  return copy;
}

// save hands the person a text file.
function save(text) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/plain;charset=utf-8" }));
  h("a", { href: url, download: "backup-codes.txt" }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}
