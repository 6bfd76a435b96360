// The functions that modules of this server can call and register, for TypeScript.
// Written by the server: `guildhall types`.

declare namespace nkruntime {
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

    /** The functions of the server. */
    interface Nakama {
        accountDeleteId(userId: string, recorded?: boolean | null): void;
        /** An account with all that belongs to it, as JSON text. */
        accountExportId(userId: string): string;
        accountGetId(userId: string): Account;
        /**
         * Makes the account that an export is of, or replaces metadata, wallet and storage
         * objects of another one with those of the export.
         */
        accountImportId(data: string, userId?: string | null): Account;
        /**
         * In JavaScript the metadata comes last. An empty text unsets a field in JavaScript and
         * leaves it elsewhere, as in the reference.
         */
        accountUpdateId(userId: string, username?: string | null, displayName?: string | null, timezone?: string | null, location?: string | null, langTag?: string | null, avatarUrl?: string | null, metadata?: { [key: string]: any } | null): void;
        accountsGetId(userIds?: string[] | null, deviceIds?: string[] | null): Account[];
        aes128Decrypt(input: Bytes, key: Bytes): string;
        aes128Encrypt(input: Bytes, key: Bytes): string;
        aes256Decrypt(input: Bytes, key: Bytes): string;
        aes256Encrypt(input: Bytes, key: Bytes): string;
        /** Signs in with Apple. */
        authenticateApple(token: string, username?: string | null, create?: boolean | null): AuthResult;
        authenticateCustom(id: string, username?: string | null, create?: boolean | null): AuthResult;
        authenticateDevice(id: string, username?: string | null, create?: boolean | null): AuthResult;
        /** By username and password where the e-mail is left out. */
        authenticateEmail(email: string | null | undefined, password: string, username?: string | null, create?: boolean | null): AuthResult;
        /** Signs in with Facebook. */
        authenticateFacebook(token: string, importFriends?: boolean | null, username?: string | null, create?: boolean | null): AuthResult;
        /** Signs in from a Facebook Instant Game. */
        authenticateFacebookInstantGame(playerInfo: string, username?: string | null, create?: boolean | null): AuthResult;
        /** Signs in with Game Center. */
        authenticateGameCenter(playerId: string, bundleId: string, timestamp: number, salt: string, signature: string, publicKeyUrl: string, username?: string | null, create?: boolean | null): AuthResult;
        /** Signs in with Google. */
        authenticateGoogle(token: string, username?: string | null, create?: boolean | null): AuthResult;
        /** Signs in with Steam. */
        authenticateSteam(token: string, importValue?: boolean | null, username?: string | null, create?: boolean | null): AuthResult;
        /**
         * A session token for any user, without looking the user up; `exp` in Unix seconds. Lua
         * must name the user or give an empty name, as in the reference.
         */
        authenticateTokenGenerate(userId: string, username?: string | null, exp?: number | null, vars?: { [key: string]: string } | null): TokenGenerateResult;
        base16Decode(input: string): ArrayBuffer;
        base16Encode(input: Bytes): string;
        /** With `padding` (the default) what lacks of it is added. */
        base64Decode(input: string, padding?: boolean | null): ArrayBuffer;
        base64Encode(input: Bytes, padding?: boolean | null): string;
        /**
         * Without `padding` what lacks of it is added. The default is without in Lua and with in
         * JavaScript.
         */
        base64UrlDecode(input: string, padding?: boolean | null): ArrayBuffer;
        base64UrlEncode(input: Bytes, padding?: boolean | null): string;
        /** What is no hash fits nothing. */
        bcryptCompare(hash: Bytes, plaintext: Bytes): boolean;
        /** At cost 13, as the reference, on the threads for passwords. */
        bcryptHash(input: Bytes): string;
        /** Bytes as text, where they are UTF-8. */
        binaryToString(data: Bytes): string;
        /** The id of a channel. */
        channelIdBuild(senderId: string | null | undefined, target: string, channelType: number): string;
        /** Takes back what was said. */
        channelMessageRemove(channelId: string, messageId: string, senderId?: string | null, senderUsername?: string | null, persist?: boolean | null): ChannelMessageSendAck;
        /** Says something in a channel. */
        channelMessageSend(channelId: string, content?: { [key: string]: any } | null, senderId?: string | null, senderUsername?: string | null, persist?: boolean | null): ChannelMessageSendAck;
        /** Changes what was said. */
        channelMessageUpdate(channelId: string, messageId: string, content?: { [key: string]: any } | null, senderId?: string | null, senderUsername?: string | null, persist?: boolean | null): ChannelMessageSendAck;
        /** A page of the history of a channel. */
        channelMessagesList(channelId: string, limit?: number | null, forward?: boolean | null, cursor?: string | null): ChannelMessageList;
        /** Unix seconds; Go's zero time where there is none. */
        cronNext(expression: string, timestamp: number): number;
        /** Unix seconds; Go's zero time where there is none. */
        cronPrev(expression: string, timestamp: number): number;
        /**
         * The time in Unix seconds. In Lua the properties may be left out and the event has no
         * time unless it is given; in JavaScript the time is now.
         */
        event(name: string, properties?: { [key: string]: string } | null, timestamp?: number | null, external?: boolean | null): void;
        /** The contents of a file in the runtime path. */
        fileRead(relPath: string): string;
        friendMetadataUpdate(userId: string, friendUserId: string, metadata: { [key: string]: any }): void;
        /**
         * As the user's own invitations or acceptances. JavaScript must give metadata, as in the
         * reference.
         */
        friendsAdd(userId: string, username: string, userIds?: string[] | null, usernames?: string[] | null, metadata?: { [key: string]: any } | null): void;
        friendsBlock(userId: string, username: string, userIds?: string[] | null, usernames?: string[] | null): void;
        friendsDelete(userId: string, username: string, userIds?: string[] | null, usernames?: string[] | null): void;
        friendsList(userId: string, limit?: number | null, state?: number | null, cursor?: string | null): FriendList;
        friendsOfFriendsList(userId: string, limit?: number | null, cursor?: string | null): FriendsOfFriendsList;
        /** Makes a group. */
        groupCreate(userId: string, name: string, creatorId?: string | null, langTag?: string | null, description?: string | null, avatarUrl?: string | null, open?: boolean | null, metadata?: { [key: string]: any } | null, maxCount?: number | null): Group;
        /** Deletes a group, if there is one. */
        groupDelete(groupId: string): void;
        /**
         * Changes what is given of a group. An empty text unsets a field in JavaScript and
         * leaves it elsewhere, as in the reference.
         */
        groupUpdate(groupId: string, userId?: string | null, name?: string | null, creatorId?: string | null, langTag?: string | null, description?: string | null, avatarUrl?: string | null, open?: boolean | null, metadata?: { [key: string]: any } | null, maxCount?: number | null): void;
        /** Lets a user join an open group, or ask to join a closed one. */
        groupUserJoin(groupId: string, userId: string, username: string): void;
        /** Lets a user leave a group. */
        groupUserLeave(groupId: string, userId: string, username: string): void;
        /** Takes users into a group. */
        groupUsersAdd(groupId: string, userIds: string[], callerId?: string | null): void;
        /** Puts users out of a group for good. */
        groupUsersBan(groupId: string, userIds: string[], callerId?: string | null): void;
        /** Lowers users by one rank. */
        groupUsersDemote(groupId: string, userIds: string[], callerId?: string | null): void;
        /** Puts users out of a group, refuses who asked to join, or lifts a ban. */
        groupUsersKick(groupId: string, userIds: string[], callerId?: string | null): void;
        /** A page of the users of a group. */
        groupUsersList(groupId: string, limit?: number | null, state?: number | null, cursor?: string | null): GroupUserList;
        /** Raises users by one rank. */
        groupUsersPromote(groupId: string, userIds: string[], callerId?: string | null): void;
        /** The groups with these ids. */
        groupsGetId(groupIds: string[]): Group[];
        /** So many groups by chance. */
        groupsGetRandom(count?: number | null): Group[];
        /** A page of the groups that fit. */
        groupsList(name?: string | null, langTag?: string | null, open?: boolean | null, edgeCount?: number | null, limit?: number | null, cursor?: string | null): GroupList;
        /** Raw bytes. */
        hmacSha256Hash(input: Bytes, key: Bytes): ArrayBuffer;
        httpRequest(url: string, method: string, headers?: { [key: string]: string } | null, body?: Bytes | null, timeoutMs?: number | null, insecure?: boolean | null): HttpResponse;
        jwtGenerate(signingMethod: string, signingKey: string, claims: { [key: string]: any }): string;
        /** One that is there already stays as it is. */
        leaderboardCreate(leaderboardId: string, authoritative?: boolean | null, sortOrder?: string | null, operator?: string | null, resetSchedule?: string | null, metadata?: any, enableRanks?: boolean | null): void;
        /** With all of its records. One that is not there is no error. */
        leaderboardDelete(id: string): void;
        /** In the order of their creation. */
        leaderboardList(limit?: number | null, cursor?: string | null): LeaderboardList;
        /** Ranks are not told any more, and the memory they took is given back. */
        leaderboardRanksDisable(id: string): void;
        /** One that is not there is no error. */
        leaderboardRecordDelete(id: string, ownerId: string): void;
        leaderboardRecordWrite(id: string, ownerId: string, username?: string | null, score?: number | null, subscore?: number | null, metadata?: any, overrideOperator?: string | null): LeaderboardRecord;
        /** The records around an owner's. */
        leaderboardRecordsHaystack(id: string, ownerId: string, limit?: number | null, cursor?: string | null, overrideExpiry?: number | null): LeaderboardRecordList;
        /** A page from the best on, and the records of some owners. */
        leaderboardRecordsList(id: string, ownerIds?: string[] | null, limit?: number | null, cursor?: string | null, overrideExpiry?: number | null): LeaderboardRecordList;
        /**
         * A cursor for `leaderboard_records_list` that begins at a rank. Ranks must be told of
         * the leaderboard.
         */
        leaderboardRecordsListCursorFromRank(leaderboardId: string, rank: number, overrideExpiry?: number | null): string;
        /** Those that are there. */
        leaderboardsGetId(leaderboardIds: string[]): Leaderboard[];
        /** Adds or replaces the user's Apple id. */
        linkApple(userId: string, token: string): void;
        linkCustom(userId: string, customId: string): void;
        linkDevice(userId: string, deviceId: string): void;
        linkEmail(userId: string, email: string, password: string): void;
        /** Adds or replaces the user's Facebook id. */
        linkFacebook(userId: string, username: string | null | undefined, token: string, importFriends?: boolean | null): void;
        /** Adds or replaces the user's id of a Facebook Instant Game. */
        linkFacebookInstantGame(userId: string, playerInfo: string): void;
        /** Adds or replaces the user's Game Center id. */
        linkGameCenter(userId: string, playerId: string, bundleId: string, timestamp: number, salt: string, signature: string, publicKeyUrl: string): void;
        /** Adds or replaces the user's Google id. */
        linkGoogle(userId: string, token: string): void;
        /** Adds or replaces the user's Steam id. */
        linkSteam(userId: string, username: string, token: string, importValue?: boolean | null): void;
        localcacheClear(): void;
        localcacheDelete(key: string): void;
        localcacheGet(key: string, defaultValue?: any): any;
        /** For ever where `ttl_sec` is 0. */
        localcachePut(key: string, value?: any, ttlSec?: number | null): void;
        /** Begins a match, and gives its id. */
        matchCreate(module: string, params?: { [key: string]: any } | null): string;
        /** The match with this id, or nothing. */
        matchGet(id: string): Match | null;
        /** Matches that run. */
        matchList(limit?: number | null, authoritative?: boolean | null, label?: string | null, minSize?: number | null, maxSize?: number | null, query?: string | null): Match[];
        /** Asks a match's handler something, and gives its answer. */
        matchSignal(id: string, data?: string | null): string;
        /** Hexadecimal. */
        md5Hash(input: Bytes): string;
        metricsCounterAdd(name: string, tags: { [key: string]: string } | null | undefined, delta: number): void;
        metricsGaugeSet(name: string, tags: { [key: string]: string } | null | undefined, value: number): void;
        /** A time in nanoseconds; a negative one is none. */
        metricsTimerRecord(name: string, tags: { [key: string]: string } | null | undefined, value: number): void;
        /** Changes accounts, storage objects and wallets, all of them or none. */
        multiUpdate(accountUpdates?: UserUpdateAccount[] | null, storageWrites?: StorageWriteRequest[] | null, storageDeletes?: StorageDeleteRequest[] | null, walletUpdates?: WalletUpdate[] | null, updateLedger?: boolean | null): MultiUpdateResult;
        /** Sends a notification to one user. */
        notificationSend(userId: string, subject: string, content: { [key: string]: any }, code: number, sender?: string | null, persistent?: boolean | null): void;
        /** Sends a notification to everybody. Persistent ones are written in the background. */
        notificationSendAll(subject: string, content: { [key: string]: any }, code: number, persistent?: boolean | null): void;
        /** Deletes notifications of users. */
        notificationsDelete(notifications: NotificationDeleteRequest[]): void;
        /** Deletes notifications by their ids. */
        notificationsDeleteId(notificationIds: string[], userId?: string | null): void;
        /** The notifications with these ids. */
        notificationsGetId(notificationIds: string[], userId?: string | null): Notification[];
        /** A page of a user's notifications, the oldest first. */
        notificationsList(userId: string, limit?: number | null, cursor?: string | null): NotificationsList;
        /** Sends notifications, all of them or none. */
        notificationsSend(notifications: NotificationRequest[]): void;
        /** Changes notifications, all of them or none. */
        notificationsUpdate(updates: NotificationUpdate[]): void;
        /** A page of parties. */
        partyList(limit?: number | null, open?: boolean | null, showHidden?: boolean | null, query?: string | null, cursor?: string | null): PartyList;
        /** A stored purchase. */
        purchaseGetByTransactionId(transactionId: string): ValidatedPurchase;
        /** Validates a purchase of the App Store. */
        purchaseValidateApple(userId: string, receipt: string, persist?: boolean | null, passwordOverride?: string | null): ValidatePurchaseResponse;
        /** Validates a purchase of a Facebook Instant Game. */
        purchaseValidateFacebookInstant(userId: string, signedRequest: string, persist?: boolean | null): ValidatePurchaseResponse;
        /** Validates a purchase of Google Play. */
        purchaseValidateGoogle(userId: string, receipt: string, persist?: boolean | null, clientEmailOverride?: string | null, privateKeyOverride?: string | null): ValidatePurchaseResponse;
        /**
         * Validates a purchase of Huawei's AppGallery. In JavaScript the receipt comes before
         * the signature.
         */
        purchaseValidateHuawei(userId: string, receipt: string, signature: string, persist?: boolean | null): ValidatePurchaseResponse;
        /** Validates a purchase of Samsung's Galaxy Store. */
        purchaseValidateSamsung(userId: string, purchaseId: string, persist?: boolean | null): ValidatePurchaseResponse;
        /** A page of the purchases of a user, or of all. */
        purchasesList(userId?: string | null, limit?: number | null, cursor?: string | null): ValidatedPurchaseList;
        /** A PKCS #1 v1.5 signature by a PEM key of form PKCS #1. */
        rsaSha256Hash(input: Bytes, key: string): string;
        /** 1 to 1,000 bytes. */
        secureRandomBytes(count: number): ArrayBuffer;
        /** Closes a socket. A session that has ended is no error. */
        sessionDisconnect(sessionId: string, reason?: number | null): void;
        /**
         * Ends the sessions of the tokens given, or all of the user's if none is, with their
         * sockets.
         */
        sessionLogout(userId: string, token?: string | null, refreshToken?: string | null): void;
        /** Hexadecimal. */
        sha256Hash(input: Bytes): string;
        /** How many rows the statement touched. */
        sqlExec(query: string, parameters?: any[] | null): SqlExecResult;
        /** The rows, each a map from column to value. */
        sqlQuery(query: string, parameters?: any[] | null): { [key: string]: any }[];
        /** Lets a session hear of the status of users. A session that has ended is no error. */
        statusFollow(sessionId: string, userIds: string[]): void;
        /**
         * Lets a session hear of the status of users no longer, of its own neither. A session
         * that has ended is no error.
         */
        statusUnfollow(sessionId: string, userIds: string[]): void;
        storageDelete(objectIds: StorageDeleteRequest[]): void;
        /**
         * A page of the objects that an index finds. Lua must give an order, which may be empty,
         * as in the reference.
         */
        storageIndexList(index: string, query: string, limit?: number | null, order?: string[] | null, callerId?: string | null, cursor?: string | null): StorageObjectList;
        /**
         * A page of a collection, of all owners or of one, by read permission, key and owner.
         * With `caller_id` only what that user may read.
         */
        storageList(userId?: string | null, collection?: string | null, limit?: number | null, cursor?: string | null, callerId?: string | null): StorageObjectList;
        /**
         * In JavaScript collection and key may be left out, which finds nothing, as in the
         * reference.
         */
        storageRead(objectIds: StorageReadRequest[]): StorageObject[];
        storageWrite(objects: StorageWriteRequest[]): StorageWriteAck[];
        /**
         * Reads objects, has `update_fn` make writes of them, and writes those. Where a version
         * is not met, all of it is done again.
         */
        storageWriteRetry(objects: StorageReadRequest[], updateFn: (given: StorageObject[]) => StorageWriteRequest[], maxRetries: number): StorageWriteAck[];
        /** Ends all presences on a stream. Nobody is told. A party ends with it. */
        streamClose(stream: Stream): void;
        /** How many are present on a stream, the hidden ones too. */
        streamCount(stream: Stream): number;
        /** Sends data to all on a stream, or to some sessions in its name. */
        streamSend(stream: Stream, data: string, presences?: PresenceOfSession[] | null, reliable?: boolean | null): void;
        /** Sends any message of the protocol to all on a stream, or to some sessions. */
        streamSendRaw(stream: Stream, envelope: { [key: string]: any }, presences?: PresenceOfSession[] | null, reliable?: boolean | null): void;
        /** What a presence has; nothing where it is not there. */
        streamUserGet(userId: string, sessionId: string, stream: Stream): StreamPresenceMeta | null;
        /**
         * Makes a session present on a stream; whether it was not before. A presence that is
         * there stays as it is.
         */
        streamUserJoin(userId: string, sessionId: string, stream: Stream, hidden?: boolean | null, persistence?: boolean | null, status?: string | null): boolean;
        /** Ends a presence, if it is there. */
        streamUserKick(presences: PresenceToKick, stream: Stream): void;
        /** Ends a presence, if it is there. */
        streamUserLeave(userId: string, sessionId: string, stream: Stream): void;
        /** Who is present on a stream. */
        streamUserList(stream: Stream, includeHidden?: boolean | null, includeNotHidden?: boolean | null): StreamPresence[];
        /** Changes what a presence has, or makes a session present. */
        streamUserUpdate(userId: string, sessionId: string, stream: Stream, hidden?: boolean | null, persistence?: boolean | null, status?: string | null): void;
        /** Text as its UTF-8 bytes. */
        stringToBinary(str: string): ArrayBuffer;
        /** A user's subscription to a product. */
        subscriptionGetByProductId(userId: string, productId: string): ValidatedSubscription;
        /** Validates a subscription of the App Store. */
        subscriptionValidateApple(userId: string, receipt: string, persist?: boolean | null, passwordOverride?: string | null): ValidateSubscriptionResponse;
        /** Validates a subscription of Google Play. */
        subscriptionValidateGoogle(userId: string, receipt: string, persist?: boolean | null, clientEmailOverride?: string | null, privateKeyOverride?: string | null): ValidateSubscriptionResponse;
        /** A page of the subscriptions of a user, or of all. */
        subscriptionsList(userId?: string | null, limit?: number | null, cursor?: string | null): ValidatedSubscriptionList;
        /** How many scores more an owner with a record may send in this period. */
        tournamentAddAttempt(id: string, ownerId: string, count: number): void;
        /** One that is there already stays as it is. */
        tournamentCreate(id: string, authoritative?: boolean | null, sortOrder?: string | null, operator?: string | null, duration?: number | null, resetSchedule?: string | null, metadata?: any, title?: string | null, description?: string | null, category?: number | null, startTime?: number | null, endTime?: number | null, maxSize?: number | null, maxNumScore?: number | null, joinRequired?: boolean | null, enableRanks?: boolean | null): void;
        /** With all of its records. One that is not there is no error. */
        tournamentDelete(id: string): void;
        /** Does nothing where one need not join. */
        tournamentJoin(id: string, userId: string, username: string): void;
        /**
         * Those that begin at `start_time` or later and end at `end_time` or before; without it
         * those that have not ended, for 0 those that never end.
         */
        tournamentList(categoryStart?: number | null, categoryEnd?: number | null, startTime?: number | null, endTime?: number | null, limit?: number | null, cursor?: string | null): TournamentList;
        /** Ranks are not told any more. In Lua it takes a leaderboard, as in the reference. */
        tournamentsRanksDisable(id: string): void;
        /** One that is not there is no error. */
        tournamentRecordDelete(id: string, ownerId: string): void;
        tournamentRecordWrite(id: string, ownerId: string, username?: string | null, score?: number | null, subscore?: number | null, metadata?: any, overrideOperator?: string | null): LeaderboardRecord;
        /** The records around an owner's. */
        tournamentRecordsHaystack(id: string, ownerId: string, limit?: number | null, cursor?: string | null, expiry?: number | null): LeaderboardRecordList;
        /** A page from the best on, and the records of some owners. */
        tournamentRecordsList(tournamentId: string, ownerIds?: string[] | null, limit?: number | null, cursor?: string | null, overrideExpiry?: number | null): LeaderboardRecordList;
        /** Those that are there. `join_required` is not told here, as in the reference. */
        tournamentsGetId(tournamentIds: string[]): Tournament[];
        /** Removes the user's Apple id. */
        unlinkApple(userId: string, token?: string | null): void;
        unlinkCustom(userId: string, customId?: string | null): void;
        unlinkDevice(userId: string, deviceId: string): void;
        unlinkEmail(userId: string, email?: string | null): void;
        /** Removes the user's Facebook id. */
        unlinkFacebook(userId: string, token?: string | null): void;
        /** Removes the user's id of a Facebook Instant Game. */
        unlinkFacebookInstantGame(userId: string, playerInfo?: string | null): void;
        /**
         * Removes the user's Game Center id; whosever it is, where one of the others is not
         * given.
         */
        unlinkGameCenter(userId: string, playerId?: string | null, bundleId?: string | null, timestamp?: number | null, salt?: string | null, signature?: string | null, publicKeyUrl?: string | null): void;
        /** Removes the user's Google id. */
        unlinkGoogle(userId: string, token?: string | null): void;
        /** Removes the user's Steam id. */
        unlinkSteam(userId: string, token?: string | null): void;
        /** A page of the groups of a user. */
        userGroupsList(userId: string, limit?: number | null, state?: number | null, cursor?: string | null): UserGroupList;
        usersBanId(userIds: string[]): void;
        /**
         * The edges of a user to these others. An empty list is refused in Lua, as in the
         * reference.
         */
        usersGetFriendStatus(userId: string, userIds: string[]): Friend[];
        /** An empty list is refused, as in the reference. */
        usersGetId(userIds?: string[] | null, facebookIds?: string[] | null): User[];
        usersGetRandom(count?: number | null): User[];
        /** An empty list gives one in Lua and is refused in JavaScript, as in the reference. */
        usersGetUsername(usernames: string[]): User[];
        usersUnbanId(userIds: string[]): void;
        uuidv4(): string;
        /** A page of the changes of a user's wallet, the latest first. */
        walletLedgerList(userId: string, limit?: number | null, cursor?: string | null): WalletLedgerList;
        /** Adds to what the ledger knows of a change. */
        walletLedgerUpdate(itemId: string, metadata: { [key: string]: any }): WalletLedgerResult;
        /** Changes a user's wallet. */
        walletUpdate(userId: string, changeset: { [key: string]: number }, metadata?: { [key: string]: any } | null, updateLedger?: boolean | null): UpdatedOne;
        /** Changes wallets, all of them or none. */
        walletsUpdate(updates: WalletUpdate[], updateLedger?: boolean | null): WalletUpdateResult[];
    }

