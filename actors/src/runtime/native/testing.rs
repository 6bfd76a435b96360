//! A native module within the process of a test.
#![allow(unsafe_code, reason = "calls over the C ABI")]

use std::{ptr, sync::Arc};

use guildhall_sdk::{
    abi::{self, Bytes, kind},
    value::wire,
};
use parking_lot::Mutex;
use prost::Message as _;

use super::{Loaded, NativeProgram, host::HOST, library::NativeFunction};
use crate::{
    registry::{FunctionId, Point, Registration},
    runtime::surroundings::Surroundings,
};

impl NativeProgram {
    /// One handler, `native`, whose matches kick nobody with each tick, and fail with what that
    /// fails with.
    pub(in crate::runtime) fn of_kicks(surroundings: Arc<Surroundings>) -> Self {
        let function = NativeFunction {
            module: "kicks.so".into(),
            label: "native".into(),
            number: 1,
            invoke: kicks,
        };
        let registration = Registration {
            point: Point::Match,
            name: "native".to_owned(),
            function: FunctionId(0),
            definition: None,
            module: "kicks.so".to_owned(),
        };
        let loaded = Loaded {
            surroundings: Arc::clone(&surroundings),
            functions: vec![function],
            registrations: vec![registration],
        };
        Self { modules: Vec::new(), surroundings, loaded: Mutex::new(Some(Arc::new(loaded))) }
    }
}

unsafe extern "C" fn kicks(call: abi::Call, _: u32, input: *const abi::Input) -> abi::Code {
    // SAFETY: the server passes a valid input; what it is handed is good during the call.
    unsafe {
        match (*input).kind {
            kind::MATCH_INIT => {
                let init = wire::MatchInit { tick_rate_hz: 10, label: String::new(), r#match: 1 };
                let init = init.encode_to_vec();
                (HOST.answer)(call, init.as_ptr(), init.len())
            }
            kind::MATCH_LOOP => {
                let mut error = Bytes::NONE;
                let code = (HOST.match_kick)(call, ptr::null(), 0, &raw mut error);
                (HOST.answer)(call, error.data, error.len);
                code
            }
            _ => 0,
        }
    }
}
