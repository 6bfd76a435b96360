//! The declaration of a client endpoint.
//!
//! From one declaration come the route and its verb, how path, query and body fill the request,
//! the authentication, the before and after hook points, and the metric label.

use std::future::Future;

use guildhall_core::{Caller, Result};
use prost_reflect::MessageDescriptor;
use serde::{Serialize, de::DeserializeOwned};

use crate::cx::Cx;

/// How a client proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Not at all.
    None,
    /// By the server key, as the user name of HTTP Basic.
    ServerKey,
    /// By a session token.
    Session,
}

/// What of the request the HTTP body fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// Nothing: all fields come from path and query.
    None,
    /// The whole request; the query is not read.
    Whole,
    /// One field of the request; the others come from path and query.
    Field(&'static str),
}

/// An HTTP verb that the API uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are HTTP's")]
pub enum Verb {
    Get,
    Post,
    Put,
    Delete,
}

/// A wire message: binary, JSON and reflection all know it.
pub trait Message:
    prost::Message + prost::Name + Default + Clone + Serialize + DeserializeOwned + 'static
{
    /// The message's descriptor in the embedded descriptor pool.
    fn descriptor() -> Option<MessageDescriptor> {
        guildhall_proto::descriptors().get_message_by_name(&Self::full_name())
    }
}

impl<M> Message for M where
    M: prost::Message + prost::Name + Default + Clone + Serialize + DeserializeOwned + 'static
{
}

/// A client endpoint. Declared by [`endpoints!`](crate::endpoints), listed in [`crate::tables`].
pub trait Endpoint: 'static {
    /// The published name, as hooks and metrics use it: `GetAccount`.
    const NAME: &'static str;
    /// Verbs and path templates (`/v2/group/{group_id}/add`) that lead here.
    const ROUTES: &'static [(Verb, &'static str)];
    /// How the client proves who it is.
    const AUTH: Auth;
    /// What of the request the HTTP body fills.
    const BODY: Body;
    /// Whether a client sends anything: a before hook that returns nothing disables only such.
    const HAS_INPUT: bool = true;
    /// Whether modules may hook it.
    const HOOKS: bool = true;
    /// What the client sends.
    type Request: Message;
    /// What the client gets.
    type Response: Message;

    /// The work: validates, does, answers. A sign-in fills in the caller's user.
    fn handle(
        cx: &Cx,
        caller: &mut Caller,
        request: Self::Request,
    ) -> impl Future<Output = Result<Self::Response>>;
}

/// Visits endpoints; see [`crate::tables::each_endpoint`].
pub trait EndpointVisitor {
    /// Called once for each endpoint of the table.
    fn visit<E: Endpoint>(&mut self);
}

/// Declares the endpoints of a slice.
///
/// ```ignore
/// endpoints! {
///     /// The caller's account.
///     Get "/v2/account" => GetAccount(Empty) -> Account
///         { auth: Session, body: Body::None, handle: get_account, input: false }
/// }
/// ```
/// Several routes are separated by `|`. `input: false` and `hooks: false` are optional.
#[macro_export]
macro_rules! endpoints {
    ($(
        $(#[$doc:meta])*
        $($verb:ident $path:literal)|+ => $name:ident($request:ty) -> $response:ty {
            auth: $auth:ident, body: $body:expr, handle: $handle:path
            $(, input: $input:literal)? $(, hooks: $hooks:literal)? $(,)?
        }
    )*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name;

        impl $crate::endpoint::Endpoint for $name {
            const NAME: &'static str = stringify!($name);
            const ROUTES: &'static [($crate::endpoint::Verb, &'static str)] =
                &[$(($crate::endpoint::Verb::$verb, $path)),+];
            const AUTH: $crate::endpoint::Auth = $crate::endpoint::Auth::$auth;
            const BODY: $crate::endpoint::Body = $body;
            $(const HAS_INPUT: bool = $input;)?
            $(const HOOKS: bool = $hooks;)?
            type Request = $request;
            type Response = $response;

            async fn handle(
                cx: &$crate::cx::Cx,
                caller: &mut guildhall_core::Caller,
                request: Self::Request,
            ) -> guildhall_core::Result<Self::Response> {
                $handle(cx, caller, request).await
            }
        }
    )*};
}
