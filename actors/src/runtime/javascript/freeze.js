// Freezes what the named globals hold, one level deep, as the reference does.
(function (names) {
  for (const name of names) {
    const value = globalThis[name];
    if (value === null || (typeof value !== "object" && typeof value !== "function")) continue;
    if (ArrayBuffer.isView(value)) continue;
    Object.freeze(value);
    if (typeof value === "function" && value.prototype) Object.freeze(value.prototype);
  }
})
