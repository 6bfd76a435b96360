// A match for tests/js/realtime.mjs: who knows the password may join; what players send comes back.

function matchInit(ctx, logger, nk, params) {
  return { state: { members: 0 }, tickRate: 20, label: JSON.stringify({ language: "javascript", room: params.room }) };
}

function matchJoinAttempt(ctx, logger, nk, dispatcher, tick, state, presence, metadata) {
  return metadata.password === "sesame" ? { state, accept: true } : { state, accept: false, rejectMessage: "wrong password" };
}

function matchJoin(ctx, logger, nk, dispatcher, tick, state, presences) {
  state.members += presences.length;
  return { state };
}

function matchLeave(ctx, logger, nk, dispatcher, tick, state, presences) {
  state.members -= presences.length;
  return state.members === 0 ? null : { state };
}

function matchLoop(ctx, logger, nk, dispatcher, tick, state, messages) {
  for (const { opCode, data, sender } of messages) {
    if (opCode === 3) dispatcher.matchKick([sender]);
    else if (opCode === 2) dispatcher.broadcastMessageDeferred(102, data, null, sender);
    else dispatcher.broadcastMessage(101, data, null, sender);
  }
  return { state };
}

function matchTerminate(ctx, logger, nk, dispatcher, tick, state, graceSeconds) {
  return { state };
}

function matchSignal(ctx, logger, nk, dispatcher, tick, state, data) {
  dispatcher.broadcastMessage(109, data);
  return { state, data: `heard ${data} with ${state.members}` };
}

function createJs(ctx, logger, nk, payload) {
  return nk.matchCreate("realtime_js", { room: payload });
}

function InitModule(ctx, logger, nk, initializer) {
  initializer.registerMatch("realtime_js", {
    matchInit, matchJoinAttempt, matchJoin, matchLeave, matchLoop, matchTerminate, matchSignal,
  });
  initializer.registerRpc("create_javascript", createJs);
}
