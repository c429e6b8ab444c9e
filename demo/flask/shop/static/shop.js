// A page that everyone shares cannot say who is signed in, nor how it was
// delivered: its HTML may be minutes old. Both are asked for here.

function tellWhatItTook() {
  const navigation = performance.getEntriesByType("navigation")[0];
  if (!navigation) return;
  const server = navigation.serverTiming.map((entry) => {
    if (entry.duration) return `${entry.name} ${entry.duration.toFixed(1)} ms`;
    if (entry.name.startsWith("larder-")) return `${entry.name.slice(7)} ${entry.description}`;
    return entry.description || entry.name;
  });
  const waited = navigation.responseStart - navigation.requestStart;
  const asked = performance.timeOrigin + navigation.requestStart;
  const age = (asked - Date.parse(document.getElementById("made").dateTime)) / 1000;
  const source = age > 0.05
    ? `It was ${age < 10 ? age.toFixed(1) : Math.round(age)} s old when you asked, so it came from the cache`
    : "It was made for this request";
  document.getElementById("took").textContent =
    `${source}: ${waited.toFixed(1)} ms to the first byte (${server.join(", ")}).`;
}

async function tellWhoIsSignedIn() {
  const cart = document.getElementById("cart");
  const answer = await fetch(cart.dataset.from);
  if (!answer.ok) return;
  const me = await answer.json();
  if (me.pieces) cart.textContent = `(${me.pieces})`;
  if (me.handle) document.getElementById("who").textContent = me.handle;
}

addEventListener("load", () => {
  tellWhatItTook();
  tellWhoIsSignedIn();
});
