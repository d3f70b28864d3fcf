// <before-after src="side.mp4">: a film whose left half is the source and whose right half is the new film, shown as
// one picture with a border that can be moved. One video, so both halves always stand at the same moment.
customElements.define(
  "before-after",
  class extends HTMLElement {
    connectedCallback() {
      this.replaceChildren();
      const video = Object.assign(document.createElement("video"), {
        src: this.getAttribute("src"),
        loop: true,
        muted: true,
        playsInline: true,
      });
      const canvas = document.createElement("canvas");
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", "Left of the border the source, right of it the new film");
      const border = Object.assign(document.createElement("input"), { type: "range", min: 0, max: 100, value: 50 });
      border.setAttribute("aria-label", "Border between the source and the new film");
      const play = Object.assign(document.createElement("button"), { type: "button", textContent: "Pause" });
      const paint = canvas.getContext("2d");
      const draw = () => {
        const width = video.videoWidth >> 1;
        const height = video.videoHeight;
        if (width) {
          if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
          const x = Math.round((width * border.value) / 100);
          paint.drawImage(video, width, 0, width, height, 0, 0, width, height);
          if (x) paint.drawImage(video, 0, 0, x, height, 0, 0, x, height);
          paint.fillStyle = "#fff";
          paint.fillRect(x - 1, 0, 2, height);
        }
        if (this.isConnected) requestAnimationFrame(draw);
      };
      play.addEventListener("click", () => (video.paused ? video.play() : video.pause()));
      video.addEventListener("play", () => (play.textContent = "Pause"));
      video.addEventListener("pause", () => (play.textContent = "Play"));
      const controls = document.createElement("div");
      controls.append(play, border);
      this.append(canvas, controls);
      video.play().catch(() => (play.textContent = "Play"));
      draw();
    }
  },
);
