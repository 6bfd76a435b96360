//! `Store`: runs slices against the database. One lives on each HTTP worker's arbiter.

use std::{marker::PhantomData, panic::AssertUnwindSafe, sync::Arc};

use actix::{Actor, Context, Handler, Message, ResponseFuture};
use futures_util::FutureExt;
use guildhall_core::{Caller, Fault, Result, panic_text};

use crate::{cx::Cx, database, endpoint::Endpoint};

const PANICKED: &str = "Internal Server Error";

/// Asks for the work of endpoint `E`, after its before hook. Answers the caller as the work left
/// it (a sign-in fills in the user) and the response.
#[derive(Debug)]
pub struct Call<E: Endpoint> {
    caller: Caller,
    request: E::Request,
    endpoint: PhantomData<fn() -> E>,
}

impl<E: Endpoint> Call<E> {
    /// The call of `E` by `caller`.
    pub fn new(caller: Caller, request: E::Request) -> Self {
        Self { caller, request, endpoint: PhantomData }
    }
}

impl<E: Endpoint> Message for Call<E> {
    type Result = Result<(Caller, E::Response)>;
}

/// The actor over the database.
///
/// Calls interleave: the actor is not a queue of one.
#[derive(Debug)]
pub struct Store {
    cx: Arc<Cx>,
    mailbox: usize,
}

impl Store {
    /// A store on `cx` that holds at most `mailbox` calls not yet begun.
    pub fn new(cx: Arc<Cx>, mailbox: usize) -> Self {
        Self { cx, mailbox }
    }
}

impl Actor for Store {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // Actix holds 16 messages unless told otherwise.
        ctx.set_mailbox_capacity(self.mailbox);
    }
}

impl<E: Endpoint> Handler<Call<E>> for Store {
    type Result = ResponseFuture<Result<(Caller, E::Response)>>;

    fn handle(&mut self, call: Call<E>, _: &mut Self::Context) -> Self::Result {
        let cx = Arc::clone(&self.cx);
        Box::pin(async move {
            let mut caller = call.caller;
            // A panic fails this call alone; it must not end the actor, which has others in hand.
            let work = AssertUnwindSafe(E::handle(&cx, &mut caller, call.request)).catch_unwind();
            let outcome = work.await.unwrap_or_else(|panic| {
                Err(Fault::new(PANICKED, panic_text(&*panic).to_owned()).into())
            });
            outcome.map(|response| (caller, response)).map_err(database::told)
        })
    }
}
