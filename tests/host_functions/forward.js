// Calls any host function: the JavaScript side of tests/host_functions.rs.

function read(nk, value) {
  if (value && value.returns) return () => value.returns;
  return value && value.base16 ? nk.base16Decode(value.base16) : value;
}

function show(nk, value) {
  if (value instanceof ArrayBuffer) {
    const bytes = Array.from(new Uint8Array(value));
    return bytes.every((byte) => byte < 128)
      ? String.fromCharCode(...bytes)
      : { base16: nk.base16Encode(value) };
  }
  if (Array.isArray(value)) {
    return value.map((inner) => show(nk, inner));
  }
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, show(nk, inner)]));
  }
  return value;
}

function call(ctx, logger, nk, payload) {
  const request = JSON.parse(payload);
  const values = request.arguments.map((value) => read(nk, value));
  try {
    return JSON.stringify({ value: show(nk, nk[request.name](...values)) });
  } catch (error) {
    return JSON.stringify({ error: error.message || String(error) });
  }
}

function InitModule(ctx, logger, nk, initializer) {
  initializer.registerRpc("call_javascript", call);
}
