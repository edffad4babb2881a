use redb::{ReadOnlyTable, ReadTransaction, TableDefinition, TableHandle, WriteTransaction};
use switchboard_model::Revision;
use switchboard_store::codec;

use crate::fault::Fault;
use crate::seal;

/// Sealed encoded records by encoded key.
pub(crate) const RECORDS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("records");
/// Sealed rows of commits by the last revision in the row.
pub(crate) const HISTORY: TableDefinition<u64, &[u8]> = TableDefinition::new("history");
const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");

/// Raised when an older program could misread the file. 2: the newest records may be in history only.
pub(crate) const FORMAT: u32 = 2;
// Whoever raises the codec's has to raise this one as well.
const _: () = assert!(codec::FORMAT == 1);

/// Its first four bytes are the format, in every format there will be.
const KEY: &str = "switchboard";
const LEN: usize = 44;

/// What the store knows about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) head: Revision,
    pub(crate) floor: Revision,
    pub(crate) cluster_id: u128,
    /// What was committed up to here is among the records. Later commits may be, or in history only.
    pub(crate) settled: Revision,
}

impl Meta {
    fn new() -> Meta {
        let zero = Revision::ZERO;
        Meta { head: zero, floor: zero, cluster_id: fastrand::u128(..), settled: zero }
    }

    pub(crate) fn read(txn: &ReadTransaction) -> Result<Meta, Fault> {
        let table: ReadOnlyTable<&str, &[u8]> = txn.open_table(META)?;
        let row = table.get(KEY)?.ok_or_else(|| Fault::Damaged("its head is missing".into()))?;
        Meta::decode(row.value())
    }

    pub(crate) fn write(self, txn: &WriteTransaction) -> Result<(), Fault> {
        let value = self.encode();
        let mut sealed = [0; LEN + seal::SEAL];
        seal::write(KEY.as_bytes(), &value, &mut sealed);
        txn.open_table(META)?.insert(KEY, sealed.as_slice())?;
        Ok(())
    }

    /// Reads it, or makes it when the database is brand new.
    pub(crate) fn read_or_create(database: &redb::Database) -> Result<Meta, Fault> {
        use redb::ReadableDatabase;

        let txn = database.begin_read()?;
        let tables: Vec<_> = txn.list_tables()?.collect();
        if !tables.is_empty() {
            if !tables.iter().any(|table| table.name() == META.name()) {
                return Err(Fault::Damaged("it is a redb database of another program".into()));
            }
            return Meta::read(&txn);
        }
        drop(txn);
        let meta = Meta::new();
        let mut txn = database.begin_write()?;
        txn.set_quick_repair(true);
        txn.open_table(RECORDS)?;
        txn.open_table(HISTORY)?;
        meta.write(&txn)?;
        txn.commit()?;
        Ok(meta)
    }

    fn encode(self) -> [u8; LEN] {
        let mut out = [0; LEN];
        let parts: [&[u8]; 5] = [
            &FORMAT.to_le_bytes(),
            &self.head.0.to_le_bytes(),
            &self.floor.0.to_le_bytes(),
            &self.cluster_id.to_le_bytes(),
            &self.settled.0.to_le_bytes(),
        ];
        out.iter_mut().zip(parts.concat()).for_each(|(to, from)| *to = from);
        out
    }

    fn decode(sealed: &[u8]) -> Result<Meta, Fault> {
        let damaged = || Fault::Damaged("its head makes no sense".into());
        let format = sealed.first_chunk().map(|bytes| u32::from_le_bytes(*bytes)).ok_or_else(damaged)?;
        if format > FORMAT {
            return Err(Fault::Newer(format));
        }
        let value = seal::open(KEY.as_bytes(), sealed)?;
        let (_, rest) = value.split_first_chunk::<4>().ok_or_else(damaged)?;
        let (head, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
        let (floor, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
        let (cluster_id, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
        // The first format had everything among the records.
        let settled = if format < 2 { head } else { rest.first_chunk().ok_or_else(damaged)? };
        Ok(Meta {
            head: Revision(u64::from_le_bytes(*head)),
            floor: Revision(u64::from_le_bytes(*floor)),
            cluster_id: u128::from_le_bytes(*cluster_id),
            settled: Revision(u64::from_le_bytes(*settled)),
        })
    }
}
