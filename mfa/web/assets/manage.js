// What a person has, and changing it.
import { call, explain, post } from "./api.js";
import { showCodes } from "./codes.js";
import { announce, ask, button, day, h, icon, moment, notice, settings, show, t } from "./dom.js";
import { addChoices, enrol } from "./enrol.js";
import { withFactor } from "./verify.js";

const pictures = { PASSKEY: "key", GOOGLE_AUTH: "phone", MAGIC_LINK: "mail" };
const kinds = { PASSKEY: "addPasskey", GOOGLE_AUTH: "addApp", MAGIC_LINK: "kindLink" };

// manage lists what there is, with a word on what was just done. It returns
// a refusal that it can do nothing about, or null when there is no factor
// left to list.
export async function manage(said = "", wrong = "") {
  for (;;) {
    const [status, list, methods] = await Promise.all(["status", "credentials", "methods"].map((path) => call("GET", path)));
    const refused = [status, list, methods].find((one) => one.status !== 200);
    if (refused) {
      return refused;
    }
    if (list.data.length === 0) {
      return null;
    }
    const done = await listView(status.data, list.data, methods.data, said, wrong);
    said = wrong = "";
    if (done && typeof done === "string") {
      said = done;
    } else if (done && done.status !== 200) {
      wrong = explain(done);
    }
  }
}

// listView does what the person chooses, and resolves with what to say of it,
// or the refusal. What came to nothing and left the view where it is, such as
// a question that was thought better of, does not end it.
function listView(status, list, methods, said, wrong) {
  return new Promise((resolve, fail) => {
    let busy = false;
    const choose = (run) => {
      if (!busy) {
        busy = true;
        run().then((done) => {
          busy = false;
          if (done || shown.aborted) {
            resolve(done);
          }
        }, fail);
      }
    };
    const detail = notice();
    const several = new Set(list.filter((one) => one.isEnabled).map((one) => one.type)).size > 1;
    const missing = methods.filter((one) => one.isAvailable && (one.type === "PASSKEY" || !one.isConfigured)).map((one) => one.type);
    const left = status.backupCodesRemaining;
    const weak = status.backupCodesAcr === "mail" && status.enabledMethods.some((type) => type !== "MAGIC_LINK");
    const shown = show("manage", t("manageTitle"),
      h("p", { class: "lead" }, t("manageLead", { title: settings.title }) + (status.isEnforced ? " " + t("isEnforced") : "")),
      said && h("p", { class: "notice good", id: "said" }, said), detail,
      h("ul", { class: "factors" }, list.map((one) => row(one, status, several, list.length === 1, choose))),
      missing.length > 0 && h("section", {},
        h("h2", {}, t("addTitle")),
        h("ul", { class: "choices" }, addChoices(missing, (type) => choose(() => add(type))))),
      h("section", {},
        h("h2", {}, t("codesHeading")),
        h("p", { class: left < 3 ? "notice bad" : "lead", id: "codes-left" },
          t(left === 0 ? "noCodes" : left === 1 ? "codeLeft" : "codesLeft", { count: left })),
        weak && h("p", { class: "notice bad", id: "codes-weak" }, t("codesWeak")),
        button(t(left ? "newCodes" : "getCodes"), () => choose(() => newCodes(left)), "quiet small")),
      h("section", {},
        h("h2", {}, t("sessionHeading")),
        h("p", { class: "lead" }, t(status.sessionVerified ? "sessionOpen" : "sessionNone")),
        h("div", { class: "actions" },
          status.sessionVerified && button(t("signOut"), () => choose(() => signOut(false)), "quiet small"),
          button(t("signOutAll"), () => choose(() => signOut(true)), "quiet small"))));
    if (said) {
      announce(said);
    }
    detail.say(wrong);
  });
}

function row(one, status, several, last, choose) {
  const primary = one.isEnabled && one.type === status.primaryMethod && several;
  // What nobody has named, is named in the person's language.
  const name = one.name && one.name !== "Authenticator app" ? one.name : t(kinds[one.type]);
  // Buttons of one row are told apart by ear too.
  const act = (text, run, kind = "quiet small") => {
    const press = button(text, () => choose(run), kind);
    press.setAttribute("aria-label", text + ": " + name);
    return press;
  };
  const facts = [
    name !== t(kinds[one.type]) && t(kinds[one.type]), t("added", { date: day(one.createdAt) }),
    one.lastUsedAt ? t("lastUsed", { date: moment(one.lastUsedAt) }) : t("neverUsed"),
  ];
  return h("li", { class: "factor", "data-id": one.id, "data-type": one.type }, icon(pictures[one.type]),
    h("div", {},
      h("p", { class: "name" }, h("strong", {}, h("bdi", {}, name)),
        primary && h("span", { class: "badge" }, t("primary")), !one.isEnabled && h("span", { class: "badge off" }, t("off"))),
      h("p", { class: "note" }, facts.filter(Boolean).join(" · ")),
      h("div", { class: "actions" },
        !one.isEnabled && act(t("turnOn"), () => change(post.bind(null, "enable", { mfaType: one.type }), t("turnedOn", { name }))),
        one.isEnabled && several && !primary && one.type !== status.primaryMethod
          && act(t("makePrimary"), () => change(post.bind(null, "primary", { mfaType: one.type }), t("madePrimary", { name }))),
        one.type !== "PASSKEY" && act(t("replace"), () => add(one.type)),
        act(t("rename"), () => rename(one, name)),
        act(t("remove"), () => remove(one, name, last), "quiet small danger"))));
}

// change makes a change that may need a factor. It returns said when it was
// made.
async function change(run, said) {
  const result = await withFactor(run);
  return result && (result.status === 200 ? said : result);
}

async function rename(one, name) {
  const chosen = await ask({ title: t("renameTitle", { name }), value: name, label: t("nameLabel"), action: t("save") });
  return chosen && chosen !== name
    && change(() => call("PATCH", "credentials/" + one.id, { name: chosen }), t("renamed", { name: chosen }));
}

async function remove(one, name, last) {
  const sure = await ask({
    title: t("removeTitle", { name }), text: t(last ? "removeLast" : "removeText"), action: t("remove"), danger: true,
  });
  return sure && change(() => call("DELETE", "credentials/" + one.id), t("removed", { name }));
}

async function newCodes(left) {
  if (left && !await ask({ title: t("newCodesTitle"), text: t("newCodesText"), action: t("newCodes") })) {
    return null;
  }
  const result = await withFactor(() => post("backup-codes"));
  if (!result || result.status !== 200) {
    return result;
  }
  await showCodes(result.data.backupCodes);
  return t("codesReplaced");
}

async function signOut(everywhere) {
  const sure = !everywhere || await ask({ title: t("signOutAll"), text: t("signOutAllText"), action: t("signOut"), danger: true });
  if (!sure) {
    return null;
  }
  const result = await post("sign-out", { everywhere });
  return result.status === 200 ? t("signedOut") : result;
}

async function add(type) {
  const result = await enrol({ type });
  return result && (result.failure || t("addedNow"));
}
