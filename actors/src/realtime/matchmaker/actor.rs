//! The actor that owns the tickets, and the handle by which others reach it.
//!
//! It has a thread of its own: an interval's matching stops no socket. What clients send waits in
//! its mailbox; a session waits for the answer before its next message is read, so that there is
//! one message at most of each.

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use actix::{
    Actor, ActorFutureExt as _, Addr, Arbiter, AsyncContext as _, Context, Handler, Message,
    WrapFuture as _,
};
use arc_swap::ArcSwap;
use guildhall_proto::{
    Timestamp,
    api::{MatchmakerCompletionStats, MatchmakerStats},
};
use uuid::Uuid;

use super::{
    Explanation, Group, NewTicket, NotAdded, NotFound, Owner, Pool, Rules,
    matched::{self, Entry},
};
use crate::{
    clock,
    cx::Cx,
    registry::{Point, Target},
    runtime::call::{Argument, ExecutionMode},
};

/// The matchmaker, as others know it.
#[derive(Debug, Default)]
pub struct Matchmaker {
    actor: OnceLock<Addr<Matching>>,
    stats: ArcSwap<MatchmakerStats>,
}

impl Matchmaker {
    /// Adds a ticket: its id.
    ///
    /// # Errors
    /// Where it is no good, there are too many, or one of its sessions has ended.
    pub async fn add(&self, new: NewTicket) -> Result<Uuid, NotAdded> {
        let actor = self.actor.get().ok_or(NotAdded::Unavailable)?;
        actor.send(Add(new)).await.unwrap_or(Err(NotAdded::Unavailable))
    }

    /// Takes back a ticket of its owner's.
    ///
    /// # Errors
    /// Where there is none with this id, or it is somebody else's.
    pub async fn remove(&self, owner: Owner, ticket: &str) -> Result<(), NotFound> {
        let ticket = written(ticket).ok_or(NotFound)?;
        let actor = self.actor.get().ok_or(NotFound)?;
        let removed = actor.send(Remove { owner, ticket }).await.unwrap_or_default();
        removed.then_some(()).ok_or(NotFound)
    }

    /// Takes back all tickets that a session waits in, those of its party too; soon.
    pub fn remove_session(&self, session_id: Uuid) {
        if let Some(actor) = self.actor.get() {
            actor.do_send(RemoveSession(session_id));
        }
    }

    /// Takes back all tickets of a party; soon.
    pub fn remove_party(&self, party_id: &str) {
        if let Some(actor) = self.actor.get() {
            actor.do_send(RemoveParty(party_id.to_owned()));
        }
    }

    /// Why a ticket waits, for operators; `None` for one that does not. It looks at all others.
    pub async fn explain(&self, ticket: Uuid) -> Option<Explanation> {
        self.actor.get()?.send(Explain(ticket)).await.unwrap_or_default()
    }

    /// What waited at the begin of the last interval, and how long the last ones waited who were
    /// matched.
    pub fn stats(&self) -> Arc<MatchmakerStats> {
        self.stats.load_full()
    }
}

/// The id that a ticket's text is, as it is written by us.
fn written(ticket: &str) -> Option<Uuid> {
    Uuid::try_parse(ticket).ok().filter(|id| id.to_string() == ticket)
}

/// The matchmaker at work; it ends when this is stopped.
#[derive(Debug)]
pub struct Running {
    arbiter: Arbiter,
}

impl Running {
    /// Ends it. Tickets are gone with it.
    pub fn stop(self) {
        self.arbiter.stop();
    }
}

/// Starts the matchmaker.
pub fn run(cx: &Arc<Cx>) -> Running {
    let arbiter = Arbiter::new();
    let owned = Arc::clone(cx);
    let actor = Matching::start_in_arbiter(&arbiter.handle(), |_| Matching::new(owned));
    if cx.matchmaker.actor.set(actor).is_err() {
        tracing::error!("the matchmaker was started twice");
    }
    Running { arbiter }
}

/// The actor.
#[derive(Debug)]
struct Matching {
    cx: Arc<Cx>,
    pool: Pool,
    /// Whether modules still work on the last interval; the next ones are left out meanwhile.
    busy: bool,
}

