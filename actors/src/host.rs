//! The declaration of a host function: what modules reach as `nk`.
//!
//! A host function is a struct whose fields, in order, are its positional parameters. Each
//! interpreter reads arguments by its own [`serde::Deserializer`] and writes results by its own
//! [`serde::Serializer`], behind `erased_serde`, so a function is compiled once for all languages.

use std::{borrow::Cow, fmt, future::Future, marker::PhantomData, ops::Deref};

use erased_serde::Serialize as Erased;
use futures_util::future::LocalBoxFuture;
use guildhall_core::Result;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, IgnoredAny},
};

use crate::{cx::Cx, runtime::call::Context};

/// A language that modules are written in, by precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    /// A shared library over the C ABI; takes the place Go has in the reference.
    Native,
    /// Lua 5.1, by LuaJIT.
    Lua,
    /// JavaScript, by QuickJS.
    JavaScript,
}

impl Language {
    /// All, by precedence.
    pub const ALL: [Self; 3] = [Self::Native, Self::Lua, Self::JavaScript];

    /// The name in logs and metric labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Lua => "lua",
            Self::JavaScript => "javascript",
        }
    }
}

/// From where a host function was called.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The calling module's language.
    pub language: Language,
    /// The call that the module is answering; `None` while modules are loaded.
    pub context: &'a Context,
}

/// The shape of what a function gives back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returns {
    /// Nothing; the output is `()`.
    Nothing,
    /// One value.
    Value,
    /// One value, or no result at all where it is absent.
    Maybe,
    /// The fields of a struct: several results in Lua, one object in JavaScript.
    Each,
}

/// Bytes, as a module holds them: a string in Lua, an `ArrayBuffer` in JavaScript, which may give a
/// string as well.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Bytes(#[serde(with = "serde_bytes")] Vec<u8>);

impl Bytes {
    /// The format of their schema.
    pub const FORMAT: &str = "binary";

    /// The bytes themselves.
    pub fn into_vec(self) -> Vec<u8> {
        self.0
    }
}

impl<T: Into<Vec<u8>>> From<T> for Bytes {
    fn from(bytes: T) -> Self {
        Self(bytes.into())
    }
}

impl Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl JsonSchema for Bytes {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Bytes".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": Self::FORMAT })
    }
}

/// What parameters are that a module leaves out: for `#[serde(default = "…")]`.
pub(crate) mod defaults {
    pub(crate) const fn yes() -> bool {
        true
    }

    pub(crate) const fn hundred() -> i64 {
        100
    }
}

/// A function of the `nk` module.
///
/// The schemas of the parameters and the output, with the comments on their fields, become the
/// types that modules are written against.
pub trait HostFn: DeserializeOwned + JsonSchema + 'static {
    /// The name in snake case; other languages' names follow from it.
    const NAME: &'static str;
    /// The shape of what it gives back.
    const RETURNS: Returns = Returns::Value;
    /// The languages that have it.
    const LANGUAGES: &'static [Language] = &Language::ALL;
    /// The order of the parameters in JavaScript where it is not that of the fields.
    const JAVASCRIPT_ORDER: Option<&'static [&'static str]> = None;
    /// Whether its second parameter is a function of the module's, a [`Callback`]: then it answers
    /// a [`Step`], and its last parameter is a [`Given`].
    const CALLS_BACK: bool = false;
    /// What it gives back. Shared, since loading answers are kept for later interpreters.
    type Output: JsonSchema + Serialize + Send + Sync + 'static;

    /// The work. Where it waits, the calling script thread waits and its deadline stands still.
    fn call(self, cx: &Cx, origin: Origin<'_>) -> impl Future<Output = Result<Self::Output>>;
}

/// A parameter that is a function of the module's: it makes an `R` of an `A`.
///
/// No function of a module reaches the server, which answers in steps instead: as long as it gives
/// an `ask`, the language calls the function with it and calls the server again, with the same
/// arguments and what came of it. Lua and JavaScript do so themselves; native modules go through
/// the steps on their own.
pub struct Callback<A, R>(PhantomData<fn(A) -> R>);

impl<A, R> Default for Callback<A, R> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<A, R> fmt::Debug for Callback<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Callback")
    }
}

