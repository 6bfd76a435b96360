// The match of hall.lua in JavaScript.
function init() {
  return { state: { members: 0, ends: false }, tickRate: 10, label: "javascript" };
}

function joinAttempt(ctx, logger, nk, dispatcher, tick, state) {
  return { state: state, accept: !state.ends, rejectMessage: "it ends" };
}

function join(ctx, logger, nk, dispatcher, tick, state, presences) {
  state.members += presences.length;
  return { state: state };
}

function leave(ctx, logger, nk, dispatcher, tick, state, presences) {
  state.members -= presences.length;
  return state.members === 0 ? null : { state: state };
}

function loop(ctx, logger, nk, dispatcher, tick, state, messages) {
  if (state.ends) {
    return null;
  }
  messages.forEach(function (message) {
    if (message.opCode === 1) {
      dispatcher.broadcastMessage(1, message.data, null, message.sender);
    } else if (message.opCode === 2) {
      dispatcher.broadcastMessageDeferred(2, message.data, null, message.sender);
    } else if (message.opCode === 3) {
      dispatcher.broadcastMessage(90, "out", [message.sender]);
      dispatcher.matchKick([message.sender]);
    } else if (message.opCode === 4) {
      dispatcher.matchLabelUpdate(nk.binaryToString(message.data));
    } else if (message.opCode === 5) {
      dispatcher.broadcastMessage(91, "over");
      state.ends = true;
    }
  });
  return { state: state };
}

function terminate(ctx, logger, nk, dispatcher, tick, state) {
  return { state: state };
}

function signal(ctx, logger, nk, dispatcher, tick, state, data) {
  return { state: state, data: data };
}

function InitModule(ctx, logger, nk, initializer) {
  initializer.registerRpc("echo_js", function (ctx, logger, nk, payload) {
    return payload;
  });
  initializer.registerMatch("hall_js", {
    matchInit: init,
    matchJoinAttempt: joinAttempt,
    matchJoin: join,
    matchLeave: leave,
    matchLoop: loop,
    matchTerminate: terminate,
    matchSignal: signal,
  });
}
