//! Loading: evaluates modules, runs `InitModule`, and finds registered functions again.

use std::{collections::HashSet, rc::Rc, sync::Arc};

use rquickjs::{
    Array, Context as Machine, Ctx, Error as JsError, Function, Object, Persistent, Runtime,
    String as Text, Value, function::This, object::Filter,
};
use tracing::warn;

use super::{
    super::surroundings::Surroundings,
    Module, STACK_BYTES,
    initializer::{self, Registrar},
    interpreter::{self, JavaScript, Place, Registered},
    matches::HANDLERS,
    memory::{Budget, Counted},
    raise::Raised,
    raw,
    state::{Frame, State},
};
use crate::{
    host::HostFunction,
    registry::Registration,
    runtime::{call::Context, script::LoadError, seat::Seat},
};

const LOCATE: &str = include_str!("locate.js");
const FREEZE: &str = include_str!("freeze.js");
const FIND_INIT_MODULE: &str = "typeof InitModule === 'function' ? InitModule : undefined";

/// What the first load of a program found out, for later interpreters.
pub(super) struct Loaded {
    modules: Vec<LoadedModule>,
    /// What all modules registered, in order.
    pub registrations: Vec<Registration>,
}

struct LoadedModule {
    bytecode: Vec<u8>,
    /// The globals that the module made.
    globals: Vec<String>,
    functions: Functions,
}

/// How the functions of a module are found again.
enum Functions {
    /// By these names, in the order of their registration, with what they are called in messages.
    ByName(Vec<(Path, Arc<str>)>),
    /// By running `InitModule` again; this many.
    ByInitModule(usize),
}

impl Functions {
    fn count(&self) -> usize {
        match self {
            Self::ByName(paths) => paths.len(),
            Self::ByInitModule(count) => *count,
        }
    }
}

/// The names that reach a function.
struct Path {
    root: Root,
    steps: Vec<Step>,
}

enum Root {
    /// A property of the global object: `function`, `var`.
    Global(String),
    /// A top-level `let`, `const` or `class`.
    Lexical(String),
}

enum Step {
    Property(String),
    Prototype,
}

/// One run of loading, on a machine of its own.
pub(super) struct Loader {
    state: Rc<State>,
    host: &'static [HostFunction],
    /// Whether there is one module only: then it must have an `InitModule`.
    alone: bool,
    runtime: Runtime,
}

impl Loader {
    pub(super) fn new(
        seat: Arc<Seat>,
        surroundings: Arc<Surroundings>,
        host: &'static [HostFunction],
        alone: bool,
    ) -> Result<Self, LoadError> {
        let budget = Budget::new(surroundings.memory_limit_bytes);
        let runtime =
            Runtime::new_with_alloc(Counted(budget.clone())).map_err(|error| broken("", &error))?;
        runtime.set_max_stack_size(STACK_BYTES);
        Ok(Self { state: State::new(seat, surroundings, budget), host, alone, runtime })
    }

    /// Loads for real.
    pub(super) fn first(self, modules: &[Module]) -> Result<(JavaScript, Loaded), LoadError> {
        let mut interpreter = JavaScript::new(self.state.clone(), self.runtime.clone());
        let mut loaded = Loaded { modules: Vec::new(), registrations: Vec::new() };
        for module in modules {
            let place = self.place(&module.name)?;
            let base = interpreter.functions.len();
            let first = place.machine.with(|ctx| self.load(&ctx, &place, module, base))?;
            let FirstLoad { module: found, registrations, functions } = first;
            loaded.registrations.extend(registrations);
            match &found.functions {
                // InitModule ran in this context: one that it has not touched serves the calls.
                Functions::ByName(_) => {
                    drop((functions, place));
                    self.state.clear();
                    self.runtime.run_gc();
                    self.load_again(&mut interpreter, module, &found)?;
                }
                Functions::ByInitModule(_) => {
                    place.machine.with(|ctx| self.freeze(&ctx, module, &found.globals))?;
                    interpreter.add(place, functions);
                }
            }
            loaded.modules.push(found);
        }
        Ok((interpreter, loaded))
    }

    /// Loads what [`Loader::first`] loaded before, perhaps on another thread.
    pub(super) fn again(
        self,
        modules: &[Module],
        loaded: &Loaded,
    ) -> Result<JavaScript, LoadError> {
        let mut interpreter = JavaScript::new(self.state.clone(), self.runtime.clone());
        for (module, found) in modules.iter().zip(&loaded.modules) {
            self.load_again(&mut interpreter, module, found)?;
        }
        Ok(interpreter)
    }

