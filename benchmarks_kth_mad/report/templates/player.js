// The player: every canvas shows the same frame; maps are coloured here, so that the controls work
// at once.
(() => {
  const source = document.getElementById("player-data");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  const byId = (name) => document.getElementById(name);
  const stage = byId("stage");
  const state = { clip: 0, frame: 0, timer: null, tiles: [], loading: 0 };

  const palettes = Object.fromEntries(
    Object.entries(data.palettes).map(([name, { colors }]) => [
      name,
      Uint8ClampedArray.from({ length: 768 }, (_, i) => parseInt(colors.slice(2 * i, 2 * i + 2), 16)),
    ]),
  );

  const element = (name, attributes = {}, ...children) => {
    const found = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) found.setAttribute(key, value);
    found.append(...children);
    return found;
  };

  const decoded = async (sheet) => {
    const image = new Image();
    image.src = sheet.src;
    await image.decode();
    return { ...sheet, image };
  };

  const draw = (context, sheet, frame) => {
    const { width, height } = context.canvas;
    const left = (frame % sheet.columns) * sheet.width;
    const top = Math.floor(frame / sheet.columns) * sheet.height;
    context.drawImage(sheet.image, left, top, sheet.width, sheet.height, 0, 0, width, height);
  };

  // Weak evidence lets the clip through, less and less as the opacity nears 1.
  const blend = (picture, level, palette, opacity) => {
    const floor = opacity ** 8;
    for (let i = 0; i < picture.length; i += 4) {
      const share = level[i] / 255;
      const weight = opacity * (share + (1 - share) * floor);
      const color = 3 * level[i];
      for (let k = 0; k < 3; k++) picture[i + k] += weight * (palette[color + k] - picture[i + k]);
    }
  };

  const canvasFor = (input, label) => {
    const { width, height } = input;
    const canvas = element("canvas", { width, height, role: "img", "aria-label": label });
    const scratch = element("canvas", { width, height });
    const contexts = [canvas, scratch].map((one) => one.getContext("2d", { willReadFrequently: true }));
    return { canvas, picture: contexts[0], levels: contexts[1] };
  };

  const paintView = (view, frame, palette, opacity) => {
    const { width, height } = view.canvas;
    draw(view.picture, view.input, frame);
    if (!view.map || !opacity) return;
    draw(view.levels, view.map, frame);
    const picture = view.picture.getImageData(0, 0, width, height);
    blend(picture.data, view.levels.getImageData(0, 0, width, height).data, palette, opacity);
    view.picture.putImageData(picture, 0, 0);
  };

  const paint = () => {
    const clip = data.clips[state.clip];
    const opacity = byId("opacity").valueAsNumber / 100;
    const palette = palettes[byId("colors").value];
    for (const tile of state.tiles) {
      for (const view of tile.views) paintView(view, state.frame, palette, opacity);
      tile.bars.forEach((bar, i) => bar.classList.toggle("now", i === state.frame));
    }
    byId("frame").value = state.frame + 1;
    byId("frame").setAttribute("aria-valuetext", `frame ${state.frame + 1} of ${clip.frames}`);
    byId("frame-label").textContent = `Frame ${state.frame + 1} of ${clip.frames}`;
  };

  const barsOf = (shares) => {
    const highest = Math.max(...shares);
    const bars = shares.map((share, i) => {
      const fill = element("i");
      fill.style.height = `${highest ? (100 * share) / highest : 0}%`;
      const bar = element("span", {}, fill);
      bar.addEventListener("click", () => show(i));
      return bar;
    });
    return { bars, strip: element("div", { class: "strip", "aria-hidden": "true" }, ...bars) };
  };

  const tileOf = (title, note, when, inputs, maps, shares) => {
    const views = inputs.map((input, i) => {
      const label = [title, input.title, when].filter(Boolean).join(", ");
      return { ...canvasFor(input, label), input, map: maps && maps[i] };
    });
    const shown = views.flatMap((view) =>
      view.input.title ? [element("small", { class: "input" }, view.input.title), view.canvas] : [view.canvas],
    );
    const { bars, strip } = barsOf(shares);
    const caption = element("figcaption", {}, element("strong", {}, title), element("small", {}, note));
    const figure = element("figure", { class: "tile" }, caption, ...shown);
    if (shares.length) figure.append(strip);
    figure.append(element("p", { class: "when" }, when));
    return { figure, views, bars };
  };

  const areasOf = (areas) =>
    Object.entries(areas).map(([metric, area]) => `${metric} ${area.toFixed(3)}`).join("\n");

  const load = async (number) => {
    const turn = ++state.loading;
    const clip = data.clips[number];
    state.clip = number;
    state.frame = Math.min(state.frame, clip.frames - 1);
    byId("clip").value = number;
    byId("frame").max = clip.frames;
    stage.setAttribute("aria-busy", "true");
    const inputs = await Promise.all(clip.inputs.map(decoded));
    const maps = await Promise.all(clip.methods.map((one) => Promise.all(one.maps.map(decoded))));
    if (turn !== state.loading) return;
    const plain = tileOf("Clip", "as the network is given it", "No map painted", inputs, null, []);
    const others = clip.methods.map((one, i) =>
      tileOf(one.title, areasOf(one.areas), one.when, inputs, maps[i], one.shares),
    );
    plain.figure.classList.add("plain");
    state.tiles = [plain, ...others];
    stage.replaceChildren(plain.figure, element("div", { class: "maps" }, ...others.map((one) => one.figure)));
    byId("about").textContent =
      `${clip.name}, ${clip.person}: the network says ${clip.explained}, which the maps explain` +
      (clip.explained === clip.label ? "; it is right." : `; in truth it is ${clip.label}.`);
    paint();
    stage.setAttribute("aria-busy", "false");
  };

  const show = (frame) => {
    const { frames } = data.clips[state.clip];
    state.frame = (frame + frames) % frames;
    paint();
  };

  const isPlaying = () => state.timer !== null;

  const play = (yes) => {
    clearInterval(state.timer);
    const pause = 1000 / byId("speed").valueAsNumber;
    state.timer = yes ? setInterval(() => show(state.frame + 1), pause) : null;
    byId("play").querySelector("span").textContent = yes ? "Pause" : "Play";
    byId("play").classList.toggle("playing", yes);
    // Who listens to the page would hear of every frame.
    byId("frame-label").setAttribute("aria-live", yes ? "off" : "polite");
  };

  const step = (by) => {
    play(false);
    show(state.frame + by);
  };

  const turnTo = (number) => load(Math.max(0, Math.min(data.clips.length - 1, number)));

  const keys = {
    " ": () => play(!isPlaying()),
    ArrowLeft: () => step(-1),
    ArrowRight: () => step(1),
    Home: () => step(-state.frame),
    End: () => step(data.clips[state.clip].frames - 1 - state.frame),
    ArrowUp: () => turnTo(state.clip - 1),
    ArrowDown: () => turnTo(state.clip + 1),
  };

  // A control keeps the keys that it has uses for itself.
  const isTaken = (target, key) => {
    if (target.tagName === "SELECT") return true;
    if (target.tagName === "BUTTON") return key === " ";
    return target.tagName === "INPUT" && target.id !== "frame" && key !== " ";
  };

  byId("player").addEventListener("keydown", (event) => {
    const act = keys[event.key];
    if (!act || event.altKey || event.ctrlKey || event.metaKey || isTaken(event.target, event.key)) return;
    event.preventDefault();
    act();
  });
  byId("clip").addEventListener("change", (event) => turnTo(Number(event.target.value)));
  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));
  byId("play").addEventListener("click", () => play(!isPlaying()));
  byId("frame").addEventListener("input", (event) => {
    play(false);
    show(event.target.valueAsNumber - 1);
  });
  byId("opacity").addEventListener("input", (event) => {
    byId("opacity-label").textContent = `${event.target.value} %`;
    paint();
  });
  const showSpeed = () => {
    byId("speed-label").textContent = `${byId("speed").value} a second`;
    if (isPlaying()) play(true);
  };
  byId("speed").addEventListener("input", showSpeed);
  const showScale = () => {
    const context = byId("scale").getContext("2d");
    const pixels = context.createImageData(256, 1);
    const palette = palettes[byId("colors").value];
    for (let i = 0; i < 256; i++) pixels.data.set([...palette.slice(3 * i, 3 * i + 3), 255], 4 * i);
    context.putImageData(pixels, 0, 0);
  };
  byId("colors").addEventListener("change", () => {
    showScale();
    paint();
  });
  document.addEventListener("visibilitychange", () => document.hidden && play(false));

  // Nothing moves by itself; who asked for less motion also begins slowly.
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) byId("speed").value = 2;
  showSpeed();
  showScale();
  load(0);
})();
