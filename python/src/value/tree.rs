//! Trees of containers: a private copy, and the way to copy it again quickly.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyDict, PyFrozenSet, PyList, PySet, PyTuple};

use super::types::Types;
use super::weight;

/// How deep containers may stand in one another to be copied; deeper ones are pickled.
const NESTING: usize = 64;

/// What an object turned out to be.
pub(super) enum Found {
    /// Nothing in it can be changed.
    Leaf,
    /// Plain containers, and leaves in them.
    Container(Node),
    /// Anything else is in it; or a container occurs twice, so that a copy would lose what they share;
    /// or it is nested too deep, perhaps because it contains itself.
    Other,
}

/// A container that the cache owns, and the containers in it. The interpreter copies all leaves in
/// one go; only containers are then replaced by copies of their own.
pub(super) struct Node {
    shape: Shape,
    inner: Box<[(Slot, Node)]>,
}

enum Shape {
    List(Py<PyList>),
    Dict(Py<PyDict>),
    Tuple(Py<PyTuple>),
    Set(Py<PySet>),
    ByteArray(Py<PyByteArray>),
}

/// Where a container stands in another one.
enum Slot {
    Index(usize),
    Key(Py<PyAny>),
}

impl Node {
    /// The cache's own copy, which nobody may change.
    pub(super) fn private(&self) -> &Py<PyAny> {
        match &self.shape {
            Shape::List(list) => list.as_any(),
            Shape::Dict(dict) => dict.as_any(),
            Shape::Tuple(tuple) => tuple.as_any(),
            Shape::Set(set) => set.as_any(),
            Shape::ByteArray(bytes) => bytes.as_any(),
        }
    }

    /// A copy that is the caller's own.
    pub(super) fn copy<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match &self.shape {
            Shape::Dict(dict) => self.copy_dict(dict.bind(py)),
            Shape::List(list) => self.copy_list(list.bind(py)),
            Shape::Tuple(tuple) => Ok(self
                .copy_list(&tuple.bind(py).to_list())?
                .cast_into::<PyList>()?
                .to_tuple()
                .into_any()),
            Shape::Set(set) => py.get_type::<PySet>().call1((set.bind(py),)),
            Shape::ByteArray(bytes) => Ok(PyByteArray::from(bytes.bind(py).as_any())?.into_any()),
        }
    }

    fn copy_dict<'py>(&self, dict: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyAny>> {
        let copy = dict.copy()?;
        for (slot, node) in &self.inner {
            if let Slot::Key(key) = slot {
                copy.set_item(key, node.copy(dict.py())?)?;
            }
        }
        Ok(copy.into_any())
    }

    fn copy_list<'py>(&self, list: &Bound<'py, PyList>) -> PyResult<Bound<'py, PyAny>> {
        let copy = list.get_slice(0, list.len());
        for (slot, node) in &self.inner {
            if let Slot::Index(index) = slot {
                copy.set_item(*index, node.copy(list.py())?)?;
            }
        }
        Ok(copy.into_any())
    }
}

/// Where an object lies: compared, never followed.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Address(usize);

impl Address {
    fn of(object: &Bound<'_, PyAny>) -> Self {
        Self(object.as_ptr() as usize)
    }
}

impl Hash for Address {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_usize(self.0);
    }
}

/// Spreads addresses, which nobody can choose, over a table: one multiplication.
#[derive(Default)]
struct Multiply(u64);

type Spread = BuildHasherDefault<Multiply>;

