// The match of arena.lua in JavaScript.
function init(ctx, logger, nk, params) {
  return { state: { password: params.password, told: false }, tickRate: 20, label: params.label };
}

function joinAttempt(ctx, logger, nk, dispatcher, tick, state, presence, metadata) {
  if (metadata.password !== state.password) {
    dispatcher.broadcastMessage(1, "refused " + presence.username);
    return { state: state, accept: false, rejectMessage: "wrong password" };
  }
  return { state: state, accept: true };
}

function join(ctx, logger, nk, dispatcher, tick, state, presences) {
  presences.forEach(function (presence) {
    dispatcher.broadcastMessage(2, "joined " + presence.username + " " + presence.reason);
  });
  return { state: state };
}

function leave(ctx, logger, nk, dispatcher, tick, state, presences) {
  presences.forEach(function (presence) {
    dispatcher.broadcastMessage(3, "left " + presence.username + " " + presence.reason);
  });
  return { state: state };
}

function loop(ctx, logger, nk, dispatcher, tick, state, messages) {
  if (state.told) {
    return null;
  }
  messages.forEach(function (message) {
    if (message.opCode === 4) {
      dispatcher.broadcastMessageDeferred(4, "deferred");
      dispatcher.broadcastMessage(4, "at once");
    } else if (message.opCode === 5) {
      dispatcher.broadcastMessage(5, message.data, [message.sender], message.sender);
    } else if (message.opCode === 6) {
      dispatcher.matchKick([message.sender]);
    }
  });
  return { state: state };
}

function terminate(ctx, logger, nk, dispatcher, tick, state, grace) {
  dispatcher.broadcastMessage(7, "ends in " + grace);
  state.told = true;
  return { state: state };
}

function signal(ctx, logger, nk, dispatcher, tick, state, data) {
  dispatcher.matchLabelUpdate(data);
  return { state: state, data: "label " + data };
}

function InitModule(ctx, logger, nk, initializer) {
  initializer.registerMatch("arena_js", {
    matchInit: init,
    matchJoinAttempt: joinAttempt,
    matchJoin: join,
    matchLeave: leave,
    matchLoop: loop,
    matchTerminate: terminate,
    matchSignal: signal,
  });
}
