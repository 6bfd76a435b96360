//! Errors: what is the caller's to mend ([`Status`]) and what is ours ([`Fault`]).
//!
//! A `Status` is part of the API and sent as it stands. A `Fault` is logged once, at the edge,
//! with its source; the client sees only its public sentence.

use std::{any::Any, borrow::Cow, error::Error as StdError, fmt};

/// A gRPC status code.
///
/// A module may raise any number, which reaches the client unchanged, so this is not an enum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Code(pub u32);

#[allow(non_upper_case_globals, missing_docs, reason = "the names are gRPC's")]
impl Code {
    pub const Ok: Code = Code(0);
    pub const Cancelled: Code = Code(1);
    pub const Unknown: Code = Code(2);
    pub const InvalidArgument: Code = Code(3);
    pub const DeadlineExceeded: Code = Code(4);
    pub const NotFound: Code = Code(5);
    pub const AlreadyExists: Code = Code(6);
    pub const PermissionDenied: Code = Code(7);
    pub const ResourceExhausted: Code = Code(8);
    pub const FailedPrecondition: Code = Code(9);
    pub const Aborted: Code = Code(10);
    pub const OutOfRange: Code = Code(11);
    pub const Unimplemented: Code = Code(12);
    pub const Internal: Code = Code(13);
    pub const Unavailable: Code = Code(14);
    pub const DataLoss: Code = Code(15);
    pub const Unauthenticated: Code = Code(16);
}

impl Code {
    /// The name in texts of gRPC errors.
    pub const fn name(self) -> &'static str {
        match self.0 {
            0 => "OK",
            1 => "Canceled",
            3 => "InvalidArgument",
            4 => "DeadlineExceeded",
            5 => "NotFound",
            6 => "AlreadyExists",
            7 => "PermissionDenied",
            8 => "ResourceExhausted",
            9 => "FailedPrecondition",
            10 => "Aborted",
            11 => "OutOfRange",
            12 => "Unimplemented",
            13 => "Internal",
            14 => "Unavailable",
            15 => "DataLoss",
            16 => "Unauthenticated",
            _ => "Unknown",
        }
    }

    /// The HTTP status of this code by the gRPC gateway's table; 500 for a number outside it.
    pub fn http_status(self) -> u16 {
        match self.0 {
            0 => 200,
            1 => 499,
            3 | 9 | 11 => 400,
            4 => 504,
            5 => 404,
            6 | 10 => 409,
            7 => 403,
            8 => 429,
            12 => 501,
            14 => 503,
            16 => 401,
            _ => 500,
        }
    }
}

/// A refusal that the caller can mend: a code and the sentence the client sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The gRPC code.
    pub code: Code,
    /// The sentence, part of the API.
    pub message: Cow<'static, str>,
    /// Where a script raised it; RPC answers of JavaScript functions show it.
    pub trace: Option<Box<str>>,
}

impl Status {
    /// A constant refusal.
    pub const fn new(code: Code, message: &'static str) -> Self {
        Self { code, message: Cow::Borrowed(message), trace: None }
    }

    /// Code and sentence in one, as the reference shows a gRPC error where it expects a text.
    pub fn described(&self) -> String {
        format!("rpc error: code = {} desc = {}", self.code.name(), self.message)
    }

    /// A refusal whose sentence holds values.
    pub fn of(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: Cow::Owned(message.into()), trace: None }
    }
}

/// A failure of ours: a public sentence, and a source for the log.
#[derive(Debug)]
pub struct Fault {
    /// What the client sees, with code 13 unless `code` says otherwise.
    pub message: Cow<'static, str>,
    /// 13, or what names the kind of failure better (14 while the database is away).
    pub code: Code,
    /// What went wrong; logged, never sent.
    pub source: Box<dyn StdError + Send + Sync>,
    /// Where a script raised it; RPC answers of JavaScript functions show it.
    pub trace: Option<Box<str>>,
}

impl Fault {
    /// A fault with code 13.
    pub fn new(
        message: impl Into<Cow<'static, str>>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self { message: message.into(), code: Code::Internal, source: source.into(), trace: None }
    }
}

/// Either of the two.
#[derive(Debug)]
pub enum Error {
    /// The caller's to mend.
    Status(Status),
    /// Ours to mend; boxed since it is rare and large.
    Fault(Box<Fault>),
}

/// The result of all work on behalf of a caller.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The code the client sees.
    pub fn code(&self) -> Code {
        match self {
            Self::Status(status) => status.code,
            Self::Fault(fault) => fault.code,
        }
    }

    /// The sentence the client sees.
    pub fn message(&self) -> &str {
        match self {
            Self::Status(status) => &status.message,
            Self::Fault(fault) => &fault.message,
        }
    }

    /// Where a script raised it, if a script did.
    pub fn trace(&self) -> Option<&str> {
        match self {
            Self::Status(status) => status.trace.as_deref(),
            Self::Fault(fault) => fault.trace.as_deref(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => f.write_str(&status.message),
            Self::Fault(fault) => write!(f, "{}: {}", fault.message, fault.source),
        }
    }
}

impl StdError for Error {}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::Fault(Box::new(fault))
    }
}

/// Names the public sentence of a failure where it arises.
pub trait OrFault<T> {
    /// Turns the error into a [`Fault`] that shows `message` to the client.
    ///
    /// # Errors
    /// The fault, with the error as its source.
    fn or_fault(self, message: &'static str) -> Result<T>;
}

impl<T, E: Into<Box<dyn StdError + Send + Sync>>> OrFault<T> for std::result::Result<T, E> {
    fn or_fault(self, message: &'static str) -> Result<T> {
        self.map_err(|source| Fault::new(message, source).into())
    }
}

/// What a panic said.
pub fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("panic without a text")
}