/// So many messages wait; who sends more waits with them.
const MAILBOX: usize = 1024;

impl Matching {
    fn new(cx: Arc<Cx>) -> Self {
        let config = &cx.config.matchmaker;
        let rules = Rules {
            max_tickets: config.max_tickets,
            max_intervals: config.max_intervals,
            mutual: config.rev_precision,
        };
        Self { cx, pool: Pool::new(rules), busy: false }
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(self.cx.config.matchmaker.interval_sec)
    }

    /// An interval has passed.
    fn tick(&mut self, ctx: &mut Context<Self>) {
        if self.busy {
            tracing::debug!("matchmaker interval left out, modules are still busy");
            return;
        }
        let began = Instant::now();
        self.publish();
        if self.pool.active() == 0 {
            self.cx.metrics.matchmaker.processed(began.elapsed());
            return;
        }
        // Time is up for queries of both sides once matching takes as long as so many intervals.
        let threshold = u32::try_from(self.cx.config.matchmaker.rev_threshold).unwrap_or(u32::MAX);
        let patience = self.interval().checked_mul(threshold).filter(|_| threshold > 0);
        let is_late = || patience.is_some_and(|patience| began.elapsed() >= patience);
        let routes = self.cx.routes.load_full();
        if let Some(target) = routes.single(Point::MatchmakerProcessor) {
            let entries: Vec<Entry> =
                self.pool.all().iter().flat_map(|it| self.entries(it, target)).collect();
            let mode = ExecutionMode::MatchmakerProcessor;
            self.choose(target.clone(), mode, Argument::of(entries), began, ctx);
        } else if let Some(target) = routes.single(Point::MatchmakerOverride) {
            let groups = self.pool.offers(is_late);
            if groups.is_empty() {
                self.cx.metrics.matchmaker.processed(began.elapsed());
                return;
            }
            let of_group = |group: &Group| -> Vec<Entry> {
                group.tickets.iter().flat_map(|it| self.entries(it, target)).collect()
            };
            let groups: Vec<Vec<Entry>> = groups.iter().map(of_group).collect();
            let mode = ExecutionMode::MatchmakerOverride;
            self.choose(target.clone(), mode, Argument::of(groups), began, ctx);
        } else {
            let groups = self.pool.process(clock::now_ns(), is_late);
            self.tell_lacks();
            self.deliver(groups, began, ctx);
        }
    }

    fn entries(&self, ticket: &super::Ticket, target: &Target) -> Vec<Entry> {
        Entry::of(ticket, &self.cx.config.name, target.language)
    }

    /// Lets a module choose the groups.
    fn choose(
        &mut self,
        target: Target,
        mode: ExecutionMode,
        argument: Argument,
        began: Instant,
        ctx: &mut Context<Self>,
    ) {
        self.busy = true;
        let answer = async move { target.invoke(mode, vec![argument]).await };
        ctx.spawn(answer.into_actor(self).map(move |answer, this, ctx| {
            this.busy = false;
            let chosen = answer.and_then(|answer| matched::chosen(answer.as_ref()));
            let chosen = chosen.unwrap_or_else(|error| {
                tracing::error!(mode = mode.name(), %error, "matchmaker function failed");
                Vec::new()
            });
            // Tickets were added and taken back meanwhile.
            let groups = this.pool.form(&chosen, clock::now_ns());
            if groups.len() < chosen.len() {
                let dropped = chosen.len() - groups.len();
                tracing::debug!(
                    mode = mode.name(),
                    dropped,
                    "groups of tickets that wait no longer"
                );
            }
            this.deliver(groups, began, ctx);
        }));
    }

