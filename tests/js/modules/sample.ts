// A module as a developer writes it, against the types in sdk/typescript.

interface Visit {
    count: number;
    last?: string;
}

const COLLECTION = "visits";

const rpcVisit: nkruntime.RpcFunction = function (ctx, logger, nk, payload) {
    if (!ctx.userId) {
        throw { message: "sign in first", code: nkruntime.Codes.UNAUTHENTICATED } as nkruntime.Error;
    }
    const visit = readVisit(nk, ctx.userId);
    visit.count += 1;
    visit.last = payload;
    const acks: nkruntime.StorageWriteAck[] = nk.storageWrite([
        { collection: COLLECTION, key: "own", userId: ctx.userId, value: visit, permissionRead: 2 },
    ]);
    logger.withField("version", acks[0].version).info("visit %d of %s", visit.count, ctx.username);
    return JSON.stringify(visit);
};

function readVisit(nk: nkruntime.Nakama, userId: string): Visit {
    const request: nkruntime.StorageReadRequest = { collection: COLLECTION, key: "own", userId };
    const objects: nkruntime.StorageObject[] = nk.storageRead([request]);
    return objects.length > 0 ? (objects[0].value as Visit) : { count: 0 };
}

// Without annotations, and with most of what is optional left out.
function rpcTools(ctx: nkruntime.Context, logger: nkruntime.Logger, nk: nkruntime.Nakama, payload: string): string {
    const hash: ArrayBuffer = nk.hmacSha256Hash(payload, "key");
    const rows = nk.sqlQuery("SELECT username FROM users WHERE id = $1", [ctx.userId ?? null]);
    nk.localcachePut("tools", rows.length, 60);
    const next: number = nk.cronNext("0 0 * * *", 0);
    return JSON.stringify({ id: nk.uuidv4(), next, size: hash.byteLength, rows: nk.localcacheGet("tools", 0) });
}

const beforeDevice: nkruntime.BeforeHookFunction<nkruntime.AuthenticateDeviceRequest> = (ctx, logger, nk, data) => {
    if (data.account?.id === "refused-device-id") {
        return null;
    }
    data.username = data.username?.toLowerCase();
    return data;
};

const afterDevice: nkruntime.AfterHookFunction<nkruntime.Session, nkruntime.AuthenticateDeviceRequest> = (ctx, logger, nk, data, request) => {
    if (data.created && ctx.userId) {
        nk.accountUpdateId(ctx.userId, null, request.username, null, null, null, null, { greeted: true });
    }
};

function beforeGetAccount(ctx: nkruntime.Context, logger: nkruntime.Logger, nk: nkruntime.Nakama): void {
    logger.debug("%s looks at the account", ctx.userId);
}

// Rooms are written in small letters; some are closed.
const beforeJoin: nkruntime.RtBeforeHookFunction<nkruntime.EnvelopeChannelJoin> = (ctx, logger, nk, envelope) => {
    const join: nkruntime.ChannelJoin = envelope.channelJoin;
    if (join.target === "closed") {
        throw { message: "the room is closed", code: nkruntime.Codes.PERMISSION_DENIED } as nkruntime.Error;
    }
    join.target = join.target.toLowerCase();
    join.hidden = join.persistence ?? false;
    return envelope;
};

function afterSend(ctx: nkruntime.Context, logger: nkruntime.Logger, nk: nkruntime.Nakama, output: nkruntime.EnvelopeMatchDataSend | null, input: nkruntime.EnvelopeMatchDataSend): void {
    const { opCode, data, presences } = input.matchDataSend;
    const whole: string = opCode + data;
    logger.debug("%s to %d, answered: %v", whole, presences.length, output !== null);
}

// Any message, told apart by its field.
const beforeAny: nkruntime.RtBeforeHookFunction<nkruntime.Envelope> = (ctx, logger, nk, envelope) => {
    if ("matchmakerAdd" in envelope) {
        envelope.matchmakerAdd.stringProperties["user"] = ctx.userId ?? "";
        envelope.matchmakerAdd.minCount += 1;
    } else if ("statusUpdate" in envelope) {
        envelope.statusUpdate.status = envelope.statusUpdate.status?.trim() ?? null;
    }
    return envelope;
};

const InitModule: nkruntime.InitModule = function (ctx, logger, nk, initializer) {
    initializer.registerRpc("visit", rpcVisit);
    initializer.registerRpc("tools", rpcTools);
    initializer.registerBeforeAuthenticateDevice(beforeDevice);
    initializer.registerAfterAuthenticateDevice(afterDevice);
    initializer.registerBeforeGetAccount(beforeGetAccount);
    initializer.registerRtBefore("ChannelJoin", beforeJoin);
    initializer.registerRtAfter("MatchDataSend", afterSend);
    initializer.registerRtBefore("StatusUpdate", beforeAny);
    initializer.registerRtBefore("PartyCreate", (ctx, logger, nk, envelope) => envelope);
    logger.info("%s is ready", initializer.getConfig().name);
};

// What the compiler must refuse.
function mistakes(nk: nkruntime.Nakama, initializer: nkruntime.Initializer): void {
    // @ts-expect-error a misspelt function
    nk.storageReed([]);
    // @ts-expect-error a function of Lua only
    nk.time();
    // @ts-expect-error a function that comes with a later capability
    nk.getSatori();
    // @ts-expect-error an object without its key
    nk.storageWrite([{ collection: COLLECTION, value: {} }]);
    // @ts-expect-error a number for a text
    nk.accountGetId(5);
    // @ts-expect-error a field that accounts do not have
    nk.accountGetId("").user.password;
    // @ts-expect-error a misspelt hook
    initializer.registerBeforeGetAcount(() => {});
    // @ts-expect-error a hook for another request
    initializer.registerBeforeUpdateAccount(beforeDevice);
    // @ts-expect-error a message that does not exist
    initializer.registerRtBefore("ChanelJoin", () => {});
}

function realtimeMistakes(join: nkruntime.EnvelopeChannelJoin, status: nkruntime.EnvelopeStatusUpdate): void {
    // @ts-expect-error a misspelt field
    join.channelJoin.traget;
    // @ts-expect-error a number for a text
    join.channelJoin.target = 5;
    // @ts-expect-error the field of another message
    join.channelLeave;
    // @ts-expect-error a status that may not be there
    status.statusUpdate.status.length;
    // @ts-expect-error a hook that gives another message back
    const hook: nkruntime.RtBeforeHookFunction<nkruntime.EnvelopeChannelJoin> = () => status;
    // @ts-expect-error no message at all
    const none: nkruntime.RtBeforeHookFunction<{ nonsense: string }> = (ctx, logger, nk, envelope) => envelope;
}
