// Answers for matched players what their property `answer` asks for.
const ID = "11111111-2222-4333-8444-555555555555.nakama";

function isWhole(user) {
  const presence = user.presence;
  return presence.userId.length === 36 && presence.sessionId.length === 36 && presence.node === "nakama"
    && presence.username.length === 3 && user.properties.level === 1.5 && user.partyId === undefined
    && user.ticket === undefined;
}

function matched(ctx, logger, nk, users) {
  const answer = users[0].properties.answer;
  if (answer === "id" && users.length === 2 && users.every(isWhole)) {
    return ID;
  } else if (answer === "number") {
    return 5;
  } else if (answer === "text") {
    return "no id";
  } else if (answer === "error") {
    throw Error("no match today");
  }
}

function InitModule(ctx, logger, nk, initializer) {
  initializer.registerMatchmakerMatched(matched);
}