    /// Loads of what [`Loader::first`] loaded what a match needs whose handler's functions are those
    /// from `first` on: one module, and one place.
    pub(super) fn for_match(
        self,
        modules: &[Module],
        loaded: &Loaded,
        first: usize,
    ) -> Result<JavaScript, LoadError> {
        let mut interpreter = JavaScript::new(self.state.clone(), self.runtime.clone());
        let mut base = 0;
        for (module, found) in modules.iter().zip(&loaded.modules) {
            let count = found.functions.count();
            if (base..base + count).contains(&first)
                && let Functions::ByName(paths) = &found.functions
            {
                let paths = paths.iter().skip(first - base).take(HANDLERS.len());
                self.load_named(&mut interpreter, module, found, paths)?;
                return Ok(interpreter);
            }
            base += count;
        }
        // InitModule has to tell: with what host functions answered all modules, in order.
        self.state.seat.loads_again();
        for (module, found) in modules.iter().zip(&loaded.modules) {
            self.load_again(&mut interpreter, module, found)?;
        }
        self.state.seat.loaded();
        interpreter.leave(first, HANDLERS.len());
        Ok(interpreter)
    }

    fn load_named<'a>(
        &self,
        interpreter: &mut JavaScript,
        module: &Module,
        found: &LoadedModule,
        paths: impl Iterator<Item = &'a (Path, Arc<str>)>,
    ) -> Result<(), LoadError> {
        let place = self.place(&module.name)?;
        let functions = place.machine.with(|ctx| {
            self.enter(module, "the top level");
            raw::evaluate(&ctx, &found.bytecode)
                .map_err(|error| self.raised(&ctx, module, &error))?;
            let functions = self.find(&ctx, module, paths)?;
            self.freeze(&ctx, module, &found.globals)?;
            Ok(functions)
        })?;
        interpreter.add(place, functions);
        Ok(())
    }

    fn place(&self, module: &str) -> Result<Place, LoadError> {
        let machine = Machine::full(&self.runtime).map_err(|error| broken(module, &error))?;
        raw::watch(&machine, self.state.seat.clone(), self.state.budget.clone());
        Place::new(machine, &self.state, self.host, module).map_err(|error| broken(module, &error))
    }

    fn load(
        &self,
        ctx: &Ctx<'_>,
        place: &Place,
        module: &Module,
        base: usize,
    ) -> Result<FirstLoad, LoadError> {
        self.enter(module, "the top level");
        let before: HashSet<String> = global_names(ctx).into_iter().collect();
        let bytecode = raw::compile(ctx, &module.source, &module.name)
            .and_then(|bytecode| raw::evaluate(ctx, &bytecode).map(|()| bytecode))
            .map_err(|error| self.raised(ctx, module, &error))?;
        let mut globals = global_names(ctx);
        globals.retain(|name| !before.contains(name));
        // Before InitModule: a name that it gives to a function is not there in later interpreters.
        let names = locate(ctx, &module.source, &globals).ok();
        drop(ctx.catch());
        let (registrations, functions) = self.run_init_module(ctx, place, module, base)?;
        let paths: Option<Vec<_>> = functions
            .iter()
            .map(|registered| {
                let function = registered.function.clone().restore(ctx).ok()?;
                let path = path_of(names.as_ref()?, function)?;
                Some((path, registered.name.clone()))
            })
            .collect();
        drop(ctx.catch());
        let found = match paths {
            Some(paths) => Functions::ByName(paths),
            None => Functions::ByInitModule(functions.len()),
        };
        let module = LoadedModule { bytecode, globals, functions: found };
        Ok(FirstLoad { module, registrations, functions })
    }

    fn load_again(
        &self,
        interpreter: &mut JavaScript,
        module: &Module,
        found: &LoadedModule,
    ) -> Result<(), LoadError> {
        let count = match &found.functions {
            Functions::ByName(paths) => {
                return self.load_named(interpreter, module, found, paths.iter());
            }
            Functions::ByInitModule(count) => *count,
        };
        let place = self.place(&module.name)?;
        let base = interpreter.functions.len();
        let functions = place.machine.with(|ctx| {
            self.enter(module, "the top level");
            raw::evaluate(&ctx, &found.bytecode)
                .map_err(|error| self.raised(&ctx, module, &error))?;
            let (_, functions) = self.run_init_module(&ctx, &place, module, base)?;
            if functions.len() != count {
                return Err(LoadError {
                    module: module.name.clone(),
                    line: None,
                    message: format!(
                        "InitModule registered {} functions where it registered {count} the first \
                         time",
                        functions.len()
                    ),
                });
            }
            self.freeze(&ctx, module, &found.globals)?;
            Ok(functions)
        })?;
        interpreter.add(place, functions);
        Ok(())
    }

    fn find<'a>(
        &self,
        ctx: &Ctx<'_>,
        module: &Module,
        paths: impl Iterator<Item = &'a (Path, Arc<str>)>,
    ) -> Result<Vec<Registered>, LoadError> {
        paths
            .map(|(path, name)| {
                let value = follow(ctx, path).map_err(|error| self.raised(ctx, module, &error))?;
                let function = value.into_function().ok_or_else(|| LoadError {
                    module: module.name.clone(),
                    line: None,
                    message: format!(
                        "function {name} is not there when the module is evaluated again"
                    ),
                })?;
                Ok(Registered {
                    function: Persistent::save(ctx, function),
                    place: 0,
                    name: name.clone(),
                })
            })
            .collect()
    }

    fn run_init_module(
        &self,
        ctx: &Ctx<'_>,
        place: &Place,
        module: &Module,
        base: usize,
    ) -> Result<(Vec<Registration>, Vec<Registered>), LoadError> {
        let init: Value<'_> =
            ctx.eval(FIND_INIT_MODULE).map_err(|error| self.raised(ctx, module, &error))?;
        let Some(init) = init.into_function() else {
            if self.alone {
                return Err(LoadError {
                    module: module.name.clone(),
                    line: None,
                    message: "no function InitModule at the top level".to_owned(),
                });
            }
            warn!(module = module.name, "JavaScript file has no InitModule and registers nothing");
            return Ok((Vec::new(), Vec::new()));
        };
        self.enter(module, "InitModule");
        let registrar = Registrar::new(Arc::from(module.name.as_str()), base);
        let ran = self.call_init_module(ctx, place, &init, &registrar);
        let (registrations, functions) = registrar.finish();
        ran.map_err(|error| self.raised(ctx, module, &error))?;
        let functions = functions
            .into_iter()
            .enumerate()
            .map(|(index, function)| {
                let name = function_name(ctx, &function)
                    .unwrap_or_else(|| registered_as(&registrations, (base + index) as u32));
                Registered { function, place: 0, name }
            })
            .collect();
        Ok((registrations, functions))
    }

    fn call_init_module<'js>(
        &self,
        ctx: &Ctx<'js>,
        place: &Place,
        init: &Function<'js>,
        registrar: &Rc<Registrar>,
    ) -> rquickjs::Result<()> {
        let initializer = initializer::initializer(ctx, &self.state, registrar)?;
        let context = place.constants.bare(ctx, &self.state)?;
        let logger = place.logger.clone().restore(ctx)?;
        let nk = place.nk.clone().restore(ctx)?;
        let this = This(Value::new_null(ctx.clone()));
        init.call::<_, Value<'_>>((this, context, logger, nk, initializer))?;
        interpreter::settle(ctx, &self.state);
        Ok(())
    }

    fn freeze(&self, ctx: &Ctx<'_>, module: &Module, globals: &[String]) -> Result<(), LoadError> {
        if !self.state.surroundings.js_read_only_globals {
            return Ok(());
        }
        ctx.eval::<Function<'_>, _>(FREEZE)
            .and_then(|freeze| freeze.call::<_, ()>((globals.to_vec(),)))
            .map_err(|error| self.raised(ctx, module, &error))
    }

    fn enter(&self, module: &Module, function: &str) {
        self.state.enter(Frame {
            module: Arc::from(module.name.as_str()),
            function: Arc::from(function),
            context: Context::default(),
        });
    }

    fn raised(&self, ctx: &Ctx<'_>, module: &Module, error: &JsError) -> LoadError {
        let raised = Raised::take(ctx, &self.state, error);
        let line = raised.line(&module.name);
        let message = raised.load_message(&self.state.frame().function);
        LoadError { module: module.name.clone(), line, message }
    }
}