impl Hasher for Multiply {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_usize(byte.into()));
    }

    fn write_usize(&mut self, value: usize) {
        let mixed = (self.0 ^ value as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// One walk over an object. No code of a user's class runs on it.
pub(super) struct Walk {
    types: &'static Types,
    /// The bytes of everything that was met.
    pub(super) weight: usize,
    depth: usize,
    /// The addresses of containers that were met: those that can be changed, and the others.
    open: HashSet<Address, Spread>,
    frozen: HashSet<Address, Spread>,
}

impl Walk {
    pub(super) fn new(types: &'static Types) -> Self {
        Self {
            types,
            weight: 0,
            depth: 0,
            open: HashSet::default(),
            frozen: HashSet::default(),
        }
    }

    /// What `object` is; a private copy of it, if it is a tree of containers.
    pub(super) fn find(&mut self, object: &Bound<'_, PyAny>) -> PyResult<Found> {
        if let Some(weight) = weight::common(object) {
            self.weight += weight;
            return Ok(Found::Leaf);
        }
        if !is_mutable(object) && self.is_frozen(object)? {
            return Ok(Found::Leaf);
        }
        if self.depth == NESTING || !self.open.insert(Address::of(object)) {
            return Ok(Found::Other);
        }
        self.depth += 1;
        let node = self.container(object);
        self.depth -= 1;
        Ok(node?.map_or(Found::Other, Found::Container))
    }

    /// Whether neither the object nor anything in it can be changed.
    pub(super) fn is_frozen(&mut self, object: &Bound<'_, PyAny>) -> PyResult<bool> {
        if let Some(weight) = self.types.leaf(object) {
            self.weight += weight;
            return Ok(true);
        }
        let members: Box<dyn Iterator<Item = Bound<'_, PyAny>>> =
            if let Ok(tuple) = object.cast_exact::<PyTuple>() {
                Box::new(tuple.iter())
            } else if let Ok(set) = object.cast_exact::<PyFrozenSet>() {
                Box::new(set.iter())
            } else {
                return Ok(self.types.is_member_of_enum(object));
            };
        if self.frozen.contains(&Address::of(object)) {
            return Ok(true);
        }
        if self.depth == NESTING {
            return Ok(false);
        }
        self.depth += 1;
        let before = self.weight;
        let mut frozen = true;
        for member in members {
            if !self.is_frozen(&member)? {
                frozen = false;
                break;
            }
        }
        self.depth -= 1;
        if frozen {
            self.frozen.insert(Address::of(object));
            self.weight += weight::row(object.len()?, size_of::<[usize; 2]>());
        } else {
            self.weight = before;
        }
        Ok(frozen)
    }

    fn container(&mut self, object: &Bound<'_, PyAny>) -> PyResult<Option<Node>> {
        let node = if let Ok(dict) = object.cast_exact::<PyDict>() {
            self.dict(&dict.copy()?)?
        } else if let Ok(list) = object.cast_exact::<PyList>() {
            let list = list.get_slice(0, list.len());
            self.list(&list)?
                .map(|inner| (Shape::List(list.unbind()), inner))
        } else if let Ok(tuple) = object.cast_exact::<PyTuple>() {
            let list = tuple.to_list();
            self.list(&list)?
                .map(|inner| (Shape::Tuple(list.to_tuple().unbind()), inner))
        } else if let Ok(set) = object.cast_exact::<PySet>() {
            self.set(set)?
        } else if let Ok(bytes) = object.cast_exact::<PyByteArray>() {
            let copy = PyByteArray::from(bytes.as_any())?;
            Some((Shape::ByteArray(copy.unbind()), Vec::new()))
        } else {
            None
        };
        let Some((shape, inner)) = node else {
            return Ok(None);
        };
        let count = object.len()?;
        let own = match shape {
            Shape::Dict(_) | Shape::Set(_) => weight::table(count, size_of::<[usize; 3]>()),
            Shape::List(_) | Shape::Tuple(_) => weight::row(count, size_of::<usize>()),
            Shape::ByteArray(_) => weight::row(count, 1),
        };
        self.weight += own + inner.len() * size_of::<(Slot, Node)>();
        let inner = inner.into();
        Ok(Some(Node { shape, inner }))
    }
}

type Parts = Option<(Shape, Vec<(Slot, Node)>)>;

impl Walk {
    /// `dict` is a private copy already; its containers are replaced by private ones.
    fn dict(&mut self, dict: &Bound<'_, PyDict>) -> PyResult<Parts> {
        let mut inner = Vec::new();
        for (key, value) in dict.iter() {
            // Copies hash a key only where a container is replaced, and the hash of a plain key runs
            // no code of the user's.
            if !self.is_plain_key(&key)? {
                return Ok(None);
            }
            match self.find(&value)? {
                Found::Leaf => {}
                Found::Container(node) => inner.push((Slot::Key(key.unbind()), node)),
                Found::Other => return Ok(None),
            }
        }
        for (slot, node) in &inner {
            if let Slot::Key(key) = slot {
                dict.set_item(key, node.private())?;
            }
        }
        Ok(Some((Shape::Dict(dict.clone().unbind()), inner)))
    }

    /// `list` is a private copy already; its containers are replaced by private ones.
    fn list(&mut self, list: &Bound<'_, PyList>) -> PyResult<Option<Vec<(Slot, Node)>>> {
        let mut inner = Vec::new();
        for (index, member) in list.iter().enumerate() {
            match self.find(&member)? {
                Found::Leaf => {}
                Found::Container(node) => {
                    list.set_item(index, node.private())?;
                    inner.push((Slot::Index(index), node));
                }
                Found::Other => return Ok(None),
            }
        }
        Ok(Some(inner))
    }

    fn set(&mut self, set: &Bound<'_, PySet>) -> PyResult<Parts> {
        for member in set.iter() {
            if !self.is_plain_key(&member)? {
                return Ok(None);
            }
        }
        let copy = set.py().get_type::<PySet>().call1((set,))?;
        let copy = copy.cast_into::<PySet>()?;
        Ok(Some((Shape::Set(copy.unbind()), Vec::new())))
    }

    /// Whether an object cannot be changed and is hashed without the user's code.
    fn is_plain_key(&mut self, object: &Bound<'_, PyAny>) -> PyResult<bool> {
        if let Some(weight) = weight::common(object) {
            self.weight += weight;
            return Ok(true);
        }
        Ok(!self.types.is_member_of_enum(object) && self.is_frozen(object)?)
    }
}

/// Whether an object is of a type that can be changed, and that a walk goes into.
fn is_mutable(object: &Bound<'_, PyAny>) -> bool {
    object.is_exact_instance_of::<PyDict>()
        || object.is_exact_instance_of::<PyList>()
        || object.is_exact_instance_of::<PySet>()
        || object.is_exact_instance_of::<PyByteArray>()
}
