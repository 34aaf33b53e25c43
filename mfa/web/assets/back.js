// The browser's Back button. A view that came after another marks what leads
// there with data-back, and Back presses that. For this the page has one more
// entry in the history, on top of its own, while there is a way back. The
// entry says nothing of what was shown, and its URL is the page's. In a
// frame the history is left to the page around.
const mark = "mfa:view";

let inside = history.state === mark; // in the further entry
let ahead = false; // the entry is there, but Back was pressed
let left = null; // what waits for the page's own entry

// enter is for a view, or a question, that has a way back.
export function enter() {
  if (inside || window.parent !== window) {
    return;
  }
  inside = true;
  if (ahead) {
    history.forward(); // a further push would not be of the person's doing
  } else {
    history.pushState(mark, "");
  }
}

// leave goes to the page's own entry, for another page to take its place.
export const leave = () => new Promise((done) => {
  if (inside) {
    left = done;
    history.back();
  } else {
    done();
  }
});

addEventListener("popstate", () => {
  const was = inside;
  inside = history.state === mark;
  if (location.hash) {
    ahead = false; // another link was opened in this tab
  } else if (was && !inside) {
    ahead = true;
    const question = document.querySelector("dialog[open]");
    const way = document.querySelector("[data-back]:enabled");
    if (left) {
      left();
    } else if (question) {
      question.close();
    } else if (way) {
      way.click();
    } else {
      history.back(); // out of the page
    }
  }
});
