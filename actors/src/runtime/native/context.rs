//! The context of a call as native modules read it.

use guildhall_sdk::{Context as Wire, value::wire::Texts};

use super::{super::surroundings::Surroundings, matches::Instance};
use crate::runtime::call::{Context, ExecutionMode};

/// The message of `context`; `surroundings` says what is the same for all calls, `instance` which
/// match it is that is called.
pub(super) fn of(
    context: &Context,
    surroundings: &Surroundings,
    instance: Option<&Instance>,
) -> Wire {
    let texts = |pairs: &Option<Vec<(String, Vec<String>)>>| {
        let pairs = pairs.iter().flatten().cloned();
        pairs.map(|(name, values)| (name, Texts { values })).collect()
    };
    let caller = &context.caller;
    let mut wire = Wire {
        env: surroundings.env.clone(),
        execution_mode: context.mode.name().to_owned(),
        node: surroundings.node.clone(),
        version: surroundings.version.clone(),
        headers: texts(&context.headers),
        query_params: texts(&context.query_params),
        client_ip: caller.client_ip.map(|ip| ip.to_string()).unwrap_or_default(),
        trace_id: caller.trace_id.to_string(),
        ..Wire::default()
    };
    if caller.client_port != 0 {
        wire.client_port = caller.client_port.to_string();
    }
    if let Some(user) = &caller.user {
        wire.user_id = user.id.to_string();
        wire.username.clone_from(&user.username);
        wire.vars.clone_from(&user.vars);
        wire.user_session_exp = user.expires_s;
        wire.session_id = context.session_id.clone().unwrap_or_default();
        wire.lang = context.lang.clone().unwrap_or_default();
    }
    if let Some(instance) = instance {
        wire.execution_mode = ExecutionMode::Match.name().to_owned();
        instance.describe(&mut wire);
    }
    wire
}

#[cfg(test)]
mod tests {
    use guildhall_core::{Caller, caller::User};
    use uuid::Uuid;

    use super::*;
    use crate::runtime::call::ExecutionMode;

    #[test]
    fn a_context_without_a_user_has_no_session_fields() {
        let surroundings =
            Surroundings { node: "n1".into(), version: "3.40".into(), ..Surroundings::default() };
        let mut context = Context {
            mode: ExecutionMode::Rpc,
            session_id: Some("s".into()),
            lang: Some("en".into()),
            query_params: Some(vec![("q".into(), vec!["1".into(), "2".into()])]),
            ..Context::default()
        };
        let wire = of(&context, &surroundings, None);
        assert_eq!((wire.execution_mode.as_str(), wire.node.as_str()), ("rpc", "n1"));
        assert_eq!((wire.user_id.as_str(), wire.session_id.as_str()), ("", ""));
        assert_eq!(wire.query_params["q"].values, ["1", "2"]);

        let id = Uuid::from_u128(7);
        context.caller = Caller {
            user: Some(User {
                id,
                username: "ann".into(),
                vars: [("a".to_owned(), "b".to_owned())].into(),
                expires_s: 9,
                token_id: String::new(),
                issued_s: 0,
            }),
            ..Caller::default()
        };
        let wire = of(&context, &surroundings, None);
        assert_eq!((wire.user_id, wire.session_id), (id.to_string(), "s".to_owned()));
        assert_eq!((wire.user_session_exp, wire.lang.as_str()), (9, "en"));
        assert_eq!(wire.vars["a"], "b");
    }
}
