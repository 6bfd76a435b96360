//! What the functions that scripts call share within one interpreter.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    sync::Arc,
};

use rquickjs::{Atom, Ctx, Persistent, Result};

use super::{super::surroundings::Surroundings, memory::Budget};
use crate::runtime::{call::Context, script::camel_case, seat::Seat};

/// The call in progress, for host functions and log lines.
pub(super) struct Frame {
    /// The module file.
    pub module: Arc<str>,
    /// What was called: the name of the function, or what it was registered for.
    pub function: Arc<str>,
    /// What the function sees as `ctx`.
    pub context: Context,
}

/// Shared by all contexts of an interpreter. Function objects hold it, so it must not hold
/// anything that holds a context when the interpreter ends: see [`State::clear`].
pub(super) struct State {
    pub seat: Arc<Seat>,
    pub surroundings: Arc<Surroundings>,
    pub names: Names,
    pub budget: Rc<Budget>,
    frame: RefCell<Rc<Frame>>,
    /// Set once a call was ended from outside, by its deadline or the memory limit: what it left
    /// half done makes the interpreter unfit for others.
    pub spent: Cell<bool>,
}

impl State {
    pub(super) fn new(
        seat: Arc<Seat>,
        surroundings: Arc<Surroundings>,
        budget: Rc<Budget>,
    ) -> Rc<Self> {
        let frame =
            Frame { module: Arc::from(""), function: Arc::from(""), context: Context::default() };
        Rc::new(Self {
            seat,
            surroundings,
            names: Names::default(),
            budget,
            frame: RefCell::new(Rc::new(frame)),
            spent: Cell::new(false),
        })
    }

    /// The call in progress.
    pub(super) fn frame(&self) -> Rc<Frame> {
        self.frame.borrow().clone()
    }

    /// Notes what is called now.
    pub(super) fn enter(&self, frame: Frame) {
        // What an earlier call was refused, and went on without, is no reason for this one's end.
        self.budget.take_refused();
        self.frame.replace(Rc::new(frame));
    }

    /// Lets go of every handle into the machine.
    pub(super) fn clear(&self) {
        self.names.clear();
    }
}

/// Property names of our own structs in the case of JavaScript, interned once per interpreter.
#[derive(Default)]
pub(super) struct Names {
    atoms: RefCell<HashMap<(*const u8, usize), Persistent<Atom<'static>>>>,
}

impl Names {
    /// The property name of the field or variant `name`: `user_id` is `userId`.
    pub(super) fn atom<'js>(&self, ctx: &Ctx<'js>, name: &'static str) -> Result<Atom<'js>> {
        let key = (name.as_ptr(), name.len());
        if let Some(atom) = self.atoms.borrow().get(&key) {
            return atom.clone().restore(ctx);
        }
        let atom = Atom::from_str(ctx.clone(), &camel_case(name))?;
        self.atoms.borrow_mut().insert(key, Persistent::save(ctx, atom.clone()));
        Ok(atom)
    }

    fn clear(&self) {
        self.atoms.borrow_mut().clear();
    }
}