    /** Registers functions; `InitModule` is given it. */
    interface Initializer {
        registerRpc(id: string, fn: RpcFunction): void;
        registerRtBefore<T extends Envelope>(id: RtHookMessage, fn: RtBeforeHookFunction<T>): void;
        registerRtAfter<T extends Envelope>(id: RtHookMessage, fn: RtAfterHookFunction<T>): void;
        registerStorageIndexFilter(indexName: string, fn: StorageIndexFilterFunction): void;
        registerMatchmakerMatched(fn: MatchmakerMatchedFunction): void;
        registerTournamentEnd(fn: TournamentEndFunction): void;
        registerTournamentReset(fn: TournamentResetFunction): void;
        registerLeaderboardReset(fn: LeaderboardResetFunction): void;
        registerPurchaseNotificationApple(fn: PurchaseNotificationAppleFunction): void;
        registerSubscriptionNotificationApple(fn: SubscriptionNotificationAppleFunction): void;
        registerPurchaseNotificationGoogle(fn: PurchaseNotificationGoogleFunction): void;
        registerSubscriptionNotificationGoogle(fn: SubscriptionNotificationGoogleFunction): void;
        registerShutdown(fn: ShutdownFunction): void;
        registerEvent(fn: EventFunction): void;
        registerEventSessionStart(fn: EventSessionStartFunction): void;
        registerEventSessionEnd(fn: EventSessionEndFunction): void;
        registerMatch<State = MatchState>(name: string, handlers: MatchHandler<State>): void;
        registerStorageIndex(indexName: string, collection: string, key: string | null | undefined, fields: string[], sortableFields: string[] | null | undefined, maxEntries: number, indexOnly?: boolean | null): void;
        getConfig(): Config;
        registerBeforeAddFriends(fn: BeforeHookFunction<AddFriendsRequest>): void;
        registerAfterAddFriends(fn: AfterHookFunction<void, AddFriendsRequest>): void;
        registerBeforeAddGroupUsers(fn: BeforeHookFunction<AddGroupUsersRequest>): void;
        registerAfterAddGroupUsers(fn: AfterHookFunction<void, AddGroupUsersRequest>): void;
        registerBeforeAuthenticateApple(fn: BeforeHookFunction<AuthenticateAppleRequest>): void;
        registerAfterAuthenticateApple(fn: AfterHookFunction<Session, AuthenticateAppleRequest>): void;
        registerBeforeAuthenticateCustom(fn: BeforeHookFunction<AuthenticateCustomRequest>): void;
        registerAfterAuthenticateCustom(fn: AfterHookFunction<Session, AuthenticateCustomRequest>): void;
        registerBeforeAuthenticateDevice(fn: BeforeHookFunction<AuthenticateDeviceRequest>): void;
        registerAfterAuthenticateDevice(fn: AfterHookFunction<Session, AuthenticateDeviceRequest>): void;
        registerBeforeAuthenticateEmail(fn: BeforeHookFunction<AuthenticateEmailRequest>): void;
        registerAfterAuthenticateEmail(fn: AfterHookFunction<Session, AuthenticateEmailRequest>): void;
        registerBeforeAuthenticateFacebook(fn: BeforeHookFunction<AuthenticateFacebookRequest>): void;
        registerAfterAuthenticateFacebook(fn: AfterHookFunction<Session, AuthenticateFacebookRequest>): void;
        registerBeforeAuthenticateFacebookInstantGame(fn: BeforeHookFunction<AuthenticateFacebookInstantGameRequest>): void;
        registerAfterAuthenticateFacebookInstantGame(fn: AfterHookFunction<Session, AuthenticateFacebookInstantGameRequest>): void;
        registerBeforeAuthenticateGameCenter(fn: BeforeHookFunction<AuthenticateGameCenterRequest>): void;
        registerAfterAuthenticateGameCenter(fn: AfterHookFunction<Session, AuthenticateGameCenterRequest>): void;
        registerBeforeAuthenticateGoogle(fn: BeforeHookFunction<AuthenticateGoogleRequest>): void;
        registerAfterAuthenticateGoogle(fn: AfterHookFunction<Session, AuthenticateGoogleRequest>): void;
        registerBeforeAuthenticateSteam(fn: BeforeHookFunction<AuthenticateSteamRequest>): void;
        registerAfterAuthenticateSteam(fn: AfterHookFunction<Session, AuthenticateSteamRequest>): void;
        registerBeforeBanGroupUsers(fn: BeforeHookFunction<BanGroupUsersRequest>): void;
        registerAfterBanGroupUsers(fn: AfterHookFunction<void, BanGroupUsersRequest>): void;
        registerBeforeBlockFriends(fn: BeforeHookFunction<BlockFriendsRequest>): void;
        registerAfterBlockFriends(fn: AfterHookFunction<void, BlockFriendsRequest>): void;
        registerBeforeCreateGroup(fn: BeforeHookFunction<CreateGroupRequest>): void;
        registerAfterCreateGroup(fn: AfterHookFunction<ApiGroup, CreateGroupRequest>): void;
        registerBeforeDeleteAccount(fn: BeforeHookFunction<void>): void;
        registerAfterDeleteAccount(fn: AfterHookFunction<void, void>): void;
        registerBeforeDeleteFriends(fn: BeforeHookFunction<DeleteFriendsRequest>): void;
        registerAfterDeleteFriends(fn: AfterHookFunction<void, DeleteFriendsRequest>): void;
        registerBeforeDeleteGroup(fn: BeforeHookFunction<DeleteGroupRequest>): void;
        registerAfterDeleteGroup(fn: AfterHookFunction<void, DeleteGroupRequest>): void;
        registerBeforeDeleteLeaderboardRecord(fn: BeforeHookFunction<DeleteLeaderboardRecordRequest>): void;
        registerAfterDeleteLeaderboardRecord(fn: AfterHookFunction<void, DeleteLeaderboardRecordRequest>): void;
        registerBeforeDeleteNotifications(fn: BeforeHookFunction<DeleteNotificationsRequest>): void;
        registerAfterDeleteNotifications(fn: AfterHookFunction<void, DeleteNotificationsRequest>): void;
        registerBeforeDeleteStorageObjects(fn: BeforeHookFunction<DeleteStorageObjectsRequest>): void;
        registerAfterDeleteStorageObjects(fn: AfterHookFunction<void, DeleteStorageObjectsRequest>): void;
        registerBeforeDeleteTournamentRecord(fn: BeforeHookFunction<DeleteTournamentRecordRequest>): void;
        registerAfterDeleteTournamentRecord(fn: AfterHookFunction<void, DeleteTournamentRecordRequest>): void;
        registerBeforeDemoteGroupUsers(fn: BeforeHookFunction<DemoteGroupUsersRequest>): void;
        registerAfterDemoteGroupUsers(fn: AfterHookFunction<void, DemoteGroupUsersRequest>): void;
        registerBeforeEvent(fn: BeforeHookFunction<Event>): void;
        registerAfterEvent(fn: AfterHookFunction<void, Event>): void;
        registerBeforeGetAccount(fn: BeforeHookFunction<void>): void;
        registerAfterGetAccount(fn: AfterHookFunction<ApiAccount, void>): void;
        registerBeforeGetMatchmakerStats(fn: BeforeHookFunction<void>): void;
        registerAfterGetMatchmakerStats(fn: AfterHookFunction<MatchmakerStats, void>): void;
        registerBeforeGetSubscription(fn: BeforeHookFunction<GetSubscriptionRequest>): void;
        registerAfterGetSubscription(fn: AfterHookFunction<ApiValidatedSubscription, GetSubscriptionRequest>): void;
        registerBeforeGetUsers(fn: BeforeHookFunction<GetUsersRequest>): void;
        registerAfterGetUsers(fn: AfterHookFunction<Users, GetUsersRequest>): void;
        registerBeforeImportFacebookFriends(fn: BeforeHookFunction<ImportFacebookFriendsRequest>): void;
        registerAfterImportFacebookFriends(fn: AfterHookFunction<void, ImportFacebookFriendsRequest>): void;
        registerBeforeImportSteamFriends(fn: BeforeHookFunction<ImportSteamFriendsRequest>): void;
        registerAfterImportSteamFriends(fn: AfterHookFunction<void, ImportSteamFriendsRequest>): void;
        registerBeforeJoinGroup(fn: BeforeHookFunction<JoinGroupRequest>): void;
        registerAfterJoinGroup(fn: AfterHookFunction<void, JoinGroupRequest>): void;
        registerBeforeJoinTournament(fn: BeforeHookFunction<JoinTournamentRequest>): void;
        registerAfterJoinTournament(fn: AfterHookFunction<void, JoinTournamentRequest>): void;
        registerBeforeKickGroupUsers(fn: BeforeHookFunction<KickGroupUsersRequest>): void;
        registerAfterKickGroupUsers(fn: AfterHookFunction<void, KickGroupUsersRequest>): void;
        registerBeforeLeaveGroup(fn: BeforeHookFunction<LeaveGroupRequest>): void;
        registerAfterLeaveGroup(fn: AfterHookFunction<void, LeaveGroupRequest>): void;
        registerBeforeLinkApple(fn: BeforeHookFunction<AccountApple>): void;
        registerAfterLinkApple(fn: AfterHookFunction<void, AccountApple>): void;
        registerBeforeLinkCustom(fn: BeforeHookFunction<AccountCustom>): void;
        registerAfterLinkCustom(fn: AfterHookFunction<void, AccountCustom>): void;
        registerBeforeLinkDevice(fn: BeforeHookFunction<AccountDevice>): void;
        registerAfterLinkDevice(fn: AfterHookFunction<void, AccountDevice>): void;
        registerBeforeLinkEmail(fn: BeforeHookFunction<AccountEmail>): void;
        registerAfterLinkEmail(fn: AfterHookFunction<void, AccountEmail>): void;
        registerBeforeLinkFacebook(fn: BeforeHookFunction<LinkFacebookRequest>): void;
        registerAfterLinkFacebook(fn: AfterHookFunction<void, LinkFacebookRequest>): void;
        registerBeforeLinkFacebookInstantGame(fn: BeforeHookFunction<AccountFacebookInstantGame>): void;
        registerAfterLinkFacebookInstantGame(fn: AfterHookFunction<void, AccountFacebookInstantGame>): void;
        registerBeforeLinkGameCenter(fn: BeforeHookFunction<AccountGameCenter>): void;
        registerAfterLinkGameCenter(fn: AfterHookFunction<void, AccountGameCenter>): void;
        registerBeforeLinkGoogle(fn: BeforeHookFunction<AccountGoogle>): void;
        registerAfterLinkGoogle(fn: AfterHookFunction<void, AccountGoogle>): void;
        registerBeforeLinkSteam(fn: BeforeHookFunction<LinkSteamRequest>): void;
        registerAfterLinkSteam(fn: AfterHookFunction<void, LinkSteamRequest>): void;
        registerBeforeListChannelMessages(fn: BeforeHookFunction<ListChannelMessagesRequest>): void;
        registerAfterListChannelMessages(fn: AfterHookFunction<ApiChannelMessageList, ListChannelMessagesRequest>): void;
        registerBeforeListFriends(fn: BeforeHookFunction<ListFriendsRequest>): void;
        registerAfterListFriends(fn: AfterHookFunction<ApiFriendList, ListFriendsRequest>): void;
        registerBeforeListFriendsOfFriends(fn: BeforeHookFunction<ListFriendsOfFriendsRequest>): void;
        registerAfterListFriendsOfFriends(fn: AfterHookFunction<ApiFriendsOfFriendsList, ListFriendsOfFriendsRequest>): void;
        registerBeforeListGroupUsers(fn: BeforeHookFunction<ListGroupUsersRequest>): void;
        registerAfterListGroupUsers(fn: AfterHookFunction<ApiGroupUserList, ListGroupUsersRequest>): void;
        registerBeforeListGroups(fn: BeforeHookFunction<ListGroupsRequest>): void;
        registerAfterListGroups(fn: AfterHookFunction<ApiGroupList, ListGroupsRequest>): void;
        registerBeforeListLeaderboardRecords(fn: BeforeHookFunction<ListLeaderboardRecordsRequest>): void;
        registerAfterListLeaderboardRecords(fn: AfterHookFunction<ApiLeaderboardRecordList, ListLeaderboardRecordsRequest>): void;
        registerBeforeListLeaderboardRecordsAroundOwner(fn: BeforeHookFunction<ListLeaderboardRecordsAroundOwnerRequest>): void;
        registerAfterListLeaderboardRecordsAroundOwner(fn: AfterHookFunction<ApiLeaderboardRecordList, ListLeaderboardRecordsAroundOwnerRequest>): void;
        registerBeforeListMatches(fn: BeforeHookFunction<ListMatchesRequest>): void;
        registerAfterListMatches(fn: AfterHookFunction<MatchList, ListMatchesRequest>): void;
        registerBeforeListNotifications(fn: BeforeHookFunction<ListNotificationsRequest>): void;
        registerAfterListNotifications(fn: AfterHookFunction<NotificationList, ListNotificationsRequest>): void;
        registerBeforeListParties(fn: BeforeHookFunction<ListPartiesRequest>): void;
        registerAfterListParties(fn: AfterHookFunction<ApiPartyList, ListPartiesRequest>): void;
        registerBeforeListStorageObjects(fn: BeforeHookFunction<ListStorageObjectsRequest>): void;
        registerAfterListStorageObjects(fn: AfterHookFunction<ApiStorageObjectList, ListStorageObjectsRequest>): void;
        registerBeforeListSubscriptions(fn: BeforeHookFunction<ListSubscriptionsRequest>): void;
        registerAfterListSubscriptions(fn: AfterHookFunction<SubscriptionList, ListSubscriptionsRequest>): void;
        registerBeforeListTournamentRecords(fn: BeforeHookFunction<ListTournamentRecordsRequest>): void;
        registerAfterListTournamentRecords(fn: AfterHookFunction<TournamentRecordList, ListTournamentRecordsRequest>): void;
        registerBeforeListTournamentRecordsAroundOwner(fn: BeforeHookFunction<ListTournamentRecordsAroundOwnerRequest>): void;
        registerAfterListTournamentRecordsAroundOwner(fn: AfterHookFunction<TournamentRecordList, ListTournamentRecordsAroundOwnerRequest>): void;
        registerBeforeListTournaments(fn: BeforeHookFunction<ListTournamentsRequest>): void;
        registerAfterListTournaments(fn: AfterHookFunction<ApiTournamentList, ListTournamentsRequest>): void;
        registerBeforeListUserGroups(fn: BeforeHookFunction<ListUserGroupsRequest>): void;
        registerAfterListUserGroups(fn: AfterHookFunction<ApiUserGroupList, ListUserGroupsRequest>): void;
        registerBeforePromoteGroupUsers(fn: BeforeHookFunction<PromoteGroupUsersRequest>): void;
        registerAfterPromoteGroupUsers(fn: AfterHookFunction<void, PromoteGroupUsersRequest>): void;
        registerBeforeReadStorageObjects(fn: BeforeHookFunction<ReadStorageObjectsRequest>): void;
        registerAfterReadStorageObjects(fn: AfterHookFunction<StorageObjects, ReadStorageObjectsRequest>): void;
        registerBeforeSessionLogout(fn: BeforeHookFunction<SessionLogoutRequest>): void;
        registerAfterSessionLogout(fn: AfterHookFunction<void, SessionLogoutRequest>): void;
        registerBeforeSessionRefresh(fn: BeforeHookFunction<SessionRefreshRequest>): void;
        registerAfterSessionRefresh(fn: AfterHookFunction<Session, SessionRefreshRequest>): void;
        registerBeforeUnlinkApple(fn: BeforeHookFunction<AccountApple>): void;
        registerAfterUnlinkApple(fn: AfterHookFunction<void, AccountApple>): void;
        registerBeforeUnlinkCustom(fn: BeforeHookFunction<AccountCustom>): void;
        registerAfterUnlinkCustom(fn: AfterHookFunction<void, AccountCustom>): void;
        registerBeforeUnlinkDevice(fn: BeforeHookFunction<AccountDevice>): void;
        registerAfterUnlinkDevice(fn: AfterHookFunction<void, AccountDevice>): void;
        registerBeforeUnlinkEmail(fn: BeforeHookFunction<AccountEmail>): void;
        registerAfterUnlinkEmail(fn: AfterHookFunction<void, AccountEmail>): void;
        registerBeforeUnlinkFacebook(fn: BeforeHookFunction<AccountFacebook>): void;
        registerAfterUnlinkFacebook(fn: AfterHookFunction<void, AccountFacebook>): void;
        registerBeforeUnlinkFacebookInstantGame(fn: BeforeHookFunction<AccountFacebookInstantGame>): void;
        registerAfterUnlinkFacebookInstantGame(fn: AfterHookFunction<void, AccountFacebookInstantGame>): void;
        registerBeforeUnlinkGameCenter(fn: BeforeHookFunction<AccountGameCenter>): void;
        registerAfterUnlinkGameCenter(fn: AfterHookFunction<void, AccountGameCenter>): void;
        registerBeforeUnlinkGoogle(fn: BeforeHookFunction<AccountGoogle>): void;
        registerAfterUnlinkGoogle(fn: AfterHookFunction<void, AccountGoogle>): void;
        registerBeforeUnlinkSteam(fn: BeforeHookFunction<AccountSteam>): void;
        registerAfterUnlinkSteam(fn: AfterHookFunction<void, AccountSteam>): void;
        registerBeforeUpdateAccount(fn: BeforeHookFunction<UpdateAccountRequest>): void;
        registerAfterUpdateAccount(fn: AfterHookFunction<void, UpdateAccountRequest>): void;
        registerBeforeUpdateGroup(fn: BeforeHookFunction<UpdateGroupRequest>): void;
        registerAfterUpdateGroup(fn: AfterHookFunction<void, UpdateGroupRequest>): void;
        registerBeforeValidatePurchaseApple(fn: BeforeHookFunction<ValidatePurchaseAppleRequest>): void;
        registerAfterValidatePurchaseApple(fn: AfterHookFunction<ApiValidatePurchaseResponse, ValidatePurchaseAppleRequest>): void;
        registerBeforeValidatePurchaseFacebookInstant(fn: BeforeHookFunction<ValidatePurchaseFacebookInstantRequest>): void;
        registerAfterValidatePurchaseFacebookInstant(fn: AfterHookFunction<ApiValidatePurchaseResponse, ValidatePurchaseFacebookInstantRequest>): void;
        registerBeforeValidatePurchaseGoogle(fn: BeforeHookFunction<ValidatePurchaseGoogleRequest>): void;
        registerAfterValidatePurchaseGoogle(fn: AfterHookFunction<ApiValidatePurchaseResponse, ValidatePurchaseGoogleRequest>): void;
        registerBeforeValidatePurchaseHuawei(fn: BeforeHookFunction<ValidatePurchaseHuaweiRequest>): void;
        registerAfterValidatePurchaseHuawei(fn: AfterHookFunction<ApiValidatePurchaseResponse, ValidatePurchaseHuaweiRequest>): void;
        registerBeforeValidatePurchaseSamsung(fn: BeforeHookFunction<ValidatePurchaseSamsungRequest>): void;
        registerAfterValidatePurchaseSamsung(fn: AfterHookFunction<ApiValidatePurchaseResponse, ValidatePurchaseSamsungRequest>): void;
        registerBeforeValidateSubscriptionApple(fn: BeforeHookFunction<ValidateSubscriptionAppleRequest>): void;
        registerAfterValidateSubscriptionApple(fn: AfterHookFunction<ApiValidateSubscriptionResponse, ValidateSubscriptionAppleRequest>): void;
        registerBeforeValidateSubscriptionGoogle(fn: BeforeHookFunction<ValidateSubscriptionGoogleRequest>): void;
        registerAfterValidateSubscriptionGoogle(fn: AfterHookFunction<ApiValidateSubscriptionResponse, ValidateSubscriptionGoogleRequest>): void;
        registerBeforeWriteLeaderboardRecord(fn: BeforeHookFunction<WriteLeaderboardRecordRequest>): void;
        registerAfterWriteLeaderboardRecord(fn: AfterHookFunction<ApiLeaderboardRecord, WriteLeaderboardRecordRequest>): void;
        registerBeforeWriteStorageObjects(fn: BeforeHookFunction<WriteStorageObjectsRequest>): void;
        registerAfterWriteStorageObjects(fn: AfterHookFunction<StorageObjectAcks, WriteStorageObjectsRequest>): void;
        registerBeforeWriteTournamentRecord(fn: BeforeHookFunction<WriteTournamentRecordRequest>): void;
        registerAfterWriteTournamentRecord(fn: AfterHookFunction<ApiLeaderboardRecord, WriteTournamentRecordRequest>): void;
    }

