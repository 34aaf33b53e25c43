// A sign-out ends the session of the second factor, too, before it ends the
// sign-in. Without scripts that session ends by itself; alone it opens
// nothing.
"use strict";

for (const form of document.querySelectorAll("form[data-ends]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    await fetch(form.dataset.ends, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: "{}",
      credentials: "same-origin",
    }).catch(() => {});
    form.submit();
  });
}
