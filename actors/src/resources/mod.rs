//! One slice per resource: endpoints, sentences, handlers, work, SQL and host functions.

pub mod account;
pub mod authenticate;
pub mod event;
pub mod healthcheck;
pub mod link;
mod rules;
pub mod session;
pub mod storage;
pub mod user;

use guildhall_core::{Error, Status};

use crate::database::DbError;

/// What a module sees of a failed host function: what it was doing, then what went wrong, with the
/// database's own words where it was the database.
fn raised(doing: &str, error: Error) -> Error {
    let code = error.code();
    let cause = match error {
        Error::Status(status) => status.described(),
        Error::Fault(fault) => match fault.source.downcast_ref::<DbError>() {
            Some(error) => error.message(),
            None => fault.message.into_owned(),
        },
    };
    Status::of(code, format!("{doing}: {cause}")).into()
}