    /// Tells those who were matched.
    fn deliver(&mut self, groups: Vec<Group>, began: Instant, ctx: &mut Context<Self>) {
        let cx = Arc::clone(&self.cx);
        match cx.routes.load().single(Point::MatchmakerMatched).cloned() {
            Some(target) if !groups.is_empty() => {
                self.busy = true;
                let told = async move { matched::tell_by(&cx, &target, groups).await };
                ctx.spawn(told.into_actor(self).map(move |(), this, _| {
                    this.busy = false;
                    this.cx.metrics.matchmaker.processed(began.elapsed());
                }));
            }
            _ => {
                groups.iter().for_each(|group| matched::tell(&cx, group, None));
                self.cx.metrics.matchmaker.processed(began.elapsed());
            }
        }
    }

    fn publish(&self) {
        self.cx.metrics.matchmaker.waiting(self.pool.len(), self.pool.active());
        let completions = self.pool.completions().map(|completion| MatchmakerCompletionStats {
            create_time: Some(timestamp(completion.created_at_ns)),
            complete_time: Some(timestamp(completion.completed_at_ns)),
        });
        self.cx.matchmaker.stats.store(Arc::new(MatchmakerStats {
            ticket_count: i32::try_from(self.pool.len()).unwrap_or(i32::MAX),
            oldest_ticket_create_time: self.pool.oldest_ns().map(timestamp),
            completions: completions.collect(),
        }));
    }

    /// Tells operators who listen why the oldest tickets wait.
    fn tell_lacks(&self) {
        const TOLD: usize = 20;
        if !tracing::enabled!(tracing::Level::DEBUG) {
            return;
        }
        for explanation in self.pool.oldest(TOLD).filter_map(|id| self.pool.explain(&id)) {
            let Explanation { ticket, active, others, fit, lacks, .. } = &explanation;
            let clauses: Vec<String> = explanation
                .clauses
                .iter()
                .map(|clause| format!("{}: {}", clause.text, clause.satisfied))
                .collect();
            let clauses = clauses.join(", ");
            tracing::debug!(%ticket, active, others, fit, clauses, %lacks, "matchmaker ticket waits");
        }
    }
}

fn timestamp(ns: i64) -> Timestamp {
    const SECOND: i64 = 1_000_000_000;
    Timestamp {
        seconds: ns.div_euclid(SECOND),
        nanos: i32::try_from(ns.rem_euclid(SECOND)).unwrap_or_default(),
    }
}

impl Actor for Matching {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        ctx.run_interval(self.interval(), Self::tick);
    }
}

#[derive(Message)]
#[rtype(result = "Result<Uuid, NotAdded>")]
struct Add(NewTicket);

impl Handler<Add> for Matching {
    type Result = Result<Uuid, NotAdded>;

    fn handle(&mut self, Add(new): Add, _: &mut Self::Context) -> Self::Result {
        // A session that ends takes its tickets back, if it is known to have some by then.
        for presence in &new.presences {
            let session = self.cx.sockets.get(presence.session_id).ok_or(NotAdded::Unavailable)?;
            if !session.begin_waiting() {
                return Err(NotAdded::Unavailable);
            }
        }
        let id = Uuid::new_v4();
        self.pool.add(id, clock::now_ns(), new)?;
        Ok(id)
    }
}

#[derive(Message)]
#[rtype(result = "bool")]
struct Remove {
    owner: Owner,
    ticket: Uuid,
}

impl Handler<Remove> for Matching {
    type Result = bool;

    fn handle(&mut self, message: Remove, _: &mut Self::Context) -> bool {
        self.pool.remove(&message.owner, &message.ticket)
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct RemoveSession(Uuid);

impl Handler<RemoveSession> for Matching {
    type Result = ();

    fn handle(&mut self, message: RemoveSession, _: &mut Self::Context) {
        self.pool.remove_session(&message.0);
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct RemoveParty(String);

impl Handler<RemoveParty> for Matching {
    type Result = ();

    fn handle(&mut self, message: RemoveParty, _: &mut Self::Context) {
        self.pool.remove_party(&message.0);
    }
}

#[derive(Message)]
#[rtype(result = "Option<Explanation>")]
struct Explain(Uuid);

impl Handler<Explain> for Matching {
    type Result = Option<Explanation>;

    fn handle(&mut self, message: Explain, _: &mut Self::Context) -> Self::Result {
        self.pool.explain(&message.0)
    }
}