    /** The realtime messages that have hooks. */
    type RtHookMessage = 'ChannelJoin' | 'ChannelLeave' | 'ChannelMessageRemove' | 'ChannelMessageSend' | 'ChannelMessageUpdate' | 'MatchCreate' | 'MatchDataSend' | 'MatchJoin' | 'MatchLeave' | 'MatchmakerAdd' | 'MatchmakerRemove' | 'PartyAccept' | 'PartyClose' | 'PartyCreate' | 'PartyDataSend' | 'PartyJoin' | 'PartyJoinRequestList' | 'PartyLeave' | 'PartyMatchmakerAdd' | 'PartyMatchmakerRemove' | 'PartyPromote' | 'PartyRemove' | 'PartyUpdate' | 'Ping' | 'Pong' | 'StatusFollow' | 'StatusUnfollow' | 'StatusUpdate';

    /** An account as modules get it: the user below `user`, in Lua beside it as well. */
    interface Account {
        user: User;
        wallet: { [key: string]: any };
        email?: string;
        customId?: string;
        devices?: {
            id: string;
        }[];
        /** Unix seconds. */
        verifyTime?: number;
        /** When the account was banned, Unix seconds. */
        disableTime?: number;
    }

    /** Message `nakama.api.AccountApple`. */
    interface AccountApple {
        token?: string;
        vars?: { [key: string]: string };
    }

