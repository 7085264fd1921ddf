//! Functions whose few arguments can ask for gigabytes: they allocate outside
//! the memory pool, some of them while the statement is still being planned,
//! so their results are measured before they are made. And functions that tell
//! where rows are stored, or cannot be stopped: they are taken away.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::compute::{cast, max};
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature,
};

/// Most bytes that one call of a growing function may make.
const RESULT_BYTES_MAX: u64 = 32 << 20;

/// Most such calls in a statement: what each makes of a batch is in memory at
/// the same time.
pub(super) const CALLS_MAX: usize = 16;

/// A constant is copied for each row of a batch.
const ROWS_OF_CONSTANT: usize = 8192;

/// What one step of the count (the second argument) adds to a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Unit {
    /// A copy of the first argument.
    FirstArgument,
    /// At most this many bytes.
    Bytes(u64),
    /// There is no count: each byte of the first argument may become the third
    /// one.
    Replacement,
}

const GROWING: [(&str, Unit); 7] = [
    ("repeat", Unit::FirstArgument),
    ("array_repeat", Unit::FirstArgument),
    ("lpad", Unit::Bytes(4)),
    ("rpad", Unit::Bytes(4)),
    ("array_resize", Unit::Bytes(16)),
    ("replace", Unit::Replacement),
    ("regexp_replace", Unit::Replacement),
];

/// Whether calls of `name` are counted.
pub(super) fn is_growing(name: &str) -> bool {
    GROWING.iter().any(|(growing, _)| *growing == name)
}

/// Its time is the product of the lengths of two texts, in one step that
/// nothing can stop.
const ENDLESS: [&str; 1] = ["levenshtein"];

/// `generate_series` and `range` as lists; in FROM they stream, and stay.
const LISTS: [&str; 2] = ["generate_series", "range"];

/// They tell the file of a row, and where it stands among rows of others.
const STORAGE: [&str; 2] = ["input_file_name", "file_row_index"];

/// `state` with growing functions bounded, and list generators and what tells
/// of files taken away.
pub(super) fn bounded(mut state: SessionState) -> Result<SessionState> {
    for name in LISTS.into_iter().chain(STORAGE).chain(ENDLESS) {
        state.deregister_udf(name)?;
    }
    for (name, unit) in GROWING {
        let inner = state.udf(name)?;
        state.register_udf(Arc::new(ScalarUDF::new_from_impl(Bounded { inner, unit })))?;
    }
    Ok(state)
}

/// A function that refuses to make more than [`RESULT_BYTES_MAX`] at once.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    unit: Unit,
}

impl Bounded {
    fn check(&self, arguments: &ScalarFunctionArgs) -> Result<()> {
        let [first, second, ..] = arguments.args.as_slice() else { return Ok(()) };
        let constant = arguments.args.iter().all(|one| matches!(one, ColumnarValue::Scalar(_)));
        let rows = if constant { ROWS_OF_CONSTANT } else { arguments.number_rows.max(1) };
        let rows = u64::try_from(rows).unwrap_or(u64::MAX);
        let bytes = match self.unit {
            Unit::Bytes(bytes) => bytes.saturating_mul(largest_count(second)?),
            Unit::FirstArgument => bytes_of_one(first)?.saturating_mul(largest_count(second)?),
            Unit::Replacement => {
                let third = arguments.args.get(2).map(bytes_of_one).transpose()?;
                bytes_of_one(first)?.saturating_mul(third.unwrap_or(0).max(1))
            }
        };
        if bytes.saturating_mul(rows) > RESULT_BYTES_MAX {
            return Err(DataFusionError::Execution(format!(
                "{}: {bytes} bytes for each of {rows} rows are more than {RESULT_BYTES_MAX} bytes \
                 at once; ask for less",
                self.inner.name()
            )));
        }
        Ok(())
    }
}

fn largest_count(counts: &ColumnarValue) -> Result<u64> {
    let counts = cast(&counts.to_array(1)?, &DataType::Int64)?;
    Ok(max(counts.as_primitive::<Int64Type>()).unwrap_or(0).max(0).unsigned_abs())
}

/// Bytes of one value, on average.
fn bytes_of_one(values: &ColumnarValue) -> Result<u64> {
    if let ColumnarValue::Scalar(value) = values
        && let Some(Some(text)) = value.try_as_str()
    {
        return Ok(text.len() as u64);
    }
    let values = values.to_array(1)?;
    let bytes = values.to_data().get_slice_memory_size()?;
    Ok(u64::try_from(bytes.div_ceil(values.len().max(1))).unwrap_or(u64::MAX))
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arguments)
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(arguments)
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arguments)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.check(&arguments)?;
        self.inner.invoke_with_args(arguments)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}
