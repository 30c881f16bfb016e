//! Shared strings: the same few state names, resources and ARNs return in millions of events.

use std::fmt;
use std::hash::Hasher;
use std::ops::Deref;
use std::sync::Arc;

use hashbrown::HashTable;
use rustc_hash::FxHasher;

/// A string that is cheap to clone and compares by its text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Arc<str>);

impl Default for Name {
    fn default() -> Self {
        Self::from("")
    }
}

impl Name {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self(Arc::from(text))
    }
}

impl From<String> for Name {
    fn from(text: String) -> Self {
        Self(Arc::from(text))
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// Gives out one shared copy per text; forgets everything when it has grown past its capacity.
#[derive(Debug)]
pub struct Interner {
    known: HashTable<Name>,
    capacity: usize,
}

impl Interner {
    pub fn with_capacity(capacity: usize) -> Self {
        Self { known: HashTable::new(), capacity }
    }

    pub fn intern(&mut self, text: &str) -> Name {
        let hash = hash_of(text.as_bytes());
        match self.find(hash, text.as_bytes()) {
            Some(name) => name,
            None => self.insert(hash, text),
        }
    }

    /// The same for bytes; `None` if they are no text. Those of a known text need not be looked through.
    pub fn intern_bytes(&mut self, bytes: &[u8]) -> Option<Name> {
        let hash = hash_of(bytes);
        match self.find(hash, bytes) {
            Some(name) => Some(name),
            None => std::str::from_utf8(bytes).ok().map(|text| self.insert(hash, text)),
        }
    }

    fn find(&self, hash: u64, bytes: &[u8]) -> Option<Name> {
        self.known.find(hash, |it| it.as_bytes() == bytes).cloned()
    }

    fn insert(&mut self, hash: u64, text: &str) -> Name {
        if self.known.len() >= self.capacity {
            self.known.clear();
        }
        let name = Name::from(text);
        self.known.insert_unique(hash, name.clone(), |it| hash_of(it.as_bytes()));
        name
    }
}

fn hash_of(bytes: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(bytes);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_share_one_copy_until_the_capacity_is_reached() {
        let mut interner = Interner::with_capacity(2);
        let first = interner.intern("Charge");
        assert!(Arc::ptr_eq(&first.0, &interner.intern("Charge").0));
        interner.intern("Notify");
        interner.intern("Pack");
        assert!(!Arc::ptr_eq(&first.0, &interner.intern("Charge").0));
    }
}