    /** Message `nakama.api.AccountCustom`. */
    interface AccountCustom {
        id?: string;
        vars?: { [key: string]: string };
    }

    /** Message `nakama.api.AccountDevice`. */
    interface AccountDevice {
        id?: string;
        vars?: { [key: string]: string };
    }

    /** Message `nakama.api.AccountEmail`. */
    interface AccountEmail {
        email?: string;
        password?: string;
        vars?: { [key: string]: string };
    }

    /** Message `nakama.api.AccountFacebook`. */
    interface AccountFacebook {
        token?: string;
        vars?: { [key: string]: string };
    }

    /** Message `nakama.api.AccountFacebookInstantGame`. */
    interface AccountFacebookInstantGame {
        signedPlayerInfo?: string;
        vars?: { [key: string]: string };
    }

    /** Message `nakama.api.AccountGameCenter`. */
    interface AccountGameCenter {
        playerId?: string;
        bundleId?: string;
        timestampSeconds?: string;
        salt?: string;
        signature?: string;
        publicKeyUrl?: string;
        vars?: { [key: string]: string };
    }

    /** Message `nakama.api.AccountGoogle`. */
    interface AccountGoogle {
        token?: string;
        vars?: { [key: string]: string };
    }

    /** Message `nakama.api.AccountSteam`. */
    interface AccountSteam {
        token?: string;
        vars?: { [key: string]: string };
    }

    /** Message `nakama.api.AddFriendsRequest`. */
    interface AddFriendsRequest {
        ids?: string[];
        usernames?: string[];
        metadata?: string;
    }

    /** Message `nakama.api.AddGroupUsersRequest`. */
    interface AddGroupUsersRequest {
        groupId?: string;
        userIds?: string[];
    }

    /** Message `nakama.api.Account`. */
    interface ApiAccount {
        user?: ApiUser | null;
        wallet?: string;
        email?: string;
        devices?: AccountDevice[];
        customId?: string;
        verifyTime?: string | null;
        disableTime?: string | null;
    }

    /** Message `nakama.api.ChannelMessage`. */
    interface ApiChannelMessage {
        channelId?: string;
        messageId?: string;
        code?: number | null;
        senderId?: string;
        username?: string;
        content?: string;
        createTime?: string | null;
        updateTime?: string | null;
        persistent?: boolean | null;
        roomName?: string;
        groupId?: string;
        userIdOne?: string;
        userIdTwo?: string;
    }

    /** Message `nakama.api.ChannelMessageList`. */
    interface ApiChannelMessageList {
        messages?: ApiChannelMessage[];
        nextCursor?: string;
        prevCursor?: string;
        cacheableCursor?: string;
    }

    /** Message `nakama.api.Friend`. */
    interface ApiFriend {
        user?: ApiUser | null;
        state?: number | null;
        updateTime?: string | null;
        metadata?: string;
    }

    /** Message `nakama.api.FriendList`. */
    interface ApiFriendList {
        friends?: ApiFriend[];
        cursor?: string;
    }

    /** Message `nakama.api.FriendsOfFriendsList`. */
    interface ApiFriendsOfFriendsList {
        friendsOfFriends?: FriendsOfFriendsListFriendOfFriend[];
        cursor?: string;
    }

    /** Message `nakama.api.Group`. */
    interface ApiGroup {
        id?: string;
        creatorId?: string;
        name?: string;
        description?: string;
        langTag?: string;
        metadata?: string;
        avatarUrl?: string;
        open?: boolean | null;
        edgeCount?: number;
        maxCount?: number;
        createTime?: string | null;
        updateTime?: string | null;
    }

    /** Message `nakama.api.GroupList`. */
    interface ApiGroupList {
        groups?: ApiGroup[];
        cursor?: string;
    }

    /** Message `nakama.api.GroupUserList`. */
    interface ApiGroupUserList {
        groupUsers?: GroupUserListGroupUser[];
        cursor?: string;
    }

