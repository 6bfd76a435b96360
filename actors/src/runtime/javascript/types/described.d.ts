    /** What a function knows about its call. What is not known is left out. */
    interface Context {
        /** The variables of `runtime.env`. */
        env: { [key: string]: string };
        /** For what the function is called: `rpc`, `before`, `after` and so on; not set in `InitModule`. */
        executionMode: string;
        /** The name of the server. */
        node: string;
        /** The version of the server. */
        version: string;
        /** The headers of an RPC over HTTP, by canonical name. */
        headers?: { [key: string]: string[] };
        /** The query of an RPC over HTTP. */
        queryParams?: { [key: string]: string[] };
        userId?: string;
        username?: string;
        /** The variables of the session. */
        vars?: { [key: string]: string };
        /** When the session token ends, Unix seconds. */
        userSessionExp?: number;
        sessionId?: string;
        /** The language of the client, as a BCP 47 tag. */
        lang?: string;
        clientIp?: string;
        clientPort?: string;
        traceId?: string;
        /** In match handlers. */
        matchId?: string;
        /** In match handlers. */
        matchNode?: string;
        /** In match handlers. */
        matchLabel?: string;
        /** In match handlers: turns in a second. */
        matchTickRate?: number;
    }

    /** Bytes that a function takes; text stands for its UTF-8. */
    type Bytes = ArrayBuffer | Uint8Array | string;

    /** Variables of a session. */
    type SessionVars = { [key: string]: string };

    /** Writes lines to the server's log, with Go's format verbs (`%s`, `%d`, `%v`, `%q`, …). */
    interface Logger {
        debug(format: string, ...args: any[]): void;
        info(format: string, ...args: any[]): void;
        warn(format: string, ...args: any[]): void;
        error(format: string, ...args: any[]): void;
        /** A logger whose lines carry this field as well. */
        withField(key: string, value: string): Logger;
        /** A logger whose lines carry these fields as well. */
        withFields(pairs: { [key: string]: any }): Logger;
        /** The fields that lines of this logger carry. */
        getFields(): { [key: string]: any };
    }

    /** The codes of errors. */
    const enum Codes {
        CANCELLED = 1,
        UNKNOWN = 2,
        INVALID_ARGUMENT = 3,
        DEADLINE_EXCEEDED = 4,
        NOT_FOUND = 5,
        ALREADY_EXISTS = 6,
        PERMISSION_DENIED = 7,
        RESOURCE_EXHAUSTED = 8,
        FAILED_PRECONDITION = 9,
        ABORTED = 10,
        OUT_OF_RANGE = 11,
        UNIMPLEMENTED = 12,
        INTERNAL = 13,
        UNAVAILABLE = 14,
        DATA_LOSS = 15,
        UNAUTHENTICATED = 16,
    }

    /** What a function throws to answer the client with this code and message. */
    type Error = { message: string; code: Codes };

    /** Who may read a storage object: nobody, its owner, everybody. */
    type ReadPermissionValues = 0 | 1 | 2;

    /** Who may write a storage object: nobody, its owner. */
    type WritePermissionValues = 0 | 1;

    /** The method of an HTTP request. */
    type RequestMethod = 'get' | 'post' | 'put' | 'patch' | 'head' | 'delete';

    /** Currencies and how much there is of them. */
    type Wallet = { [key: string]: number };

    /** The rows of a query. */
    type SqlQueryResult = { [column: string]: any }[];

    /** The order of a leaderboard. */
    const enum SortOrder {
        ASCENDING = 'ascending',
        DESCENDING = 'descending',
    }

    /** What becomes of a record when its owner scores again. */
    const enum Operator {
        BEST = 'best',
        SET = 'set',
        INCREMENTAL = 'increment',
        DECREMENTAL = 'decrement',
    }

    /** The same for one score, in place of the leaderboard's own. */
    const enum OverrideOperator {
        BEST = 'best',
        SET = 'set',
        INCREMENTAL = 'increment',
        DECREMENTAL = 'decrement',
    }

    /** What a user is in a group. */
    const enum GroupUserState {
        Superadmin = 0,
        Admin = 1,
        Member = 2,
        JoinRequest = 3,
        Banned = 4,
    }

    /** The kinds of channels. */
    const enum ChanType {
        Room = 1,
        DirectMessage = 2,
        Group = 3,
    }

    /** Why a presence came or went. */
    const enum PresenceReason {
        PresenceReasonUnknown = 0,
        PresenceReasonJoin = 1,
        PresenceReasonUpdate = 2,
        PresenceReasonLeave = 3,
        PresenceReasonDisconnect = 4,
    }

    /** A page of notifications, as clients get it. */
    type ApiNotificationList = NotificationList;

    /** A script's entry point: called once while modules are loaded. */
    interface InitModule {
        (ctx: Context, logger: Logger, nk: Nakama, initializer: Initializer): void;
    }

    /** Answers an RPC with text or nothing. */
    interface RpcFunction {
        (ctx: Context, logger: Logger, nk: Nakama, payload: string): string | void | null;
    }

    /** Runs before a request: gives it back, changed or not, or nothing to refuse it. */
    interface BeforeHookFunction<T> {
        (ctx: Context, logger: Logger, nk: Nakama, data: T): T | void | null;
    }

    /** Runs after a request, with what the client gets and what it sent. */
    interface AfterHookFunction<T, K> {
        (ctx: Context, logger: Logger, nk: Nakama, data: T, request: K): void;
    }

    /** Runs before a realtime message: gives it back, changed or not, or nothing to refuse it. */
    interface RtBeforeHookFunction<T extends Envelope> {
        (ctx: Context, logger: Logger, nk: Nakama, envelope: T): T | void | null;
    }

    /** Runs after a realtime message, with the answer, if there is one, and the message. */
    interface RtAfterHookFunction<T extends Envelope> {
        (ctx: Context, logger: Logger, nk: Nakama, output: T | null, input: T): void;
    }

    /** Runs for every event that a client or a module tells. */
    interface EventFunction {
        (ctx: Context, logger: Logger, nk: Nakama, event: Event): void;
    }

    /** Runs when a session has started; the event is named "session_start". */
    interface EventSessionStartFunction {
        (ctx: Context, logger: Logger, nk: Nakama, event: Event): void;
    }

    /** Runs when a session has ended; the event is named "session_end", its property "reason" says why. */
    interface EventSessionEndFunction {
        (ctx: Context, logger: Logger, nk: Nakama, event: Event): void;
    }

    /** Runs when the server is about to stop. */
    interface ShutdownFunction {
        (ctx: Context, logger: Logger, nk: Nakama): void;
    }

    /** Runs when the matchmaker has found players for each other: the id of a match that it made for
     * them, or nothing to leave them a relayed one. */
    interface MatchmakerMatchedFunction {
        (ctx: Context, logger: Logger, nk: Nakama, matches: MatchmakerResult[]): string | void | null;
    }

    /** Runs when a tournament has ended; times in Unix seconds. */
    interface TournamentEndFunction {
        (ctx: Context, logger: Logger, nk: Nakama, tournament: Tournament, end: number, reset: number): void;
    }

    /** Runs when a tournament begins anew; times in Unix seconds. */
    interface TournamentResetFunction {
        (ctx: Context, logger: Logger, nk: Nakama, tournament: Tournament, end: number, reset: number): void;
    }

    /** Runs when a leaderboard begins anew; times in Unix seconds. */
    interface LeaderboardResetFunction {
        (ctx: Context, logger: Logger, nk: Nakama, leaderboard: Leaderboard, reset: number): void;
    }

    /** Runs when Apple tells of a purchase. */
    interface PurchaseNotificationAppleFunction {
        (ctx: Context, logger: Logger, nk: Nakama, purchase: ValidatedPurchase, providerPayload: string): void;
    }

    /** Runs when Apple tells of a subscription. */
    interface SubscriptionNotificationAppleFunction {
        (ctx: Context, logger: Logger, nk: Nakama, subscription: ValidatedSubscription, providerPayload: string): void;
    }

    /** Runs when Google tells of a purchase. */
    interface PurchaseNotificationGoogleFunction {
        (ctx: Context, logger: Logger, nk: Nakama, purchase: ValidatedPurchase, providerPayload: string): void;
    }

    /** Runs when Google tells of a subscription. */
    interface SubscriptionNotificationGoogleFunction {
        (ctx: Context, logger: Logger, nk: Nakama, subscription: ValidatedSubscription, providerPayload: string): void;
    }

    /** Whether a storage object belongs into an index. */
    interface StorageIndexFilterFunction {
        (ctx: Context, logger: Logger, nk: Nakama, write: StorageWriteRequest): boolean;
    }

    /** A user in a stream, with the session that is there. */
    interface Presence {
        userId: string;
        sessionId: string;
        username: string;
        node: string;
        status?: string;
        hidden?: boolean;
        persistence?: boolean;
        reason?: PresenceReason;
    }

    /** A player that the matchmaker has found others for. */
    interface MatchmakerResult {
        presence: Presence;
        properties: { [key: string]: any };
        partyId?: string;
    }

    /** What a player sent to a match. */
    interface MatchMessage {
        sender: Presence;
        persistence: boolean;
        status: string;
        opCode: number;
        data: ArrayBuffer;
        reliable: boolean;
        /** When the server received it, Unix milliseconds. */
        receiveTimeMs: number;
    }

    /** What a match keeps from turn to turn. */
    interface MatchState {
        [key: string]: any;
    }

    /** What a match sends to its players. */
    interface MatchDispatcher {
        /** Sends at once: to all, or to these presences. */
        broadcastMessage(opCode: number, data?: ArrayBuffer | string | null, presences?: Presence[] | null, sender?: Presence | null, reliable?: boolean | null): void;
        /** Sends at the end of the turn: to all, or to these presences. */
        broadcastMessageDeferred(opCode: number, data?: ArrayBuffer | string | null, presences?: Presence[] | null, sender?: Presence | null, reliable?: boolean | null): void;
        /** Removes these presences from the match. */
        matchKick(presences: Presence[]): void;
        /** Changes the label by which the match is listed. */
        matchLabelUpdate(label: string): void;
    }

    /** The functions of a match, all of them required. One that gives nothing back ends the match. */
    interface MatchHandler<State = MatchState> {
        matchInit: MatchInitFunction<State>;
        matchJoinAttempt: MatchJoinAttemptFunction<State>;
        matchJoin: MatchJoinFunction<State>;
        matchLeave: MatchLeaveFunction<State>;
        matchLoop: MatchLoopFunction<State>;
        matchTerminate: MatchTerminateFunction<State>;
        matchSignal: MatchSignalFunction<State>;
    }

    /** Makes the state of a match; `params` are those of `nk.matchCreate`. */
    interface MatchInitFunction<State = MatchState> {
        (ctx: Context, logger: Logger, nk: Nakama, params: { [key: string]: any }): { state: State; tickRate: number; label: string };
    }

    /** Decides whether a player may join. */
    interface MatchJoinAttemptFunction<State = MatchState> {
        (ctx: Context, logger: Logger, nk: Nakama, dispatcher: MatchDispatcher, tick: number, state: State, presence: Presence, metadata: { [key: string]: any }): { state: State; accept: boolean; rejectMessage?: string } | null;
    }

    /** Runs when players have joined. */
    interface MatchJoinFunction<State = MatchState> {
        (ctx: Context, logger: Logger, nk: Nakama, dispatcher: MatchDispatcher, tick: number, state: State, presences: Presence[]): { state: State } | null;
    }

    /** Runs when players have left. */
    interface MatchLeaveFunction<State = MatchState> {
        (ctx: Context, logger: Logger, nk: Nakama, dispatcher: MatchDispatcher, tick: number, state: State, presences: Presence[]): { state: State } | null;
    }

    /** Runs once a turn, with what has come in since the last. */
    interface MatchLoopFunction<State = MatchState> {
        (ctx: Context, logger: Logger, nk: Nakama, dispatcher: MatchDispatcher, tick: number, state: State, messages: MatchMessage[]): { state: State } | null;
    }

    /** Runs when the server is about to stop, this many seconds later. */
    interface MatchTerminateFunction<State = MatchState> {
        (ctx: Context, logger: Logger, nk: Nakama, dispatcher: MatchDispatcher, tick: number, state: State, graceSeconds: number): { state: State } | null;
    }

    /** Answers `nk.matchSignal`. */
    interface MatchSignalFunction<State = MatchState> {
        (ctx: Context, logger: Logger, nk: Nakama, dispatcher: MatchDispatcher, tick: number, state: State, data: string): { state: State; data?: string } | null;
    }
