// Valence and arousal over time, and the one cursor that lies over them and the strips below.
// A moved cursor moves elements only: the charts are drawn anew when their size, colours or tracks change.

const AXES = ["Valence", "Arousal"];
const TICKS_S = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];
const CHART_HEIGHT_PX = 150;
const TIME_AXIS_PX = 30;

// What uPlot draws: one row of times for all tracks; null is a gap, undefined a moment that a track has no frame at.
function chartColumns(times, tracks) {
  const at = tracks.map((track) => Array.from(track.time, (time_s) => lastUpTo(times, time_s + SAME_MOMENT_S)));
  const column = (track, values) => {
    const rows = new Array(times.length);
    values.forEach((value, i) => (rows[at[track.index][i]] = Number.isNaN(value) ? null : value));
    return rows;
  };
  return [0, 1].map((axis) => [
    Array.from(times),
    ...tracks.flatMap((track) => [track.labels ? column(track, track.labels[axis]) : [], column(track, track.values[axis])]),
  ]);
}

// Rows with nothing on either side: a line doesn't show them.
function lonelyRows(rows) {
  const known = [];
  for (let i = 0; i < rows.length; i++) if (rows[i] !== undefined) known.push(i);
  const there = (k) => k >= 0 && k < known.length && rows[known[k]] !== null;
  return known.filter((_, k) => there(k) && !there(k - 1) && !there(k + 1));
}

class Charts {
  constructor(data, tracks, clock, labelsShown) {
    Object.assign(this, { data, tracks, clock, labelsShown });
    this.places = [byId("valence"), byId("arousal")];
    this.gutter_px = 0;
    this.width_px = 0;
    this.columns = chartColumns(clock.times, tracks);
    this.charts = [];
    this.marks = [];
    this.build();
    this.steer(byId("seeker"));
    clock.on("moved", () => this.move());
    clock.on("stretched", () => this.redraw());
    new ResizeObserver(() => this.fit()).observe(byId("timeline"));
  }

  // The space that the style sheet leaves at the left and the right of charts, strips and cursor.
  measure() {
    const seeker = byId("seeker"), timeline = byId("timeline");
    this.gutter_px = seeker.offsetLeft;
    this.edge_px = timeline.clientWidth - seeker.offsetLeft - seeker.offsetWidth;
    this.width_px = timeline.clientWidth;
  }

  build() {
    this.measure();
    this.charts.forEach((chart) => chart.destroy());
    this.charts = this.places.map((place, axis) => new uPlot(this.options(axis), this.columns[axis], place));
    this.marks = this.charts.map((chart) => this.tracks.map((track) => {
      const mark = make("div", this.tracks.length > 1 ? "mark" : "mark alone", this.tracks.length > 1 ? track.index + 1 : "");
      mark.style.background = track.css;
      chart.over.append(mark);
      return mark;
    }));
  }

  options(axis) {
    const last = axis === 1;
    const soft = () => pageColour("--soft");
    const grid = { stroke: () => pageColour("--line"), width: 1 };
    const { reach } = this.data;
    const font = "12px system-ui, sans-serif";
    return {
      width: this.width_px,
      height: CHART_HEIGHT_PX + (last ? TIME_AXIS_PX : 0),
      padding: [8, this.edge_px, last ? 0 : 8, 0],
      hooks: { draw: [() => this.move()] }, // scales are known only once uPlot has drawn
      cursor: { show: false },
      legend: { show: false },
      scales: { x: { time: false, range: () => [this.clock.from_s, this.clock.to_s] }, y: { range: [-reach, reach] } },
      axes: [
        {
          show: last, stroke: soft, font, grid, ticks: grid, size: TIME_AXIS_PX, space: 70, incrs: TICKS_S,
          values: (_, splits, __, ___, step) => splits.map((time_s) => clockText(time_s, step >= 1 ? 0 : step >= 0.1 ? 1 : 2)),
        },
        {
          stroke: soft, font, grid, ticks: { show: false }, size: this.gutter_px, space: 30,
          values: (_, splits) => splits.map((value) => String(value).replace("-", "−")),
        },
      ],
      series: [{}, ...this.tracks.flatMap((track) => this.seriesOf(track, axis))],
    };
  }

  seriesOf(track, axis) {
    const several = this.tracks.length > 1;
    const label = { stroke: () => (several ? track.colour : pageColour("--labels")), dash: [5, 4], width: 1.25 };
    const line = { stroke: () => track.colour, width: 1.75 };
    return [label, line].map((style, kind) => {
      const lonely = lonelyRows(this.columns[axis][1 + 2 * track.index + kind]);
      return {
        ...style,
        show: this.showing(track, kind),
        scale: "y",
        spanGaps: false,
        points: { show: false, filter: () => (lonely.length ? lonely : null), size: 5, fill: style.stroke },
      };
    });
  }

  showing(track, kind) {
    return track.shown && (kind === 1 || (Boolean(track.labels) && this.labelsShown()));
  }

  // What is switched on or off in the legend.
  choose() {
    for (const chart of this.charts) {
      this.tracks.forEach((track) => {
        for (const kind of [0, 1]) {
          const series = 1 + 2 * track.index + kind;
          if (chart.series[series].show !== this.showing(track, kind)) chart.setSeries(series, { show: this.showing(track, kind) });
        }
      });
    }
    this.move();
  }

  fit() {
    const before = this.width_px, gutter = this.gutter_px;
    this.measure();
    if (this.width_px === before && this.gutter_px === gutter) return;
    if (this.gutter_px !== gutter) this.build();
    else for (const chart of this.charts) chart.setSize({ width: this.width_px, height: chart.height });
  }

  // Everything anew: other colours, or a longer timeline.
  redraw() {
    for (const chart of this.charts) chart.setData(chart.data);
    for (const chart of this.charts) chart.redraw(true, true);
  }

  // Where a time lies, in CSS pixels from the left end of the plots.
  x(time_s) {
    const { from_s, to_s } = this.clock;
    return ((time_s - from_s) / (to_s - from_s)) * (this.width_px - this.gutter_px - this.edge_px);
  }

  move() {
    const x = this.x(this.clock.now_s);
    byId("playhead").style.transform = `translateX(${x}px)`;
    this.tracks.forEach((track, index) => {
      const point = track.shown ? track.point(track.frameAt(this.clock.now_s)) : null;
      this.charts.forEach((chart, axis) => {
        const mark = this.marks[axis][index];
        mark.hidden = !point;
        if (point) mark.style.transform = `translate(${x}px, ${chart.valToPos(point[axis], "y")}px)`;
      });
    });
  }

  // Click or drag anywhere on charts and strips.
  steer(seeker) {
    const seek = (event) => {
      const { left, width } = seeker.getBoundingClientRect();
      this.clock.seek(this.clock.from_s + ((event.clientX - left) / width) * (this.clock.to_s - this.clock.from_s));
    };
    seeker.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      seeker.setPointerCapture(event.pointerId);
      seek(event);
    });
    seeker.addEventListener("pointermove", (event) => {
      if (seeker.hasPointerCapture(event.pointerId)) seek(event);
    });
  }
}