    /** Message `nakama.api.LeaderboardRecord`. */
    interface ApiLeaderboardRecord {
        leaderboardId?: string;
        ownerId?: string;
        username?: string | null;
        score?: string;
        subscore?: string;
        numScore?: number;
        metadata?: string;
        createTime?: string | null;
        updateTime?: string | null;
        expiryTime?: string | null;
        rank?: string;
        maxNumScore?: number;
    }

    /** Message `nakama.api.LeaderboardRecordList`. */
    interface ApiLeaderboardRecordList {
        records?: ApiLeaderboardRecord[];
        ownerRecords?: ApiLeaderboardRecord[];
        nextCursor?: string;
        prevCursor?: string;
        rankCount?: string;
    }

    /** Message `nakama.api.Match`. */
    interface ApiMatch {
        matchId?: string;
        authoritative?: boolean;
        label?: string | null;
        size?: number;
        tickRate?: number;
        handlerName?: string;
    }

    /** A notification in a list. The names are so in every language, as in the reference. */
    interface ApiNotification {
        id: string;
        subject: string;
        /** JSON text of an object. */
        content: string;
        code: number;
        /** Who sent it; empty for the system. */
        senderId: string;
        persistent: boolean;
        /** Unix seconds. */
        createTime: number;
    }

    /** Message `nakama.api.Party`. */
    interface ApiParty {
        partyId?: string;
        open?: boolean;
        hidden?: boolean;
        maxSize?: number;
        label?: string;
    }

    /** Message `nakama.api.PartyList`. */
    interface ApiPartyList {
        parties?: ApiParty[];
        cursor?: string;
    }

    /** Message `nakama.api.StorageObject`. */
    interface ApiStorageObject {
        collection?: string;
        key?: string;
        userId?: string;
        value?: string;
        version?: string;
        permissionRead?: number;
        permissionWrite?: number;
        createTime?: string | null;
        updateTime?: string | null;
    }

    /** Message `nakama.api.StorageObjectList`. */
    interface ApiStorageObjectList {
        objects?: ApiStorageObject[];
        cursor?: string;
    }

    /** Message `nakama.api.Tournament`. */
    interface ApiTournament {
        id?: string;
        title?: string;
        description?: string;
        category?: number;
        sortOrder?: number;
        size?: number;
        maxSize?: number;
        maxNumScore?: number;
        canEnter?: boolean;
        endActive?: number;
        nextReset?: number;
        metadata?: string;
        createTime?: string | null;
        startTime?: string | null;
        endTime?: string | null;
        duration?: number;
        startActive?: number;
        prevReset?: number;
        operator?: number;
        authoritative?: boolean;
        joinRequired?: boolean;
    }

    /** Message `nakama.api.TournamentList`. */
    interface ApiTournamentList {
        tournaments?: ApiTournament[];
        cursor?: string;
    }

    /** Message `nakama.api.User`. */
    interface ApiUser {
        id?: string;
        username?: string;
        displayName?: string;
        avatarUrl?: string;
        langTag?: string;
        location?: string;
        timezone?: string;
        metadata?: string;
        facebookId?: string;
        googleId?: string;
        gamecenterId?: string;
        steamId?: string;
        online?: boolean;
        edgeCount?: number;
        createTime?: string | null;
        updateTime?: string | null;
        facebookInstantGameId?: string;
        appleId?: string;
    }

    /** Message `nakama.api.UserGroupList`. */
    interface ApiUserGroupList {
        userGroups?: ApiUserGroupListUserGroup[];
        cursor?: string;
    }

    /** Message `nakama.api.UserGroupList.UserGroup`. */
    interface ApiUserGroupListUserGroup {
        group?: ApiGroup | null;
        state?: number | null;
    }

    /** Message `nakama.api.ValidatePurchaseResponse`. */
    interface ApiValidatePurchaseResponse {
        validatedPurchases?: ApiValidatedPurchase[];
    }

    /** Message `nakama.api.ValidateSubscriptionResponse`. */
    interface ApiValidateSubscriptionResponse {
        validatedSubscription?: ApiValidatedSubscription | null;
    }

    /** Message `nakama.api.ValidatedPurchase`. */
    interface ApiValidatedPurchase {
        userId?: string;
        productId?: string;
        transactionId?: string;
        store?: number;
        purchaseTime?: string | null;
        createTime?: string | null;
        updateTime?: string | null;
        refundTime?: string | null;
        providerResponse?: string;
        environment?: number;
        seenBefore?: boolean;
    }

    /** Message `nakama.api.ValidatedSubscription`. */
    interface ApiValidatedSubscription {
        userId?: string;
        productId?: string;
        originalTransactionId?: string;
        store?: number;
        purchaseTime?: string | null;
        createTime?: string | null;
        updateTime?: string | null;
        environment?: number;
        expiryTime?: string | null;
        refundTime?: string | null;
        providerResponse?: string;
        providerNotification?: string;
        active?: boolean;
    }

    /** An account, as modules get it. */
    interface AuthResult {
        userId: string;
        username: string;
        created: boolean;
    }

    /** Message `nakama.api.AuthenticateAppleRequest`. */
    interface AuthenticateAppleRequest {
        account?: AccountApple | null;
        create?: boolean | null;
        username?: string;
    }

    /** Message `nakama.api.AuthenticateCustomRequest`. */
    interface AuthenticateCustomRequest {
        account?: AccountCustom | null;
        create?: boolean | null;
        username?: string;
    }

    /** Message `nakama.api.AuthenticateDeviceRequest`. */
    interface AuthenticateDeviceRequest {
        account?: AccountDevice | null;
        create?: boolean | null;
        username?: string;
    }

    /** Message `nakama.api.AuthenticateEmailRequest`. */
    interface AuthenticateEmailRequest {
        account?: AccountEmail | null;
        create?: boolean | null;
        username?: string;
    }

    /** Message `nakama.api.AuthenticateFacebookInstantGameRequest`. */
    interface AuthenticateFacebookInstantGameRequest {
        account?: AccountFacebookInstantGame | null;
        create?: boolean | null;
        username?: string;
    }

    /** Message `nakama.api.AuthenticateFacebookRequest`. */
    interface AuthenticateFacebookRequest {
        account?: AccountFacebook | null;
        create?: boolean | null;
        username?: string;
        sync?: boolean | null;
    }

    /** Message `nakama.api.AuthenticateGameCenterRequest`. */
    interface AuthenticateGameCenterRequest {
        account?: AccountGameCenter | null;
        create?: boolean | null;
        username?: string;
    }

    /** Message `nakama.api.AuthenticateGoogleRequest`. */
    interface AuthenticateGoogleRequest {
        account?: AccountGoogle | null;
        create?: boolean | null;
        username?: string;
    }

    /** Message `nakama.api.AuthenticateSteamRequest`. */
    interface AuthenticateSteamRequest {
        account?: AccountSteam | null;
        create?: boolean | null;
        username?: string;
        sync?: boolean | null;
    }

    /** Message `nakama.api.BanGroupUsersRequest`. */
    interface BanGroupUsersRequest {
        groupId?: string;
        userIds?: string[];
    }

    /** Message `nakama.api.BlockFriendsRequest`. */
    interface BlockFriendsRequest {
        ids?: string[];
        usernames?: string[];
    }

    /** Message `nakama.realtime.Channel`. */
    interface Channel {
        id: string;
        presences: UserPresence[];
        self?: UserPresence | null;
        roomName: string;
        groupId: string;
        userIdOne: string;
        userIdTwo: string;
    }

    /** Message `nakama.realtime.ChannelJoin`. */
    interface ChannelJoin {
        target: string;
        type: number;
        persistence?: boolean | null;
        hidden?: boolean | null;
    }

    /** Message `nakama.realtime.ChannelLeave`. */
    interface ChannelLeave {
        channelId: string;
    }

    /** A message of a channel. The names are so in every language, as in the reference. */
    interface ChannelMessage {
        channelId: string;
        messageId: string;
        /**
         * 0 chat, and what happens in groups: 3 join, 4 add, 5 leave, 6 kick, 7 promote, 8 ban,
         * 9 demote.
         */
        code: number;
        senderId: string;
        username: string;
        /** JSON text of an object. */
        content: string;
        /** Unix seconds. */
        createTime: number;
        /** Unix seconds. */
        updateTime: number;
        persistent: boolean;
        /** Empty where it is no room. */
        roomName: string;
        /** Empty where it is no group. */
        groupId: string;
        /** Empty where it is not between two users. */
        userIdOne: string;
        /** Empty where it is not between two users. */
        userIdTwo: string;
    }

    /** A page of messages. */
    interface ChannelMessageList {
        messages: ChannelMessage[];
        /** Leads on; nothing in Lua and empty elsewhere where there is no more. */
        nextCursor: string;
        /** Leads back; nothing in Lua and empty elsewhere on the first page. */
        prevCursor: string;
    }

    /** Message `nakama.realtime.ChannelMessageRemove`. */
    interface ChannelMessageRemove {
        channelId: string;
        messageId: string;
    }

    /** Message `nakama.realtime.ChannelMessageSend`. */
    interface ChannelMessageSend {
        channelId: string;
        content: string;
    }

    /**
     * What a module learns of a message that it sent, changed or removed. The names are so in
     * every language; JavaScript gets two values in objects. Both as in the reference.
     */
    interface ChannelMessageSendAck {
        channelId: string;
        messageId: string;
        /** 0 chat, 1 update, 2 remove. */
        code: {
            Value: number;
        };
        username: string;
        /** Unix seconds. */
        createTime: number;
        /** Unix seconds. */
        updateTime: number;
        /** Whether the history knows. */
        persistent: {
            Value: boolean;
        };
    }

    /** Message `nakama.realtime.ChannelMessageUpdate`. */
    interface ChannelMessageUpdate {
        channelId: string;
        messageId: string;
        content: string;
    }

    /** Message `nakama.api.CreateGroupRequest`. */
    interface CreateGroupRequest {
        name?: string;
        description?: string;
        langTag?: string;
        avatarUrl?: string;
        open?: boolean;
        maxCount?: number;
    }

    /** Message `nakama.api.DeleteFriendsRequest`. */
    interface DeleteFriendsRequest {
        ids?: string[];
        usernames?: string[];
    }

    /** Message `nakama.api.DeleteGroupRequest`. */
    interface DeleteGroupRequest {
        groupId?: string;
    }

    /** Message `nakama.api.DeleteLeaderboardRecordRequest`. */
    interface DeleteLeaderboardRecordRequest {
        leaderboardId?: string;
    }

    /** Message `nakama.api.DeleteNotificationsRequest`. */
    interface DeleteNotificationsRequest {
        ids?: string[];
    }

    /** Message `nakama.api.DeleteStorageObjectId`. */
    interface DeleteStorageObjectId {
        collection?: string;
        key?: string;
        version?: string;
    }

    /** Message `nakama.api.DeleteStorageObjectsRequest`. */
    interface DeleteStorageObjectsRequest {
        objectIds?: DeleteStorageObjectId[];
    }

    /** Message `nakama.api.DeleteTournamentRecordRequest`. */
    interface DeleteTournamentRecordRequest {
        tournamentId?: string;
    }

    /** Message `nakama.api.DemoteGroupUsersRequest`. */
    interface DemoteGroupUsersRequest {
        groupId?: string;
        userIds?: string[];
    }

    /** What hooks of socket messages are given and give back. */
    type Envelope = EnvelopeChannel | EnvelopeChannelJoin | EnvelopeChannelLeave | EnvelopeChannelMessageRemove | EnvelopeChannelMessageSend | EnvelopeChannelMessageUpdate | EnvelopeMatchCreateMessage | EnvelopeMatchDataSend | EnvelopeMatchJoin | EnvelopeMatchLeave | EnvelopeMatchmakerAdd | EnvelopeMatchmakerRemove | EnvelopePartyAccept | EnvelopePartyClose | EnvelopePartyCreate | EnvelopePartyDataSend | EnvelopePartyJoin | EnvelopePartyJoinRequestList | EnvelopePartyLeave | EnvelopePartyMatchmakerAdd | EnvelopePartyMatchmakerRemove | EnvelopePartyPromote | EnvelopePartyRemove | EnvelopePartyUpdate | EnvelopePing | EnvelopePong | EnvelopeStatusFollow | EnvelopeStatusUnfollow | EnvelopeStatusUpdate;

    /** A socket message, `nakama.realtime.Channel`. */
    interface EnvelopeChannel {
        cid?: string;
        channel: Channel;
    }

    /** A socket message, `nakama.realtime.ChannelJoin`. */
    interface EnvelopeChannelJoin {
        cid?: string;
        channelJoin: ChannelJoin;
    }

