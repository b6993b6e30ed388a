// Strips on the charts' time axis: where there was a face, sound, words, and how much each path of attention added.

const LANE_PX = 9;
const PATH_PX = 12;

class Strips {
  constructor(tracks, clock) {
    this.tracks = tracks;
    this.clock = clock;
    this.heard = tracks.filter((track) => track.listening);
    this.whose = this.heard[0];
    this.kind = "strength";
    this.presence = PRESENCE.map((name) => this.row(byId("presence"), name, `Where there is ${name === "face" ? "a face" : name}`));
    this.paths = this.heard.length ? this.whose.listening.paths.map((name) => this.path(name)) : [];
    if (this.heard.length) this.choices();
    clock.on("moved", () => this.tellPaths());
    clock.on("stretched", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(byId("presence"));
  }

  row(place, name, spoken) {
    const strip = make("div", "strip");
    const label = make("span", "", name + " ");
    const canvas = make("canvas");
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `${spoken} over time`);
    strip.append(label, canvas);
    place.append(strip);
    return { canvas, label };
  }

  path(name) {
    const text = name.replace("->", " → ");
    const row = this.row(byId("paths"), text, `Attention ${name.replace("->", " to ")}`);
    row.value = make("b");
    row.label.append(row.value);
    return row;
  }

  choices() {
    for (const radio of document.querySelectorAll("input[name=kind]")) {
      radio.checked = radio.value === this.kind;
      radio.addEventListener("change", () => {
        this.kind = radio.value;
        this.draw();
      });
    }
    const select = byId("whose").querySelector("select");
    byId("whose").hidden = this.heard.length < 2;
    this.heard.forEach((track, i) => {
      const option = make("option", "", `${track.index + 1} ${track.name}`);
      option.value = i;
      select.append(option);
    });
    select.addEventListener("change", () => {
      this.whose = this.heard[Number(select.value)];
      this.draw();
    });
  }

  draw() {
    this.presence.forEach((row, bit) => this.drawPresence(row.canvas, bit));
    if (!this.whose) return;
    const { nothing } = this.whose.listening;
    const { top } = this.whose.listening[this.kind];
    byId("no-path").textContent = nothing;
    for (const part of ["paths", "kinds", "scale", "meanings"]) byId(part).hidden = Boolean(nothing);
    if (nothing) return;
    byId("scale-to").textContent = `${top.toFixed(2)} and more`;
    for (const kind of ["strength", "attended"]) byId(`meaning-${kind}`).hidden = kind !== this.kind;
    this.paths.forEach((row, path) => this.drawPath(row.canvas, path));
    this.tellPaths();
  }

  // A context of a strip's width, and where a time lies on it.
  begin(canvas, height) {
    canvas.style.height = `${height}px`;
    const width = canvas.clientWidth;
    const { from_s, to_s } = this.clock;
    return [freshContext(canvas, width, height), (time_s) => ((time_s - from_s) / (to_s - from_s)) * width];
  }

  // One lane a track: a bar where there is something, a thin line where the track has frames without.
  drawPresence(canvas, bit) {
    const shown = this.tracks.filter((track) => track.shown);
    const [context, x] = this.begin(canvas, LANE_PX * Math.max(1, shown.length));
    shown.forEach((track, lane) => {
      const top = lane * LANE_PX;
      context.fillStyle = pageColour("--line");
      const from = x(track.time[0]);
      context.fillRect(from, top + LANE_PX / 2 - 0.5, x(track.end_s) - from, 1);
      context.fillStyle = track.colour;
      for (let i = 0; i < track.present.length; i++) {
        if (!((track.present[i] >> bit) & 1)) continue;
        const first = i;
        while (i + 1 < track.present.length && (track.present[i + 1] >> bit) & 1) i++;
        const left = x(track.time[first]);
        context.fillRect(left, top + 1, Math.max(0.75, x(track.endOf(i)) - left), LANE_PX - 2);
      }
    });
  }

  drawPath(canvas, path) {
    const { listening, time, end_s } = this.whose;
    const { columns, top } = listening[this.kind];
    const count = columns.length / listening.paths.length;
    const [context, x] = this.begin(canvas, PATH_PX);
    const from = x(time[0]);
    context.fillStyle = pageColour("--line");
    context.fillRect(from, PATH_PX / 2 - 0.5, x(end_s) - from, 1);
    const ground = pageColour("--card"), ink = pageColour("--ink");
    for (let column = 0; column < count; column++) {
      const mean = columns[path * count + column];
      if (Number.isNaN(mean)) continue;
      const left = x(time[column * listening.step]);
      const last = Math.min(time.length, (column + 1) * listening.step) - 1;
      const width = x(this.whose.endOf(last)) - left;
      context.fillStyle = ground; // over the thin line, which says that there is nothing
      context.fillRect(left, 0, width, PATH_PX);
      context.globalAlpha = top > 0 ? Math.min(1, mean / top) : 0;
      context.fillStyle = ink;
      context.fillRect(left, 0, width, PATH_PX);
      context.globalAlpha = 1;
    }
    context.strokeStyle = pageColour("--line");
    context.strokeRect(from + 0.5, 0.5, x(end_s) - from - 1, PATH_PX - 1);
  }

  // The figures of this moment beside the names of the paths.
  tellPaths() {
    if (!this.whose) return;
    const { listening } = this.whose;
    const frame = this.whose.frameAt(this.clock.now_s);
    const { columns } = listening[this.kind];
    const count = columns.length / listening.paths.length;
    this.paths.forEach((row, path) => {
      const mean = frame < 0 ? NaN : columns[path * count + Math.floor(frame / listening.step)];
      row.value.textContent = Number.isNaN(mean) ? "–" : mean.toFixed(2);
    });
  }
}
