//! `ctx`: what a function knows about its call.

use rquickjs::{Array, Ctx, Object, Persistent, Result, Value};
use uuid::Uuid;

use super::{super::surroundings::Surroundings, state::State};
use crate::runtime::call::{Context, ExecutionMode};

/// What is the same in every call, made once per context.
pub(super) struct Constants {
    env: Persistent<Value<'static>>,
    node: Persistent<Value<'static>>,
    version: Persistent<Value<'static>>,
}

impl Constants {
    pub(super) fn new(ctx: &Ctx<'_>, surroundings: &Surroundings) -> Result<Self> {
        let env = Object::new(ctx.clone())?;
        for (name, value) in &surroundings.env {
            env.set(name, value)?;
        }
        let freeze: rquickjs::Function<'_> =
            ctx.globals().get::<_, Object<'_>>("Object")?.get("freeze")?;
        let env: Value<'_> = freeze.call((env,))?;
        let text = |text: &str| {
            rquickjs::String::from_str(ctx.clone(), text)
                .map(|text| Persistent::save(ctx, text.into_value()))
        };
        Ok(Self {
            env: Persistent::save(ctx, env),
            node: text(&surroundings.node)?,
            version: text(&surroundings.version)?,
        })
    }

    /// `ctx` for `InitModule`: nothing but the constants.
    pub(super) fn bare<'js>(&self, ctx: &Ctx<'js>, state: &State) -> Result<Object<'js>> {
        let object = Object::new(ctx.clone())?;
        let names = &state.names;
        object.set(names.atom(ctx, "env")?, self.env.clone().restore(ctx)?)?;
        object.set(names.atom(ctx, "node")?, self.node.clone().restore(ctx)?)?;
        object.set(names.atom(ctx, "version")?, self.version.clone().restore(ctx)?)?;
        Ok(object)
    }

    /// `ctx` for a call. What is not known is left out.
    pub(super) fn of<'js>(
        &self,
        ctx: &Ctx<'js>,
        state: &State,
        context: &Context,
    ) -> Result<Object<'js>> {
        let object = self.bare(ctx, state)?;
        let names = &state.names;
        object.set(names.atom(ctx, "execution_mode")?, context.mode.name())?;
        if let Some(headers) = &context.headers {
            object.set(names.atom(ctx, "headers")?, lists(ctx, headers)?)?;
        }
        if let Some(params) = &context.query_params {
            object.set(names.atom(ctx, "query_params")?, lists(ctx, params)?)?;
        }
        let caller = &context.caller;
        let mut buffer = Uuid::encode_buffer();
        if let Some(user) = &caller.user {
            let mut id = uuid::Uuid::encode_buffer();
            object
                .set(names.atom(ctx, "user_id")?, &*user.id.hyphenated().encode_lower(&mut id))?;
            if !user.username.is_empty() {
                object.set(names.atom(ctx, "username")?, user.username.as_str())?;
            }
            if !user.vars.is_empty() {
                let vars = Object::new(ctx.clone())?;
                for (name, value) in &user.vars {
                    vars.set(name, value)?;
                }
                object.set(names.atom(ctx, "vars")?, vars)?;
            }
            if user.expires_s != 0 {
                object.set(names.atom(ctx, "user_session_exp")?, user.expires_s as f64)?;
            }
        }
        if let Some(id) = &context.session_id {
            object.set(names.atom(ctx, "session_id")?, id.as_str())?;
            let lang = context.lang.as_deref().unwrap_or_default();
            object.set(names.atom(ctx, "lang")?, lang)?;
        }
        if let Some(ip) = caller.client_ip {
            object.set(names.atom(ctx, "client_ip")?, ip.to_string())?;
        }
        // The reference does not know the port in hooks of HTTP requests.
        let hook = matches!(context.mode, ExecutionMode::Before | ExecutionMode::After);
        if caller.client_port != 0 && !(hook && context.session_id.is_none()) {
            object.set(names.atom(ctx, "client_port")?, caller.client_port.to_string())?;
        }
        if caller.trace_id.0 != 0 {
            object.set(names.atom(ctx, "trace_id")?, uuid_text(caller.trace_id.0, &mut buffer))?;
        }
        Ok(object)
    }
}

/// An id as text. Trace ids are shown in this form too, as in the reference.
fn uuid_text(id: u128, buffer: &mut [u8]) -> &str {
    Uuid::from_u128(id).hyphenated().encode_lower(buffer)
}

/// `{name: [value, …]}`.
fn lists<'js>(ctx: &Ctx<'js>, entries: &[(String, Vec<String>)]) -> Result<Object<'js>> {
    let object = Object::new(ctx.clone())?;
    for (name, values) in entries {
        let list = Array::new(ctx.clone())?;
        for (index, value) in values.iter().enumerate() {
            list.set(index, value)?;
        }
        object.set(name, list)?;
    }
    Ok(object)
}