    /** A socket message, `nakama.realtime.ChannelLeave`. */
    interface EnvelopeChannelLeave {
        cid?: string;
        channelLeave: ChannelLeave;
    }

    /** A socket message, `nakama.realtime.ChannelMessageRemove`. */
    interface EnvelopeChannelMessageRemove {
        cid?: string;
        channelMessageRemove: ChannelMessageRemove;
    }

    /** A socket message, `nakama.realtime.ChannelMessageSend`. */
    interface EnvelopeChannelMessageSend {
        cid?: string;
        channelMessageSend: ChannelMessageSend;
    }

    /** A socket message, `nakama.realtime.ChannelMessageUpdate`. */
    interface EnvelopeChannelMessageUpdate {
        cid?: string;
        channelMessageUpdate: ChannelMessageUpdate;
    }

    /** A socket message, `nakama.realtime.MatchCreate`. */
    interface EnvelopeMatchCreateMessage {
        cid?: string;
        matchCreate: MatchCreateMessage;
    }

    /** A socket message, `nakama.realtime.MatchDataSend`. */
    interface EnvelopeMatchDataSend {
        cid?: string;
        matchDataSend: MatchDataMessageSend;
    }

    /** A socket message, `nakama.realtime.MatchJoin`. */
    interface EnvelopeMatchJoin {
        cid?: string;
        matchJoin: MatchJoinMessage;
    }

    /** A socket message, `nakama.realtime.MatchLeave`. */
    interface EnvelopeMatchLeave {
        cid?: string;
        matchLeave: MatchLeaveMessage;
    }

    /** A socket message, `nakama.realtime.MatchmakerAdd`. */
    interface EnvelopeMatchmakerAdd {
        cid?: string;
        matchmakerAdd: MatchmakerAddMessage;
    }

    /** A socket message, `nakama.realtime.MatchmakerRemove`. */
    interface EnvelopeMatchmakerRemove {
        cid?: string;
        matchmakerRemove: MatchmakerRemoveMessage;
    }

    /** A socket message, `nakama.realtime.PartyAccept`. */
    interface EnvelopePartyAccept {
        cid?: string;
        partyAccept: PartyAcceptMessage;
    }

    /** A socket message, `nakama.realtime.PartyClose`. */
    interface EnvelopePartyClose {
        cid?: string;
        partyClose: PartyCloseMessage;
    }

    /** A socket message, `nakama.realtime.PartyCreate`. */
    interface EnvelopePartyCreate {
        cid?: string;
        partyCreate: PartyCreateMessage;
    }

    /** A socket message, `nakama.realtime.PartyDataSend`. */
    interface EnvelopePartyDataSend {
        cid?: string;
        partyDataSend: PartyDataSendMessage;
    }

    /** A socket message, `nakama.realtime.PartyJoin`. */
    interface EnvelopePartyJoin {
        cid?: string;
        partyJoin: PartyJoinMessage;
    }

    /** A socket message, `nakama.realtime.PartyJoinRequestList`. */
    interface EnvelopePartyJoinRequestList {
        cid?: string;
        partyJoinRequestList: PartyJoinRequestListMessage;
    }

    /** A socket message, `nakama.realtime.PartyLeave`. */
    interface EnvelopePartyLeave {
        cid?: string;
        partyLeave: PartyLeaveMessage;
    }

    /** A socket message, `nakama.realtime.PartyMatchmakerAdd`. */
    interface EnvelopePartyMatchmakerAdd {
        cid?: string;
        partyMatchmakerAdd: PartyMatchmakerAddMessage;
    }

    /** A socket message, `nakama.realtime.PartyMatchmakerRemove`. */
    interface EnvelopePartyMatchmakerRemove {
        cid?: string;
        partyMatchmakerRemove: PartyMatchmakerRemoveMessage;
    }

    /** A socket message, `nakama.realtime.PartyPromote`. */
    interface EnvelopePartyPromote {
        cid?: string;
        partyPromote: PartyPromoteMessage;
    }

    /** A socket message, `nakama.realtime.PartyRemove`. */
    interface EnvelopePartyRemove {
        cid?: string;
        partyRemove: PartyRemoveMessage;
    }

    /** A socket message, `nakama.realtime.PartyUpdate`. */
    interface EnvelopePartyUpdate {
        cid?: string;
        partyUpdate: PartyUpdateMessage;
    }

    /** A socket message, `nakama.realtime.Ping`. */
    interface EnvelopePing {
        cid?: string;
        ping: PingMessage;
    }

    /** A socket message, `nakama.realtime.Pong`. */
    interface EnvelopePong {
        cid?: string;
        pong: PongMessage;
    }

    /** A socket message, `nakama.realtime.StatusFollow`. */
    interface EnvelopeStatusFollow {
        cid?: string;
        statusFollow: StatusFollowMessage;
    }

    /** A socket message, `nakama.realtime.StatusUnfollow`. */
    interface EnvelopeStatusUnfollow {
        cid?: string;
        statusUnfollow: StatusUnfollowMessage;
    }

    /** A socket message, `nakama.realtime.StatusUpdate`. */
    interface EnvelopeStatusUpdate {
        cid?: string;
        statusUpdate: StatusUpdateMessage;
    }

    /** Message `nakama.api.Event`. */
    interface Event {
        name?: string;
        properties?: { [key: string]: string };
        timestamp?: string | null;
        external?: boolean;
    }

    /** An edge as modules get it. */
    interface Friend {
        /** The user at the other end. */
        user: User;
        /** 0 friend, 1 invitation sent, 2 invitation received, 3 blocked. */
        state: number;
        /** When the state last changed, Unix seconds. */
        updateTime: number;
        /** What is kept about the other user. */
        metadata: { [key: string]: any };
    }

    /** A page of edges. */
    interface FriendList {
        /** By state, then by age. */
        friends: Friend[];
        /** Where the next page begins, if there is one. */
        cursor?: string;
    }

    /** A friend of a friend. */
    interface FriendOfFriend {
        /** The id of the friend through whom the user is known. */
        referrer: string;
        /** The user. */
        user: User;
    }

    /** A page of friends of friends. */
    interface FriendsOfFriendsList {
        /** By referrer, then by user. */
        friendsOfFriends: FriendOfFriend[];
        /** Where the next page begins, if there is one. */
        cursor?: string;
    }

    /** Message `nakama.api.FriendsOfFriendsList.FriendOfFriend`. */
    interface FriendsOfFriendsListFriendOfFriend {
        referrer?: string;
        user?: ApiUser | null;
    }

    /** Message `nakama.api.GetSubscriptionRequest`. */
    interface GetSubscriptionRequest {
        productId?: string;
    }

    /** Message `nakama.api.GetUsersRequest`. */
    interface GetUsersRequest {
        ids?: string[];
        usernames?: string[];
        facebookIds?: string[];
    }

    /** A group as modules get it. */
    interface Group {
        id: string;
        /** Who made it; the system's id if nobody was named. */
        creatorId: string;
        name: string;
        description: string;
        /** The language, as a BCP 47 tag. */
        langTag: string;
        metadata: { [key: string]: any };
        avatarUrl: string;
        /** Whether anybody may join. */
        open: boolean;
        /** The number of members, admins and superadmins. */
        edgeCount: number;
        /** The most there may be. */
        maxCount: number;
        /** Unix seconds. */
        createTime: number;
        /** Unix seconds. */
        updateTime: number;
    }

    /** A page of groups. */
    interface GroupList {
        groups: Group[];
        /** Where to go on, if there is more. */
        cursor: string | null;
    }

    /** A user of a group. */
    interface GroupUser {
        user: User;
        /** 0 superadmin, 1 admin, 2 member, 3 asked to join, 4 banned. */
        state: number;
    }

    /** A page of the users of a group. */
    interface GroupUserList {
        groupUsers: GroupUser[];
        /** Where to go on, if there is more. */
        cursor: string | null;
    }

    /** Message `nakama.api.GroupUserList.GroupUser`. */
    interface GroupUserListGroupUser {
        user?: ApiUser | null;
        state?: number | null;
    }

    /** What came back. */
    interface HttpResponse {
        code: number;
        headers: { [key: string]: string[] };
        body: string;
    }

    /** Message `nakama.api.ImportFacebookFriendsRequest`. */
    interface ImportFacebookFriendsRequest {
        account?: AccountFacebook | null;
        reset?: boolean | null;
    }

    /** Message `nakama.api.ImportSteamFriendsRequest`. */
    interface ImportSteamFriendsRequest {
        account?: AccountSteam | null;
        reset?: boolean | null;
    }

    /** Message `nakama.api.JoinGroupRequest`. */
    interface JoinGroupRequest {
        groupId?: string;
    }

    /** Message `nakama.api.JoinTournamentRequest`. */
    interface JoinTournamentRequest {
        tournamentId?: string;
    }

    /** Message `nakama.api.KickGroupUsersRequest`. */
    interface KickGroupUsersRequest {
        groupId?: string;
        userIds?: string[];
    }

    /** A leaderboard, as modules get it; times in Unix seconds. */
    interface Leaderboard {
        id: string;
        /** Whether only the server writes records. */
        authoritative: boolean;
        /** `best`, `set`, `increment` or `decrement`. */
        operator: string;
        /** 0 for the lowest score first, 1 for the highest; a text in Lua. */
        sortOrder: number;
        metadata: any;
        createTime: number;
        /** Left out where the leaderboard is never reset. */
        nextReset?: number;
        /** Left out where the leaderboard was never reset. */
        prevReset?: number;
    }

    /** A page of leaderboards, as modules get it. */
    interface LeaderboardList {
        leaderboards: Leaderboard[];
        cursor: string | null;
    }

    /** A record, as modules get it; times in Unix seconds. */
    interface LeaderboardRecord {
        leaderboardId: string;
        ownerId: string;
        username: string | null;
        score: number;
        subscore: number;
        /** How many scores were sent. */
        numScore: number;
        /** How many may be sent. */
        maxNumScore: number;
        metadata: any;
        createTime: number;
        updateTime: number;
        /** When the record ends, if it does. */
        expiryTime: number | null;
        /** From 1; 0 where ranks are not told. */
        rank: number;
    }

    /**
     * A page of records, as modules get it. Lua gets the records of owners only from a list that
     * can ask for them, and nothing but an empty table where it asked for those of nobody.
     */
    interface LeaderboardRecordList {
        records: LeaderboardRecord[];
        ownerRecords: LeaderboardRecord[] | null;
        nextCursor: string | null;
        prevCursor: string | null;
        rankCount: number | null;
    }

    /** Message `nakama.api.LeaveGroupRequest`. */
    interface LeaveGroupRequest {
        groupId?: string;
    }

    /** Message `nakama.api.LinkFacebookRequest`. */
    interface LinkFacebookRequest {
        account?: AccountFacebook | null;
        sync?: boolean | null;
    }

    /** Message `nakama.api.LinkSteamRequest`. */
    interface LinkSteamRequest {
        account?: AccountSteam | null;
        sync?: boolean | null;
    }

    /** Message `nakama.api.ListChannelMessagesRequest`. */
    interface ListChannelMessagesRequest {
        channelId?: string;
        limit?: number | null;
        forward?: boolean | null;
        cursor?: string;
    }

    /** Message `nakama.api.ListFriendsOfFriendsRequest`. */
    interface ListFriendsOfFriendsRequest {
        limit?: number | null;
        cursor?: string;
    }

    /** Message `nakama.api.ListFriendsRequest`. */
    interface ListFriendsRequest {
        limit?: number | null;
        state?: number | null;
        cursor?: string;
    }

    /** Message `nakama.api.ListGroupUsersRequest`. */
    interface ListGroupUsersRequest {
        groupId?: string;
        limit?: number | null;
        state?: number | null;
        cursor?: string;
    }

    /** Message `nakama.api.ListGroupsRequest`. */
    interface ListGroupsRequest {
        name?: string;
        cursor?: string;
        limit?: number | null;
        langTag?: string;
        members?: number | null;
        open?: boolean | null;
    }

    /** Message `nakama.api.ListLeaderboardRecordsAroundOwnerRequest`. */
    interface ListLeaderboardRecordsAroundOwnerRequest {
        leaderboardId?: string;
        limit?: number | null;
        ownerId?: string;
        expiry?: string | null;
        cursor?: string;
    }

    /** Message `nakama.api.ListLeaderboardRecordsRequest`. */
    interface ListLeaderboardRecordsRequest {
        leaderboardId?: string;
        ownerIds?: string[];
        limit?: number | null;
        cursor?: string;
        expiry?: string | null;
    }

