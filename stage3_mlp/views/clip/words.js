// The transcript: the word of this moment is marked and kept in sight inside its own box; a click goes to its start.

const HANDS_OFF_MS = 4000; // after somebody has scrolled, the box stays where they put it

class Words {
  constructor(data, clock) {
    this.box = byId("words");
    if (!this.box) return;
    this.clock = clock;
    this.start = arrayOf(Float64Array, data.words.start);
    this.end = arrayOf(Float64Array, data.words.end);
    this.latestEnd = Float64Array.from(this.end); // of all words up to here: where they overlap
    for (let i = 1; i < this.end.length; i++) this.latestEnd[i] = Math.max(this.latestEnd[i - 1], this.end[i]);
    this.buttons = this.box.querySelectorAll("button");
    this.now = -1;
    this.chosen = null; // the word that was clicked, as long as its moment is shown
    this.stop = 0; // the one word that the tab key reaches
    this.buttons[0].tabIndex = 0;
    this.freeFrom_ms = 0;
    this.calm = matchMedia("(prefers-reduced-motion: reduce)");
    clock.on("moved", () => this.move());
    this.listen();
  }

  listen() {
    const indexOf = (event) => Array.prototype.indexOf.call(this.buttons, event.target.closest("button"));
    this.box.addEventListener("click", (event) => {
      const i = indexOf(event);
      if (i >= 0) this.choose(i);
    });
    this.box.addEventListener("keydown", (event) => {
      const direction = { ArrowUp: -1, ArrowDown: 1 }[event.key];
      const i = indexOf(event);
      if (!direction || i < 0) return;
      event.preventDefault();
      const next = Math.max(0, Math.min(this.buttons.length - 1, i + direction));
      this.reach(next);
      this.buttons[next].focus({ preventScroll: true });
      this.keepInSight(this.buttons[next]);
    });
    for (const kind of ["wheel", "touchmove"]) {
      this.box.addEventListener(kind, () => (this.freeFrom_ms = performance.now() + HANDS_OFF_MS), { passive: true });
    }
  }

  reach(i) {
    this.buttons[this.stop].tabIndex = -1;
    this.stop = i;
    this.buttons[i].tabIndex = 0;
  }

  // To a word's start. The frame there may have begun in the word before, and hold several: this one is meant.
  choose(i) {
    this.clock.seek(this.start[i]);
    this.chosen = { word: i, time_s: this.clock.now_s };
    this.move();
  }

  // The word that began last of those that are spoken while the picture of this moment is shown, or -1.
  at() {
    if (this.chosen && Math.abs(this.clock.now_s - this.chosen.time_s) < SAME_MOMENT_S) return this.chosen.word;
    this.chosen = null;
    const [from_s, to_s] = this.clock.shown();
    for (let i = lastUpTo(this.start, to_s - SAME_MOMENT_S); i >= 0 && this.latestEnd[i] > from_s - SAME_MOMENT_S; i--) {
      if (this.end[i] > from_s + SAME_MOMENT_S || this.start[i] > from_s - SAME_MOMENT_S) return i;
    }
    return -1;
  }

  move() {
    const i = this.at();
    if (i === this.now) return;
    if (this.now >= 0) {
      this.buttons[this.now].classList.remove("now");
      this.buttons[this.now].removeAttribute("aria-current");
    }
    this.now = i;
    if (i < 0) return;
    this.buttons[i].classList.add("now");
    this.buttons[i].setAttribute("aria-current", "true");
    if (!this.box.contains(document.activeElement)) this.reach(i);
    if (performance.now() >= this.freeFrom_ms) this.keepInSight(this.buttons[i]);
  }

  // Scrolls the box alone: scrollIntoView would move the page as well.
  keepInSight(word) {
    const above = word.offsetTop, below = above + word.offsetHeight;
    const { scrollTop, clientHeight } = this.box;
    if (above >= scrollTop && below <= scrollTop + clientHeight) return;
    this.box.scrollTo({ top: above - clientHeight / 3, behavior: this.calm.matches ? "instant" : "smooth" });
  }
}
