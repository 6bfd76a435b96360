//! One generic handler that serves every endpoint: authentication, binding, before hook, work, after
//! hook, answer.

use std::borrow::Cow;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Instant;

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::web::Bytes;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use guildhall_actors::endpoint::{Body, Endpoint, EndpointVisitor};
use guildhall_actors::metrics::{Calls, Metrics};
use guildhall_actors::runtime::call::{Context, ExecutionMode};
use guildhall_actors::store::Call;
use guildhall_core::{Caller, Code, Error, OrFault, Result, Status};

use super::Worker;
use super::answer::{self, Answer};
use super::bind::Binding;
use super::path::{Table, parameters};

/// A before hook gave nothing back. The sentence is the reference's.
const DISABLED: Status = Status::new(Code::NotFound, "Requested resource was not found.");
const STOPPING: Status = Status::new(Code::Unavailable, "The server is shutting down.");

/// A request to an endpoint, its route found and its body read.
pub(super) struct Incoming<'a> {
    pub(super) request: &'a HttpRequest,
    /// The values of the path's parameters.
    pub(super) params: Vec<Cow<'a, [u8]>>,
    pub(super) body: Bytes,
}

/// An endpoint at one of its routes, whichever it is.
pub(super) trait Mounted: Send + Sync {
    /// The endpoint's published name.
    fn name(&self) -> &'static str;
    /// Whether its requests have bodies; otherwise none is looked at.
    fn reads_body(&self) -> bool;
    /// Serves one request.
    fn serve<'a>(
        &'a self,
        worker: &'a Worker,
        incoming: Incoming<'a>,
    ) -> LocalBoxFuture<'a, Answer>;
}

struct Mount<E> {
    binding: Binding,
    calls: Arc<Calls>,
    endpoint: PhantomData<fn() -> E>,
}

impl<E: Endpoint> Mounted for Mount<E> {
    fn name(&self) -> &'static str {
        E::NAME
    }

    fn reads_body(&self) -> bool {
        E::BODY != Body::None
    }

    fn serve<'a>(
        &'a self,
        worker: &'a Worker,
        incoming: Incoming<'a>,
    ) -> LocalBoxFuture<'a, Answer> {
        async move {
            let mut caller = worker.edge.caller(incoming.request.head());
            // The reference's gateway, in front of its API, knows no ports.
            caller.client_port = 0;
            let trace_id = caller.trace_id;
            let (began, received) = (Instant::now(), incoming.body.len());
            let result = self.answer(worker, incoming, caller).await;
            let sent = result.as_ref().map_or(0, Vec::len);
            let code = result.as_ref().map_or_else(Error::code, |_| Code::Ok);
            self.calls.record(code, began.elapsed(), received, sent);
            match result {
                Ok(body) => Answer::json(StatusCode::OK, body),
                Err(error) => answer::failure(&error, E::NAME, trace_id),
            }
        }
        .boxed_local()
    }
}

impl<E: Endpoint> Mount<E> {
    async fn answer(
        &self,
        worker: &Worker,
        incoming: Incoming<'_>,
        mut caller: Caller,
    ) -> Result<Vec<u8>> {
        // As in the reference, what cannot be read is told before who may not ask.
        let query = incoming.request.query_string();
        let mut request: E::Request = self.binding.bind(&incoming.params, query, &incoming.body)?;
        caller.user = worker.edge.user(E::AUTH, incoming.request)?;

        let (before, after) = worker.edge.hooks::<E>();
        if let Some(before) = before {
            let context = context(ExecutionMode::Before, &caller);
            match before.before::<E>(context, &request).await? {
                Some(changed) => request = changed,
                None if E::HAS_INPUT => return Err(DISABLED.into()),
                None => {}
            }
        }
        let kept = after.is_some().then(|| request.clone());
        let call = Call::<E>::new(caller, request);
        let (caller, response) =
            worker.store.send(call).await.map_err(|_| Error::from(STOPPING))??;
        if let (Some(after), Some(request)) = (after, kept) {
            let context = context(ExecutionMode::After, &caller);
            if let Err(error) = after.after::<E>(context, &response, &request).await {
                answer::log_after_hook(&error, E::NAME, caller.trace_id);
            }
        }
        serde_json::to_vec(&response).or_fault("Error encoding the answer.")
    }
}

fn context(mode: ExecutionMode, caller: &Caller) -> Context {
    Context { mode, caller: caller.clone(), ..Context::default() }
}

/// Gathers the routes of every endpoint that it is shown.
pub(super) struct Mounts {
    metrics: Arc<Metrics>,
    pub(super) table: Table<Box<dyn Mounted>>,
    /// What is wrong with the declarations, which the tests of the tables would have told.
    pub(super) errors: Vec<String>,
}

impl Mounts {
    /// No endpoints yet; their calls will be recorded in `metrics`.
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, table: Table::default(), errors: Vec::new() }
    }
}

impl EndpointVisitor for Mounts {
    fn visit<E: Endpoint>(&mut self) {
        let calls = self.metrics.api(E::NAME);
        for (verb, template) in E::ROUTES {
            let params: Vec<&str> = parameters(template).collect();
            match Binding::new::<E::Request>(E::BODY, &params) {
                Ok(binding) => {
                    self.table.add(
                        *verb,
                        template,
                        Box::new(Mount::<E> {
                            binding,
                            calls: Arc::clone(&calls),
                            endpoint: PhantomData,
                        }),
                    );
                }
                Err(field) => {
                    self.errors.push(format!("{}: no field {field} for {template}", E::NAME))
                }
            }
        }
    }
}