struct FirstLoad {
    module: LoadedModule,
    registrations: Vec<Registration>,
    functions: Vec<Registered>,
}

fn broken(module: &str, error: &JsError) -> LoadError {
    let message = format!("the JavaScript machine does not start: {error}");
    LoadError { module: module.to_owned(), line: None, message }
}

fn function_name(ctx: &Ctx<'_>, function: &Persistent<Function<'static>>) -> Option<Arc<str>> {
    let name: Text<'_> = function.clone().restore(ctx).ok()?.get("name").ok()?;
    let name = raw::text(&name).ok()?;
    (!name.is_empty()).then(|| Arc::from(name))
}

fn registered_as(registrations: &[Registration], id: u32) -> Arc<str> {
    let found = registrations.iter().rfind(|registration| registration.function.0 <= id);
    match found {
        Some(registration) => {
            Arc::from(format!("{} {}", registration.point.words(), registration.name).trim_end())
        }
        None => Arc::from("anonymous"),
    }
}

fn global_names(ctx: &Ctx<'_>) -> Vec<String> {
    ctx.globals()
        .own_keys::<Text<'_>>(Filter::new().string())
        .filter_map(|name| raw::text(&name.ok()?).ok())
        .collect()
}

/// A `Map` from everything that the module's names reach to its path.
fn locate<'js>(ctx: &Ctx<'js>, source: &str, globals: &[String]) -> rquickjs::Result<Object<'js>> {
    let roots = Array::new(ctx.clone())?;
    let add = |kind: char, name: &str, value: Value<'js>| {
        let path = Array::new(ctx.clone())?;
        path.set(0, format!("{kind}{name}"))?;
        let root = Array::new(ctx.clone())?;
        root.set(0, path)?;
        root.set(1, value)?;
        roots.set(roots.len(), root)
    };
    for name in globals {
        add('g', name, ctx.globals().get(name)?)?;
    }
    for name in lexical_names(source) {
        match ctx.eval::<Value<'js>, _>(name) {
            Ok(value) => add('l', name, value)?,
            // A name of an inner scope.
            Err(_) => drop(ctx.catch()),
        }
    }
    ctx.eval::<Function<'js>, _>(LOCATE)?.call((roots,))
}

