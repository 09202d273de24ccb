// Pictures with captions, as the kernel sends them.

function render({ model, el }) {
  const root = element("div", { class: "qc-slices", "data-theme": model.get("theme") });
  const urls = [];
  const transport = new Transport(model, {
    onChange: () => {},
    onMessage: (content, buffers) => {
      if (content.kind !== "slices") return;
      const figure = element("figure", {});
      if (buffers.length) {
        const url = URL.createObjectURL(new Blob([buffers[0]], { type: "image/png" }));
        urls.push(url);
        figure.append(element("img", { src: url, alt: `sagittal, coronal and axial slice of ${content.image_id}` }));
      }
      const caption = [element("b", { text: content.image_id }), element("span", { text: content.detail })];
      figure.append(element("figcaption", {}, ...caption));
      root.append(figure);
    },
  });
  el.append(root);
  model.on("msg:custom", transport.listener);
  transport.post({ kind: "hello" });
  return () => {
    model.off("msg:custom", transport.listener);
    urls.forEach((url) => URL.revokeObjectURL(url));
  };
}

export default { render };
