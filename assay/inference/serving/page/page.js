// Drop, paste or choose images; what the server says of each becomes a part of the page. Text is set as text, never as HTML.
"use strict";
const at = (id) => document.getElementById(id);
const percent = (share) => (100 * share).toFixed(1) + " %";
let token = sessionStorage.getItem("token");

function headers() {
  return token ? { authorization: "Bearer " + token } : {};
}

function say(text, isBad) {
  at("said").textContent = text;
  at("said").className = isBad ? "bad" : "";
}

async function ask(path, options) {
  const answer = await fetch(path, { ...options, headers: headers() });
  at("token").hidden = answer.status !== 401;
  if (answer.status === 401) throw new Error(token ? "the token is wrong" : "a token is needed");
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(typeof said.detail === "string" ? said.detail : "the server answered " + answer.status);
  return said;
}

async function send(files) {
  for (const file of files) {
    say("looking at " + file.name + " …");
    const form = new FormData();
    form.append("images", file, file.name);
    try {
      const said = await ask("predict?explain=true", { method: "POST", body: form });
      at("answers").prepend(shown(file, said.images[0]));
      show(said);
      say("");
    } catch (error) {
      say(file.name + ": " + error.message, true);
      return;
    }
  }
}

function show(model) {
  const hash = model.sha256.slice(0, 12);
  at("model").textContent = "answered by " + model.version + (model.version.includes(hash) ? "" : " · " + hash);
}

function shown(file, image) {
  const part = at("answer").content.cloneNode(true);
  const find = (selector) => part.querySelector(selector);
  find(".name").textContent = image.name;
  picture(file, image, find(".picture"), find(".image"));
  if (image.problem) {
    find("h2").textContent = "cannot be read";
    word(find(".word"), image.problem, true);
    return part;
  }
  find("h2").textContent = (image.label || "none of the classes").split("|").join(", ");
  if (image.ordinary !== null) {
    word(find(".word"), image.ordinary ? "like the train images" : "unlike the train images: do not rely on this", !image.ordinary);
  }
  find(".reasons").replaceChildren(...image.reasons.map((reason) => element("li", reason)));
  find(".bars").replaceChildren(...image.top.map(bar));
  heat(image.heat_map, find(".heat"), find(".toggle"), find(".of"));
  find(".nearest").hidden = !image.nearest.length;
  find(".neighbours").replaceChildren(...image.nearest.map(neighbour));
  return part;
}

function picture(file, image, frame, shown) {
  shown.onload = () => {
    shown.classList.toggle("tiny", Math.max(shown.naturalWidth, shown.naturalHeight) < 128);
    URL.revokeObjectURL(shown.src);
  };
  shown.onerror = () => {
    if (image.preview && shown.src !== image.preview) {
      shown.src = image.preview;
    } else {
      frame.classList.add("gone");
      frame.replaceChildren("no preview of this format");
    }
  };
  shown.alt = image.name;
  shown.src = URL.createObjectURL(file);
}

function word(place, text, isBad) {
  place.textContent = text;
  place.classList.add(isBad ? "bad" : "good");
}

function heat(map, over, toggle, of) {
  if (!map) return;
  over.src = map.png;
  over.hidden = toggle.hidden = false;
  of.textContent = map.of;
  toggle.querySelector("input").onchange = (event) => { over.hidden = !event.target.checked; };
}

function bar(each) {
  const meter = document.createElement("meter");
  meter.value = each.probability;
  const row = document.createElement("tr");
  for (const content of [each.label, meter, percent(each.probability)]) {
    const cell = document.createElement("td");
    cell.append(content);
    row.append(cell);
  }
  return row;
}

function neighbour(each) {
  const box = element("div", "", "neighbour");
  const shown = each.picture ? document.createElement("img") : element("div", "no picture here", "none");
  if (each.picture) {
    shown.src = each.picture;
    shown.alt = "a train image of " + each.label;
  }
  shown.title = each.sha256;
  box.append(shown, each.label, document.createElement("br"), element("small", "likeness " + each.likeness.toFixed(2)));
  return box;
}

function element(name, text, kind) {
  const made = document.createElement(name);
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

const images = (list) => [...list].filter((file) => file instanceof File);
at("choose").onchange = (event) => { send(images(event.target.files)); };
document.addEventListener("dragover", (event) => { event.preventDefault(); at("drop").classList.add("over"); });
document.addEventListener("dragleave", () => at("drop").classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  at("drop").classList.remove("over");
  send(images(event.dataTransfer.files));
});
document.addEventListener("paste", (event) => send(images(event.clipboardData.files)));
at("token").onsubmit = (event) => {
  event.preventDefault();
  token = new FormData(event.target).get("token");
  sessionStorage.setItem("token", token);
  begin();
};

function begin() {
  ask("readyz", {}).then(show).catch((error) => say(error.message, true));
}
begin();