/// The names that follow `let`, `const` and `class` anywhere in the source: those of the top level,
/// and others.
fn lexical_names(source: &str) -> Vec<&str> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    let mut seen = HashSet::new();
    let mut names = Vec::new();
    for keyword in ["let", "const", "class"] {
        for (at, _) in source.match_indices(keyword) {
            let before = source[..at].chars().next_back();
            let after = &source[at + keyword.len()..];
            let name = after.trim_start();
            if before.is_some_and(is_part) || name.len() == after.len() {
                continue;
            }
            let end = name.find(|c| !is_part(c)).unwrap_or(name.len());
            let name = &name[..end];
            let starts = name.chars().next().is_some_and(|c| !c.is_numeric());
            if starts && name != "extends" && seen.insert(name) {
                names.push(name);
            }
        }
    }
    names
}

fn path_of<'js>(paths: &Object<'js>, function: Function<'js>) -> Option<Path> {
    let get: Function<'js> = paths.get("get").ok()?;
    let path: Array<'js> = get.call((This(paths.clone()), function)).ok()?;
    let mut steps = path.iter::<Option<Text<'js>>>();
    let root = raw::text(&steps.next()?.ok()??).ok()?;
    let root = match root.split_at_checked(1)? {
        ("g", name) => Root::Global(name.to_owned()),
        (_, name) => Root::Lexical(name.to_owned()),
    };
    let steps = steps
        .map(|step| match step.ok()? {
            Some(name) => raw::text(&name).ok().map(Step::Property),
            None => Some(Step::Prototype),
        })
        .collect::<Option<_>>()?;
    Some(Path { root, steps })
}

fn follow<'js>(ctx: &Ctx<'js>, path: &Path) -> rquickjs::Result<Value<'js>> {
    let mut value: Value<'js> = match &path.root {
        Root::Global(name) => ctx.globals().get(name)?,
        Root::Lexical(name) => ctx.eval(name.as_str())?,
    };
    for step in &path.steps {
        let Some(object) = value.as_object() else { break };
        value = match step {
            Step::Property(name) => object.get(name)?,
            Step::Prototype => match object.get_prototype() {
                Some(prototype) => prototype.into_value(),
                None => break,
            },
        };
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::lexical_names;

    #[test]
    fn lexical_names_are_those_after_let_const_and_class() {
        let source = "const a = 1; let $b, c; class D extends A {} var e; outlet f; letter g; const {h} = {}; class { }";
        assert_eq!(lexical_names(source), ["$b", "a", "D"]);
    }
}
