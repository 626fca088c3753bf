// The API key: asked for when the service wants one, kept for this tab only (sessionStorage), never in an address.

const NAME = "veil-key";
let key = sessionStorage.getItem(NAME);
let asking = null;

export function headers() {
  return key ? { Authorization: `Bearer ${key}` } : {};
}

export function known() {
  return key !== null;
}

/** Asks for a key; `problem` says why. Resolves to whether one was given; one dialog for all who ask meanwhile. */
export function ask(problem = null) {
  asking ??= open(problem).finally(() => {
    asking = null;
  });
  return asking;
}

function open(problem) {
  const dialog = document.getElementById("key-dialog");
  const input = document.getElementById("key-field");
  const said = document.getElementById("key-problem");
  const wrong = problem !== null && known();
  said.hidden = !wrong;
  said.textContent = wrong ? `${problem.title}. ${problem.detail}` : "";
  input.value = "";
  return new Promise((resolve) => {
    const form = dialog.querySelector("form");
    const cancel = document.getElementById("key-cancel");
    const done = (given) => {
      form.removeEventListener("submit", submit);
      cancel.removeEventListener("click", leave);
      dialog.removeEventListener("cancel", leave);
      dialog.close();
      resolve(given);
    };
    const submit = (event) => {
      event.preventDefault();
      const given = input.value.trim();
      if (!given) return input.focus();
      key = given;
      sessionStorage.setItem(NAME, key);
      return done(true);
    };
    const leave = (event) => {
      event.preventDefault();
      done(false);
    };
    form.addEventListener("submit", submit);
    cancel.addEventListener("click", leave);
    dialog.addEventListener("cancel", leave);
    dialog.showModal();
    input.focus();
  });
}
