"""The script that measures, in the browser. Data; `probe` serves it.

No dependency, nothing that a strict content security policy forbids: it needs `script-src 'self'`,
and `connect-src` for the candidates. It measures once a day, when the page has loaded and can be
seen, and after the network has changed; a page may call `regionware.probe()` itself. It keeps the
time of the last measurement in `localStorage`, and nothing else; what failed is tried again in ten
minutes.

A candidate's first request opens the connection, and is not counted; of the next three the shortest
is. What a browser cannot reach within three seconds is left out.
"""

from typing import Final

SCRIPT: Final = """\
(() => {
  "use strict";
  const base = document.currentScript.src, key = "regionware-probed", day = 864e5;
  const read = () => { try { return +localStorage[key] || 0; } catch { return 0; } };
  const note = (at) => { try { localStorage[key] = at; } catch {} };
  const get = (url, more) => {
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 3000);
    return fetch(url, { cache: "no-store", credentials: "omit", signal: stop.signal, ...more });
  };
  const measure = async (url) => {
    let least = 1 / 0;
    for (let i = 0; i < 4; i++) {
      const began = performance.now();
      if ((await get(url)).status != 204) return;
      if (i) least = Math.min(least, performance.now() - began);
    }
    return Math.max(0.1, Math.round(least * 10) / 10);
  };
  const probe = async () => {
    note(Date.now() - day + 6e5);
    const { regions } = await (await get(new URL("regions", base))).json(), rtt = {};
    for (const { name, ping } of regions) {
      const found = await measure(ping).catch(() => 0);
      if (found) rtt[name] = found;
    }
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    const answer = await get(new URL("pin", base), {
      method: "POST", credentials: "same-origin", body: JSON.stringify({ rtt, zone }),
      headers: { "Content-Type": "application/json" },
    });
    note(Date.now());
    return answer.ok;
  };
  const due = () => {
    if (!document.hidden && Date.now() - read() > day) probe().catch(() => 0);
  };
  self.regionware = { probe };
  navigator.connection?.addEventListener?.("change", () => note(0));
  addEventListener("load", () => setTimeout(due, 1e3));
  addEventListener("visibilitychange", due);
})();
"""
