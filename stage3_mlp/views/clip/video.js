// The video: out of the page's own bytes, with the faces drawn over it.

const SLICE = 4 * 262144; // of base64 text, decoded at a time

// An address for the bytes that lie in the page; the text is let go of.
function embeddedVideo(holder) {
  const text = holder.textContent;
  const slices = [];
  for (let start = 0; start < text.length; start += SLICE) slices.push(bytesOf(text.slice(start, start + SLICE)));
  holder.remove();
  return URL.createObjectURL(new Blob(slices, { type: "video/mp4" }));
}

function openVideo(clockOf) {
  const video = byId("video");
  if (!video) return null;
  video.addEventListener("error", () => {
    const where = video.hasAttribute("src") && video.src.startsWith("blob:") ? "in this page" : "beside this page";
    byId("trouble").textContent = `The video ${where} can't be played by this browser, or isn't there. Playing moves through the predictions alone.`;
    clockOf().withoutVideo();
  });
  const holder = byId("video-bytes");
  if (holder) video.src = embeddedVideo(holder);
  byId("sound").addEventListener("change", (event) => (video.muted = !event.target.checked));
  return video;
}

class Faces {
  constructor(media, tracks, clock) {
    Object.assign(this, { media, tracks, clock });
    this.canvas = byId("boxes");
    this.video = byId("video");
    this.before = "";
    byId("faces").addEventListener("change", () => this.draw());
    clock.on("moved", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(this.canvas);
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const context = freshContext(this.canvas, width, height);
    if (!byId("faces").checked) return;
    // From pixels of the source to those of the mp4, and on to those of the screen.
    const scale = this.media.scale * (width / this.video.width);
    context.font = "bold 13px system-ui, sans-serif";
    for (const track of this.tracks) {
      const box = track.shown ? track.boxAt(track.frameAt(this.clock.now_s)) : null;
      if (!box) continue;
      const [left, top, across, down] = Array.from(box, (value) => value * scale);
      context.lineWidth = 4; // a dark edge under the colour keeps it apart from any picture
      context.strokeStyle = "#000a";
      context.strokeRect(left, top, across, down);
      context.lineWidth = 2;
      context.strokeStyle = track.colour;
      context.strokeRect(left, top, across, down);
      if (this.tracks.length > 1) this.number(context, track, left, top);
    }
  }

  number(context, track, left, top) {
    context.fillStyle = track.colour;
    context.fillRect(left - 1, Math.max(0, top - 17), 18, 17);
    context.fillStyle = pageColour("--card");
    context.fillText(String(track.index + 1), left + 4, Math.max(0, top - 17) + 13);
  }
}