    /** Message `nakama.api.ListMatchesRequest`. */
    interface ListMatchesRequest {
        limit?: number | null;
        authoritative?: boolean | null;
        label?: string | null;
        minSize?: number | null;
        maxSize?: number | null;
        query?: string | null;
    }

    /** Message `nakama.api.ListNotificationsRequest`. */
    interface ListNotificationsRequest {
        limit?: number | null;
        cacheableCursor?: string;
    }

    /** Message `nakama.api.ListPartiesRequest`. */
    interface ListPartiesRequest {
        limit?: number | null;
        open?: boolean | null;
        query?: string | null;
        cursor?: string | null;
    }

    /** Message `nakama.api.ListStorageObjectsRequest`. */
    interface ListStorageObjectsRequest {
        userId?: string;
        collection?: string;
        limit?: number | null;
        cursor?: string;
    }

    /** Message `nakama.api.ListSubscriptionsRequest`. */
    interface ListSubscriptionsRequest {
        limit?: number | null;
        cursor?: string;
    }

    /** Message `nakama.api.ListTournamentRecordsAroundOwnerRequest`. */
    interface ListTournamentRecordsAroundOwnerRequest {
        tournamentId?: string;
        limit?: number | null;
        ownerId?: string;
        expiry?: string | null;
        cursor?: string;
    }

    /** Message `nakama.api.ListTournamentRecordsRequest`. */
    interface ListTournamentRecordsRequest {
        tournamentId?: string;
        ownerIds?: string[];
        limit?: number | null;
        cursor?: string;
        expiry?: string | null;
    }

    /** Message `nakama.api.ListTournamentsRequest`. */
    interface ListTournamentsRequest {
        categoryStart?: number | null;
        categoryEnd?: number | null;
        startTime?: number | null;
        endTime?: number | null;
        limit?: number | null;
        cursor?: string;
    }

    /** Message `nakama.api.ListUserGroupsRequest`. */
    interface ListUserGroupsRequest {
        userId?: string;
        limit?: number | null;
        state?: number | null;
        cursor?: string;
    }

    /** A match that runs. */
    interface Match {
        matchId: string;
        /** Whether a module runs it. */
        authoritative: boolean;
        /** Nothing for a match that clients relay. */
        label: string | null;
        /** How many are in it. */
        size: number;
    }

    /** Message `nakama.realtime.MatchCreate`. */
    interface MatchCreateMessage {
        name: string;
    }

    /** Message `nakama.realtime.MatchDataSend`. */
    interface MatchDataMessageSend {
        matchId: string;
        opCode: string;
        data: string;
        presences: UserPresence[];
        reliable: boolean;
    }

    /** Message `nakama.realtime.MatchJoin`. */
    interface MatchJoinMessage {
        matchId?: string;
        token?: string;
        metadata: { [key: string]: string };
    }

    /** Message `nakama.realtime.MatchLeave`. */
    interface MatchLeaveMessage {
        matchId: string;
    }

    /** Message `nakama.api.MatchList`. */
    interface MatchList {
        matches?: ApiMatch[];
    }

    /** Message `nakama.realtime.MatchmakerAdd`. */
    interface MatchmakerAddMessage {
        minCount: number;
        maxCount: number;
        query: string;
        stringProperties: { [key: string]: string };
        numericProperties: { [key: string]: number };
        countMultiple?: number | null;
    }

    /** Message `nakama.api.MatchmakerCompletionStats`. */
    interface MatchmakerCompletionStats {
        createTime?: string | null;
        completeTime?: string | null;
    }

    /** Message `nakama.realtime.MatchmakerRemove`. */
    interface MatchmakerRemoveMessage {
        ticket: string;
    }

    /** Message `nakama.api.MatchmakerStats`. */
    interface MatchmakerStats {
        ticketCount?: number;
        oldestTicketCreateTime?: string | null;
        completions?: MatchmakerCompletionStats[];
    }

    /** What was written and changed; in Lua nothing in place of an empty list. */
    interface MultiUpdateResult {
        storageWriteAcks: StorageWriteAck[];
        walletUpdateAcks: WalletUpdateResult[];
    }

    /** A notification that was asked for by id. */
    interface Notification {
        id: string;
        userId: string;
        subject: string;
        persistent: boolean;
        content: { [key: string]: any };
        code: number;
        /** Who sent it; empty for the system. */
        sender: string;
        /** Unix seconds. */
        createTime: number;
    }

    /** A notification that a module deletes. */
    interface NotificationDeleteRequest {
        /** Whose; the system user's if not given, which has none. */
        userId?: string | null;
        /** Which. */
        notificationId: string;
    }

    /** Message `nakama.api.NotificationList`. */
    interface NotificationList {
        notifications?: ApiNotification[];
        cacheableCursor?: string;
    }

    /** A notification that a module sends. */
    interface NotificationRequest {
        /** Who gets it. */
        userId: string;
        /** What it is about; not empty. */
        subject: string;
        /** An object. */
        content: { [key: string]: any };
        /** Above 0; in JavaScript and native also between -2000 and -1000. */
        code: number;
        /** Who sends it; the system if not given. */
        senderId?: string | null;
        /** Whether it is kept until it is deleted. */
        persistent?: boolean | null;
    }

    /** What a module changes of a notification; what is not given stays. */
    interface NotificationUpdate {
        /** Which. */
        id: string;
        /** An object. */
        content?: { [key: string]: any } | null;
        /** Not empty. */
        subject?: string | null;
        /** Who sent it. */
        sender?: string | null;
    }

    /** A page of notifications. */
    interface NotificationsList {
        notifications: ApiNotification[];
        /** Where to go on, if there is more. */
        cursor: string | null;
    }

    /** A party. */
    interface Party {
        partyId: string;
        /** Whether it may be entered. */
        open: boolean;
        /** The most members. */
        maxSize: number;
        /** What can be searched for. */
        label: string;
    }

    /** Message `nakama.realtime.PartyAccept`. */
    interface PartyAcceptMessage {
        partyId: string;
        presence?: UserPresence | null;
    }

    /** Message `nakama.realtime.PartyClose`. */
    interface PartyCloseMessage {
        partyId: string;
    }

    /** Message `nakama.realtime.PartyCreate`. */
    interface PartyCreateMessage {
        open: boolean;
        maxSize: number;
        label: string;
        hidden: boolean;
    }

    /** Message `nakama.realtime.PartyDataSend`. */
    interface PartyDataSendMessage {
        partyId: string;
        opCode: string;
        data: string;
    }

    /** Message `nakama.realtime.PartyJoin`. */
    interface PartyJoinMessage {
        partyId: string;
    }

    /** Message `nakama.realtime.PartyJoinRequestList`. */
    interface PartyJoinRequestListMessage {
        partyId: string;
    }

    /** Message `nakama.realtime.PartyLeave`. */
    interface PartyLeaveMessage {
        partyId: string;
    }

    /** A page of parties. */
    interface PartyList {
        parties: Party[];
        /** Where to go on, if there is more. */
        cursor?: string;
    }

    /** Message `nakama.realtime.PartyMatchmakerAdd`. */
    interface PartyMatchmakerAddMessage {
        partyId: string;
        minCount: number;
        maxCount: number;
        query: string;
        stringProperties: { [key: string]: string };
        numericProperties: { [key: string]: number };
        countMultiple?: number | null;
    }

    /** Message `nakama.realtime.PartyMatchmakerRemove`. */
    interface PartyMatchmakerRemoveMessage {
        partyId: string;
        ticket: string;
    }

    /** Message `nakama.realtime.PartyPromote`. */
    interface PartyPromoteMessage {
        partyId: string;
        presence?: UserPresence | null;
    }

    /** Message `nakama.realtime.PartyRemove`. */
    interface PartyRemoveMessage {
        partyId: string;
        presence?: UserPresence | null;
    }

    /** Message `nakama.realtime.PartyUpdate`. */
    interface PartyUpdateMessage {
        partyId: string;
        label: string;
        open: boolean;
        hidden: boolean;
    }

    /** Message `nakama.realtime.Ping`. */
    interface PingMessage {
    }

    /** Message `nakama.realtime.Pong`. */
    interface PongMessage {
    }

    /** A presence among those that are to get a message; what else it has is not read. */
    interface PresenceOfSession {
        /** Its session; without one nobody gets anything. */
        sessionId?: string | null;
    }

    /** A presence that is to end. */
    interface PresenceToKick {
        userId?: string | null;
        sessionId?: string | null;
        /** The node; this one if not given. */
        node?: string | null;
    }

    /** Message `nakama.api.PromoteGroupUsersRequest`. */
    interface PromoteGroupUsersRequest {
        groupId?: string;
        userIds?: string[];
    }

    /** Message `nakama.api.ReadStorageObjectId`. */
    interface ReadStorageObjectId {
        collection?: string;
        key?: string;
        userId?: string;
    }

    /** Message `nakama.api.ReadStorageObjectsRequest`. */
    interface ReadStorageObjectsRequest {
        objectIds?: ReadStorageObjectId[];
    }

    /** Message `nakama.api.Session`. */
    interface Session {
        created?: boolean;
        token?: string;
        refreshToken?: string;
    }

    /** Message `nakama.api.SessionLogoutRequest`. */
    interface SessionLogoutRequest {
        token?: string;
        refreshToken?: string;
    }

    /** Message `nakama.api.SessionRefreshRequest`. */
    interface SessionRefreshRequest {
        token?: string;
        vars?: { [key: string]: string };
    }

    /** How many rows a statement touched. */
    interface SqlExecResult {
        rowsAffected: number;
    }

    /** Message `nakama.realtime.StatusFollow`. */
    interface StatusFollowMessage {
        userIds: string[];
        usernames: string[];
    }

    /** Message `nakama.realtime.StatusUnfollow`. */
    interface StatusUnfollowMessage {
        userIds: string[];
    }

    /** Message `nakama.realtime.StatusUpdate`. */
    interface StatusUpdateMessage {
        status?: string | null;
    }

    /** An object that a module deletes. */
    interface StorageDeleteRequest {
        collection: string;
        key: string;
        userId?: string | null;
        version?: string | null;
    }

    /** An object, as modules get it; times in Unix seconds. */
    interface StorageObject {
        key: string;
        collection: string;
        userId: string;
        version: string;
        permissionRead: number;
        permissionWrite: number;
        createTime: number;
        updateTime: number;
        value: { [key: string]: any };
    }

    /** Message `nakama.api.StorageObjectAck`. */
    interface StorageObjectAck {
        collection?: string;
        key?: string;
        version?: string;
        userId?: string;
        createTime?: string | null;
        updateTime?: string | null;
    }

    /** Message `nakama.api.StorageObjectAcks`. */
    interface StorageObjectAcks {
        acks?: StorageObjectAck[];
    }

    /** A page of objects. */
    interface StorageObjectList {
        objects: StorageObject[];
        /** Where the next page begins, if there is one. */
        cursor: string | null;
    }

    /** Message `nakama.api.StorageObjects`. */
    interface StorageObjects {
        objects?: ApiStorageObject[];
    }

    /** An object that a module asks for. */
    interface StorageReadRequest {
        collection?: string | null;
        key?: string | null;
        userId?: string | null;
    }

    /** A written object, as modules get it. */
    interface StorageWriteAck {
        key: string;
        collection: string;
        userId: string;
        version: string;
    }

    /** An object that a module writes. Any permission that the database takes is taken. */
    interface StorageWriteRequest {
        collection: string;
        key: string;
        userId?: string | null;
        value: { [key: string]: any };
        version?: string | null;
        permissionRead?: number | null;
        permissionWrite?: number | null;
    }

    /** A stream, as a module names it; what is left out is 0, nil or empty. */
    interface Stream {
        /** Its kind; cut to its lowest 8 bits, as in the reference. The server's own are 0 to 7. */
        mode?: number | null;
        /** What it is about, an id. */
        subject?: string | null;
        /** What it is about besides, an id. */
        subcontext?: string | null;
        /** Any text. */
        label?: string | null;
    }

    /** Who is present on a stream, as modules get it. */
    interface StreamPresence {
        userId: string;
        sessionId: string;
        /** The name of the server. */
        node: string;
        /** The same, as the reference's JavaScript has it. */
        nodeId?: string;
        /** Whether nobody is told of it. */
        hidden: boolean;
        /** Whether messages to the stream are stored. */
        persistence: boolean;
        username: string;
        status: string;
        /** Why it is as it is: 1 it joined, 2 it was updated. Not in Lua. */
        reason?: number;
    }

    /** What a presence has, as modules get it. */
    interface StreamPresenceMeta {
        /** Whether nobody is told of it. */
        hidden: boolean;
        /** Whether messages to the stream are stored. */
        persistence: boolean;
        username: string;
        status: string;
        /** Why it is as it is: 1 it joined, 2 it was updated. Not in Lua. */
        reason?: number;
    }

