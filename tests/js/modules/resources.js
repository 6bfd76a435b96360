// What players cannot do themselves: say something before there is a socket, notify, make contests.

function say(ctx, logger, nk, payload) {
  const { target, type, text } = JSON.parse(payload);
  const channel = nk.channelIdBuild(ctx.userId, target, type);
  return JSON.stringify(nk.channelMessageSend(channel, { text }, ctx.userId, ctx.username, true));
}

function history(ctx, logger, nk, payload) {
  const { target, type } = JSON.parse(payload);
  const channel = nk.channelIdBuild(ctx.userId, target, type);
  return JSON.stringify(nk.channelMessagesList(channel, 100, true).messages);
}

function notify(ctx, logger, nk, payload) {
  const { user, count } = JSON.parse(payload);
  for (let n = 0; n < count; n++) {
    nk.notificationSend(user, `reward ${n}`, { n }, 100, null, true);
  }
}

function InitModule(ctx, logger, nk, initializer) {
  initializer.registerRpc("say", say);
  initializer.registerRpc("history", history);
  initializer.registerRpc("notify", notify);
  nk.leaderboardCreate("climb", false, "descending", "best", null, null, true);
  nk.tournamentCreate("cup", false, "descending", "best", 3600, null, {}, "The Cup", "", 1, 0, 0, 2, 3, true, true);
}
