//! Ids for strings that return.

use std::rc::Rc;

use analyzer::model::{EventKind, Name};
use duckdb::Connection;
use rustc_hash::FxHashMap;

use crate::catalogue::Catalogue;
use crate::rows::{NameLine, NameRows};
use crate::{StoreError, cell, reader};

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
    machines: FxHashMap<Name, u32>,
    next_machine: u32,
    /// Who gives ids where several write.
    catalogue: Option<Rc<Catalogue>>,
    /// Why an id could not be had.
    failure: Option<StoreError>,
}

impl Names {
    pub(crate) fn load(connection: &Connection, catalogue: Option<Rc<Catalogue>>) -> Result<Self, StoreError> {
        let mut names = Self { catalogue, ..Self::default() };
        for row in reader::run(connection, "SELECT arn, id FROM machine", &[])?.rows {
            let mut take = cell::Take::new(row);
            let (arn, id) = (take.text()?.into(), u32::try_from(take.count()?).unwrap_or(u32::MAX));
            names.machines.insert(arn, id);
            // Machines may have gone, so their number says nothing.
            names.next_machine = names.next_machine.max(id.saturating_add(1));
        }
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
        let id = self.given("name", text).unwrap_or(self.next.max(1));
        self.next = self.next.max(id + 1);
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

    /// The id of a machine, and whether the database has no row of it yet.
    pub(crate) fn machine(&mut self, arn: &Name) -> (u32, bool) {
        if let Some(&id) = self.machines.get(arn) {
            return (id, false);
        }
        let id = self.given("machine", arn).unwrap_or(self.next_machine);
        self.next_machine = self.next_machine.max(id.saturating_add(1));
        self.machines.insert(arn.clone(), id);
        (id, true)
    }

    /// The id that all writers of a lake know a text by; `None` where only one writes.
    fn given(&mut self, kind: &str, text: &str) -> Option<u32> {
        match self.catalogue.as_ref()?.id_of(kind, text) {
            Ok(id) => Some(id),
            Err(error) => {
                self.failure = Some(error);
                Some(0)
            }
        }
    }

    /// The rows that the database does not have yet.
    pub(crate) fn take_fresh(&mut self) -> Result<NameRows, StoreError> {
        match self.failure.take() {
            Some(error) => Err(error),
            None => Ok(std::mem::take(&mut self.fresh)),
        }
    }
}