impl<'de, A, R> Deserialize<'de> for Callback<A, R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Whatever stands there stays with the language.
        Option::<IgnoredAny>::deserialize(deserializer).map(|_| Self::default())
    }
}

impl<A: JsonSchema, R: JsonSchema> JsonSchema for Callback<A, R> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Callback".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (takes, gives) = (generator.subschema_for::<A>(), generator.subschema_for::<R>());
        json_schema!({ "function": { "takes": takes, "gives": gives } })
    }
}

/// What a function that calls back answers; the module sees a `T`.
#[derive(Debug, Serialize)]
pub struct Step<A, T> {
    /// What the module's function is to be called with, until the work is done.
    ask: Option<A>,
    /// How often it was called before.
    round: i32,
    /// What came of the work.
    done: Option<T>,
}

impl<A, T> Step<A, T> {
    /// The module's function is to be called with this.
    pub fn ask(round: i32, with: A) -> Self {
        Self { ask: Some(with), round, done: None }
    }

    /// The work is done.
    pub fn done(round: i32, with: T) -> Self {
        Self { ask: None, round, done: Some(with) }
    }
}

impl<A, T: JsonSchema> JsonSchema for Step<A, T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<T>()
    }
}

/// What a module's function made of the step before.
#[derive(Debug, Deserialize)]
pub struct Given<R> {
    /// The `round` of that step.
    pub round: i32,
    /// What it made.
    pub value: R,
}

/// What a host function gave back, ready for any language.
pub type Answer = Box<dyn Erased + Send + Sync>;

/// A [`HostFn`] without its type: a row of [`crate::tables::HOST_FUNCTIONS`].
pub struct HostFunction {
    /// The name in snake case.
    pub name: &'static str,
    /// The shape of what it gives back.
    pub returns: Returns,
    /// The languages that have it.
    pub languages: &'static [Language],
    /// The order of the parameters in JavaScript where it is not that of the fields.
    pub javascript_order: Option<&'static [&'static str]>,
    /// Whether it calls a function of the module's, its second parameter.
    pub calls_back: bool,
    /// The schema of the parameters: an object whose properties stand in their order.
    pub parameters: MakeSchema,
    /// The schema of what it gives back.
    pub output: MakeSchema,
    begin: Begin,
}

/// Makes a schema, with the types that it names in the generator's definitions.
pub type MakeSchema = fn(&mut SchemaGenerator) -> Schema;

type Begin = for<'a> fn(
    &mut dyn erased_serde::Deserializer<'_>,
    &'a Cx,
    Origin<'a>,
) -> Result<LocalBoxFuture<'a, Result<Answer>>, erased_serde::Error>;

impl HostFunction {
    /// The row of `F`.
    pub const fn of<F: HostFn>() -> Self {
        Self {
            name: F::NAME,
            returns: F::RETURNS,
            languages: F::LANGUAGES,
            javascript_order: F::JAVASCRIPT_ORDER,
            calls_back: F::CALLS_BACK,
            parameters: F::json_schema,
            output: |generator| generator.subschema_for::<F::Output>(),
            begin: begin::<F>,
        }
    }

    /// Reads the arguments (a struct, by position or name) and begins the work.
    ///
    /// # Errors
    /// What is wrong with the arguments, in the words of the deserializer.
    pub fn begin<'a>(
        &self,
        arguments: &mut dyn erased_serde::Deserializer<'_>,
        cx: &'a Cx,
        origin: Origin<'a>,
    ) -> Result<LocalBoxFuture<'a, Result<Answer>>, erased_serde::Error> {
        (self.begin)(arguments, cx, origin)
    }
}

impl fmt::Debug for HostFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostFunction").field("name", &self.name).finish_non_exhaustive()
    }
}

fn begin<'a, F: HostFn>(
    arguments: &mut dyn erased_serde::Deserializer<'_>,
    cx: &'a Cx,
    origin: Origin<'a>,
) -> Result<LocalBoxFuture<'a, Result<Answer>>, erased_serde::Error> {
    let function: F = erased_serde::deserialize(arguments)?;
    Ok(Box::pin(async move {
        let output = function.call(cx, origin).await?;
        Ok(Box::new(output) as Answer)
    }))
}
