// The moment that the page shows. It moves by itself while playing, with the video or, without one, with a timer;
// whoever moves it otherwise calls seek(). Its time is that of the frames.

const FRAME_STEPS = 3; // a frame lasts at most so many usual ones: behind it is a gap

class Clock {
  constructor(tracks, video, start_s) {
    this.times = frameTimes(tracks);
    const steps = Array.from(this.times.subarray(1), (time, i) => time - this.times[i]);
    this.step_s = steps.length ? median(steps) : tracks[0].end_s - tracks[0].time[0];
    this.from_s = this.times[0];
    this.to_s = Math.max(...tracks.map((track) => track.end_s));
    this.now_s = this.from_s;
    this.playing = false;
    this.rate = 1;
    this.listeners = { moved: [], played: [], stretched: [] };
    this.video = video;
    this.start_s = start_s;
    this.wanted_s = null; // where the video shall go once it has arrived where it goes now
    this.steered = true; // the moment was chosen while the video stood still: the picture follows, not leads
    if (video) this.follow();
  }

  on(event, listener) {
    this.listeners[event].push(listener);
  }

  tell(event) {
    for (const listener of this.listeners[event]) listener();
  }

  show(time_s) {
    this.now_s = Math.min(this.to_s, Math.max(this.from_s, time_s));
    this.tell("moved");
  }

  // To the frame that is shown at this time.
  seek(time_s) {
    const inside = Math.min(this.to_s, Math.max(this.from_s, time_s));
    const frame = this.frameAt(inside);
    this.show(frame < 0 ? inside : this.times[frame]);
    this.steered = !this.playing;
    if (!this.video) return;
    // Into the middle of the frame: its edge, rounded, may show the one before.
    const middle_s = frame < 0 ? inside : this.times[frame] + Math.min(this.endOf(frame) - this.times[frame], this.step_s) / 2;
    this.wanted_s = Math.max(0, middle_s - this.start_s);
    if (!this.video.seeking) this.moveVideo();
  }

  // Index of the frame, of any track, that is shown at this time, or -1.
  frameAt(time_s) {
    const frame = lastUpTo(this.times, time_s + SAME_MOMENT_S);
    return frame < 0 || time_s - this.times[frame] > FRAME_STEPS * this.step_s ? -1 : frame;
  }

  endOf(frame) {
    const next_s = frame + 1 < this.times.length ? this.times[frame + 1] : this.to_s;
    return Math.min(next_s, this.times[frame] + FRAME_STEPS * this.step_s);
  }

  // From when until when the picture of this moment is shown.
  shown() {
    const frame = this.frameAt(this.now_s);
    return frame < 0 ? [this.now_s, this.now_s + this.step_s] : [this.times[frame], this.endOf(frame)];
  }

  moveVideo() {
    if (this.wanted_s === null) return;
    const wanted_s = this.wanted_s;
    this.wanted_s = null;
    this.video.currentTime = wanted_s;
  }

  // One frame back (-1) or forth (1); where tracks have none, as far as a frame lasts.
  stepFrame(direction) {
    const at = lastUpTo(this.times, this.now_s + SAME_MOMENT_S);
    const before = at >= 0 && this.times[at] < this.now_s - SAME_MOMENT_S ? at : at - 1;
    const next_s = this.times[direction > 0 ? at + 1 : before];
    const near = next_s !== undefined && Math.abs(next_s - this.now_s) <= 1;
    this.seek(near ? next_s : this.now_s + direction * this.step_s);
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  play() {
    if (this.now_s >= this.lastMoment() - SAME_MOMENT_S) this.seek(this.from_s);
    if (this.video) {
      this.steered = false;
      // A refusal comes back as an event of the video or as this promise; without the video the timer goes on.
      this.video.play().catch((error) => {
        if (error.name !== "AbortError") this.withoutVideo();
      });
      return;
    }
    this.playing = true;
    this.tell("played");
    let before_ms = performance.now();
    const tick = (now_ms) => {
      if (!this.playing || this.video) return;
      this.show(this.now_s + (Math.max(0, now_ms - before_ms) / 1000) * this.rate);
      before_ms = now_ms;
      if (this.now_s >= this.to_s) this.pause();
      else requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  }

  pause() {
    if (this.video) this.video.pause();
    this.playing = false;
    this.tell("played");
  }

  lastMoment() {
    return this.times.length > 1 ? Math.max(this.times[this.times.length - 1], this.to_s - this.step_s) : this.to_s;
  }

  setRate(rate) {
    this.rate = rate;
    if (this.video) this.video.playbackRate = rate;
  }

  // The video can't be played: the timer takes over.
  withoutVideo() {
    if (!this.video) return;
    this.video = null;
    this.playing = false;
    this.tell("played");
  }

  follow() {
    const video = this.video;
    const state = (playing) => () => {
      if (this.video !== video) return;
      this.playing = playing;
      this.tell("played");
    };
    video.addEventListener("play", state(true));
    video.addEventListener("pause", state(false));
    video.addEventListener("ended", state(false));
    video.addEventListener("seeked", () => this.moveVideo());
    video.addEventListener("loadedmetadata", () => this.stretch(video.duration));
    // What is on the screen counts, not what the player is heading for: while it seeks, the wanted moment stays.
    const heard = (time_s) => {
      const settled = this.video === video && !video.seeking && this.wanted_s === null;
      if (settled && !this.steered) this.show(time_s + this.start_s);
    };
    if (video.requestVideoFrameCallback) {
      const onFrame = (_, frame) => {
        heard(frame.mediaTime);
        video.requestVideoFrameCallback(onFrame);
      };
      video.requestVideoFrameCallback(onFrame);
    } else {
      const onTick = () => {
        heard(video.currentTime);
        requestAnimationFrame(onTick);
      };
      requestAnimationFrame(onTick);
    }
  }

  // The timeline reaches as far as the video does, where tracks cover a part of it only.
  stretch(duration_s) {
    if (!Number.isFinite(duration_s)) return;
    const from_s = this.start_s, to_s = this.start_s + duration_s;
    if (from_s > this.from_s - this.step_s && to_s < this.to_s + this.step_s) return;
    this.from_s = Math.min(this.from_s, from_s);
    this.to_s = Math.max(this.to_s, to_s);
    this.tell("stretched");
    if (this.video.currentTime === 0 && this.wanted_s === null) this.show(this.now_s);
  }
}
