//! SQL functions that give packed values back as lists of rows.

use std::error::Error;
use std::sync::Arc;

use duckdb::Connection;
use duckdb::arrow::array::{Array, ArrayRef, BinaryArray, ListArray, RecordBatch, StructArray};
use duckdb::arrow::buffer::OffsetBuffer;
use duckdb::arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use duckdb::vscalar::{ArrowFunctionSignature, VArrowScalar};

use crate::StoreError;
use crate::packed::PackedEvent;
use crate::packed_attempts::PackedAttempt;
use crate::packed_path::PackedStep;

/// What a packed value is a list of.
pub(crate) trait Row: Sized + 'static {
    /// The SQL function that unpacks it.
    const FUNCTION: &str;
    fn fields() -> Vec<Field>;
    fn unpack(bytes: &[u8]) -> Result<Vec<Self>, StoreError>;
    fn columns(rows: &[Self]) -> Vec<ArrayRef>;
}

/// Makes the functions known to a connection.
pub(crate) fn register(connection: &Connection) -> Result<(), duckdb::Error> {
    connection.register_scalar_function::<Unpack<PackedEvent>>(PackedEvent::FUNCTION)?;
    connection.register_scalar_function::<Unpack<PackedStep>>(PackedStep::FUNCTION)?;
    connection.register_scalar_function::<Unpack<PackedAttempt>>(PackedAttempt::FUNCTION)?;
    Ok(())
}

pub(crate) fn number(name: &str) -> Field {
    Field::new(name, DataType::UInt32, true)
}

pub(crate) fn code(name: &str) -> Field {
    Field::new(name, DataType::UInt8, true)
}

pub(crate) fn time(name: &str) -> Field {
    Field::new(name, DataType::Timestamp(TimeUnit::Microsecond, None), true)
}

struct Unpack<R>(std::marker::PhantomData<R>);

fn item<R: Row>() -> Field {
    Field::new("item", DataType::Struct(Fields::from(R::fields())), true)
}

impl<R: Row> VArrowScalar for Unpack<R> {
    type State = ();

    fn invoke((): &(), input: RecordBatch) -> Result<Arc<dyn Array>, Box<dyn Error>> {
        let packed = input.column(0).as_any().downcast_ref::<BinaryArray>().ok_or("a packed value is a BLOB")?;
        let mut lengths = Vec::with_capacity(packed.len());
        let mut all: Vec<R> = Vec::new();
        for bytes in packed {
            let rows = R::unpack(bytes.unwrap_or_default())?;
            lengths.push(rows.len());
            all.extend(rows);
        }
        let rows = StructArray::try_new(Fields::from(R::fields()), R::columns(&all), None)?;
        let lengths = OffsetBuffer::from_lengths(lengths);
        Ok(Arc::new(ListArray::try_new(Arc::new(item::<R>()), lengths, Arc::new(rows), None)?))
    }

    fn signatures() -> Vec<ArrowFunctionSignature> {
        vec![ArrowFunctionSignature::exact(vec![DataType::Binary], DataType::List(Arc::new(item::<R>())))]
    }
}
