//! Ids for strings that return.

use analyzer::model::{EventKind, Name};
use duckdb::Connection;
use rustc_hash::FxHashMap;

use crate::StoreError;
use crate::rows::{NameLine, NameRows};

/// Shared copies whose ids are remembered.
const SHARED: usize = 4_096;

/// The interned strings of a database, and those to be added with the next batch.
#[derive(Default)]
pub(crate) struct Names {
    ids: FxHashMap<Name, u32>,
    next: u32,
    fresh: NameRows,
    /// Ids by the address of a shared copy, which is held so that the address stays taken.
    shared: FxHashMap<usize, (Name, u32)>,
    /// Ids of event types by their position, which saves a look-up per event.
    kinds: Vec<Option<u32>>,
}

impl Names {
    pub(crate) fn load(connection: &Connection) -> Result<Self, StoreError> {
        let mut names = Self::default();
        let mut statement = connection.prepare("SELECT id, text FROM name ORDER BY id")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let name = Name::from(row.get::<_, String>(1)?);
            let id: u32 = row.get(0)?;
            names.ids.insert(name, id);
            names.next = names.next.max(id + 1);
        }
        Ok(names)
    }

    pub(crate) fn id(&mut self, text: &str) -> u32 {
        if let Some(&id) = self.ids.get(text) {
            return id;
        }
        // 0 stands for "none" in columns without NULLs.
        let id = self.next.max(1);
        self.next = id + 1;
        self.fresh.push(NameLine { id: Some(id), text: Some(text.into()) });
        self.ids.insert(text.into(), id);
        id
    }

    /// The same for a shared copy: most events bring one that was seen before.
    pub(crate) fn id_of(&mut self, name: &Name) -> u32 {
        let address = name.as_str().as_ptr().addr();
        if let Some((_, id)) = self.shared.get(&address) {
            return *id;
        }
        if self.shared.len() >= SHARED {
            self.shared.clear();
        }
        let id = self.id(name);
        self.shared.insert(address, (name.clone(), id));
        id
    }

    pub(crate) fn kind_id(&mut self, kind: &EventKind) -> u32 {
        let Some(position) = kind.position() else {
            return self.id(kind.as_str());
        };
        if self.kinds.is_empty() {
            self.kinds = vec![None; EventKind::KNOWN.len()];
        }
        if let Some(id) = self.kinds[position] {
            return id;
        }
        let id = self.id(kind.as_str());
        self.kinds[position] = Some(id);
        id
    }

    /// The rows that the database does not have yet.
    pub(crate) fn take_fresh(&mut self) -> NameRows {
        std::mem::take(&mut self.fresh)
    }
}
