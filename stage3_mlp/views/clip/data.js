// The page's data: bytes out of base64, tracks with their frames, and how figures are written.

// Times from a container and from the player differ by rounding.
const SAME_MOMENT_S = 0.0005;
const NO_BOX = -32768;
const PRESENCE = ["face", "sound", "words"]; // in the order of the bits of a frame's byte

const byId = (id) => document.getElementById(id);

function make(tag, className = "", text = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.textContent = text; // texts come from strangers: never as HTML
  return element;
}

function bytesOf(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

const arrayOf = (Kind, base64) => new Kind(bytesOf(base64).buffer);

// The last index whose value is <= the given one; -1 where there is none. Values are sorted.
function lastUpTo(values, value) {
  let low = 0, high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] <= value) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

// One person of the video. A frame is shown from its own time until the next frame's.
class Track {
  constructor(given, index) {
    this.index = index;
    this.name = given.name;
    this.css = `var(${given.colour})`; // follows a change between light and dark by itself
    this.property = given.colour;
    this.shown = true;
    this.time = arrayOf(Float64Array, given.time);
    this.end_s = given.end_s;
    this.values = given.values.map((text) => arrayOf(Float32Array, text)); // valence, arousal; NaN: not shown
    this.labels = given.labels && given.labels.map((text) => arrayOf(Float32Array, text));
    this.present = bytesOf(given.present);
    this.box = given.box && arrayOf(Int16Array, given.box);
    this.listening = given.listening && {
      ...given.listening,
      strength: { ...given.listening.strength, columns: arrayOf(Float32Array, given.listening.strength.columns) },
      attended: { ...given.listening.attended, columns: arrayOf(Float32Array, given.listening.attended.columns) },
    };
  }

  // For what is drawn on a canvas.
  get colour() {
    return pageColour(this.property);
  }

  // Index of the frame that is shown at this time, or -1.
  frameAt(time_s) {
    if (time_s >= this.end_s - SAME_MOMENT_S && time_s > this.time[this.time.length - 1] + SAME_MOMENT_S) {
      // The very end of the timeline still shows the last frame.
      return time_s <= this.end_s + SAME_MOMENT_S ? this.time.length - 1 : -1;
    }
    return lastUpTo(this.time, time_s + SAME_MOMENT_S);
  }

  // When frame i ends.
  endOf(i) {
    return i + 1 < this.time.length ? this.time[i + 1] : this.end_s;
  }

  // [valence, arousal] of a frame, or null where there is none to show.
  point(i) {
    if (i < 0 || Number.isNaN(this.values[0][i])) return null;
    return [this.values[0][i], this.values[1][i]];
  }

  label(i) {
    if (i < 0 || !this.labels || Number.isNaN(this.labels[0][i] + this.labels[1][i])) return null;
    return [this.labels[0][i], this.labels[1][i]];
  }

  // [x, y, width, height] of the face in pixels of the source, or null.
  boxAt(i) {
    if (i < 0 || !this.box || this.box[4 * i] === NO_BOX) return null;
    return this.box.subarray(4 * i, 4 * i + 4);
  }
}

// All frame times of all tracks, sorted, each once.
function frameTimes(tracks) {
  const sorted = Float64Array.from(tracks.flatMap((track) => Array.from(track.time))).sort();
  return sorted.filter((time, i) => i === 0 || time - sorted[i - 1] > SAME_MOMENT_S);
}

function median(values) {
  const sorted = Float64Array.from(values).sort();
  return sorted[sorted.length >> 1];
}

const signed = (value) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(2);

// 0:05.20, 12:00.00, 1:02:03.00
function clockText(time_s, decimals = 2) {
  const unit = 10 ** decimals;
  const ticks = Math.round(Math.abs(time_s) * unit);
  const whole = Math.floor(ticks / unit);
  const hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60, seconds = whole % 60;
  const two = (number) => String(number).padStart(2, "0");
  const fraction = decimals ? "." + String(ticks % unit).padStart(decimals, "0") : "";
  const sign = time_s < 0 && ticks ? "−" : "";
  return sign + (hours ? `${hours}:${two(minutes)}` : minutes) + `:${two(seconds)}` + fraction;
}

// The same names and edges as in the tables below: 0 counts as positive, or high.
function quadrantText([valence, arousal]) {
  if (valence === 0 && arousal === 0) return "neutral";
  return (arousal >= 0 ? "high" : "low") + " arousal, " + (valence >= 0 ? "positive" : "negative");
}

function angleText([valence, arousal]) {
  const degrees = Math.round((Math.atan2(arousal, valence) * 180) / Math.PI);
  return (degrees < 0 ? "−" : "") + Math.abs(degrees) + "°";
}

// A colour of the page as it is now, light or dark.
const pageColour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// A canvas's context in CSS pixels, emptied, sharp on dense screens.
function freshContext(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.max(1, Math.round(height * ratio));
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}