    /** Message `nakama.api.SubscriptionList`. */
    interface SubscriptionList {
        validatedSubscriptions?: ApiValidatedSubscription[];
        cursor?: string;
        prevCursor?: string;
    }

    /** A session token and when it ends, Unix seconds. */
    interface TokenGenerateResult {
        token: string;
        exp: number;
    }

    /** A tournament, as modules get it; times in Unix seconds. */
    interface Tournament {
        id: string;
        title: string;
        description: string;
        category: number;
        /** 0 for the lowest score first, 1 for the highest; a text in Lua. */
        sortOrder: number;
        /** How many take part, where that is limited. */
        size: number;
        maxSize: number;
        maxNumScore: number;
        /** How long a period takes scores, in seconds. */
        duration: number;
        /** When the period begins to take scores. */
        startActive: number;
        /** When it ceases to. */
        endActive: number;
        canEnter: boolean;
        /** When the records end; left out for never. */
        nextReset?: number;
        /** Left out where the tournament was never reset. */
        prevReset?: number;
        metadata: any;
        createTime: number;
        startTime: number;
        /** When the tournament is over for good. */
        endTime: number | null;
        /** `best`, `set`, `increment` or `decrement`. */
        operator: string;
        /** Told by lists only. */
        joinRequired?: boolean;
    }

    /** A page of tournaments, as modules get it. */
    interface TournamentList {
        tournaments: Tournament[];
        cursor: string | null;
    }

    /** Message `nakama.api.TournamentRecordList`. */
    interface TournamentRecordList {
        records?: ApiLeaderboardRecord[];
        ownerRecords?: ApiLeaderboardRecord[];
        nextCursor?: string;
        prevCursor?: string;
        rankCount?: string;
    }

    /** Message `nakama.api.UpdateAccountRequest`. */
    interface UpdateAccountRequest {
        username?: string | null;
        displayName?: string | null;
        avatarUrl?: string | null;
        langTag?: string | null;
        location?: string | null;
        timezone?: string | null;
    }

    /** Message `nakama.api.UpdateGroupRequest`. */
    interface UpdateGroupRequest {
        groupId?: string;
        name?: string | null;
        description?: string | null;
        langTag?: string | null;
        avatarUrl?: string | null;
        open?: boolean | null;
    }

    /** A changed wallet, as `wallet_update` gives it. */
    interface UpdatedOne {
        /** After the change. */
        updated: { [key: string]: number };
        /** Before it. */
        previous: { [key: string]: number };
        /** Whose. */
        userId: string;
    }

    /**
     * A user as modules get it: identifiers that are not set are left out, times are Unix
     * seconds, metadata is a value.
     */
    interface User {
        userId: string;
        username: string;
        displayName: string;
        avatarUrl: string;
        /** The language, as a BCP 47 tag. */
        langTag: string;
        location: string;
        timezone: string;
        appleId?: string;
        facebookId?: string;
        facebookInstantGameId?: string;
        googleId?: string;
        gamecenterId?: string;
        steamId?: string;
        online: boolean;
        /** The number of friends. */
        edgeCount: number;
        /** Unix seconds. */
        createTime: number;
        /** Unix seconds. */
        updateTime: number;
        metadata: { [key: string]: any };
    }

    /** A page of the groups of a user. */
    interface UserGroupList {
        userGroups: UserGroupListUserGroup[];
        /** Where to go on, if there is more. */
        cursor: string | null;
    }

    /** A group of a user. */
    interface UserGroupListUserGroup {
        group: Group;
        /** 0 superadmin, 1 admin, 2 member, 3 asked to join. */
        state: number;
    }

    /** Message `nakama.realtime.UserPresence`. */
    interface UserPresence {
        userId: string;
        sessionId: string;
        username: string;
        persistence: boolean;
        status?: string | null;
    }

    /**
     * What a module changes of an account; what is not given stays. An empty text unsets a
     * field, but for the username; from native modules it leaves it.
     */
    interface UserUpdateAccount {
        /** Whose. */
        userId?: string | null;
        username?: string | null;
        displayName?: string | null;
        timezone?: string | null;
        location?: string | null;
        langTag?: string | null;
        avatarUrl?: string | null;
        /** An object. */
        metadata?: { [key: string]: any } | null;
    }

    /** Message `nakama.api.Users`. */
    interface Users {
        users?: ApiUser[];
    }

    /** Message `nakama.api.ValidatePurchaseAppleRequest`. */
    interface ValidatePurchaseAppleRequest {
        receipt?: string;
        persist?: boolean | null;
    }

    /** Message `nakama.api.ValidatePurchaseFacebookInstantRequest`. */
    interface ValidatePurchaseFacebookInstantRequest {
        signedRequest?: string;
        persist?: boolean | null;
    }

    /** Message `nakama.api.ValidatePurchaseGoogleRequest`. */
    interface ValidatePurchaseGoogleRequest {
        purchase?: string;
        persist?: boolean | null;
    }

    /** Message `nakama.api.ValidatePurchaseHuaweiRequest`. */
    interface ValidatePurchaseHuaweiRequest {
        purchase?: string;
        signature?: string;
        persist?: boolean | null;
    }

    /** The purchases of a receipt. */
    interface ValidatePurchaseResponse {
        /** The purchases. */
        validatedPurchases: ValidatedPurchase[];
    }

    /** Message `nakama.api.ValidatePurchaseSamsungRequest`. */
    interface ValidatePurchaseSamsungRequest {
        purchaseId?: string;
        persist?: boolean | null;
    }

    /** Message `nakama.api.ValidateSubscriptionAppleRequest`. */
    interface ValidateSubscriptionAppleRequest {
        receipt?: string;
        persist?: boolean | null;
    }

    /** Message `nakama.api.ValidateSubscriptionGoogleRequest`. */
    interface ValidateSubscriptionGoogleRequest {
        receipt?: string;
        persist?: boolean | null;
    }

    /** The subscription of a receipt. */
    interface ValidateSubscriptionResponse {
        /** The subscription. */
        validatedSubscription: ValidatedSubscription;
    }

    /** A purchase that its store confirmed. Times are in Unix seconds. */
    interface ValidatedPurchase {
        /** Whose it is; empty for a deleted account. */
        userId: string;
        /** The product. */
        productId: string;
        /** What the store calls the purchase. */
        transactionId: string;
        /** The store, such as `APPLE_APP_STORE`. */
        store: string;
        /** The store's answer. */
        providerResponse: string;
        /** When it was made. */
        purchaseTime: number;
        /** When it was stored, if it is. */
        createTime?: number;
        /** When it was last validated, if it is stored. */
        updateTime?: number;
        /** When the money was given back; 0 or nothing if it was not. */
        refundTime?: number;
        /** `PRODUCTION` or `SANDBOX`. */
        environment: string;
        /** Whether it was stored before this validation. */
        seenBefore: boolean;
    }

    /** A page of purchases. */
    interface ValidatedPurchaseList {
        /** The purchases, latest first. */
        validatedPurchases: ValidatedPurchase[];
        /** Where the next page begins, if there is one. */
        cursor: string | null;
        /** Where the page before ends, if there is one. */
        prevCursor: string | null;
    }

    /** A subscription that its store confirmed. Times are in Unix seconds. */
    interface ValidatedSubscription {
        /** Whose it is; empty for a deleted account. */
        userId: string;
        /** The product. */
        productId: string;
        /** What the store calls the first purchase of it. */
        originalTransactionId: string;
        /** The store, such as `APPLE_APP_STORE`. */
        store: string;
        /** When it began. */
        purchaseTime: number;
        /** When it was stored, if it is. */
        createTime?: number;
        /** When it was last changed, if it is stored. */
        updateTime?: number;
        /** When the money was given back; 0 or nothing if it was not. */
        refundTime?: number;
        /** `PRODUCTION` or `SANDBOX`. */
        environment: string;
        /** Until when it is paid for. */
        expiryTime: number;
        /** Whether it is paid for and was not given back. */
        active: boolean;
        /** The store's answer. */
        providerResponse: string;
        /** What the store told later on. */
        providerNotification: string;
    }

    /** A page of subscriptions. */
    interface ValidatedSubscriptionList {
        /** The subscriptions, latest first. */
        validatedSubscriptions: ValidatedSubscription[];
        /** Where the next page begins, if there is one. */
        cursor: string | null;
        /** Where the page before ends, if there is one. */
        prevCursor: string | null;
    }

    /** A page of the ledger. */
    interface WalletLedgerList {
        items: WalletLedgerResult[];
        /** Where to go on, if there is more; else nothing in JavaScript, and empty elsewhere. */
        cursor: string | null;
    }

    /** A change of a wallet. */
    interface WalletLedgerResult {
        id: string;
        userId: string;
        /** Unix seconds. */
        createTime: number;
        /** Unix seconds. */
        updateTime: number;
        /**
         * What was added to each currency. From `walletLedgerUpdate` in JavaScript, the given
         * metadata.
         */
        changeset: { [key: string]: number };
        /**
         * What the ledger knows of it. From `walletLedgerUpdate`: in Lua what was given, in
         * JavaScript nothing.
         */
        metadata: { [key: string]: any };
    }

    /** What a module changes of a user's wallet. */
    interface WalletUpdate {
        /** Whose; the system user's if not given outside JavaScript. */
        userId?: string | null;
        /** What is added to each currency, in whole numbers; negative amounts are taken away. */
        changeset: { [key: string]: number };
        /** What the ledger is to know of it: an object. */
        metadata?: { [key: string]: any } | null;
    }

    /** A changed wallet. */
    interface WalletUpdateResult {
        /** After the change. */
        updated: { [key: string]: number };
        /** Before it. */
        previous: { [key: string]: number };
        /** Whose. */
        userId: string;
    }

    /** Message `nakama.api.WriteLeaderboardRecordRequest`. */
    interface WriteLeaderboardRecordRequest {
        leaderboardId?: string;
        record?: WriteLeaderboardRecordRequestLeaderboardRecordWrite | null;
    }

    /** Message `nakama.api.WriteLeaderboardRecordRequest.LeaderboardRecordWrite`. */
    interface WriteLeaderboardRecordRequestLeaderboardRecordWrite {
        score?: string;
        subscore?: string;
        metadata?: string;
        operator?: number;
    }

    /** Message `nakama.api.WriteStorageObject`. */
    interface WriteStorageObject {
        collection?: string;
        key?: string;
        value?: string;
        version?: string;
        permissionRead?: number | null;
        permissionWrite?: number | null;
    }

    /** Message `nakama.api.WriteStorageObjectsRequest`. */
    interface WriteStorageObjectsRequest {
        objects?: WriteStorageObject[];
    }

    /** Message `nakama.api.WriteTournamentRecordRequest`. */
    interface WriteTournamentRecordRequest {
        tournamentId?: string;
        record?: WriteTournamentRecordRequestTournamentRecordWrite | null;
    }

    /** Message `nakama.api.WriteTournamentRecordRequest.TournamentRecordWrite`. */
    interface WriteTournamentRecordRequestTournamentRecordWrite {
        score?: string;
        subscore?: string;
        metadata?: string;
        operator?: number;
    }

    /** What modules see of the configuration. */
    interface Config {
        name: string;
        shutdown_grace_sec: number;
        logger: {
            level: string;
        };
        session: {
            encryption_key: string;
            token_expiry_sec: number;
            refresh_encryption_key: string;
            refresh_token_expiry_sec: number;
            single_socket: boolean;
            single_match: boolean;
            single_party: boolean;
            single_session: boolean;
        };
        socket: {
            server_key: string;
            port: number;
            address: string;
            protocol: string;
        };
        social: {
            steam: {
                publisher_key: string;
                app_id: number;
            };
            facebook_instant_game: {
                app_secret: string;
            };
            facebook_limited_login: {
                app_id: string;
            };
            apple: {
                bundle_id: string;
            };
        };
        runtime: {
            env: { [key: string]: string };
            http_key: string;
        };
        iap: {
            apple: {
                shared_password: string;
                notifications_endpoint_id: string;
            };
            google: {
                client_email: string;
                private_key: string;
                notifications_endpoint_id: string;
            };
            huawei: {
                public_key: string;
                client_id: string;
                client_secret: string;
            };
            facebook_instant: {
                app_secret: string;
            };
            samsung: {
                package_name: string;
            };
        };
        google_auth: {
            credentials_json: string;
        };
        satori: {
            url: string;
            api_key_name: string;
            api_key: string;
            signing_key: string;
        };
    }
}
