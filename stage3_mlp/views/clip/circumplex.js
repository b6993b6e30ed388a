// The circumplex: all points faintly, the path of the last seconds, the dot of this moment.

const TRAIL_S = 3;
const TRAIL_BANDS = 6; // the path fades in so many steps
const MAX_CLOUD_POINTS = 20000;

class Circumplex {
  constructor(data, tracks, clock, labelsShown) {
    Object.assign(this, { tracks, clock, labelsShown });
    this.edge = data.edge;
    this.svg = byId("disc");
    this.cloud = byId("cloud");
    this.build();
    clock.on("moved", () => this.move());
    new ResizeObserver(() => this.drawCloud()).observe(this.cloud);
    this.svg.addEventListener("click", (event) => this.seekNearest(event));
  }

  shape(name, attributes, className = "") {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (className) element.setAttribute("class", className);
    this.svg.append(element);
    return element;
  }

  text(text, x, y, anchor, className = "") {
    this.shape("text", { x, y, "text-anchor": anchor }, className).textContent = text;
  }

  // In a square of 400: the frame of axes and words, then the moving parts of each track.
  build() {
    this.svg.setAttribute("viewBox", "0 0 400 400");
    const radius = 200 / this.edge;
    this.shape("line", { x1: 0, y1: 200, x2: 400, y2: 200 }, "axis");
    this.shape("line", { x1: 200, y1: 0, x2: 200, y2: 400 }, "axis");
    this.shape("circle", { cx: 200, cy: 200, r: radius }, "frame");
    this.text("high arousal", 200, 218 - radius, "middle");
    this.text("low arousal", 200, 190 + radius, "middle");
    this.text("negative", 208 - radius, 194, "start");
    this.text("positive", 192 + radius, 194, "end");
    this.parts = this.tracks.map((track) => this.partsOf(track));
  }

  partsOf(track) {
    const several = this.tracks.length > 1;
    const trail = Array.from({ length: TRAIL_BANDS }, (_, band) =>
      this.shape("path", { "stroke-width": 3, opacity: (band + 1) / (TRAIL_BANDS + 1) }, "trail"));
    const label = this.shape("circle", { r: 6, fill: "none", "stroke-width": 2.5, "stroke-dasharray": "3 2" });
    const dot = this.shape("circle", { r: several ? 9 : 7, "stroke-width": 2 }, "dot");
    for (const path of trail) path.style.stroke = track.css;
    label.style.stroke = several ? track.css : "var(--labels)";
    dot.style.fill = track.css;
    const number = this.shape("text", { "text-anchor": "middle", dy: "0.36em" }, "number");
    number.textContent = several ? String(track.index + 1) : "";
    return { trail, label, dot, number };
  }

  // Places on the square; what lies beyond the edge is drawn on it.
  place([valence, arousal]) {
    const on = (value) => 200 + (200 / this.edge) * Math.max(-this.edge, Math.min(this.edge, value));
    return [on(valence), 400 - on(arousal)];
  }

  // Only what moves with the moment.
  move() {
    this.tracks.forEach((track, index) => {
      const { trail, label, dot, number } = this.parts[index];
      const frame = track.shown ? track.frameAt(this.clock.now_s) : -1;
      this.put([dot, number], track.point(frame));
      this.put([label], this.labelsShown() ? track.label(frame) : null);
      this.trailOf(track, frame).forEach((path, band) => trail[band].setAttribute("d", path));
    });
  }

  put(elements, point) {
    for (const element of elements) {
      element.style.display = point ? "" : "none";
      if (point) element.setAttribute("transform", `translate(${this.place(point).map((value) => value.toFixed(1)).join(" ")})`);
    }
  }

  // A path for each band of age, broken where there is nothing to show.
  trailOf(track, frame) {
    const paths = new Array(TRAIL_BANDS).fill("");
    if (frame < 0) return paths;
    const from_s = this.clock.now_s - TRAIL_S;
    for (let i = Math.max(1, lastUpTo(track.time, from_s) + 1); i <= frame; i++) {
      const before = track.point(i - 1), here = track.point(i);
      if (!before || !here) continue;
      const band = Math.min(TRAIL_BANDS - 1, Math.floor(((track.time[i] - from_s) / TRAIL_S) * TRAIL_BANDS));
      const [a, b] = [before, here].map((point) => this.place(point).map((value) => value.toFixed(1)).join(" "));
      paths[band] += `M${a}L${b}`;
    }
    return paths;
  }

  drawCloud() {
    const size = this.cloud.clientWidth;
    const context = freshContext(this.cloud, size, size);
    for (const track of this.tracks) {
      if (!track.shown) continue;
      context.fillStyle = track.colour;
      context.globalAlpha = Math.max(0.05, Math.min(0.6, 600 / track.time.length)); // few are seen, many hide no path
      const step = Math.ceil(track.time.length / MAX_CLOUD_POINTS);
      for (let i = 0; i < track.time.length; i += step) {
        const point = track.point(i);
        if (!point) continue;
        const [x, y] = this.place(point).map((value) => (value * size) / 400);
        context.fillRect(x - 1.25, y - 1.25, 2.5, 2.5);
      }
    }
  }

  // To the moment whose point is nearest to the click, of all tracks that are shown.
  seekNearest(event) {
    const { left, top, width } = this.svg.getBoundingClientRect();
    const x = ((event.clientX - left) / width) * 400, y = ((event.clientY - top) / width) * 400;
    let nearest = Infinity, time_s = null;
    for (const track of this.tracks) {
      if (!track.shown) continue;
      for (let i = 0; i < track.time.length; i++) {
        const point = track.point(i);
        if (!point) continue;
        const [px, py] = this.place(point);
        const distance = (px - x) ** 2 + (py - y) ** 2;
        if (distance < nearest) [nearest, time_s] = [distance, track.time[i]];
      }
    }
    if (time_s !== null) this.clock.seek(time_s);
  }
}
