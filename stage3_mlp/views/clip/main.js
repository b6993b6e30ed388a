// Puts the page together: figures of the moment, legend, keys, download.

const data = JSON.parse(byId("data").textContent);
const tracks = data.tracks.map((given, index) => new Track(given, index));
let labelsOn = true;
const labelsShown = () => labelsOn;

let clock = null;
const video = openVideo(() => clock);
clock = new Clock(tracks, video, data.media ? data.media.start_s : 0);
const charts = new Charts(data, tracks, clock, labelsShown);
const strips = new Strips(tracks, clock);
const circumplex = new Circumplex(data, tracks, clock, labelsShown);
const faces = video ? new Faces(data.media, tracks, clock) : null;
new Words(data, clock);

// A cell of figures for each track; the returned function fills them in.
function readoutOf(track) {
  const place = make("div", "readout");
  if (tracks.length > 1) {
    const name = make("div", "name", " " + track.name);
    const swatch = make("i", "swatch", track.index + 1);
    swatch.style.background = track.css;
    name.prepend(swatch);
    place.append(name);
  }
  const cell = (name, className = "") => {
    const holder = make("div", className);
    const value = make("b");
    holder.append(make("span", "", name), value);
    place.append(holder);
    return value;
  };
  const names = ["Valence", "Arousal", "Intensity", "Angle"];
  const figures = names.map((name) => cell(name));
  const quadrant = cell("Quadrant", "words");
  const label = track.labels ? cell("Labels: valence, arousal", "words") : null;
  byId("readout").append(place);
  return () => {
    place.hidden = !track.shown;
    const frame = track.frameAt(clock.now_s);
    const point = track.point(frame), true_ = track.label(frame);
    const texts = point ? [signed(point[0]), signed(point[1]), Math.hypot(...point).toFixed(2), angleText(point)] : [];
    figures.forEach((figure, i) => (figure.textContent = texts[i] ?? "–"));
    quadrant.textContent = point ? quadrantText(point) : frame < 0 ? "not in this moment" : "nothing to show";
    if (label) label.textContent = true_ ? true_.map(signed).join(", ") : "–";
  };
}

const readouts = tracks.map(readoutOf);
const seeker = byId("seeker");

function tellMoment() {
  byId("now").textContent = `${clockText(clock.now_s)} of ${clockText(clock.to_s)}`;
  readouts.forEach((tell) => tell());
  const said = tracks.filter((track) => track.shown).map((track) => {
    const point = track.point(track.frameAt(clock.now_s));
    const name = tracks.length > 1 ? `${track.name}: ` : "";
    return name + (point ? `valence ${signed(point[0])}, arousal ${signed(point[1])}, ${quadrantText(point)}` : "no prediction");
  });
  seeker.setAttribute("aria-valuemin", clock.from_s.toFixed(3));
  seeker.setAttribute("aria-valuemax", clock.to_s.toFixed(3));
  seeker.setAttribute("aria-valuenow", clock.now_s.toFixed(3));
  seeker.setAttribute("aria-valuetext", `${clock.now_s.toFixed(2)} seconds; ${said.join("; ")}`);
}

function chosen() {
  charts.choose();
  strips.draw();
  circumplex.drawCloud();
  circumplex.move();
  if (faces) faces.draw();
  tellMoment();
}

function legendEntry(text, sample, onChange) {
  const label = make("label");
  const box = make("input");
  box.type = "checkbox";
  box.checked = true;
  box.addEventListener("change", () => {
    onChange(box.checked);
    chosen();
  });
  label.append(box, sample, make("span", "", text));
  byId("legend").append(label);
}

function fillLegend() {
  for (const track of tracks) {
    const sample = tracks.length > 1 ? make("i", "swatch", track.index + 1) : make("i", "line");
    sample.style[tracks.length > 1 ? "background" : "borderColor"] = track.css;
    legendEntry(tracks.length > 1 ? track.name : "Predicted", sample, (on) => (track.shown = on));
  }
  if (!tracks.some((track) => track.labels)) return;
  const sample = make("i", "dash");
  sample.style.borderColor = tracks.length > 1 ? "currentColor" : "var(--labels)";
  legendEntry("Annotated", sample, (on) => (labelsOn = on));
}

// Keys of the whole page, except where the focused element has a use for them itself.
function onKey(event) {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.target.closest("select, input[type=radio], .scroll, pre")) return;
  if (event.key === " " && event.target.closest("button, input, summary, a")) return;
  const far = event.shiftKey;
  const act = {
    " ": () => clock.toggle(),
    ArrowLeft: () => (far ? clock.seek(clock.now_s - 1) : clock.stepFrame(-1)),
    ArrowRight: () => (far ? clock.seek(clock.now_s + 1) : clock.stepFrame(1)),
    Home: () => clock.seek(clock.from_s),
    End: () => clock.seek(clock.to_s),
  }[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}

// The bytes as they were given, unpacked by the browser.
async function download() {
  const holder = byId("csv");
  const packed = new Blob([bytesOf(holder.textContent)]).stream();
  const unpacked = await new Response(packed.pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
  const link = make("a");
  link.href = URL.createObjectURL(new Blob([unpacked], { type: "text/csv" }));
  link.download = holder.dataset.name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

fillLegend();
clock.on("moved", tellMoment);
clock.on("stretched", tellMoment);
clock.on("played", () => (byId("play").textContent = clock.playing ? "Pause" : "Play"));
byId("play").addEventListener("click", () => clock.toggle());
byId("back").addEventListener("click", () => clock.stepFrame(-1));
byId("forth").addEventListener("click", () => clock.stepFrame(1));
byId("speed").addEventListener("change", (event) => clock.setRate(Number(event.target.value)));
byId("speed").value = "1"; // a reload may bring back what was chosen before
byId("download").addEventListener("click", download);
document.addEventListener("keydown", onKey);

// Colours and sizes that are drawn, not styled: after a change of scheme, and for paper.
function drawAnew() {
  charts.fit();
  charts.redraw();
  strips.draw();
  circumplex.drawCloud();
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAnew);
for (const [event, printing] of [["beforeprint", true], ["afterprint", false]]) {
  addEventListener(event, () => {
    document.documentElement.classList.toggle("printing", printing);
    drawAnew();
  });
}
clock.show(clock.from_s);
